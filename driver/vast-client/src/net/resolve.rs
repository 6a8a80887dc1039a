//! From an endpoint to addresses.

use std::net::IpAddr;

use crate::config::Endpoint;
use crate::environment::Environment;
use crate::error::{Detail, Error, Result};

/// All addresses of an endpoint; a literal address needs no resolver.
pub(crate) async fn resolve(environment: &Environment, endpoint: &Endpoint) -> Result<Vec<IpAddr>> {
    if let Some(ip) = endpoint.address() {
        return Ok(vec![ip]);
    }
    let failed = |why: String| {
        let detail = Detail::new(format!("resolving {}", endpoint.host), why)
            .advice("check the name and this host's name resolution");
        Error::Unreachable(Box::new(detail))
    };
    match environment.resolver.resolve(&endpoint.host).await {
        Ok(addresses) if addresses.is_empty() => Err(failed("the name has no address".to_owned())),
        Ok(addresses) => Ok(addresses),
        Err(e) => Err(failed(e.to_string())),
    }
}
