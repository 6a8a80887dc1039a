//! Behaviour of a whole cluster through its public interfaces, over real sockets.

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
