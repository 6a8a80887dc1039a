//! Cross-origin rules of buckets: kept in one form whichever side sets them, and applied to the requests of browsers.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use s3s::dto::{CORSRule, GetBucketCorsInput, GetBucketCorsOutput, PutBucketCorsInput, PutBucketCorsOutput};
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::documents;
use super::reply::CoreRef;
use crate::core::Core;

/// Name of the bucket document with the rules.
pub(crate) const DOCUMENT: &str = "cors";
/// Most rules of a bucket.
const MAX_RULES: usize = 100;
/// The methods that a rule may name.
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// One rule, with the field names of the management API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rule {
    id: Option<String>,
    allowed_headers: Vec<String>,
    allowed_methods: Vec<String>,
    allowed_origins: Vec<String>,
    expose_headers: Vec<String>,
    max_age_seconds: Option<i32>,
}

/// The rules of a document, or what is wrong with it.
pub(crate) fn parse(document: &Value) -> Result<Vec<Rule>, String> {
    let rules: Vec<Rule> = serde_json::from_value(document.clone()).map_err(|e| e.to_string())?;
    check(&rules)?;
    Ok(rules)
}

fn check(rules: &[Rule]) -> Result<(), String> {
    if rules.is_empty() || rules.len() > MAX_RULES {
        return Err(format!("{} rules given, 1 to {MAX_RULES} needed.", rules.len()));
    }
    for rule in rules {
        if rule.allowed_methods.is_empty() {
            return Err("Each rule needs allowed_methods.".to_owned());
        }
        if rule.allowed_origins.is_empty() {
            return Err("Each rule needs allowed_origins.".to_owned());
        }
        if let Some(bad) = rule.allowed_methods.iter().find(|m| !METHODS.contains(&m.as_str())) {
            return Err(format!("Found unsupported HTTP method in CORS config. Unsupported method is {bad}"));
        }
        let patterns = rule.allowed_origins.iter().chain(&rule.allowed_headers);
        if let Some(bad) = patterns.into_iter().find(|p| p.matches('*').count() > 1) {
            return Err(format!("{bad} can not have more than one wildcard."));
        }
    }
    Ok(())
}

/// Whether a pattern with at most one `*` covers a text.
fn covers(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail)
        }
    }
}

impl Rule {
    fn admits(&self, origin: &str, method: &str, headers: &[String]) -> bool {
        let allows =
            |asked: &String| self.allowed_headers.iter().any(|p| covers(&p.to_ascii_lowercase(), asked));
        self.allowed_origins.iter().any(|p| covers(p, origin))
            && self.allowed_methods.iter().any(|m| m == method)
            && headers.iter().all(allows)
    }

    /// Tells a browser what it may do.
    fn mark(&self, answer: &mut HeaderMap, origin: &HeaderValue, asked: &[String]) {
        let everybody = self.allowed_origins.iter().any(|o| o == "*");
        let origin = if everybody { HeaderValue::from_static("*") } else { origin.clone() };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut set = |name, text: String| {
            if let Ok(value) = HeaderValue::try_from(text).map(|v| (!v.is_empty()).then_some(v)) {
                value.map(|v| answer.insert(name, v));
            }
        };
        set(header::ACCESS_CONTROL_ALLOW_METHODS, self.allowed_methods.join(", "));
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.join(", "));
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.expose_headers.join(", "));
        set(header::ACCESS_CONTROL_MAX_AGE, self.max_age_seconds.map_or_else(String::new, |s| s.to_string()));
        if !everybody {
            set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true".to_owned());
        }
        set(header::VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method".to_owned());
    }
}

fn rules_of(core: &Core, bucket: &str) -> S3Result<Option<Vec<Rule>>> {
    core.store.read(|state| {
        let bucket = state
            .bucket(bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        Ok(bucket.documents.get(DOCUMENT).and_then(|d| serde_json::from_value(d.clone()).ok()))
    })
}

fn forbidden(message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom("AccessForbidden".into()), message);
    error.set_status_code(StatusCode::FORBIDDEN);
    error
}

/// Answers a browser that asks before it sends a request to a bucket. Such a question is never signed.
pub(crate) fn preflight(core: &Core, bucket: &str, headers: &HeaderMap) -> S3Result<Response<Body>> {
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let (Some(origin), Some(origin_text)) = (headers.get(header::ORIGIN), text(header::ORIGIN)) else {
        return Err(s3_error!(InvalidRequest, "Insufficient information. Origin request header needed."));
    };
    let method = text(header::ACCESS_CONTROL_REQUEST_METHOD)
        .filter(|m| METHODS.contains(m))
        .ok_or_else(|| s3_error!(InvalidRequest, "Invalid Access-Control-Request-Method"))?;
    let asked: Vec<String> = text(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let rules = rules_of(core, bucket)?
        .ok_or_else(|| forbidden("CORSResponse: CORS is not enabled for this bucket."))?;
    let rule = rules
        .iter()
        .find(|rule| rule.admits(origin_text, method, &asked))
        .ok_or_else(|| forbidden("CORSResponse: no rule of this bucket allows this request."))?;
    let mut answer = Response::new(Body::empty());
    rule.mark(answer.headers_mut(), origin, &asked);
    Ok(answer)
}

/// A request that a browser may have sent, as far as rules look at it.
#[derive(Debug)]
pub(crate) struct Visitor {
    bucket: String,
    origin: HeaderValue,
    method: Method,
}

impl Visitor {
    /// None when the request names no origin.
    pub(crate) fn of(bucket: &str, method: &Method, headers: &HeaderMap) -> Option<Self> {
        let origin = headers.get(header::ORIGIN)?.clone();
        Some(Self { bucket: bucket.to_owned(), origin, method: method.clone() })
    }

    /// Lets the browser show the answer to its page, when a rule allows that.
    pub(crate) fn mark(&self, core: &Core, answer: &mut HeaderMap) {
        let Ok(origin) = self.origin.to_str() else { return };
        let rules = rules_of(core, &self.bucket).ok().flatten().unwrap_or_default();
        if let Some(rule) = rules.iter().find(|rule| rule.admits(origin, self.method.as_str(), &[])) {
            rule.mark(answer, &self.origin, &[]);
        }
    }
}

impl From<CORSRule> for Rule {
    fn from(rule: CORSRule) -> Self {
        Self {
            id: rule.id,
            allowed_headers: rule.allowed_headers.unwrap_or_default(),
            allowed_methods: rule.allowed_methods,
            allowed_origins: rule.allowed_origins,
            expose_headers: rule.expose_headers.unwrap_or_default(),
            max_age_seconds: rule.max_age_seconds,
        }
    }
}

impl From<Rule> for CORSRule {
    fn from(rule: Rule) -> Self {
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        Self {
            id: rule.id,
            allowed_headers: some(rule.allowed_headers),
            allowed_methods: rule.allowed_methods,
            allowed_origins: rule.allowed_origins,
            expose_headers: some(rule.expose_headers),
            max_age_seconds: rule.max_age_seconds,
        }
    }
}

pub(crate) async fn put(
    core: CoreRef<'_>,
    req: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let rules: Vec<Rule> = req.input.cors_configuration.cors_rules.iter().cloned().map(Rule::from).collect();
    check(&rules).map_err(|message| S3Error::with_message(S3ErrorCode::InvalidRequest, message))?;
    let document = serde_json::to_value(rules).map_err(S3Error::internal_error)?;
    documents::write(core, &req, &req.input.bucket, DOCUMENT, Some(document))?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}

pub(crate) async fn get(
    core: CoreRef<'_>,
    req: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let stored = documents::read(core, &req, &req.input.bucket, DOCUMENT)?;
    let rules: Vec<Rule> = stored.and_then(|d| serde_json::from_value(d).ok()).ok_or_else(|| {
        documents::absent("NoSuchCORSConfiguration", "The CORS configuration does not exist")
    })?;
    let rules = rules.into_iter().map(CORSRule::from).collect();
    Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(rules) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_one_wildcard() {
        assert!(covers("https://*.example.com", "https://a.example.com"));
        assert!(!covers("https://*.example.com", "https://example.com"));
        assert!(covers("*", "anything") && covers("x", "x") && !covers("x", "xx"));
        assert!(!covers("ab*bc", "abc"));
    }

    #[test]
    fn rules_are_checked() {
        let rule = |methods: &[&str], origin: &str| serde_json::json!([{ "allowed_methods": methods, "allowed_origins": [origin] }]);
        assert!(parse(&rule(&["GET"], "*")).is_ok());
        assert!(parse(&rule(&["PATCH"], "*")).unwrap_err().contains("PATCH"));
        assert!(parse(&rule(&[], "*")).unwrap_err().contains("allowed_methods"));
        assert!(parse(&rule(&["GET"], "*a*")).unwrap_err().contains("wildcard"));
        assert!(parse(&serde_json::json!([])).is_err());
    }
}
