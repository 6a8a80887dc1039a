//! Checks of jobs: schedules, tries, limits, servers that die and come back, many at once.

use super::{Check, whole};

pub(super) const CHECKS: &[Check] = &[
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
];
