//! The cluster under a scenario made to misbehave, and what came of it.

use super::embedded::Embedded;
use super::{FaultOutcome, SetupError, Stand};
use crate::scenario::{Fault, FaultEffect, FaultOperation};
use std::sync::{MutexGuard, PoisonError};
use vast_sim::{Effect, Outage};

/// A fault that was injected.
#[derive(Debug)]
pub(super) struct Armed {
    fault: Fault,
    trace: Trace,
}

/// Where it shows what a fault has hit.
#[derive(Debug)]
enum Trace {
    /// Its rule in the fault plane counts.
    Rule(u64),
    /// Tokens expired when the management API had refused this many requests; those after it met an expired token.
    Tokens { refused_before: u64 },
    /// The password was changed when the management API had refused this many requests and logins; those after it came
    /// with the old one.
    Password { refused_before: u64 },
    /// Its two rules in the fault plane count.
    Down([u64; 2]),
    /// The clock was set, once.
    Clock,
    /// It was healed after this many hits.
    Healed(u64),
}

impl Stand {
    /// Makes the cluster misbehave from now on.
    ///
    /// # Errors
    /// When there is no such VIP or the fault plane refuses.
    pub fn inject(&self, fault: &Fault) -> Result<(), SetupError> {
        let embedded = self.need_embedded("fault")?;
        let trace = match fault.effect {
            FaultEffect::ExpireTokens => {
                let refused_before = embedded.refused_requests();
                embedded.cluster.expire_access_tokens();
                Trace::Tokens { refused_before }
            }
            FaultEffect::RotatePassword => {
                let refused_before = embedded.refused_requests() + embedded.refused_logins();
                embedded.rotate_password()?;
                Trace::Password { refused_before }
            }
            FaultEffect::ClockAhead | FaultEffect::ClockBehind => {
                let by = i64::try_from(fault.by.map_or(0, |by| by.0)).unwrap_or(i64::MAX);
                embedded.clock.set(if fault.effect == FaultEffect::ClockAhead { by } else { -by });
                Trace::Clock
            }
            FaultEffect::ClusterDown => {
                let faults = embedded.cluster.faults();
                let gone = Effect::VmsOutage { how: Outage::Reset };
                let (vms, s3) = (vast_sim::Fault::vms(gone), vast_sim::Fault::s3(Effect::ResetBeforeBody));
                let rules = [vms, s3].map(|rule| faults.add(rule).map_err(SetupError::Cluster));
                let [vms, s3] = rules;
                Trace::Down([vms?, s3?])
            }
            _ => {
                let id = embedded.cluster.faults().add(embedded.translate(fault)?);
                Trace::Rule(id.map_err(SetupError::Cluster)?)
            }
        };
        embedded.armed().push(Armed { fault: *fault, trace });
        Ok(())
    }

    /// Ends all misbehaviour.
    pub fn heal(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.clock.set(0);
            for armed in embedded.armed().iter_mut() {
                let rules = match &armed.trace {
                    Trace::Rule(id) => std::slice::from_ref(id),
                    Trace::Down(rules) => rules,
                    _ => continue,
                };
                let hits = embedded.hits(&armed.trace);
                for id in rules {
                    embedded.cluster.faults().remove(*id);
                }
                armed.trace = Trace::Healed(hits);
            }
        }
    }

    /// What became of all faults so far.
    pub fn fault_outcomes(&self) -> Vec<FaultOutcome> {
        let Some(embedded) = &self.embedded else { return Vec::new() };
        let armed = embedded.armed();
        armed
            .iter()
            .map(|armed| FaultOutcome { fault: armed.fault, hits: embedded.hits(&armed.trace) })
            .collect()
    }
}

impl Embedded {
    fn translate(&self, fault: &Fault) -> Result<vast_sim::Fault, SetupError> {
        let error = |status, code: &str| Effect::Error {
            status,
            code: code.into(),
            message: "injected by the scenario".into(),
        };
        let effect = match fault.effect {
            FaultEffect::SlowDown => error(503, "SlowDown"),
            FaultEffect::InternalError => error(500, "InternalError"),
            FaultEffect::Reset => Effect::ResetAfterBody,
            FaultEffect::AnswerLost => Effect::AnswerLost,
            FaultEffect::CorruptBody => Effect::CorruptBody { offset: 100 },
            // The others are no faults of requests.
            FaultEffect::VipDown
            | FaultEffect::ExpireTokens
            | FaultEffect::RotatePassword
            | FaultEffect::ClusterDown
            | FaultEffect::ClockAhead
            | FaultEffect::ClockBehind => Effect::ResetBeforeBody,
        };
        let mut translated = vast_sim::Fault::s3(effect).skip(fault.skip.into());
        if fault.effect != FaultEffect::VipDown {
            translated = translated.times(fault.times.into());
        }
        let operations: &[&str] = match fault.operation {
            None => &[],
            Some(FaultOperation::Put) => &["PutObject"],
            Some(FaultOperation::Get) => &["GetObject"],
            Some(FaultOperation::Delete) => &["DeleteObject", "DeleteObjects"],
            Some(FaultOperation::List) => &["ListObjectsV2"],
        };
        for operation in operations {
            translated = translated.on(operation);
        }
        if let Some(number) = fault.vip {
            let vip = usize::from(number).checked_sub(1).and_then(|index| self.vips.get(index));
            let vip =
                vip.ok_or_else(|| SetupError::Impossible(format!("the cluster has no VIP {number}")))?;
            translated = translated.vip(&vip.to_string());
        }
        Ok(translated)
    }

    fn hits(&self, trace: &Trace) -> u64 {
        match *trace {
            Trace::Rule(id) => {
                let standing = self.cluster.faults().list();
                standing.iter().find(|status| status.id == id).map_or(0, |status| status.hits)
            }
            Trace::Tokens { refused_before } => self.refused_requests().saturating_sub(refused_before),
            Trace::Password { refused_before } => {
                (self.refused_requests() + self.refused_logins()).saturating_sub(refused_before)
            }
            Trace::Down(rules) => rules.map(|id| self.hits(&Trace::Rule(id))).iter().sum(),
            Trace::Clock => 1,
            Trace::Healed(hits) => hits,
        }
    }

    /// Logins that the management API has refused.
    fn refused_logins(&self) -> u64 {
        let counted = self.cluster.counters().vms;
        let logins = counted.iter().filter(|(name, _)| name.starts_with("POST token"));
        logins.map(|(_, count)| count.errors).sum()
    }

    /// Requests that the management API has refused, logins apart.
    fn refused_requests(&self) -> u64 {
        let counted = self.cluster.counters().vms;
        let asked = counted.iter().filter(|(name, _)| !name.starts_with("POST token"));
        asked.map(|(_, count)| count.errors).sum()
    }

    fn armed(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = "\
scenario: NBU-FLT-900
title: tokens that nobody uses
storage:
  server: {password: hunter2}
  lsus: [{name: lsu0}]
  units: [{label: stu1, lsu: lsu0}]
policy: {name: p1, storage: stu1}
selections: [GEN_DATA]
run:
  - fault: {effect: expire_tokens}
";

    #[test]
    fn another_password_is_the_one_that_credentials_and_files_have_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let text = SCENARIO
            .replace("expire_tokens", "rotate_password")
            .replace("  server: {password: hunter2}\n", "");
        let scenario = crate::scenario::parse("a.yaml", &text).unwrap();
        let stand = Stand::start(&scenario, dir.path()).unwrap();
        let crate::scenario::Step::Fault(fault) = &scenario.run[0] else { panic!("{:?}", scenario.run) };
        let file = || std::fs::read_to_string(dir.path().join("vms-password")).unwrap();
        let (_, before) = stand.credentials();
        stand.inject(fault).unwrap();
        let (_, after) = stand.credentials();
        assert_ne!(before, after);
        assert_eq!(file(), format!("{before}\n"), "nobody has entered it yet");
        stand.update_password_files().unwrap();
        assert_eq!(file(), format!("{after}\n"));
        assert_eq!(
            stand.fault_outcomes(),
            [FaultOutcome { fault: *fault, hits: 0 }],
            "nobody came with the old one"
        );
    }

    #[test]
    fn expired_tokens_that_no_request_met_are_no_hit_and_the_password_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let scenario = crate::scenario::parse("a.yaml", SCENARIO).unwrap();
        let stand = Stand::start(&scenario, dir.path()).unwrap();
        let crate::scenario::Step::Fault(fault) = &scenario.run[0] else { panic!("{:?}", scenario.run) };
        stand.inject(fault).unwrap();
        assert_eq!(stand.fault_outcomes(), [FaultOutcome { fault: *fault, hits: 0 }]);
        stand.heal();
        assert_eq!(stand.fault_outcomes(), [FaultOutcome { fault: *fault, hits: 0 }]);
        let debug = format!("{stand:?}");
        assert!(debug.contains("vast1") && !debug.contains("hunter2"), "{debug}");
    }
}
