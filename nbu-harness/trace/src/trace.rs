//! A trace as a file: a mark, the version, then records with their length in front.
//!
//! Each record goes to the system in one write, so that a process that is killed leaves a trace that is whole up to the
//! last call that had returned.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::call::{Call, Header};
use crate::encoding::{Reader, put_number};

/// The format's version; another one is refused.
pub const VERSION: u8 = 1;
/// How names of trace files end.
pub const EXTENSION: &str = "nbutrace";
const MARK: &[u8; 8] = b"NBUTRACE";
/// Longest record in bytes: an LSU with all its replication partners takes less than a tenth.
const MAX_RECORD: usize = 1 << 20;

/// Why a file is no trace, or not one of this version.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("the trace {} cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It does not begin as a trace does.
    #[error("{} is no trace: it does not begin with the mark and a whole header", path.display())]
    NotATrace {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version.
    #[error("{}: the trace has version {found}, this program reads version {VERSION}: record it again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u8,
    },
    /// A record is there as a whole and makes no sense.
    #[error("{}: the record at byte {offset} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        offset: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Writes a trace, record by record.
#[derive(Debug)]
pub struct Writer {
    file: File,
    record: Vec<u8>,
    framed: Vec<u8>,
}

impl Writer {
    /// Makes the file, which must not exist, and writes the header.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path, header: &Header) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        let mut writer = Self { file, record: Vec::new(), framed: Vec::new() };
        writer.framed.extend_from_slice(MARK);
        writer.framed.push(VERSION);
        header.encode(&mut writer.record);
        writer.send()?;
        Ok(writer)
    }

    /// Writes one call.
    ///
    /// # Errors
    /// What the system says. The trace is whole up to the call before.
    pub fn write(&mut self, call: &Call) -> io::Result<()> {
        call.encode(&mut self.record);
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        put_number(&mut self.framed, self.record.len() as u64);
        self.framed.extend_from_slice(&self.record);
        let sent = self.file.write_all(&self.framed);
        self.framed.clear();
        self.record.clear();
        sent
    }
}

/// A trace that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// What it is of.
    pub header: Header,
    /// Its calls in the order in which they ended.
    pub calls: Vec<Call>,
    /// Bytes of a last record that is not whole: its process ended while it was written.
    pub cut_bytes: usize,
}

impl Trace {
    /// Reads a file, up to its last whole record.
    ///
    /// # Errors
    /// When it cannot be read, is no trace of this version, or has a whole record that makes no sense.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let bytes = std::fs::read(path).map_err(|source| TraceError::Io { path: path.to_owned(), source })?;
        Self::parse(path, &bytes)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, TraceError> {
        let not_a_trace = || TraceError::NotATrace { path: path.to_owned() };
        let (version, body) =
            bytes.strip_prefix(MARK).and_then(|rest| rest.split_first()).ok_or_else(not_a_trace)?;
        if *version != VERSION {
            return Err(TraceError::Version { path: path.to_owned(), found: *version });
        }
        let mut reader = Reader::new(body);
        let mut header: Option<Header> = None;
        let mut calls = Vec::new();
        let mut cut_bytes = 0;
        while !reader.is_empty() {
            let left = reader.left();
            let damaged =
                |what| TraceError::Damaged { path: path.to_owned(), offset: bytes.len() - left, what };
            let Some(record) = next(&mut reader).map_err(damaged)? else {
                cut_bytes = left;
                break;
            };
            match &header {
                None => header = Some(Header::decode(record).map_err(|e| damaged(e.0))?),
                Some(header) => calls.push(Call::decode(record, header).map_err(|e| damaged(e.0))?),
            }
        }
        let header = header.ok_or_else(not_a_trace)?;
        Ok(Self { header, calls, cut_bytes })
    }

    /// The name of a call's entry point.
    pub fn entry(&self, call: &Call) -> &str {
        self.header.entry_points.get(call.entry).map_or("", String::as_str)
    }
}

/// The next record; none if it is not whole.
fn next<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, &'static str> {
    let Ok(length) = reader.number() else {
        // Ten bytes hold any number: with as many, it is not the end that is missing.
        return if reader.is_empty() { Ok(None) } else { Err("no length") };
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_RECORD);
    let length = length.ok_or("a record longer than any")?;
    Ok(reader.take(length).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            pid: 4711,
            process: "bptm".into(),
            started_unix_ns: 1_700_000_000_000_000_000,
            plugin: "/lib/libstspiX.so".into(),
            entry_points: vec!["stspi_init".into(), "stspi_write_image".into()],
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nothing),
            any::<u64>().prop_map(Value::Number),
            any::<i64>().prop_map(Value::Signed),
            proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Text),
            any::<u64>().prop_map(Value::Handle),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| proptest::collection::vec(inner, 0..4).prop_map(Value::Fields))
    }

    fn calls() -> impl Strategy<Value = Call> {
        (
            any::<u64>(),
            0..2usize,
            any::<u64>(),
            any::<u64>(),
            any::<i32>(),
            proptest::collection::vec(values(), 0..6),
            proptest::collection::vec(values(), 0..6),
        )
            .prop_map(|(thread, entry, start_ns, duration_ns, code, arguments, results)| Call {
                thread,
                entry,
                start_ns,
                duration_ns,
                code,
                arguments,
                results,
            })
    }

    fn written(calls: &[Call]) -> (Vec<u8>, Vec<usize>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut writer = Writer::create(&path, &header()).unwrap();
        let length = || usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
        let mut ends = vec![length()];
        for call in calls {
            writer.write(call).unwrap();
            ends.push(length());
        }
        (std::fs::read(&path).unwrap(), ends)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is written comes back, and a file that is cut anywhere gives the calls that are whole.
        #[test]
        fn a_trace_is_whole_up_to_where_it_is_cut(
            calls in proptest::collection::vec(calls(), 0..5),
            at in any::<proptest::sample::Index>(),
        ) {
            let (bytes, ends) = written(&calls);
            let whole = Trace::parse(Path::new("a"), &bytes).unwrap();
            prop_assert_eq!(&whole, &Trace { header: header(), calls: calls.clone(), cut_bytes: 0 });

            let cut = ends[0] + at.index(bytes.len() - ends[0] + 1);
            let left = Trace::parse(Path::new("a"), &bytes[..cut]).unwrap();
            let expected = ends.iter().filter(|end| **end <= cut).count() - 1;
            prop_assert_eq!(&left.calls[..], &calls[..expected]);
            prop_assert_eq!(left.cut_bytes, cut - ends[expected]);
        }

        /// No bytes, however broken, do worse than an error.
        #[test]
        fn any_bytes_get_an_answer(garbage in proptest::collection::vec(any::<u8>(), 0..200), at in 0..60usize) {
            let (mut bytes, _) = written(&[]);
            bytes.truncate(at.max(9));
            bytes.extend(garbage);
            if let Err(error) = Trace::parse(Path::new("a"), &bytes) {
                prop_assert!(error.to_string().contains('a'));
            }
        }
    }

    #[test]
    fn what_is_no_trace_of_this_version_is_refused_by_name() {
        let (mut bytes, ends) = written(&[]);
        let said = |bytes: &[u8]| Trace::parse(Path::new("x.nbutrace"), bytes).unwrap_err().to_string();
        assert!(said(b"PK").starts_with("x.nbutrace is no trace"));
        assert!(said(&bytes[..ends[0] - 1]).starts_with("x.nbutrace is no trace"), "half a header");
        bytes.push(3);
        bytes.extend([1, 1, 1]);
        assert!(said(&bytes).contains("damaged"), "{}", said(&bytes));
        bytes[8] = 9;
        assert!(said(&bytes).contains("version 9"));
    }

    #[test]
    fn a_file_that_is_there_is_not_written_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Writer::create(file.path(), &header()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
