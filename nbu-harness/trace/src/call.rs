//! The records: what a trace is of, calls that come and calls that return.

use crate::encoding::{Malformed, Reader, put_bytes, put_number};
use crate::value::{Value, decode_all, encode_all, unzigzag, zigzag};

/// What a trace is of. The first record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Process id.
    pub pid: u32,
    /// Name of the process, such as `bptm`.
    pub process: String,
    /// When it began, in nanoseconds since the epoch; [`Call::start_ns`] counts from here.
    pub started_unix_ns: u64,
    /// The plug-in that answered, as it was named.
    pub plugin: String,
    /// Names of the entry points; [`Call::entry`] is an index into them.
    pub entry_points: Vec<String>,
}

impl Header {
    /// The name of an entry point by its index; empty if the trace has none.
    pub fn entry_point(&self, entry: usize) -> &str {
        self.entry_points.get(entry).map_or("", String::as_str)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, u64::from(self.pid));
        put_bytes(out, self.process.as_bytes());
        put_number(out, self.started_unix_ns);
        put_bytes(out, self.plugin.as_bytes());
        put_number(out, self.entry_points.len() as u64);
        for name in &self.entry_points {
            put_bytes(out, name.as_bytes());
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let pid = u32::try_from(reader.number()?).map_err(|_| Malformed("no process id"))?;
        let process = text(&mut reader)?;
        let started_unix_ns = reader.number()?;
        let plugin = text(&mut reader)?;
        let count = reader.count()?;
        let entry_points = (0..count).map(|_| text(&mut reader)).collect::<Result<_, _>>()?;
        whole(&reader)?;
        Ok(Self { pid, process, started_unix_ns, plugin, entry_points })
    }
}

/// One call of the plug-in that has returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Number of the thread, from 1 in the order of their first calls.
    pub thread: u64,
    /// Index into [`Header::entry_points`].
    pub entry: usize,
    /// When it began, in nanoseconds since the trace began.
    pub start_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// What it returned.
    pub code: i32,
    /// What came in, one value for each argument.
    pub arguments: Vec<Value>,
    /// What came out, one value for each argument; nothing for those that carry nothing out.
    pub results: Vec<Value>,
}

impl Call {
    /// When it ended, in nanoseconds since the trace began.
    pub const fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.duration_ns)
    }
}

/// A call that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// As [`Call::thread`].
    pub thread: u64,
    /// As [`Call::entry`].
    pub entry: usize,
    /// As [`Call::start_ns`].
    pub start_ns: u64,
    /// As [`Call::arguments`].
    pub arguments: Vec<Value>,
}

impl Begun {
    /// The call, when it has returned.
    pub fn ended(self, ended: Ended) -> Call {
        Call {
            thread: self.thread,
            entry: self.entry,
            start_ns: self.start_ns,
            duration_ns: ended.duration_ns,
            code: ended.code,
            arguments: self.arguments,
            results: ended.results,
        }
    }
}

/// The return of the call that its thread is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// As [`Call::thread`].
    pub thread: u64,
    /// As [`Call::duration_ns`].
    pub duration_ns: u64,
    /// As [`Call::code`].
    pub code: i32,
    /// As [`Call::results`].
    pub results: Vec<Value>,
}

/// A record behind the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Begun(Begun),
    Ended(Ended),
}

impl Record {
    pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let record = match reader.byte()? {
            BEGUN => Self::Begun(Begun {
                thread: reader.number()?,
                entry: usize::try_from(reader.number()?)
                    .ok()
                    .filter(|entry| *entry < header.entry_points.len())
                    .ok_or(Malformed("a call of an entry point that the trace does not name"))?,
                start_ns: reader.number()?,
                arguments: decode_all(&mut reader)?,
            }),
            ENDED => Self::Ended(Ended {
                thread: reader.number()?,
                duration_ns: reader.number()?,
                code: i32::try_from(unzigzag(reader.number()?))
                    .map_err(|_| Malformed("a code beyond 32 bits"))?,
                results: decode_all(&mut reader)?,
            }),
            _ => return Err(Malformed("a record of an unknown kind")),
        };
        whole(&reader)?;
        Ok(record)
    }
}

/// First byte of a [`Begun`].
const BEGUN: u8 = 1;
/// First byte of an [`Ended`].
const ENDED: u8 = 2;

impl Begun {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(BEGUN);
        put_number(out, self.thread);
        put_number(out, self.entry as u64);
        put_number(out, self.start_ns);
        encode_all(&self.arguments, out);
    }
}

impl Ended {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(ENDED);
        put_number(out, self.thread);
        put_number(out, self.duration_ns);
        put_number(out, zigzag(i64::from(self.code)));
        encode_all(&self.results, out);
    }
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    String::from_utf8(reader.bytes()?.to_vec()).map_err(|_| Malformed("a name that is no UTF-8"))
}

fn whole(reader: &Reader<'_>) -> Result<(), Malformed> {
    if reader.is_empty() { Ok(()) } else { Err(Malformed("a record is longer than what is in it")) }
}
