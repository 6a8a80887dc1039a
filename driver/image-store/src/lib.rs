//! Backup images on an object store: life cycle, layout, integrity.
//!
//! An image is a set of immutable segment objects under one state object, its manifest. It exists when the manifest
//! says so, and small images live inside it. This crate knows objects, through the [`ObjectStore`] trait, and images;
//! it knows nothing of HTTP above and of OST below. It starts no threads and keeps no global state: time, randomness
//! and the place for notices come in through [`Environment`].
//!
//! # In the bucket
//!
//! A person with plain S3 tools can restore an image without this program. From `LAYOUT.md`:
//!
#![doc = include_str!("../LAYOUT.md")]

pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod environment;
pub mod error;
pub mod events;
pub mod identity;
pub mod memory;
pub mod object_store;
pub mod replication;
pub mod s3;

mod checksum;
mod compact;
mod copy;
mod holders;
mod label;
mod layout;
mod manifest;
mod pager;
mod pool;
mod reader;
mod register;
mod removal;
mod remove;
mod segment;
mod state;
mod store;
mod sweep;
mod worm;
mod writer;

pub use compact::Compacted;
pub use config::StoreConfig;
pub use copy::{CopyOptions, CopyProgress, CopyStatus, ImageCopy, Route};
pub use environment::{Clock, Entropy, Environment, Notice, Notices, Silent};
pub use error::ImageError;
pub use events::{Event, EventLog, EventPosition};
pub use identity::ImageIdentity;
pub use object_store::ObjectStore;
pub use pager::{ImageEntry, ImagePager};
pub use pool::MemoryUse;
pub use reader::{ReadOutcome, Reader};
pub use register::Exclusivity;
pub use replication::{
    Operations, Origin, Outcome, Place, ReplicatedImage, ReplicationEvent, Request, Surroundings,
};
pub use s3::S3Store;
pub use store::{ImageInfo, ImageState, ImageStore};
pub use sweep::{SweepOptions, SweepReport};
pub use worm::LockRules;
pub use writer::{AppendOutcome, Close, Discarded, METADATA_BYTES_MAX, Writer};
