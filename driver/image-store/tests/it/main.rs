//! The image store as its callers use it, on a store in memory and on a simulated cluster.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on says so by panicking"
)]

mod cluster;
mod compaction;
mod conformance;
mod copy;
mod events;
mod faults;
mod gates;
mod integrity;
mod kills;
mod label;
mod layout_script;
mod leases;
mod life_cycle;
mod model;
mod races;
mod replication;
mod schedules;
mod servers;
mod sharing;
mod support;
mod uploads;
mod worm;
mod worm_faults;
