//! Receiving an object's bytes: stored as they arrive, hashed as asked, refused when they are not what was declared.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use http::StatusCode;
use md5::Digest as _;
use s3s::dto::StreamingBlob;
use s3s::{S3Result, TrailingHeaders, s3_error};

use super::checksum::{Algorithm, Hasher};
use super::reply;
use super::signature::Broken;
use crate::config::EtagMode;
use crate::core::Core;
use crate::env;
use crate::store::blob::Blob;
use crate::store::object::StoredChecksum;

/// What the client declared about the bytes to come.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) length: Option<u64>,
    /// Base64, from `Content-MD5`.
    pub(crate) md5: Option<String>,
    /// Values given in headers.
    pub(crate) checksums: Vec<(Algorithm, String)>,
    /// To compute in any case: announced for the trailer, or asked for by name.
    pub(crate) algorithm: Option<Algorithm>,
    /// Whether [`Self::algorithm`] must be confirmed by a trailer.
    pub(crate) trailer: bool,
}

/// Bytes that arrived whole and unharmed.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) blob: Arc<Blob>,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) checksum: Option<StoredChecksum>,
}

/// Takes a body in. Nothing is kept when this fails.
pub(crate) async fn receive(
    core: &Core,
    body: Option<StreamingBlob>,
    declared: Declared,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<Received> {
    let is_digest = |text: &String| STANDARD.decode(text).is_ok_and(|digest| digest.len() == 16);
    if declared.md5.as_ref().is_some_and(|md5| !is_digest(md5)) {
        return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid."));
    }
    let mut writer = core.store.blobs().writer().map_err(s3s::S3Error::internal_error)?;
    let want_md5 = declared.md5.is_some() || core.config.etag == EtagMode::Md5;
    let mut md5 = want_md5.then(md5::Md5::new);
    let mut wanted: Vec<Algorithm> = declared.checksums.iter().map(|(a, _)| *a).collect();
    wanted.extend(declared.algorithm.filter(|a| !wanted.contains(a)));
    let mut hashers: Vec<(Algorithm, Hasher)> = wanted.into_iter().map(|a| (a, Hasher::new(a))).collect();

    let mut length = 0u64;
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(broken_body)?;
            length += chunk.len() as u64;
            if let Some(md5) = &mut md5 {
                md5.update(&chunk);
            }
            for (_, hasher) in &mut hashers {
                hasher.update(&chunk);
            }
            writer.push(chunk).await.map_err(s3s::S3Error::internal_error)?;
        }
    }
    if declared.length.is_some_and(|l| l != length) {
        return Err(s3_error!(IncompleteBody, "{length} bytes arrived, {:?} were declared", declared.length));
    }
    let digest = md5.map(|m| <[u8; 16]>::from(m.finalize()));
    if let (Some(expected), Some(digest)) = (&declared.md5, digest)
        && *expected != STANDARD.encode(digest)
    {
        return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
    }
    let computed: Vec<(Algorithm, String)> = hashers.into_iter().map(|(a, h)| (a, h.finish())).collect();
    compare(&declared, &computed, trailers)?;

    let blob = writer.finish().await.map_err(s3s::S3Error::internal_error)?;
    let etag = match (core.config.etag, digest) {
        (EtagMode::Md5, Some(digest)) => env::hex(&digest),
        _ => env::random_hex(&*core.entropy, 16),
    };
    let checksum = computed.into_iter().next().map(|(algorithm, value)| StoredChecksum {
        algorithm,
        value,
        composite: false,
    });
    Ok(Received { blob, etag, checksum })
}

/// Compares computed checksums with those in headers and trailers.
fn compare(
    declared: &Declared,
    computed: &[(Algorithm, String)],
    trailers: Option<&TrailingHeaders>,
) -> S3Result<()> {
    for (algorithm, value) in computed {
        let header = declared.checksums.iter().find(|(a, _)| a == algorithm).map(|(_, v)| v.clone());
        let in_trailer = declared.trailer && declared.algorithm == Some(*algorithm);
        let expected = match (header, in_trailer) {
            (Some(header), _) => header,
            (None, false) => continue,
            (None, true) => {
                let read = |h: &http::HeaderMap| h.get(algorithm.header())?.to_str().ok().map(str::to_owned);
                let found = trailers.and_then(|t| t.read(read)).flatten();
                found.ok_or_else(|| {
                    reply::refusal(
                        StatusCode::BAD_REQUEST,
                        "MalformedTrailerError",
                        "The announced trailer did not arrive.",
                    )
                })?
            }
        };
        if expected != *value {
            let name = algorithm.name();
            return Err(s3_error!(
                BadDigest,
                "The {name} you specified did not match the calculated checksum."
            ));
        }
    }
    Ok(())
}

/// A body that ended with an error: the client's connection, or the protocol library's verdict on what arrived.
fn broken_body(error: s3s::StdError) -> s3s::S3Error {
    let mut causes =
        std::iter::successors(Some(&*error as &(dyn std::error::Error + 'static)), |e| e.source());
    let cut = causes.any(|e| e.is::<hyper::Error>() || e.is::<std::io::Error>());
    // The library's own error types are private to it; what they say is fixed, and theirs alone.
    let text = error.to_string();
    let broken = Broken::told_by(&text);
    let mut answer = match text.as_str() {
        _ if cut || broken == Some(Broken::Incomplete) => {
            s3_error!(IncompleteBody, "The request body terminated unexpectedly")
        }
        _ if broken == Some(Broken::Signature) => s3_error!(
            SignatureDoesNotMatch,
            "The request signature we calculated does not match the signature you provided."
        ),
        "UploadStreamError: Sha256Mismatch" => reply::refusal(
            StatusCode::BAD_REQUEST,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        "UploadStreamError: LengthMismatch"
        | "UploadStreamError: Incomplete"
        | "AwsChunkedStreamError: Incomplete" => {
            s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header"
            )
        }
        _ if text.starts_with("AwsChunkedStreamError: Underlying")
            || text.starts_with("UploadStreamError: Underlying") =>
        {
            s3_error!(IncompleteBody, "The request body terminated unexpectedly")
        }
        _ => s3_error!(InvalidRequest, "The request body is malformed: {text}"),
    };
    answer.set_source(error);
    answer
}
