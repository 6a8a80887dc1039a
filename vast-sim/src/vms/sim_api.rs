//! The simulator's own paths under `/sim/v1`: counters, raw state, faults, tokens, clock. Basic authentication only, never
//! faulted themselves.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use http::StatusCode;
use serde_json::{Value, json};

use super::auth;
use super::engine::Reply;
use super::error::ApiError;
use crate::core::Core;
use crate::faults::Fault;
use crate::provision::{self, KeyPair};
use crate::raw_state::{Dump, RawState};
use crate::s3::features::FeaturesOff;
use crate::store::lock;

type Shared = State<Arc<Core>>;

/// Proof that the caller knows the administrator's password.
struct Admin;

impl FromRequestParts<Arc<Core>> for Admin {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        core: &Arc<Core>,
    ) -> Result<Self, Response> {
        auth::check_admin(core, &parts.headers).map(|()| Self).map_err(IntoResponse::into_response)
    }
}

pub(super) fn routes() -> Router<Arc<Core>> {
    Router::new()
        .route("/sim/v1/counters", get(counters).delete(reset_counters))
        .route("/sim/v1/state", get(state))
        .route("/sim/v1/dump", get(dump))
        .route("/sim/v1/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/sim/v1/faults/log", get(fault_log).delete(clear_fault_log))
        .route("/sim/v1/faults/{id}", delete(remove_fault))
        .route("/sim/v1/vips", get(vip_status))
        .route("/sim/v1/features", get(features).put(set_features))
        .route("/sim/v1/reset", post(reset))
        .route("/sim/v1/clock", get(clock).post(advance_clock))
        .route("/sim/v1/keys", put(put_keys))
        .route("/sim/v1/ca", get(ca))
        .route("/sim/v1/tokens/expire", post(expire_tokens))
        .route("/sim/v1/tokens/revoke", post(revoke_tokens))
}

fn json_of(value: &impl serde::Serialize) -> Response {
    axum::Json(value).into_response()
}

async fn counters(_: Admin, State(core): Shared) -> Response {
    json_of(&core.counting.snapshot())
}

async fn reset_counters(_: Admin, State(core): Shared) -> StatusCode {
    core.counting.reset();
    StatusCode::NO_CONTENT
}

async fn state(_: Admin, State(core): Shared) -> Response {
    json_of(&RawState::of(&core))
}

async fn dump(_: Admin, State(core): Shared) -> Response {
    json_of(&Dump::of(&core))
}

async fn faults(_: Admin, State(core): Shared) -> Response {
    json_of(&core.faults.list())
}

async fn add_fault(_: Admin, State(core): Shared, body: axum::body::Bytes) -> Result<Reply, ApiError> {
    let fault: Fault =
        serde_json::from_slice(&body).map_err(|e| ApiError::bad_request(&format!("bad fault: {e}")))?;
    let warnings = crate::faults::doubts(&core, &fault);
    let id = core.faults.add(fault).map_err(|e| ApiError::bad_request(&format!("bad fault: {e}")))?;
    Ok(Reply::created(json!({ "id": id, "warnings": warnings })))
}

async fn clear_faults(_: Admin, State(core): Shared) -> StatusCode {
    core.faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove_fault(_: Admin, State(core): Shared, Path(id): Path<u64>) -> Result<StatusCode, ApiError> {
    if core.faults.remove(id) { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

async fn fault_log(_: Admin, State(core): Shared) -> Response {
    json_of(&core.faults.log())
}

async fn clear_fault_log(_: Admin, State(core): Shared) -> StatusCode {
    core.faults.clear_log();
    StatusCode::NO_CONTENT
}

async fn vip_status(_: Admin, State(core): Shared) -> Response {
    json_of(&core.data_path.status())
}

async fn features(_: Admin, State(core): Shared) -> Response {
    json_of(&*lock(&core.features_off))
}

/// Takes the features that are off from now on: `{"conditional_writes": "ignored"}`; `{}` has all on.
async fn set_features(
    _: Admin,
    State(core): Shared,
    body: axum::body::Bytes,
) -> Result<StatusCode, ApiError> {
    let bad = |e: String| ApiError::bad_request(&format!("bad features: {e}"));
    let off: FeaturesOff = serde_json::from_slice(&body).map_err(|e| bad(e.to_string()))?;
    off.check().map_err(bad)?;
    *lock(&core.features_off) = off;
    Ok(StatusCode::NO_CONTENT)
}

async fn reset(_: Admin, State(core): Shared) -> Result<StatusCode, ApiError> {
    let worker = Arc::clone(&core);
    let done = tokio::task::spawn_blocking(move || crate::seed::start_over(&worker)).await;
    let problem = |e: &dyn std::fmt::Debug| {
        let detail = format!("the described cluster could not be had again: {e:?}");
        ApiError::detail(StatusCode::INTERNAL_SERVER_ERROR, &detail)
    };
    done.map_err(|e| problem(&e))?.map_err(|e| problem(&e))?;
    settled(&core).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Waits until what was done is on the disk.
async fn settled(core: &Core) -> Result<(), ApiError> {
    let failed =
        |e: crate::store::JournalError| ApiError::detail(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string());
    core.store.settled().await.map_err(failed)
}

fn clock_reading(core: &Core) -> Value {
    let now = core.now_ms();
    json!({ "now": crate::env::rfc3339(now), "now_ms": now })
}

async fn clock(_: Admin, State(core): Shared) -> Response {
    json_of(&clock_reading(&core))
}

/// How far the clock is to go.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

async fn advance_clock(_: Admin, State(core): Shared, body: axum::body::Bytes) -> Result<Reply, ApiError> {
    let ask: Advance = serde_json::from_slice(&body)
        .map_err(|e| ApiError::bad_request(&format!("bad advance, expected {{\"advance_ms\": N}}: {e}")))?;
    let worker = Arc::clone(&core);
    let by = std::time::Duration::from_millis(ask.advance_ms);
    let done = tokio::task::spawn_blocking(move || crate::background::advance(&worker, by)).await;
    settled(&core).await?;
    match done {
        Ok(Ok(())) => Ok(Reply::ok(clock_reading(&core))),
        Ok(Err(cannot)) => Err(ApiError::conflict(&cannot.to_string())),
        Err(_) => Err(ApiError::detail(StatusCode::INTERNAL_SERVER_ERROR, "a background job failed")),
    }
}

/// A key pair that somebody chose.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ChosenKeys {
    user_id: u64,
    #[serde(default = "default_tenant")]
    tenant_id: u64,
    access_key: String,
    secret_key: String,
}

const fn default_tenant() -> u64 {
    1
}

async fn put_keys(_: Admin, State(core): Shared, body: axum::body::Bytes) -> Result<Reply, ApiError> {
    let ask: ChosenKeys =
        serde_json::from_slice(&body).map_err(|e| ApiError::bad_request(&format!("bad keys: {e}")))?;
    let pair = KeyPair { access_key: ask.access_key, secret_key: ask.secret_key };
    provision::put_keys(&core, ask.user_id, ask.tenant_id, &pair)?;
    core.store
        .settled()
        .await
        .map_err(|e| ApiError::detail(StatusCode::SERVICE_UNAVAILABLE, &e.to_string()))?;
    Ok(Reply::no_content())
}

/// The authority's certificate, for anybody: it is what clients need before they can trust anything else.
async fn ca(State(core): Shared) -> Response {
    ([(http::header::CONTENT_TYPE, "application/x-pem-file")], core.ca_pem.clone()).into_response()
}

async fn expire_tokens(_: Admin, State(core): Shared) -> Response {
    core.tokens.expire_access();
    json_of(&Value::Null)
}

async fn revoke_tokens(_: Admin, State(core): Shared) -> Response {
    core.tokens.revoke_all();
    json_of(&Value::Null)
}
