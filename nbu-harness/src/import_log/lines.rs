//! The lines of a log, taken apart, and what they say of each process.

/// A fragment that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) backup_id: String,
    pub(super) number: u64,
    pub(super) kbytes: u64,
}

/// How often and how long somebody waited for a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waited {
    pub(super) times: u64,
    pub(super) delays: u64,
}

/// What the log says of one bptm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u64,
    /// Milliseconds of the day of its first and last line.
    pub(super) times: Option<(u64, u64)>,
    /// `Type:server`, where the log has it.
    pub(super) server: Option<String>,
    pub(super) buffer_size: Option<u64>,
    pub(super) buffers: Option<u64>,
    pub(super) child_delay: Option<u64>,
    pub(super) parent_delay: Option<u64>,
    pub(super) fragments: Vec<Fragment>,
    /// `write_data` or `fill_buffer`.
    pub(super) writes: bool,
    /// `read_data` or `empty_buffer`.
    pub(super) reads: bool,
    /// Waits of the parent, then of the child.
    pub(super) parent_waited: Option<Waited>,
    pub(super) child_waited: Option<Waited>,
    /// Whether the header came before the first fragment.
    pub(super) header_first: Option<bool>,
    pub(super) status: Option<i64>,
}

impl Process {
    pub(super) fn is_backup(&self) -> bool {
        self.writes || !self.fragments.is_empty()
    }

    pub(super) fn is_restore(&self) -> bool {
        self.reads && !self.is_backup()
    }

    /// KiB of the stream.
    pub(super) fn kbytes(&self) -> u64 {
        self.fragments.iter().fold(0, |sum, fragment| fragment.kbytes.saturating_add(sum))
    }
}

/// A line without what stands in front of its text.
struct Line<'a> {
    pid: u64,
    time: Option<u64>,
    server: Option<&'a str>,
    text: &'a str,
}

/// All processes in the order of their first lines.
pub(super) fn read(log: &str) -> Vec<Process> {
    let mut processes: Vec<Process> = Vec::new();
    for line in log.lines().filter_map(take_apart) {
        let index = processes.iter().rposition(|process| process.pid == line.pid);
        // The log of a day has many processes, and process ids come again.
        let known = index.filter(|index| processes[*index].status.is_none() || !begins(line.text));
        let index = known.unwrap_or_else(|| {
            processes.push(Process { pid: line.pid, ..Process::default() });
            processes.len() - 1
        });
        let process = &mut processes[index];
        process.server = process.server.take().or_else(|| line.server.map(str::to_owned));
        if let Some(time) = line.time {
            process.times = Some((process.times.map_or(time, |(first, _)| first), time));
        }
        understand(process, line.text);
    }
    processes
}

fn begins(text: &str) -> bool {
    text.contains("INITIATING") || text.contains("io_init:")
}

/// Takes a line apart: the harness's `<4> 1:bptm:77:VastData:vast1: text`, NetBackup's `01:02:03.004 [77] <4> text`.
fn take_apart(line: &str) -> Option<Line<'_>> {
    let line = line.trim();
    let (front, rest) = line.split_once('<')?;
    let (severity, text) = rest.split_once('>')?;
    severity.parse::<u8>().ok()?;
    let text = text.trim_start();
    let time = front.split_whitespace().next().and_then(time_of_day);
    if let Some((_, bracket)) = front.split_once('[') {
        let pid = digits(bracket)?;
        return Some(Line { pid, time, server: None, text });
    }
    let own = our_front(text);
    Some(own.map_or(Line { pid: 0, time, server: None, text }, |(pid, server, text)| Line {
        pid,
        time,
        server: Some(server),
        text,
    }))
}

/// Process id, server and text of `1:bptm:77:VastData:vast1: text`.
fn our_front(text: &str) -> Option<(u64, &str, &str)> {
    let (job, rest) = text.split_once(':')?;
    let (process, rest) = rest.split_once(':')?;
    let (pid, rest) = rest.split_once(':')?;
    let (server, text) = rest.split_once(": ")?;
    let known = job.parse::<u64>().is_ok() && matches!(process, "bptm" | "bpdm");
    known.then_some((pid.parse().ok()?, server, text))
}

/// Milliseconds of the day of `01:02:03` or `01:02:03.004`. What is finer than a millisecond is left out.
fn time_of_day(word: &str) -> Option<u64> {
    let (clock, fraction) = word.split_once('.').unwrap_or((word, "0"));
    let digits = fraction.bytes().map_while(|byte| char::from(byte).to_digit(10)).chain([0; 3]);
    let millis = digits.take(3).fold(0, |millis, digit| millis * 10 + u64::from(digit));
    let mut parts = clock.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let valid = hours < 24 && minutes < 60 && seconds < 61 && parts.next().is_none();
    valid.then(|| ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

/// The digits that a text begins with.
fn digits(text: &str) -> Option<u64> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..length].parse().ok()
}

/// The number that follows a word of a line.
fn number_after(text: &str, word: &str) -> Option<u64> {
    text.split_once(word).and_then(|(_, rest)| digits(rest.trim_start()))
}

/// `... N times, delayed M times`.
fn waited(text: &str, what: &str) -> Option<Waited> {
    let times = number_after(text, what)?;
    Some(Waited { times, delays: number_after(text, "delayed ")? })
}

fn understand(process: &mut Process, text: &str) {
    if text.contains("data buffer size") {
        process.buffer_size = number_after(text, "using ").or(process.buffer_size);
    } else if text.contains("data buffers") {
        process.buffers = number_after(text, "using ").or(process.buffers);
    } else if text.contains("child delay = ") {
        process.child_delay = number_after(text, "child delay = ");
        process.parent_delay = number_after(text, "parent delay = ");
    } else if text.contains("successfully wrote backup id ") {
        process.fragments.extend(fragment(text));
    } else if text.contains("write_data:") {
        process.writes = true;
        process.parent_waited = waited(text, "waited for full buffer ").or(process.parent_waited);
    } else if text.contains("fill_buffer:") {
        process.writes = true;
        process.child_waited = waited(text, "waited for empty buffer ").or(process.child_waited);
    } else if text.contains("read_data:") {
        process.reads = true;
        process.parent_waited = waited(text, "waited for empty buffer ").or(process.parent_waited);
    } else if text.contains("empty_buffer:") {
        process.reads = true;
        process.child_waited = waited(text, "waited for full buffer ").or(process.child_waited);
    } else if text.contains("_HDR") && text.contains("created image") {
        process.header_first = process.header_first.or(Some(process.fragments.is_empty()));
    } else if let Some((_, status)) = text.split_once("EXITING with status ") {
        process.status = digits(status).and_then(|status| i64::try_from(status).ok());
    }
}

fn fragment(text: &str) -> Option<Fragment> {
    let (_, rest) = text.split_once("backup id ")?;
    let (backup_id, rest) = rest.split_once(',')?;
    let number = number_after(rest, "fragment ")?;
    let (kbytes, _) = rest.split_once(" Kbytes")?;
    let kbytes = kbytes.rsplit(' ').next()?.parse().ok()?;
    Some(Fragment { backup_id: backup_id.trim().to_owned(), number, kbytes })
}
