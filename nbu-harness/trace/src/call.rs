//! The two kinds of records: what a trace is of, and one call.

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

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.thread);
        put_number(out, self.entry as u64);
        put_number(out, self.start_ns);
        put_number(out, self.duration_ns);
        put_number(out, zigzag(i64::from(self.code)));
        encode_all(&self.arguments, out);
        encode_all(&self.results, out);
    }

    pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let thread = reader.number()?;
        let entry = usize::try_from(reader.number()?)
            .ok()
            .filter(|entry| *entry < header.entry_points.len())
            .ok_or(Malformed("a call of an entry point that the trace does not name"))?;
        let start_ns = reader.number()?;
        let duration_ns = reader.number()?;
        let code =
            i32::try_from(unzigzag(reader.number()?)).map_err(|_| Malformed("a code beyond 32 bits"))?;
        let arguments = decode_all(&mut reader)?;
        let results = decode_all(&mut reader)?;
        whole(&reader)?;
        Ok(Self { thread, entry, start_ns, duration_ns, code, arguments, results })
    }
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    String::from_utf8(reader.bytes()?.to_vec()).map_err(|_| Malformed("a name that is no UTF-8"))
}

fn whole(reader: &Reader<'_>) -> Result<(), Malformed> {
    if reader.is_empty() { Ok(()) } else { Err(Malformed("a record is longer than what is in it")) }
}
