//! The data path: S3 operations, their signatures, and how they are carried out over the VIPs.

pub(crate) mod actions;
pub(crate) mod answer;
pub(crate) mod bucket;
pub(crate) mod executor;
pub(crate) mod info;
pub(crate) mod lock;
pub(crate) mod sign;
pub(crate) mod time;
pub(crate) mod uploads;
pub(crate) mod versions;
pub(crate) mod vips;
