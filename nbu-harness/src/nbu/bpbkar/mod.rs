//! bpbkar: reads the client's files and sends them as a tar stream to bptm, and their records to bpbrm.

mod content;
mod outlet;
mod synthetic;
mod walk;

use std::os::unix::net::UnixStream;
use std::time::Duration;

use self::outlet::{Outlet, SendError};
use super::catalog::FileRecord;
use super::path_bytes::PathBytes;
use super::process::Inherited;
use super::process::link::Link;
use super::process::message::{ClientReport, FromClient, ToClient};
use super::request::Source;
use super::result::Warning;
use super::status::{code, status_text};

/// File records per message.
const RECORDS_PER_MESSAGE: usize = 512;
/// Warnings sent at most; the rest is counted.
const MAX_WARNINGS: u64 = 10_000;

/// Runs the process; returns its exit code.
pub(crate) fn run(mut inherited: Inherited) -> i32 {
    let Some(ToClient::Backup { source, backup_time, timeout_ms }) = inherited.order() else {
        return code::HANDSHAKE;
    };
    let Inherited { link, data } = inherited;
    let mut records = Records { link, batch: Vec::new(), files: 0, warnings: 0 };
    let report = match send(&source, backup_time, Duration::from_millis(timeout_ms), data, &mut records) {
        Ok(bytes) => ClientReport {
            status: if records.warnings == 0 { code::OK } else { code::PARTIAL },
            files: records.files,
            bytes,
            ..ClientReport::default()
        },
        Err(failure) => ClientReport {
            status: failure.status,
            text: failure.text,
            files: records.files,
            ..ClientReport::default()
        },
    };
    let status = report.status;
    match records.link.send(&FromClient::Done(report)) {
        Ok(()) => status,
        Err(_) => code::CONNECTION_BROKEN,
    }
}

/// Why the client side stopped.
#[derive(Debug)]
struct Failure {
    status: i32,
    text: String,
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let status = if error.timed_out() { code::TIMED_OUT } else { code::SOCKET_WRITE };
        Self { status, text: format!("{}: {error}", status_text(status)) }
    }
}

fn send(
    source: &Source,
    backup_time: u64,
    timeout: Duration,
    data: UnixStream,
    records: &mut Records,
) -> Result<u64, Failure> {
    let mut outlet = Outlet::new(data, timeout)?;
    match source {
        Source::Directory(root) => walk::send_tree(root, &mut outlet, records)?,
        Source::Synthetic(directives) => synthetic::send(directives, backup_time, &mut outlet, records)?,
    }
    records.flush()?;
    Ok(outlet.finish()?)
}

/// What bpbrm is told of files.
#[derive(Debug)]
struct Records {
    link: Link,
    batch: Vec<FileRecord>,
    files: u64,
    warnings: u64,
}

impl Records {
    fn add(&mut self, record: FileRecord) -> Result<(), Failure> {
        self.files += 1;
        self.batch.push(record);
        if self.batch.len() >= RECORDS_PER_MESSAGE { self.flush() } else { Ok(()) }
    }

    fn warn(&mut self, path: &[u8], text: String) -> Result<(), Failure> {
        self.warnings += 1;
        if self.warnings > MAX_WARNINGS {
            return Ok(());
        }
        self.tell(&FromClient::Warning(Warning { path: PathBytes::from(path), text }))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.tell(&FromClient::Files(batch))
    }

    fn tell(&mut self, message: &FromClient) -> Result<(), Failure> {
        self.link.send(message).map_err(|e| Failure { status: code::CONNECTION_BROKEN, text: e.to_string() })
    }
}
