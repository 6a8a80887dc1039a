//! NetBackup's commands as administrators use them: the program called by their names, in a home of its own.

#![allow(clippy::unwrap_used, reason = "what fails on the way to a test fails the test")]

mod documentation;
mod fake;
mod place;
