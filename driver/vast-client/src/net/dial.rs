//! Opening a connection: TCP, TLS, the HTTP/1 handshake, within the connect timeout.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::counters::Counters;
use crate::environment::{Environment, Stream};
use crate::error::Delivery;
use crate::net::budget::{Budget, Expired};
use crate::net::link::Link;
use crate::net::meter::{Metered, Progress};
use crate::net::tls::TlsSettings;
use crate::net::{Fault, NetError, chain};

/// Opens connections of one kind: to VMS, or to VIPs.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    environment: Environment,
    tls: Option<TlsSettings>,
    timeout: Duration,
    counters: Arc<Counters>,
}

impl Dialer {
    pub(crate) fn new(
        environment: Environment,
        tls: Option<TlsSettings>,
        timeout: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        Self { environment, tls, timeout, counters }
    }

    /// Connects to one address. `host` is the name that the certificate must carry unless the settings override it.
    pub(crate) async fn dial(
        &self,
        address: SocketAddr,
        host: &str,
        budget: &mut Budget,
    ) -> Result<Link, NetError> {
        let opened = budget.watch(self.timeout, None, self.open(address, host)).await;
        match opened {
            Ok(outcome) => {
                self.counters.connections.add(1);
                outcome
            }
            Err(expired) => {
                let fault = if expired == Expired::Stall { Fault::Connect } else { Fault::Deadline };
                Err(NetError::new(
                    fault,
                    Delivery::NotSent,
                    format!("no connection within {:?}", self.timeout),
                ))
            }
        }
    }

    async fn open(&self, address: SocketAddr, host: &str) -> Result<Link, NetError> {
        let refused = |e: &dyn std::error::Error| NetError::new(Fault::Connect, Delivery::NotSent, chain(e));
        let stream = self.environment.connector.connect(address).await.map_err(|e| refused(&e))?;
        let progress = Arc::new(Progress::default());
        let stream = Metered::new(stream, Arc::clone(&progress));
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(settings) => Box::new(secure(settings, host, stream).await?),
        };
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| refused(&e))?;
        // The connection's own errors reach the request that is under way on it.
        drop(tokio::spawn(driver));
        Ok(Link::new(sender, progress))
    }
}

async fn secure<S: Stream>(
    settings: &TlsSettings,
    host: &str,
    stream: S,
) -> Result<impl Stream + use<S>, NetError> {
    let name = match &settings.server_name {
        Some(name) => name.clone(),
        None => ServerName::try_from(host.to_owned())
            .map_err(|e| NetError::new(Fault::Tls, Delivery::NotSent, format!("{host}: {e}")))?,
    };
    TlsConnector::from(Arc::clone(&settings.client)).connect(name, stream).await.map_err(|e| {
        // rustls reports its own verdicts as invalid data; anything else is the network's.
        let verdict = matches!(e.get_ref(), Some(inner) if inner.is::<rustls::Error>());
        let fault = if verdict { Fault::Tls } else { Fault::Connect };
        NetError::new(fault, Delivery::NotSent, chain(&e))
    })
}
