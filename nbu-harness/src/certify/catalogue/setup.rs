//! Checks of a domain's set-up: commands, versions, credentials, clocks.

use super::{Check, whole};

pub(super) const CHECKS: &[Check] = &[
    whole(
        "SET-001",
        "setup",
        "NBU-SET-001",
        true,
        "NetBackup's commands set up storage servers, credentials, disk pools, units and a group",
        "what the plug-in says of itself and its LSUs is enough for backups to go where they should",
    ),
    whole(
        "SET-002",
        "setup",
        "NBU-SET-002",
        true,
        "Two versions of the plug-in beside each other",
        "each reads what the other wrote, and what the older one lacks its media server does without",
    ),
    whole(
        "SET-003",
        "setup",
        "NBU-SET-003",
        true,
        "A media server's plug-in is upgraded, and nbdevconfig -updatests asks it",
        "the new attributes are those of the storage server and its pools, and jobs use them",
    ),
    whole(
        "SET-004",
        "setup",
        "NBU-SET-004",
        true,
        "The storage server's password is changed in the middle of a backup",
        "jobs are refused with 83 until tpconfig -update, the backup's next try succeeds, and nothing is left over",
    ),
    whole(
        "SET-005",
        "setup",
        "NBU-SET-005",
        true,
        "Clocks that differ: of media servers by 40 minutes, and the cluster's jumps by 20 in the middle of backups",
        "what S3 refuses as too skewed is signed anew by the cluster's time, and no image is lost or taken over",
    ),
];
