//! NetBackup statuses: their texts, and the table that turns "what failed where" into one.
//!
//! A status says where something happened more than what it was. The table is data: [`StatusRule`]s given with the
//! installation come first, then the built-in ones.

use serde::{Deserialize, Serialize};

/// The statuses that jobs end with here.
pub(crate) mod code {
    pub(crate) const OK: i32 = 0;
    pub(crate) const PARTIAL: i32 = 1;
    pub(crate) const NOTHING_RESTORED: i32 = 5;
    pub(crate) const SYSTEM_CALL: i32 = 11;
    pub(crate) const FILE_READ: i32 = 13;
    pub(crate) const FILE_WRITE: i32 = 14;
    pub(crate) const INVALID_PARAMETER: i32 = 20;
    pub(crate) const SOCKET_READ: i32 = 23;
    pub(crate) const SOCKET_WRITE: i32 = 24;
    pub(crate) const CANNOT_CONNECT: i32 = 25;
    pub(crate) const HANDSHAKE: i32 = 26;
    pub(crate) const CONNECTION_BROKEN: i32 = 40;
    pub(crate) const TIMED_OUT: i32 = 41;
    pub(crate) const CLIENT_ABORTED: i32 = 50;
    pub(crate) const MEDIA_MANAGER_KILLED: i32 = 82;
    pub(crate) const MEDIA_OPEN: i32 = 83;
    pub(crate) const MEDIA_WRITE: i32 = 84;
    pub(crate) const MEDIA_READ: i32 = 85;
    pub(crate) const MEDIA_POSITION: i32 = 86;
    pub(crate) const MEDIA_CLOSE: i32 = 87;
    pub(crate) const WORM_LOCK: i32 = 88;
    pub(crate) const SHARED_MEMORY: i32 = 89;
    pub(crate) const NO_DATA: i32 = 90;
    pub(crate) const NOT_TAR: i32 = 92;
    pub(crate) const STORAGE_UNIT_FULL: i32 = 129;
    pub(crate) const CANCELLED: i32 = 150;
    pub(crate) const BLOCK_SIZE_CHANGED: i32 = 163;
    pub(crate) const DISK_FULL: i32 = 155;
    pub(crate) const SUSPENDED: i32 = 157;
    pub(crate) const NO_FRAGMENTS: i32 = 165;
    pub(crate) const MEDIA_MANAGER_ERROR: i32 = 174;
    pub(crate) const NOT_ALL_RESTORED: i32 = 175;
    pub(crate) const TAR_INVALID_ARCHIVE: i32 = 183;
    pub(crate) const TIR_PRUNED: i32 = 136;
    pub(crate) const MEDIA_HEADER: i32 = 172;
    pub(crate) const BACKUP_HEADER: i32 = 173;
    pub(crate) const NO_IMAGES_FOUND: i32 = 190;
    pub(crate) const INCONSISTENT: i32 = 229;
    pub(crate) const NO_IMAGES_PROCESSED: i32 = 191;
    pub(crate) const NO_ENTITY: i32 = 227;
    pub(crate) const NOTHING_TO_SYNTHESIZE: i32 = 607;
    pub(crate) const SYNTHETIC_INVALID: i32 = 647;
    pub(crate) const IMAGE_CONFLICT: i32 = 1535;
    pub(crate) const COPIES_ON_ONE_VOLUME: i32 = 2086;
    pub(crate) const NOT_REPLICATION_CAPABLE: i32 = 2105;
}

/// Texts as NetBackup prints them.
const TEXTS: &[(i32, &str)] = &[
    (0, "the requested operation was successfully completed"),
    (1, "the requested operation was partially successful"),
    (2, "none of the requested files were backed up"),
    (5, "the restore failed to recover the requested files"),
    (6, "the backup failed to back up the requested files"),
    (11, "system call failed"),
    (13, "file read failed"),
    (14, "file write failed"),
    (20, "invalid command parameter"),
    (23, "socket read failed"),
    (24, "socket write failed"),
    (25, "cannot connect on socket"),
    (26, "client/server handshaking failed"),
    (27, "child process killed by signal"),
    (40, "network connection broken"),
    (41, "network connection timed out"),
    (42, "network read failed"),
    (44, "network write failed"),
    (50, "client process aborted"),
    (63, "process was killed by a signal"),
    (71, "none of the files in the file list exist"),
    (82, "media manager killed by signal"),
    (83, "media open error"),
    (84, "media write error"),
    (85, "media read error"),
    (86, "media position error"),
    (87, "media close error"),
    (88, "OpenStorage WORM lock error"),
    (89, "problems encountered during setup of shared memory"),
    (90, "media manager received no data for backup image"),
    (92, "media manager detected image that was not in tar format"),
    (129, "Disk storage unit is full"),
    (130, "system error occurred"),
    (136, "tir info was pruned from the image file"),
    (150, "termination requested by administrator"),
    (155, "disk is full"),
    (157, "suspend requested by administrator"),
    (163, "media block size changed prior resume"),
    (165, "NB image database contains no image fragments for requested backup id/copy number"),
    (172, "cannot read media header, may not be NetBackup media or is corrupted"),
    (173, "cannot read backup header, may not be NetBackup media or is corrupted"),
    (174, "media manager - system error occurred"),
    (175, "not all requested files were restored"),
    (183, "tar received an invalid archive"),
    (185, "tar did not find all the files to be restored"),
    (190, "found no images or media matching the selection criteria"),
    (191, "no images were successfully processed"),
    (196, "client backup was not attempted because backup window closed"),
    (213, "no storage units available for use"),
    (226, "the entity already exists"),
    (227, "no entity was found"),
    (228, "unable to process request"),
    (229, "events out of sequence - image inconsistency"),
    (252, "extended error status has been encountered, check detailed status"),
    (607, "no images were found to synthesize"),
    (609, "synthetic image reader failed"),
    (647, "validation of synthetic image failed"),
    (671, "query for list of component images failed"),
    // The words of these three are not verified.
    (1532, "import failed because the storage lifecycle policy name does not exist"),
    (1534, "import failed because the storage lifecycle policy has no import operation"),
    (1535, "backup id conflicts with an existing image"),
    (1573, "the image was not expired because its storage lifecycle policy is not complete"),
    (2027, "media server not active"),
    (2030, "insufficient disk space or high water mark would be exceeded"),
    (2073, "Disk pool is down"),
    (2074, "Disk volume is down"),
    (2086, "Disk volume cannot be used for more than one copy in the same job"),
    (2105, "Disk volume is not replication capable"),
    (2106, "Storage server is down or unavailable"),
    (2107, "Requested media server does not have credentials or is not configured for the storage server"),
];

/// NetBackup's text for a status; a status without one is said to have none.
pub fn status_text(status: i32) -> &'static str {
    TEXTS
        .iter()
        .find(|(code, _)| *code == status)
        .map_or("no text is known for this status", |(_, text)| text)
}

/// What bptm or bpdm was doing with the plug-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Loading and starting the library.
    Load,
    /// Opening or asking the storage server or LSU.
    OpenServer,
    /// Creating an image, or opening one.
    OpenImage,
    /// Writing.
    Write,
    /// Reading.
    Read,
    /// Reading at a position that the image does not have.
    Position,
    /// Closing an image.
    Close,
    /// Deleting an image.
    Delete,
    /// Copying an image, whole or by extent, on the storage.
    Copy,
    /// Locking an image.
    Lock,
    /// Copying an image to another domain.
    Replicate,
    /// Reading the event channel of an LSU.
    Events,
    /// Listing the images of an LSU.
    List,
    /// Including a range of another image in a new one.
    Include,
}

/// One line of the mapping from plug-in errors to NetBackup statuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRule {
    /// Where; `None` = anywhere.
    #[serde(default)]
    pub place: Option<Place>,
    /// Plug-in error (2060000 + n); `None` = any.
    #[serde(default)]
    pub error: Option<i32>,
    /// The NetBackup status it becomes.
    pub status: i32,
}

const fn rule(place: Option<Place>, error: Option<i32>, status: i32) -> StatusRule {
    StatusRule { place, error, status }
}

/// The built-in table, most specific first.
const BUILT_IN: &[StatusRule] = &[
    rule(None, Some(ost_abi::STS_ENOSPC), code::STORAGE_UNIT_FULL),
    rule(None, Some(ost_abi::STS_EABORT), code::CANCELLED),
    rule(Some(Place::Read), Some(ost_abi::STS_EOFFSET), code::MEDIA_POSITION),
    rule(Some(Place::Load), None, code::SYSTEM_CALL),
    rule(Some(Place::OpenServer), None, code::MEDIA_OPEN),
    rule(Some(Place::OpenImage), None, code::MEDIA_OPEN),
    rule(Some(Place::Write), None, code::MEDIA_WRITE),
    rule(Some(Place::Read), None, code::MEDIA_READ),
    rule(Some(Place::Position), None, code::MEDIA_POSITION),
    rule(Some(Place::Close), None, code::MEDIA_CLOSE),
    rule(Some(Place::Delete), None, code::PARTIAL),
    rule(Some(Place::Copy), None, code::MEDIA_WRITE),
    rule(Some(Place::Include), None, code::MEDIA_WRITE),
    rule(Some(Place::Lock), None, code::WORM_LOCK),
    rule(Some(Place::Replicate), None, code::MEDIA_WRITE),
    rule(Some(Place::Events), None, code::MEDIA_READ),
    rule(Some(Place::List), None, code::MEDIA_READ),
];

/// A status, and whether the table had a rule for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// The status.
    pub(crate) status: i32,
    /// False when the error is not in the interface's error table: the status is a guess and deserves a warning.
    pub(crate) known: bool,
}

/// The status for a plug-in error: `overrides` first, then the built-in table. A number that is no OST error at all
/// becomes 174 unless an override names it.
pub(crate) fn map_error(overrides: &[StatusRule], place: Place, error: i32) -> Mapped {
    let matches = |r: &&StatusRule| r.place.is_none_or(|p| p == place) && r.error.is_none_or(|e| e == error);
    if let Some(rule) = overrides.iter().find(matches) {
        return Mapped { status: rule.status, known: true };
    }
    if ost_abi::sts_error(error).is_none() {
        return Mapped { status: code::MEDIA_MANAGER_ERROR, known: false };
    }
    BUILT_IN.iter().find(matches).map_or(Mapped { status: code::MEDIA_MANAGER_ERROR, known: false }, |r| {
        Mapped { status: r.status, known: true }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_decides_and_a_full_lsu_is_full_everywhere() {
        let status = |place, error| map_error(&[], place, error).status;
        assert_eq!(status(Place::OpenServer, ost_abi::STS_EAUTH), 83);
        assert_eq!(status(Place::Write, ost_abi::STS_EPLUGIN), 84);
        assert_eq!(status(Place::Read, ost_abi::STS_ESOCKET), 85);
        assert_eq!(status(Place::Read, ost_abi::STS_EOFFSET), 86);
        assert_eq!(status(Place::Close, ost_abi::STS_EPLUGIN), 87);
        for place in [Place::OpenImage, Place::Write, Place::Close] {
            assert_eq!(status(place, ost_abi::STS_ENOSPC), 129);
        }
    }

    #[test]
    fn an_error_without_a_rule_is_174_and_says_so() {
        assert_eq!(map_error(&[], Place::Write, 227), Mapped { status: 174, known: false });
        assert_eq!(map_error(&[], Place::Write, -1), Mapped { status: 174, known: false });
    }

    #[test]
    fn given_rules_come_first() {
        let rules = [
            StatusRule { place: Some(Place::Write), error: Some(ost_abi::STS_ENOSPC), status: 84 },
            StatusRule { place: None, error: Some(227), status: 130 },
        ];
        assert_eq!(map_error(&rules, Place::Write, ost_abi::STS_ENOSPC).status, 84);
        assert_eq!(map_error(&rules, Place::Close, ost_abi::STS_ENOSPC).status, 129);
        assert_eq!(map_error(&rules, Place::Read, 227), Mapped { status: 130, known: true });
    }

    #[test]
    fn every_status_that_a_job_can_end_with_has_a_text() {
        for rule in BUILT_IN {
            assert_ne!(status_text(rule.status), status_text(-1), "{rule:?}");
        }
        assert_eq!(status_text(129), "Disk storage unit is full");
        assert!(TEXTS.windows(2).all(|w| w[0].0 < w[1].0), "in order, without repeats");
    }
}
