//! Logging in to VMS: passwords, access and refresh tokens, and who a request is from.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::error::ApiError;
use crate::core::Core;
use crate::env;
use crate::store::lock;

/// Live tokens of each kind; the oldest go first when more are made.
const MAX_TOKENS: usize = 10_000;

/// The tokens that are valid now. They do not survive a restart.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    access: Mutex<HashMap<String, u64>>,
    refresh: Mutex<HashMap<String, u64>>,
}

fn keep(tokens: &Mutex<HashMap<String, u64>>, token: &str, expires: u64, now: u64) {
    let mut tokens = lock(tokens);
    tokens.retain(|_, e| *e > now);
    if tokens.len() >= MAX_TOKENS
        && let Some(oldest) = tokens.iter().min_by_key(|(_, e)| **e).map(|(t, _)| t.clone())
    {
        tokens.remove(&oldest);
    }
    tokens.insert(token.to_owned(), expires);
}

fn holds(tokens: &Mutex<HashMap<String, u64>>, token: &str, now: u64) -> bool {
    lock(tokens).get(token).is_some_and(|expires| *expires > now)
}

impl Tokens {
    /// All access tokens expire at once; refresh tokens stay.
    pub(crate) fn expire_access(&self) {
        lock(&self.access).clear();
    }

    /// Nobody is logged in any more.
    pub(crate) fn revoke_all(&self) {
        self.expire_access();
        lock(&self.refresh).clear();
    }
}

/// A fresh token pair.
fn issue(core: &Core) -> Value {
    let now = core.now_ms();
    let lifetime =
        |d: std::time::Duration| now.saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let (access, refresh) = (env::random_hex(&*core.entropy, 32), env::random_hex(&*core.entropy, 32));
    keep(&core.tokens.access, &access, lifetime(core.config.access_token_lifetime), now);
    keep(&core.tokens.refresh, &refresh, lifetime(core.config.refresh_token_lifetime), now);
    json!({ "access": access, "refresh": refresh })
}

fn is_admin(core: &Core, user: &str, password: &str) -> bool {
    user == core.config.user && password == core.config.password
}

fn required<'a>(body: &'a Value, field: &str) -> Result<&'a str, ApiError> {
    body.get(field).and_then(Value::as_str).ok_or_else(|| ApiError::field(field, "This field is required."))
}

/// `POST token/`
pub(crate) fn login(core: &Core, body: &Value) -> Result<Value, ApiError> {
    if is_admin(core, required(body, "username")?, required(body, "password")?) {
        Ok(issue(core))
    } else {
        Err(ApiError::detail(StatusCode::UNAUTHORIZED, "No active account found with the given credentials"))
    }
}

/// `POST token/refresh/`
pub(crate) fn refresh(core: &Core, body: &Value) -> Result<Value, ApiError> {
    if holds(&core.tokens.refresh, required(body, "refresh")?, core.now_ms()) {
        Ok(issue(core))
    } else {
        // 401, not 403: clients fall back to the password on it.
        let body = json!({ "detail": "Token is invalid or expired", "code": "token_not_valid" });
        Err(ApiError { status: StatusCode::UNAUTHORIZED, body })
    }
}

/// Checks the `Authorization` header of a request.
pub(crate) fn check(core: &Core, headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
    match scheme {
        "Bearer" if holds(&core.tokens.access, credentials, core.now_ms()) => Ok(()),
        "Basic" => check_basic(core, credentials),
        _ => Err(ApiError::token_expired()),
    }
}

/// Checks for the administrator's password, the only scheme of the simulator's own paths.
pub(crate) fn check_admin(core: &Core, headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    check_basic(core, value.strip_prefix("Basic ").unwrap_or_default())
}

fn check_basic(core: &Core, credentials: &str) -> Result<(), ApiError> {
    let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|b| String::from_utf8(b).ok());
    match decoded.as_deref().and_then(|d| d.split_once(':')) {
        Some((user, password)) if is_admin(core, user, password) => Ok(()),
        _ => Err(ApiError::detail(StatusCode::UNAUTHORIZED, "Invalid username/password.")),
    }
}
