//! What the headers of an answer tell of an object.

use crate::net::link::Answer;
use crate::s3::actions::{Flaw, etag, version};
use crate::s3::lock::{Retention, retention_of};
use crate::s3::time::{ServerTime, http_date, server_time};

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Entity tag, as the server wrote it.
    pub etag: String,
    /// Size in bytes of the whole object.
    pub size: u64,
    /// Version id, where the bucket keeps versions.
    pub version: Option<String>,
    /// Last modification in seconds since the epoch, by the server's clock; `None` when the server does not say.
    pub modified: ServerTime,
    /// The server's clock when it answered.
    pub server_time: ServerTime,
    /// What object lock keeps the version for, as far as the server says it: a user without the right to see it is
    /// not told. May be over already.
    pub retention: Option<Retention>,
    /// Whether a legal hold keeps the version, as far as the server says it.
    pub legal_hold: bool,
}

impl ObjectInfo {
    /// Reads the headers; the size is the caller's, who knows whether the body is the whole object.
    pub(crate) fn read(answer: &Answer, size: u64) -> Result<Self, Flaw> {
        Ok(Self {
            etag: etag(answer)?,
            size,
            version: version(answer),
            modified: answer.header("last-modified").and_then(http_date),
            server_time: server_time(answer),
            retention: retention_of(answer),
            legal_hold: answer
                .header("x-amz-object-lock-legal-hold")
                .is_some_and(|status| status.eq_ignore_ascii_case("ON")),
        })
    }
}
