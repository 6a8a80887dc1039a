//! Refusals of the VMS REST API in the shapes that VMS clients know.

use http::StatusCode;
use serde_json::{Value, json};

/// A refusal: status and JSON body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl ApiError {
    pub(crate) fn detail(status: StatusCode, detail: &str) -> Self {
        Self { status, body: json!({ "detail": detail }) }
    }

    /// 400 that names the field.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: json!({ field: [message.into()] }) }
    }

    /// 400 for a field that must be there.
    pub(crate) fn required(field: &str) -> Self {
        Self::field(field, "This field is required.")
    }

    /// 400 for an id that leads nowhere.
    pub(crate) fn lost(field: &str, id: u64) -> Self {
        Self::field(field, format!("Invalid pk \"{id}\" - object does not exist."))
    }

    /// 400 that names several fields, each with its messages.
    pub(crate) fn fields(complaints: serde_json::Map<String, Value>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: Value::Object(complaints) }
    }

    /// 403 for a caller who is known and may not. The code keeps clients from logging in again.
    pub(crate) fn permission_denied(detail: &str) -> Self {
        let body = json!({ "detail": detail, "code": "permission_denied" });
        Self { status: StatusCode::FORBIDDEN, body }
    }

    pub(crate) fn bad_request(detail: &str) -> Self {
        Self::detail(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not found.")
    }

    pub(crate) fn conflict(detail: &str) -> Self {
        Self { status: StatusCode::CONFLICT, body: json!({ "detail": detail, "code": "conflict" }) }
    }

    pub(crate) fn method_not_allowed(method: &http::Method) -> Self {
        Self::detail(StatusCode::METHOD_NOT_ALLOWED, &format!("Method \"{method}\" not allowed."))
    }

    /// What several clients look for word by word before they log in again.
    pub(crate) fn token_expired() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            body: json!({ "detail": "Token is invalid or expired", "code": "token_not_valid" }),
        }
    }

    /// What the real cluster can and this one cannot.
    pub(crate) fn not_implemented(what: &str) -> Self {
        Self::detail(StatusCode::NOT_IMPLEMENTED, &format!("{what} is not available in vast-sim"))
    }
}
