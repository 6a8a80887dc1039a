//! A request body of parts that are sent one after another, without being joined or copied.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body whose length is known before it is sent.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    parts: VecDeque<Bytes>,
    left: u64,
}

impl Parts {
    pub(crate) fn new(parts: Vec<Bytes>) -> Self {
        let left = length(&parts);
        Self { parts: parts.into(), left }
    }
}

/// Bytes in all parts together.
pub(crate) fn length(parts: &[Bytes]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while let Some(part) = self.parts.pop_front() {
            if !part.is_empty() {
                self.left -= part.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn parts_come_out_in_order_and_uncopied() {
        let big = Bytes::from(vec![7_u8; 4096]);
        let mut body = Parts::new(vec![Bytes::from_static(b"ab"), Bytes::new(), big.clone()]);
        assert_eq!(body.size_hint().exact(), Some(4098));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        let second = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(second.as_ptr(), big.as_ptr());
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }
}
