//! `/apitokens/`: long-lived tokens of managers. Answers and refusals are JSON strings here, as VMS has it.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::auth;
use super::super::caller::Caller;
use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::secrets;
use super::super::spans;
use super::managers;
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

pub(crate) struct ApiTokens;

/// How long a token lives when nobody says, and at most.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// Tokens that one manager may have when the `/vms/` row does not say.
const DEFAULT_LIMIT: u64 = 5;
/// How often the time of the last use is noted, in milliseconds.
const USE_NOTED_EVERY: u64 = 60_000;

const EXPIRES: &str = "__expires";
const CREATED: &str = "__created";
const SEAL: &str = "__fingerprint";
const OWNER: &str = "__owner";
const ID: &str = "_token_id";

fn refusal(status: StatusCode, text: &str) -> ApiError {
    ApiError { status, body: text.into() }
}

fn is_valid(row: &Row, now: u64) -> bool {
    !flag(row, "revoked") && number(row, EXPIRES).is_some_and(|expires| expires > now)
}

/// The manager whose valid token this is; notes that it was used.
pub(crate) fn owner_of(core: &Core, token: &str) -> Option<u64> {
    let (now, seal) = (core.now_ms(), env::hex(&secrets::fingerprint(token)));
    let (id, owner, noted) = core.store.read(|state| {
        let valid = |(_, row): &(u64, &Row)| text(row, SEAL) == seal && is_valid(row, now);
        let (id, row) = state.vms.rows("apitokens").find(valid)?;
        Some((id, number(row, OWNER)?, number(row, "__used").unwrap_or(0)))
    })?;
    if now >= noted.saturating_add(USE_NOTED_EVERY) {
        let change = Row::from_iter([
            ("last_used".to_owned(), env::rfc3339(now).into()),
            ("__used".to_owned(), now.into()),
        ]);
        core.store.write(|state| state.vms.update("apitokens", id, change));
    }
    Some(owner)
}

/// The span in `expiry_date`.
fn span(body: &Value) -> Result<Option<Duration>, ApiError> {
    let bad = |why: &str| refusal(StatusCode::BAD_REQUEST, &format!("expiry_date: {why}"));
    match body.get("expiry_date") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let span = value
                .as_str()
                .and_then(spans::single)
                .ok_or_else(|| bad("a whole number followed by one of Y, M, w, d, h, m, s is required"))?;
            if span > LONGEST { Err(bad("no token lives longer than a year")) } else { Ok(Some(span)) }
        }
    }
}

fn expiry_fields(row: &mut Row, created: u64, span: Duration) {
    let expires = created.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    row.insert(EXPIRES.to_owned(), expires.into());
    row.insert("expiry_date".to_owned(), env::rfc3339(expires).into());
}

/// The manager that a token is for: the one named, else the caller. Naming another one is for those with all rights.
fn owner(state: &State, call: &Call) -> Result<(u64, String), ApiError> {
    let bad = |text: String| refusal(StatusCode::BAD_REQUEST, &text);
    let name = match call.body.get("owner") {
        None | Some(Value::Null) => call.caller.name.as_str(),
        Some(name) => name.as_str().ok_or_else(|| bad("owner: Not a valid string.".to_owned()))?,
    };
    let name = if name.is_empty() { call.caller.name.as_str() } else { name };
    if call.caller.permissions.is_some() && name != call.caller.name {
        return Err(ApiError::permission_denied("You may only make tokens of your own."));
    }
    let (id, row) = state
        .vms
        .find("managers", "username", name)
        .filter(|(_, row)| managers::is_active(row) && call.caller.may_change(number(row, "tenant_id")))
        .ok_or_else(|| bad(format!("owner: manager {name} does not exist.")))?;
    Ok((id, text(row, "username").to_owned()))
}

fn create(core: &Arc<Core>, call: &Call) -> Result<Reply, ApiError> {
    let span = span(&call.body)?.unwrap_or(LONGEST);
    let (id, token, now) = (env::random_guid(&*core.entropy), auth::random_token(core), core.now_ms());
    core.store.write(|state| {
        let (owner_id, owner) = owner(state, call)?;
        let limit = state.vms.rows("vms").next().and_then(|(_, v)| number(v, "max_api_tokens_per_user"));
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        let valid = |(_, t): &(u64, &Row)| number(t, OWNER) == Some(owner_id) && is_valid(t, now);
        if state.vms.rows("apitokens").filter(valid).count() as u64 >= limit {
            let text = format!("User {owner} has the maximum of {limit} API tokens.");
            return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, &text));
        }
        let name = call.body.get("name").and_then(Value::as_str).filter(|n| !n.is_empty());
        let name = name.map_or_else(|| format!("{owner}_api_token"), str::to_owned);
        let mut row = Row::from_iter([
            (ID.to_owned(), id.clone().into()),
            ("name".to_owned(), name.into()),
            ("owner".to_owned(), owner.into()),
            (OWNER.to_owned(), owner_id.into()),
            (SEAL.to_owned(), env::hex(&secrets::fingerprint(&token)).into()),
            (CREATED.to_owned(), now.into()),
        ]);
        expiry_fields(&mut row, now, span);
        engine::insert(core, state, "apitokens", row);
        Ok(Reply::created(json!({ "id": id, "token": token })))
    })
}

/// Whether a token is a caller's own, or that of a manager whom they administer.
fn is_for(state: &State, caller: &Caller, token: &Row) -> bool {
    let own = number(token, OWNER) == Some(caller.manager);
    own || (caller.permissions.is_none() && caller.may_change(ApiTokens.tenant(state, token)))
}

/// The token that a path names, if the caller may touch it.
fn named(state: &State, id: &str, call: &Call) -> Result<(u64, Row), ApiError> {
    let found = state.vms.find("apitokens", ID, id);
    match found.filter(|(_, row)| is_for(state, &call.caller, row)) {
        Some((id, row)) => Ok((id, row.clone())),
        None => Err(refusal(StatusCode::NOT_FOUND, "API token not found.")),
    }
}

fn change(core: &Arc<Core>, id: &str, call: &Call) -> Result<Reply, ApiError> {
    let span = span(&call.body)?;
    core.store.write(|state| {
        let (row_id, row) = named(state, id, call)?;
        if flag(&row, "revoked") {
            return Err(refusal(StatusCode::BAD_REQUEST, "A revoked API token cannot be modified."));
        }
        if !is_valid(&row, core.now_ms()) {
            return Err(refusal(StatusCode::BAD_REQUEST, "An expired API token cannot be modified."));
        }
        let mut changes = Row::new();
        if let Some(name) = call.body.get("name").and_then(Value::as_str) {
            changes.insert("name".to_owned(), name.into());
        }
        if let Some(span) = span {
            expiry_fields(&mut changes, number(&row, CREATED).unwrap_or(0), span);
        }
        state.vms.update("apitokens", row_id, changes);
        Ok(Reply::ok("API token has been modified.".into()))
    })
}

fn revoke(core: &Arc<Core>, id: &str, call: &Call) -> Result<Reply, ApiError> {
    core.store.write(|state| {
        let (row_id, row) = named(state, id, call)?;
        if !flag(&row, "revoked") {
            let changes = Row::from_iter([
                ("revoked".to_owned(), true.into()),
                ("revocation_time".to_owned(), env::rfc3339(core.now_ms()).into()),
            ]);
            state.vms.update("apitokens", row_id, changes);
        }
        Ok(Reply::ok("API token has been revoked.".into()))
    })
}

impl Resource for ApiTokens {
    fn kind(&self) -> &'static str {
        "apitokens"
    }

    fn tenant(&self, state: &State, row: &Row) -> Option<u64> {
        let owner = number(row, OWNER).and_then(|id| state.vms.row("managers", id));
        owner.and_then(|owner| number(owner, "tenant_id"))
    }

    fn is_shown_to(&self, state: &State, caller: &Caller, row: &Row) -> bool {
        is_for(state, caller, row)
    }

    fn locate(&self, state: &State, segment: &str) -> Option<u64> {
        state.vms.find("apitokens", ID, segment).map(|(id, _)| id)
    }

    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        let archived = number(row, "id").and_then(|id| state.vms.row("apitokens", id));
        let archived = archived.is_some_and(|stored| !is_valid(stored, core.now_ms()));
        row.insert("archived".to_owned(), archived.into());
        let id = row.get(ID).cloned().unwrap_or_default();
        row.insert("id".to_owned(), id);
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        match (name.split('/').collect::<Vec<_>>()[..].as_ref(), &call.method) {
            ([""], &Method::POST) => Some(create(core, call)),
            ([id], &Method::PATCH) if !id.is_empty() => Some(change(core, id, call)),
            ([id, "revoke"], &Method::PATCH) => Some(revoke(core, id, call)),
            _ => None,
        }
    }
}
