//! The `vast-sim` command.

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use vast_sim::{Cluster, Config, EtagMode, QuotaAnswer, StartError};

const ABOUT: &str =
    "A VAST cluster in one process: the VMS REST API over HTTPS and S3 on several virtual addresses (VIPs).";

const SERVE_HELP: &str = r#"Example:

  vast-sim serve --vms-listen 127.0.0.1:8443 --s3-port 8080 --s3-tls-port 8444

prints, when it is ready, one line of JSON:

  {"ready":true,"vms":"https://127.0.0.1:8443","s3":["http://127.0.0.11:8080",...],"s3_tls":["https://...",...],"ca":"PATH"}

Then make a user, a key pair and a bucket, with VMS's own calls:

  api="curl -s --cacert PATH -u admin:123456 -H content-type:application/json https://127.0.0.1:8443/api"
  $api/users/ -d '{"name":"backup","local_provider_id":1}'
  $api/users/1/access_keys/ -X POST
  $api/views/ -d '{"path":"/images","policy_id":2,"protocols":["S3"],"bucket":"images","bucket_owner":"backup"}'

What happened, what is stored, and faults to inject are under https://127.0.0.1:8443/sim/v1/ (basic authentication):
counters, state, faults, faults/log, tokens/expire, tokens/revoke.

  curl -s --cacert PATH -u admin:123456 https://127.0.0.1:8443/sim/v1/faults \
    -d '{"operations":["PutObject"],"count":2,"effect":{"type":"error","status":503,"code":"SlowDown"}}'

Stops on SIGTERM or SIGINT. Logs go to standard error; RUST_LOG=vast_sim=debug shows more."#;

#[derive(Debug, Parser)]
#[command(name = "vast-sim", version, about = ABOUT, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a cluster until it is told to stop
    #[command(after_help = SERVE_HELP)]
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Serve {
    /// Where the VMS REST API listens (HTTPS); port 0 takes any free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8443")]
    vms_listen: SocketAddr,

    /// Addresses of the S3 data path, one listener each
    #[arg(long, value_name = "ADDR", value_delimiter = ',', default_values = ["127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14"])]
    vips: Vec<IpAddr>,

    /// Port of plain S3 on every VIP; 0 takes one that is free on all of them
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    s3_port: u16,

    /// Port of S3 over TLS on every VIP; 0 as above
    #[arg(long, value_name = "PORT", default_value_t = 8444)]
    s3_tls_port: u16,

    /// VMS administrator
    #[arg(long, default_value = "admin")]
    user: String,

    /// The administrator's password
    #[arg(long, default_value = "123456", env = "VAST_SIM_PASSWORD", hide_env_values = true)]
    password: String,

    /// Keep everything in this directory; without it the cluster is in memory and forgets
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// How ETags are made; MD5 costs about 1.5 CPU seconds per GB
    #[arg(long, value_enum, default_value_t = Etag::Md5)]
    etag: Etag,

    /// Capacity of the whole cluster: bytes, or a number with K, M, G, T or P (powers of 1024)
    #[arg(long, value_name = "SIZE", default_value = "10T", value_parser = parse_size)]
    capacity: u64,

    /// Least size of a multipart part other than the last, in the units of --capacity; AWS has 5M
    #[arg(long, value_name = "SIZE", default_value = "5M", value_parser = parse_size)]
    min_part_size: u64,

    /// More host names for the certificates, beside localhost and all addresses
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    tls_name: Vec<String>,

    /// Lifetime of access tokens in seconds (fractions allowed)
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = parse_seconds)]
    access_token_lifetime: Duration,

    /// Lifetime of refresh tokens in seconds (fractions allowed)
    #[arg(long, value_name = "SECONDS", default_value = "86400", value_parser = parse_seconds)]
    refresh_token_lifetime: Duration,

    /// What S3 answers when a hard limit is reached, as STATUS:CODE
    #[arg(long, value_name = "STATUS:CODE", default_value = "403:QuotaExceeded", value_parser = parse_answer)]
    quota_answer: QuotaAnswer,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Etag {
    /// MD5 of the content, as AWS and VAST do
    Md5,
    /// Random, for measurements
    Opaque,
}

fn parse_size(text: &str) -> Result<u64, String> {
    let units = [("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50)];
    let upper = text.trim().to_ascii_uppercase();
    let upper = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
    let unit = units.iter().find(|(u, _)| upper.ends_with(u));
    let (digits, shift) = unit.map_or((upper, 0), |(u, s)| (upper.trim_end_matches(u), *s));
    let number: u64 =
        digits.trim().parse().map_err(|_| format!("{text:?} is not a size; try 500G or 10T"))?;
    number.checked_mul(1 << shift).filter(|n| *n > 0).ok_or_else(|| format!("{text:?} is out of range"))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
    if duration.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(duration) }
}

fn parse_answer(text: &str) -> Result<QuotaAnswer, String> {
    let parsed = text.split_once(':').and_then(|(s, code)| Some((s.parse().ok()?, code)));
    match parsed {
        Some((status, code)) if (400..=599).contains(&status) && !code.is_empty() => {
            Ok(QuotaAnswer { status, code: code.to_owned() })
        }
        _ => Err(format!("{text:?}: a status of 400 to 599, a colon and an S3 error code are needed")),
    }
}

impl From<Serve> for Config {
    fn from(s: Serve) -> Self {
        Self {
            vms_listen: s.vms_listen,
            vips: s.vips,
            s3_port: s.s3_port,
            s3_tls_port: s.s3_tls_port,
            user: s.user,
            password: s.password,
            data_dir: s.data_dir,
            etag: match s.etag {
                Etag::Md5 => EtagMode::Md5,
                Etag::Opaque => EtagMode::Opaque,
            },
            capacity: s.capacity,
            min_part_size: s.min_part_size,
            tls_names: s.tls_name,
            access_token_lifetime: s.access_token_lifetime,
            refresh_token_lifetime: s.refresh_token_lifetime,
            quota_answer: s.quota_answer,
            ..Self::default()
        }
    }
}

async fn serve(config: Config) -> Result<(), StartError> {
    // Before the cluster is up, so that a signal that comes early is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cluster = Cluster::start(config).await?;
    announce(&cluster)?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
        _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
    }
    cluster.stop().await;
    Ok(())
}

/// The one line on standard output.
fn announce(cluster: &Cluster) -> std::io::Result<()> {
    use std::io::Write as _;
    #[derive(serde::Serialize)]
    struct Ready {
        ready: bool,
        vms: String,
        s3: Vec<String>,
        s3_tls: Vec<String>,
        ca: PathBuf,
    }
    let ready = Ready {
        ready: true,
        vms: cluster.vms_url(),
        s3: cluster.s3_urls(),
        s3_tls: cluster.s3_tls_urls(),
        ca: std::path::absolute(cluster.ca_path())?,
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&ready).map_err(std::io::Error::other)?)?;
    out.flush()
}

fn main() -> ExitCode {
    let Command::Serve(arguments) = Cli::parse().command;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("vast_sim=info"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("vast-sim: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(arguments.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vast-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
