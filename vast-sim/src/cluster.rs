//! A running cluster: start, look inside, stop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::core::Core;
use crate::counters::{Counters, Counting};
use crate::env::{Entropy, HashEntropy};
use crate::error::StartError;
use crate::faults::Faults;
use crate::net::conn::Resetter;
use crate::net::listen;
use crate::net::s3_edge::S3Edge;
use crate::raw_state::RawState;
use crate::store::Store;
use crate::vms::auth::Tokens;
use crate::{s3, seed, tls, vms};

/// A cluster that listens. Dropping it stops it at once; [`Cluster::stop`] lets requests in flight finish first.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) core: Arc<Core>,
    addresses: Addresses,
    ca_pem: String,
    ca_path: PathBuf,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    /// Holds the CA file of a cluster in memory.
    _scratch: Option<tempfile::TempDir>,
}

#[derive(Debug)]
struct Addresses {
    vms: SocketAddr,
    s3: Vec<SocketAddr>,
    s3_tls: Vec<SocketAddr>,
}

impl Cluster {
    /// Starts a cluster on the caller's tokio runtime. It accepts connections when this returns.
    ///
    /// # Errors
    /// Configuration that makes no sense, addresses in use, a data directory that cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.check()?;
        let entropy: Arc<dyn Entropy> = match &config.entropy {
            Some(entropy) => Arc::clone(entropy),
            None => Arc::new(HashEntropy::from_os()?),
        };
        let (store, dir, scratch) = if let Some(dir) = &config.data_dir {
            (Store::open(dir)?, dir.clone(), None)
        } else {
            let scratch = tempfile::Builder::new().prefix("vast-sim-").tempdir()?;
            (Store::in_memory(), scratch.path().to_owned(), Some(scratch))
        };
        let vms_listener = listen::bind(config.vms_listen).await?;
        let s3_listeners = listen::bind_all(&config.vips, config.s3_port).await?;
        let tls_listeners = listen::bind_all(&config.vips, config.s3_tls_port).await?;
        let tls = certificates(&config, &dir)?;
        let local = |l: &TcpListener| l.local_addr();
        let addresses = Addresses {
            vms: vms_listener.local_addr()?,
            s3: s3_listeners.iter().map(local).collect::<Result<_, _>>()?,
            s3_tls: tls_listeners.iter().map(local).collect::<Result<_, _>>()?,
        };
        let core = Arc::new(Core {
            counting: Counting::new(&config.vips),
            faults: Faults::default(),
            tokens: Tokens::default(),
            entropy,
            store,
            config,
        });
        seed::apply(&core);
        core.store
            .settled()
            .await
            .map_err(|e| StartError::Database { path: dir.clone(), detail: e.to_string() })?;

        let (stop, stopping) = watch::channel(false);
        let mut tasks = Vec::new();
        let app = vms::app(&core);
        let serve_vms =
            move |request: Request<Incoming>, resetter: Resetter| vms::serve(app.clone(), request, resetter);
        let vms_tls = Some(tls.acceptor.clone());
        tasks.push(tokio::spawn(listen::serve(
            vms_listener,
            vms_tls,
            Arc::default(),
            stopping.clone(),
            serve_vms,
        )));
        let service = s3::service(&core);
        let plain = s3_listeners.into_iter().map(|l| (l, None));
        let secure = tls_listeners.into_iter().map(|l| (l, Some(tls.acceptor.clone())));
        for (listener, acceptor) in plain.chain(secure) {
            let vip = listener.local_addr()?.ip();
            let edge = S3Edge::new(Arc::clone(&core), service.clone(), vip);
            let serve_s3 =
                move |request: Request<Incoming>, resetter: Resetter| edge.clone().serve(request, resetter);
            let counting = core.counting.vip(vip);
            tasks.push(tokio::spawn(listen::serve(listener, acceptor, counting, stopping.clone(), serve_s3)));
        }
        Ok(Self {
            core,
            addresses,
            ca_pem: tls.ca_pem,
            ca_path: dir.join(tls::CA_FILE),
            stop,
            tasks,
            _scratch: scratch,
        })
    }

    /// Stops listening, lets requests in flight finish for at most two seconds, and makes everything durable.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            let _ = task.await;
        }
        let core = Arc::clone(&self.core);
        let _ = tokio::task::spawn_blocking(move || core.store.close()).await;
    }

    /// `https://address:port` of the VMS REST API.
    pub fn vms_url(&self) -> String {
        let address = self.addresses.vms;
        // Nobody can connect to "any address".
        let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
        format!("https://{}", SocketAddr::new(ip, address.port()))
    }

    /// `http://address:port` of every VIP.
    pub fn s3_urls(&self) -> Vec<String> {
        self.addresses.s3.iter().map(|a| format!("http://{a}")).collect()
    }

    /// `https://address:port` of every VIP.
    pub fn s3_tls_urls(&self) -> Vec<String> {
        self.addresses.s3_tls.iter().map(|a| format!("https://{a}")).collect()
    }

    /// The certificate authority that signed the cluster's certificates, as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A file with [`Self::ca_pem`], there as long as the cluster is.
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// What was requested since the start or the last [`Self::reset_counters`].
    pub fn counters(&self) -> Counters {
        self.core.counting.snapshot()
    }

    /// Sets all counters to zero.
    pub fn reset_counters(&self) {
        self.core.counting.reset();
    }

    /// Everything that is stored.
    pub fn raw_state(&self) -> RawState {
        RawState::of(&self.core)
    }

    /// The faults of this cluster.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }

    /// All access tokens expire now; refresh tokens stay valid.
    pub fn expire_access_tokens(&self) {
        self.core.tokens.expire_access();
    }

    /// All tokens become invalid; clients must log in again.
    pub fn revoke_tokens(&self) {
        self.core.tokens.revoke_all();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
        self.core.store.close();
    }
}

fn certificates(config: &Config, dir: &Path) -> Result<tls::Tls, StartError> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(config.tls_names.iter().cloned());
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    for ip in config.vips.iter().copied().chain([config.vms_listen.ip()]) {
        if !addresses.contains(&ip) && !ip.is_unspecified() {
            addresses.push(ip);
        }
    }
    tls::make(&names, &addresses, dir, config.data_dir.is_some())
}
