//! The checks of the flows behind a backup: copies, synthetic and accelerated backups, imports, locks, replication. What a
//! check needs of the plug-in's capabilities is said above it.

use super::catalogue::{Check, whole};

/// In the order in which they are reported.
pub(super) const FLOWS: &[Check] = &[
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
    // Needs the capability worm.
    whole(
        "WRM-001",
        "worm",
        "NBU-WRM-001",
        true,
        "Locked images cannot be expired before their time",
        "image cleanup ends with 1 and names the error, the data stays; after the unlock time it goes",
    ),
    // Needs the capability worm.
    whole(
        "WRM-002",
        "worm",
        "NBU-WRM-002",
        false,
        "Locks outside the LSU's limits are refused",
        "status 88 with the plug-in's error; the backup exists, unlocked",
    ),
    // Needs the capability worm.
    whole(
        "WRM-003",
        "worm",
        "NBU-WRM-003",
        false,
        "Refused locks are tried again by image cleanup",
        "88 while they are refused; once they hold, the images cannot be expired before their time",
    ),
    // Needs the capabilities async_copy, events, image_set and replication_properties.
    whole(
        "AIR-001",
        "replication",
        "NBU-AIR-001",
        true,
        "Replication to another domain, told by events",
        "the target imports from the events, once however often they come, and restores when the source is gone",
    ),
    // Needs the capabilities async_copy, events, image_set and replication_properties.
    whole(
        "AIR-002",
        "replication",
        "NBU-AIR-002",
        false,
        "Replication without a target, import without an event",
        "statuses 191 around 2105, and 190",
    ),
    // Needs the capabilities async_copy, events, image_set and replication_properties.
    whole(
        "AIR-003",
        "replication",
        "NBU-AIR-003",
        false,
        "Import and expiry of a replicated backup",
        "its catalogue image is found and goes with it",
    ),
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
    // Needs the capability include.
    whole(
        "GEN-001",
        "generations",
        "NBU-GEN-001",
        false,
        "Data that compresses, deduplicates, changes and goes",
        "accelerated, incremental and synthetic backups of three generations restore byte-identical",
    ),
];
