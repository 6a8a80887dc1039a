//! Looking a copy of a backup up, as bprd does for restores and bpbrm for every job about a backup.

use super::{Catalog, CatalogError, CopyRecord, ImageRecord};
use crate::nbu::status::code;

/// Why a copy of a backup cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MissingCopy {
    #[error("no image {0} in the catalogue")]
    Image(String),
    #[error("{backup_id} has no copy {number}")]
    Copy { backup_id: String, number: u32 },
    #[error("{0} has no file list, phase 2 of its import is still to come")]
    Files(String),
    #[error(transparent)]
    Catalogue(#[from] CatalogError),
}

impl MissingCopy {
    /// NetBackup status.
    pub(crate) fn status(&self) -> i32 {
        match self {
            Self::Image(_) | Self::Files(_) => code::NO_ENTITY,
            Self::Copy { .. } => code::NO_FRAGMENTS,
            Self::Catalogue(error) => error.status(),
        }
    }
}

impl CatalogError {
    /// NetBackup status of a job that ends because of it.
    pub(crate) fn status(&self) -> i32 {
        match self {
            Self::Exists(_) => code::IMAGE_CONFLICT,
            Self::BadId(_) => code::INVALID_PARAMETER,
            Self::Io { error, .. } if error.kind() == std::io::ErrorKind::StorageFull => code::DISK_FULL,
            Self::Io { .. } => code::FILE_WRITE,
            Self::Damaged { .. } => code::FILE_READ,
        }
    }
}

impl Catalog {
    /// A copy of a backup with its files, the primary one when no number is given.
    pub(crate) fn restorable(
        &self,
        backup_id: &str,
        number: Option<u32>,
    ) -> Result<(ImageRecord, CopyRecord), MissingCopy> {
        let (image, copy) = self.copy_of(backup_id, number)?;
        if image.not_imported { Err(MissingCopy::Files(backup_id.to_owned())) } else { Ok((image, copy)) }
    }

    /// The same, also of a backup that is only half imported.
    pub(crate) fn copy_of(
        &self,
        backup_id: &str,
        number: Option<u32>,
    ) -> Result<(ImageRecord, CopyRecord), MissingCopy> {
        let image = self.image(backup_id)?.ok_or_else(|| MissingCopy::Image(backup_id.to_owned()))?;
        let Some(copy) = image.copy(number).cloned() else {
            let number = number.unwrap_or(image.primary_copy);
            return Err(MissingCopy::Copy { backup_id: backup_id.to_owned(), number });
        };
        Ok((image, copy))
    }
}
