//! Behaviour of a whole cluster through its public interfaces, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod client;
mod command;
mod durable;
mod faults;
mod quota;
mod s3_listing;
mod s3_model;
mod s3_multipart;
mod s3_objects;
mod vms;
