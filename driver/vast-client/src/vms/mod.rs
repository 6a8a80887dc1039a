//! The management API: which buckets there are, how full, and which VIPs lead to them.

pub(crate) mod list;
pub(crate) mod resources;
pub(crate) mod session;
pub(crate) mod transport;

use std::net::IpAddr;
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::config::ClientConfig;
use crate::counters::Counters;
use crate::environment::Environment;
use crate::error::{Detail, Error, Result, Thing};
use crate::vms::list::parse_page;
use crate::vms::resources::{Cluster, Quota, Version, View, Vip, VipPoolResource};
use crate::vms::session::Session;

/// Pages of one listing; a server that never ends is cut off here.
const PAGES_MAX: usize = 10_000;
/// Entries of one listing.
const ENTRIES_MAX: usize = 1_000_000;
/// Addresses that the ranges of a VIP pool may stand for.
const VIPS_MAX: usize = 4096;

/// The typed resources, with the fields that a backup target needs.
#[derive(Debug)]
pub(crate) struct Vms {
    session: Session,
}

impl Vms {
    pub(crate) fn new(
        config: &ClientConfig,
        environment: &Environment,
        counters: &Arc<Counters>,
    ) -> Result<Self> {
        Ok(Self { session: Session::new(config, environment, counters)? })
    }

    /// Logs in unless that has been done.
    pub(crate) async fn login(&self) -> Result<()> {
        self.session.ensure().await
    }

    /// The tenant whose manager logs in.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.session.tenant()
    }

    pub(crate) async fn clusters(&self) -> Result<Vec<Cluster>> {
        self.list("clusters/").await
    }

    pub(crate) async fn versions(&self) -> Result<Vec<Version>> {
        self.list("versions/?status=success").await
    }

    pub(crate) async fn views(&self) -> Result<Vec<View>> {
        self.list("views/").await
    }

    /// The views with this bucket name; VMS may ignore the filter, so the caller looks again.
    pub(crate) async fn views_of_bucket(&self, bucket: &str) -> Result<Vec<View>> {
        self.list(&format!("views/?bucket={}", utf8_percent_encode(bucket, NON_ALPHANUMERIC))).await
    }

    pub(crate) async fn quotas(&self) -> Result<Vec<Quota>> {
        self.list("quotas/").await
    }

    /// The addresses of a VIP pool: those that VMS lists, else those of the pool's ranges.
    pub(crate) async fn vip_addresses(&self, name: &str) -> Result<Vec<IpAddr>> {
        let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        let pools: Vec<VipPoolResource> = self.list(&format!("vippools/?name={encoded}")).await?;
        let Some(pool) = pools.iter().find(|pool| pool.name.as_deref() == Some(name)) else {
            let detail = Detail::new(format!("VIP pool {name}"), "VMS has no VIP pool of this name")
                .advice("name one of the VIP pools in VMS, or list the S3 endpoints");
            return Err(Error::NotFound(Thing::VipPool, Box::new(detail)));
        };
        let vips: Vec<Vip> = self.list(&format!("vips/?vippool__name={encoded}")).await?;
        // Should VMS have ignored the filter, the pool's name in each entry tells.
        let named = vips.iter().any(|vip| vip.vippool.as_deref() == Some(name));
        let listed = vips.iter().filter(|vip| !named || vip.vippool.as_deref() == Some(name));
        let mut addresses: Vec<IpAddr> = listed.filter_map(|vip| vip.ip.as_deref()?.parse().ok()).collect();
        if addresses.is_empty() {
            addresses = pool.addresses(VIPS_MAX);
        }
        addresses.truncate(VIPS_MAX);
        if addresses.is_empty() {
            let detail = Detail::new(format!("VIP pool {name}"), "it has no address")
                .advice("add an IP range to the VIP pool in VMS");
            return Err(Error::NotFound(Thing::VipPool, Box::new(detail)));
        }
        Ok(addresses)
    }

    /// All entries of a listing, over all of its pages.
    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>> {
        let mut answer = self.session.get(path).await?;
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = parse_page::<T>(&answer.body).map_err(|why| {
                Error::Protocol(Box::new(
                    Detail::new(format!("GET {}", answer.target), why)
                        .at(self.session.server())
                        .advice("check that the address is that of VMS"),
                ))
            })?;
            all.extend(page.entries);
            let Some(next) = page.next else { return Ok(all) };
            if all.len() > ENTRIES_MAX {
                break;
            }
            answer = self.session.get_target(&next).await?;
        }
        let detail = Detail::new(format!("GET {path}"), "the listing does not end").at(self.session.server());
        Err(Error::Protocol(Box::new(detail)))
    }
}
