//! Logging in to VMS: passwords, access and refresh tokens, API tokens, and who a request is from.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::caller::Caller;
use super::error::ApiError;
use super::resources::{apitokens, managers};
use super::secrets::{self, Fingerprint};
use super::spans;
use crate::core::Core;
use crate::env;
use crate::store::lock;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

/// Live tokens of each kind; the oldest go first when more are made.
const MAX_TOKENS: usize = 10_000;
/// Names the tenant that a request is about.
const TENANT_HEADER: &str = "x-tenant-name";

/// What a token stands for.
#[derive(Debug, Clone, Copy)]
struct Session {
    manager: u64,
    /// The tenant named at login.
    tenant: Option<u64>,
    /// Milliseconds since 1970.
    expires: u64,
}

type Sessions = Mutex<HashMap<Fingerprint, Session>>;

/// The tokens that are valid now. They do not survive a restart.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    access: Sessions,
    refresh: Sessions,
}

fn keep(sessions: &Sessions, token: &str, session: Session, now: u64) {
    let mut sessions = lock(sessions);
    if sessions.len() >= MAX_TOKENS {
        sessions.retain(|_, s| s.expires > now);
        if sessions.len() >= MAX_TOKENS
            && let Some(oldest) = sessions.iter().min_by_key(|(_, s)| s.expires).map(|(t, _)| *t)
        {
            sessions.remove(&oldest);
        }
    }
    sessions.insert(secrets::fingerprint(token), session);
}

fn live(sessions: &Sessions, token: &str, now: u64) -> Option<Session> {
    lock(sessions).get(&secrets::fingerprint(token)).filter(|s| s.expires > now).copied()
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

    /// One manager is logged in no more.
    pub(crate) fn revoke_manager(&self, manager: u64) {
        for sessions in [&self.access, &self.refresh] {
            lock(sessions).retain(|_, s| s.manager != manager);
        }
    }
}

/// A token that looks like the signed ones of VMS. What it stands for is kept here, so its last part is random.
fn token(core: &Core, kind: &str, session: Session) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut random = [0; 32];
    core.entropy.fill(&mut random);
    let head = part(json!({ "alg": "HS256", "typ": "JWT" }));
    let body =
        part(json!({ "token_type": kind, "exp": session.expires / 1_000, "user_id": session.manager }));
    format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(random))
}

/// The lifetime in a field of the `/vms/` row.
fn lifetime(state: &State, field: &str, fallback: Duration) -> u64 {
    let row = state.vms.rows("vms").next().map(|(_, row)| row);
    let span = row.and_then(|r| spans::clock(text(r, field))).unwrap_or(fallback);
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A fresh token pair.
fn issue(core: &Core, manager: u64, tenant: Option<u64>) -> Value {
    let now = core.now_ms();
    let (access, refresh) = core.store.read(|state| {
        (
            lifetime(state, "access_token_lifetime", core.config.access_token_lifetime),
            lifetime(state, "refresh_token_lifetime", core.config.refresh_token_lifetime),
        )
    });
    let mut pair = serde_json::Map::new();
    for (kind, span, sessions) in
        [("access", access, &core.tokens.access), ("refresh", refresh, &core.tokens.refresh)]
    {
        let session = Session { manager, tenant, expires: now.saturating_add(span) };
        let token = token(core, kind, session);
        keep(sessions, &token, session, now);
        pair.insert(kind.to_owned(), token.into());
    }
    Value::Object(pair)
}

/// The manager of that name and password, if active.
fn known(state: &State, name: &str, password: &str) -> Option<u64> {
    let Some((id, row)) = state.vms.find("managers", "username", name) else {
        // Takes as long as a wrong password, so that nobody learns which names there are.
        let _ = secrets::opens("nobody$", password);
        return None;
    };
    (secrets::opens(text(row, managers::PASSWORD), password) && managers::is_active(row)).then_some(id)
}

/// `POST token/`
pub(crate) fn login(core: &Core, headers: &HeaderMap, body: &Value) -> Result<Value, ApiError> {
    let mut complaints = serde_json::Map::new();
    let mut required = |field: &str| {
        let value = body.get(field).and_then(Value::as_str);
        if value.is_none() {
            complaints.insert(field.to_owned(), json!(["This field is required."]));
        }
        value.unwrap_or_default().to_owned()
    };
    let (name, password) = (required("username"), required("password"));
    if !complaints.is_empty() {
        return Err(ApiError::fields(complaints));
    }
    let (manager, tenant) = core.store.write(|state| {
        let Some(id) = known(state, &name, &password) else {
            managers::note_failed_login(state, &name);
            // Not the name: what was typed may be a password in the wrong place.
            let said = "Somebody failed to log in to VMS.";
            super::events::record(
                core,
                state,
                &super::events::Happening::to_cluster("LOGIN_FAILED", "AUDIT", said),
            );
            let refusal = "No active account found with the given credentials";
            return Err(ApiError::detail(StatusCode::UNAUTHORIZED, refusal));
        };
        let tenant = named_tenant(state, headers)?;
        managers::note_login(core, state, id);
        Ok((id, tenant))
    })?;
    Ok(issue(core, manager, tenant))
}

/// `POST token/refresh/`
pub(crate) fn refresh(core: &Core, body: &Value) -> Result<Value, ApiError> {
    let token = body.get("refresh").and_then(Value::as_str);
    let token = token.ok_or_else(|| ApiError::required("refresh"))?;
    let session = live(&core.tokens.refresh, token, core.now_ms());
    let active = |s: &Session| {
        core.store.read(|state| state.vms.row("managers", s.manager).is_some_and(managers::is_active))
    };
    let Some(session) = session.filter(active) else {
        // 401, not 403: clients fall back to the password on it.
        let body = json!({ "detail": "Token is invalid or expired", "code": "token_not_valid" });
        return Err(ApiError { status: StatusCode::UNAUTHORIZED, body });
    };
    Ok(issue(core, session.manager, session.tenant))
}

/// `POST logout/`: the caller's tokens are worth nothing from now on.
pub(crate) fn logout(core: &Core, caller: &Caller) {
    core.tokens.revoke_manager(caller.manager);
}

/// The tenant that the request names in its header.
fn named_tenant(state: &State, headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(name) = headers.get(TENANT_HEADER).filter(|name| !name.is_empty()) else { return Ok(None) };
    let name = name.to_str().unwrap_or_default();
    match state.vms.find("tenants", "name", name) {
        Some((id, _)) => Ok(Some(id)),
        None => Err(ApiError::bad_request(&format!("Tenant {name:?} does not exist."))),
    }
}

/// Who a request is from.
pub(crate) fn check(core: &Core, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let value = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
    let credentials = credentials.trim();
    let (manager, tenant) = match scheme {
        "Bearer" => {
            let session = live(&core.tokens.access, credentials, core.now_ms());
            let session = session.ok_or_else(ApiError::token_expired)?;
            (session.manager, session.tenant)
        }
        "Basic" => (check_basic(core, credentials)?, None),
        "Api-Token" => (apitokens::owner_of(core, credentials).ok_or_else(ApiError::token_expired)?, None),
        _ => return Err(ApiError::token_expired()),
    };
    core.store.read(|state| {
        let row = state.vms.row("managers", manager).filter(|row| managers::is_active(row));
        let row = row.ok_or_else(ApiError::token_expired)?;
        let own = number(row, "tenant_id");
        let denied = || ApiError::permission_denied("You do not have access to this tenant.");
        // Who belongs to a tenant is not told which others there are.
        let named = named_tenant(state, headers);
        let named = if own.is_some() { named.map_err(|_| denied())? } else { named? }.or(tenant);
        if own.is_some() && named.is_some() && own != named {
            return Err(denied());
        }
        Ok(Caller {
            manager,
            name: text(row, "username").to_owned(),
            tenant: own.or(named),
            is_of_tenant: own.is_some(),
            permissions: permissions(state, row),
        })
    })
}

/// What a manager may do; none for everything.
fn permissions(state: &State, manager: &Row) -> Option<Vec<String>> {
    if flag(manager, "is_default") {
        return None;
    }
    let roles = managers::roles_of(state, manager);
    if roles.iter().any(|(_, role)| flag(role, "is_admin")) {
        return None;
    }
    Some(managers::permissions_of(state, manager))
}

/// Checks for the operator's password, the only scheme of the simulator's own paths. It is the one in the configuration,
/// whatever happens to managers.
pub(crate) fn check_admin(core: &Core, headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (user, password) = decoded(value.strip_prefix("Basic ").unwrap_or_default()).unwrap_or_default();
    // Both are always compared, so that a wrong name takes as long as a wrong password.
    let same = (secrets::same(&user, &core.config.user), secrets::same(&password, &core.config.password));
    if same == (true, true) { Ok(()) } else { Err(bad_password()) }
}

fn decoded(credentials: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn bad_password() -> ApiError {
    ApiError::detail(StatusCode::UNAUTHORIZED, "Invalid username/password.")
}

fn check_basic(core: &Core, credentials: &str) -> Result<u64, ApiError> {
    let (user, password) = decoded(credentials).ok_or_else(bad_password)?;
    if let Some(id) = core.store.read(|state| known(state, &user, &password)) {
        return Ok(id);
    }
    core.store.write(|state| managers::note_failed_login(state, &user));
    Err(bad_password())
}

/// A random token text for [`super::resources::apitokens`].
pub(crate) fn random_token(core: &Core) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    env::random_text(&*core.entropy, 43, alphabet)
}
