//! A request to VMS as resources see it, what they answer, and how the calls that are no plain create, read, change or
//! delete begin: who must be named, which tenant is meant.

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::caller::Caller;
use super::error::ApiError;
use super::resources::tenants;
use crate::store::registry::Row;
use crate::store::state::State;

/// What an answer carries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Nothing,
    Json(Value),
    /// Plain text, as monitoring systems read it.
    Text(String),
}

/// An answer: status and body.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content: Content,
}

impl Reply {
    /// JSON with a status; 200 for a status that is none.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            content: if status == 204 { Content::Nothing } else { Content::Json(body) },
        }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn created(body: Value) -> Self {
        Self::json(201, body)
    }

    pub(crate) fn no_content() -> Self {
        Self::json(204, Value::Null)
    }

    pub(crate) fn text(text: String) -> Self {
        Self { status: StatusCode::OK, content: Content::Text(text) }
    }

    /// 200 with the task that does what was asked.
    pub(crate) fn task(task: &Value) -> Self {
        Self::ok(serde_json::json!({ "async_task": task }))
    }
}

/// The id in a JSON value, which several clients write as text.
pub(crate) fn id_in(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The object that a field of a request names.
pub(crate) fn existing<'s>(state: &'s State, kind: &str, field: &str, id: u64) -> Result<&'s Row, ApiError> {
    state.vms.row(kind, id).ok_or_else(|| ApiError::lost(field, id))
}

/// A parsed request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path segments behind `/api/<version>/`: resource, id, action.
    pub(crate) segments: Vec<String>,
    /// Decoded query parameters in order.
    pub(crate) query: Vec<(String, String)>,
    /// JSON body; null when there is none.
    pub(crate) body: Value,
    /// `https://host:port` as the client knows it.
    pub(crate) origin: String,
    /// What stands before the resource in the request's path, such as `/api/v5`.
    pub(crate) prefix: String,
    /// Who asks.
    pub(crate) caller: Caller,
}

impl Call {
    /// The last value of a query parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether a switch is on, in the query or in the body.
    pub(crate) fn asks(&self, name: &str) -> bool {
        let on = |v: &str| v.eq_ignore_ascii_case("true") || v == "1";
        self.param(name).map_or_else(|| self.body.get(name).and_then(Value::as_bool).unwrap_or(false), on)
    }

    /// The body as an object; empty when there is none.
    pub(crate) fn object(&self) -> Result<Map<String, Value>, ApiError> {
        match &self.body {
            Value::Object(map) => Ok(map.clone()),
            Value::Null => Ok(Map::new()),
            _ => Err(ApiError::bad_request("Invalid data. Expected a dictionary.")),
        }
    }

    /// A text that the body must have.
    pub(crate) fn required_text(&self, field: &str) -> Result<&str, ApiError> {
        let given = self.body.get(field).filter(|v| !v.is_null()).ok_or_else(|| ApiError::required(field))?;
        let text = given.as_str().ok_or_else(|| ApiError::field(field, "Not a valid string."))?;
        if text.is_empty() { Err(ApiError::field(field, "This field may not be blank.")) } else { Ok(text) }
    }

    /// A switch that the body must have.
    pub(crate) fn required_switch(&self, field: &str) -> Result<bool, ApiError> {
        let given = self.body.get(field).ok_or_else(|| ApiError::required(field))?;
        given.as_bool().ok_or_else(|| ApiError::field(field, "Must be a valid boolean."))
    }

    /// The tenant that the call is about: the one that it names in query or body, else the caller's, else the default
    /// one. Refuses one that does not exist or is not the caller's.
    pub(crate) fn tenant(&self, state: &State) -> Result<u64, ApiError> {
        let refused = || ApiError::field("tenant_id", "A valid integer is required.");
        let named = match (self.param("tenant_id"), self.body.get("tenant_id")) {
            (Some(id), _) => Some(id.parse().map_err(|_| refused())?),
            (None, None | Some(Value::Null)) => None,
            (None, Some(id)) => Some(id_in(id).ok_or_else(refused)?),
        };
        let tenant = named.or(self.caller.tenant).unwrap_or(tenants::DEFAULT);
        self.caller.check_tenant(Some(tenant))?;
        match state.vms.row("tenants", tenant) {
            Some(_) => Ok(tenant),
            None => Err(ApiError::lost("tenant_id", tenant)),
        }
    }
}
