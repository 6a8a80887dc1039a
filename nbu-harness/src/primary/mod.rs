//! The primary server: nbpem, nbjm, nbrb and bpjobd in one process, on a virtual clock.
//!
//! * [`config`]: what it is configured with;
//! * `scheduler` and `due` (nbpem): what is due when;
//! * `broker` and `copies` (nbrb): what storage a job gets, and each of its copies;
//! * `core` (nbjm): the table of jobs and what happens to it, as a pure state machine;
//! * `journal`: every input of the core on disk, before it counts: what makes a killed primary come back as it was;
//! * `bpjobd`: the jobs database, kept up with that table;
//! * `results`: what tries reported, in full;
//! * `server`: the process around it; [`Servers`], [`Operator`], [`Watch`]: how one is
//!   started, told what to do, and watched.
//!
//! The virtual clock stands still while any data process runs. When none does, it goes straight to the next moment at
//! which something happens by itself, so that a night of schedules takes as long as its data does.

mod bpjobd;
mod broker;
mod client;
pub mod config;
mod copies;
mod core;
mod due;
mod job;
mod journal;
mod results;
mod scheduler;
mod server;
mod wire;

#[cfg(test)]
mod tests;

pub use client::{Operator, PRIMARY, PrimaryError, Servers, Watch};
pub(crate) use due::submissions;
pub use job::{Job, Operation, Submission, Try};
pub(crate) use server::run;
pub use wire::{News, Reached, Until};

pub use self::core::JobOrder;
