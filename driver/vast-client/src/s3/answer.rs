//! How a server's refusal is read: the error document, and what each code means.

use serde::Deserialize;

use crate::counters::Operation;
use crate::error::{Delivery, Detail, Error, Thing, excerpt};
use crate::net::link::Answer;
use crate::retry::Refusal;
use crate::s3::time::server_time;

/// An answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Error {
    pub(crate) status: u16,
    /// Empty when the answer has no document, as for HEAD.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    /// The server's clock, seconds since the epoch.
    pub(crate) server_time: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Document {
    code: String,
    message: String,
    request_id: Option<String>,
}

/// The status of an error that came late, in a successful answer.
const LATE: u16 = 200;

impl S3Error {
    /// The error in an answer that began as a success: some operations answer before they know how they end.
    pub(crate) fn late(answer: &Answer) -> Option<Self> {
        let text = std::str::from_utf8(&answer.body).ok()?;
        // Not inside another document: the error is the whole answer, perhaps behind spaces and a declaration.
        let text = text.trim_start();
        let root = if text.starts_with("<?xml") { text.split_once("?>")?.1.trim_start() } else { text };
        let is_error = root.starts_with("<Error>") || root.starts_with("<Error ");
        is_error.then(|| Self::parse(answer))
    }

    /// Whether the server may have carried the request out in spite of the error.
    pub(crate) fn may_have_happened(&self) -> bool {
        self.status >= 500 || self.status == LATE
    }

    pub(crate) fn parse(answer: &Answer) -> Self {
        let document: Document = std::str::from_utf8(&answer.body)
            .ok()
            .and_then(|text| quick_xml::de::from_str(text).ok())
            .unwrap_or_default();
        let header_id = || answer.header("x-amz-request-id").map(str::to_owned);
        Self {
            status: answer.status.as_u16(),
            code: excerpt(&document.code),
            message: excerpt(&document.message),
            request_id: document.request_id.or_else(header_id),
            server_time: server_time(answer),
        }
    }

    /// Whether asking again can help. A full cluster is final even where its status is a 5xx.
    pub(crate) fn refusal(&self, no_space_codes: &[String]) -> Refusal {
        if self.is_no_space(no_space_codes) {
            return Refusal::Final;
        }
        match self.code.as_str() {
            "RequestTimeTooSkewed" => Refusal::ClockSkew,
            "SlowDown"
            | "ServiceUnavailable"
            | "InternalError"
            | "RequestTimeout"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            | "BadDigest"
            | "IncompleteBody"
            | "TooManyRequests" => Refusal::Transient,
            "NotImplemented" => Refusal::Final,
            _ => match self.status {
                408 | 429 | 500 | 502..=599 => Refusal::Transient,
                _ => Refusal::Final,
            },
        }
    }

    /// What a refusal means that is about object lock. There is no code of its own for that.
    fn about_locks(&self) -> Option<(Kind, &'static str)> {
        match self.code.as_str() {
            _ if !speaks_of_locks(&self.message) => None,
            "AccessDenied" => Some((Error::Locked, "")),
            "InvalidRequest" => Some((Error::Unsupported, "enable object lock on the view")),
            _ => None,
        }
    }

    fn is_no_space(&self, codes: &[String]) -> bool {
        self.status == 507 || codes.contains(&self.code)
    }

    /// The error for the caller, given the call's detail.
    pub(crate) fn into_error(
        self,
        operation: Operation,
        no_space_codes: &[String],
        mut detail: Detail,
    ) -> Error {
        let no_space = self.is_no_space(no_space_codes);
        let transient = self.refusal(no_space_codes) == Refusal::Transient;
        detail.why = match (self.code.as_str(), self.message.as_str()) {
            ("", "") => format!("the server answered HTTP {}", self.status),
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        detail.status = Some(self.status);
        detail.code = Some(self.code.clone()).filter(|code| !code.is_empty());
        detail.request_id.clone_from(&self.request_id);
        detail.delivery = Delivery::Answered;
        let known: Option<(Kind, &str)> = if no_space {
            Some((Error::NoSpace, "free space on the view, or raise its quota"))
        } else {
            self.about_locks()
        };
        let (kind, advice) = known.unwrap_or_else(|| kind(self.status, &self.code, operation, transient));
        detail.advice = advice;
        kind(Box::new(detail))
    }
}

/// Whether a message is about object lock: AWS writes "because object protected by object lock" and "Bucket is missing
/// Object Lock Configuration".
pub(crate) fn speaks_of_locks(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["object lock", "legal hold", "worm"].iter().any(|word| message.contains(word))
}

type Kind = fn(Box<Detail>) -> Error;

fn kind(status: u16, code: &str, operation: Operation, transient: bool) -> (Kind, &'static str) {
    const KEYS: &str = "check the key file against the VAST user's access keys, and the user's bucket policy";
    match (status, code) {
        (_, "NoSuchBucket") => (bucket_missing, "check that the view still has this bucket"),
        (404, _) if operation == Operation::HeadBucket => {
            (bucket_missing, "check that the view still has this bucket")
        }
        (_, "NoSuchUpload") => (Error::NoUpload, ""),
        (404, "") if operation == Operation::UploadPart => (Error::NoUpload, ""),
        (404, _) | (_, "NoSuchKey" | "NoSuchVersion") => (|d| Error::NotFound(Thing::Object, d), ""),
        (412, _) | (_, "PreconditionFailed") => (Error::Precondition, ""),
        (416, _) => (Error::Range, ""),
        (_, "NotImplemented") | (501 | 405, _) => (Error::Unsupported, ""),
        (_, "RequestTimeTooSkewed") => (Error::Denied, "set this host's and the cluster's clocks with NTP"),
        (401 | 403, _) | (_, "AccessDenied") => (Error::Denied, KEYS),
        (301 | 302 | 307 | 308, _) => {
            (Error::Protocol, "check the S3 endpoints: this one sends clients elsewhere")
        }
        _ if transient => (Error::Unreachable, "check the cluster's health and load"),
        _ => (Error::Protocol, ""),
    }
}

fn bucket_missing(detail: Box<Detail>) -> Error {
    Error::NotFound(Thing::Bucket, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DEFAULT_NO_SPACE_CODES;
    use crate::s3::actions::testing::answer;

    fn codes() -> Vec<String> {
        DEFAULT_NO_SPACE_CODES.iter().map(|&c| c.to_owned()).collect()
    }

    fn error(status: u16, code: &str) -> S3Error {
        let xml = format!("<Error><Code>{code}</Code><Message>m</Message><RequestId>r1</RequestId></Error>");
        S3Error::parse(&answer(status, &[], if code.is_empty() { "" } else { &xml }))
    }

    fn verdict(status: u16, code: &str, operation: Operation) -> (Refusal, String) {
        let error = error(status, code);
        let refusal = error.refusal(&codes());
        let text = format!("{:?}", error.into_error(operation, &codes(), Detail::new("w", "")));
        (refusal, text.split_once("(Detail").map_or(text.clone(), |(kind, _)| kind.to_owned()))
    }

    #[test]
    fn every_refusal_has_its_meaning() {
        use Refusal::{ClockSkew, Final, Transient};
        for (status, code, refusal, kind) in [
            (503, "SlowDown", Transient, "Unreachable"),
            (500, "InternalError", Transient, "Unreachable"),
            (502, "", Transient, "Unreachable"),
            (429, "", Transient, "Unreachable"),
            (400, "BadDigest", Transient, "Unreachable"),
            (400, "RequestTimeout", Transient, "Unreachable"),
            (409, "ConditionalRequestConflict", Transient, "Unreachable"),
            (404, "NoSuchUpload", Final, "NoUpload"),
            (200, "NoSuchUpload", Final, "NoUpload"),
            (200, "InternalError", Transient, "Unreachable"),
            (200, "AccessDenied", Final, "Denied"),
            (507, "", Final, "NoSpace"),
            (403, "QuotaExceeded", Final, "NoSpace"),
            (503, "InsufficientCapacity", Final, "NoSpace"),
            (412, "PreconditionFailed", Final, "Precondition"),
            (416, "InvalidRange", Final, "Range"),
            (501, "NotImplemented", Final, "Unsupported"),
            (403, "SignatureDoesNotMatch", Final, "Denied"),
            (403, "InvalidAccessKeyId", Final, "Denied"),
            (403, "RequestTimeTooSkewed", ClockSkew, "Denied"),
            (400, "MalformedXML", Final, "Protocol"),
            (307, "TemporaryRedirect", Final, "Protocol"),
        ] {
            assert_eq!(
                verdict(status, code, Operation::PutObject),
                (refusal, kind.into()),
                "{status} {code}"
            );
        }
        let missing = |code, operation| {
            let (_, text) = verdict(404, code, operation);
            text
        };
        assert!(missing("NoSuchKey", Operation::GetObject).contains("Object"));
        assert!(missing("", Operation::HeadObject).contains("Object"));
        assert!(missing("NoSuchBucket", Operation::PutObject).contains("Bucket"));
        assert!(missing("", Operation::HeadBucket).contains("Bucket"));
    }

    #[test]
    fn refusals_for_locks_have_their_own_meaning() {
        let read = |status: u16, code: &str, message: &str| {
            let xml = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            let error = S3Error::parse(&answer(status, &[], &xml));
            error.into_error(Operation::DeleteObject, &codes(), Detail::new("w", ""))
        };
        let protected = "Access Denied because object protected by object lock.";
        assert!(matches!(read(403, "AccessDenied", protected), Error::Locked(_)));
        let policy = "User x is not authorized to perform: s3:PutObjectRetention";
        assert!(matches!(read(403, "AccessDenied", policy), Error::Denied(_)));
        let missing = "Bucket is missing Object Lock Configuration";
        assert!(matches!(read(400, "InvalidRequest", missing), Error::Unsupported(_)));
        assert!(matches!(read(400, "InvalidRequest", "no"), Error::Protocol(_)));
    }

    #[test]
    fn an_error_in_a_successful_answer_is_found() {
        let late = |body: &str| S3Error::late(&answer(200, &[], body)).map(|error| error.code);
        let error = "<Error><Code>InternalError</Code></Error>";
        assert_eq!(late(error).as_deref(), Some("InternalError"));
        assert_eq!(late(&format!(" \n<?xml version=\"1.0\"?>\n {error}")).as_deref(), Some("InternalError"));
        assert_eq!(late("<Error xmlns=\"x\"><Code>SlowDown</Code></Error>").as_deref(), Some("SlowDown"));
        for other in ["", "  ", "<Errors/>", "<CopyObjectResult><Error>x</Error></CopyObjectResult>"] {
            assert_eq!(late(other), None, "{other}");
        }
    }

    #[test]
    fn the_document_and_its_request_id_are_read() {
        let parsed = error(403, "AccessDenied");
        assert_eq!((parsed.code.as_str(), parsed.request_id.as_deref()), ("AccessDenied", Some("r1")));
        let bare = S3Error::parse(&answer(500, &[("x-amz-request-id", "h1")], "<html>not it"));
        assert_eq!((bare.code.as_str(), bare.request_id.as_deref()), ("", Some("h1")));
    }
}
