//! Where the VIPs come from: a pool that VMS is asked about, or fixed endpoints.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::config::{Endpoint, S3Config};
use crate::environment::{Environment, Severity};
use crate::error::Result;
use crate::net::resolve::resolve;
use crate::vip_pool::{VipAddress, VipPool};
use crate::vms::Vms;

/// Keeps the list of a [`VipPool`] up to date.
#[derive(Debug)]
pub(crate) struct VipSource {
    vip_pool: Option<String>,
    endpoints: Vec<Endpoint>,
    port: u16,
    vms: Arc<Vms>,
    environment: Environment,
    /// Held while the list is read, so that many tasks cause one reading.
    reading: Mutex<()>,
}

impl VipSource {
    pub(crate) fn new(config: &S3Config, vms: Arc<Vms>, environment: Environment) -> Self {
        Self {
            vip_pool: config.vip_pool.clone(),
            endpoints: config.endpoints.clone(),
            port: config.port(),
            vms,
            environment,
            reading: Mutex::new(()),
        }
    }

    /// Reads the first list, unless there is one.
    pub(crate) async fn ensure(&self, pool: &VipPool) -> Result<()> {
        if pool.age().is_some() {
            return Ok(());
        }
        let _reading = self.reading.lock().await;
        if pool.age().is_some() {
            return Ok(());
        }
        pool.replace(self.read().await?);
        Ok(())
    }

    /// Reads the list again, unless somebody is at it. The present list stays when that fails.
    pub(crate) async fn refresh(&self, pool: &VipPool) {
        let Ok(_reading) = self.reading.try_lock() else { return };
        match self.read().await {
            Ok(list) => pool.replace(list),
            Err(error) => {
                self.environment
                    .log(Severity::Warning, format_args!("going on with the known VIPs: {error}"));
                pool.postpone();
            }
        }
    }

    async fn read(&self) -> Result<Vec<VipAddress>> {
        let from_vms = match &self.vip_pool {
            None => None,
            Some(name) => Some(self.vms.vip_addresses(name).await),
        };
        match from_vms {
            Some(Ok(addresses)) => Ok(addresses.into_iter().map(|ip| literal(ip, self.port)).collect()),
            Some(Err(error)) if self.endpoints.is_empty() => Err(error),
            Some(Err(error)) => {
                self.environment
                    .log(Severity::Warning, format_args!("using the configured S3 endpoints: {error}"));
                self.resolve_endpoints().await
            }
            None => self.resolve_endpoints().await,
        }
    }

    async fn resolve_endpoints(&self) -> Result<Vec<VipAddress>> {
        let mut list = Vec::new();
        let mut trouble = None;
        for endpoint in &self.endpoints {
            let port = endpoint.port.unwrap_or(self.port);
            match resolve(&self.environment, endpoint).await {
                Ok(addresses) if endpoint.address().is_some() => {
                    list.extend(addresses.into_iter().map(|ip| literal(ip, port)));
                }
                Ok(addresses) => {
                    let host: Arc<str> = endpoint.host.as_str().into();
                    list.extend(addresses.into_iter().map(|ip| VipAddress {
                        address: SocketAddr::new(ip, port),
                        host: Arc::clone(&host),
                    }));
                }
                Err(error) => {
                    self.environment.log(Severity::Warning, format_args!("{error}"));
                    trouble = Some(error);
                }
            }
        }
        match trouble {
            Some(error) if list.is_empty() => Err(error),
            _ => Ok(list),
        }
    }
}

/// A VIP known by its address only.
fn literal(ip: IpAddr, port: u16) -> VipAddress {
    VipAddress { address: SocketAddr::new(ip, port), host: ip.to_string().into() }
}
