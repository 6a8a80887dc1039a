//! Checks of what is left in processes and on the machine. Last, so that they see all scenarios.

use super::{Check, LeakKind, Proof, mandatory};

pub(super) const CHECKS: &[Check] = &[
    mandatory(
        "RES-001",
        "resources",
        "bptm has no descriptor after stspi_terminate that it did not have before the load",
        "the plug-in closes what it opens",
        Proof::Footprint(|footprint| &footprint.left_descriptors),
    ),
    mandatory(
        "RES-002",
        "resources",
        "bptm has no thread after stspi_terminate that it did not have before the load",
        "the plug-in ends what it starts",
        Proof::Footprint(|footprint| &footprint.left_threads),
    ),
    mandatory(
        "RES-003",
        "resources",
        "No process outlives its job",
        "nothing of a job runs on when the job is done",
        Proof::Leaks(LeakKind::Process),
    ),
    mandatory(
        "RES-004",
        "resources",
        "No shared memory outlives its job",
        "System V segments and files in /dev/shm are as before",
        Proof::Leaks(LeakKind::SharedMemory),
    ),
];
