//! Shows that the certification's checks can fail: each is run on a plug-in that does exactly one thing wrong, the thing that
//! the check is there to find ([`nbu_trace::defects`]), and has to fail and to say why. Checks that have nothing to do with
//! the defect have to pass.
//!
//! Some checks judge what the harness itself does, too: `own` alters what was recorded, or what they are given, and the
//! judge has to notice.

mod own;
mod segment;
mod table;

pub use table::table;

use crate::certify::{self, CertifyError, CheckResult, Outcome, Proof as CheckProof, catalogue};
use crate::engine::{Observer, SetupError};
use crate::scenario::Milliseconds;
use crate::shim;
use nbu_trace::defects::{DEFECTS, Defect};
use nbu_trace::orders;
use segment::Segment;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The scenario that many checks share; it is run in its small form.
const MAIN: &str = "NBU-BKP-001";
/// Checks that have nothing to do with most defects.
const BYSTANDERS: [&str; 6] = ["LOD-001", "LOD-004", "SRV-002", "SRV-003", "SRV-006", "ERR-003"];
/// The check of time limits, and the limit that its defect breaks.
const LIMITED: (&str, Milliseconds) = ("BKP-007", Milliseconds(8000));

/// What to prove.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that every NetBackup process is: normally this one.
    pub exe: PathBuf,
    /// A plug-in without defects: those with one are made of it.
    pub plugin: PathBuf,
    /// Only checks whose id or group begins with one of these; empty for all.
    pub filter: Vec<String>,
    /// Where working files go; none: the temporary directory.
    pub work_dir: Option<PathBuf>,
}

/// Nothing could be proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// A certification could not begin.
    #[error(transparent)]
    Certify(#[from] CertifyError),
    /// The surroundings could not be set up.
    #[error(transparent)]
    SetUp(#[from] SetupError),
    /// The wrapping plug-in is missing.
    #[error(transparent)]
    Shim(#[from] shim::Missing),
    /// No check matches.
    #[error("no check matches {0}; `certify --list` names them all")]
    NoSuchCheck(String),
}

/// One check and what it made of its defect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The check.
    pub check: &'static str,
    /// The defect, or what was altered; empty if the check has none.
    pub defect: &'static str,
    /// Whether the check failed, as it has to.
    pub found: bool,
    /// Whether its detail says what it has to.
    pub reason: bool,
    /// Bystanders that did not pass.
    pub others: Vec<String>,
    /// The check's detail, or why there is none.
    pub detail: String,
}

impl Proof {
    /// Whether the check is proven.
    pub fn holds(&self) -> bool {
        self.found && self.reason && self.others.is_empty()
    }
}

/// Proves every check that is asked for, in the catalogue's order, some of them in two ways. One that nothing can be said
/// about is not proven.
///
/// # Errors
/// When the surroundings could not be set up.
pub fn run(options: &Options, observer: &dyn Observer) -> Result<Vec<Proof>, ProveError> {
    for pattern in &options.filter {
        if !catalogue().iter().any(|check| check.matches(std::slice::from_ref(pattern))) {
            return Err(ProveError::NoSuchCheck(pattern.clone()));
        }
    }
    let mut own = own::Own::new(options, observer);
    let mut proofs = Vec::new();
    for check in catalogue().iter().filter(|check| check.matches(&options.filter)) {
        let defect = DEFECTS.iter().find(|defect| defect.check == check.id);
        if let Some(defect) = defect {
            observer.note(&format!("{}: a plug-in with the defect {}", check.id, defect.name));
            proofs.push(of_defect(options, check, defect, observer)?);
        }
        if defect.is_none() || own::has_way(check.id) {
            proofs.push(own.prove(check.id)?);
        }
    }
    Ok(proofs)
}

/// Options of a certification of this check and others on the plug-in with a defect.
fn certification(
    options: &Options,
    filter: Vec<String>,
    quick: bool,
    defect: Option<&Defect>,
) -> Result<certify::Options, ProveError> {
    let mut plugin_env = BTreeMap::new();
    let plugin = shim::wrap(&options.exe, &options.plugin, &mut plugin_env)?;
    if let Some(defect) = defect {
        plugin_env.insert(orders::DEFECT.to_owned(), defect.name.to_owned());
    }
    Ok(certify::Options {
        filter,
        quick,
        plugin_env,
        limit: defect.filter(|defect| defect.check == LIMITED.0).map(|_| LIMITED.1),
        work_dir: options.work_dir.clone(),
        ..certify::Options::new(options.exe.clone(), vec![plugin])
    })
}

fn of_defect(
    options: &Options,
    check: &certify::Check,
    defect: &Defect,
    observer: &dyn Observer,
) -> Result<Proof, ProveError> {
    let involved = |id: &&&str| **id != check.id && !defect.also.contains(id);
    let bystanders: Vec<&str> = BYSTANDERS.iter().filter(involved).copied().collect();
    let filter = std::iter::once(check.id).chain(bystanders.iter().copied()).map(str::to_owned).collect();
    // What processes leave is looked for in the main scenario, too.
    let quick = matches!(
        check.proof,
        CheckProof::Scenario { id: MAIN, .. } | CheckProof::Footprint(_) | CheckProof::Leaks(_)
    );
    let mut certification = certification(options, filter, quick, Some(defect))?;
    let segment = Segment::of_this_process();
    certification.plugin_env.insert(orders::SEGMENT.to_owned(), segment.path());
    let verdict = certify::run(&certification, observer)?;
    let checks: Vec<&CheckResult> = verdict.suites.iter().flat_map(|suite| &suite.checks).collect();
    Ok(compare(check.id, defect, &bystanders, &checks))
}

fn compare(id: &'static str, defect: &Defect, bystanders: &[&str], checks: &[&CheckResult]) -> Proof {
    let result = checks.iter().find(|result| result.id == id);
    let (found, detail) = match result {
        Some(result) => (result.outcome == Outcome::Fail, format!("{}: {}", result.outcome, result.detail)),
        None => (false, "it was not run".to_owned()),
    };
    let failed = bystanders.iter().filter_map(|bystander| {
        let result = checks.iter().find(|result| result.id == *bystander);
        match result {
            Some(result) if result.outcome == Outcome::Pass => None,
            Some(result) => Some(format!("{bystander}: {}: {}", result.outcome, result.detail)),
            None => Some(format!("{bystander}: it was not run")),
        }
    });
    let reason = found && detail.contains(defect.says);
    Proof { check: id, defect: defect.name, found, reason, others: failed.collect(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(id: &'static str, outcome: Outcome, detail: &str) -> CheckResult {
        let detail = detail.to_owned();
        CheckResult {
            id,
            group: "g",
            title: "t",
            mandatory: true,
            capability: None,
            outcome,
            detail,
            elapsed_ms: 0,
            scenario: None,
            passes: 1,
        }
    }

    #[test]
    fn a_check_is_proven_only_by_failing_for_the_stated_reason_alone() {
        let defect = DEFECTS.iter().find(|defect| defect.check == "LOD-003").unwrap();
        let proof = |outcome, detail: &str, bystander| {
            let checks =
                [result("LOD-003", outcome, detail), result("SRV-002", bystander, "by handle, by name")];
            compare("LOD-003", defect, &["SRV-002"], &checks.iter().collect::<Vec<_>>())
        };
        let said = "x is not refused with STS_ECLAIM but: success";
        assert!(proof(Outcome::Fail, said, Outcome::Pass).holds());
        assert!(!proof(Outcome::Pass, said, Outcome::Pass).holds(), "it passed");
        assert!(!proof(Outcome::Error, said, Outcome::Pass).holds(), "it was not judged");
        assert!(!proof(Outcome::Fail, "something else", Outcome::Pass).holds(), "for another reason");
        assert!(!proof(Outcome::Fail, said, Outcome::Fail).holds(), "a bystander fell");
        assert!(!compare("LOD-003", defect, &[], &[]).holds(), "nothing was run");
    }

    #[test]
    fn every_defect_is_of_a_check_that_there_is_and_no_check_is_without_a_way() {
        for defect in DEFECTS {
            let ids = || catalogue().iter().map(|check| check.id);
            assert!(ids().any(|id| id == defect.check), "{}: {}", defect.name, defect.check);
            assert!(defect.also.iter().all(|also| ids().any(|id| id == *also)), "{}", defect.name);
        }
        for check in catalogue() {
            let defect = DEFECTS.iter().any(|defect| defect.check == check.id);
            assert!(defect || own::has_way(check.id), "nothing shows that {} can fail", check.id);
        }
        assert!(BYSTANDERS.iter().all(|id| catalogue().iter().any(|check| check.id == *id && check.quick)));
    }
}
