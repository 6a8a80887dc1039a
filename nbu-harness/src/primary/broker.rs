//! nbrb: which storage unit, disk volume and media server a job gets, whether it has to wait, or that there is none.
//!
//! Pure: it looks at a view of the domain and decides; granting is nbjm's.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{Config, Pool, Unit, UnitSelection};

/// What is known of a disk volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeState {
    /// What the administrator says.
    pub(crate) admin_up: bool,
    /// Whether the storage server answered when it was asked last.
    pub(crate) server_up: bool,
    /// Whether it had the LSU.
    pub(crate) lsu_up: bool,
    /// Bytes it can hold and bytes it holds, where known.
    pub(crate) space: Option<(u64, u64)>,
    /// When it was asked last.
    pub(crate) polled: Option<u64>,
}

impl Default for VolumeState {
    fn default() -> Self {
        Self { admin_up: true, server_up: true, lsu_up: true, space: None, polled: None }
    }
}

/// What active jobs take.
#[derive(Debug, Default)]
pub(crate) struct Usage<'a> {
    pub(crate) of_unit: BTreeMap<&'a str, u32>,
    pub(crate) of_media_server: BTreeMap<&'a str, u32>,
    pub(crate) of_policy: BTreeMap<&'a str, u32>,
    pub(crate) of_client: BTreeMap<&'a str, u32>,
    /// I/O streams of a disk volume.
    pub(crate) streams: BTreeMap<&'a str, u32>,
    /// Bytes that jobs are expected to write to a disk volume.
    pub(crate) committed: BTreeMap<&'a str, u64>,
}

/// The domain as the broker sees it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) config: &'a Config,
    pub(crate) now: u64,
    pub(crate) usage: Usage<'a>,
    pub(crate) volumes: &'a BTreeMap<String, VolumeState>,
    /// Media servers that do not answer.
    pub(crate) media_down: &'a BTreeSet<String>,
    /// When each unit was granted last, in grants.
    pub(crate) last_grant: &'a BTreeMap<String, u64>,
}

/// What a job is going to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    Nothing,
    /// As many bytes as the last backup of its kind.
    LikeLast(u64),
    /// There was none before.
    Unknown,
}

/// What a job needs.
#[derive(Debug, Clone)]
pub(crate) struct Demand<'a> {
    pub(crate) storage: &'a str,
    pub(crate) policy: &'a str,
    /// `Limit jobs per policy`; 0 = none.
    pub(crate) policy_limit: u32,
    pub(crate) client: &'a str,
    pub(crate) io_streams: u32,
    pub(crate) writes: Writes,
    pub(crate) media_server: Option<&'a str>,
    /// What other copies of the job have got already, unit and disk volume of each.
    pub(crate) taken: Vec<(&'a str, &'a str)>,
    /// Media servers that failed this job before: taken only when there is no other.
    pub(crate) avoid: BTreeSet<&'a str>,
}

/// What a job gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) unit: String,
    pub(crate) volume: String,
    pub(crate) media_server: String,
    /// Bytes set aside for it.
    pub(crate) committed: u64,
}

/// The broker's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// One for each copy.
    Grant(Vec<Grant>),
    /// Ask for the state of these disk volumes first, each on a media server.
    Poll(Vec<(String, String)>),
    /// Something else has to end first.
    Wait(String),
    /// Nothing of what there is can be used.
    Refuse(i32, String),
}

/// Whether a unit can be used now.
enum Availability {
    Yes(Grant),
    Unknown(String, String),
    Busy(String),
    No(i32, String),
}

/// Decides.
pub(crate) fn decide(view: &View<'_>, demand: &Demand<'_>) -> Decision {
    let count = |of: &BTreeMap<&str, u32>, name: &str| of.get(name).copied().unwrap_or_default();
    let limit = view.config.globals.max_jobs_per_client;
    if demand.policy_limit > 0 && count(&view.usage.of_policy, demand.policy) >= demand.policy_limit {
        return Decision::Wait(format!("limit of {} jobs of policy {}", demand.policy_limit, demand.policy));
    }
    if limit > 0 && count(&view.usage.of_client, demand.client) >= limit {
        return Decision::Wait(format!("limit of {limit} jobs of client {}", demand.client));
    }
    let (selection, units) = view.config.candidates(demand.storage);
    let mut granted = Vec::new();
    let (mut polls, mut busy, mut refused) = (Vec::new(), None, Vec::new());
    for unit in units {
        match availability(view, demand, unit) {
            Availability::Yes(grant) => granted.push(grant),
            Availability::Unknown(volume, media_server) => polls.push((volume, media_server)),
            Availability::Busy(reason) => {
                busy.get_or_insert(reason);
            }
            Availability::No(status, reason) => {
                refused.push((unit.label.clone(), status, reason));
                continue;
            }
        }
        // The first one that is neither down nor full: it is taken, asked about or waited for.
        if selection == UnitSelection::Failover {
            break;
        }
    }
    if !polls.is_empty() {
        return Decision::Poll(polls);
    }
    let load = |grant: &Grant| count(&view.usage.of_media_server, &grant.media_server);
    let chosen = match selection {
        UnitSelection::Prioritized | UnitSelection::Failover => granted.into_iter().next(),
        UnitSelection::RoundRobin => granted
            .into_iter()
            .min_by_key(|grant| view.last_grant.get(&grant.unit).copied().unwrap_or_default()),
        UnitSelection::MediaServerLoadBalancing => granted.into_iter().min_by_key(load),
    };
    match (chosen, busy) {
        (Some(grant), _) => Decision::Grant(vec![grant]),
        (None, Some(reason)) => Decision::Wait(reason),
        (None, None) => no_storage(view, demand, &refused),
    }
}

/// The status of the first unit, and of every unit why.
fn no_storage(view: &View<'_>, demand: &Demand<'_>, refused: &[(String, i32, String)]) -> Decision {
    match refused {
        [] => {
            let status = view.config.allocation.no_unit;
            Decision::Refuse(status, format!("there is no storage unit {}", demand.storage))
        }
        [(_, status, reason)] => Decision::Refuse(*status, reason.clone()),
        [(_, status, _), ..] => {
            let each = refused.iter().map(|(unit, _, reason)| format!("{unit}: {reason}"));
            Decision::Refuse(*status, each.collect::<Vec<_>>().join("; "))
        }
    }
}

fn availability(view: &View<'_>, demand: &Demand<'_>, unit: &Unit) -> Availability {
    let statuses = &view.config.allocation;
    let Some(pool) = view.config.pools.get(&unit.pool) else {
        return Availability::No(statuses.no_unit, format!("there is no disk pool {}", unit.pool));
    };
    let wanted = |name: &&String| demand.media_server.is_none_or(|only| only == name.as_str());
    let up = |name: &&String| !view.media_down.contains(*name);
    let load = |name: &&String| {
        let jobs = view.usage.of_media_server.get(name.as_str()).copied().unwrap_or_default();
        (demand.avoid.contains(name.as_str()), jobs)
    };
    let Some(media_server) = unit.media_servers.iter().filter(wanted).filter(up).min_by_key(load) else {
        let what = demand.media_server.map_or_else(|| unit.media_servers.join(", "), str::to_owned);
        let reason = format!("media server {what} of storage unit {} is not active", unit.label);
        return Availability::No(statuses.media_server_down, reason);
    };
    let mut refused = None;
    let mut busy = None;
    for volume in &pool.volumes {
        if demand.taken.iter().any(|(_, taken)| taken == volume) {
            let reason = format!("disk volume {volume} has another copy of this job already");
            refused.get_or_insert((statuses.one_volume, reason));
            continue;
        }
        let state = view.volumes.get(volume).cloned().unwrap_or_default();
        let stale = |interval: u64| state.polled.is_none_or(|at| at + interval <= view.now);
        if view.config.globals.poll_interval.is_some_and(stale) {
            return Availability::Unknown(volume.clone(), media_server.clone());
        }
        match space(view, demand, pool, volume, &state) {
            Err((status, reason)) => {
                refused.get_or_insert((status, reason));
            }
            Ok(committed) => {
                let streams = view.usage.streams.get(volume.as_str()).copied().unwrap_or_default();
                if let Some(limit) = pool.max_io_streams.filter(|limit| streams + demand.io_streams > *limit)
                {
                    busy.get_or_insert(format!("limit of {limit} I/O streams of disk volume {volume}"));
                    continue;
                }
                let mut jobs = view.usage.of_unit.get(unit.label.as_str()).copied().unwrap_or_default();
                jobs += demand.taken.iter().map(|(taken, _)| u32::from(*taken == unit.label)).sum::<u32>();
                if jobs >= unit.max_concurrent_jobs {
                    let limit = unit.max_concurrent_jobs;
                    return Availability::Busy(format!(
                        "limit of {limit} jobs of storage unit {}",
                        unit.label
                    ));
                }
                return Availability::Yes(Grant {
                    unit: unit.label.clone(),
                    volume: volume.clone(),
                    media_server: media_server.clone(),
                    committed,
                });
            }
        }
    }
    match (busy, refused) {
        (Some(reason), _) => Availability::Busy(reason),
        (None, Some((status, reason))) => Availability::No(status, reason),
        (None, None) => {
            Availability::No(statuses.no_unit, format!("disk pool {} has no disk volume", unit.pool))
        }
    }
}

/// Bytes that a job has to have set aside on a volume, or why it cannot go there.
fn space(
    view: &View<'_>,
    demand: &Demand<'_>,
    pool: &Pool,
    volume: &str,
    state: &VolumeState,
) -> Result<u64, (i32, String)> {
    let statuses = &view.config.allocation;
    if !state.server_up {
        return Err((
            statuses.server_down,
            format!("the storage server of disk volume {volume} does not answer"),
        ));
    }
    if !state.admin_up || !state.lsu_up {
        return Err((statuses.volume_down, format!("disk volume {volume} is down")));
    }
    let Some((capacity, used)) = state.space.filter(|_| demand.writes != Writes::Nothing) else {
        return Ok(0);
    };
    let (high_water, at_most) = (pool.high_water, pool.high_bytes(capacity));
    let need = match demand.writes {
        Writes::LikeLast(bytes) => bytes.saturating_add(bytes / 5),
        _ => capacity - at_most,
    };
    let committed = view.usage.committed.get(volume).copied().unwrap_or_default();
    let full = |what: String| Err((statuses.full, format!("disk volume {volume}: {what}")));
    if used >= at_most {
        return full(format!("{used} of {capacity} bytes are used, the high water mark is {high_water} %"));
    }
    if used.saturating_add(committed).saturating_add(need) > capacity {
        return full(format!(
            "{need} bytes more would not fit: {used} of {capacity} are used, {committed} promised"
        ));
    }
    Ok(need)
}
