//! The numbers of `bpdbjobs`: job types, states, operations, subtypes, schedule types and policy types.
//!
//! The numbers are those that public reporting portals read from NetBackup 8.x. The journal and Rust code use the
//! names; the numbers appear only where a command prints them.

use serde::{Deserialize, Serialize};

/// An enum whose variants have a number and the words that people read.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$mark:meta])* $variant:ident = $code:literal, $words:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $(#[doc = concat!($words, ": ", stringify!($code), ".")] $(#[$mark])* $variant,)+
        }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number that commands print.
            pub const fn code(self) -> i32 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The words that people read.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)+ }
            }

            /// The one with a number; `None` for a number that is not in the table.
            pub fn from_code(code: i32) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.code() == code)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.words())
            }
        }
    };
}

codes! {
    /// What a job is for (`jobtype`).
    #[derive(Default)]
    JobType {
        #[default]
        Backup = 0, "Backup";
        Archive = 1, "Archive";
        Restore = 2, "Restore";
        Verify = 3, "Verify";
        Duplication = 4, "Duplication";
        Import = 5, "Import";
        CatalogBackup = 6, "Catalog Backup";
        ImageCleanup = 17, "Image Cleanup";
        Replication = 20, "Replication";
        ReplicationImport = 21, "Replication Import";
        BackupFromSnapshot = 22, "Backup From Snapshot";
        Snapshot = 28, "Snapshot";
    }
}

codes! {
    /// Where a job stands (`state`). Incomplete: failed behind a checkpoint that it can be resumed at.
    #[derive(Default, schemars::JsonSchema)]
    JobState {
        #[default]
        Queued = 0, "Queued";
        Active = 1, "Active";
        Requeued = 2, "Waiting for Retry";
        Done = 3, "Done";
        Suspended = 4, "Suspended";
        Incomplete = 5, "Incomplete";
    }
}

codes! {
    /// What an active job is doing (`operation`).
    #[derive(schemars::JsonSchema)]
    Operation {
        Mount = 0, "Mounting";
        Position = 1, "Positioning";
        Connect = 2, "Connecting";
        Write = 3, "Writing";
        ChooseImage = 4, "Choosing Images";
        DuplicateImage = 5, "Duplicating Image";
        ChooseMedia = 6, "Choosing Media";
        Catalog = 7, "Cataloging";
        Read = 10, "Reading";
        Duplicate = 11, "Duplicating";
        Import = 12, "Importing";
        Verify = 13, "Verifying";
        Restore = 14, "Restoring";
        QueryDatabase = 19, "Querying Database";
        ProcessExtents = 20, "Processing Extents";
        OrganizeReaders = 21, "Organizing Readers";
        CreateSnapshot = 22, "Creating Snapshot";
        DeleteSnapshot = 23, "Deleting Snapshot";
        RequestResources = 26, "Requesting Job Resources";
        ParentJob = 27, "Parent Job";
        DuplicateToRemote = 29, "Duplicating to Remote Master";
        Running = 30, "Running";
    }
}

codes! {
    /// Who asked for a job (`subtype`).
    #[derive(Default)]
    Subtype {
        #[default]
        Immediate = 0, "Immediate";
        Scheduled = 1, "Scheduled";
        User = 2, "User Initiated";
        DatabaseStaging = 5, "Database Staging";
    }
}

codes! {
    /// The kind of a schedule (`schedtype`).
    #[derive(Default)]
    ScheduleType {
        #[default]
        Full = 0, "Full Backup";
        DifferentialIncremental = 1, "Differential Incremental";
        UserBackup = 2, "User Backup";
        UserArchive = 3, "User Archive";
        CumulativeIncremental = 4, "Cumulative Incremental";
        TransactionLog = 5, "Transaction Log";
    }
}

codes! {
    /// The kind of a policy (`classtype`).
    #[derive(Default)]
    PolicyType {
        #[default]
        Standard = 0, "Standard";
        MsWindows = 13, "MS-Windows";
        Ndmp = 19, "NDMP";
        FlashBackup = 20, "FlashBackup";
        FlashBackupWindows = 29, "FlashBackup-Windows";
        NbuCatalog = 35, "NBU-Catalog";
        Generic = 36, "Generic";
        Vmware = 40, "VMware";
        HyperV = 41, "Hyper-V";
        BigData = 44, "BigData";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_that_of_one_name() {
        fn check<T: Copy + PartialEq + std::fmt::Debug>(
            all: &[T],
            code: impl Fn(T) -> i32,
            back: impl Fn(i32) -> Option<T>,
        ) {
            assert!(all.windows(2).all(|pair| code(pair[0]) < code(pair[1])), "{all:?}");
            assert!(all.iter().all(|one| back(code(*one)) == Some(*one)), "{all:?}");
            assert_eq!(back(-1), None);
        }
        check(JobType::ALL, JobType::code, JobType::from_code);
        check(JobState::ALL, JobState::code, JobState::from_code);
        check(Operation::ALL, Operation::code, Operation::from_code);
        check(Subtype::ALL, Subtype::code, Subtype::from_code);
        check(ScheduleType::ALL, ScheduleType::code, ScheduleType::from_code);
        check(PolicyType::ALL, PolicyType::code, PolicyType::from_code);
        assert_eq!(JobType::from_code(17), Some(JobType::ImageCleanup));
        assert_eq!(JobState::Done.code(), 3);
    }
}
