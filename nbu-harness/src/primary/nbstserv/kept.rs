//! What nbstserv knows, as a file of the home. The primary's journal is what counts; the file follows it, whole at any
//! moment, so that `nbstlutil` tells of a primary that runs and of one that has gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{LifecycleImage, PendingImport};
use crate::durable;

/// The images of storage lifecycle policies, and what other domains replicated here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleImages {
    /// Images, by backup id.
    pub images: Vec<LifecycleImage>,
    /// Events, by disk volume and number.
    pub imports: Vec<PendingImport>,
}

/// Replaces the file.
pub(crate) fn keep(home: &Path, images: &LifecycleImages) -> io::Result<()> {
    durable::replace(&place(home), &serde_json::to_vec(images)?)
}

/// What the file says; nothing where there is none.
pub(crate) fn kept(home: &Path) -> io::Result<LifecycleImages> {
    match fs::read(place(home)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LifecycleImages::default()),
        Err(error) => Err(error),
    }
}

fn place(home: &Path) -> PathBuf {
    home.join("lifecycle_images.json")
}
