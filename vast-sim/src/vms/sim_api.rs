//! The simulator's own paths under `/sim/v1`: counters, raw state, faults, tokens. Basic authentication only, never
//! faulted themselves.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::StatusCode;
use serde_json::{Value, json};

use super::auth;
use super::engine::Reply;
use super::error::ApiError;
use crate::core::Core;
use crate::faults::Fault;
use crate::raw_state::RawState;

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
        .route("/sim/v1/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/sim/v1/faults/log", get(fault_log))
        .route("/sim/v1/faults/{id}", delete(remove_fault))
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

async fn faults(_: Admin, State(core): Shared) -> Response {
    json_of(&core.faults.list())
}

async fn add_fault(_: Admin, State(core): Shared, body: axum::body::Bytes) -> Result<Reply, ApiError> {
    let fault: Fault =
        serde_json::from_slice(&body).map_err(|e| ApiError::bad_request(&format!("bad fault: {e}")))?;
    let id = core.faults.add(fault).map_err(|e| ApiError::bad_request(&format!("bad fault: {e}")))?;
    Ok(Reply { status: StatusCode::CREATED, body: Some(json!({ "id": id })) })
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

async fn expire_tokens(_: Admin, State(core): Shared) -> Response {
    core.tokens.expire_access();
    json_of(&Value::Null)
}

async fn revoke_tokens(_: Admin, State(core): Shared) -> Response {
    core.tokens.revoke_all();
    json_of(&Value::Null)
}
