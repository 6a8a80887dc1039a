//! Errors as AWS documents them: the protocol library names code and message, this adds resource and request id.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use s3s::{Body, S3Error};

use crate::core::Core;
use crate::env;

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

/// What an error says about the request that it answers.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) id: RequestId,
    pub(crate) method: Method,
    /// `/bucket/key`.
    pub(crate) resource: String,
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

/// Adds what is missing to an error; other answers stay as they are.
pub(crate) fn complete(answer: Response<Body>, about: &About) -> Response<Body> {
    if answer.status().as_u16() < 400 {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    if about.method == Method::HEAD {
        // There is no body to describe.
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    match body.bytes().and_then(|bytes| with_details(&bytes, about)) {
        Some(bytes) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(bytes))
        }
        None => Response::from_parts(parts, body),
    }
}

/// The document with the elements at its end; none when it is not an error.
fn with_details(document: &Bytes, about: &About) -> Option<Bytes> {
    let text = std::str::from_utf8(document).ok()?;
    let head = text.strip_suffix("</Error>")?;
    let mut details = Vec::new();
    let mut xml = s3s::xml::Serializer::new(&mut details);
    for (name, value) in
        [("Resource", &about.resource), ("RequestId", &about.id.id), ("HostId", &about.id.host)]
    {
        xml.content(name, value.as_str()).ok()?;
    }
    Some([head.as_bytes(), &details, b"</Error>"].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(method: Method) -> About {
        let id = RequestId { id: "1F".to_owned(), host: "h".to_owned() };
        About { id, method, resource: "/b/<k>".to_owned() }
    }

    #[test]
    fn errors_name_resource_and_request() {
        let full = answer(S3Error::with_message(s3s::S3ErrorCode::NoSuchKey, "gone"), &about(Method::GET));
        assert_eq!(full.status(), 404);
        let text = String::from_utf8(full.into_body().bytes().unwrap().to_vec()).unwrap();
        assert!(text.ends_with(
            "<Error><Code>NoSuchKey</Code><Message>gone</Message><Resource>/b/&lt;k&gt;</Resource>\
             <RequestId>1F</RequestId><HostId>h</HostId></Error>"
        ));
    }

    #[test]
    fn head_has_no_body() {
        let head = answer(S3Error::new(s3s::S3ErrorCode::NoSuchKey), &about(Method::HEAD));
        assert_eq!((head.status().as_u16(), head.into_body().bytes().map_or(0, |b| b.len())), (404, 0));
    }
}
