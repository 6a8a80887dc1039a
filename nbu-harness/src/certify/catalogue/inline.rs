//! Checks of backups that make several copies at once.

use super::{Check, whole};

pub(super) const CHECKS: &[Check] = &[
    whole(
        "INL-001",
        "inline",
        "NBU-INL-001",
        true,
        "A backup that makes two copies at once",
        "one stream, a bptm for each copy; each restores byte-identical after the other is expired",
    ),
    whole(
        "INL-002",
        "inline",
        "NBU-INL-002",
        false,
        "One of two copies fails and the other is made",
        "status 1; the copy that was made is the primary one, nothing of the other is left",
    ),
    whole(
        "INL-003",
        "inline",
        "NBU-INL-003",
        false,
        "One of two copies fails and all are to fail with it",
        "the status of the failed copy, nothing is left of either; with room both are made",
    ),
    whole(
        "INL-004",
        "inline",
        "NBU-INL-004",
        false,
        "The bptm of one of two copies is killed",
        "status 1; bpdm deletes what it made, the other copy restores byte-identical",
    ),
    whole(
        "INL-005",
        "inline",
        "NBU-INL-005",
        false,
        "Two copies and one disk volume",
        "status 2086 and nothing written; with two volumes in the pool each takes a copy",
    ),
];
