//! What a replay found: calls that ended otherwise, data that is wrong, and times beside the recorded ones.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Differences that are kept of one process.
pub(super) const LIST: usize = 100;

/// A call that ended otherwise than in the recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Recorded process.
    pub process: String,
    /// Recorded thread, from 1.
    pub thread: u64,
    /// Number of the call in the trace, from 1.
    pub call: usize,
    /// Entry point.
    pub entry: String,
    /// Names among its arguments: server, LSU, image.
    pub about: String,
    /// Code in the recording.
    pub recorded: i32,
    /// Code now.
    pub replayed: i32,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = |code| format!("{code} ({})", ost_abi::sts_error_text(code));
        write!(
            f,
            "{}, thread {}, call {}: {} {}: {} was recorded, now it is {}",
            self.process,
            self.thread,
            self.call,
            self.entry,
            self.about,
            said(self.recorded),
            said(self.replayed)
        )
    }
}

/// Times of one entry point in nanoseconds, then and now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryTimes {
    /// Number of calls.
    pub calls: u64,
    /// All of them together in the recording.
    pub recorded_ns: u64,
    /// All of them together now.
    pub replayed_ns: u64,
    /// The longest in the recording.
    pub recorded_max_ns: u64,
    /// The longest now.
    pub replayed_max_ns: u64,
}

impl EntryTimes {
    pub(super) fn add(&mut self, recorded_ns: u64, replayed_ns: u64) {
        self.calls += 1;
        self.recorded_ns += recorded_ns;
        self.replayed_ns += replayed_ns;
        self.recorded_max_ns = self.recorded_max_ns.max(recorded_ns);
        self.replayed_max_ns = self.replayed_max_ns.max(replayed_ns);
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.calls += other.calls;
        self.recorded_ns += other.recorded_ns;
        self.replayed_ns += other.replayed_ns;
        self.recorded_max_ns = self.recorded_max_ns.max(other.recorded_max_ns);
        self.replayed_max_ns = self.replayed_max_ns.max(other.replayed_max_ns);
    }
}

/// One process of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Played {
    /// Name and process id in the recording.
    pub process: String,
    /// Calls made.
    pub calls: u64,
    /// Calls whose code differs.
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// Calls that could not be made: they need a handle that an earlier call should have given, and did not.
    pub not_made: u64,
    /// Bytes read whose image the traces write themselves.
    pub checked_bytes: u64,
    /// Reads that gave other bytes than were written.
    pub wrong_reads: Vec<String>,
    /// Bytes at the trace's end that were no whole record.
    pub cut_bytes: usize,
    /// Times by entry point.
    pub times: BTreeMap<String, EntryTimes>,
}

/// A whole replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Processes in the order in which they began.
    pub processes: Vec<Played>,
    /// Wall time in milliseconds.
    pub elapsed_ms: u64,
}

impl Replayed {
    /// Whether every call ended as in the recording and every byte that could be checked was right.
    pub fn same(&self) -> bool {
        let clean = |process: &Played| {
            process.different == 0 && process.not_made == 0 && process.wrong_reads.is_empty()
        };
        self.processes.iter().all(clean)
    }

    /// Times by entry point, of all processes.
    pub fn times(&self) -> BTreeMap<String, EntryTimes> {
        let mut all: BTreeMap<String, EntryTimes> = BTreeMap::new();
        for (name, times) in self.processes.iter().flat_map(|process| &process.times) {
            all.entry(name.clone()).or_default().join(times);
        }
        all
    }
}

/// For people: times by entry point, then what differs.
pub fn table(replayed: &Replayed, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.force_no_tty().set_width(width.unwrap_or(140));
    table.set_header(["call", "calls", "recorded ms", "now ms", "ratio", "recorded max ms", "now max ms"]);
    for (name, times) in replayed.times() {
        table.add_row([
            name,
            times.calls.to_string(),
            ms(times.recorded_ns),
            ms(times.replayed_ns),
            ratio(times.replayed_ns, times.recorded_ns),
            ms(times.recorded_max_ns),
            ms(times.replayed_max_ns),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table.to_string();
    let (mut calls, mut different, mut not_made, mut checked) = (0, 0, 0, 0);
    for process in &replayed.processes {
        (calls, different) = (calls + process.calls, different + process.different);
        (not_made, checked) = (not_made + process.not_made, checked + process.checked_bytes);
        for difference in &process.differences {
            let _ = write!(text, "\nDIFFERENT {difference}");
        }
        for wrong in &process.wrong_reads {
            let _ = write!(text, "\nWRONG DATA {}: {wrong}", process.process);
        }
        if process.cut_bytes > 0 {
            let _ = write!(text, "\n{}: the trace ends in the middle of a record", process.process);
        }
    }
    let _ = write!(
        text,
        "\n{calls} calls of {} processes in {} ms: {different} ended otherwise, {not_made} more could \
         not be made; {checked} bytes read were checked",
        replayed.processes.len(),
        replayed.elapsed_ms
    );
    text
}

#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
fn ms(ns: u64) -> String {
    format!("{:.3}", ns as f64 / 1e6)
}

#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
fn ratio(now: u64, then: u64) -> String {
    if then == 0 { "-".into() } else { format!("{:.2}", now as f64 / then as f64) }
}
