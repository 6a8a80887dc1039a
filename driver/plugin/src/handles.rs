//! Handles: what the host holds are numbers in a pointer's clothes, looked up in a table of the thread that made them.
//!
//! A handle says its kind, the fork generation and plug-in instance it belongs to, its thread, its slot and the slot's
//! generation. Whatever a host passes in is compared, never dereferenced, so a closed, forged, foreign or inherited
//! handle is an error code. The table is thread-local: finding a handle takes no lock.
//!
//! A call takes its object out of the slot and puts it back when it returns. A panic in between drops the object: the
//! handle is poisoned and every later use of it is refused. A host that calls back in from its log function meets an
//! empty slot and gets `STS_EBUSY`.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};

use ost_abi::{STS_EBUSY, STS_EFORKED, STS_EHANDLE, STS_ENOMEM};

use crate::fault::Fault;
use crate::fork;

/// Open handles that one thread may have.
pub(crate) const HANDLES_PER_THREAD_MAX: usize = 4096;

/// What a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Server = 1,
    LsuList = 2,
    Image = 3,
    ImageList = 4,
    Copy = 5,
    EventChannel = 6,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::LsuList => "LSU list",
            Self::Image => "image",
            Self::ImageList => "image list",
            Self::Copy => "copy",
            Self::EventChannel => "event channel",
        }
    }

    const fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            1 => Some(Self::Server),
            2 => Some(Self::LsuList),
            3 => Some(Self::Image),
            4 => Some(Self::ImageList),
            5 => Some(Self::Copy),
            6 => Some(Self::EventChannel),
            _ => None,
        }
    }
}

/// The fields of a handle and how they are packed into 64 bits, high to low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    kind: u64,
    fork: u64,
    instance: u64,
    thread: u64,
    slot: u64,
    generation: u64,
}

const FORK_BITS: u32 = 6;
const INSTANCE_BITS: u32 = 7;
const THREAD_BITS: u32 = 16;
const SLOT_BITS: u32 = 12;
const GENERATION_BITS: u32 = 20;

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

impl Packed {
    fn pack(self) -> u64 {
        let mut value = self.kind;
        for (field, bits) in [
            (self.fork, FORK_BITS),
            (self.instance, INSTANCE_BITS),
            (self.thread, THREAD_BITS),
            (self.slot, SLOT_BITS),
            (self.generation, GENERATION_BITS),
        ] {
            value = (value << bits) | (field & mask(bits));
        }
        value
    }

    fn unpack(mut value: u64) -> Self {
        let mut take = |bits: u32| {
            let field = value & mask(bits);
            value >>= bits;
            field
        };
        let generation = take(GENERATION_BITS);
        let slot = take(SLOT_BITS);
        let thread = take(THREAD_BITS);
        let instance = take(INSTANCE_BITS);
        let fork = take(FORK_BITS);
        Self { kind: value, fork, instance, thread, slot, generation }
    }
}

#[derive(Debug)]
enum State<T> {
    Free,
    InUse,
    Open(T),
}

#[derive(Debug)]
struct Slot<T> {
    generation: u64,
    kind: Option<Kind>,
    state: State<T>,
}

/// The handles of one thread.
#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: RefCell<Vec<Slot<T>>>,
    thread: u64,
    fork: RefCell<u32>,
}

static THREADS: AtomicU32 = AtomicU32::new(0);
static INSTANCE: AtomicU32 = AtomicU32::new(0);

/// Makes every handle that was given out so far invalid, on all threads.
pub(crate) fn invalidate_all() {
    INSTANCE.fetch_add(1, Ordering::AcqRel);
}

fn instance() -> u64 {
    u64::from(INSTANCE.load(Ordering::Acquire)) & mask(INSTANCE_BITS)
}

impl<T> Table<T> {
    /// An empty table for the calling thread.
    pub(crate) fn new() -> Self {
        let thread = u64::from(THREADS.fetch_add(1, Ordering::Relaxed)) & mask(THREAD_BITS);
        Self { slots: RefCell::new(Vec::new()), thread, fork: RefCell::new(fork::generation()) }
    }

    /// In a child: forget what the parent's thread had. Dropping it would touch the parent's sockets and threads.
    fn settle_fork(&self) {
        let now = fork::generation();
        if *self.fork.borrow() != now {
            mem::forget(mem::take(&mut *self.slots.borrow_mut()));
            *self.fork.borrow_mut() = now;
        }
    }

    /// Opens a handle.
    pub(crate) fn insert(&self, kind: Kind, object: T) -> Result<u64, Fault> {
        self.settle_fork();
        let mut slots = self.slots.borrow_mut();
        let slot = match slots.iter().position(|s| matches!(s.state, State::Free)) {
            Some(free) => free,
            None if slots.len() < HANDLES_PER_THREAD_MAX => {
                slots.push(Slot { generation: 0, kind: None, state: State::Free });
                slots.len() - 1
            }
            None => {
                let message = format!("this thread has {HANDLES_PER_THREAD_MAX} handles open; close some");
                return Err(Fault::new(STS_ENOMEM, message));
            }
        };
        let entry = &mut slots[slot];
        entry.generation = (entry.generation + 1) & mask(GENERATION_BITS);
        entry.kind = Some(kind);
        entry.state = State::Open(object);
        let packed = Packed {
            kind: kind as u64,
            fork: u64::from(fork::generation()),
            instance: instance(),
            thread: self.thread,
            slot: slot as u64,
            generation: entry.generation,
        };
        Ok(packed.pack())
    }

    /// Finds the slot of a handle or says what is wrong with it.
    fn locate(&self, raw: u64, kind: Kind) -> Result<usize, Fault> {
        if raw == 0 {
            return Err(Fault::invalid(format_args!("{} handle is null", kind.name())));
        }
        self.settle_fork();
        let bad =
            |why: &str| Err(Fault::new(STS_EHANDLE, format_args!("{} handle {raw:#x} {why}", kind.name())));
        let packed = Packed::unpack(raw);
        let Some(found) = Kind::from_bits(packed.kind) else {
            return bad("was never given out by this plug-in");
        };
        if packed.fork != u64::from(fork::generation()) & mask(FORK_BITS) {
            let message =
                format!("{} handle {raw:#x} was opened before fork: open it again in the child", kind.name());
            return Err(Fault::new(STS_EFORKED, message));
        }
        if packed.instance != instance() {
            return bad("was opened before the plug-in was terminated");
        }
        if found != kind {
            return bad(&format!("is a handle of another kind ({})", found.name()));
        }
        if packed.thread != self.thread {
            return bad("belongs to another thread: each thread opens its own");
        }
        let slots = self.slots.borrow();
        let slot = usize::try_from(packed.slot).unwrap_or(usize::MAX);
        match slots.get(slot) {
            Some(s) if s.generation == packed.generation && s.kind == Some(kind) => match s.state {
                State::Open(_) => Ok(slot),
                State::InUse => {
                    let message =
                        format!("{} handle {raw:#x} is in use by a call on this thread", kind.name());
                    Err(Fault::new(STS_EBUSY, message))
                }
                State::Free => bad("is closed"),
            },
            Some(s) if packed.generation <= s.generation => bad("is closed"),
            _ => bad("was never given out by this plug-in"),
        }
    }

    /// Closes a handle and returns its object.
    pub(crate) fn remove(&self, raw: u64, kind: Kind) -> Result<T, Fault> {
        let slot = self.locate(raw, kind)?;
        match mem::replace(&mut self.slots.borrow_mut()[slot].state, State::Free) {
            State::Open(object) => Ok(object),
            State::Free | State::InUse => Err(Fault::new(STS_EHANDLE, "handle is closed")),
        }
    }

    /// Runs `call` on the object of a handle. If it panics the handle is closed.
    pub(crate) fn with<R>(
        &self,
        raw: u64,
        kind: Kind,
        call: impl FnOnce(&mut T) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let slot = self.locate(raw, kind)?;
        let taken = mem::replace(&mut self.slots.borrow_mut()[slot].state, State::InUse);
        let mut lent = Lent { table: self, slot, object: None };
        if let State::Open(object) = taken {
            let result = call(lent.object.insert(object));
            if let Some(object) = lent.object.take() {
                self.slots.borrow_mut()[slot].state = State::Open(object);
            }
            return result;
        }
        Err(Fault::new(STS_EHANDLE, "handle is closed"))
    }

    /// Drops everything that is open, newest first; used by `stspi_terminate` for the calling thread.
    pub(crate) fn clear(&self) {
        self.settle_fork();
        let slots = mem::take(&mut *self.slots.borrow_mut());
        for slot in slots.into_iter().rev() {
            drop(slot);
        }
    }
}

/// Frees the slot if the call that borrowed its object unwinds.
struct Lent<'a, T> {
    table: &'a Table<T>,
    slot: usize,
    object: Option<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let unwinding = self.object.is_some();
        let mut slots = self.table.slots.borrow_mut();
        if let Some(slot) = slots.get_mut(self.slot)
            && (unwinding || matches!(slot.state, State::InUse))
        {
            slot.state = State::Free;
        }
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // A thread, or a forked child, ends with handles open.
        self.settle_fork();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ost_abi::STS_EINVAL;

    fn code<T: std::fmt::Debug>(result: Result<T, Fault>) -> i32 {
        result.unwrap_err().code
    }

    #[test]
    fn packing_keeps_every_field() {
        let packed =
            Packed { kind: 4, fork: 63, instance: 127, thread: 65_535, slot: 4095, generation: 1_048_575 };
        assert_eq!(Packed::unpack(packed.pack()), packed);
        let packed = Packed { kind: 1, fork: 0, instance: 1, thread: 2, slot: 3, generation: 4 };
        assert_eq!(Packed::unpack(packed.pack()), packed);
    }

    #[test]
    fn closed_reused_null_and_forged_handles_are_refused() {
        let table = Table::new();
        let first = table.insert(Kind::Image, 1).unwrap();
        assert_eq!(table.with(first, Kind::Image, |o| Ok(*o)).unwrap(), 1);
        assert_eq!(table.remove(first, Kind::Image).unwrap(), 1);
        let second = table.insert(Kind::Image, 2).unwrap();
        assert_ne!(first, second, "a slot used again gives another handle");
        assert_eq!(code(table.with(first, Kind::Image, |o| Ok(*o))), STS_EHANDLE);
        assert_eq!(code(table.remove(first, Kind::Image)), STS_EHANDLE);
        assert_eq!(code(table.remove(0, Kind::Image)), STS_EINVAL);
        for forged in [1, 0x7fff_ffff_f000, u64::MAX, second ^ 1, second ^ (1 << 20), second ^ (1 << 61)] {
            assert_eq!(code(table.remove(forged, Kind::Image)), STS_EHANDLE, "{forged:#x}");
        }
        assert_eq!(table.remove(second, Kind::Image).unwrap(), 2);
    }

    #[test]
    fn a_handle_of_another_kind_or_thread_is_refused() {
        let table = Table::new();
        let handle = table.insert(Kind::Server, ()).unwrap();
        let other_kind = table.remove(handle, Kind::Image).unwrap_err();
        assert!(other_kind.message.contains("another kind"), "{}", other_kind.message);
        let other_thread = std::thread::spawn(move || {
            let table = Table::<()>::new();
            table.remove(handle, Kind::Server).unwrap_err()
        });
        let other_thread = other_thread.join().unwrap();
        assert_eq!(other_thread.code, STS_EHANDLE);
        assert!(other_thread.message.contains("another thread"), "{}", other_thread.message);
    }

    #[test]
    fn a_panic_poisons_the_handle_only() {
        let table = Table::new();
        let bad = table.insert(Kind::Image, 1).unwrap();
        let good = table.insert(Kind::Image, 2).unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = table.with(bad, Kind::Image, |_| -> Result<(), Fault> { panic!("on purpose") });
        }));
        assert!(caught.is_err());
        assert_eq!(code(table.with(bad, Kind::Image, |o| Ok(*o))), STS_EHANDLE);
        assert_eq!(table.with(good, Kind::Image, |o| Ok(*o)).unwrap(), 2);
    }

    #[test]
    fn a_handle_in_use_is_busy() {
        let table = Table::new();
        let handle = table.insert(Kind::Image, 1).unwrap();
        table
            .with(handle, Kind::Image, |_| {
                assert_eq!(code(table.with(handle, Kind::Image, |o| Ok(*o))), STS_EBUSY);
                assert_eq!(code(table.remove(handle, Kind::Image)), STS_EBUSY);
                Ok(())
            })
            .unwrap();
        assert_eq!(table.remove(handle, Kind::Image).unwrap(), 1);
    }

    #[test]
    fn the_limit_is_an_error_and_not_a_crash() {
        let table = Table::new();
        for i in 0..HANDLES_PER_THREAD_MAX {
            table.insert(Kind::Image, i).unwrap();
        }
        assert_eq!(code(table.insert(Kind::Image, 0)), STS_ENOMEM);
    }
}
