//! What all jobs have in common as nbjm hands them to their owners: a type, an owner, an id, a place on storage.

use super::install::StorageUnit;
pub(crate) use super::process::message::JobRequest;
use super::request::BackupRequest;
use super::result::JobKind;
use crate::jobs_db::Operation;

impl JobRequest {
    /// Job type.
    pub(crate) const fn kind(&self) -> JobKind {
        match self {
            Self::Backup(_) | Self::Synthetic(_) => JobKind::Backup,
            Self::Restore(_) => JobKind::Restore,
            Self::Verify(_) => JobKind::Verify,
            Self::Expire(_) | Self::Cleanup(_) => JobKind::ImageCleanup,
            Self::Lifecycle(request) if request.replicates => JobKind::Replication,
            Self::Duplicate(_) | Self::Lifecycle(_) => JobKind::Duplicate,
            Self::Import(_) => JobKind::Import,
            Self::Replicate(_) => JobKind::Replication,
            Self::ImportReplicas(_) => JobKind::ReplicationImport,
        }
    }

    /// The process that owns the job.
    pub(crate) const fn owner(&self) -> &'static str {
        match self {
            Self::Backup(_) | Self::Restore(_) => "bpbrm",
            Self::Verify(_) => "bpverify",
            Self::Expire(_) | Self::Cleanup(_) => "nbdelete",
            Self::Lifecycle(request) if request.replicates => "nbreplicate",
            Self::Duplicate(_) | Self::Lifecycle(_) => "bpduplicate",
            Self::Import(_) | Self::ImportReplicas(_) => "bpimport",
            Self::Replicate(_) => "nbreplicate",
            Self::Synthetic(_) => "bpsynth",
        }
    }

    /// What the job does first; its owner says what comes after it.
    pub(crate) const fn operation(&self) -> Operation {
        match self {
            Self::Backup(_) | Self::Restore(_) => Operation::Connect,
            Self::Verify(_) => Operation::Verify,
            Self::Expire(_) | Self::Cleanup(_) => Operation::Running,
            Self::Lifecycle(request) if request.replicates => Operation::DuplicateToRemote,
            Self::Duplicate(_) | Self::Lifecycle(_) => Operation::Duplicate,
            Self::Import(_) | Self::ImportReplicas(_) => Operation::Import,
            Self::Replicate(_) => Operation::DuplicateToRemote,
            Self::Synthetic(_) => Operation::QueryDatabase,
        }
    }

    /// Whether nbstserv asked for it.
    pub(crate) const fn is_of_lifecycle(&self) -> bool {
        match self {
            Self::Lifecycle(_) => true,
            Self::ImportReplicas(request) => request.slp.is_some(),
            _ => false,
        }
    }

    /// Whether it makes a backup.
    pub(crate) const fn is_backup(&self) -> bool {
        matches!(self, Self::Backup(_))
    }

    /// Backup that it makes or works with.
    pub(crate) fn backup_id(&self) -> String {
        match self {
            Self::Backup(request) => request.backup_id(),
            Self::Restore(request) => request.backup_id.clone(),
            Self::Verify(request) => request.backup_id.clone(),
            Self::Expire(request) => request.backup_id.clone(),
            Self::Duplicate(request) => request.backup_id.clone(),
            // Decided when its components are known.
            Self::Synthetic(_) | Self::ImportReplicas(_) | Self::Cleanup(_) => String::new(),
            Self::Import(request) => request.backup_id().to_owned(),
            Self::Replicate(request) => request.backup_id.clone(),
            // A job of several backups is about none of them.
            Self::Lifecycle(request) => match request.backup_ids.as_slice() {
                [only] => only.clone(),
                _ => String::new(),
            },
        }
    }

    /// Gives a backup its time; other jobs have none.
    pub(crate) const fn set_backup_time(&mut self, time: u64) {
        if let Self::Backup(request) = self {
            request.backup_time = time;
        }
    }

    /// How long what it makes is kept, in seconds; none for ever, or when it makes no backup.
    pub(crate) const fn retention(&self) -> Option<u64> {
        match self {
            Self::Backup(request) => request.retention_seconds,
            Self::Synthetic(request) => request.retention_seconds,
            _ => None,
        }
    }

    /// Tells a backup how long it is kept; other jobs have nothing to keep, or know.
    pub(crate) const fn set_retention(&mut self, seconds: Option<u64>) {
        match self {
            Self::Backup(request) => request.retention_seconds = seconds,
            Self::Synthetic(request) => request.retention_seconds = seconds,
            _ => {}
        }
    }

    /// Tells a backup where the copies go that it makes beside its first one.
    pub(crate) fn assign_copies(&mut self, further: Vec<StorageUnit>) {
        if let Self::Backup(BackupRequest { inline: Some(inline), .. }) = self {
            inline.storage_units = further;
        }
    }

    /// Gives the job its id and its storage, for the try after `earlier_tries` others; `resume` goes on behind the last
    /// checkpoint.
    pub(crate) fn assign(&mut self, id: u64, storage: StorageUnit, earlier_tries: u32, resume: bool) {
        if let Self::Backup(request) = self {
            request.earlier_tries = earlier_tries;
            request.resume = resume;
            if resume {
                // The order that it was suspended or cancelled by has been carried out.
                request.abort_after = None;
            }
        }
        if let Self::Restore(request) = self {
            request.resume = resume;
            if resume {
                request.suspend_after = None;
            }
        }
        let (job_id, unit) = match self {
            Self::Backup(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Restore(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Verify(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Expire(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Duplicate(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Synthetic(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Import(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Replicate(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Cleanup(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::ImportReplicas(request) => (&mut request.job_id, &mut request.storage_unit),
            Self::Lifecycle(request) => (&mut request.job_id, &mut request.storage_unit),
        };
        (*job_id, *unit) = (id, storage);
    }
}
