//! The catalogue of checks. Ids are stable: a check that goes leaves its number unused.

use super::probes::{self, Seen};

/// How a check is proven.
#[derive(Debug, Clone, Copy)]
pub enum Proof {
    /// By what the plug-in answers to `bpstsinfo`, compared with what the cluster says of itself.
    Answers(fn(&Seen) -> Result<String, String>),
    /// By findings of a scenario: these aspects of its expectations, or all of them when none is named.
    Scenario {
        /// The scenario's id.
        id: &'static str,
        /// Aspects, as [`crate::judge::Finding::aspect`] has them.
        aspects: &'static [&'static str],
    },
    /// By a backup with something in place of the plug-in.
    NotAPlugin(probes::Substitute),
}

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Stable id.
    pub id: &'static str,
    /// Its group.
    pub group: &'static str,
    /// One line.
    pub title: &'static str,
    /// What a pass proves.
    pub proves: &'static str,
    /// Whether `--quick` runs it too.
    pub quick: bool,
    /// How.
    pub proof: Proof,
}

impl Check {
    /// Whether a pattern is the beginning of its id or group; no pattern matches everything.
    pub fn matches(&self, patterns: &[String]) -> bool {
        patterns.is_empty()
            || patterns.iter().any(|p| self.id.starts_with(p.as_str()) || self.group.starts_with(p.as_str()))
    }
}

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
);

const fn answers(
    id: &'static str,
    group: &'static str,
    title: &'static str,
    proves: &'static str,
    probe: fn(&Seen) -> Result<String, String>,
) -> Check {
    Check { id, group, title, proves, quick: true, proof: Proof::Answers(probe) }
}

const fn of_main(
    id: &'static str,
    group: &'static str,
    title: &'static str,
    proves: &'static str,
    aspects: &'static [&'static str],
) -> Check {
    Check { id, group, title, proves, quick: true, proof: Proof::Scenario { id: "NBU-BKP-001", aspects } }
}

const fn whole(
    id: &'static str,
    group: &'static str,
    scenario: &'static str,
    quick: bool,
    title: &'static str,
    proves: &'static str,
) -> Check {
    Check { id, group, title, proves, quick, proof: Proof::Scenario { id: scenario, aspects: &[] } }
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
        Check {
            id: "LOD-005",
            group: "load",
            title: "A missing plug-in fails the job with its path",
            proves: "status 11, the path in the job details, nothing stored",
            quick: true,
            proof: Proof::NotAPlugin(probes::Substitute::Missing),
        },
        Check {
            id: "LOD-006",
            group: "load",
            title: "A library that is no plug-in fails the job with what it lacks",
            proves: "status 11, the missing symbol in the job details, nothing stored",
            quick: true,
            proof: Proof::NotAPlugin(probes::Substitute::OtherLibrary),
        },
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
        // Needs the capability copy_image.
        whole(
            "DUP-001",
            "duplicate",
            "NBU-DUP-001",
            true,
            "Optimized duplication by whole images",
            "no data through the media server; copy 2 restores byte-identical after copy 1 is expired",
        ),
        // Needs the capability copy_extent.
        whole(
            "DUP-002",
            "duplicate",
            "NBU-DUP-002",
            false,
            "Optimized duplication by extents of 256 KiB",
            "no data through the media server; copy 2 restores byte-identical after copy 1 is expired",
        ),
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
        // Needs the capability include.
        whole(
            "SYN-001",
            "synthetic",
            "NBU-SYN-001",
            true,
            "Optimized synthetic full backup",
            "no data through the media server; it restores as the client was, also when its components are gone",
        ),
        whole(
            "SYN-002",
            "synthetic",
            "NBU-SYN-002",
            true,
            "Normal synthetic full backup where the storage server includes nothing",
            "a full, differential and cumulative backup become the client's state through two bptm",
        ),
        // Needs the capability include.
        whole(
            "SYN-003",
            "synthetic",
            "NBU-SYN-003",
            false,
            "Synthetic full backups on top of each other",
            "status 607 without an incremental backup; pieces of pieces restore byte-identical",
        ),
        // Needs the capability include.
        whole(
            "ACC-001",
            "accelerator",
            "NBU-ACC-001",
            true,
            "Accelerated full backups",
            "changed blocks only go through the media server; it restores as the client is, also when its base is gone",
        ),
        // Needs the capability include.
        whole(
            "ACC-002",
            "accelerator",
            "NBU-ACC-002",
            false,
            "An accelerated backup whose base is lost",
            "a full backup with status 0 that says why, and the base of the next one",
        ),
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
    fn a_pattern_is_the_beginning_of_an_id_or_a_group() {
        let count =
            |pattern: &str| catalogue().iter().filter(|check| check.matches(&[pattern.into()])).count();
        assert_eq!(count("FLT-00"), 8);
        assert_eq!(count("faults"), 8);
        assert_eq!(count("nothing"), 0);
    }
}
