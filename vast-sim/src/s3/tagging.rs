//! Tags of objects.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::place::Place;
use super::reply::{self, CoreRef};
use super::versions;

/// Most tags of one object.
const MAX_TAGS: usize = 10;
/// Longest tag name, in characters.
const MAX_NAME: usize = 128;
/// Longest tag value, in characters.
const MAX_VALUE: usize = 256;

/// Tags by name.
pub(crate) type Tags = BTreeMap<String, String>;

fn allowed(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || "+-=._:/@".contains(c)
}

/// Checks tags against the limits of S3.
pub(crate) fn checked(pairs: impl IntoIterator<Item = (String, String)>) -> S3Result<Tags> {
    let mut tags = Tags::new();
    for (name, value) in pairs {
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME || !name.chars().all(allowed) || name.starts_with("aws:") {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > MAX_VALUE || !value.chars().all(allowed) {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags.insert(name, value).is_some() {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    if tags.len() > MAX_TAGS {
        return Err(reply::refusal(
            http::StatusCode::BAD_REQUEST,
            "BadRequest",
            format!("Object tags cannot be greater than {MAX_TAGS}"),
        ));
    }
    Ok(tags)
}

/// The tags of an `x-amz-tagging` header: `name=value&name=value`, encoded as queries are.
pub(crate) fn of_header(header: Option<&str>) -> S3Result<Tags> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8().map(Into::into);
    let mut pairs = Vec::new();
    for pair in header.unwrap_or_default().split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (decode(name), decode(value)) {
            (Ok(name), Ok(value)) => pairs.push((name, value)),
            _ => {
                return Err(s3_error!(
                    InvalidArgument,
                    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters \
                     without tag name duplicates."
                ));
            }
        }
    }
    checked(pairs)
}

/// The tags of a request's XML.
pub(crate) fn of_set(set: Vec<Tag>) -> S3Result<Tags> {
    checked(set.into_iter().map(|t| (t.key.unwrap_or_default(), t.value.unwrap_or_default())))
}

pub(crate) fn to_set(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

/// Replaces the tags of a version; gives its id as answers name it.
fn replace(
    core: CoreRef<'_>,
    caller: &Caller,
    (bucket, key, version): (&str, &str, Option<&str>),
    tags: Tags,
) -> S3Result<Option<String>> {
    let wanted = versions::named(version)?;
    core.store.write(|state| {
        let bucket = caller.open(state, bucket)?;
        let place = Place::for_write(state, bucket, key)?;
        let found = versions::find_in(state, bucket, key, wanted)?;
        state.change_object(place.tenant, &place.path, found.id, |attributes| attributes.tags = tags);
        Ok(found.version())
    })
}

pub(crate) async fn put(
    core: CoreRef<'_>,
    req: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let tags = of_set(input.tagging.tag_set)?;
    let version_id = replace(core, &caller, (&input.bucket, &input.key, input.version_id.as_deref()), tags)?;
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

pub(crate) async fn delete(
    core: CoreRef<'_>,
    req: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let version_id =
        replace(core, &caller, (&input.bucket, &input.key, input.version_id.as_deref()), Tags::new())?;
    Ok(reply::with_status(DeleteObjectTaggingOutput { version_id }, http::StatusCode::NO_CONTENT))
}

pub(crate) async fn get(
    core: CoreRef<'_>,
    req: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let found = versions::find(core, &caller, &input.bucket, &input.key, input.version_id.as_deref())?;
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: to_set(&found.object.attributes.tags),
        version_id: found.version(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_queries_within_limits() {
        let tags = of_header(Some("a=1&b+c=%C3%A4%2F&empty=&bare")).unwrap();
        let expected = [("a", "1"), ("b c", "ä/"), ("bare", ""), ("empty", "")];
        assert_eq!(tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
        assert_eq!(of_header(None).unwrap(), Tags::new());
        let code = |h: &str| of_header(Some(h)).unwrap_err().code().as_str().to_owned();
        assert_eq!(code("a=1&a=2"), "InvalidTag");
        assert_eq!(code("=1"), "InvalidTag");
        assert_eq!(code("a=%00"), "InvalidTag");
        assert_eq!(code("aws:x=1"), "InvalidTag");
        assert_eq!(code("a=%ff"), "InvalidArgument");
        assert_eq!(code(&format!("{}=1", "k".repeat(129))), "InvalidTag");
        assert_eq!(code(&format!("k={}", "v".repeat(257))), "InvalidTag");
        let eleven: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
        assert_eq!(code(&eleven.join("&")), "BadRequest");
        assert_eq!(of_header(Some(&eleven[..10].join("&"))).unwrap().len(), 10);
        assert!(of_header(Some(&format!("{}={}", "k".repeat(128), "v".repeat(256)))).is_ok());
    }
}
