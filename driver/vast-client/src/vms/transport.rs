//! One request to VMS, over whichever of its addresses answers.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, Request};

use crate::config::{ClientConfig, Endpoint, Limits, RetryPolicy, Timeouts};
use crate::counters::{Counters, Operation};
use crate::environment::Environment;
use crate::error::{Delivery, Detail, Error, Result};
use crate::net::body::Parts;
use crate::net::budget::Budget;
use crate::net::dial::Dialer;
use crate::net::link::Answer;
use crate::net::resolve::resolve;
use crate::net::tls::TlsSettings;
use crate::net::{NetError, net_error};
use crate::retry::{Refusal, Setback, Step, Verdict, backoff, decide};
use crate::secret::Secret;
use crate::vip_pool::{VipAddress, VipPool};

/// VMS speaks HTTPS.
const PORT: u16 = 443;

/// Management calls give up sooner than data: there are cached VIPs to go on with, and somebody waits for the answer.
const ATTEMPTS_MAX: u32 = 4;

/// Sends requests to VMS.
#[derive(Debug)]
pub(crate) struct Transport {
    endpoint: Endpoint,
    tenant: Option<String>,
    addresses: Arc<VipPool>,
    dialer: Dialer,
    retry: RetryPolicy,
    timeouts: Timeouts,
    limits: Limits,
    environment: Environment,
    counters: Arc<Counters>,
}

/// What to send.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: &'a str,
    pub(crate) body: Option<Bytes>,
    pub(crate) token: Option<&'a Secret>,
}

impl Transport {
    pub(crate) fn new(
        config: &ClientConfig,
        environment: &Environment,
        counters: &Arc<Counters>,
    ) -> Result<Self> {
        let tls = TlsSettings::new(&config.vms.tls, "VMS", environment)?;
        Ok(Self {
            endpoint: config.vms.endpoint.clone(),
            tenant: config.vms.tenant.clone(),
            addresses: Arc::new(VipPool::new(&config.retry, &config.limits)),
            dialer: Dialer::new(
                environment.clone(),
                Some(tls),
                config.timeouts.connect,
                Arc::clone(counters),
            ),
            retry: config.retry,
            timeouts: config.timeouts,
            limits: config.limits,
            environment: environment.clone(),
            counters: Arc::clone(counters),
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Sends a request until an answer that is not a passing failure comes. All calls may be repeated: reads, and
    /// token calls, of which the last answer counts.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Result<Answer> {
        let mut budget = Budget::new(self.timeouts.total);
        let mut attempts = 0;
        let mut avoid: Vec<SocketAddr> = Vec::new();
        let mut fresh = false;
        loop {
            let failure = match self.attempt(call, &avoid, fresh, &mut budget).await? {
                (_, Ok(answer)) if !is_passing(&answer) => return Ok(answer),
                (at, Ok(answer)) => (at, Setback::Answer(Refusal::Transient), Ok(answer)),
                (at, Err(error)) => (at, Setback::Net(error.fault), Err(error)),
            };
            let (at, setback, outcome) = failure;
            let (_, step) = decide(setback, fresh, true);
            if step != Step::Reconnect {
                attempts += 1;
            }
            if step == Step::GiveUp || attempts >= self.retry.attempts.min(ATTEMPTS_MAX) || budget.is_spent()
            {
                return outcome
                    .map_err(|error| self.unreachable(call, at, error, attempts, budget.is_spent()));
            }
            self.counters.retries.add(1);
            fresh = step == Step::Reconnect;
            if !fresh && !avoid.contains(&at) {
                avoid.push(at);
            }
            if step == Step::Later || (step == Step::Elsewhere && self.addresses.is_desperate()) {
                budget.sleep(backoff(&self.retry, attempts + 1, &*self.environment.entropy)).await;
            }
        }
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        avoid: &[SocketAddr],
        fresh: bool,
        budget: &mut Budget,
    ) -> Result<(SocketAddr, std::result::Result<Answer, NetError>)> {
        self.ensure_addresses().await?;
        let (lease, _) = self.addresses.pick(avoid).ok_or_else(|| {
            Error::Unreachable(Box::new(Detail::new(format!("VMS {}", self.endpoint), "it has no address")))
        })?;
        let at = lease.at().address;
        let kept = if fresh { None } else { lease.idle() };
        let dialled = match kept {
            Some(link) => Ok(link),
            None => self.dialer.dial(at, &lease.at().host, budget).await,
        };
        let outcome = match dialled {
            Err(error) => Err(error),
            Ok(mut link) => {
                self.counters.request(Operation::Vms);
                let limit = self.limits.answer_bytes_max;
                let answer = link.exchange(self.request(call)?, limit, self.timeouts.stall, budget).await;
                lease.keep(link);
                answer
            }
        };
        match &outcome {
            Ok(_) => lease.report(Verdict::Healthy, true),
            Err(error) => lease.report(decide(Setback::Net(error.fault), fresh, true).0, false),
        };
        Ok((at, outcome))
    }

    /// Looks the name up, and again when the addresses are old or all of them fail.
    async fn ensure_addresses(&self) -> Result<()> {
        if !self.addresses.is_desperate()
            && self.addresses.age().is_some_and(|age| age < self.limits.vip_list_age_max)
        {
            return Ok(());
        }
        let known = self.addresses.age().is_some();
        match resolve(&self.environment, &self.endpoint).await {
            Ok(list) => {
                let port = self.endpoint.port.unwrap_or(PORT);
                let host: Arc<str> = self.endpoint.host.as_str().into();
                let vip = |ip| VipAddress { address: SocketAddr::new(ip, port), host: Arc::clone(&host) };
                self.addresses.replace(list.into_iter().map(vip).collect());
                Ok(())
            }
            Err(_) if known => {
                self.addresses.postpone();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Parts>> {
        let what = format!("{} {}", call.method, path_of(call.target));
        let bad = |why: &str| Error::config(what.clone(), why, "");
        let mut request = Request::new(Parts::new(call.body.iter().cloned().collect()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() =
            call.target.parse().map_err(|_| bad("the address cannot be written as a URI"))?;
        let headers = request.headers_mut();
        let authority = match self.endpoint.port {
            Some(port) if port != PORT => {
                Endpoint { host: self.endpoint.host.clone(), port: Some(port) }.to_string()
            }
            _ if self.endpoint.host.contains(':') => format!("[{}]", self.endpoint.host),
            _ => self.endpoint.host.clone(),
        };
        headers
            .insert(HOST, HeaderValue::from_str(&authority).map_err(|_| bad("the host name is no header"))?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(tenant) = &self.tenant {
            let value = HeaderValue::from_str(tenant).map_err(|_| bad("the tenant name is no header"))?;
            headers.insert(HeaderName::from_static("x-tenant-name"), value);
        }
        if let Some(token) = call.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|_| bad("VMS gave a token that is no header"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    fn unreachable(
        &self,
        call: &Call<'_>,
        at: SocketAddr,
        error: NetError,
        attempts: u32,
        spent: bool,
    ) -> Error {
        let mut detail = Detail::new(format!("{} {}", call.method, path_of(call.target)), error.why)
            .at(format!("VMS {} ({at})", self.endpoint))
            .delivery(error.delivery);
        if call.method == Method::GET {
            detail = detail.delivery(Delivery::NotSent);
        }
        detail.attempts = attempts;
        match net_error(error.fault, spent, detail) {
            Error::Protocol(detail) => {
                Error::Protocol(Box::new(Detail { advice: "check that this is VMS", ..*detail }))
            }
            other => other,
        }
    }
}

/// An answer that another try may better.
fn is_passing(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 408 | 429 | 502..=504)
}

/// A target without its query, for messages.
pub(crate) fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}
