//! A running cluster at the other end of a connection.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use clap::Args;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Request, StatusCode, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use vast_sim::describe::{CallError, Outcome, Target};
use vast_sim::{Fault, FaultStatus, KeyPair, ProvisionError};

use super::{Exit, Failure, Result};

/// Longest answer that is read, in bytes: the state of a large cluster.
const MAX_ANSWER: u64 = 4 << 30;
/// How long a call may take.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Which cluster, and as whom.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// Address of its VMS
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:8443", env = "VAST_SIM_VMS")]
    vms: String,
    /// Its administrator
    #[arg(long, value_name = "NAME", default_value = "admin", env = "VAST_SIM_USER")]
    user: String,
    /// The administrator's password
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "123456",
        env = "VAST_SIM_PASSWORD",
        hide_env_values = true
    )]
    password: String,
    /// Certificate authority of the cluster; on this machine's own addresses it may be left out
    #[arg(long, value_name = "FILE", env = "VAST_SIM_CA")]
    ca: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long)]
    insecure: bool,
}

/// A cluster that can be called.
#[derive(Debug)]
pub(crate) struct Connected {
    agent: Agent,
    base: String,
    authorization: String,
}

fn is_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Remote {
    pub(crate) fn connect(&self) -> Result<Connected> {
        let bad = |what: String| Failure::new(Exit::BadInput, what);
        let uri: Uri = self.vms.parse().map_err(|e| bad(format!("--vms {}: {e}", self.vms)))?;
        if uri.scheme_str() != Some("https") || uri.host().is_none() || !matches!(uri.path(), "" | "/") {
            return Err(bad(format!("--vms {}: https://HOST:PORT is needed", self.vms)));
        }
        let mut tls = TlsConfig::builder();
        if let Some(path) = &self.ca {
            let pem = std::fs::read(path).map_err(|e| bad(format!("{}: {e}", path.display())))?;
            let ca = Certificate::from_pem(&pem).map_err(|e| bad(format!("{}: {e}", path.display())))?;
            tls = tls.root_certs(RootCerts::new_with_certs(&[ca.to_owned()]));
        } else if self.insecure || is_this_machine(&uri) {
            // What goes to a loopback address does not leave the machine.
            tls = tls.disable_verification(true);
        } else {
            let how = "`vast-sim ca --insecure` prints it";
            return Err(bad(format!("--vms {}: --ca FILE is needed for another machine ({how})", self.vms)));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .tls_config(tls.build());
        let basic =
            base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", self.user, self.password));
        Ok(Connected {
            agent: config.build().new_agent(),
            base: self.vms.trim_end_matches('/').to_owned(),
            authorization: format!("Basic {basic}"),
        })
    }
}

impl Connected {
    fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> std::result::Result<String, CallError> {
        let unreachable = |e: &dyn std::fmt::Display| CallError::Unreachable(format!("{}: {e}", self.base));
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", &self.authorization)
            .header("content-type", "application/json");
        let answer = match body {
            Some(body) => request.body(body).map_err(|e| unreachable(&e)).map(|r| self.agent.run(r))?,
            None => request.body(()).map_err(|e| unreachable(&e)).map(|r| self.agent.run(r))?,
        };
        let mut answer = answer.map_err(|e| unreachable(&e))?;
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
        let text = text.map_err(|e| unreachable(&e))?;
        match answer.status() {
            status if status.is_success() => Ok(text),
            StatusCode::UNAUTHORIZED => {
                let body = "user or password is wrong (--user, --password or VAST_SIM_PASSWORD)".to_owned();
                Err(ProvisionError { status: 401, body }.into())
            }
            status => Err(ProvisionError { status: status.as_u16(), body: detail(&text) }.into()),
        }
    }

    /// A call of the simulator's own paths.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let text = self.exchange(method, path, body.map(Value::to_string)).map_err(|e| failure(&e))?;
        parse(&text).map_err(|e| failure(&e))
    }

    /// As [`Self::call`], for answers that are not JSON.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        self.exchange("GET", path, None).map_err(|e| failure(&e))
    }
}

fn failure(error: &CallError) -> Failure {
    let exit = if matches!(error, CallError::Refused(_)) { Exit::No } else { Exit::SetUp };
    Failure::new(exit, error)
}

fn parse(text: &str) -> std::result::Result<Value, CallError> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).map_err(|e| CallError::Unreachable(format!("an answer that is not JSON: {e}")))
}

/// What VMS says is wrong, without its wrapping.
fn detail(text: &str) -> String {
    let body: Option<Value> = serde_json::from_str(text).ok();
    let detail = body.as_ref().and_then(|b| b.get("detail")).and_then(Value::as_str);
    detail.map_or_else(|| text.to_owned(), str::to_owned)
}

impl Target for Connected {
    fn vms(&self, method: &str, path: &str, body: &Value) -> std::result::Result<Value, CallError> {
        let body = (!body.is_null()).then(|| body.to_string());
        parse(&self.exchange(method, &format!("/api/{path}"), body)?)
    }

    fn put_keys(&self, user_id: u64, tenant_id: u64, keys: &KeyPair) -> std::result::Result<(), CallError> {
        let body = json!({ "user_id": user_id, "tenant_id": tenant_id, "access_key": keys.access_key,
            "secret_key": keys.secret_key });
        self.exchange("PUT", "/sim/v1/keys", Some(body.to_string())).map(drop)
    }

    fn arm(&self, fault: &Fault) -> std::result::Result<Outcome, CallError> {
        let listed = parse(&self.exchange("GET", "/sim/v1/faults", None)?)?;
        let listed: Vec<FaultStatus> = serde_json::from_value(listed).unwrap_or_default();
        if listed.iter().any(|armed| armed.fault == *fault) {
            return Ok(Outcome::Unchanged);
        }
        let body = serde_json::to_string(fault).unwrap_or_default();
        self.exchange("POST", "/sim/v1/faults", Some(body)).map(|_| Outcome::Created)
    }
}
