//! NetBackup's commands as administrators use them: the program called by their names, in a home of its own.

#![allow(clippy::unwrap_used, reason = "what fails on the way to a test fails the test")]

#[path = "../c_plugin/mod.rs"]
mod c_plugin;
mod documentation;
mod fake;
mod jobs;
mod lifecycle;
mod place;
