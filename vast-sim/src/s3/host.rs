//! The bucket in a request's host name.

use std::net::IpAddr;
use std::sync::Arc;

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

use crate::core::Core;
use crate::store::registry::text;
use crate::tls::Domains;

/// The names under which buckets are hosts, for the protocol library.
pub(crate) struct Hosts(pub(crate) Arc<Core>);

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        Ok(match bucket_of(&self.0, host) {
            Some(bucket) => VirtualHost::new(host).with_bucket(bucket),
            // Not one of our names, such as an alias in a hosts file: the bucket is in the path.
            None => VirtualHost::new(host),
        })
    }
}

/// All names that stand for the cluster: VIP pools, with and without the suffix of a DNS service, and those given for
/// the certificates. A wildcard among these says that hosts have such names, not that buckets have.
fn domains(core: &Core) -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    let plain = core.config.tls_names.iter().filter(|n| !n.starts_with('*'));
    names.extend(plain.map(|n| n.to_ascii_lowercase()));
    core.store.read(|state| {
        let of = |kind: &str, field: &str| -> Vec<String> {
            let texts =
                state.vms.rows(kind).map(|(_, row)| text(row, field).trim_matches('.').to_ascii_lowercase());
            texts.filter(|t| !t.is_empty()).collect()
        };
        let suffixes = of("dns", "domain_suffix");
        for name in of("vippools", "domain_name") {
            names.extend(suffixes.iter().map(|suffix| format!("{name}.{suffix}")));
            names.push(name);
        }
    });
    names
}

/// [`domains`] for as long as the cluster is there.
pub(crate) fn domains_of(core: &Arc<Core>) -> Domains {
    let core = Arc::downgrade(core);
    Box::new(move || core.upgrade().map(|core| domains(&core)).unwrap_or_default())
}

/// The host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The bucket that a `Host` header names; none for addresses, for the cluster's names themselves and for unknown names.
pub(crate) fn bucket_of(core: &Core, host: &str) -> Option<String> {
    let name = name_of(host);
    if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || !name.contains('.') {
        return None;
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    under(&name, &domains(core)).map(str::to_owned)
}

/// What is left of `name` in front of the longest domain that it ends with.
fn under<'n>(name: &'n str, domains: &[String]) -> Option<&'n str> {
    if domains.iter().any(|d| d == name) {
        return None;
    }
    let bucket = |domain: &String| name.strip_suffix(domain.as_str())?.strip_suffix('.');
    domains.iter().filter_map(bucket).min_by_key(|bucket| bucket.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_domain_leaves_the_bucket() {
        let domains = ["s3.example", "pool.s3.example", "localhost"].map(str::to_owned);
        assert_eq!(under("b.s3.example", &domains), Some("b"));
        assert_eq!(under("my.dotted.bucket.pool.s3.example", &domains), Some("my.dotted.bucket"));
        assert_eq!(under("pool.s3.example", &domains), None);
        assert_eq!(under("b.elsewhere.example", &domains), None);
        assert_eq!(under("xs3.example", &domains), None);
        assert_eq!(name_of("b.s3.example:8080"), "b.s3.example");
        assert_eq!(name_of("[::1]:80"), "[::1]");
    }
}
