//! The management side: the VMS REST API over HTTPS, and the simulator's own paths beside it.

pub(crate) mod auth;
pub(crate) mod call;
pub(crate) mod caller;
pub(crate) mod capacity;
pub(crate) mod definitions;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod fields;
mod filter;
pub(crate) mod measures;
mod ordering;
mod paging;
mod paths;
pub(crate) mod prometheus;
pub(crate) mod resources;
mod secrets;
mod sim_api;
pub(crate) mod spans;
pub(crate) mod tables;
pub(crate) mod tasks;
pub(crate) mod visibility;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::core::Core;
use crate::faults::{self, Met};
use crate::net::body::{RequestBody, Withheld};
use crate::net::conn::{Ending, ResetNow};
use crate::net::trouble::{Early, Marks, TokenTrouble, Trouble};
use crate::net::{date, vips};
use call::{Call, Content, Reply};
use caller::Caller;
use error::ApiError;

/// Largest request body, in bytes.
const MAX_BODY: usize = 1 << 20;

/// Everything that the management listener serves.
pub(crate) fn app(core: &Arc<Core>) -> Router {
    sim_api::routes()
        .merge(crate::web::routes())
        .fallback(api)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::clone(core))
}

/// Marks a response whose connection is to be reset in its place.
#[derive(Debug, Clone, Copy)]
struct Reset;

/// Hands a request to the app; a response marked with [`Reset`] becomes a reset.
pub(crate) async fn serve(
    core: Arc<Core>,
    app: Router,
    mut request: http::Request<hyper::body::Incoming>,
    ending: Ending,
) -> Result<Response, ResetNow> {
    use tower::ServiceExt as _;
    request.extensions_mut().insert(ending.clone());
    let withheld = Withheld::new(request.headers());
    let request = request.map(|body| Body::new(RequestBody::new(body, withheld.clone(), ending.clone())));
    let mut answer = match app.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    date::stamp(&core, answer.headers_mut(), 0);
    withheld.mark(answer.headers_mut());
    if let Some(marks) = answer.extensions_mut().remove::<Marks>() {
        marks.put(answer.headers_mut());
    }
    if answer.extensions().get::<Reset>().is_some() { Err(ending.reset()) } else { Ok(answer) }
}

fn reset() -> Response {
    let mut response = StatusCode::BAD_GATEWAY.into_response();
    response.extensions_mut().insert(Reset);
    response
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self.content {
            Content::Json(body) => (self.status, axum::Json(body)).into_response(),
            Content::Text(text) => (self.status, text).into_response(),
            Content::Nothing => self.status.into_response(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body)).into_response()
    }
}

/// What API paths begin with when no version is named.
pub(crate) const PREFIX: &str = "/api";

/// What a path begins with, `/api` and an optional version, and the segments behind; none when it is not an API path.
fn segments(path: &str) -> Option<(String, Vec<String>)> {
    let mut parts = path.split('/').filter(|p| !p.is_empty());
    if parts.next() != Some("api") {
        return None;
    }
    let mut all: Vec<String> =
        parts.map(|p| percent_decode_str(p).decode_utf8_lossy().into_owned()).collect();
    let is_version = |p: &String| {
        p == "latest"
            || p.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let version = all.first().is_some_and(is_version).then(|| all.remove(0));
    Some((version.map_or_else(|| PREFIX.to_owned(), |v| format!("{PREFIX}/{v}")), all))
}

pub(crate) fn query_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |s: &str| percent_decode_str(&s.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |p: &str| {
        let (name, value) = p.split_once('=').unwrap_or((p, ""));
        (decode(name), decode(value))
    };
    query.split('&').filter(|p| !p.is_empty()).map(pair).collect()
}

/// `GET views`, `POST users/access_keys`: what counters and faults go by.
fn operation(method: &Method, segments: &[String]) -> String {
    let named: Vec<&str> =
        segments.iter().map(String::as_str).filter(|s| s.parse::<u64>().is_err()).collect();
    format!("{method} {}", named.join("/"))
}

async fn api(State(core): State<Arc<Core>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(path) = segments(parts.uri.path()) else { return ApiError::not_found().into_response() };
    let operation = operation(&parts.method, &path.1);
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
    let met = core.faults.take(&faults::Request::vms(&operation));
    let result = guarded(&core, parts, body, path, met).await;
    let failed = result.as_ref().is_none_or(|r| r.status().as_u16() >= 400);
    core.counting.vms_request(&operation, failed);
    core.metrics.touch(&core);
    core.background.wake();
    if !reads {
        vips::follow(&core);
    }
    result.unwrap_or_else(reset)
}

/// Carries a request out under its faults; none stands for a reset.
async fn guarded(
    core: &Arc<Core>,
    parts: http::request::Parts,
    body: Body,
    path: (String, Vec<String>),
    met: Vec<Met>,
) -> Option<Response> {
    let mut trouble = Trouble::meet(core, met).await;
    let ending = parts.extensions.get::<Ending>().cloned().unwrap_or_default();
    let clock = || Arc::clone(&core.config.clock);
    let request = std::mem::take(&mut trouble.request);
    let body = if request.is_idle() { body } else { Body::new(request.to(body, clock(), ending.clone())) };
    let answered = match &trouble.early {
        Some(Early::ResetBeforeBody) => return None,
        Some(Early::ResetAfterBody) => {
            let _ = axum::body::to_bytes(body, MAX_BODY).await;
            return None;
        }
        Some(Early::Silence) => return std::future::pending().await,
        Some(Early::Refuse(refusal)) => {
            let detail = if refusal.message.is_empty() { &refusal.code } else { &refusal.message };
            let mut answer = ApiError::detail(refusal.status, detail).into_response();
            if let Some(seconds) = refusal.retry_after_s {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            answer
        }
        None => carried_out(core, parts, body, path, trouble.token()).await,
    };
    if ending.is_reset() {
        return None;
    }
    if let Some(hit) = &trouble.lose_answer {
        hit.happened();
        return None;
    }
    if let Some(hit) = &trouble.no_answer {
        hit.happened();
        return std::future::pending().await;
    }
    let mut answer = answered;
    let length = http_body::Body::size_hint(answer.body());
    trouble.mark(answer.headers_mut(), &length);
    // Once more when the answer has its date, for faults about that.
    answer.extensions_mut().insert(trouble.marks);
    Some(if trouble.answer.is_idle() {
        answer
    } else {
        answer.map(|body| Body::new(trouble.answer.to(body, clock(), ending)))
    })
}

async fn carried_out(
    core: &Arc<Core>,
    parts: http::request::Parts,
    body: Body,
    (prefix, segments): (String, Vec<String>),
    token: TokenTrouble,
) -> Response {
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return ApiError::detail(StatusCode::PAYLOAD_TOO_LARGE, "Body too large.").into_response();
    };
    let body = match read_body(&parts, &body) {
        Ok(value) => value,
        Err(refusal) => return refusal.into_response(),
    };
    let asked = parts.method;
    let allowed = engine::allowed(&segments);
    let call = Call {
        origin: origin(&parts.headers, &core.config.vms_listen.to_string()),
        prefix,
        // The server leaves the body of an answer to HEAD out.
        method: if asked == Method::HEAD { Method::GET } else { asked.clone() },
        segments,
        query: query_pairs(parts.uri.query().unwrap_or_default()),
        body,
        caller: Caller::default(),
    };
    let result = dispatch(core, call, &parts.headers, token);
    if let Err(error) = core.store.settled().await {
        return ApiError::detail(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()).into_response();
    }
    let mut answer = result.map_or_else(IntoResponse::into_response, IntoResponse::into_response);
    let is_about_methods = answer.status() == StatusCode::METHOD_NOT_ALLOWED || asked == Method::OPTIONS;
    if let Some(allowed) = HeaderValue::from_str(&allowed.join(", ")).ok().filter(|_| is_about_methods) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

/// The JSON in a body, or the fields of a form, which are texts; null when there is none.
fn read_body(parts: &http::request::Parts, body: &[u8]) -> Result<Value, ApiError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") && !body.starts_with(b"{") {
        let pairs = query_pairs(&String::from_utf8_lossy(body));
        return Ok(pairs.into_iter().map(|(name, value)| (name, Value::from(value))).collect());
    }
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        // Nothing is asked for by the body of a GET; a few clients send one that is no JSON.
        Err(_) if parts.method == Method::GET || parts.method == Method::HEAD => Ok(Value::Null),
        Err(e) => Err(ApiError::bad_request(&format!("JSON parse error - {e}"))),
    }
}

/// Completes the address of the task that an answer announces.
fn with_address(mut reply: Reply, origin: &str) -> Reply {
    if let Content::Json(body) = &mut reply.content
        && let Some(url) = body.get_mut("async_task").and_then(|task| task.get_mut("url"))
        && let Some(path) = url.as_str().filter(|u| u.starts_with('/'))
    {
        *url = format!("{origin}{path}").into();
    }
    reply
}

fn origin(headers: &HeaderMap, fallback: &str) -> String {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or(fallback);
    format!("https://{host}")
}

fn dispatch(
    core: &Arc<Core>,
    mut call: Call,
    headers: &HeaderMap,
    token: TokenTrouble,
) -> Result<Reply, ApiError> {
    let names: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match (&call.method, &names[..]) {
        (&Method::POST, ["token"]) => return auth::login(core, headers, &call.body).map(Reply::ok),
        (&Method::POST, ["token", "refresh"]) if token != TokenTrouble::None => {
            // Whatever is in the body counts for nothing.
            return auth::refresh(core, &serde_json::json!({ "refresh": "revoked" })).map(Reply::ok);
        }
        (&Method::POST, ["token", "refresh"]) => return auth::refresh(core, &call.body).map(Reply::ok),
        (_, ["token"] | ["token", "refresh"]) => return Err(ApiError::method_not_allowed(&call.method)),
        _ => {}
    }
    if token != TokenTrouble::None {
        return Err(ApiError::token_expired());
    }
    call.caller = auth::check(core, headers)?;
    let kind = call.segments.first().map_or("", String::as_str);
    let resource = resources::by_kind(kind).ok_or_else(|| resources::unknown(kind))?;
    let about_methods = call.method == Method::OPTIONS;
    let method = if about_methods { &Method::GET } else { &call.method };
    core.store.read(|state| call.caller.check(state, method, &call.segments))?;
    if about_methods {
        return engine::described(resource, &call).map(Reply::ok);
    }
    engine::handle(core, resource, &call).map(|reply| with_address(reply, &call.origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_leads_to_the_same_place() {
        for (path, prefix) in [
            ("/api/views/3", "/api"),
            ("/api/v1/views/3/", "/api/v1"),
            ("/api/v5/views/3", "/api/v5"),
            ("/api/latest//views/3/", "/api/latest"),
            ("//api//views/3", "/api"),
        ] {
            let found = segments(path).unwrap();
            assert_eq!(found, (prefix.to_owned(), vec!["views".to_owned(), "3".to_owned()]), "{path}");
        }
        assert_eq!(segments("/api/vips/").unwrap().1, vec!["vips".to_owned()]);
        assert_eq!(segments("/other"), None);
        assert_eq!(
            operation(&Method::POST, &["users".to_owned(), "3".to_owned(), "access_keys".to_owned()]),
            "POST users/access_keys"
        );
    }
}
