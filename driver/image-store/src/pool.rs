//! Memory: a fixed budget of chunks, shared fairly among open images, with one chunk set aside for each.
//!
//! Half of the budget is shared first come, first served. The other half is one chunk for each open image, so that
//! every image makes progress whatever the others hold: nobody ever waits for another image to be closed. How many
//! images may be open follows from it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ImageError;

/// The right to use a number of chunks, and, through the admission, one image's right to be open.
pub(crate) struct Permit {
    _permit: OwnedSemaphorePermit,
    admission: Arc<Admission>,
    chunks: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.budget.in_use.fetch_sub(self.chunks, Ordering::Relaxed);
    }
}

/// The budget of one direction (reading or writing).
pub(crate) struct Budget {
    chunk_size: usize,
    chunks: usize,
    shared: Arc<Semaphore>,
    open_max: usize,
    open: AtomicUsize,
    in_use: AtomicUsize,
    peak: AtomicUsize,
    /// Buffers not in use, to be used again.
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Budget {
    /// A budget of `bytes` in chunks of `chunk_size`; at least 4 chunks (the configuration is checked).
    pub(crate) fn new(bytes: u64, chunk_size: u32) -> Arc<Self> {
        let chunks =
            usize::try_from(bytes / u64::from(chunk_size)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let open_max = chunks / 2;
        Arc::new(Self {
            chunk_size: chunk_size as usize,
            chunks,
            shared: Arc::new(Semaphore::new(chunks - open_max)),
            open_max,
            open: AtomicUsize::new(0),
            in_use: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            spare: Mutex::new(Vec::new()),
        })
    }

    /// Lets one more image be open, or refuses.
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Arc<Admission>, ImageError> {
        let admitted = self.open.try_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < self.open_max).then_some(open + 1)
        });
        match admitted {
            Ok(_) => Ok(Arc::new(Admission { budget: Arc::clone(self), own: Arc::new(Semaphore::new(1)) })),
            Err(open) => Err(ImageError::TooManyOpen { open }),
        }
    }

    pub(crate) fn memory(&self) -> MemoryUse {
        let bytes = |chunks: usize| (chunks as u64).saturating_mul(self.chunk_size as u64);
        MemoryUse {
            in_use: bytes(self.in_use.load(Ordering::Relaxed)),
            peak: bytes(self.peak.load(Ordering::Relaxed)),
            budget: bytes(self.chunks),
        }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of a memory budget is used, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUse {
    /// Now.
    pub in_use: u64,
    /// At most so far.
    pub peak: u64,
    /// Limit.
    pub budget: u64,
}

/// One open image's share of a budget.
pub(crate) struct Admission {
    budget: Arc<Budget>,
    /// The chunk set aside for this image.
    own: Arc<Semaphore>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.budget.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// Takes `chunks` from the shared part if they are free now; a single one also from the part set aside.
    pub(crate) fn try_take(self: &Arc<Self>, chunks: usize) -> Option<Permit> {
        if chunks == 1
            && let Ok(permit) = Arc::clone(&self.own).try_acquire_owned()
        {
            return Some(self.permit(permit, 1));
        }
        self.try_take_shared(chunks)
    }

    /// Takes `chunks` from the shared part if they are free now.
    pub(crate) fn try_take_shared(self: &Arc<Self>, chunks: usize) -> Option<Permit> {
        let count = u32::try_from(chunks).ok()?;
        let permit = Arc::clone(&self.budget.shared).try_acquire_many_owned(count).ok()?;
        Some(self.permit(permit, chunks))
    }

    /// Takes one chunk, in turn with everybody who waits for the shared part, or the one set aside when it comes
    /// back. `None` never happens while the budget lives.
    pub(crate) async fn take(self: &Arc<Self>) -> Option<Permit> {
        let (own, shared) = (Arc::clone(&self.own), Arc::clone(&self.budget.shared));
        let permit = tokio::select! {
            biased;
            permit = own.acquire_owned() => permit,
            permit = shared.acquire_owned() => permit,
        };
        permit.ok().map(|permit| self.permit(permit, 1))
    }

    fn permit(self: &Arc<Self>, permit: OwnedSemaphorePermit, chunks: usize) -> Permit {
        let in_use = self.budget.in_use.fetch_add(chunks, Ordering::Relaxed) + chunks;
        self.budget.peak.fetch_max(in_use, Ordering::Relaxed);
        Permit { _permit: permit, admission: Arc::clone(self), chunks }
    }
}

/// One chunk of buffer memory. Goes back to the pool when dropped.
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    permit: Permit,
}

impl Chunk {
    /// Memory for a permit of one chunk: used before, or new while the pool is warming up.
    pub(crate) fn new(permit: Permit) -> Self {
        let budget = &permit.admission.budget;
        let spare = budget.spare().pop();
        let bytes = spare.unwrap_or_else(|| Vec::with_capacity(budget.chunk_size));
        Self { bytes, permit }
    }

    /// Bytes that still fit.
    pub(crate) fn room(&self) -> usize {
        self.permit.admission.budget.chunk_size - self.bytes.len()
    }

    /// Appends at most [`Self::room`] bytes.
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.permit.admission.budget.spare().push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_open_images_is_limited() {
        let budget = Budget::new(8 * 16, 16);
        let open: Vec<_> = (0..4).map(|_| budget.admit().unwrap()).collect();
        assert!(matches!(budget.admit(), Err(ImageError::TooManyOpen { open: 4 })));
        drop(open);
        budget.admit().unwrap();
    }

    #[test]
    fn one_chunk_is_set_aside_for_each() {
        let budget = Budget::new(8 * 16, 16);
        let (greedy, modest) = (budget.admit().unwrap(), budget.admit().unwrap());
        let mut held: Vec<_> = std::iter::from_fn(|| greedy.try_take(1)).collect();
        assert_eq!(held.len(), 5);
        assert!(modest.try_take(2).is_none());
        let own = modest.try_take(1).unwrap();
        assert!(modest.try_take(1).is_none());
        assert_eq!(budget.memory(), MemoryUse { in_use: 96, peak: 96, budget: 128 });
        held.truncate(1);
        assert!(modest.try_take(3).is_some());
        drop((held, own));
        assert_eq!(budget.memory().in_use, 0);
    }

    #[test]
    fn memory_is_used_again() {
        let budget = Budget::new(8 * 16, 16);
        let image = budget.admit().unwrap();
        let mut chunk = Chunk::new(image.try_take(1).unwrap());
        chunk.push(b"0123456789abcdef");
        assert_eq!(chunk.room(), 0);
        let at = chunk.as_ref().as_ptr();
        drop(chunk);
        let chunk = Chunk::new(image.try_take(1).unwrap());
        assert_eq!((chunk.as_ref().as_ptr(), chunk.room()), (at, 16));
    }
}
