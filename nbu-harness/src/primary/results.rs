//! What the tries of jobs reported, in full, on disk: job details outlive the primary that heard them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::nbu::JobResult;

/// Keeps the result of the last try of a job and the try's number, in place of that of an earlier one. Old or new after
/// a crash, never half.
pub(super) fn keep(home: &Path, number: usize, result: &JobResult) -> io::Result<()> {
    let path = place(home, result.job_id);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    durable::replace(&path, &serde_json::to_vec(&(number, result))?)
}

/// Number and result of a job's last try that has one; none when none has.
pub(super) fn last(home: &Path, job: u64) -> io::Result<Option<(usize, JobResult)>> {
    match fs::read(place(home, job)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn place(home: &Path, job: u64) -> PathBuf {
    home.join("details").join(format!("{job}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbu::JobKind;

    #[test]
    fn the_last_result_of_a_job_is_kept() {
        let home = tempfile::tempdir().unwrap();
        assert!(last(home.path(), 7).unwrap().is_none());
        for (number, status) in [(1, 84), (2, 0)] {
            let result = JobResult { status, ..JobResult::empty(JobKind::Backup, 7, "c_1".into()) };
            keep(home.path(), number, &result).unwrap();
            assert_eq!(last(home.path(), 7).unwrap(), Some((number, result)));
        }
        assert!(last(home.path(), 8).unwrap().is_none());
    }
}
