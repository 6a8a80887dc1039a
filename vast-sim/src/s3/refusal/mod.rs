//! Errors as AWS documents them. The protocol library writes a code, and a message if it has one; here come the messages
//! that it leaves out, the elements that AWS adds for each code, and the request's ids.

mod elements;
mod messages;

use std::fmt::Display;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::{Body, S3Error};

use super::operation::Asked;
use super::read;
use super::reply::Status;
use crate::core::Core;
use crate::env;

/// Carries an element from where an error is made to where it is written: the library's errors have no other place for
/// it. Clients never see it.
static DETAIL: HeaderName = HeaderName::from_static("x-vast-sim-error-detail");

/// Errors with elements of their own beside code and message.
pub(crate) trait Detailed {
    /// Adds an element. It goes before one of that name that follows from the request.
    fn detail(self, name: &'static str, value: impl Display) -> Self;
}

impl Detailed for S3Error {
    fn detail(mut self, name: &'static str, value: impl Display) -> Self {
        let mut headers = self.headers().cloned().unwrap_or_default();
        let text = format!("{name}={}", utf8_percent_encode(&value.to_string(), NON_ALPHANUMERIC));
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.append(&DETAIL, value);
        }
        self.set_headers(headers);
        self
    }
}

/// Takes the elements out of an answer.
fn details(headers: &mut HeaderMap) -> Vec<(String, String)> {
    let decode = |value: &HeaderValue| {
        let (name, value) = value.to_str().ok()?.split_once('=')?;
        Some((name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned()))
    };
    let found = headers.get_all(&DETAIL).iter().filter_map(decode).collect();
    headers.remove(&DETAIL);
    found
}

/// What clients log and support asks for.
#[derive(Debug, Clone)]
pub(crate) struct RequestId {
    id: String,
    host: String,
}

impl RequestId {
    pub(crate) fn new(core: &Core) -> Self {
        let mut bytes = [0; 8];
        core.entropy.fill(&mut bytes);
        let id = env::hex(&bytes).to_ascii_uppercase();
        Self { host: format!("vast-sim-{id}"), id }
    }

    pub(crate) fn text(&self) -> &str {
        &self.id
    }

    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        for (name, value) in [("x-amz-request-id", &self.id), ("x-amz-id-2", &self.host)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }
}

/// The request that an error answers.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) id: RequestId,
    pub(crate) asked: Asked,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl About {
    pub(crate) fn new<B>(core: &Core, request: &http::Request<B>, asked: Asked) -> Self {
        Self {
            id: RequestId::new(core),
            asked,
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    /// `/bucket/key`.
    fn resource(&self) -> String {
        let Asked { bucket, key, .. } = &self.asked;
        if key.is_empty() { format!("/{bucket}") } else { format!("/{bucket}/{key}") }
    }
}

/// The error as an answer.
pub(crate) fn answer(error: S3Error, about: &About) -> Response<Body> {
    let answer = error.to_http_response().unwrap_or_else(|_| {
        let mut bare = Response::new(Body::empty());
        *bare.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        bare
    });
    complete(answer, about)
}

/// Adds what is missing to an error; other answers only get the status that their operation wants.
pub(crate) fn complete(mut answer: Response<Body>, about: &About) -> Response<Body> {
    if let Some(Status(status)) = answer.extensions_mut().remove() {
        *answer.status_mut() = status;
    }
    if answer.status().as_u16() < 400 {
        if about.asked.operation == "GetObjectAttributes" {
            return unquoted(answer);
        }
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let details = details(&mut parts.headers);
    if about.method == Method::HEAD {
        // There is no body to describe.
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    match body.bytes().and_then(|bytes| completed(&bytes, &details, about)) {
        Some(bytes) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            // The library drops it from errors that have headers.
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            Response::from_parts(parts, Body::from(bytes))
        }
        None => Response::from_parts(parts, body),
    }
}

fn unquoted(answer: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let text = body.bytes().and_then(|bytes| read::without_quotes(std::str::from_utf8(&bytes).ok()?));
    match text {
        Some(text) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(text))
        }
        None => Response::from_parts(parts, body),
    }
}

/// The document with a message and all elements; none when it is not an error.
fn completed(document: &Bytes, details: &[(String, String)], about: &About) -> Option<Bytes> {
    let text = std::str::from_utf8(document).ok()?;
    let head = text.strip_suffix("</Error>")?;
    let code = head.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let mut added = Vec::new();
    let mut xml = s3s::xml::Serializer::new(&mut added);
    if !head.contains("<Message>") {
        xml.content("Message", messages::of(code)).ok()?;
    }
    let of_request = elements::of(code, about);
    let own = |name: &str| details.iter().any(|(own, _)| own == name);
    for (name, value) in of_request.iter().filter(|(name, _)| !own(name)) {
        xml.content(name, value.as_str()).ok()?;
    }
    for (name, value) in details {
        xml.content(name, value.as_str()).ok()?;
    }
    let ids = [("Resource", &about.resource()), ("RequestId", &about.id.id), ("HostId", &about.id.host)];
    for (name, value) in ids {
        xml.content(name, value.as_str()).ok()?;
    }
    Some([head.as_bytes(), &added, b"</Error>"].concat().into())
}

#[cfg(test)]
mod tests {
    use s3s::S3ErrorCode;

    use super::*;
    use crate::s3::operation::classify;

    fn about(method: Method, uri: &'static str) -> About {
        let id = RequestId { id: "1F".to_owned(), host: "h".to_owned() };
        let (uri, headers) = (Uri::from_static(uri), HeaderMap::new());
        let asked = classify(&method, &uri, &headers, None);
        About { id, asked, method, uri, headers }
    }

    fn text(error: S3Error, uri: &'static str) -> String {
        let full = answer(error, &about(Method::GET, uri));
        assert_eq!(full.headers()[header::CONTENT_TYPE], "application/xml");
        assert!(!full.headers().contains_key(&DETAIL));
        String::from_utf8(full.into_body().bytes().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn errors_name_resource_and_request() {
        let text = text(S3Error::with_message(S3ErrorCode::NoSuchKey, "gone"), "/b/%3Ck%3E");
        assert!(text.ends_with(
            "<Error><Code>NoSuchKey</Code><Message>gone</Message><Key>&lt;k&gt;</Key>\
             <Resource>/b/&lt;k&gt;</Resource><RequestId>1F</RequestId><HostId>h</HostId></Error>"
        ));
    }

    #[test]
    fn every_error_has_a_message_and_elements_of_its_own_go_first() {
        let bare = text(S3Error::new(S3ErrorCode::MalformedXML), "/b");
        assert!(bare.contains("</Code><Message>The XML you provided was not well-formed"), "{bare}");
        let unknown = text(S3Error::new(S3ErrorCode::Custom("Odd".into())), "/b");
        assert!(unknown.contains("<Message>Odd</Message>"), "{unknown}");
        let own = S3Error::new(S3ErrorCode::NoSuchKey).detail("Key", "s<é").detail("Other", 7);
        let own = text(own, "/b/k");
        assert!(own.contains("</Message><Key>s&lt;é</Key><Other>7</Other><Resource>/b/k<"), "{own}");
    }

    #[test]
    fn head_has_no_body() {
        let head = answer(S3Error::new(S3ErrorCode::NoSuchKey), &about(Method::HEAD, "/b/k"));
        assert_eq!((head.status().as_u16(), head.into_body().bytes().map_or(0, |b| b.len())), (404, 0));
    }
}
