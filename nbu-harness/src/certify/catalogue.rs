//! The catalogue of checks. Ids are stable: a check that goes leaves its number unused.

use super::check::{Check, Proof, Requirement};
use super::probes::{self, Seen};
use super::resources::LeakKind;

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
    "NBU-SYN-001",
    "NBU-SYN-002",
    "NBU-SYN-003",
    "NBU-ACC-001",
    "NBU-ACC-002",
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
    "NBU-CON-001",
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
pub const fn catalogue() -> &'static [Check] {
    const ALL: &[Check] = &[
        answers(
            "LOD-001",
            "load",
            "The library loads and names itself",
            "dlopen, every entry point, stspi_init, name, version and type",
            probes::loads,
        ),
        answers(
            "LOD-002",
            "load",
            "An unknown interface version is refused",
            "a host of another generation is told so",
            probes::refuses_version_0,
        ),
        answers(
            "LOD-003",
            "load",
            "It claims its own servers and no others",
            "NetBackup can tell plug-ins apart",
            probes::claims,
        ),
        answers(
            "LOD-004",
            "load",
            "It says which thread model it has",
            "the host knows whether threads may share the library",
            probes::thread_model,
        ),
        mandatory(
            "LOD-005",
            "load",
            "A missing plug-in fails the job with its path",
            "status 11, the path in the job details, nothing stored",
            Proof::NotAPlugin(probes::Substitute::Missing),
        ),
        mandatory(
            "LOD-006",
            "load",
            "A library that is no plug-in fails the job with what it lacks",
            "status 11, the missing symbol in the job details, nothing stored",
            Proof::NotAPlugin(probes::Substitute::OtherLibrary),
        ),
        answers(
            "SRV-001",
            "server",
            "The server opens with the right credentials",
            "login to the management API and a look at the data path",
            probes::opens,
        ),
        answers(
            "SRV-002",
            "server",
            "Properties by handle and by name agree",
            "the same flags and name either way",
            probes::server_properties,
        ),
        answers(
            "SRV-003",
            "server",
            "The LSU list is the cluster's list of S3 views",
            "every view once, nothing else, and a proper end",
            probes::lsu_list,
        ),
        answers(
            "SRV-004",
            "server",
            "Capacity is the view's quota, or the cluster's",
            "NetBackup sees the limit that will be enforced",
            probes::capacity,
        ),
        answers(
            "SRV-005",
            "server",
            "Used space is what the cluster counts",
            "NetBackup's water marks mean something",
            probes::used,
        ),
        answers(
            "SRV-006",
            "server",
            "An unknown LSU is told from a failure",
            "STS_ENOENT and nothing else",
            probes::unknown_lsu,
        ),
        answers(
            "SRV-007",
            "server",
            "A wrong password is told from other failures",
            "STS_EAUTH, quickly",
            probes::wrong_password,
        ),
        mandatory(
            "SRV-008",
            "server",
            "The same question has the same answer each time",
            "answers depend on nothing but the question, in one process after the other",
            Proof::Alike(probes::alike),
        ),
        answers(
            "CAP-001",
            "claims",
            "Nothing is flagged that is not claimed",
            "NetBackup asks for no more than there is",
            probes::flags_fit_claims,
        ),
        capability!("CAP-002", "checkpoint"),
        capability!("CAP-003", "flush"),
        capability!("CAP-004", "random_write"),
        capability!("CAP-005", "include"),
        capability!("CAP-006", "copy_image"),
        capability!("CAP-007", "copy_extent"),
        capability!("CAP-008", "async_copy"),
        capability!("CAP-009", "named_async_copy"),
        capability!("CAP-010", "events"),
        capability!("CAP-011", "replication_properties"),
        capability!("CAP-012", "image_set"),
        capability!("CAP-013", "image_meta"),
        capability!("CAP-014", "label"),
        capability!("CAP-015", "worm"),
        of_main(
            "BKP-001",
            "backup",
            "Real files, a generated tree and a synthetic stream are backed up and expire",
            "all jobs of the main scenario end as they must, in concurrent streams",
            &["jobs"],
        ),
        of_main(
            "BKP-002",
            "backup",
            "A file that changes while it is read is reported",
            "the job ends partially successful and names the file",
            &["data.changed_file_reported"],
        ),
        of_main(
            "BKP-003",
            "backup",
            "The catalogue has every image, fragment and the header in its place",
            "F1…Fn and HDR as the policy orders them",
            &["catalog.images", "catalog.fragments", "catalog.header_in_order"],
        ),
        of_main(
            "BKP-004",
            "backup",
            "Wait and delay counters are there and consistent",
            "the figures people tune by",
            &["counters"],
        ),
        of_main(
            "BKP-005",
            "backup",
            "bptm's memory is bounded",
            "whatever the size of the backup",
            &["bptm_peak_memory"],
        ),
        of_main(
            "BKP-006",
            "backup",
            "The load is spread over all VIPs",
            "every VIP gets requests",
            &["storage.all_vips_used"],
        ),
        of_main("BKP-007", "backup", "Every job ends in time", "nothing hangs", &["all_jobs_done_within"]),
        whole(
            "BKP-008",
            "backup",
            "NBU-BKP-002",
            true,
            "Small fragments and a header that comes first",
            "fragments are cut where the storage unit says, and files across them come back",
        ),
        whole(
            "BKP-009",
            "backup",
            "NBU-BKP-003",
            false,
            "Two buffers of 32 KiB",
            "small writes, constant waiting",
        ),
        whole("BKP-010", "backup", "NBU-BKP-004", false, "32 buffers of 4 MiB", "large writes"),
        whole(
            "BKP-011",
            "backup",
            "NBU-BKP-005",
            true,
            "bptm forks after the server was opened",
            "a fork without exec around a live plug-in",
        ),
        whole("BKP-012", "backup", "NBU-BKP-006", false, "TLS on the data path", "the whole flow over HTTPS"),
        of_main(
            "RST-001",
            "restore",
            "A full restore is byte-identical",
            "content, modes, times, owners and links, in new processes, against hashes taken before",
            &["data.restore"],
        ),
        of_main(
            "RST-002",
            "restore",
            "Single files come back byte-identical",
            "restore by position, each file in a job of its own",
            &["data.single_file"],
        ),
        of_main(
            "RST-003",
            "restore",
            "A single file costs little more than itself",
            "the stream is not read from its beginning",
            &["data.single_file_read_overhead"],
        ),
        of_main(
            "EXP-001",
            "expire",
            "Expired images leave nothing behind",
            "no object and no open upload in the cluster's raw state",
            &["storage.empty"],
        ),
        whole(
            "CAN-001",
            "cancel",
            "NBU-CAN-001",
            true,
            "A cancelled backup leaves nothing behind",
            "status 150 and an empty cluster",
        ),
        whole(
            "CAN-002",
            "cancel",
            "NBU-CAN-002",
            false,
            "A cancelled backup leaves earlier backups alone",
            "they restore byte-identical",
        ),
        whole(
            "FUL-001",
            "full",
            "NBU-FUL-001",
            true,
            "An LSU that fills up mid-backup ends it with 129",
            "no orphan objects, earlier backups intact",
        ),
        whole(
            "ERR-001",
            "errors",
            "NBU-ERR-001",
            true,
            "A wrong password fails the backup",
            "status 83, nothing stored, soon",
        ),
        whole(
            "ERR-002",
            "errors",
            "NBU-ERR-002",
            false,
            "A management address that does not answer fails the backup",
            "status 83, the address in the job details, in bounded time",
        ),
        whole(
            "ERR-003",
            "errors",
            "NBU-ERR-003",
            true,
            "An unknown LSU fails the backup",
            "status 83, its name in the job details",
        ),
        whole("FLT-001", "faults", "NBU-FLT-001", true, "503 SlowDown on uploads", "the job succeeds"),
        whole(
            "FLT-002",
            "faults",
            "NBU-FLT-002",
            false,
            "Connections reset in the middle of uploads",
            "the job succeeds",
        ),
        whole(
            "FLT-003",
            "faults",
            "NBU-FLT-003",
            false,
            "Answers to uploads are lost",
            "the job succeeds, nothing is there twice",
        ),
        whole(
            "FLT-004",
            "faults",
            "NBU-FLT-004",
            true,
            "One VIP corrupts downloads",
            "corrupt data is noticed and read again on another VIP",
        ),
        whole(
            "FLT-005",
            "faults",
            "NBU-FLT-005",
            false,
            "A VIP goes down mid-job and stays down",
            "the other VIPs carry on",
        ),
        whole(
            "FLT-006",
            "faults",
            "NBU-FLT-006",
            false,
            "Management tokens expire mid-job",
            "the job succeeds",
        ),
        whole(
            "FLT-007",
            "faults",
            "NBU-FLT-007",
            false,
            "One internal error for each kind of request",
            "the jobs succeed",
        ),
        whole(
            "FLT-008",
            "faults",
            "NBU-FLT-008",
            true,
            "Every VIP corrupts downloads for a while",
            "the restore fails with 85 and no wrong byte comes back; afterwards all is well",
        ),
        whole(
            "DUP-001",
            "duplicate",
            "NBU-DUP-001",
            true,
            "Optimized duplication by whole images",
            "no data through the media server; copy 2 restores byte-identical after copy 1 is expired",
        )
        .claimed("copy_image"),
        whole(
            "DUP-002",
            "duplicate",
            "NBU-DUP-002",
            false,
            "Optimized duplication by extents of 256 KiB",
            "no data through the media server; copy 2 restores byte-identical after copy 1 is expired",
        )
        .claimed("copy_extent"),
        whole(
            "DUP-003",
            "duplicate",
            "NBU-DUP-003",
            true,
            "Normal duplication where the storage server copies nothing",
            "one bptm reads and another writes, with other fragments; the copy restores byte-identical",
        ),
        whole(
            "DUP-004",
            "duplicate",
            "NBU-DUP-004",
            false,
            "A duplication that must be optimized and cannot be",
            "status 191, the reason in the job details, nothing on the target",
        ),
        whole(
            "DUP-005",
            "duplicate",
            "NBU-DUP-005",
            false,
            "A duplication whose target fills up",
            "status 191, nothing on the target, copy 1 as it was, optimized or not",
        ),
        whole(
            "SYN-001",
            "synthetic",
            "NBU-SYN-001",
            true,
            "Optimized synthetic full backup",
            "no data through the media server; it restores as the client was, also when its components are gone",
        )
        .claimed("include"),
        whole(
            "SYN-002",
            "synthetic",
            "NBU-SYN-002",
            true,
            "Normal synthetic full backup where the storage server includes nothing",
            "a full, differential and cumulative backup become the client's state through two bptm",
        ),
        whole(
            "SYN-003",
            "synthetic",
            "NBU-SYN-003",
            false,
            "Synthetic full backups on top of each other",
            "status 607 without an incremental backup; pieces of pieces restore byte-identical",
        )
        .claimed("include"),
        whole(
            "ACC-001",
            "accelerator",
            "NBU-ACC-001",
            true,
            "Accelerated full backups",
            "changed blocks only go through the media server; it restores as the client is, also when its base is gone",
        )
        .claimed("include"),
        whole(
            "ACC-002",
            "accelerator",
            "NBU-ACC-002",
            false,
            "An accelerated backup whose base is lost",
            "a full backup with status 0 that says why, and the base of the next one",
        )
        .claimed("include"),
        whole(
            "ABI-001",
            "abi",
            "NBU-ABI-001",
            true,
            "A write that fails ends the backup with 84",
            "the place of the error decides the status, and nothing is left",
        ),
        whole(
            "ABI-002",
            "abi",
            "NBU-ABI-002",
            true,
            "A short write is gone on with",
            "the host gives the rest again, and the data is identical",
        ),
        whole(
            "ABI-003",
            "abi",
            "NBU-ABI-003",
            false,
            "A read that fails ends the restore with 85",
            "no wrong byte comes back, and the next restore is whole",
        ),
        whole(
            "ABI-004",
            "abi",
            "NBU-ABI-004",
            false,
            "A close that fails ends the backup with 87",
            "the fragments that were complete are removed again",
        ),
        whole(
            "ABI-005",
            "abi",
            "NBU-ABI-005",
            false,
            "A write that never returns is ended by the timeout",
            "status 41, bptm killed, what it had created removed",
        ),
        whole(
            "ABI-006",
            "abi",
            "NBU-ABI-006",
            false,
            "A close that never returns does not hold up a cancel",
            "status 150 in bounded time, nothing left",
        ),
        whole(
            "ABI-007",
            "abi",
            "NBU-ABI-007",
            false,
            "An image that is busy is deleted at the next clean-up",
            "the clean-up ends with 1 and forgets nothing",
        ),
        whole(
            "ABI-008",
            "abi",
            "NBU-ABI-008",
            true,
            "A plug-in that takes bptm down leaves nothing",
            "status 82, another process removes the images, the next backup is whole",
        ),
        whole(
            "ABI-009",
            "abi",
            "NBU-ABI-009",
            false,
            "A handle that the plug-in does not know fails the write",
            "status 84 and nothing left",
        ),
        whole(
            "JOB-001",
            "jobs",
            "NBU-JOB-001",
            true,
            "bptm is killed in its second fragment",
            "the next try, under the same id, meets nothing of the first and succeeds",
        ),
        whole(
            "JOB-002",
            "jobs",
            "NBU-JOB-002",
            true,
            "A media server dies in the middle of a backup",
            "another one makes it again, and the first, back again, reads it",
        ),
        whole(
            "JOB-003",
            "jobs",
            "NBU-JOB-003",
            false,
            "The primary is killed in the middle of a backup",
            "the next try meets nothing of the first and succeeds",
        ),
        whole(
            "JOB-004",
            "jobs",
            "NBU-JOB-004",
            false,
            "A week of nightly schedules",
            "every night's backup restores byte-identical",
        ),
        whole(
            "JOB-005",
            "jobs",
            "NBU-JOB-005",
            false,
            "Storage unit groups pass over what is down",
            "backups go where there is storage, or end with 2074 and say why",
        ),
        whole(
            "JOB-006",
            "jobs",
            "NBU-JOB-006",
            true,
            "A disk volume above its high water mark gets no backup",
            "what the plug-in says of its LSUs decides where backups go",
        ),
        whole(
            "JOB-007",
            "jobs",
            "NBU-JOB-007",
            false,
            "The operator suspends, resumes, cancels and restarts backups",
            "each ends as the Activity Monitor says, and what was made restores byte-identical",
        ),
        whole(
            "JOB-008",
            "jobs",
            "NBU-JOB-008",
            true,
            "A paused media server comes back when another one has made its backup",
            "what the stale writer does touches nothing of the new image",
        ),
        whole(
            "CON-001",
            "concurrency",
            "NBU-CON-001",
            false,
            "256 streams at once",
            "as many processes with a copy of the plug-in each, and every stream restores byte-identical",
        ),
        // Last, so that they see all scenarios.
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
            Proof::Leaks(&[LeakKind::Process]),
        ),
        mandatory(
            "RES-004",
            "resources",
            "No shared memory outlives its job",
            "System V segments and files in /dev/shm are as before",
            Proof::Leaks(&[LeakKind::SharedMemory]),
        ),
        mandatory(
            "RES-005",
            "resources",
            "The harness itself leaves no descriptor and no thread",
            "what is counted in the other checks is not the harness's own",
            Proof::Leaks(&[LeakKind::Descriptor, LeakKind::Thread]),
        ),
    ];
    ALL
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
    fn a_pattern_is_the_beginning_of_an_id_or_a_group() {
        let count =
            |pattern: &str| catalogue().iter().filter(|check| check.matches(&[pattern.into()])).count();
        assert_eq!(count("FLT-00"), 8);
        assert_eq!(count("faults"), 8);
        assert_eq!(count("nothing"), 0);
    }
}
