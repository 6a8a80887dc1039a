//! Storage lifecycle policies in a run: what the domains are configured with, and what came of it.

use super::SetupError;
use super::jobs::{Backup, Jobs};
use crate::emm::{LifecyclePolicy, UseFor};
use crate::primary::config::{LifecycleParameters, Pool, Unit};
use crate::scenario::{Domain as Side, Milliseconds, Scenario, SlpParameters};
use std::collections::BTreeMap;

/// The storage lifecycle policies of a domain.
pub(super) fn policies(scenario: &Scenario, side: Side) -> Vec<LifecyclePolicy> {
    let of_side = scenario.slps.iter().filter(|slp| slp.domain == side);
    of_side.map(|slp| slp.policy.clone()).collect()
}

/// What nbstserv is told of intervals and limits.
pub(super) fn parameters(of: &SlpParameters) -> LifecycleParameters {
    LifecycleParameters {
        image_processing_interval: of.image_processing_interval.0 / 1000,
        fast_tries: of.fast_tries,
        extended_retry_interval: of.extended_retry.0 / 1000,
        max_batch_kbytes: of.max_batch.0 / 1024,
        event_polling_interval: of.event_polling.0 / 1000,
        ..LifecycleParameters::default()
    }
}

/// The storage units that the target domain asks for events: the first one for each LSU that is replicated to.
pub(super) fn import_units(
    scenario: &Scenario,
    side: Side,
    pools: &BTreeMap<String, Pool>,
    units: &[Unit],
) -> Vec<String> {
    if side == Side::Source || !scenario.replicates_by_itself() {
        return Vec::new();
    }
    let of_lsu = |lsu: &String| {
        let alone = |unit: &&Unit| pools.get(&unit.pool).is_some_and(|pool| pool.volumes == [lsu.clone()]);
        units.iter().find(alone).map(|unit| unit.label.clone())
    };
    let mut labels: Vec<String> = scenario.replication.iter().filter_map(|pair| of_lsu(&pair.to)).collect();
    labels.dedup();
    labels
}

/// The storage unit that the target domain imports the policy's backups with by itself; none if it does not.
pub(super) fn imports_to(scenario: &Scenario) -> Option<&str> {
    let of_target = scenario.slps.iter().filter(|slp| slp.domain == Side::Target);
    let named = of_target.map(|slp| &slp.policy).find(|policy| policy.name == scenario.policy_storage)?;
    let import = named.operations.iter().find(|operation| operation.use_for == UseFor::Import)?;
    Some(&import.storage)
}

impl Jobs<'_> {
    /// The same time passes in the target domain, where there is one: what was replicated is imported.
    pub(super) fn advance_target(&mut self, step_index: usize, time: Milliseconds) -> Result<(), SetupError> {
        let Some(target) = &mut self.target else { return Ok(()) };
        let ran = target.advance(step_index, time, Vec::new())?;
        let records = self.taken(ran);
        self.records.extend(records);
        Ok(())
    }

    /// How many copies each backup has, after a step in which nbstserv duplicated some.
    pub(super) fn copies_by_lifecycle(
        &self,
        step_index: usize,
        backups: &[Backup],
    ) -> Result<Vec<(String, u64)>, SetupError> {
        let duplicates = |job: &super::JobRecord| {
            job.step == step_index && job.result.kind == crate::nbu::JobKind::Duplicate
        };
        if !self.records.iter().any(duplicates) {
            return Ok(Vec::new());
        }
        self.copies_of(backups)
    }
}
