//! The network edge: listeners, connections, the data path with its VIPs and nodes, and the layer between HTTP and the S3
//! service.

pub(crate) mod body;
pub(crate) mod conn;
pub(crate) mod date;
mod linger;
pub(crate) mod listen;
pub(crate) mod low_water;
pub(crate) mod management;
mod meddle;
pub(crate) mod network;
pub(crate) mod nodes;
pub(crate) mod placement;
pub(crate) mod s3_edge;
pub(crate) mod trouble;
pub(crate) mod vips;
