//! The catalogue is consistent with its scenarios, with what the plug-in may claim, and with itself.

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
fn a_pattern_is_the_beginning_of_an_id_or_a_group() {
    let count = |pattern: &str| catalogue().iter().filter(|check| check.matches(&[pattern.into()])).count();
    assert_eq!(count("FLT-00"), 8);
    assert_eq!(count("faults"), 8);
    assert_eq!(count("nothing"), 0);
}
