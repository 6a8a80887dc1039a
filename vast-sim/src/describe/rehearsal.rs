//! Trying a description out: on a cluster in memory that listens nowhere, so that a check refuses what a start would.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::Described;
use super::apply::ApplyError;
use crate::cluster::Cluster;
use crate::config::{Config, Retention};
use crate::error::StartError;
use crate::net::network::{Listener, Network, Stream};

/// Why a description was not brought about.
#[derive(Debug)]
pub enum Unrehearsed {
    /// The cluster did not start.
    Start(StartError),
    /// The cluster refused a part of it.
    Apply(ApplyError),
}

impl Described {
    /// Brings the description about on a new cluster with this configuration, and forgets it. Nothing is listened on and
    /// no data directory is touched.
    ///
    /// # Errors
    /// What a start with this description would be refused for, beside addresses in use and what is in a data directory.
    pub async fn rehearse(&self, config: &Config) -> Result<(), Unrehearsed> {
        let config = Config {
            network: Arc::new(Nowhere),
            data_dir: None,
            retention: Retention::Discard,
            ..config.clone()
        };
        let cluster = Cluster::start(config).await.map_err(Unrehearsed::Start)?;
        let applied = self.apply(&cluster).map(drop).map_err(Unrehearsed::Apply);
        cluster.stop().await;
        applied
    }
}

/// A network that nobody is on.
#[derive(Debug)]
struct Nowhere;

#[derive(Debug)]
struct Deaf(SocketAddr);

impl Network for Nowhere {
    fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        // Any port is free here.
        let port = if address.port() == 0 { 1 } else { address.port() };
        Ok(Box::new(Deaf(SocketAddr::new(address.ip(), port))))
    }
}

#[async_trait]
impl Listener for Deaf {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0)
    }

    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        std::future::pending().await
    }
}
