//! The primary server: nbpem, nbjm, nbrb, bpjobd and nbstserv in one process, on a virtual clock.
//!
//! * [`config`]: what it is configured with;
//! * `scheduler` and `due` (nbpem): what is due when;
//! * `broker` and `copies` (nbrb): what storage a job gets, and each of its copies;
//! * `core` (nbjm): the table of jobs and what happens to it, as a pure state machine;
//! * `nbstserv`: the images of storage lifecycle policies, and what other domains replicated here; `lifecycle`: what nbjm
//!   and it tell each other;
//! * `journal`: every input of the core on disk, before it counts: what makes a killed primary come back as it was;
//! * `bpjobd`: the jobs database, kept up with that table;
//! * `results`: what tries reported, in full;
//! * `server`: the process around it; [`Servers`], [`Operator`], [`Watch`]: how one is
//!   started, told what to do, and watched.
//!
//! The virtual clock stands still while any data process runs. When none does, it goes straight to the next moment at
//! which something happens by itself, so that a night of schedules takes as long as its data does.

mod allocation;
mod bpjobd;
mod broker;
mod client;
pub mod config;
mod copies;
mod core;
mod due;
mod job;
mod journal;
mod lifecycle;
mod nbstserv;
mod results;
mod scheduler;
mod server;
mod wire;

#[cfg(test)]
mod tests;

pub use client::{Operator, PRIMARY, PrimaryError, Servers, Watch};
pub(crate) use due::submissions;
pub use job::{Job, Operation, Submission, Try};
pub(crate) use nbstserv::kept as lifecycle_images;
pub use nbstserv::{LifecycleImage, LifecycleImages, LifecycleState, PendingImport, Work};
pub(crate) use server::run;
pub use wire::{News, Reached, Until};

pub use self::core::JobOrder;
