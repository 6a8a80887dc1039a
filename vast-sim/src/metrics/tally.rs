//! What is counted about requests: a fixed set of numbers that can be added and subtracted, live or as a plain value.

use std::sync::atomic::{AtomicU64, Ordering};

/// One of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Count {
    /// Requests that read object data.
    Reads,
    /// Requests that bring object data.
    Writes,
    /// Requests that only ask (HEAD, lists, settings).
    ReadMd,
    /// Requests that change things without bringing object data.
    WriteMd,
    /// Object bytes sent.
    ReadBytes,
    /// Object bytes taken.
    WriteBytes,
    /// Microseconds until reads were answered.
    ReadMicros,
    WriteMicros,
    ReadMdMicros,
    WriteMdMicros,
    /// Requests answered with 400 or above, or not at all.
    Errors,
    /// Microseconds spent waiting for a `QoS` budget.
    QosWaitMicros,
    /// Requests refused by a `QoS` policy.
    QosRefused,
}

const COUNTS: usize = Count::QosRefused as usize + 1;

/// All numbers of one subject at one time, or their change over a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally([u64; COUNTS]);

impl Tally {
    pub(crate) fn get(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    /// All requests.
    pub(crate) fn requests(&self) -> u64 {
        [Count::Reads, Count::Writes, Count::ReadMd, Count::WriteMd].map(|c| self.get(c)).iter().sum()
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.wrapping_add(theirs);
        }
    }

    /// What came on top of `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut change = *self;
        for (mine, theirs) in change.0.iter_mut().zip(earlier.0) {
            *mine = mine.saturating_sub(theirs);
        }
        change
    }
}

/// A tally that many threads add to.
#[derive(Debug, Default)]
pub(crate) struct LiveTally([AtomicU64; COUNTS]);

impl LiveTally {
    pub(crate) fn add(&self, count: Count, n: u64) {
        self.0[count as usize].fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn add_all(&self, tally: &Tally) {
        for (mine, theirs) in self.0.iter().zip(tally.0) {
            mine.fetch_add(theirs, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Tally {
        let mut tally = Tally::default();
        for (to, from) in tally.0.iter_mut().zip(&self.0) {
            *to = from.load(Ordering::Relaxed);
        }
        tally
    }
}

/// What a request does, for the numbers above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Read,
    Write,
    ReadMd,
    WriteMd,
}

impl Class {
    /// By the operation's name; the method decides for those without one.
    pub(crate) fn of(operation: &str, method: &http::Method) -> Self {
        let only_asks = method == http::Method::GET || method == http::Method::HEAD;
        match operation {
            "GetObject" => Self::Read,
            "PutObject" | "PostObject" | "UploadPart" => Self::Write,
            _ if only_asks => Self::ReadMd,
            _ => Self::WriteMd,
        }
    }

    pub(crate) fn requests(self) -> Count {
        match self {
            Self::Read => Count::Reads,
            Self::Write => Count::Writes,
            Self::ReadMd => Count::ReadMd,
            Self::WriteMd => Count::WriteMd,
        }
    }

    pub(crate) fn micros(self) -> Count {
        match self {
            Self::Read => Count::ReadMicros,
            Self::Write => Count::WriteMicros,
            Self::ReadMd => Count::ReadMdMicros,
            Self::WriteMd => Count::WriteMdMicros,
        }
    }
}
