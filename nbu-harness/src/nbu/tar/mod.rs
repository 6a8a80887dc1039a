//! tar: the client's half of a restore. Takes the stream from bptm and creates the files; generated files are checked
//! and not created.

mod extract;
mod place;

use std::io::{BufReader, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use self::extract::{ExtractError, Extractor};
use self::place::Destination;
use super::interval::CheckpointClock;
use super::path_bytes::PathBytes;
use super::process::Inherited;
use super::process::link::Link;
use super::process::message::{ClientReport, FromClient, RestoreOrder, ToClient};
use super::request::Source;
use super::result::{BadRange, Warning};
use super::status::{code, status_text};
use super::tar_stream::{Member, MemberReader, StreamError};
use crate::data::GenData;

const BUFFER: usize = 1 << 20;
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
const MAX_BAD_RANGES: usize = 10_000;
const MAX_WARNINGS: u64 = 10_000;

/// Runs the process; returns its exit code.
pub(crate) fn run(mut inherited: Inherited) -> i32 {
    let Some(ToClient::Restore(order)) = inherited.order() else { return code::HANDSHAKE };
    let Inherited { link, data } = inherited;
    let mut restore = Restore {
        link,
        report: ClientReport::default(),
        warnings: 0,
        reported: Instant::now(),
        checkpoints: CheckpointClock::new(order.checkpoint, 0),
    };
    if let Err(failure) = restore.run(order, data) {
        restore.report.status = failure.status;
        restore.report.text = failure.text;
    }
    let Restore { mut link, report, .. } = restore;
    let status = report.status;
    match link.send(&FromClient::Done(report)) {
        Ok(()) => status,
        Err(_) => code::CONNECTION_BROKEN,
    }
}

#[derive(Debug)]
struct Failure {
    status: i32,
    text: String,
}

impl Failure {
    fn new(status: i32, what: impl std::fmt::Display) -> Self {
        Self { status, text: format!("{}: {what}", status_text(status)) }
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        let status = match &error {
            StreamError::NotTar { .. } => code::TAR_INVALID_ARCHIVE,
            StreamError::Io(e)
                if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                code::TIMED_OUT
            }
            StreamError::Io(_) => code::SOCKET_READ,
        };
        Self::new(status, error)
    }
}

struct Restore {
    link: Link,
    report: ClientReport,
    warnings: u64,
    reported: Instant,
    checkpoints: CheckpointClock,
}

impl Restore {
    fn run(&mut self, order: RestoreOrder, data: UnixStream) -> Result<(), Failure> {
        let timeout = Duration::from_millis(order.timeout_ms);
        data.set_read_timeout(Some(timeout)).map_err(|e| Failure::new(code::SYSTEM_CALL, e))?;
        // A smaller buffer than asked for only costs speed.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&data, BUFFER);
        let mut reader = MemberReader::new(BufReader::with_capacity(BUFFER, data));
        match order.source {
            Source::Directory(_) => {
                let destination = Destination::open(order.destination.as_path())
                    .map_err(|e| Failure::new(code::FILE_WRITE, format!("{}: {e}", order.destination)))?;
                let mut extractor = Extractor::new(destination, order.placements);
                self.extract(&mut reader, &mut extractor)?;
            }
            Source::Synthetic(directives) => self.check(&mut reader, &directives)?,
        }
        // Whatever follows the end of the archive has to be taken, or the sender would see a broken connection.
        std::io::copy(&mut reader.into_input(), &mut std::io::sink()).map_err(StreamError::Io)?;
        Ok(())
    }

    fn extract<R: Read>(
        &mut self,
        reader: &mut MemberReader<R>,
        extractor: &mut Extractor,
    ) -> Result<(), Failure> {
        let mut failed = 0u64;
        while let Some(member) = reader.next()? {
            let path = member.path.clone();
            self.report.bytes += member.data_length;
            match extractor.extract(member, reader) {
                Ok(files) => {
                    self.report.files += files;
                    self.checkpoint(&path);
                }
                Err(ExtractError::File(error)) => {
                    failed += 1;
                    self.warn(path, format!("not restored: {error}"));
                }
                Err(ExtractError::Stream(error)) => return Err(error.into()),
            }
            self.progress();
        }
        for (path, error) in extractor.finish_directories() {
            failed += 1;
            self.warn(path, format!("attributes not restored: {error}"));
        }
        self.report.status = match (failed, self.report.files) {
            (0, _) => code::OK,
            (_, 0) => code::NOTHING_RESTORED,
            _ => code::PARTIAL,
        };
        if self.report.status == code::NOTHING_RESTORED {
            self.report.text = Failure::new(code::NOTHING_RESTORED, format!("{failed} files failed")).text;
        }
        Ok(())
    }

    /// Compares generated files with their description.
    fn check<R: Read>(&mut self, reader: &mut MemberReader<R>, directives: &GenData) -> Result<(), Failure> {
        let mut buffer = vec![0; BUFFER];
        while let Some(member) = reader.next()? {
            self.check_file(&member, reader, directives, &mut buffer)?;
            self.report.files += 1;
            self.checkpoint(&member.path);
            self.progress();
        }
        if !self.report.bad_ranges.is_empty() {
            let what = format!("{} ranges of generated data are wrong", self.report.bad_ranges.len());
            return Err(Failure::new(code::NOTHING_RESTORED, what));
        }
        Ok(())
    }

    fn check_file<R: Read>(
        &mut self,
        member: &Member,
        reader: &mut MemberReader<R>,
        directives: &GenData,
        buffer: &mut [u8],
    ) -> Result<(), Failure> {
        let name = std::str::from_utf8(&member.path.0).unwrap_or_default();
        let expected = directives.file(name).filter(|stream| stream.bytes == member.size);
        let Some(stream) = expected else {
            self.bad(&member.path, 0, member.size);
            return Ok(());
        };
        let mut content = reader.content();
        let mut at = 0;
        loop {
            let count = content.read(buffer).map_err(StreamError::Io)?;
            if count == 0 {
                return Ok(());
            }
            let end = at + count as u64;
            let mut from = at;
            while let Some(bad) =
                usize::try_from(from - at).ok().and_then(|skip| stream.check(from, &buffer[skip..count]))
            {
                self.bad(&member.path, bad.start, bad.end);
                from = bad.end;
                if from >= end {
                    break;
                }
            }
            self.report.bytes += count as u64;
            at = end;
        }
    }

    fn bad(&mut self, path: &PathBytes, from: u64, to: u64) {
        if self.report.bad_ranges.len() < MAX_BAD_RANGES {
            self.report.bad_ranges.push(BadRange { path: path.clone(), from, to });
        }
    }

    fn warn(&mut self, path: PathBytes, text: String) {
        self.warnings += 1;
        if self.warnings <= MAX_WARNINGS {
            // A broken connection shows when the report is sent.
            let _ = self.link.send(&FromClient::Warning(Warning { path, text }));
        }
    }

    /// Takes a checkpoint behind a member, if one is due.
    fn checkpoint(&mut self, path: &PathBytes) {
        if self.checkpoints.is_due(self.report.bytes) {
            // A broken connection shows when the report is sent.
            let _ = self.link.send(&FromClient::RestoredTo { files: self.report.files, path: path.clone() });
        }
    }

    fn progress(&mut self) {
        if self.reported.elapsed() >= PROGRESS_EVERY {
            self.reported = Instant::now();
            let _ = self.link.send(&FromClient::Restored(self.report.files));
        }
    }
}
