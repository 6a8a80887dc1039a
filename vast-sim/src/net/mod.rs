//! The network edge: listeners, connections, and the layer between HTTP and the S3 service.

pub(crate) mod body;
pub(crate) mod conn;
pub(crate) mod listen;
pub(crate) mod s3_edge;
