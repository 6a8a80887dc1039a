//! The OpenStorage (OST) plug-in interface as this project lays it out.
//!
//! No struct layout, numeric flag or limit of the licensed OST SDK is public. Every byte-level choice made here is
//! therefore **ours and provisional**, and this crate is the only place that makes one: the plug-in and the harness
//! share it, and replacing it by the licensed definitions must not touch anything else. Passing our own harness proves
//! behaviour, not binary compatibility with NetBackup.
//!
//! Each public item says where it comes from in a `Provenance:` line:
//!
//! * **documented**: stated in public vendor documentation or a support article;
//! * **log**: visible in a public log excerpt;
//! * **training**: named in a public OpenStorage training deck;
//! * **provisional**: our own choice (a number, a layout, a limit), to be replaced by the SDK's.
//!
//! **Names of symbols.** Of the calls with public evidence one is known with its types: `stspi_open_server`, which has no
//! suffix and takes `_v7` structures; these keep their names. For other calls suffixes such as `_v9` to `_v11` are only
//! rumoured, and the rumours contradict each other, so no suffixed symbol is exported: they would be invented.
//!
//! **Growth.** A structure that a caller passes begins with its size, and structures inside it do too.
//!
//! **Another header.** With the feature `sdk` the interface that crosses the boundary is that of a C header given at build
//! time, and the module `sdk` maps it to this one. Nothing else knows of it.
//!
//! The C header `include/stspi.h` is generated from this crate; a test fails when it is stale.

#![allow(non_camel_case_types, reason = "the names are the C interface's")]

mod api;
pub mod capabilities;
pub mod constants;
mod entry;
pub mod errors;
#[cfg(feature = "sdk")]
pub mod sdk;
pub mod types;

pub use api::{Api, MissingSymbol};
pub use capabilities::*;
pub use constants::*;
pub use entry::{ENTRY_POINT_SOURCE, ENTRY_POINTS};
pub use errors::*;
pub use types::*;

#[doc(no_inline)]
pub use core::ffi::{c_char, c_int, c_void};
