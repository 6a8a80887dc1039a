//! NetBackup's side: its processes, jobs and catalogue, replaying scenarios against a plug-in.
//!
//! * [`nbu`]: the NetBackup processes and the jobs that run them;
//! * [`data`]: what gets backed up: generated trees, changing files and synthetic streams;
//! * [`oracle`]: what was there before a backup and what is there after a restore;
//! * [`scenario`]: scenario files.

pub mod data;
pub mod nbu;
pub mod oracle;
pub mod scenario;
