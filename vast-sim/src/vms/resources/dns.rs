//! `/dns/`: the cluster's own name service, kept and shown. What names resolve to is the business of real name servers.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::super::engine::{self, Resource};
use super::super::error::ApiError;
use crate::core::Core;
use crate::store::registry::{Row, text};
use crate::store::state::State;

pub(crate) struct Dns;

fn check(row: &Row) -> Result<(), ApiError> {
    for field in ["vip", "vip_gateway", "vip_ipv6", "vip_ipv6_gateway"] {
        let address = text(row, field);
        if !address.is_empty() && address.parse::<IpAddr>().is_err() {
            return Err(ApiError::field(field, "Enter a valid IPv4 or IPv6 address."));
        }
    }
    for (field, most) in [("port", 65_535), ("ttl", i64::from(i32::MAX))] {
        if row.get(field).and_then(Value::as_i64).is_some_and(|n| !(0..=most).contains(&n)) {
            return Err(ApiError::field(field, format!("Ensure this value lies between 0 and {most}.")));
        }
    }
    Ok(())
}

impl Resource for Dns {
    fn kind(&self) -> &'static str {
        "dns"
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, row: Row) -> Result<u64, ApiError> {
        check(&row)?;
        engine::refuse_duplicate(state, "dns", "name", &row, None)?;
        Ok(engine::insert(core, state, "dns", row))
    }

    fn update(&self, _: &Arc<Core>, state: &mut State, id: u64, changes: Row) -> Result<(), ApiError> {
        check(&changes)?;
        engine::refuse_duplicate(state, "dns", "name", &changes, Some(id))?;
        state.vms.update("dns", id, changes);
        Ok(())
    }
}
