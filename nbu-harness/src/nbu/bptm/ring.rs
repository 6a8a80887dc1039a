//! The shared-memory buffers between the two halves of bptm: one producer, one consumer, buffers in turn.
//!
//! Each buffer has a state word that both sides wait on with a futex. A buffer belongs to the producer while it is
//! `EMPTY` and to the consumer while it is `FULL`; only the owner touches its bytes, and only the owner changes the
//! state. Waits are counted as NetBackup counts them, with the time that was really waited.

#![allow(unsafe_code, reason = "memory shared with a forked process is only reachable through a raw mapping")]

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::mm::{MapFlags, ProtFlags};
use rustix::thread::futex;

use crate::nbu::process::os::timespec;

const EMPTY: u32 = 0;
const FULL: u32 = 1;
/// The producer has nothing more; the length word holds its code.
const END: u32 = 2;
/// The consumer has gone.
const GONE: u32 = 3;

/// How long a side waits before it looks whether its peer is still alive. A state change wakes it at once; this only
/// bounds how late a death is noticed.
const LIVENESS: Duration = Duration::from_millis(200);
const PAGE: usize = 4096;
/// Bytes of all buffers together at most.
const MAX_TOTAL: usize = 4 << 30;

/// Why a buffer could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RingError<E> {
    /// Nothing happened for too long.
    TimedOut,
    /// The consumer left before the end.
    ConsumerGone,
    /// The caller's check said so.
    Stopped(E),
}

/// Waits of one side, in memory that the other side can read.
#[derive(Debug, Default)]
#[repr(C)]
struct Counters {
    waits: AtomicU64,
    waited_ns: AtomicU64,
    bytes: AtomicU64,
}

/// What one side has counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) waits: u64,
    pub(crate) waited_ns: u64,
    pub(crate) bytes: u64,
}

#[repr(C)]
#[derive(Debug)]
struct Slot {
    state: AtomicU32,
    length: AtomicU32,
}

/// A shared mapping: counters of producer and consumer, the slots, then the buffers on pages of their own.
#[derive(Debug)]
struct Map {
    base: NonNull<u8>,
    length: usize,
    buffers_at: usize,
    count: usize,
    size: usize,
}

// SAFETY: the mapping is plain shared memory; its bytes are handed out by the state words alone, which are atomic.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    fn new(count: usize, size: usize) -> io::Result<Self> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what);
        if count == 0 || size == 0 {
            return Err(invalid("the number and the size of data buffers must not be 0"));
        }
        let total = count.checked_mul(size).filter(|t| *t <= MAX_TOTAL);
        let total = total.ok_or_else(|| invalid("the data buffers together are larger than 4 GiB"))?;
        let control = 2 * size_of::<Counters>() + count * size_of::<Slot>();
        let buffers_at = control.next_multiple_of(PAGE);
        let length = buffers_at + total;
        // SAFETY: a new mapping at an address of the kernel's choice; the kernel fills it with zeros, which is a valid
        // value of every type placed in it.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or_else(|| invalid("the kernel mapped page zero"))?;
        Ok(Self { base, length, buffers_at, count, size })
    }

    fn counters(&self, consumer: bool) -> &Counters {
        // SAFETY: the two `Counters` are the first thing in the mapping, page aligned and zeroed; they are atomics.
        unsafe { self.base.cast::<Counters>().add(usize::from(consumer)).as_ref() }
    }

    fn slot(&self, index: usize) -> &Slot {
        let at = 2 * size_of::<Counters>();
        // SAFETY: `index` is below `count` (every caller reduces it by modulo), slots follow the counters at an offset
        // that is a multiple of their alignment, and they are atomics.
        unsafe { self.base.add(at).cast::<Slot>().add(index).as_ref() }
    }

    fn buffer(&self, index: usize) -> NonNull<u8> {
        // SAFETY: `index` is below `count`, so the offset stays inside the mapping.
        unsafe { self.base.add(self.buffers_at + index * self.size) }
    }

    fn set(&self, index: usize, state: u32) {
        let word = &self.slot(index).state;
        word.store(state, Ordering::Release);
        // A failed wake means that nobody waits.
        let _ = futex::wake(word, futex::Flags::empty(), 1);
    }

    fn counted(&self, consumer: bool) -> Counted {
        let c = self.counters(consumer);
        Counted {
            waits: c.waits.load(Ordering::Relaxed),
            waited_ns: c.waited_ns.load(Ordering::Relaxed),
            bytes: c.bytes.load(Ordering::Relaxed),
        }
    }

    /// Waits until the state of a slot is not `unwanted`, and returns it.
    fn await_change<E>(
        &self,
        index: usize,
        unwanted: u32,
        consumer: bool,
        timeout: Duration,
        check: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<u32, RingError<E>> {
        let word = &self.slot(index).state;
        let state = word.load(Ordering::Acquire);
        if state != unwanted {
            return Ok(state);
        }
        let started = Instant::now();
        let counters = self.counters(consumer);
        counters.waits.fetch_add(1, Ordering::Relaxed);
        let result = loop {
            // The result does not matter: whatever woke us, the state word says what is true.
            let _ = futex::wait(word, futex::Flags::empty(), unwanted, Some(&timespec(LIVENESS)));
            let state = word.load(Ordering::Acquire);
            if state != unwanted {
                break Ok(state);
            }
            if let Err(stop) = check() {
                break Err(RingError::Stopped(stop));
            }
            if started.elapsed() >= timeout {
                break Err(RingError::TimedOut);
            }
        };
        let waited = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counters.waited_ns.fetch_add(waited, Ordering::Relaxed);
        result
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `new` mapped; no reference into it outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.length) };
    }
}

/// Makes `count` shared buffers of `size` bytes and returns their two sides. After a fork each process uses one.
pub(crate) fn ring(count: usize, size: usize) -> io::Result<(Producer, Consumer)> {
    let map = Arc::new(Map::new(count, size)?);
    Ok((Producer { map: Arc::clone(&map), next: 0 }, Consumer { map, next: 0 }))
}

/// The side that fills buffers.
#[derive(Debug)]
pub(crate) struct Producer {
    map: Arc<Map>,
    next: usize,
}

impl Producer {
    /// The next empty buffer; waits for it at most `timeout`, calling `check` now and then.
    pub(crate) fn empty<E>(
        &mut self,
        timeout: Duration,
        check: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<EmptyBuffer<'_>, RingError<E>> {
        let index = self.next % self.map.count;
        match self.map.await_change(index, FULL, false, timeout, check)? {
            GONE => Err(RingError::ConsumerGone),
            _ => Ok(EmptyBuffer { producer: self, index }),
        }
    }

    /// Tells the consumer that nothing more comes, with a code for why; 0 = that was all.
    pub(crate) fn finish<E>(
        &mut self,
        code: u32,
        timeout: Duration,
        check: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), RingError<E>> {
        let buffer = self.empty(timeout, check)?;
        let (map, index) = (&buffer.producer.map, buffer.index);
        map.slot(index).length.store(code, Ordering::Relaxed);
        map.set(index, END);
        Ok(())
    }

    /// What this side has counted.
    pub(crate) fn counted(&self) -> Counted {
        self.map.counted(false)
    }

    /// What the other side has counted.
    pub(crate) fn peer_counted(&self) -> Counted {
        self.map.counted(true)
    }
}

/// A buffer to be filled. Dropped without [`EmptyBuffer::publish`], it stays empty.
#[derive(Debug)]
pub(crate) struct EmptyBuffer<'a> {
    producer: &'a mut Producer,
    index: usize,
}

impl EmptyBuffer<'_> {
    /// Hands the first `length` bytes to the consumer.
    pub(crate) fn publish(self, length: usize) {
        let map = &self.producer.map;
        let length = u32::try_from(length.min(map.size)).unwrap_or(u32::MAX);
        map.counters(false).bytes.fetch_add(u64::from(length), Ordering::Relaxed);
        map.slot(self.index).length.store(length, Ordering::Relaxed);
        map.set(self.index, FULL);
        self.producer.next = self.producer.next.wrapping_add(1);
    }
}

impl Deref for EmptyBuffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let map = &self.producer.map;
        // SAFETY: the slot is EMPTY, so its bytes belong to this side; the one producer is borrowed by `self`.
        unsafe { std::slice::from_raw_parts(map.buffer(self.index).as_ptr(), map.size) }
    }
}

impl DerefMut for EmptyBuffer<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let map = &self.producer.map;
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(map.buffer(self.index).as_ptr(), map.size) }
    }
}

/// The side that empties buffers.
#[derive(Debug)]
pub(crate) struct Consumer {
    map: Arc<Map>,
    next: usize,
}

/// What the consumer gets.
#[derive(Debug)]
pub(crate) enum Next<'a> {
    /// A full buffer.
    Full(FullBuffer<'a>),
    /// The producer's code.
    End(u32),
}

impl Consumer {
    /// The next full buffer, or the end; waits for it at most `timeout`, calling `check` now and then.
    pub(crate) fn full<E>(
        &mut self,
        timeout: Duration,
        check: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Next<'_>, RingError<E>> {
        let index = self.next % self.map.count;
        let state = self.map.await_change(index, EMPTY, true, timeout, check)?;
        let length = self.map.slot(index).length.load(Ordering::Relaxed);
        if state == END {
            return Ok(Next::End(length));
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.map.size);
        Ok(Next::Full(FullBuffer { consumer: self, index, length }))
    }

    /// Leaves before the end: the producer learns it at its next buffer.
    pub(crate) fn leave(self) {
        for index in 0..self.map.count {
            self.map.set(index, GONE);
        }
    }

    /// What this side has counted.
    pub(crate) fn counted(&self) -> Counted {
        self.map.counted(true)
    }

    /// What the other side has counted.
    pub(crate) fn peer_counted(&self) -> Counted {
        self.map.counted(false)
    }
}

/// A buffer to be emptied; dropped, it is empty.
#[derive(Debug)]
pub(crate) struct FullBuffer<'a> {
    consumer: &'a mut Consumer,
    index: usize,
    length: usize,
}

impl FullBuffer<'_> {
    /// Adds zeros up to a multiple of `block`; the buffer size is one itself.
    pub(crate) fn pad_to(&mut self, block: usize) {
        let map = &self.consumer.map;
        let padded = self.length.next_multiple_of(block).min(map.size);
        // SAFETY: the slot is FULL, so its bytes belong to this side, whose one consumer is borrowed mutably here.
        let bytes = unsafe { std::slice::from_raw_parts_mut(map.buffer(self.index).as_ptr(), padded) };
        bytes[self.length..].fill(0);
        self.length = padded;
    }
}

impl Deref for FullBuffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let map = &self.consumer.map;
        // SAFETY: the slot is FULL, so its bytes belong to this side; `length` is at most the buffer size.
        unsafe { std::slice::from_raw_parts(map.buffer(self.index).as_ptr(), self.length) }
    }
}

impl Drop for FullBuffer<'_> {
    fn drop(&mut self) {
        let map = &self.consumer.map;
        map.counters(true).bytes.fetch_add(self.length as u64, Ordering::Relaxed);
        map.set(self.index, EMPTY);
        self.consumer.next = self.consumer.next.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[allow(clippy::unnecessary_wraps, reason = "the shape of the buffers' check")]
    fn go_on() -> Result<(), ()> {
        Ok(())
    }

    #[test]
    fn buffers_pass_in_order_and_the_code_of_the_end_comes_last() {
        let (mut producer, mut consumer) = ring(3, 1024).unwrap();
        let sender = std::thread::spawn(move || {
            for i in 0..1000u32 {
                let mut buffer = producer.empty(LONG, &mut go_on).unwrap();
                buffer[..4].copy_from_slice(&i.to_le_bytes());
                buffer.publish(4);
            }
            producer.finish(17, LONG, &mut go_on).unwrap();
            producer.counted()
        });
        for i in 0..1000u32 {
            match consumer.full(LONG, &mut go_on).unwrap() {
                Next::Full(buffer) => assert_eq!(buffer[..], i.to_le_bytes()),
                Next::End(code) => panic!("end with {code} at {i}"),
            }
        }
        assert!(matches!(consumer.full(LONG, &mut go_on).unwrap(), Next::End(17)));
        assert_eq!(sender.join().unwrap().bytes, 4000);
        assert_eq!(consumer.counted().bytes, 4000);
    }

    #[test]
    fn a_wait_is_counted_and_ends_at_its_deadline_or_when_the_check_says_so() {
        let (mut producer, mut consumer) = ring(1, 1024).unwrap();
        let error = consumer.full(Duration::ZERO, &mut go_on).unwrap_err();
        assert_eq!(error, RingError::TimedOut);
        assert_eq!(consumer.counted().waits, 1);
        assert!(consumer.counted().waited_ns > 0);
        producer.empty(LONG, &mut go_on).unwrap().publish(1);
        assert_eq!(producer.empty(LONG, &mut || Err("stop")).unwrap_err(), RingError::Stopped("stop"));
        assert_eq!(producer.counted().waits, 1);
    }

    #[test]
    fn a_consumer_that_leaves_is_noticed() {
        let (mut producer, consumer) = ring(2, 1024).unwrap();
        producer.empty(LONG, &mut go_on).unwrap().publish(1);
        consumer.leave();
        assert_eq!(producer.empty(LONG, &mut go_on).unwrap_err(), RingError::ConsumerGone);
    }

    #[test]
    fn padding_is_zeros() {
        let (mut producer, mut consumer) = ring(1, 1024).unwrap();
        let mut buffer = producer.empty(LONG, &mut go_on).unwrap();
        buffer.fill(0xff);
        buffer.publish(600);
        let Next::Full(mut buffer) = consumer.full(LONG, &mut go_on).unwrap() else { panic!("no buffer") };
        buffer.pad_to(512);
        assert_eq!(buffer.len(), 1024);
        assert!(buffer[..600].iter().all(|b| *b == 0xff) && buffer[600..].iter().all(|b| *b == 0));
    }
}
