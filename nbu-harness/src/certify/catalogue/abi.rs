//! Checks of calls of the plug-in that go wrong.

use super::{Check, whole};

pub(super) const CHECKS: &[Check] = &[
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
