//! What was there before the backup, what is there after the restore, and every difference between the two. It knows
//! the file system only: nothing here has seen the plug-in, the stream or the catalogue.

mod compare;
mod snapshot;

pub use compare::{CompareOptions, Comparison, Difference, compare};
pub use snapshot::{Entry, HashedFile, Kind, OracleError, Snapshot, hash_file};
