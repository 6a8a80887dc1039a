//! NetBackup's side: its processes, jobs and catalogue, replaying scenarios against a plug-in.
//!
//! Data flows one way through the crate:
//!
//! * [`scenario`]: a file says what to do and what to expect;
//! * [`data`] and [`oracle`]: what gets backed up, and what it looked like before;
//! * [`nbu`] and [`bpstsinfo`]: the NetBackup processes, the only ones that load the plug-in;
//! * [`shim`]: puts a wrapping plug-in in the plug-in's place;
//! * [`engine`]: runs a scenario and records what happened;
//! * [`judge`]: compares the record with the expectations;
//! * [`certify`]: the catalogue of checks over all of it;
//! * [`import_log`]: makes a scenario of a log;
//! * [`prove`]: shows that every check fails on a plug-in that does wrong what it is about;
//! * [`replay`]: makes recorded calls again, on any plug-in;
//! * [`mod@bench`]: rates as ratios to plain HTTP;
//! * [`report`] and [`cli`]: what people and machines get to read.

pub mod bench;
pub mod bpstsinfo;
pub mod certify;
pub mod cli;
pub mod data;
pub mod engine;
pub mod import_log;
pub mod judge;
pub mod nbu;
pub mod oracle;
pub mod prove;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod shim;
