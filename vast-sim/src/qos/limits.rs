//! Limits as objects of VMS state them: of a `QoS` policy, of a tenant, of the cluster; and what they come to in bytes
//! and requests per second. A megabyte is 10^6 bytes, a gigabyte 10^9.

use serde_json::{Map, Value};

use crate::metrics::tally::Class;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

const MEGABYTE: u64 = 1_000_000;
const GIGABYTE: u64 = 1_000_000_000;

/// Bytes that count as one IO where a policy does not say.
pub(crate) const IO_SIZE: u64 = 64 << 10;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    ReadBytes,
    WriteBytes,
    Bytes,
    Reads,
    Writes,
    Requests,
}

impl Resource {
    /// Whether a request of a class uses it. Only requests that move data use bytes.
    pub(super) fn is_used_by(self, class: Class) -> bool {
        match class {
            Class::Read => matches!(self, Self::ReadBytes | Self::Bytes | Self::Reads | Self::Requests),
            Class::Write => matches!(self, Self::WriteBytes | Self::Bytes | Self::Writes | Self::Requests),
            Class::ReadMd => matches!(self, Self::Reads | Self::Requests),
            Class::WriteMd => matches!(self, Self::Writes | Self::Requests),
        }
    }

    pub(super) fn is_bytes(self) -> bool {
        matches!(self, Self::ReadBytes | Self::WriteBytes | Self::Bytes)
    }
}

/// So many a second, and so many at once before that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u64,
    pub(crate) burst: u64,
}

/// The limits of one holder that concern one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) rates: Vec<(Resource, Rate)>,
    /// Bytes that count as one IO.
    pub(super) io_size: u64,
    /// Requests on the way at a time.
    pub(super) connections: Option<u64>,
}

/// One limit, by the names that it has.
struct Named {
    resource: Resource,
    unit: u64,
    most: &'static str,
    least: &'static str,
    burst: &'static str,
    per_gigabyte: &'static str,
}

const SPLIT: &[Named] = &[
    Named {
        resource: Resource::ReadBytes,
        unit: MEGABYTE,
        most: "max_reads_bw_mbps",
        least: "min_reads_bw_mbps",
        burst: "burst_reads_bw_mb",
        per_gigabyte: "max_reads_bw_mbps_per_gb_capacity",
    },
    Named {
        resource: Resource::WriteBytes,
        unit: MEGABYTE,
        most: "max_writes_bw_mbps",
        least: "min_writes_bw_mbps",
        burst: "burst_writes_bw_mb",
        per_gigabyte: "max_writes_bw_mbps_per_gb_capacity",
    },
    Named {
        resource: Resource::Reads,
        unit: 1,
        most: "max_reads_iops",
        least: "min_reads_iops",
        burst: "burst_reads_iops",
        per_gigabyte: "max_reads_iops_per_gb_capacity",
    },
    Named {
        resource: Resource::Writes,
        unit: 1,
        most: "max_writes_iops",
        least: "min_writes_iops",
        burst: "burst_writes_iops",
        per_gigabyte: "max_writes_iops_per_gb_capacity",
    },
];

const TOTAL: &[Named] = &[
    Named {
        resource: Resource::Bytes,
        unit: MEGABYTE,
        most: "max_bw_mbps",
        least: "min_bw_mbps",
        burst: "burst_bw_mb",
        per_gigabyte: "max_bw_mbps_per_gb_capacity",
    },
    Named {
        resource: Resource::Requests,
        unit: 1,
        most: "max_iops",
        least: "min_iops",
        burst: "burst_iops",
        per_gigabyte: "max_iops_per_gb_capacity",
    },
];

/// The limits of a tenant or of the cluster.
const PLAIN: &[&str] = &[
    "max_reads_bw_mbps",
    "max_writes_bw_mbps",
    "max_reads_iops",
    "max_writes_iops",
    "burst_reads_bw_mb",
    "burst_reads_loan_mb",
    "burst_writes_bw_mb",
    "burst_writes_loan_mb",
    "burst_reads_iops",
    "burst_reads_loan_iops",
    "burst_writes_iops",
    "burst_writes_loan_iops",
];

const LEAST: &[&str] = &["min_reads_bw_mbps", "min_writes_bw_mbps", "min_reads_iops", "min_writes_iops"];

/// The parts of a policy and what each consists of.
pub(crate) fn parts() -> [(&'static str, Vec<&'static str>); 4] {
    let per_gigabyte = |named: &[Named]| named.iter().map(|n| n.per_gigabyte).collect();
    let totals = TOTAL.iter().flat_map(|n| [n.most, n.least, n.burst]);
    [
        ("static_limits", PLAIN.iter().chain(LEAST).copied().collect()),
        ("static_total_limits", totals.chain(["burst_loan_mb", "burst_loan_iops"]).collect()),
        ("capacity_limits", per_gigabyte(SPLIT)),
        ("capacity_total_limits", per_gigabyte(TOTAL)),
    ]
}

/// Checks one part of limits and leaves what VMS knows of it, all of that; says which of them is wrong otherwise.
pub(crate) fn tidy(limits: &Map<String, Value>, known: &[&str]) -> Result<Map<String, Value>, String> {
    let one = |name: &&str| {
        let value = limits.get(*name).filter(|v| !v.is_null());
        let whole = value.map_or(Some(0), |v| v.as_u64().or_else(|| v.as_str()?.trim().parse().ok()));
        let value = whole.ok_or_else(|| format!("{name}: a whole number of 0 or more is needed."))?;
        Ok(((*name).to_owned(), value.into()))
    };
    known.iter().map(one).collect()
}

/// The same for the `qos` field of a tenant or of the cluster.
pub(crate) fn tidy_own(row: &mut Row) -> Result<(), String> {
    let Some(own) = row.get_mut("qos").and_then(Value::as_object_mut) else { return Ok(()) };
    let Some(limits) = own.get("static_limits").and_then(Value::as_object) else { return Ok(()) };
    let limits = tidy(limits, PLAIN)?;
    *own = Map::from_iter([("static_limits".to_owned(), limits.into())]);
    Ok(())
}

fn set(limits: Option<&Row>, name: &str) -> Option<u64> {
    limits.and_then(|l| number(l, name)).filter(|n| *n > 0)
}

fn rates(
    named: &[Named],
    class: Class,
    fixed: Option<&Row>,
    grown: Option<(&Row, u64)>,
) -> Vec<(Resource, Rate)> {
    let rate = |n: &Named| {
        let fixed_at = |name: &str| set(fixed, name).map(|v| v.saturating_mul(n.unit));
        let grown = grown.and_then(|(limits, bytes)| {
            let per_gigabyte = u128::from(set(Some(limits), n.per_gigabyte)?) * u128::from(n.unit);
            // The first gigabyte counts in full, or an empty view could never be filled.
            let rate = per_gigabyte * u128::from(bytes.max(GIGABYTE)) / u128::from(GIGABYTE);
            Some(u64::try_from(rate).unwrap_or(u64::MAX))
        });
        let most = fixed_at(n.most);
        // Fixed limits are the bounds of those that grow.
        let per_second = match grown {
            Some(grown) => grown.max(fixed_at(n.least).unwrap_or(0)).min(most.unwrap_or(u64::MAX)),
            None => most?,
        };
        Some((n.resource, Rate { per_second, burst: fixed_at(n.burst).unwrap_or(0) }))
    };
    // Looked up with every request: what it does not use is left alone.
    named.iter().filter(|n| n.resource.is_used_by(class)).filter_map(rate).collect()
}

/// The bytes by which a policy's limits for a view grow; none for limits that do not.
fn measured(state: &State, mode: &str, view: &Row) -> Option<u64> {
    let (tenant, path) = (number(view, "tenant_id").unwrap_or(1), text(view, "path"));
    match mode {
        "USED_CAPACITY" => Some(state.usage(tenant, path).bytes),
        "PROVISIONED_CAPACITY" => {
            let of_view = |(_, q): &(u64, &Row)| {
                text(q, "path") == path && number(q, "tenant_id").unwrap_or(1) == tenant
            };
            let quota = state.vms.rows("quotas").find(of_view);
            Some(quota.and_then(|(_, q)| number(q, "soft_limit")).unwrap_or(0))
        }
        _ => None,
    }
}

/// What a policy allows a request of a class: to a view, or (without one) to a user.
pub(super) fn of_policy(state: &State, policy: &Row, view: Option<&Row>, class: Class) -> Limits {
    let part = |name: &str| policy.get(name).and_then(Value::as_object);
    let (named, fixed, grown) = if flag(policy, "use_total_limits") {
        (TOTAL, part("static_total_limits"), part("capacity_total_limits"))
    } else {
        (SPLIT, part("static_limits"), part("capacity_limits"))
    };
    let bytes = view.and_then(|view| measured(state, text(policy, "mode"), view));
    let mut all = rates(named, class, fixed, grown.zip(bytes));
    match text(policy, "limit_by") {
        "BW" => all.retain(|(r, _)| r.is_bytes()),
        "IOPS" => all.retain(|(r, _)| !r.is_bytes()),
        _ => {}
    }
    Limits {
        rates: all,
        io_size: number(policy, "io_size_bytes").filter(|n| *n > 0).unwrap_or(IO_SIZE),
        connections: number(policy, "s3_connections_limit").filter(|n| *n > 0),
    }
}

/// The limits in the `qos` field of a tenant or of the cluster.
pub(super) fn own(row: &Row, class: Class) -> Option<Limits> {
    let limits = row.get("qos")?.as_object()?.get("static_limits")?.as_object()?;
    Some(Limits { rates: rates(SPLIT, class, Some(limits), None), io_size: IO_SIZE, connections: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: &Value) -> Row {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn policies_become_rates() {
        let state = State::default();
        let view = row(&json!({ "path": "/v", "tenant_id": 1 }));
        let limits = |policy: &Value, class| of_policy(&state, &row(policy), Some(&view), class);
        let fixed = json!({ "mode": "STATIC", "s3_connections_limit": 3, "io_size_bytes": 4096, "static_limits": {
            "max_reads_bw_mbps": 2, "burst_reads_bw_mb": 1, "max_writes_iops": 7, "max_writes_bw_mbps": 0 } });
        let read = (Resource::ReadBytes, Rate { per_second: 2_000_000, burst: 1_000_000 });
        let writes = (Resource::Writes, Rate { per_second: 7, burst: 0 });
        let all = Limits { rates: vec![read], io_size: 4_096, connections: Some(3) };
        assert_eq!(limits(&fixed, Class::Read), all);
        assert_eq!(limits(&fixed, Class::ReadMd).rates, [], "nothing moves");
        assert_eq!(limits(&fixed, Class::Write).rates, [writes]);
        assert_eq!(limits(&fixed, Class::WriteMd).rates, [writes]);
        let mut only = fixed;
        only["limit_by"] = "IOPS".into();
        assert_eq!(limits(&only, Class::Read).rates, []);
        let total = json!({ "use_total_limits": true, "static_total_limits": { "max_iops": 5 } });
        assert_eq!(
            limits(&total, Class::ReadMd).rates,
            [(Resource::Requests, Rate { per_second: 5, burst: 0 })]
        );
        assert_eq!(limits(&total, Class::Read).io_size, 65_536);
    }

    #[test]
    fn limits_grow_with_capacity_between_the_fixed_ones() {
        let bounds = row(&json!({ "min_reads_bw_mbps": 4, "max_reads_bw_mbps": 9, "max_writes_iops": 100 }));
        let per_gigabyte = row(&json!({ "max_reads_bw_mbps_per_gb_capacity": 2 }));
        let rate = |bytes| {
            let grown = Some((&per_gigabyte, bytes));
            let writes = rates(SPLIT, Class::Write, Some(&bounds), grown);
            assert_eq!(writes, [(Resource::Writes, Rate { per_second: 100, burst: 0 })]);
            rates(SPLIT, Class::Read, Some(&bounds), grown)[0].1.per_second
        };
        assert_eq!([0, 1_000_000_000].map(rate), [4_000_000; 2]);
        assert_eq!([2_500_000_000, 3_000_000_001].map(rate), [5_000_000, 6_000_000]);
        assert_eq!(rate(1 << 50), 9_000_000);
        let free = rates(SPLIT, Class::Read, None, Some((&per_gigabyte, 500)));
        assert_eq!(free, [(Resource::ReadBytes, Rate { per_second: 2_000_000, burst: 0 })]);
    }

    #[test]
    fn only_known_limits_are_kept() {
        let given = row(&json!({ "max_iops": 5, "max_iosp": 6, "min_iops": null }));
        let parts = parts();
        let tidied = tidy(&given, &parts[1].1).unwrap();
        assert_eq!(
            Value::from(tidied),
            json!({ "max_iops": 5, "min_iops": 0, "burst_iops": 0, "max_bw_mbps": 0,
            "min_bw_mbps": 0, "burst_bw_mb": 0, "burst_loan_mb": 0, "burst_loan_iops": 0 })
        );
        assert!(tidy(&row(&json!({ "max_iops": -1 })), &parts[1].1).is_err());
        let mut tenant = row(&json!({ "qos": { "static_limits": { "max_reads_iops": 3, "x": 1 }, "y": 2 } }));
        tidy_own(&mut tenant).unwrap();
        assert_eq!(tenant["qos"]["static_limits"].as_object().unwrap().len(), 12);
        assert_eq!(
            own(&tenant, Class::ReadMd).unwrap().rates,
            [(Resource::Reads, Rate { per_second: 3, burst: 0 })]
        );
    }
}
