//! NetBackup's side: its processes, jobs and catalogue, replaying scenarios against a plug-in.
//!
//! Data flows one way through the crate:
//!
//! * [`scenario`]: a file says what to do and what to expect;
//! * [`data`] and [`oracle`]: what gets backed up, and what it looked like before;
//! * [`primary`]: the primary server: jobs, schedules and limits on a virtual clock;
//! * [`nbu`] and [`bpstsinfo`]: the NetBackup processes, the only ones that load the plug-in;
//! * [`emm`]: the enterprise media manager's database of storage servers, pools and units;
//! * [`jobs_db`]: the jobs database that jobs are recorded in;
//! * [`shim`]: puts a wrapping plug-in in the plug-in's place;
//! * [`engine`]: runs a scenario and records what happened;
//! * [`judge`]: compares the record with the expectations;
//! * [`certify`]: the catalogue of checks over all of it;
//! * [`import_log`]: makes a scenario of a log;
//! * [`prove`]: shows that every check fails on a plug-in that does wrong what it is about;
//! * [`replay`]: makes recorded calls again, on any plug-in;
//! * [`mod@bench`]: rates as ratios to plain HTTP;
//! * [`commands`]: NetBackup's commands for administrators;
//! * [`report`] and [`cli`]: what people and machines get to read.

pub mod bench;
pub mod bpstsinfo;
pub mod certify;
pub mod cli;
pub mod commands;
pub mod data;
mod durable;
pub mod emm;
pub mod engine;
pub mod import_log;
pub mod jobs_db;
pub mod judge;
pub mod nbu;
mod nearest;
pub mod oracle;
pub mod primary;
pub mod prove;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod shim;
