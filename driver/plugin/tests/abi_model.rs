//! The built libraries, called through the C interface from Rust: random sequences against a model, limits, endurance.
//!
//! Each test runs in two processes: the test's own has the simulated cluster, a child, which is this program again with
//! the plug-in's configuration in its environment, has the library.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says so by panicking")]

mod abi;
#[allow(dead_code, reason = "the tests of the C host use the rest")]
mod host;
