//! The defects: one for each check that a plug-in can make fail.

use super::{Deed, Defect, Own};
use crate::orders::FaultEffect;
use ost_abi::{
    STS_EACCESS, STS_EAUTH, STS_EBUSY, STS_ENOENT, STS_ENOSPC, STS_EOK, STS_EPLUGIN, STS_ESOCKET,
    STS_EWORMMAX, STS_EWORMMIN,
};

/// For as long as the process lives.
const ALWAYS: u64 = u64::MAX;

const fn defect(name: &'static str, check: &'static str, says: &'static str, deed: Deed) -> Defect {
    Defect { name, check, says, also: &[], deed }
}

const fn own(name: &'static str, check: &'static str, says: &'static str, own: Own) -> Defect {
    defect(name, check, says, Deed::Own(own))
}

/// A capability that is claimed by handle only, which properties that should agree show as well.
const fn not_by_name(name: &'static str, check: &'static str, capability: &'static str) -> Defect {
    Defect { also: &["SRV-002"], ..own(name, check, "not by name", Own::NotByName(capability)) }
}

const fn always(call: &'static str, effect: FaultEffect) -> Deed {
    Deed::Fault { call, effect, skip: 0, times: ALWAYS, process: None }
}

const fn of_bptm(call: &'static str, effect: FaultEffect) -> Deed {
    Deed::Fault { call, effect, skip: 0, times: ALWAYS, process: Some("bptm") }
}

/// Says of every delete that it was done, and does nothing.
const PRETENDS_TO_DELETE: Deed = always("stspi_delete_image", FaultEffect::Error(STS_EOK));

/// The list of LSUs ends in an error where there are three of them; other checks have fewer.
const NEVER_ENDS_A_LIST_OF_THREE: Deed = Deed::Fault {
    call: "stspi_list_lsu",
    effect: FaultEffect::Error(STS_EPLUGIN),
    skip: 3,
    times: ALWAYS,
    process: None,
};

const fn once(call: &'static str, code: i32, skip: u64) -> Deed {
    Deed::Fault { call, effect: FaultEffect::Error(code), skip, times: 1, process: Some("bptm") }
}

/// Refuses everything that it shall write.
const REFUSES_WRITES: Deed = of_bptm("stspi_write_image", FaultEffect::Error(STS_EACCESS));

/// Reads with a wrong bit in all but the first two, which are those of the header and the first buffer.
const READS_WRONG: Deed = Deed::Fault {
    call: "stspi_read_image",
    effect: FaultEffect::Corrupt(80_000),
    skip: 2,
    times: ALWAYS,
    process: Some("bptm"),
};

/// One defect for each check of a plug-in. Those of a library that is none have no defect: `prove` puts a plug-in in its
/// place. It has a test that no check of the catalogue is without the one or the other.
pub const DEFECTS: &[Defect] = &[
    own("nameless", "LOD-001", "a name, version or type is missing", Own::Nameless),
    own("any-version", "LOD-002", "stspi_init with version 0: error 0", Own::AnyVersion),
    defect(
        "claims-everything",
        "LOD-003",
        "is not refused with STS_ECLAIM",
        always("stspi_claim", FaultEffect::Error(STS_EOK)),
    ),
    own("no-thread-model", "LOD-004", "thread model Some(0)", Own::NoThreadModel),
    defect(
        "server-stays-busy",
        "SRV-001",
        "stspi_close_server: error 2060005",
        always("stspi_close_server", FaultEffect::Error(STS_EBUSY)),
    ),
    own("flags-by-name", "SRV-002", "by handle", Own::FlagsByName),
    own("lists-twice", "SRV-003", "the cluster has", Own::ListsTwice),
    own("half-capacity", "SRV-004", "capacity Some(", Own::HalfCapacity),
    own("one-more-used", "SRV-005", "used Some(", Own::OneMoreUsed),
    Defect {
        also: &["ERR-003"],
        ..defect(
            "unknown-lsu-is-a-failure",
            "SRV-006",
            "error 2060046",
            Deed::Mistakes { call: Some("stspi_get_lsu_prop_byname"), right: STS_ENOENT, wrong: STS_EPLUGIN },
        )
    },
    defect(
        "wrong-password-is-a-failure",
        "SRV-007",
        "error 2060046",
        Deed::Mistakes { call: Some("stspi_open_server"), right: STS_EAUTH, wrong: STS_EPLUGIN },
    ),
    own("moody", "SRV-008", "the first time", Own::Moody),
    own("claims-nothing", "CAP-001", "is not claimed", Own::ClaimsNothing),
    not_by_name("checkpoint-not-by-name", "CAP-002", "checkpoint"),
    not_by_name("flush-not-by-name", "CAP-003", "flush"),
    not_by_name("random-write-not-by-name", "CAP-004", "random_write"),
    not_by_name("include-not-by-name", "CAP-005", "include"),
    not_by_name("copy-extent-not-by-name", "CAP-007", "copy_extent"),
    not_by_name("async-copy-not-by-name", "CAP-008", "async_copy"),
    not_by_name("named-async-copy-not-by-name", "CAP-009", "named_async_copy"),
    not_by_name("replication-properties-not-by-name", "CAP-011", "replication_properties"),
    not_by_name("image-set-not-by-name", "CAP-012", "image_set"),
    not_by_name("image-meta-not-by-name", "CAP-013", "image_meta"),
    not_by_name("label-not-by-name", "CAP-014", "label"),
    not_by_name("worm-not-by-name", "CAP-015", "worm"),
    own("no-copy-flag", "CAP-006", "are not set", Own::NoCopyFlag),
    own("no-event-flags", "CAP-010", "are not set", Own::NoEventFlags),
    defect("sixth-write-fails", "BKP-001", "status 84", once("stspi_write_image", STS_EPLUGIN, 5)),
    defect("writes-nothing", "BKP-002", "no warning says so", REFUSES_WRITES),
    defect("moves-nothing", "BKP-004", "no job moved data", REFUSES_WRITES),
    defect("creates-nothing", "BKP-003", "expected == 6", once("stspi_create_image", STS_EACCESS, 0)),
    own("hoards", "BKP-005", "expected <= 1073741824", Own::Hoards),
    defect("one-vip", "BKP-006", ": 0", Deed::Configured(&[("vip_pool", "s3_endpoints = [\"127.0.0.11\"]")])),
    defect(
        "slow-delete",
        "BKP-007",
        "expected <= 8000",
        Deed::Fault {
            call: "stspi_delete_image",
            effect: FaultEffect::Delay(9000),
            skip: 0,
            times: 1,
            process: Some("bpdm"),
        },
    ),
    own("loses-a-block", "BKP-008", "data.restore", Own::LosesABlock),
    defect("many-writes-fail", "BKP-009", "status 84", once("stspi_write_image", STS_EPLUGIN, 500)),
    own("small-writes-only", "BKP-010", "status 84", Own::SmallWritesOnly),
    own("lost-by-fork", "BKP-011", "status 83", Own::LostByFork),
    defect("no-tls", "BKP-012", "status 83", Deed::Configured(&[("s3", "s3 = \"http\"")])),
    own("loses-a-block-of-main", "RST-001", "differences", Own::LosesABlock),
    defect("reads-wrong-single", "RST-002", "differences", READS_WRONG),
    defect(
        "reads-nothing",
        "RST-003",
        "nothing to measure",
        of_bptm("stspi_read_image", FaultEffect::Error(STS_EACCESS)),
    ),
    defect("keeps-expired", "EXP-001", "are left", PRETENDS_TO_DELETE),
    defect("keeps-what-retention-is-over", "EXP-002", "storage.empty", PRETENDS_TO_DELETE),
    defect("keeps-first-copies", "EXP-003", "storage.empty", PRETENDS_TO_DELETE),
    defect("relieves-nothing", "EXP-004", "jobs:", PRETENDS_TO_DELETE),
    defect("keeps-cancelled", "CAN-001", "storage.no_orphans", PRETENDS_TO_DELETE),
    defect(
        "cannot-delete-cancelled",
        "CAN-002",
        "storage.no_orphans",
        Deed::Fault {
            call: "stspi_delete_image",
            effect: FaultEffect::Error(STS_EBUSY),
            skip: 0,
            times: ALWAYS,
            process: None,
        },
    ),
    defect(
        "full-is-a-failure",
        "FUL-001",
        "with status 129: 0",
        Deed::Mistakes { call: None, right: STS_ENOSPC, wrong: STS_EPLUGIN },
    ),
    Defect {
        also: &["SRV-007"],
        ..defect(
            "wrong-password-is-full",
            "ERR-001",
            "status 129",
            Deed::Mistakes { call: Some("stspi_open_server"), right: STS_EAUTH, wrong: STS_ENOSPC },
        )
    },
    own("mute", "ERR-002", "do not say", Own::Mute),
    Defect {
        also: &["SRV-006"],
        ..defect(
            "unknown-lsu-is-full",
            "ERR-003",
            "status 129",
            Deed::Mistakes { call: Some("stspi_get_lsu_prop_byname"), right: STS_ENOENT, wrong: STS_ENOSPC },
        )
    },
    defect("gives-up-writing", "FLT-001", "status 84", once("stspi_write_image", STS_ESOCKET, 20)),
    defect("gives-up-closing", "FLT-002", "status 87", once("stspi_close_image", STS_ESOCKET, 1)),
    defect("leaves-what-was-repeated", "FLT-003", "storage.empty", PRETENDS_TO_DELETE),
    defect("passes-wrong-bytes", "FLT-004", "data.restore", READS_WRONG),
    defect(
        "only-the-vip-that-fails",
        "FLT-005",
        "status 8",
        Deed::Configured(&[("vip_pool", "s3_endpoints = [\"127.0.0.12\"]\ncall_timeout = 3")]),
    ),
    defect("does-not-log-in-again", "FLT-006", "status 83", once("stspi_get_lsu_prop_byname", STS_EAUTH, 1)),
    defect("gives-up-opening", "FLT-007", "status 83", once("stspi_open_image", STS_ESOCKET, 0)),
    defect("hands-on-wrong-bytes", "FLT-008", "came back with wrong bytes", READS_WRONG),
    defect("pretends-to-copy", "DUP-001", "jobs:", always("stspi_copy_image", FaultEffect::Error(STS_EOK))),
    defect(
        "cannot-copy-extents",
        "DUP-002",
        "(Duplicate",
        always("stspi_copy_extent", FaultEffect::Error(STS_EPLUGIN)),
    ),
    own("loses-a-block-of-copies", "DUP-003", "data.restore", Own::LosesABlock),
    defect("copies-what-is-disabled", "DUP-004", "(Duplicate", Deed::Configured(&[("disable", "")])),
    defect("keeps-half-copies", "DUP-005", "storage.no_orphans", PRETENDS_TO_DELETE),
    own("loses-a-block-beside-copy-one", "INL-001", "data.restore", Own::LosesABlockBesideCopyOne),
    own("keeps-the-copy-without-room", "INL-002", "storage.empty", Own::KeepsWhenFull),
    own("keeps-what-was-to-fail", "INL-003", "storage.no_orphans", Own::KeepsWhenFull),
    own("keeps-the-killed-copy", "INL-004", "storage.empty", Own::KeepsOfTheKilled),
    own("loses-a-block-on-the-second-volume", "INL-005", "data.restore", Own::LosesABlockBesideCopyOne),
    own("includes-elsewhere", "SYN-001", "data.restore", Own::IncludesElsewhere),
    defect("reads-wrong-components", "SYN-002", "data.restore", READS_WRONG),
    defect(
        "cannot-include",
        "SYN-003",
        "(Backup",
        always("stspi_include_in_image", FaultEffect::Error(STS_EPLUGIN)),
    ),
    own("includes-elsewhere-of-base", "ACC-001", "data.restore", Own::IncludesElsewhere),
    defect(
        "cannot-include-base",
        "ACC-002",
        "(Backup",
        always("stspi_include_in_image", FaultEffect::Error(STS_EPLUGIN)),
    ),
    own("loses-a-block-of-imported", "IMP-001", "data.restore", Own::LosesABlock),
    defect("keeps-what-was-imported", "IMP-002", "Import jobs with status 190: 0", PRETENDS_TO_DELETE),
    defect(
        "reads-wrong-headers",
        "IMP-003",
        "Import jobs with status 0: 0",
        always("stspi_read_image", FaultEffect::Corrupt(0)),
    ),
    defect(
        "pretends-to-lock",
        "WRM-001",
        "ImageCleanup jobs with status 1: 0",
        always("stspi_set_image_lock", FaultEffect::Error(STS_EOK)),
    ),
    defect(
        "pretends-to-lock-shortly",
        "WRM-002",
        "Backup jobs with status 88: 1",
        Deed::Mistakes { call: Some("stspi_set_image_lock"), right: STS_EWORMMIN, wrong: STS_EOK },
    ),
    defect(
        "refuses-every-lock",
        "WRM-003",
        "ImageCleanup jobs with status 88: 2",
        always("stspi_set_image_lock", FaultEffect::Error(STS_EWORMMAX)),
    ),
    defect(
        "tells-no-event",
        "AIR-001",
        "ReplicationImport jobs with status 0: 0",
        always("stspi_get_event", FaultEffect::Error(STS_ENOENT)),
    ),
    own("claims-a-target", "AIR-002", "Disk volume is not replication capable", Own::ClaimsATarget),
    defect("keeps-what-was-replicated", "AIR-003", "Import jobs with status 190: 0", PRETENDS_TO_DELETE),
    own("first-cluster-only", "AIR-004", "stspi_open_server failed", Own::FirstClusterOnly),
    own("loses-a-block-before-a-checkpoint", "CKP-001", "data.restore", Own::LosesABlock),
    defect("reads-wrong-after-resume", "CKP-002", "data.restore", READS_WRONG),
    own("loses-a-block-before-a-timed-checkpoint", "CKP-003", "data.restore", Own::LosesABlock),
    defect("reads-wrong-behind-a-suspend", "CKP-004", "data.restore", READS_WRONG),
    own("renames-true-image-restore-information", "TIR-001", "status 136", Own::RenamesTir),
    own("loses-a-block-of-generations", "GEN-001", "data.restore", Own::LosesABlock),
    defect("keeps-after-write-error", "ABI-001", "storage.no_orphans", PRETENDS_TO_DELETE),
    own("says-all-written", "ABI-002", "status 84", Own::SaysAllWritten),
    defect("reads-wrong-after-error", "ABI-003", "came back with wrong bytes", READS_WRONG),
    defect("keeps-after-close-error", "ABI-004", "storage.no_orphans", PRETENDS_TO_DELETE),
    defect("keeps-after-hang", "ABI-005", "storage.no_orphans", PRETENDS_TO_DELETE),
    defect("keeps-after-cancel", "ABI-006", "storage.no_orphans", PRETENDS_TO_DELETE),
    defect("keeps-busy", "ABI-007", "storage.empty", PRETENDS_TO_DELETE),
    defect("reads-wrong-after-crash", "ABI-008", "data.restore", READS_WRONG),
    defect("keeps-after-stale-handle", "ABI-009", "storage.no_orphans", PRETENDS_TO_DELETE),
    defect(
        "pretends-to-copy-by-policy",
        "SLP-001",
        "jobs:",
        always("stspi_copy_image", FaultEffect::Error(STS_EOK)),
    ),
    defect("keeps-half-copies-by-policy", "SLP-002", "storage.no_orphans", PRETENDS_TO_DELETE),
    own("forgets-the-policy", "SLP-003", "ReplicationImport jobs with status 0: 0", Own::ForgetsThePolicy),
    defect("keeps-copies-by-policy", "SLP-004", "storage.empty", PRETENDS_TO_DELETE),
    defect(
        "tells-no-event-by-policy",
        "SLP-005",
        "ReplicationImport jobs with status 1532: 0",
        always("stspi_get_event", FaultEffect::Error(STS_ENOENT)),
    ),
    defect("never-ends-the-list", "SET-001", "set_up", NEVER_ENDS_A_LIST_OF_THREE),
    own("refuses-older", "SET-002", "stspi_open_image", Own::RefusesOlder),
    own("claims-nothing-after-upgrade", "SET-003", "lacks the flag CopyImage", Own::ClaimsNothing),
    defect(
        "is-full-when-refused",
        "SET-004",
        "Backup jobs with status 0: 0",
        Deed::Mistakes { call: Some("stspi_get_lsu_prop_byname"), right: STS_EAUTH, wrong: STS_ENOSPC },
    ),
    defect("gives-up-when-skewed", "SET-005", "status 84", once("stspi_write_image", STS_EACCESS, 20)),
    defect("keeps-first-try", "JOB-001", "storage.empty", PRETENDS_TO_DELETE),
    defect("reads-wrong-elsewhere", "JOB-002", "data.restore", READS_WRONG),
    defect("keeps-after-primary", "JOB-003", "storage.empty", PRETENDS_TO_DELETE),
    defect("keeps-the-week", "JOB-004", "storage.empty", PRETENDS_TO_DELETE),
    defect("creates-nothing-in-groups", "JOB-005", "(Backup", once("stspi_create_image", STS_EACCESS, 0)),
    own("nothing-used", "JOB-006", "Backup jobs with status 0: 2", Own::NothingUsed),
    defect("keeps-cancelled-of-operator", "JOB-007", "storage.empty", PRETENDS_TO_DELETE),
    defect("reads-wrong-after-pause", "JOB-008", "data.restore", READS_WRONG),
    defect("keeps-after-the-only-try", "JOB-009", "storage.empty", PRETENDS_TO_DELETE),
    defect("keeps-after-an-outage", "JOB-010", "storage.empty", PRETENDS_TO_DELETE),
    defect(
        "writes-and-does-not-come-to-the-catalogue",
        "OPS-001",
        "operations: Connecting, Writing",
        once("stspi_create_image", STS_EACCESS, 0),
    ),
    defect("reads-wrong-of-many", "CON-001", "data.restore", READS_WRONG),
    own("one-image-at-a-time", "MPX-001", "Backup jobs with status 0: ", Own::OneImageAtATime),
    own("leaves-descriptors", "RES-001", "job ", Own::LeavesDescriptors),
    own("leaves-threads", "RES-002", "job ", Own::LeavesThreads),
    own("leaves-processes", "RES-003", "NBU-BKP-001: ", Own::LeavesProcesses),
    own("leaves-shared-memory", "RES-004", "NBU-BKP-001: /dev/shm/", Own::LeavesSharedMemory),
];
