//! Carrying lifecycle rules out: at every midnight of the cluster's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{DAY, KIND, Rule, after_days, midnight};
use crate::background::Job;
use crate::core::Core;
use crate::store::state::State;
use crate::store::version::{Entry, VersionId};

/// When rules were carried out last, in milliseconds; 0 before the first time.
#[derive(Debug, Default)]
pub(crate) struct LastRun(AtomicU64);

impl LastRun {
    /// As before the first time.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The job that deletes what has expired.
#[derive(Debug)]
pub(crate) struct Expiry;

impl Job for Expiry {
    fn stores(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "lifecycle"
    }

    fn next_due(&self, core: &Core) -> Option<u64> {
        let any = core.store.read(|state| state.vms.rows(KIND).any(|(_, row)| Rule::of(row).is_some()));
        // The first look comes at once: a restarted cluster may have missed a midnight.
        any.then(|| midnight(core.lifecycle.0.load(Ordering::Acquire)) + DAY)
    }

    fn run(&self, core: &Arc<Core>, at: u64) {
        let now = core.now_ms().max(at);
        core.lifecycle.0.store(now, Ordering::Release);
        let done = core.store.write(|state| {
            let rules: Vec<Rule> = state.vms.rows(KIND).filter_map(|(_, row)| Rule::of(row)).collect();
            rules.iter().map(|rule| carry_out(state, rule, now)).sum::<usize>()
        });
        tracing::info!(done, "lifecycle rules carried out");
    }
}

/// One thing that a rule asks for.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    /// The current object goes, or gets a delete marker where versions are kept.
    Expire(String),
    /// A version, or a delete marker, goes for good.
    Remove(String, VersionId),
    /// An upload is aborted.
    Abort(String, String),
}

/// Does what a rule asks for at `now`; gives how many things that were.
fn carry_out(state: &mut State, rule: &Rule, now: u64) -> usize {
    let Some(bucket) = state.buckets().values().find(|b| b.view_id == rule.view_id).cloned() else {
        return 0;
    };
    let versioned = state.is_versioned(&bucket);
    let (tenant, base) = (bucket.tenant_id, bucket.base());
    let mut acts = Vec::new();
    let files = state.files(tenant);
    for (path, entry) in files.walk(&bucket.path) {
        if rule.covers_key(&path[base.len()..]) {
            judge(rule, (path, &path[base.len()..]), (entry, versioned), now, &mut acts);
        }
    }
    if let Some(days) = rule.abort_days {
        for (path, id, upload) in files.walk_uploads(&bucket.path) {
            if rule.covers_key(&path[base.len()..]) && after_days(upload.initiated, days) <= now {
                acts.push(Act::Abort(path.to_owned(), id.to_owned()));
            }
        }
    }
    let done = acts.len();
    for act in acts {
        match act {
            Act::Expire(path) if versioned => {
                state.put_marker(tenant, &path, now, &bucket.owner, true);
            }
            Act::Expire(path) => drop(state.remove_version(tenant, &path, VersionId::Null)),
            Act::Remove(path, id) => drop(state.remove_version(tenant, &path, id)),
            Act::Abort(path, id) => drop(state.remove_upload(tenant, &path, &id)),
        }
    }
    done
}

/// What a rule asks for one object name.
fn judge(
    rule: &Rule,
    (path, key): (&str, &str),
    (entry, versioned): (&Entry, bool),
    now: u64,
    acts: &mut Vec<Act>,
) {
    if let Some(object) = entry.current()
        && rule.expires_at(key, object).is_some_and(|due| due <= now)
        // A marker only hides what is locked.
        && (versioned || object.attributes.lock.may_go(now, false))
    {
        acts.push(Act::Expire(path.to_owned()));
    }
    if let Some(days) = rule.noncurrent_days {
        let mut newer = 0;
        let mut successor = None;
        for version in entry.versions() {
            let Some(since) = successor.replace(version.modified()) else { continue };
            newer += 1;
            let covered = version.object().is_none_or(|object| rule.covers(key, object));
            let may_go = version.object().is_none_or(|object| object.attributes.lock.may_go(now, false));
            if newer > rule.newer_noncurrent && covered && may_go && after_days(since, days) <= now {
                acts.push(Act::Remove(path.to_owned(), version.id));
            }
        }
    }
    // A delete marker with nothing left behind it hides nothing.
    if let Some(marker) = entry.newest().filter(|v| v.object().is_none())
        && entry.versions().len() == 1
        && rule.covers_bare(key)
    {
        let old = rule.expiration_days.is_some_and(|days| after_days(marker.modified(), days) <= now);
        if rule.expired_markers || old {
            acts.push(Act::Remove(path.to_owned(), marker.id));
        }
    }
}
