//! VMS resources, with only the fields that are needed. All are optional: releases differ, and a missing figure
//! is better than a failed backup. Unknown fields are ignored.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer};

/// `/clusters/`
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Cluster {
    pub(crate) name: Option<String>,
    pub(crate) guid: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) sw_version: Option<String>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) logical_space: Option<u64>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) logical_space_in_use: Option<u64>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) free_logical_space: Option<u64>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) usable_capacity_bytes: Option<u64>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) free_usable_capacity: Option<u64>,
}

/// `/versions/`
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Version {
    pub(crate) sys_version: Option<String>,
}

/// `/views/`
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(crate) struct View {
    pub(crate) path: Option<String>,
    pub(crate) bucket: Option<String>,
    pub(crate) protocols: Option<Vec<String>>,
    pub(crate) tenant_id: Option<i64>,
    pub(crate) tenant_name: Option<String>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) logical_capacity: Option<u64>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) physical_capacity: Option<u64>,
    pub(crate) s3_versioning: Option<bool>,
    pub(crate) locking: Option<bool>,
    /// `GOVERNANCE`, `COMPLIANCE` or `NONE`: what new versions get by default.
    pub(crate) s3_locks_retention_mode: Option<String>,
    pub(crate) default_retention_period: Option<String>,
    pub(crate) min_retention_period: Option<String>,
    pub(crate) max_retention_period: Option<String>,
}

/// `/quotas/`
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Quota {
    pub(crate) path: Option<String>,
    pub(crate) tenant_id: Option<i64>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) hard_limit: Option<u64>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) used_capacity: Option<u64>,
}

/// `/vippools/`
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(crate) struct VipPoolResource {
    pub(crate) name: Option<String>,
    pub(crate) ip_ranges: Option<Vec<Vec<String>>>,
}

/// `/vips/`
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Vip {
    pub(crate) ip: Option<String>,
    pub(crate) vippool: Option<String>,
}

impl VipPoolResource {
    /// The addresses of its ranges, at most `max`.
    pub(crate) fn addresses(&self, max: usize) -> Vec<IpAddr> {
        let ranges = self.ip_ranges.iter().flatten();
        let bounds = ranges.filter_map(|range| match range.as_slice() {
            [first, last] => Some((first.parse().ok()?, last.parse().ok()?)),
            [only] => only.parse().ok().map(|ip| (ip, ip)),
            _ => None,
        });
        bounds.flat_map(|(first, last)| between(first, last, max)).take(max).collect()
    }
}

fn between(first: IpAddr, last: IpAddr, max: usize) -> Vec<IpAddr> {
    match (first, last) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits()..=b.to_bits()).take(max).map(|n| IpAddr::V4(n.into())).collect()
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits()..=b.to_bits()).take(max).map(|n| IpAddr::V6(n.into())).collect()
        }
        _ => Vec::new(),
    }
}

/// A number of bytes in any of the forms that VMS uses: integer, number with a fraction, text, null.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Whole(u64),
        Fraction(f64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Option::<Form>::deserialize(deserializer)? {
        Some(Form::Whole(bytes)) => Some(bytes),
        Some(Form::Fraction(bytes)) => whole(bytes),
        Some(Form::Text(text)) => {
            text.trim().parse().ok().or_else(|| text.trim().parse().ok().and_then(whole))
        }
        Some(Form::Other(_)) | None => None,
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn whole(bytes: f64) -> Option<u64> {
    // 2^63: far beyond any cluster, and below the point where the conversion saturates.
    (0.0..9.2e18).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_many_forms() {
        for (form, expected) in [
            ("12", Some(12)),
            ("12.9", Some(12)),
            ("1e12", Some(1_000_000_000_000)),
            ("\"34\"", Some(34)),
            ("\"1.5e3\"", Some(1500)),
            ("null", None),
            ("-1", None),
            ("1e300", None),
            ("\"n/a\"", None),
            ("{}", None),
        ] {
            let quota: Quota =
                serde_json::from_str(&format!("{{\"hard_limit\":{form},\"other\":[1]}}")).unwrap();
            assert_eq!(quota.hard_limit, expected, "{form}");
        }
        assert_eq!(serde_json::from_str::<Quota>("{}").unwrap().hard_limit, None);
    }

    #[test]
    fn ranges_are_counted_out_within_bounds() {
        let pool = |ranges: &str| -> VipPoolResource {
            serde_json::from_str(&format!("{{\"ip_ranges\":{ranges}}}")).unwrap()
        };
        let list = |ranges, max| -> Vec<String> {
            pool(ranges).addresses(max).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            list(r#"[["10.0.0.254","10.0.1.1"],["10.9.9.9"]]"#, 10),
            ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1", "10.9.9.9"]
        );
        assert_eq!(list(r#"[["0.0.0.0","255.255.255.255"]]"#, 3).len(), 3);
        assert_eq!(list(r#"[["::1","::2"]]"#, 3), ["::1", "::2"]);
        assert!(list(r#"[["10.0.0.2","10.0.0.1"],["a","b"],[],["::1","10.0.0.1"]]"#, 3).is_empty());
        assert!(list("null", 3).is_empty());
    }
}
