//! Behaviour of a whole cluster through its public interfaces, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod auth;
mod blocks;
mod client;
mod command;
mod connections;
mod describe;
mod discard;
mod documented;
mod durable;
mod durable_snapshots;
mod edges;
mod events;
mod fault_bodies;
mod fault_plane;
mod faults;
mod folders;
mod forms;
mod indestructibility;
mod kills;
mod lifecycle_edges;
mod memory;
mod metrics;
mod nodes;
mod policy;
mod policy_keys;
mod qos;
mod quota;
mod quota_users;
#[path = "../../src/random.rs"]
mod random;
mod reset;
mod restart;
mod s3_buckets;
mod s3_conditions;
mod s3_indestructible;
mod s3_lifecycle;
mod s3_listing;
mod s3_lock;
mod s3_model;
mod s3_multipart;
mod s3_namespace;
mod s3_objects;
mod s3_refusals;
mod s3_tags;
mod s3_versions;
mod s3_versions_model;
mod schedules;
mod signing;
mod snapshots;
mod vms;
mod vms_auth;
mod vms_lists;
mod vms_paths;
mod vms_rest;
mod vms_restart;
mod vms_tasks;
mod vms_tenants;
mod vms_users;
mod vms_views;
mod web;
