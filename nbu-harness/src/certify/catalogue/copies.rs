//! Checks of what makes images of images: duplication, synthetic and accelerated backups.

use super::{Check, whole};

pub(super) const CHECKS: &[Check] = &[
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
];
