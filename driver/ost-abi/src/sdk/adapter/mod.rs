//! The one module that knows names of the header: its functions, structures and numbers, and what each is of ours.
//!
//! Written for `tests/sdk/ost_fixture.h`. `types.rs` has the structures and numbers, `calls.rs` the functions.

mod calls;
mod types;

pub use calls::*;
pub use types::{sts_call_log, sts_log_fn};
