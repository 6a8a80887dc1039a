//! Lingering: what a client goes on sending after its answer is read and dropped for a while.
//!
//! Closing a connection while the client still sends makes TCP reset it, and a client that is told of a reset gives up
//! without having read the answer that explains it. The rule is the same for every listener: [`Patience`].

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// How much is dropped before the client is cut off all the same.
const BYTES: u64 = 256 << 20;
/// How long that may take.
const TIME: Duration = Duration::from_secs(30);

/// What is left of the readiness to read what nobody wants.
pub(super) struct Patience {
    left: u64,
    over: Pin<Box<Sleep>>,
}

impl Patience {
    /// Starts now.
    pub(super) fn new() -> Self {
        // A limit and no wait: a client that neither sends nor closes gives no other sign. On the runtime's clock, since it
        // guards a real connection.
        Self { left: BYTES, over: Box::pin(tokio::time::sleep(TIME)) }
    }

    /// Counts what was dropped; whether there is patience for more.
    pub(super) fn took(&mut self, bytes: usize) -> bool {
        self.left = self.left.saturating_sub(bytes as u64);
        self.left > 0
    }

    /// Completes when the time is over.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.over.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn patience_ends_by_bytes_and_by_time() {
        let mut patience = Patience::new();
        let most = usize::try_from(BYTES).unwrap();
        assert!(patience.took(most - 1) && !patience.took(1));
        let start = tokio::time::Instant::now();
        let mut patience = Patience::new();
        std::future::poll_fn(|cx| patience.poll_over(cx)).await;
        assert_eq!(start.elapsed(), TIME);
    }
}
