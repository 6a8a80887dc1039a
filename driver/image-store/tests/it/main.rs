//! The image store as its callers use it, on a store in memory and on a simulated cluster.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "test code: the allowance for tests does not reach helpers and nested futures"
)]

mod cluster;
mod conformance;
mod faults;
mod gates;
mod integrity;
mod life_cycle;
mod model;
mod support;
