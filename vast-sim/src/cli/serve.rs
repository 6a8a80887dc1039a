//! `vast-sim serve`: a cluster in the foreground.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::oneshot;
use vast_sim::describe::{Described, Outcome, Settings, settle};
use vast_sim::{Cluster, Config, StartError};

use super::{Exit, Failure, Result, check, colours, print, read_description, seed};

pub(crate) const HELP: &str = r#"Example:

  vast-sim serve --vms-listen 127.0.0.1:8443 --s3-port 8080 --s3-tls-port 8444

prints, when it is ready, one line of JSON:

  {"ready":true,"vms":"https://127.0.0.1:8443","s3":["http://127.0.0.11:8080",...],"s3_tls":["https://...",...],"ca":"PATH",
   "ready_ms":31,"objects":0}

Then make a user, a key pair and a bucket, with VMS's own calls:

  api="curl -s --cacert PATH -u admin:123456 -H content-type:application/json https://127.0.0.1:8443/api"
  $api/users/ -d '{"name":"backup","local_provider_id":1}'
  $api/users/6/access_keys/ -X POST
  $api/views/ -d '{"path":"/images","policy_id":2,"protocols":["S3"],"bucket":"images","bucket_owner":"backup","create_dir":true}'

or describe all of it in a file (vast-sim seed --help shows one) and give it with --config.

A page at the address of VMS shows what the cluster holds and does. What happened, what is stored, and what shall go
wrong is under /sim/v1/counters, /sim/v1/state, /sim/v1/faults, /sim/v1/faults/log, /sim/v1/clock, /sim/v1/tokens/expire
and /sim/v1/tokens/revoke at the same address (basic authentication). `vast-sim fault` and `vast-sim state` use them:

  vast-sim fault add error status=503 code=SlowDown --operation PutObject --times 2
  vast-sim state dump

Stops on SIGTERM or SIGINT. Logs go to standard error; RUST_LOG=vast_sim=debug shows more."#;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// A description of the cluster (TOML): settings, tenants, users, views, quotas, faults. Flags go first
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check arguments and description, and stop
    #[arg(long)]
    check: bool,
    /// Print the certificate of the cluster's authority (PEM) after the line that says it is ready
    #[arg(long)]
    print_ca: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(crate) fn run(self) -> Result<Exit> {
        let begun = Instant::now();
        let described = self.config.as_deref().map(read_description).transpose()?;
        let config = settle(self.settings, described.as_ref()).map_err(|e| check::unsettled(&e))?;
        // A data directory may hold what the description does not.
        if let (Some(described), None) = (&described, &config.data_dir) {
            described.stands_alone().map_err(|m| Failure::mistake(Exit::BadInput, &m))?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::new(Exit::SetUp, format_args!("cannot start: {e}")))?;
        if self.check {
            if let Some(described) = described.filter(|d| d.stands_alone().is_ok()) {
                runtime.block_on(check::rehearse(&described, &config))?;
            }
            print("fine");
            return Ok(Exit::Done);
        }
        let filter = tracing_subscriber::EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("vast_sim=info"));
        let ansi = colours(&std::io::stderr());
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
        runtime.block_on(serve(config, described.as_ref(), begun, self.print_ca))?;
        Ok(Exit::Done)
    }
}

async fn serve(config: Config, described: Option<&Described>, begun: Instant, print_ca: bool) -> Result<()> {
    let failed = |e: StartError| match e {
        StartError::Config(_) => Failure::new(Exit::BadInput, e),
        other => Failure::new(Exit::SetUp, other),
    };
    // Before the cluster is up, so that a signal that comes early is not lost.
    let ended = termination().map_err(|e| failed(e.into()))?;
    warn_if_open(&config);
    let cluster = Cluster::start(config).await.map_err(failed)?;
    if let Some(described) = described {
        let done = match cluster.describe(described.clone()) {
            Ok(done) => done,
            Err(error) => {
                cluster.stop().await;
                return Err(check::refused(&error));
            }
        };
        for step in done.iter().filter(|step| step.outcome != Outcome::Unchanged) {
            tracing::info!("{}", seed::line(step));
        }
    }
    announce(&cluster, begun, print_ca).map_err(|e| failed(e.into()))?;
    // The thread that waits for signals ends when it has sent the first one.
    let signal = ended.await.unwrap_or(SIGTERM);
    tracing::info!("stopping on {}", if signal == SIGINT { "SIGINT" } else { "SIGTERM" });
    cluster.stop().await;
    Ok(())
}

/// Number of the first SIGTERM or SIGINT that comes from now on.
fn termination() -> std::io::Result<oneshot::Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (send, receive) = oneshot::channel();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Nobody waits any more when the cluster has failed.
            let _ = send.send(signal);
        }
    })?;
    Ok(receive)
}

/// Other machines can reach this cluster and everybody knows its password: worth a word.
fn warn_if_open(config: &Config) {
    let ips = config.vips.iter().copied().chain([config.vms_listen.ip()]);
    if config.password == Config::default().password && ips.into_iter().any(|ip| !ip.is_loopback()) {
        tracing::warn!("listening beyond this machine with the default password; set --password");
    }
}

/// The one line on standard output, and the certificate behind it if wanted.
fn announce(cluster: &Cluster, begun: Instant, print_ca: bool) -> std::io::Result<()> {
    #[derive(serde::Serialize)]
    struct Ready {
        ready: bool,
        vms: String,
        s3: Vec<String>,
        s3_tls: Vec<String>,
        ca: PathBuf,
        ready_ms: u64,
        objects: u64,
    }
    let ready = Ready {
        ready: true,
        vms: cluster.vms_url(),
        s3: cluster.s3_urls(),
        s3_tls: cluster.s3_tls_urls(),
        ca: std::path::absolute(cluster.ca_path())?,
        ready_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        objects: cluster.object_count(),
    };
    tracing::info!("ready in {} ms, {} objects", ready.ready_ms, ready.objects);
    print(&serde_json::to_string(&ready).map_err(std::io::Error::other)?);
    if print_ca {
        print(cluster.ca_pem().trim_end());
    }
    Ok(())
}
