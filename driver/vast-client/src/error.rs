//! Every way a call can fail, in words an administrator can act on.

use std::fmt;

/// What is known about a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// No byte of it left, or the server said it did nothing.
    NotSent,
    /// It may have been carried out, wholly or not at all.
    Unknown,
    /// The server answered; the answer says what happened.
    Answered,
}

/// The kind of thing that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// An object in a bucket.
    Object,
    /// A bucket on the data path.
    Bucket,
    /// An LSU: an S3 view with a bucket of that name.
    Lsu,
    /// A VIP pool.
    VipPool,
    /// A management resource.
    Resource,
}

/// What happened, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The call in the server's own terms: `PUT bucket/key`, `GET /api/v5/views/`.
    pub what: String,
    /// The server that was asked last, if one was.
    pub at: Option<String>,
    /// The reason.
    pub why: String,
    /// The next step for an administrator; empty when there is none beyond the reason.
    pub advice: &'static str,
    /// HTTP status of the last answer.
    pub status: Option<u16>,
    /// S3 error code of the last answer.
    pub code: Option<String>,
    /// The server's id of the request, for VAST support.
    pub request_id: Option<String>,
    /// Whether the call may have taken effect.
    pub delivery: Delivery,
    /// Requests that were tried, the first included.
    pub attempts: u32,
    /// An earlier attempt of this same call ended with an unknown outcome, and it matters: a refused precondition or
    /// a missing upload may be the call's own earlier success, an upload may have begun. Never set for calls that
    /// can be repeated without a difference.
    pub after_unknown: bool,
}

impl Detail {
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            at: None,
            why: why.into(),
            advice: "",
            status: None,
            code: None,
            request_id: None,
            delivery: Delivery::NotSent,
            attempts: 0,
            after_unknown: false,
        }
    }

    pub(crate) fn at(mut self, server: impl Into<String>) -> Self {
        self.at = Some(server.into());
        self
    }

    pub(crate) fn advice(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(at) = &self.at {
            write!(f, " at {at}")?;
        }
        write!(f, ": {}", self.why)?;
        let mut facts = Vec::new();
        if let Some(status) = self.status {
            facts.push(format!("HTTP {status}"));
        }
        if let Some(code) = &self.code {
            facts.push(code.clone());
        }
        if let Some(id) = &self.request_id {
            facts.push(format!("request id {id}"));
        }
        if self.attempts > 1 {
            facts.push(format!("{} attempts", self.attempts));
        }
        if self.after_unknown {
            facts.push("an earlier attempt may have succeeded".to_owned());
        }
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        if !self.advice.is_empty() {
            write!(f, "; {}", self.advice)?;
        }
        Ok(())
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configuration or an argument cannot be used. Nothing was sent.
    #[error("configuration: {0}")]
    Config(Box<Detail>),
    /// VMS does not accept the user and password.
    #[error("login refused: {0}")]
    Auth(Box<Detail>),
    /// The server knows who asks and does not allow it, or does not know the S3 key pair.
    #[error("access denied: {0}")]
    Denied(Box<Detail>),
    /// The thing asked for is not there.
    #[error("not found: {1}")]
    NotFound(Thing, Box<Detail>),
    /// The quota or the cluster is full. Nothing was written.
    #[error("no space left: {0}")]
    NoSpace(Box<Detail>),
    /// The condition of a write did not hold. Nothing was written by the attempt that was answered; see
    /// [`Detail::after_unknown`].
    #[error("precondition failed: {0}")]
    Precondition(Box<Detail>),
    /// Object lock keeps the version: it can be neither deleted nor kept for a shorter time. Nothing was changed.
    #[error("locked: {0}")]
    Locked(Box<Detail>),
    /// The multipart upload is not there: completed, aborted, or never was. After a repeated completion it may be
    /// the call's own success; see [`Detail::after_unknown`].
    #[error("no such upload: {0}")]
    NoUpload(Box<Detail>),
    /// The range begins at or past the end of the object.
    #[error("range outside the object: {0}")]
    Range(Box<Detail>),
    /// The server does not offer this operation or header.
    #[error("not supported by the server: {0}")]
    Unsupported(Box<Detail>),
    /// Gave up after retries; [`field@Detail::delivery`] says whether a write may have happened.
    #[error("unreachable: {0}")]
    Unreachable(Box<Detail>),
    /// The deadline passed; [`field@Detail::delivery`] says whether a write may have happened.
    #[error("timed out: {0}")]
    Timeout(Box<Detail>),
    /// The server's certificate is not accepted, or TLS cannot be agreed on. Nothing was sent.
    #[error("TLS: {0}")]
    Tls(Box<Detail>),
    /// An answer that makes no sense, or a request that the server calls malformed.
    #[error("protocol: {0}")]
    Protocol(Box<Detail>),
}

impl Error {
    /// What happened, where, and what to do about it.
    #[must_use]
    pub fn detail(&self) -> &Detail {
        match self {
            Self::Config(d)
            | Self::Auth(d)
            | Self::Denied(d)
            | Self::NotFound(_, d)
            | Self::NoSpace(d)
            | Self::Precondition(d)
            | Self::Locked(d)
            | Self::NoUpload(d)
            | Self::Range(d)
            | Self::Unsupported(d)
            | Self::Unreachable(d)
            | Self::Timeout(d)
            | Self::Tls(d)
            | Self::Protocol(d) => d,
        }
    }

    pub(crate) fn config(what: impl Into<String>, why: impl Into<String>, advice: &'static str) -> Self {
        Self::Config(Box::new(Detail::new(what, why).advice(advice)))
    }
}

/// The result of every call.
pub type Result<T> = std::result::Result<T, Error>;

/// Longest text of a server that is passed on, in bytes.
const EXCERPT_MAX: usize = 512;

/// The beginning of a text, cut where characters end.
pub(crate) fn excerpt(text: &str) -> String {
    let mut end = text.len().min(EXCERPT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_ends_where_a_character_ends() {
        assert_eq!(excerpt(&"é".repeat(400)).len(), 512);
        assert_eq!(excerpt(&format!("a{}", "é".repeat(400))).len(), 511);
        assert_eq!(excerpt("short"), "short");
    }

    #[test]
    fn an_error_says_what_where_why_and_what_to_do() {
        let mut detail = Detail::new("PUT lsu1/a", "SlowDown: reduce your rate")
            .at("10.0.0.1:80")
            .status(503)
            .delivery(Delivery::Answered)
            .advice("check the cluster's load");
        detail.code = Some("SlowDown".to_owned());
        detail.request_id = Some("r1".to_owned());
        detail.attempts = 6;
        assert_eq!(
            Error::Unreachable(Box::new(detail)).to_string(),
            "unreachable: PUT lsu1/a at 10.0.0.1:80: SlowDown: reduce your rate \
             (HTTP 503, SlowDown, request id r1, 6 attempts); check the cluster's load"
        );
    }
}
