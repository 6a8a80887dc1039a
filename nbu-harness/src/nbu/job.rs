//! nbjm's part: starts the owner of a job, follows it, and returns how it ended.

use std::ffi::OsString;

use super::install::Installation;
use super::request::{BackupRequest, ExpireRequest, RestoreRequest, VerifyRequest};
use super::result::{JobControl, JobEvent, JobResult};

/// Runs this program as one of NetBackup's processes if its arguments say so (`<name> --internal`): returns the exit
/// code of the process, or `None` for the caller's own command line. To be called first thing in `main`, with no
/// thread started yet.
pub fn dispatch(args: impl IntoIterator<Item = OsString>) -> Option<i32> {
    let _ = args;
    None
}

/// Backs up. Blocks until the job is done; whatever fails is in the result.
///
/// `progress` is called on this thread and can cancel the job.
pub fn backup(
    installation: &Installation,
    request: &BackupRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let _ = (installation, request, progress);
    loop {}
}

/// Restores. Blocks until the job is done; whatever fails is in the result.
pub fn restore(
    installation: &Installation,
    request: &RestoreRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let _ = (installation, request, progress);
    loop {}
}

/// Verifies. Blocks until the job is done; whatever fails is in the result.
pub fn verify(
    installation: &Installation,
    request: &VerifyRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let _ = (installation, request, progress);
    loop {}
}

/// Expires a backup: deletes its images and its catalogue entry. Blocks until the job is done.
pub fn expire(
    installation: &Installation,
    request: &ExpireRequest,
    progress: &mut dyn FnMut(&JobEvent) -> JobControl,
) -> JobResult {
    let _ = (installation, request, progress);
    loop {}
}
