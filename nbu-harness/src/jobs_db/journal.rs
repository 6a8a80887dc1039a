//! The journal's file: records as lines with a checksum, appended under a lock, whatever is torn at the end cut off.
//!
//! A line is 16 hexadecimal digits of BLAKE3 over the JSON text, a space, the text, and a line feed. The first line
//! names the format. Writers hold the file's exclusive lock, readers the shared one; both only for the time of one
//! call. So bytes behind the last good record, seen under a lock, are from a writer that is dead, and the next writer
//! cuts them off. A bad line with a good one behind it is no torn tail but damage, and is refused.

use super::JobsDbError;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// First line of a journal.
const FORMAT: &str = r#"{"format":1}"#;
/// Hexadecimal digits of a checksum.
const SUM: usize = 16;

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes that have been read and are good.
    good: u64,
    /// Lines in them.
    lines: u64,
}

/// Whether an append must survive a power failure when the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// It survives the death of any process.
    Process,
    /// It survives a power failure too.
    Power,
}

impl Journal {
    /// Opens the journal in a directory; makes it, durably, when there is none.
    pub(super) fn open(dir: &Path) -> Result<Self, JobsDbError> {
        let path = dir.join("jobs.journal");
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = opened.map_err(JobsDbError::io("open", &path))?;
        // Whoever made it may have died before this: until it has a record, everybody makes sure.
        if file.metadata().map_err(JobsDbError::io("look at", &path))?.len() == 0 {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(JobsDbError::io("sync", dir))?;
        }
        Ok(Self { path, file, good: 0, lines: 0 })
    }

    /// Hands every record that is new since the last call to `each`.
    pub(super) fn catch_up(
        &mut self,
        each: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), JobsDbError> {
        self.file.lock_shared().map_err(JobsDbError::io("lock", &self.path))?;
        Locked(self).0.read_on(each).map(|_| ())
    }

    /// Locks the journal for one append, hands every new record to `each`, and cuts off a torn end.
    pub(super) fn begin(
        &mut self,
        each: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<Locked<'_>, JobsDbError> {
        self.file.lock().map_err(JobsDbError::io("lock", &self.path))?;
        let locked = Locked(self);
        if locked.0.read_on(each)? > 0 {
            let Journal { file, path, good, .. } = &*locked.0;
            file.set_len(*good).map_err(JobsDbError::io("cut the torn end of", path))?;
        }
        Ok(locked)
    }

    /// Reads from the last good byte on; returns how many bytes at the end are no record.
    fn read_on(&mut self, mut each: impl FnMut(&[u8]) -> Result<(), String>) -> Result<usize, JobsDbError> {
        let length = self.file.metadata().map_err(JobsDbError::io("look at", &self.path))?.len();
        if length < self.good {
            return Err(self.damaged(format!("{length} bytes are left of {}", self.good)));
        }
        if length == self.good {
            return Ok(0);
        }
        self.file.seek(SeekFrom::Start(self.good)).map_err(JobsDbError::io("read", &self.path))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).map_err(JobsDbError::io("read", &self.path))?;
        let mut rest = bytes.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let Some(record) = checked(&rest[..end]) else {
                if rest[end + 1..].split(|byte| *byte == b'\n').any(|later| checked(later).is_some()) {
                    return Err(self.damaged("the checksum is wrong".into()));
                }
                break;
            };
            if self.good > 0 {
                each(record).map_err(|what| self.damaged(what))?;
            } else if record != FORMAT.as_bytes() {
                let found = String::from_utf8_lossy(record);
                return Err(self.damaged(format!("format {found}, this program reads {FORMAT}")));
            }
            self.good += end as u64 + 1;
            self.lines += 1;
            rest = &rest[end + 1..];
        }
        Ok(rest.len())
    }

    fn damaged(&self, what: String) -> JobsDbError {
        JobsDbError::Damaged { path: self.path.clone(), line: self.lines + 1, what }
    }
}

/// The journal while this process has its lock.
#[derive(Debug)]
pub(super) struct Locked<'j>(&'j mut Journal);

impl Locked<'_> {
    /// Appends a record. It comes back with the next [`Journal::catch_up`], like those of other processes.
    pub(super) fn append(self, durability: Durability, record: &[u8]) -> Result<(), JobsDbError> {
        let journal = &*self.0;
        let mut bytes = Vec::new();
        if journal.good == 0 {
            line(&mut bytes, FORMAT.as_bytes());
        }
        line(&mut bytes, record);
        let written = (&journal.file).write_all(&bytes).and_then(|()| match durability {
            Durability::Process => Ok(()),
            Durability::Power => journal.file.sync_data(),
        });
        written.map_err(|error| {
            // The record was not promised: take back what is there of it, so that nobody sees it later.
            let _ = journal.file.set_len(journal.good);
            JobsDbError::io("append to", &journal.path)(error)
        })
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // An error leaves the lock until the file is closed; nothing that was done under it is in doubt.
        let _ = self.0.file.unlock();
    }
}

fn sum(record: &[u8]) -> String {
    let mut sum = blake3::hash(record).to_hex().to_string();
    sum.truncate(SUM);
    sum
}

fn line(out: &mut Vec<u8>, record: &[u8]) {
    out.extend_from_slice(sum(record).as_bytes());
    out.push(b' ');
    out.extend_from_slice(record);
    out.push(b'\n');
}

/// The record of a line without its line feed; `None` if the checksum is not its own.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (head, record) = line.split_at_checked(SUM + 1)?;
    (head[SUM] == b' ' && sum(record).as_bytes() == &head[..SUM]).then_some(record)
}
