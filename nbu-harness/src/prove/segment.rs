//! The shared memory that a plug-in with a defect leaves: a file that is gone when the proof is.

use std::path::PathBuf;

/// Where a plug-in that leaves shared memory shall put it. Removed when this is dropped.
#[derive(Debug)]
pub(super) struct Segment(PathBuf);

impl Segment {
    /// The one of this process: another one that proves at the same time has its own.
    pub(super) fn of_this_process() -> Self {
        Self(PathBuf::from(format!("/dev/shm/nbu-harness-{}.defect", std::process::id())))
    }

    /// The file.
    pub(super) fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // Most defects leave none.
        let _ = std::fs::remove_file(&self.0);
    }
}
