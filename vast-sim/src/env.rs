//! The randomness that the simulator depends on, injected, and how times and identifiers are written.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

/// Milliseconds since 1970 of a time; 0 for times before.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// The inverse of [`millis`].
pub(crate) fn from_millis(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

/// `2026-01-31T12:00:00.000Z`, the form VMS uses for dates.
pub(crate) fn rfc3339(ms: u64) -> String {
    let stamp = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(String::new, |t| format!("{t:.3}"))
}

/// `Sat, 31 Jan 2026 12:00:00 GMT`, the form HTTP uses for dates.
pub(crate) fn http_date(ms: u64) -> String {
    let stamp = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    stamp.map_or_else(String::new, |t| t.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// Randomness for identifiers, keys and tokens. Called from any thread.
pub trait Entropy: Debug + Send + Sync + 'static {
    /// Fills `buf` with bytes that do not repeat.
    fn fill(&self, buf: &mut [u8]);
}

/// SHA-256 in counter mode over a seed: unpredictable when seeded by the system, repeatable when seeded by a number.
pub struct HashEntropy {
    seed: [u8; 32],
    counter: AtomicU64,
}

impl HashEntropy {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn from_os() -> std::io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
        Ok(Self { seed, counter: AtomicU64::new(0) })
    }

    /// The same bytes for the same `seed`, for repeatable tests. Never for keys that protect anything.
    pub fn from_seed(seed: u64) -> Self {
        Self { seed: Sha256::digest(seed.to_le_bytes()).into(), counter: AtomicU64::new(0) }
    }
}

impl Debug for HashEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashEntropy").finish_non_exhaustive()
    }
}

impl Entropy for HashEntropy {
    fn fill(&self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(32) {
            let n = self.counter.fetch_add(1, Ordering::Relaxed);
            let block = Sha256::new().chain_update(self.seed).chain_update(n.to_le_bytes()).finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// `bytes` as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut s, b| {
        let _ = write!(s, "{b:02x}");
        s
    })
}

/// `2 * n` random hexadecimal digits.
pub(crate) fn random_hex(entropy: &dyn Entropy, n: usize) -> String {
    let mut buf = vec![0; n];
    entropy.fill(&mut buf);
    hex(&buf)
}

/// `len` random characters of `alphabet` (an ASCII set of at most 64 characters).
pub(crate) fn random_text(entropy: &dyn Entropy, len: usize, alphabet: &[u8]) -> String {
    let mut buf = vec![0; len];
    entropy.fill(&mut buf);
    buf.iter().map(|b| char::from(alphabet[usize::from(*b) % alphabet.len()])).collect()
}

/// A random (version 4) UUID.
pub(crate) fn random_guid(entropy: &dyn Entropy) -> String {
    let mut b = [0u8; 16];
    entropy.fill(&mut b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let h = hex(&b);
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}
