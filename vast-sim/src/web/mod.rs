//! The live page at the root of the management listener: what the cluster holds and does, once a second.
//!
//! Plain files, compiled in; nothing is loaded from elsewhere. On a loopback listener the page and the figures behind it
//! are open to whoever is on the machine; on any other the administrator's password is asked for.

mod overview;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::core::Core;
use crate::vms::auth;
use overview::Overview;

/// Only our own files, in no frame of anybody's.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Arc<Core>> {
    let file =
        |kind: &'static str, text: &'static str| get(move |_: Viewer| async move { asset(kind, text) });
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page.html")))
        .route("/sim/page.css", file("text/css; charset=utf-8", include_str!("page.css")))
        .route("/sim/page.js", file("text/javascript; charset=utf-8", include_str!("page.js")))
        .route("/sim/v1/overview", get(figures))
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

async fn figures(_: Viewer, State(core): State<Arc<Core>>) -> Response {
    let mut answer = axum::Json(Overview::of(&core)).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Somebody who may look.
struct Viewer;

impl FromRequestParts<Arc<Core>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        core: &Arc<Core>,
    ) -> Result<Self, Response> {
        if is_open(core, &parts.headers) {
            return Ok(Self);
        }
        auth::check_admin(core, &parts.headers).map(|()| Self).map_err(|refusal| {
            let mut answer = refusal.into_response();
            if answer.status() == StatusCode::UNAUTHORIZED {
                let ask = HeaderValue::from_static("Basic realm=\"vast-sim\", charset=\"UTF-8\"");
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
            }
            answer
        })
    }
}

/// Whether no password is needed: the listener is on loopback and the browser means it by an address or name of this
/// machine, so that a name of somebody else's that resolves to it is no way in.
fn is_open(core: &Core, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let host = host.parse::<http::uri::Authority>().map(|a| a.host().to_owned()).unwrap_or_default();
    let bare = host.trim_matches(['[', ']']);
    let ours =
        bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    ours && core.config.vms_listen.ip().is_loopback()
}
