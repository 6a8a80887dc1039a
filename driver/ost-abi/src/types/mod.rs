//! The structures that cross the boundary. All are `repr(C)`, fixed in size, without pointers where possible.
//!
//! Every structure that a caller passes begins with `size`: the caller sets it to `sizeof` of the structure it was
//! compiled with, and a plug-in refuses (`STS_EINVAL`) a size it does not know. A structure inside another one carries
//! its size too. Character arrays hold bytes in no particular encoding, ended by a NUL within the array; an array
//! without one is refused.

mod event;
mod handles;
mod image;
#[cfg(not(feature = "sdk"))]
mod log;
mod lsu;
mod server;

pub use event::*;
pub use handles::*;
pub use image::*;
#[cfg(not(feature = "sdk"))]
pub use log::*;
pub use lsu::*;
pub use server::*;

#[cfg(feature = "sdk")]
pub use crate::sdk::{sts_call_log, sts_log_fn};
