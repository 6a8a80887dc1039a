//! Browsers' forms (POST Object): a form is judged here and becomes the PUT that it stands for, and that PUT's answer
//! becomes the form's.
//!
//! `s3s` knows forms, too, but judges them by the machine's clock, compares their version 2 signatures byte by byte and
//! whatever the cluster says about version 2, and leaves out `${filename}`, tags and what the form wants as its answer.

mod policy;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::Tagging;
use s3s::{Body, S3Error, S3ErrorCode, S3Result, s3_error, xml};

use self::policy::Policy;
use super::operation::classify;
use super::refusal::Detailed as _;
use super::signature::{self, Scheme};
use crate::core::Core;
use crate::net::conn::Peer;

/// Largest file of a form, as AWS has it.
const MAX_FILE: u64 = 5 << 30;
/// Most bytes of all fields but the file.
const MAX_FIELDS: usize = 20 << 10;
/// What stands for the file's own name in the key.
const FILENAME: &str = "${filename}";
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
const STRICT: &AsciiSet = &PATH.add(b'/');

/// The fields in front of the file, by their names in small letters.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| n.as_str())
    }
}

/// What a form that was taken wants to hear.
#[derive(Debug)]
pub(crate) struct Form {
    bucket: String,
    key: String,
    location: String,
    redirect: Option<Uri>,
    status: StatusCode,
}

/// Whether a request is a form: a POST to a bucket that asks for nothing else.
pub(crate) fn is_form(operation: &str) -> bool {
    operation == "PostObject"
}

fn malformed(error: &multer::Error) -> S3Error {
    if matches!(error, multer::Error::StreamReadFailed(_) | multer::Error::IncompleteStream) {
        return s3_error!(IncompleteBody, "The request body terminated unexpectedly");
    }
    let mut answer = s3_error!(
        MalformedPOSTRequest,
        "The body of your POST request is not well-formed multipart/form-data."
    );
    answer.set_message(format!("{} ({error})", answer.message().unwrap_or_default()));
    answer
}

fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, message)
}

/// Makes a form the PUT that it stands for: `parts` become those, the file is what this gives. It is held in memory, since
/// its length, which a PUT has to say, is known when it has ended.
pub(crate) async fn unfold(
    core: &Core,
    parts: &mut Parts,
    body: Body,
    bucket: &str,
    bucket_of_host: Option<&str>,
) -> S3Result<(Form, Bytes)> {
    let (mut fields, file) = read(parts, body).await?;
    let (name, file) = file.ok_or_else(|| invalid("POST requires exactly one file upload per request."))?;
    let Some((_, key)) = fields.0.iter_mut().find(|(n, _)| n == "key") else {
        return Err(invalid(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
        ));
    };
    *key = key.replace(FILENAME, name.rsplit(['/', '\\']).next().unwrap_or_default());
    let key = key.clone();
    if key.is_empty() {
        return Err(invalid("User key must have a length greater than 0."));
    }
    let signer = judge(core, parts, &fields, bucket, file.len() as u64)?;
    let path = format!("/{}", utf8_percent_encode(&key, PATH));
    let whole = if bucket_of_host.is_some() { path } else { format!("/{bucket}{path}") };
    let form = Form {
        bucket: bucket.to_owned(),
        location: format!("{}{whole}", origin(parts)),
        key,
        redirect: redirect(&fields),
        status: match fields.get("success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        },
    };
    let target: Uri =
        whole.parse().map_err(|_| s3_error!(InvalidURI, "The key cannot be part of a path."))?;
    let mut headers = HeaderMap::new();
    for kept in [header::HOST, header::USER_AGENT, header::REFERER, header::ORIGIN] {
        headers.extend(parts.headers.remove(&kept).map(|value| (kept, value)));
    }
    put_headers(&fields, &mut headers)?;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.len()));
    (parts.method, parts.uri, parts.headers) = (Method::PUT, target, headers);
    parts.extensions.insert(classify(&parts.method, &parts.uri, &parts.headers, bucket_of_host));
    signature::vouch(core, &core.own_key, parts, signer)?;
    Ok((form, file))
}

/// Reads fields up to the file; what comes behind it counts for nothing.
async fn read(parts: &Parts, body: Body) -> S3Result<(Fields, Option<(String, Bytes)>)> {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|_| {
        s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
            .detail("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
    })?;
    let mut form = multer::Multipart::new(body, boundary);
    let mut fields = Fields::default();
    let mut room = MAX_FIELDS;
    let mut longest = MAX_FILE;
    while let Some(mut field) = form.next_field().await.map_err(|e| malformed(&e))? {
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            let file_name = field.file_name().unwrap_or_default().to_owned();
            if let Some(kind) = field.content_type().filter(|_| fields.get("content-type").is_none()) {
                fields.0.push(("x-ignore-content-type".to_owned(), kind.to_string()));
            }
            let mut file = BytesMut::new();
            while let Some(chunk) = field.chunk().await.map_err(|e| malformed(&e))? {
                if (file.len() + chunk.len()) as u64 > longest {
                    return Err(policy::too_large((file.len() + chunk.len()) as u64, longest));
                }
                file.extend_from_slice(&chunk);
            }
            return Ok((fields, Some((file_name, file.freeze()))));
        }
        let mut value = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(|e| malformed(&e))? {
            room = room.checked_sub(chunk.len()).ok_or_else(|| {
                s3_error!(
                    MaxPostPreDataLengthExceededError,
                    "Your POST request fields preceding the upload file were too large."
                )
                .detail("MaxPostPreDataLengthBytes", MAX_FIELDS)
            })?;
            value.extend_from_slice(&chunk);
        }
        let value = String::from_utf8(value).map_err(|_| invalid("A field is not UTF-8."))?;
        if name == "policy" {
            // What is wrong with it is said once it is known who signed it.
            longest = Policy::read(&value).ok().and_then(|p| p.longest()).unwrap_or(MAX_FILE).min(MAX_FILE);
        }
        fields.0.push((name, value));
    }
    Ok((fields, None))
}

/// Who signed the form; none when nobody did.
fn judge(
    core: &Core,
    parts: &mut Parts,
    fields: &Fields,
    bucket: &str,
    length: u64,
) -> S3Result<Option<String>> {
    let v4 = fields.get("x-amz-signature");
    let v2 = fields.get("signature");
    let Some(text) = fields.get("policy") else {
        if v4.is_some() || v2.is_some() {
            return Err(invalid("Bucket POST must contain a field named 'policy'."));
        }
        return Ok(None);
    };
    let need = |name: &'static str| {
        let message = format!("Bucket POST must contain a field named '{name}'.");
        fields
            .get(&name.to_ascii_lowercase())
            .ok_or_else(|| S3Error::with_message(S3ErrorCode::InvalidArgument, message))
    };
    let (scheme, signer) = if let Some(signature) = v4 {
        if need("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" {
            return Err(invalid("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        need("X-Amz-Date")?;
        (Scheme::FormV4, signature::form_v4(core, need("X-Amz-Credential")?, text, signature)?)
    } else {
        let signer = need("AWSAccessKeyId")?;
        (Scheme::FormV2, signature::form_v2(core, signer, text, need("signature")?)?)
    };
    parts.extensions.insert(scheme);
    let now = core.config.signatures.max_skew.map(|_| core.now_ms());
    Policy::read(text)?.check(fields, bucket, length, now)?;
    Ok(Some(signer))
}

/// Where the client believes the cluster to be.
fn origin(parts: &Parts) -> String {
    let secure = parts.extensions.get::<Peer>().is_some_and(|p| p.secure);
    let host = parts.headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
    format!("{}://{host}", if secure { "https" } else { "http" })
}

/// Where the browser goes next; what is no address counts as none.
fn redirect(fields: &Fields) -> Option<Uri> {
    let text = fields.get("success_action_redirect").or_else(|| fields.get("redirect"))?;
    text.parse().ok().filter(|uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")))
}

/// Fields that say the same as headers of a PUT.
fn put_headers(fields: &Fields, headers: &mut HeaderMap) -> S3Result<()> {
    const SAME: [&str; 5] =
        ["cache-control", "content-type", "content-disposition", "content-encoding", "expires"];
    const SIGNING: [&str; 5] =
        ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"];
    for (name, value) in &fields.0 {
        let (name, value) = match name.as_str() {
            "acl" => ("x-amz-acl", value.clone()),
            "tagging" => ("x-amz-tagging", tags(value)?),
            "x-ignore-content-type" => ("content-type", value.clone()),
            name if SAME.contains(&name) => (name, value.clone()),
            name if name.starts_with("x-amz-") && !SIGNING.contains(&name) => (name, value.clone()),
            _ => continue,
        };
        let header = HeaderName::try_from(name).ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
        let (name, value) = header.ok_or_else(|| invalid("A field cannot be a header."))?;
        headers.insert(name, value);
    }
    Ok(())
}

/// The XML of the field `tagging` as the header has it.
fn tags(text: &str) -> S3Result<String> {
    let bad = || {
        s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        )
    };
    let mut reader = xml::Deserializer::new(text.as_bytes());
    let tagging = <Tagging as xml::Deserialize>::deserialize(&mut reader).map_err(|_| bad())?;
    let encode = |text: &str| utf8_percent_encode(text, STRICT).to_string();
    let pair = |tag: s3s::dto::Tag| {
        Some(format!("{}={}", encode(&tag.key?), encode(&tag.value.unwrap_or_default())))
    };
    let pairs: Option<Vec<String>> = tagging.tag_set.into_iter().map(pair).collect();
    Ok(pairs.ok_or_else(bad)?.join("&"))
}

/// As element text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Form {
    /// The answer to the form, made of that to the PUT.
    pub(crate) fn answer(&self, mut answer: Response<Body>) -> Response<Body> {
        if !answer.status().is_success() {
            return answer;
        }
        let etag =
            answer.headers().get(header::ETAG).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let headers = answer.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        let (status, location, body) = if let Some(redirect) = &self.redirect {
            let join = if redirect.query().is_some() { '&' } else { '?' };
            let [bucket, key, tag] =
                [&self.bucket, &self.key, &etag].map(|text| utf8_percent_encode(text, STRICT).to_string());
            let to = format!("{redirect}{join}bucket={bucket}&key={key}&etag={tag}");
            (StatusCode::SEE_OTHER, to, Body::empty())
        } else if self.status == StatusCode::CREATED {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            let [location, bucket, key, tag] =
                [&self.location, &self.bucket, &self.key, &etag].map(|t| escaped(t));
            let text = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{location}</Location><Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{tag}</ETag></PostResponse>"
            );
            (self.status, self.location.clone(), Body::from(text))
        } else {
            (self.status, self.location.clone(), Body::empty())
        };
        if let Ok(location) = HeaderValue::try_from(location) {
            answer.headers_mut().insert(header::LOCATION, location);
        }
        *answer.status_mut() = status;
        answer.map(|_| body)
    }
}
