//! The catalogue of checks, by what they are about. Ids are stable: a check that goes leaves its number unused.

mod abi;
mod answers;
mod copies;
mod flows;
mod imports;
mod inline;
mod jobs;
mod lifecycle;
mod resources;
mod setup;

use super::check::{Check, Proof, Requirement};
use super::probes::Seen;
use super::resources::LeakKind;
use std::sync::LazyLock;

/// The main scenario: real files, a generated tree and synthetic data in concurrent streams, there and back.
pub(super) const MAIN: &str = "NBU-BKP-001";

macro_rules! embedded {
    ($($id:literal),+ $(,)?) => {
        /// Id and text of every scenario that the certification runs.
        pub const fn embedded_scenarios() -> &'static [(&'static str, &'static str)] {
            &[$(($id, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/", $id, ".yaml")))),+]
        }
    };
}

embedded!(
    "NBU-BKP-001",
    "NBU-BKP-002",
    "NBU-BKP-003",
    "NBU-BKP-004",
    "NBU-BKP-005",
    "NBU-BKP-006",
    "NBU-EXP-001",
    "NBU-EXP-002",
    "NBU-EXP-003",
    "NBU-CAN-001",
    "NBU-CAN-002",
    "NBU-FUL-001",
    "NBU-ERR-001",
    "NBU-ERR-002",
    "NBU-ERR-003",
    "NBU-FLT-001",
    "NBU-FLT-002",
    "NBU-FLT-003",
    "NBU-FLT-004",
    "NBU-FLT-005",
    "NBU-FLT-006",
    "NBU-FLT-007",
    "NBU-FLT-008",
    "NBU-DUP-001",
    "NBU-DUP-002",
    "NBU-DUP-003",
    "NBU-DUP-004",
    "NBU-DUP-005",
    "NBU-INL-001",
    "NBU-INL-002",
    "NBU-INL-003",
    "NBU-INL-004",
    "NBU-INL-005",
    "NBU-SYN-001",
    "NBU-SYN-002",
    "NBU-SYN-003",
    "NBU-ACC-001",
    "NBU-ACC-002",
    "NBU-IMP-001",
    "NBU-IMP-002",
    "NBU-IMP-003",
    "NBU-WRM-001",
    "NBU-WRM-002",
    "NBU-WRM-003",
    "NBU-AIR-001",
    "NBU-AIR-002",
    "NBU-AIR-003",
    "NBU-AIR-004",
    "NBU-CKP-001",
    "NBU-CKP-002",
    "NBU-CKP-003",
    "NBU-CKP-004",
    "NBU-TIR-001",
    "NBU-GEN-001",
    "NBU-ABI-001",
    "NBU-ABI-002",
    "NBU-ABI-003",
    "NBU-ABI-004",
    "NBU-ABI-005",
    "NBU-ABI-006",
    "NBU-ABI-007",
    "NBU-ABI-008",
    "NBU-ABI-009",
    "NBU-JOB-001",
    "NBU-JOB-002",
    "NBU-JOB-003",
    "NBU-JOB-004",
    "NBU-JOB-005",
    "NBU-JOB-006",
    "NBU-JOB-007",
    "NBU-JOB-008",
    "NBU-JOB-009",
    "NBU-JOB-010",
    "NBU-SLP-001",
    "NBU-SLP-002",
    "NBU-SLP-003",
    "NBU-SLP-004",
    "NBU-SLP-005",
    "NBU-SET-001",
    "NBU-SET-002",
    "NBU-SET-003",
    "NBU-SET-004",
    "NBU-SET-005",
    "NBU-OPS-001",
    "NBU-CON-001",
    "NBU-MPX-001",
);

/// A check that every plug-in has to pass and that `--quick` runs too.
const fn mandatory(
    id: &'static str,
    group: &'static str,
    title: &'static str,
    proves: &'static str,
    proof: Proof,
) -> Check {
    Check { id, group, requirement: Requirement::Mandatory, title, proves, quick: true, proof }
}

/// The check of a capability.
macro_rules! capability {
    ($id:literal, $name:literal) => {
        mandatory(
            $id,
            "claims",
            concat!("What is claimed with ", $name, " is there"),
            "the library has its calls, the server its flags",
            Proof::Capability($name),
        )
        .claimed($name)
    };
}

use capability;

const fn answers(
    id: &'static str,
    group: &'static str,
    title: &'static str,
    proves: &'static str,
    probe: fn(&Seen) -> Result<String, String>,
) -> Check {
    mandatory(id, group, title, proves, Proof::Answers(probe))
}

const fn of_main(
    id: &'static str,
    group: &'static str,
    title: &'static str,
    proves: &'static str,
    aspects: &'static [&'static str],
) -> Check {
    mandatory(id, group, title, proves, Proof::Scenario { id: MAIN, aspects })
}

const fn whole(
    id: &'static str,
    group: &'static str,
    scenario: &'static str,
    quick: bool,
    title: &'static str,
    proves: &'static str,
) -> Check {
    let proof = Proof::Scenario { id: scenario, aspects: &[] };
    Check { quick, ..mandatory(id, group, title, proves, proof) }
}

/// All checks, in the order in which they are reported.
pub fn catalogue() -> &'static [Check] {
    static ALL: LazyLock<Vec<Check>> = LazyLock::new(|| {
        [
            answers::CHECKS,
            flows::CHECKS,
            copies::CHECKS,
            inline::CHECKS,
            imports::CHECKS,
            abi::CHECKS,
            setup::CHECKS,
            jobs::CHECKS,
            lifecycle::CHECKS,
            resources::CHECKS,
        ]
        .concat()
    });
    &ALL
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_unique_and_every_scenario_is_known_and_right() {
        let ids: BTreeSet<_> = catalogue().iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), catalogue().len());
        let mut judged = BTreeSet::new();
        for check in catalogue() {
            if let Proof::Scenario { id, .. } = check.proof {
                judged.insert(id);
            }
        }
        let embedded: BTreeSet<_> = embedded_scenarios().iter().map(|(id, _)| *id).collect();
        assert_eq!(judged, embedded);
        for (id, text) in embedded_scenarios() {
            let scenario =
                crate::scenario::parse(id, text).unwrap_or_else(|error| panic!("{}", error.render(false)));
            assert_eq!(scenario.id, *id);
        }
    }

    #[test]
    fn every_expectation_of_the_main_scenario_is_some_check() {
        let (_, text) = embedded_scenarios()[0];
        let scenario = crate::scenario::parse("main", text).unwrap();
        let judged: BTreeSet<&str> = catalogue()
            .iter()
            .filter_map(|check| match check.proof {
                Proof::Scenario { id, aspects } if id == scenario.id => Some(aspects),
                _ => None,
            })
            .flatten()
            .copied()
            .collect();
        let expected = BTreeSet::from([
            "jobs",
            "catalog.images",
            "catalog.fragments",
            "catalog.header_in_order",
            "storage.empty",
            "storage.all_vips_used",
            "data.restore",
            "data.single_file",
            "data.single_file_read_overhead",
            "data.changed_file_reported",
            "counters",
            "bptm_peak_memory",
            "all_jobs_done_within",
        ]);
        assert_eq!(judged, expected);
    }

    #[test]
    fn every_capability_has_its_check_and_no_other_check_depends_on_a_claim() {
        let claimed: Vec<_> = catalogue()
            .iter()
            .filter_map(|check| match (check.requirement, check.proof) {
                (Requirement::Claimed(name), Proof::Capability(other)) if name == other => Some(name),
                (Requirement::Claimed(name), Proof::Scenario { .. }) => {
                    assert!(ost_abi::STS_CAPABILITIES.iter().any(|row| row.name == name), "{name}");
                    None
                }
                (Requirement::Claimed(name), _) => panic!("{}: {name}", check.id),
                (Requirement::Mandatory, _) => None,
            })
            .collect();
        let all: Vec<_> = ost_abi::STS_CAPABILITIES.iter().map(|row| row.name).collect();
        assert_eq!(claimed, all);
    }

    #[test]
    fn a_check_whose_scenario_needs_something_is_one_of_that_claim() {
        let mut needy = 0;
        for check in catalogue() {
            let Proof::Scenario { id, .. } = check.proof else { continue };
            let (_, text) = embedded_scenarios().iter().find(|(known, _)| *known == id).unwrap();
            let needs = crate::scenario::parse(id, text).unwrap().needs;
            let claimed = match check.requirement {
                Requirement::Claimed(name) => vec![name.to_owned()],
                Requirement::Mandatory => Vec::new(),
            };
            assert!(crate::scenario::not_claimed(&needs, &claimed).is_empty(), "{}: {needs:?}", check.id);
            assert_eq!(needs.is_empty(), claimed.is_empty(), "{}", check.id);
            needy += needs.len();
        }
        assert!(needy > 5, "{needy}");
    }

    #[test]
    fn a_pattern_is_the_beginning_of_an_id_or_a_group() {
        let count =
            |pattern: &str| catalogue().iter().filter(|check| check.matches(&[pattern.into()])).count();
        assert_eq!(count("FLT-00"), 8);
        assert_eq!(count("faults"), 8);
        assert_eq!(count("nothing"), 0);
    }
}
