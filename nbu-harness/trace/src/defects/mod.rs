//! Plug-ins that do exactly one thing wrong: what a defect is, and what it makes a plug-in do. [`DEFECTS`] has them, each for a
//! check of the certification that must find it.
//!
//! The wrapping plug-in does the deed; the harness's `prove` runs the check, which must fail and must say why.

mod table;

pub use table::DEFECTS;

use crate::orders::FaultEffect;

/// What the plug-in does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A fault as orders have it; `STS_EOK` as an error means that it says it did what it did not.
    Fault {
        /// Entry point.
        call: &'static str,
        /// What happens.
        effect: FaultEffect,
        /// Calls left alone first.
        skip: u64,
        /// Calls hit.
        times: u64,
        /// Only in this process.
        process: Option<&'static str>,
    },
    /// It answers one code where it should answer another; without a call, everywhere.
    Mistakes {
        /// Entry point.
        call: Option<&'static str>,
        /// The right code.
        right: i32,
        /// What it answers.
        wrong: i32,
    },
    /// It reads its configuration with these keys replaced: key, and the whole line that stands for it.
    Configured(&'static [(&'static str, &'static str)]),
    /// Something that needs code of its own.
    Own(Own),
}

/// Deeds with code of their own in the wrapping plug-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// Has no name.
    Nameless,
    /// Takes any interface version.
    AnyVersion,
    /// Does not say which thread model it has.
    NoThreadModel,
    /// Has other flags by name than by handle.
    FlagsByName,
    /// Lists the last LSU twice.
    ListsTwice,
    /// Says half of the capacity.
    HalfCapacity,
    /// Says a byte more than is used.
    OneMoreUsed,
    /// Writes zeros in place of one block of each image's third buffer.
    LosesABlock,
    /// Refuses writes of more than 1 MiB.
    SmallWritesOnly,
    /// Forgets everything when the process forks.
    LostByFork,
    /// Logs nothing.
    Mute,
    /// Says that it wrote all, whatever it wrote.
    SaysAllWritten,
    /// Takes more than a GiB of memory.
    Hoards,
    /// Makes an image only when no other process has one open: it waits.
    OneImageAtATime,
    /// Has the process's id in its label.
    Moody,
    /// Claims no capability, and keeps its flags.
    ClaimsNothing,
    /// Claims a capability, by its name in the interface's table, by handle and not by name.
    NotByName(&'static str),
    /// Claims that it copies images, without the flag.
    NoCopyFlag,
    /// Claims events, without the flags.
    NoEventFlags,
    /// Says that nothing is used.
    NothingUsed,
    /// Opens a file at each server and never closes it.
    LeavesDescriptors,
    /// Starts a thread at each server that never ends.
    LeavesThreads,
    /// Starts a process at each image that it creates, which does not end.
    LeavesProcesses,
    /// Makes shared memory when it creates an image and does not remove it.
    LeavesSharedMemory,
    /// Includes ranges that begin a block before those that it is told.
    IncludesElsewhere,
    /// Lists images of true image restore information under other names.
    RenamesTir,
    /// Says that every LSU has a replication target.
    ClaimsATarget,
    /// Tells of replicated images without the storage lifecycle policy that they are of.
    ForgetsThePolicy,
    /// Refuses to read what an older version of it wrote.
    RefusesOlder,
    /// Goes to the cluster of the first storage server in its configuration, whichever is opened.
    FirstClusterOnly,
    /// Writes zeros in place of one block of the third buffer of copies that are made at the same time as copy 1.
    LosesABlockBesideCopyOne,
    /// Says of every delete that it was done, and does nothing, once the process has met an LSU without room.
    KeepsWhenFull,
    /// Says so of what a process had open when it was killed.
    KeepsOfTheKilled,
}

/// A plug-in with one defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defect {
    /// Its name, for `NBU_SHIM_DEFECT`.
    pub name: &'static str,
    /// The check that must find it.
    pub check: &'static str,
    /// What the check's detail must say.
    pub says: &'static str,
    /// Other checks that find it too, and rightly.
    pub also: &'static [&'static str],
    /// The deed.
    pub deed: Deed,
}

/// The defect of a name.
pub fn named(name: &str) -> Option<&'static Defect> {
    DEFECTS.iter().find(|defect| defect.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_defect_has_its_own_name_and_check_and_a_reason() {
        let names: BTreeSet<_> = DEFECTS.iter().map(|defect| defect.name).collect();
        let checks: BTreeSet<_> = DEFECTS.iter().map(|defect| defect.check).collect();
        assert_eq!((names.len(), checks.len()), (DEFECTS.len(), DEFECTS.len()));
        for defect in DEFECTS {
            assert!(!defect.says.is_empty() && !defect.also.contains(&defect.check), "{}", defect.name);
            if let Deed::Fault { call, .. } = defect.deed {
                assert!(ost_abi::ENTRY_POINTS.contains(&call), "{}", defect.name);
            }
        }
        assert_eq!(named("hoards").map(|defect| defect.check), Some("BKP-005"));
        assert_eq!(named("perfect"), None);
    }
}
