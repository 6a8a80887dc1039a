//! The primary server: bprd, nbpem, nbjm, nbrb, bpjobd and nbstserv in one process, on a virtual clock. bpdbm, the image
//! catalogue, is [`crate::nbu::Catalog`]: files that every process of the domain reads.
//!
//! * [`config`]: what it is configured with;
//! * `scheduler` and `due` (nbpem): what is due when;
//! * `bprd`: what users ask for, looked up in the catalogue;
//! * `broker` and `copies` (nbrb): what storage a job gets, and each of its copies; `multiplex`: which of them together;
//! * `core` (nbjm): the table of jobs and what happens to it, as a pure state machine between the inputs and effects of `event`; `submit` and `orders`: how jobs get
//!   into it, and what an operator does with them;
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
mod bprd;
mod broker;
mod client;
pub mod config;
mod copies;
mod core;
mod due;
mod event;
mod expiry;
mod job;
mod journal;
mod lifecycle;
mod multiplex;
mod nbstserv;
mod orders;
mod results;
mod scheduler;
mod server;
mod submit;
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

pub use event::JobOrder;
