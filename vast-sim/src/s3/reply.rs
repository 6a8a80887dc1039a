//! Pieces of answers that several operations share: header sets, checksum fields, body streams, refusals.

#![allow(clippy::unnecessary_wraps, reason = "the protocol's fields are optional")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http::StatusCode;
use s3s::dto::{ETag, Owner, StreamingBlob, Timestamp};
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, S3ErrorCode, S3Response, StdError};

use crate::core::Core;
use crate::env::from_millis;
use crate::store::blob::{Extent, READ_CHUNK, read_file, to_usize};
use crate::store::capacity::Full;

/// Chunks read ahead of a slow client from a file.
const READ_AHEAD: usize = 2;

pub(crate) fn etag(value: &str) -> Option<ETag> {
    Some(ETag::Strong(value.to_owned()))
}

pub(crate) fn stamp(ms: u64) -> Option<Timestamp> {
    Some(Timestamp::from(from_millis(ms)))
}

pub(crate) fn owner(name: &str) -> Option<Owner> {
    Some(Owner { id: Some(name.to_owned()), display_name: Some(name.to_owned()) })
}

/// A size as the protocol's signed number.
pub(crate) fn size(n: u64) -> Option<i64> {
    i64::try_from(n).ok()
}

/// An error whose code the protocol library does not list.
pub(crate) fn refusal(status: StatusCode, code: &'static str, message: impl Into<String>) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message.into());
    error.set_status_code(status);
    error
}

/// The status of an answer, on its way to the edge: the protocol library has one of its own for each operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status(pub(crate) StatusCode);

/// An answer with another status than the library's.
pub(crate) fn with_status<T>(output: T, status: StatusCode) -> S3Response<T> {
    let mut response = S3Response::new(output);
    response.extensions.insert(Status(status));
    response
}

/// The configured answer to a write that does not fit.
pub(crate) fn full(core: &Core, full: &Full) -> S3Error {
    let answer = &core.config.quota_answer;
    let message = match full {
        Full::Quota(path) => format!("The hard limit of the quota on {path} is reached."),
        Full::Cluster => "The cluster has no space left.".to_owned(),
    };
    let mut error = S3Error::with_message(S3ErrorCode::Custom(answer.code.as_str().into()), message);
    error.set_status_code(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::FORBIDDEN));
    error
}

/// Fills the five checksum fields that many outputs have.
macro_rules! put_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(sum) = $checksum {
            use $crate::s3::checksum::Algorithm;
            let value = Some(sum.value.clone());
            match sum.algorithm {
                Algorithm::Crc32 => $output.checksum_crc32 = value,
                Algorithm::Crc32c => $output.checksum_crc32c = value,
                Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
                Algorithm::Sha1 => $output.checksum_sha1 = value,
                Algorithm::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}
pub(crate) use put_checksum;

/// Collects the checksum fields that many inputs have.
macro_rules! declared_checksums {
    ($input:expr) => {{
        use $crate::s3::checksum::Algorithm;
        [
            (Algorithm::Crc32, $input.checksum_crc32.take()),
            (Algorithm::Crc32c, $input.checksum_crc32c.take()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
            (Algorithm::Sha1, $input.checksum_sha1.take()),
            (Algorithm::Sha256, $input.checksum_sha256.take()),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| value.map(|v| (algorithm, v)))
        .collect::<Vec<_>>()
    }};
}
pub(crate) use declared_checksums;

/// The protocol's name for how a stored checksum was made.
pub(crate) fn checksum_type(composite: bool) -> Option<s3s::dto::ChecksumType> {
    use s3s::dto::ChecksumType;
    let name = if composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
    Some(ChecksumType::from_static(name))
}

/// The bytes of `extents`, sharing memory with the store, or read from files as the client takes them.
pub(crate) fn body(extents: Vec<Extent>) -> StreamingBlob {
    let length = extents.iter().map(|e| e.len).sum();
    let in_memory: Option<Vec<Vec<Bytes>>> =
        extents.iter().map(|e| e.blob.memory_range(e.offset, e.len)).collect();
    if let Some(chunks) = in_memory {
        let chunks: Vec<Bytes> = chunks.into_iter().flatten().collect();
        return StreamingBlob::new(Chunks { chunks: chunks.into_iter(), left: to_usize(length) });
    }
    let (sender, receiver) = tokio::sync::mpsc::channel(READ_AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read_files(&extents, &sender) {
            let _ = sender.blocking_send(Err(error));
        }
    });
    StreamingBlob::new(FromFiles { receiver, left: to_usize(length) })
}

type Sender = tokio::sync::mpsc::Sender<std::io::Result<Bytes>>;

fn read_files(extents: &[Extent], sender: &Sender) -> std::io::Result<()> {
    for extent in extents {
        let Some(file) = extent.blob.open()? else {
            return Err(std::io::Error::other("a blob in memory among blobs in files"));
        };
        let mut done = 0;
        while done < extent.len {
            let n = READ_CHUNK.min(extent.len - done);
            if sender.blocking_send(Ok(read_file(&file, extent.offset + done, n)?)).is_err() {
                return Ok(()); // The client is gone.
            }
            done += n;
        }
    }
    Ok(())
}

/// A body that is in memory.
struct Chunks {
    chunks: std::vec::IntoIter<Bytes>,
    left: usize,
}

impl Stream for Chunks {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = self.chunks.next();
        self.left -= chunk.as_ref().map_or(0, Bytes::len);
        Poll::Ready(chunk.map(Ok))
    }
}

impl ByteStream for Chunks {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(self.left)
    }
}

/// A body that a reader task feeds.
struct FromFiles {
    receiver: tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>,
    left: usize,
}

impl Stream for FromFiles {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx).map(|item| {
            item.map(|chunk| {
                let chunk = chunk.map_err(|e| Box::new(e) as StdError)?;
                self.left = self.left.saturating_sub(chunk.len());
                Ok(chunk)
            })
        })
    }
}

impl ByteStream for FromFiles {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(self.left)
    }
}

/// Keeps an `Arc` of the core with a backend's methods short.
pub(crate) type CoreRef<'a> = &'a Arc<Core>;
