//! A VMS session: login when first needed, a bearer token on each call, a new one when VMS says so.
//!
//! VMS answers 401 or 403 to a token it no longer takes, and 403 with `permission_denied` in the body to a user who
//! lacks a right. Only the first is worth a new token: refresh first, which gives a new pair of tokens, and the
//! password again when the refresh token is refused too. However many tasks find the token stale, one renews it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::config::ClientConfig;
use crate::counters::Counters;
use crate::environment::{Environment, Severity};
use crate::error::{Delivery, Detail, Error, Result, Thing, excerpt};
use crate::net::link::Answer;
use crate::secret::Secret;
use crate::vms::transport::{Call, Transport, path_of};

/// Token calls are outside of the versioned paths.
const LOGIN: &str = "/api/token/";
const REFRESH: &str = "/api/token/refresh/";
/// Tried in turn until one is there; v5 is what VAST's own client asks for.
const PREFIXES: [&str; 2] = ["/api/v5/", "/api/latest/"];
/// Tries with new tokens before a call fails.
const TOKEN_TRIES: u32 = 3;

/// The session of one user.
#[derive(Debug)]
pub(crate) struct Session {
    transport: Transport,
    user: String,
    password: Secret,
    state: Mutex<State>,
    /// Held while a token is renewed.
    renewing: tokio::sync::Mutex<()>,
    environment: Environment,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct State {
    tokens: Option<Tokens>,
    /// Counts renewals: a task that failed with an older token just takes the newer one.
    generation: u64,
    /// Which of [`PREFIXES`] is in use.
    prefix: usize,
    /// The prefix has answered a call.
    proven: bool,
}

#[derive(Debug, Clone)]
struct Tokens {
    access: Secret,
    refresh: Secret,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access: String,
    refresh: String,
}

/// A successful answer and what was asked for.
#[derive(Debug)]
pub(crate) struct VmsAnswer {
    pub(crate) target: String,
    pub(crate) body: Bytes,
}

impl Session {
    pub(crate) fn new(
        config: &ClientConfig,
        environment: &Environment,
        counters: &Arc<Counters>,
    ) -> Result<Self> {
        Ok(Self {
            transport: Transport::new(config, environment, counters)?,
            user: config.vms.user.clone(),
            password: config.vms.password.clone(),
            state: Mutex::default(),
            renewing: tokio::sync::Mutex::new(()),
            environment: environment.clone(),
            counters: Arc::clone(counters),
        })
    }

    pub(crate) fn server(&self) -> String {
        format!("VMS {}", self.transport.endpoint())
    }

    pub(crate) fn tenant(&self) -> Option<&str> {
        self.transport.tenant()
    }

    /// Logs in unless there is a token.
    pub(crate) async fn ensure(&self) -> Result<()> {
        self.token().await.map(|_| ())
    }

    /// Reads a resource, given relative to the versioned prefix.
    pub(crate) async fn get(&self, path: &str) -> Result<VmsAnswer> {
        loop {
            let (prefix, proven) = self.with(|state| (state.prefix, state.proven));
            let outcome = self.get_target(&format!("{}{path}", PREFIXES[prefix])).await;
            match outcome {
                Err(Error::NotFound(..)) if !proven && prefix + 1 < PREFIXES.len() => {
                    self.with(|state| state.prefix = state.prefix.max(prefix + 1));
                }
                outcome => {
                    if outcome.is_ok() {
                        self.with(|state| state.proven = true);
                    }
                    return outcome;
                }
            }
        }
    }

    /// Reads a resource, given by path and query.
    pub(crate) async fn get_target(&self, target: &str) -> Result<VmsAnswer> {
        for _ in 0..TOKEN_TRIES {
            let (token, generation) = self.token().await?;
            let call = Call { method: Method::GET, target, body: None, token: Some(&token) };
            let answer = self.transport.send(&call).await?;
            if answer.status.is_success() {
                self.counters.bytes_down.add(answer.body.len() as u64);
                return Ok(VmsAnswer { target: path_of(target).to_owned(), body: answer.body });
            }
            if !is_stale_token(&answer) {
                return Err(self.refused("GET", target, &answer, Some(&token)));
            }
            self.renew(generation).await?;
        }
        let detail = Detail::new(format!("GET {}", path_of(target)), "VMS accepts no token, however new")
            .at(self.server())
            .advice("check the VMS user's role and the clocks of the cluster");
        Err(Error::Auth(Box::new(detail)))
    }

    /// The present token, and which one it is.
    async fn token(&self) -> Result<(Secret, u64)> {
        let present =
            || self.with(|state| state.tokens.clone().map(|tokens| (tokens.access, state.generation)));
        if let Some(token) = present() {
            return Ok(token);
        }
        let _renewing = self.renewing.lock().await;
        if let Some(token) = present() {
            return Ok(token);
        }
        let tokens = self.login().await?;
        Ok(self.store(tokens))
    }

    /// Gets new tokens, unless another task got some since `generation`.
    async fn renew(&self, generation: u64) -> Result<()> {
        let _renewing = self.renewing.lock().await;
        let (now, tokens) = self.with(|state| (state.generation, state.tokens.clone()));
        if now != generation {
            return Ok(());
        }
        let renewed = match tokens {
            Some(tokens) => self.refresh(&tokens.refresh).await?,
            None => None,
        };
        let tokens = match renewed {
            Some(tokens) => tokens,
            None => self.login().await?,
        };
        self.store(tokens);
        Ok(())
    }

    fn store(&self, tokens: Tokens) -> (Secret, u64) {
        self.with(|state| {
            state.generation += 1;
            let access = tokens.access.clone();
            state.tokens = Some(tokens);
            (access, state.generation)
        })
    }

    async fn login(&self) -> Result<Tokens> {
        #[derive(Serialize)]
        struct Body<'a> {
            username: &'a str,
            password: &'a str,
        }
        let body = Body { username: &self.user, password: self.password.expose() };
        let answer = self.post(LOGIN, &body).await?;
        if answer.status.is_success() {
            self.counters.logins.add(1);
            self.environment
                .log(Severity::Debug, format_args!("{}: logged in as {}", self.server(), self.user));
            return self.tokens(LOGIN, &answer);
        }
        if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST)
        {
            let why = format!("VMS does not accept user {} with this password", self.user);
            let detail = Detail::new(format!("POST {LOGIN}"), why)
                .at(self.server())
                .status(answer.status.as_u16())
                .delivery(Delivery::Answered)
                .advice("correct the storage server's credentials, and the tenant if one is configured");
            return Err(Error::Auth(Box::new(detail)));
        }
        Err(self.refused("POST", LOGIN, &answer, None))
    }

    /// New tokens for the refresh token; `None` when VMS does not take it any more.
    async fn refresh(&self, refresh: &Secret) -> Result<Option<Tokens>> {
        #[derive(Serialize)]
        struct Body<'a> {
            refresh: &'a str,
        }
        let answer = self.post(REFRESH, &Body { refresh: refresh.expose() }).await?;
        if answer.status.is_success() {
            self.counters.refreshes.add(1);
            return self.tokens(REFRESH, &answer).map(Some);
        }
        if answer.status == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        Err(self.refused("POST", REFRESH, &answer, Some(refresh)))
    }

    async fn post(&self, target: &str, body: &impl Serialize) -> Result<Answer> {
        let body = serde_json::to_vec(body)
            .map_err(|e| Error::config(format!("POST {target}"), e.to_string(), "check the user name"))?;
        let call = Call { method: Method::POST, target, body: Some(Bytes::from(body)), token: None };
        self.transport.send(&call).await
    }

    /// Both tokens come with every answer. The answer itself is never shown.
    fn tokens(&self, target: &str, answer: &Answer) -> Result<Tokens> {
        if let Ok(tokens) = serde_json::from_slice::<TokenAnswer>(&answer.body) {
            return Ok(Tokens { access: tokens.access.into(), refresh: tokens.refresh.into() });
        }
        let detail = Detail::new(format!("POST {target}"), "the answer has no access and refresh token")
            .at(self.server())
            .status(answer.status.as_u16())
            .delivery(Delivery::Answered)
            .advice("check that the address is that of VMS");
        Err(Error::Protocol(Box::new(detail)))
    }

    /// The error for an answer that is not a success.
    fn refused(&self, method: &str, target: &str, answer: &Answer, token: Option<&Secret>) -> Error {
        let body = excerpt(&String::from_utf8_lossy(&answer.body));
        let body = self.password.redact(&body);
        let body = token.map_or(body.clone(), |token| token.redact(&body));
        let status = answer.status.as_u16();
        let mut detail = Detail::new(format!("{method} {}", path_of(target)), format!("VMS answered {body}"))
            .at(self.server())
            .status(status)
            .delivery(Delivery::Answered);
        detail.request_id = answer.header("x-request-id").map(str::to_owned);
        let detail = Box::new(detail);
        let with = |advice| Box::new(Detail { advice, ..(*detail).clone() });
        match status {
            401 => Error::Auth(with("check the storage server's credentials")),
            403 => {
                Error::Denied(with("give the VMS user a role that may read clusters, views, quotas and VIPs"))
            }
            404 => Error::NotFound(Thing::Resource, detail),
            500..=599 => Error::Unreachable(with("check the health of VMS")),
            _ => Error::Protocol(detail),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A refusal that a new token may cure.
fn is_stale_token(answer: &Answer) -> bool {
    let refused = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    refused && !answer.body.windows(PERMISSION_DENIED.len()).any(|window| window == PERMISSION_DENIED)
}

const PERMISSION_DENIED: &[u8] = b"permission_denied";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::actions::testing::answer;

    #[test]
    fn a_missing_right_is_not_a_stale_token() {
        assert!(is_stale_token(&answer(401, &[], "")));
        assert!(is_stale_token(&answer(403, &[], "{\"detail\":\"Token is invalid or expired\"}")));
        assert!(!is_stale_token(&answer(403, &[], "{\"code\":\"permission_denied\"}")));
        assert!(!is_stale_token(&answer(404, &[], "")));
    }
}
