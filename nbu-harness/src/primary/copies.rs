//! nbrb, for a backup that makes several copies at once: a place for every copy, all of them on one media server, no two on
//! one disk volume. Every copy gets one, or none does.

use super::broker::{Decision, Demand, Grant, View, decide};

/// Decides for a job with its further copies, whose storage unit or group is named, copy 2 first.
pub(crate) fn decide_all(view: &View<'_>, demand: &Demand<'_>, further: &[String]) -> Decision {
    if further.is_empty() {
        return decide(view, demand);
    }
    let labels: Vec<&str> =
        std::iter::once(demand.storage).chain(further.iter().map(String::as_str)).collect();
    let mut best = None;
    for media_server in common(view, demand, &labels) {
        match on(view, demand, &labels, media_server) {
            // What can be had, or is not known yet, counts more than what cannot be had elsewhere.
            found @ (Decision::Grant(_) | Decision::Poll(_)) => return found,
            wait @ Decision::Wait(_) => best = Some(wait),
            refused @ Decision::Refuse(..) => {
                best.get_or_insert(refused);
            }
        }
    }
    best.unwrap_or_else(|| {
        let what = format!("no media server writes to all of {}", labels.join(", "));
        Decision::Refuse(view.config.allocation.no_unit, what)
    })
}

/// Media servers that every label has a unit on, those with less to do first.
fn common<'a>(view: &View<'a>, demand: &Demand<'_>, labels: &[&str]) -> Vec<&'a str> {
    let serves = |name: &str, label: &&str| {
        let (_, units) = view.config.candidates(label);
        units.iter().any(|unit| unit.media_servers.iter().any(|other| other == name))
    };
    let names = view.config.media_servers.keys().map(String::as_str);
    let mut common: Vec<&str> = names
        .filter(|name| demand.media_server.is_none_or(|only| only == *name))
        .filter(|name| labels.iter().all(|label| serves(name, label)))
        .collect();
    let load = |name: &&str| view.usage.of_media_server.get(name).copied().unwrap_or_default();
    common.sort_by_key(|name| (view.media_down.contains(*name), demand.avoid.contains(name), load(name)));
    common
}

/// Decides for all copies on one media server.
fn on(view: &View<'_>, demand: &Demand<'_>, labels: &[&str], media_server: &str) -> Decision {
    let mut grants: Vec<Grant> = Vec::new();
    for (label, copy) in labels.iter().zip(1..) {
        let taken = grants.iter().map(|grant| (grant.unit.as_str(), grant.volume.as_str())).collect();
        let of_copy = Demand { storage: label, media_server: Some(media_server), taken, ..demand.clone() };
        match decide(view, &of_copy) {
            Decision::Grant(mut granted) => grants.append(&mut granted),
            Decision::Refuse(status, why) => return Decision::Refuse(status, format!("copy {copy}: {why}")),
            other => return other,
        }
    }
    Decision::Grant(grants)
}
