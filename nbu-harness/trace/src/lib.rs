//! What the wrapping plug-in (`nbu-shim`) and the harness tell each other.
//!
//! * [`Header`], [`Call`] and [`Value`]: a trace of the calls of one process; [`Writer`] writes it call by call, [`Trace`]
//!   reads it back;
//! * [`orders`]: the environment variables that the wrapping plug-in obeys, and the faults that it injects;
//! * [`defects`]: plug-ins that do one thing wrong;
//! * [`pattern`]: bytes that follow from their offset, for calls whose data was not kept.
//!
//! A trace holds no data of images and no password: names, sizes, offsets, flags, codes and times.

mod call;
pub mod defects;
mod encoding;
pub mod orders;
pub mod pattern;
mod trace;
mod value;

pub use call::{Call, Header};
pub use trace::{EXTENSION, Trace, TraceError, VERSION, Writer};
pub use value::Value;
