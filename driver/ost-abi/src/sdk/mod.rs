//! The interface of another header in place of ours: how a licensed OpenStorage SDK will be met.
//!
//! Built with the feature `sdk`, the plug-ins export the functions that the header in `STSPI_SDK_HEADER` declares, and
//! every structure, number and log call that crosses the boundary has the shape that the header gives it. The engine
//! keeps its own interface, the rest of this crate:
//!
//! ```text
//! host ── header's symbol ── adapter ── entry point of the engine
//!         generated from      the one     as without the feature
//!         its prototypes      mapping
//! ```
//!
//! [`adapter`] is the one place that knows names of the header. It is written for one header: today the made-up one in
//! `tests/sdk`, which differs from `stspi.h` in everything that can differ. For a licensed header, which never comes into
//! this repository, `adapter` is written anew and nothing else changes. A prototype of the header without a function in
//! `adapter` does not compile, so nothing is forgotten.

#![allow(unsafe_code, reason = "reads and writes what the host points at")]

pub mod adapter;
mod pointers;

/// The header's items, as bindgen has read them.
#[allow(
    missing_docs,
    missing_debug_implementations,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from a C header"
)]
pub mod header {
    include!(concat!(env!("OUT_DIR"), "/header.rs"));
}

include!(concat!(env!("OUT_DIR"), "/exports.rs"));

macro_rules! names {
    ($(fn $name:ident($($arg:ident: $ty:ty),* $(,)?);)+) => {
        /// Names of the header's functions: exactly what a plug-in built with it exports.
        pub const SDK_EXPORTS: &[&str] = &[$(stringify!($name)),+];
    };
}

for_each_sdk_export!(names);

pub use adapter::{sts_call_log, sts_log_fn};
