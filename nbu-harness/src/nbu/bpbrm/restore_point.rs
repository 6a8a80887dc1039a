//! Checkpoints of restores: how far tar had come, in a file for each job, until the job has ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::owner::Cause;
use crate::durable;
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::result::BadRange;
use crate::nbu::status::code;

/// Where a restore goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RestorePoint {
    /// The last member of the stream that was restored.
    pub(super) path: PathBytes,
    /// Files that had been restored, this one included.
    pub(super) files: u64,
    /// What was wrong with them.
    pub(super) bad_ranges: Vec<BadRange>,
}

fn file(work_dir: &Path, job_id: u64) -> PathBuf {
    work_dir.join("checkpoints").join(format!("restore-{job_id}.json"))
}

fn cause(path: &Path, error: &dyn std::fmt::Display) -> Cause {
    Cause::new(code::FILE_WRITE, format!("checkpoint {}: {error}", path.display()))
}

/// Keeps the checkpoint of a job.
pub(super) fn save(work_dir: &Path, job_id: u64, point: &RestorePoint) -> Result<(), Cause> {
    let path = file(work_dir, job_id);
    let dir = work_dir.join("checkpoints");
    fs::create_dir_all(&dir).map_err(|e| cause(&dir, &e))?;
    let text = serde_json::to_vec(point).map_err(|e| cause(&path, &e))?;
    durable::replace(&path, &text).map_err(|e| cause(&path, &e))
}

/// The checkpoint of a job; `None` if it has none.
pub(super) fn load(work_dir: &Path, job_id: u64) -> Result<Option<RestorePoint>, Cause> {
    let path = file(work_dir, job_id);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| cause(&path, &e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(cause(&path, &e)),
    }
}

/// Forgets the checkpoint of a job.
pub(super) fn remove(work_dir: &Path, job_id: u64) -> Result<(), Cause> {
    let path = file(work_dir, job_id);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cause(&path, &e)),
        _ => Ok(()),
    }
}
