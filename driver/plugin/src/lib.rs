//! The plug-in engine behind both libraries: handles, thread rule, panic guard, logging, status mapping.
//!
//! ```text
//! stspi_* call ── boundary::guard ── args ── object/handles ── entry::* ── image-store, vast-client
//!                 panics, codes,     every    whose handle,     what the      on runtime::Driver
//!                 log lines          pointer  which thread      call means
//! ```
//!
//! The engine knows OST and no HTTP; it turns calls of the host into calls of the layers below and their failures into
//! `STS_*` codes (`status.rs` is the only place that does).

#[cfg(not(target_pointer_width = "64"))]
compile_error!("handles are 64-bit numbers in the shape of pointers: 64-bit hosts only");

mod args;
mod boundary;
mod capability;
mod cluster;
mod config;
#[doc(hidden)]
pub mod entry;
mod export;
mod fault;
mod fork;
mod handles;
mod log;
mod object;
mod panics;
mod plugin;
mod replication;
mod runtime;
mod signals;
mod status;

pub use ost_abi as abi;
pub use plugin::Plugin;
pub use runtime::ThreadModel;
