//! Jobs end to end, with real processes, against a plug-in written in C that keeps images as files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, as the tests do")]

mod accelerated;
mod backup;
#[path = "../c_plugin/mod.rs"]
mod c_plugin;
mod checkpoint;
mod duplicate;
mod failure;
mod import;
mod leak;
mod lifecycle;
mod replay;
mod restore;
mod rig;
mod synthetic;
mod tools;
mod tree;
mod wrapped;
