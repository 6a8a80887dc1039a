//! NetBackup's processes and the jobs that run them.
//!
//! A job is one call. The call plays nbjm: it starts the job's owner as an operating-system process, follows its messages
//! and returns a [`JobResult`] whatever happens. The owner is `bpbrm` for [`backup`] and [`restore`], `bpverify` for
//! [`verify`], `bpduplicate` for [`duplicate`] and [`lifecycle`], `bpsynth` for [`synthesize`], `bpimport` for [`import`] and
//! [`import_replicas`], `nbreplicate` for [`replicate`], and `nbdelete` for [`expire`] and [`cleanup`]. It starts the
//! others: `bpbkar` and `bptm` for a backup, `bptm` and `tar` for a restore, `bpdm` for deletes, locks and what the storage
//! copies, `nbrmms` for events. Every one of them is this program executed again, named so that `ps` shows NetBackup's
//! names; [`dispatch`] is their entry.
//!
//! Only `bptm`, `bpdm`, and what `nbrmms` starts to ask the storage for its state and events load the plug-in. The calls
//! block, may be made from several threads at once, and share nothing but the [`Catalog`], which lives in files under
//! [`Installation::work_dir`].
//!
//! The other side of the plug-in boundary is the provisional interface of the `ost-abi` crate: what runs here proves
//! behaviour, not binary compatibility with NetBackup.

mod bpbkar;
mod bpbrm;
mod bpdm;
mod bptm;
mod catalog;
mod data_socket;
mod frames;
mod held;
mod inline;
mod install;
mod interval;
mod job;
pub(crate) mod media_server;
pub(crate) mod order;
mod path_bytes;
mod plugin;
mod process;
mod request;
mod result;
mod status;
mod tar;
mod tar_stream;

pub(crate) use catalog::MissingCopy;
#[cfg(test)]
pub(crate) use catalog::sample;
pub use catalog::{Catalog, CatalogError, CopyRecord, FileKind, FileRecord, FragmentRecord, ImageRecord};
pub(crate) use data_socket::widen;
pub use held::Footprint;
pub(crate) use held::Held;
pub use inline::{InlineCopies, MAX_INLINE_COPIES, OnCopyFailure};
pub use install::{DataBuffers, ForkPoint, Installation, StorageUnit, Timeouts};
pub use interval::CheckpointEvery;
pub(crate) use job::run_on;
pub use job::{
    backup, cleanup, duplicate, expire, import, import_replicas, lifecycle, replicate, restore, synthesize,
    verify,
};
pub use path_bytes::PathBytes;
pub(crate) use plugin::{Library, library_file};
pub(crate) use process::Running;
pub use process::dispatch;
pub(crate) use process::link::{Link, LinkError};
pub(crate) use process::os::{die_with_starter, take_stdio, termination_signals, wait_readable};
pub use request::{
    Accelerator, BackupRequest, CleanupRequest, DuplicateMethod, DuplicateRequest, ExpireRequest, FallBack,
    HeaderOrder, ImportPhase, ImportRequest, LifecycleCopy, LifecycleRequest, MultiplexGroup,
    ReplicaImportRequest, ReplicateRequest, RestoreRequest, ScheduleType, Selection, Source,
    SyntheticRequest, VerifyRequest, backup_id,
};
pub use result::{
    BadRange, BufferWaits, JobControl, JobEvent, JobKind, JobResult, JobState, Operation, ProcessRecord,
    StsFailure, WaitDelay, Warning,
};
pub use status::{Place, StatusRule, status_text};
