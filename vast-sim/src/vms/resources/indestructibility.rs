//! `/indestructibility/`: the lock in front of indestructible snapshots and policies.
//!
//! VAST's support turns a token into the challenge token that unlocks; here a token is its own challenge token.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::secrets;
use super::super::spans;
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

pub(crate) struct Indestructibility;

/// The password of a fresh cluster, and after a reset.
const DEFAULT_PASSWORD: &str = "default";
/// How long a token, and an unlocking, lasts: milliseconds.
const HOUR: u64 = 3_600_000;
/// Shortest password that is accepted.
const MIN_PASSWORD: usize = 8;

const PASSWORD: &str = "__password";
const TOKEN: &str = "__token";
const TOKEN_UNTIL: &str = "__token_until";
const UNLOCKED_UNTIL: &str = "__unlocked_until";
const RESET_AT: &str = "__reset_at";

/// Makes the only row.
pub(crate) fn seed(core: &Arc<Core>, state: &mut State) {
    let row = json!({ "name": "indestructibility", "passwd_delay": "1d" });
    engine::insert(core, state, "indestructibility", as_row(row));
}

fn runs_until(row: &Row, field: &str, now: u64) -> Option<u64> {
    number(row, field).filter(|until| *until > now)
}

/// Whether what is indestructible may be touched now.
pub(crate) fn is_unlocked(core: &Core, state: &State) -> bool {
    let now = core.now_ms();
    state.vms.rows("indestructibility").any(|(_, row)| runs_until(row, UNLOCKED_UNTIL, now).is_some())
}

fn check_password(row: &Row, body: &Value, now: u64) -> Result<(), ApiError> {
    let given = body.get("indestructibility_passwd").and_then(Value::as_str).unwrap_or_default();
    let was_reset = number(row, RESET_AT).is_some_and(|at| at <= now);
    let sealed = Some(text(row, PASSWORD)).filter(|s| !s.is_empty() && !was_reset);
    if sealed.map_or_else(|| secrets::same(given, DEFAULT_PASSWORD), |sealed| secrets::opens(sealed, given)) {
        Ok(())
    } else {
        Err(ApiError::field("indestructibility_passwd", "Wrong password."))
    }
}

fn generate_token(core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let now = core.now_ms();
    let row = state.vms.row("indestructibility", id).ok_or_else(ApiError::not_found)?;
    check_password(row, &call.body, now)?;
    let token = env::random_hex(&*core.entropy, 16);
    let changes = json!({
        TOKEN: env::hex(&secrets::fingerprint(&token)), TOKEN_UNTIL: now + HOUR, "token_time": env::rfc3339(now + HOUR),
    });
    state.vms.update("indestructibility", id, as_row(changes));
    let mut shown = engine::shown(core, state, &Indestructibility, id, &call.origin)?;
    shown["token"] = token.into();
    Ok(Reply::ok(shown))
}

fn unlock(core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let now = core.now_ms();
    let row = state.vms.row("indestructibility", id).ok_or_else(ApiError::not_found)?;
    let given = call.body.get("challenge_token").and_then(Value::as_str).unwrap_or_default();
    let fingerprint = env::hex(&secrets::fingerprint(given));
    if runs_until(row, TOKEN_UNTIL, now).is_none() || !secrets::same(text(row, TOKEN), &fingerprint) {
        return Err(ApiError::field("challenge_token", "The token is wrong or no longer valid."));
    }
    let changes = json!({ UNLOCKED_UNTIL: now + HOUR, TOKEN: null, TOKEN_UNTIL: null, "token_time": null });
    state.vms.update("indestructibility", id, as_row(changes));
    engine::shown(core, state, &Indestructibility, id, &call.origin).map(Reply::ok)
}

fn reset_password(core: &Arc<Core>, state: &mut State, id: u64, call: &Call) -> Result<Reply, ApiError> {
    let row = state.vms.row("indestructibility", id).ok_or_else(ApiError::not_found)?;
    let delay = spans::single(text(row, "passwd_delay")).map_or(24 * HOUR, env_millis);
    let at = core.now_ms().saturating_add(delay);
    let changes = json!({ RESET_AT: at, "passwd_delay_eta": env::rfc3339(at) });
    state.vms.update("indestructibility", id, as_row(changes));
    engine::shown(core, state, &Indestructibility, id, &call.origin).map(Reply::ok)
}

fn env_millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Resource for Indestructibility {
    fn kind(&self) -> &'static str {
        "indestructibility"
    }

    fn update(&self, core: &Arc<Core>, state: &mut State, id: u64, mut changes: Row) -> Result<(), ApiError> {
        if !is_unlocked(core, state) {
            return Err(ApiError::bad_request("Indestructibility is locked."));
        }
        if changes.get("passwd_delay").is_some_and(|d| {
            d.as_str().and_then(spans::single).is_none_or(|d| d < std::time::Duration::from_mins(1))
        }) {
            return Err(ApiError::field(
                "passwd_delay",
                "At least one minute is required, such as 1d or 30m.",
            ));
        }
        let row = state.vms.row("indestructibility", id).ok_or_else(ApiError::not_found)?;
        let current = changes.remove("indestructibility_passwd").unwrap_or_default();
        if let Some(new) = changes.remove("new_indestructibility_passwd") {
            check_password(row, &json!({ "indestructibility_passwd": current }), core.now_ms())?;
            let new = new.as_str().filter(|p| p.chars().count() >= MIN_PASSWORD).ok_or_else(|| {
                let message = format!("At least {MIN_PASSWORD} characters are required.");
                ApiError::field("new_indestructibility_passwd", message)
            })?;
            changes.insert(PASSWORD.to_owned(), secrets::seal(&*core.entropy, new).into());
            changes.insert(RESET_AT.to_owned(), Value::Null);
            changes.insert("passwd_delay_eta".to_owned(), Value::Null);
        }
        state.vms.update("indestructibility", id, changes);
        Ok(())
    }

    fn present(&self, core: &Arc<Core>, state: &State, row: &mut Row) {
        let stored = number(row, "id").and_then(|id| state.vms.row("indestructibility", id));
        let until = stored.and_then(|r| runs_until(r, UNLOCKED_UNTIL, core.now_ms()));
        row.insert("is_locked".to_owned(), until.is_none().into());
        row.insert("unlock_system_time".to_owned(), until.map_or(Value::Null, |u| env::rfc3339(u).into()));
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        Some(match (name, &call.method) {
            ("generate_token", &Method::PATCH) => generate_token(core, state, id, call),
            ("unlock", &Method::PATCH) => unlock(core, state, id, call),
            ("reset_passwd", &Method::PATCH) => reset_password(core, state, id, call),
            _ => return None,
        })
    }
}
