//! Checks of imports, locks, replication to another domain, checkpoints and data of several generations.

use super::{Check, whole};

pub(super) const CHECKS: &[Check] = &[
    whole(
        "IMP-001",
        "import",
        "NBU-IMP-001",
        true,
        "Import after the catalogue was lost",
        "every copy of every backup is found by its headers, and restores byte-identical",
    ),
    whole(
        "IMP-002",
        "import",
        "NBU-IMP-002",
        false,
        "Import of what is in the catalogue, and of an empty LSU",
        "statuses 191 around 1535, and 190; nothing changes",
    ),
    whole(
        "IMP-003",
        "import",
        "NBU-IMP-003",
        false,
        "Import of headers that cannot be read",
        "status 191 around 172, and success once they can",
    ),
    whole(
        "WRM-001",
        "worm",
        "NBU-WRM-001",
        true,
        "Locked images cannot be expired before their time",
        "image cleanup ends with 1 and names the error, the data stays; after the unlock time it goes",
    )
    .claimed("worm"),
    whole(
        "WRM-002",
        "worm",
        "NBU-WRM-002",
        false,
        "Locks outside the LSU's limits are refused",
        "status 88 with the plug-in's error; the backup exists, unlocked",
    )
    .claimed("worm"),
    whole(
        "WRM-003",
        "worm",
        "NBU-WRM-003",
        false,
        "Refused locks are tried again by image cleanup",
        "88 while they are refused; once they hold, the images cannot be expired before their time",
    )
    .claimed("worm"),
    // Needs events and image_set and replication_properties too.
    whole(
        "AIR-001",
        "replication",
        "NBU-AIR-001",
        true,
        "Replication to another domain, told by events",
        "the target imports from the events, once however often they come, and restores when the source is gone",
    )
    .claimed("async_copy"),
    // Needs events and image_set and replication_properties too.
    whole(
        "AIR-002",
        "replication",
        "NBU-AIR-002",
        false,
        "Replication without a target, import without an event",
        "statuses 191 around 2105, and 190",
    )
    .claimed("async_copy"),
    // Needs events and image_set and replication_properties too.
    whole(
        "AIR-003",
        "replication",
        "NBU-AIR-003",
        false,
        "Import and expiry of a replicated backup",
        "its catalogue image is found and goes with it",
    )
    .claimed("async_copy"),
    whole(
        "AIR-004",
        "replication",
        "NBU-AIR-004",
        true,
        "Backups are replicated to another cluster, and the first one goes down",
        "the target domain imports, verifies and restores them with its own cluster alone",
    )
    .claimed("async_copy"),
    whole(
        "CKP-001",
        "checkpoint",
        "NBU-CKP-001",
        true,
        "A backup that failed goes on from its last checkpoint",
        "fragments that were complete stay, the next ones join them, and the whole restores byte-identical",
    ),
    whole(
        "CKP-002",
        "checkpoint",
        "NBU-CKP-002",
        false,
        "A suspended backup is resumed, and not with another buffer size",
        "statuses 157 and 163; nothing before the checkpoint is written again",
    ),
    whole(
        "CKP-003",
        "checkpoint",
        "NBU-CKP-003",
        false,
        "A backup with checkpoints by time",
        "several of them end fragments before the suspend; the resumed backup writes no more than what is behind the last",
    ),
    whole(
        "CKP-004",
        "checkpoint",
        "NBU-CKP-004",
        false,
        "A suspended restore is resumed",
        "statuses 157 and 0 under one job id; nothing before the checkpoint is read again, and all of it is as it was",
    ),
    whole(
        "TIR-001",
        "import",
        "NBU-TIR-001",
        false,
        "True image restore information beside the data",
        "it is duplicated and imported with its backup, and a synthetic full backup is the client's state after an import",
    ),
    whole(
        "GEN-001",
        "generations",
        "NBU-GEN-001",
        false,
        "Data that compresses, deduplicates, changes and goes",
        "accelerated, incremental and synthetic backups of three generations restore byte-identical",
    )
    .claimed("include"),
];
