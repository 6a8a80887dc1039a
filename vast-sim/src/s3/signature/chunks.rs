//! Bodies in signed chunks: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, with and without trailers.
//!
//! Each chunk's signature hangs on the one before, the first on the request's own. `s3s` could verify them, but compares
//! them byte by byte, takes a body for whole that ends between two chunks, and gets to see neither the path nor the
//! region that was signed. So they are verified here, and what `s3s` gets is the same body without signatures: bare
//! bytes, or unsigned chunks where trailers follow, which it knows how to hand on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body::{Body, Frame};
use s3s::StdError;
use sha2::{Digest as _, Sha256};

use super::hex_bytes;
use crate::env;

/// Longest line in front of a chunk.
const MAX_LINE: usize = 256;
/// Most bytes of trailers.
const MAX_TRAILERS: usize = 16 << 10;
/// What the trailer that signs the others is called.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Why a body in signed chunks is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// A signature is wrong or missing.
    #[error("a chunk's signature does not match")]
    Signature,
    /// It ends before its last chunk.
    #[error("the last chunk did not arrive")]
    Incomplete,
    /// It is not made of chunks.
    #[error("the chunks cannot be read")]
    Format,
}

impl Broken {
    /// The verdict in an error's text, which is all that the protocol library keeps of it.
    pub(crate) fn told_by(text: &str) -> Option<Self> {
        [Self::Signature, Self::Incomplete, Self::Format].into_iter().find(|b| text.ends_with(&b.to_string()))
    }
}

/// What the chunks of one request are verified by.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(super) key: Vec<u8>,
    pub(super) date: String,
    pub(super) scope: String,
    /// The signature before the next one, as text.
    pub(super) previous: String,
    /// Whether signed trailers follow.
    pub(super) trailers: bool,
}

impl Chunks {
    /// Verifies a body on its way.
    pub(crate) fn verify<B>(self, body: B) -> Verifying<B> {
        Verifying {
            body,
            chunks: self,
            buffer: BytesMut::new(),
            at: At::Line,
            hasher: Sha256::new(),
            claimed: String::new(),
            out: VecDeque::new(),
        }
    }

    /// Whether this is the next signature of the chain; compares in constant time.
    fn follows(&mut self, claimed: &str, kind: &str, hashes: &str) -> Result<(), Broken> {
        let text =
            format!("AWS4-HMAC-SHA256-{kind}\n{}\n{}\n{}\n{hashes}", self.date, self.scope, self.previous);
        let given = hex_bytes(claimed).ok_or(Broken::Signature)?;
        // HMAC takes keys of any length.
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).map_err(|_| Broken::Signature)?;
        mac.chain_update(text.as_bytes()).verify_slice(&given).map_err(|_| Broken::Signature)?;
        claimed.clone_into(&mut self.previous);
        Ok(())
    }
}

/// Where in a body its reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the line in front of a chunk.
    Line,
    /// In a chunk, with so many bytes to come.
    Data(u64),
    /// Behind a chunk's data.
    Break,
    /// Behind the last chunk.
    End,
    /// Nothing comes any more.
    Over,
}

/// A body whose chunks are verified as they pass.
pub(crate) struct Verifying<B> {
    body: B,
    chunks: Chunks,
    buffer: BytesMut,
    at: At,
    hasher: Sha256,
    /// The signature of the chunk that is passing.
    claimed: String,
    out: VecDeque<Bytes>,
}

impl<B> Verifying<B> {
    /// Reads on as far as the buffer goes.
    fn read(&mut self) -> Result<(), Broken> {
        loop {
            match self.at {
                At::Line => {
                    let Some(end) = self.buffer.windows(2).take(MAX_LINE).position(|w| w == b"\r\n") else {
                        return if self.buffer.len() > MAX_LINE { Err(Broken::Format) } else { Ok(()) };
                    };
                    let line = self.buffer.split_to(end);
                    self.buffer.advance(2);
                    self.begin(std::str::from_utf8(&line).map_err(|_| Broken::Format)?)?;
                }
                At::Data(left) => {
                    if self.buffer.is_empty() {
                        return Ok(());
                    }
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let data = self.buffer.split_to(n).freeze();
                    self.hasher.update(&data);
                    self.pass(data);
                    let left = left - n as u64;
                    self.at = At::Data(left);
                    if left == 0 {
                        self.finish_chunk()?;
                        self.at = At::Break;
                    }
                }
                At::Break => {
                    if self.buffer.len() < 2 {
                        return Ok(());
                    }
                    if self.buffer.split_to(2) != b"\r\n"[..] {
                        return Err(Broken::Format);
                    }
                    self.at = At::Line;
                }
                At::End if self.buffer.len() > MAX_TRAILERS => return Err(Broken::Format),
                At::End | At::Over => return Ok(()),
            }
        }
    }

    /// Begins the chunk that a line announces.
    fn begin(&mut self, line: &str) -> Result<(), Broken> {
        let (size, rest) = line.split_once(';').unwrap_or((line, ""));
        let size = u64::from_str_radix(size.trim(), 16).map_err(|_| Broken::Format)?;
        let claimed = rest.trim().strip_prefix("chunk-signature=").ok_or(Broken::Signature)?;
        claimed.clone_into(&mut self.claimed);
        self.hasher = Sha256::new();
        if size > 0 {
            self.at = At::Data(size);
        } else {
            self.finish_chunk()?;
            self.at = At::End;
        }
        Ok(())
    }

    fn finish_chunk(&mut self) -> Result<(), Broken> {
        let data = std::mem::take(&mut self.hasher).finalize();
        let hashes = format!("{}\n{}", env::hex(&Sha256::digest(b"")), env::hex(&data));
        let claimed = std::mem::take(&mut self.claimed);
        self.chunks.follows(&claimed, "PAYLOAD", &hashes)
    }

    /// Hands data on: as it is, or as an unsigned chunk where trailers will follow.
    fn pass(&mut self, data: Bytes) {
        if self.chunks.trailers {
            self.out.push_back(format!("{:x}\r\n", data.len()).into());
            self.out.push_back(data);
            self.out.push_back(Bytes::from_static(b"\r\n"));
        } else {
            self.out.push_back(data);
        }
    }

    /// The body has ended: everything must have arrived, and trailers must be signed.
    fn end(&mut self) -> Result<(), Broken> {
        if self.at != At::End {
            return Err(Broken::Incomplete);
        }
        self.at = At::Over;
        let rest = std::mem::take(&mut self.buffer);
        if !self.chunks.trailers {
            return if rest.is_empty() || rest == b"\r\n"[..] { Ok(()) } else { Err(Broken::Format) };
        }
        let text = std::str::from_utf8(&rest).map_err(|_| Broken::Format)?;
        let mut trailers = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(Broken::Format)?;
            trailers.push((name.trim().to_ascii_lowercase(), value.trim()));
        }
        let signed = |(name, _): &(String, &str)| name != TRAILER_SIGNATURE;
        let claimed = trailers.iter().find(|t| !signed(t)).ok_or(Broken::Signature)?.1.to_owned();
        trailers.retain(signed);
        trailers.sort();
        let lines = |end: &str| trailers.iter().fold(String::new(), |text, (n, v)| text + n + ":" + v + end);
        self.chunks.follows(&claimed, "TRAILER", &env::hex(&Sha256::digest(lines("\n").as_bytes())))?;
        self.out.push_back(format!("0\r\n{}\r\n", lines("\r\n")).into());
        Ok(())
    }
}

impl<B> Body for Verifying<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = &mut *self;
        loop {
            if let Some(data) = this.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if this.at == At::Over {
                return Poll::Ready(None);
            }
            let read = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.buffer.extend_from_slice(&data);
                        this.read()
                    }
                    Err(_) => Ok(()),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => this.end(),
            };
            if let Err(broken) = read {
                this.at = At::Over;
                this.out.clear();
                return Poll::Ready(Some(Err(Box::new(broken))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::s3::signature::v4;

    /// The worked examples of the AWS documentation: 65 KiB of `a` in chunks of 64 KiB.
    fn example(seed: &str, trailers: bool) -> Chunks {
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        Chunks {
            key: v4::signing_key(secret, "20130524", "us-east-1", "s3"),
            date: "20130524T000000Z".to_owned(),
            scope: "20130524/us-east-1/s3/aws4_request".to_owned(),
            previous: seed.to_owned(),
            trailers,
        }
    }

    fn body(signatures: [&str; 3], rest: &str) -> Vec<u8> {
        let mut all = Vec::new();
        for (size, signature) in [65_536, 1_024, 0].into_iter().zip(signatures) {
            all.extend(format!("{size:x};chunk-signature={signature}\r\n").into_bytes());
            all.extend(vec![b'a'; size]);
            if size > 0 {
                all.extend(b"\r\n");
            }
        }
        all.extend(rest.as_bytes());
        all
    }

    async fn verified(chunks: Chunks, body: &[u8], cut: usize) -> Result<Bytes, String> {
        let pieces: Vec<Result<Frame<Bytes>, StdError>> =
            body.chunks(cut).map(|c| Ok(Frame::data(Bytes::copy_from_slice(c)))).collect();
        let verifying = chunks.verify(StreamBody::new(futures::stream::iter(pieces)));
        verifying.collect().await.map(http_body_util::Collected::to_bytes).map_err(|e| e.to_string())
    }

    const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const PLAIN: [&str; 3] = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];

    #[tokio::test]
    async fn agrees_with_the_published_examples_however_the_bytes_are_cut() {
        let whole = body(PLAIN, "\r\n");
        for cut in [1, 7, 65_536, 1 << 20] {
            let out = verified(example(SEED, false), &whole, cut).await.unwrap();
            assert!(out.len() == 66_560 && out.iter().all(|b| *b == b'a'), "{cut}");
        }
        let seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
        let signatures = [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ];
        let signature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
        let rest = format!("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:{signature}\r\n\r\n");
        let out = verified(example(seed, true), &body(signatures, &rest), 1 << 20).await.unwrap();
        assert!(out.ends_with(b"\r\n0\r\nx-amz-checksum-crc32c:sOO8/Q==\r\n\r\n"));
        let forged = rest.replace("sOO8", "sOO9");
        let refused = verified(example(seed, true), &body(signatures, &forged), 1 << 20).await.unwrap_err();
        assert_eq!(Broken::told_by(&refused), Some(Broken::Signature));
        let unsigned = "x-amz-checksum-crc32c:sOO8/Q==\r\n\r\n";
        let refused = verified(example(seed, true), &body(signatures, unsigned), 1 << 20).await.unwrap_err();
        assert_eq!(Broken::told_by(&refused), Some(Broken::Signature));
    }

    #[tokio::test]
    async fn what_is_changed_cut_or_no_chunk_is_refused() {
        let whole = body(PLAIN, "\r\n");
        let refused = async |body: &[u8], why: Broken| {
            let error = verified(example(SEED, false), body, 1_000).await.unwrap_err();
            assert_eq!(Broken::told_by(&error), Some(why), "{error}");
        };
        let mut changed = whole.clone();
        changed[200] ^= 1;
        refused(&changed, Broken::Signature).await;
        // Between two chunks, where everything so far is in order.
        let second = 65_536 + 89;
        refused(&whole[..second], Broken::Incomplete).await;
        refused(&whole[..100], Broken::Incomplete).await;
        refused(b"", Broken::Incomplete).await;
        refused(b"5\r\nhello\r\n0\r\n\r\n", Broken::Signature).await;
        refused(&[b'x'; 1_000], Broken::Format).await;
        refused(&body(PLAIN, "more"), Broken::Format).await;
    }
}
