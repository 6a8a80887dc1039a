//! Checkpoints of backups that did not end: what is on the storage, and the file list up to there. Two files per backup in a
//! directory of their own, until the backup is resumed to its end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::owner::Cause;
use crate::durable;
use crate::nbu::catalog::FileRecord;
use crate::nbu::process::message::{Checkpoint, ResumePoint};
use crate::nbu::status::code;

/// A checkpoint that a job can go on from.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) point: Checkpoint,
    /// The files up to there.
    pub(super) files: Vec<FileRecord>,
}

impl Saved {
    /// Where the client goes on.
    pub(super) fn resume_point(&self) -> Option<ResumePoint> {
        let last = self.files.last()?;
        Some(ResumePoint { path: last.path.clone(), files: self.point.files, bytes: self.point.bytes })
    }
}

fn paths(work_dir: &Path, backup_id: &str) -> (PathBuf, PathBuf) {
    let dir = work_dir.join("checkpoints");
    (dir.join(format!("{backup_id}.json")), dir.join(format!("{backup_id}.f")))
}

fn cause(path: &Path, error: &dyn std::fmt::Display) -> Cause {
    Cause::new(code::FILE_WRITE, format!("checkpoint {}: {error}", path.display()))
}

/// Keeps a checkpoint with the file list of the job, which may have more files than the checkpoint.
pub(super) fn save(work_dir: &Path, backup_id: &str, point: &Checkpoint, list: &Path) -> Result<(), Cause> {
    let (json, kept) = paths(work_dir, backup_id);
    let dir = work_dir.join("checkpoints");
    fs::create_dir_all(&dir).map_err(|e| cause(&dir, &e))?;
    fs::rename(list, &kept).map_err(|e| cause(&kept, &e))?;
    write(&json, point)
}

/// Notes images that are to be deleted before the backup goes on.
pub(super) fn note_left(work_dir: &Path, backup_id: &str, left: Vec<String>) -> Result<(), Cause> {
    let (json, _) = paths(work_dir, backup_id);
    let text = fs::read(&json).map_err(|e| cause(&json, &e))?;
    let point: Checkpoint = serde_json::from_slice(&text).map_err(|e| cause(&json, &e))?;
    write(&json, &Checkpoint { left, ..point })
}

fn write(json: &Path, point: &Checkpoint) -> Result<(), Cause> {
    let text = serde_json::to_vec(point).map_err(|e| cause(json, &e))?;
    durable::replace(json, &text).map_err(|e| cause(json, &e))
}

/// The checkpoint of a backup; `None` if there is none.
pub(super) fn load(work_dir: &Path, backup_id: &str) -> Result<Option<Saved>, Cause> {
    let (json, kept) = paths(work_dir, backup_id);
    let text = match fs::read(&json) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(cause(&json, &e)),
    };
    let point: Checkpoint = serde_json::from_slice(&text).map_err(|e| cause(&json, &e))?;
    let list = fs::read(&kept).map_err(|e| cause(&kept, &e))?;
    let lines = list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let count = usize::try_from(point.files).unwrap_or(usize::MAX);
    let files: Result<Vec<FileRecord>, _> = lines.take(count).map(serde_json::from_slice).collect();
    let files = files.map_err(|e| cause(&kept, &e))?;
    if files.len() != count {
        return Err(cause(&kept, &format!("it has {} of {count} files", files.len())));
    }
    Ok(Some(Saved { point, files }))
}

/// Forgets the checkpoint of a backup.
pub(super) fn remove(work_dir: &Path, backup_id: &str) -> Result<(), Cause> {
    let (json, kept) = paths(work_dir, backup_id);
    for path in [json, kept] {
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cause(&path, &e)),
            _ => {}
        }
    }
    Ok(())
}
