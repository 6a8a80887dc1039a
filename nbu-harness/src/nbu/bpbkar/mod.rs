//! bpbkar: reads the client's files and sends them as a tar stream to bptm, and their records to bpbrm.

mod content;
mod earlier;
mod outlet;
mod synthetic;
mod track;
mod walk;

use std::os::unix::net::UnixStream;
use std::time::Duration;

use self::earlier::Earlier;
use self::outlet::{Outlet, SendError};
use self::track::{BlockSum, NO_BASE, Track};
use super::catalog::FileRecord;
use super::interval::CheckpointClock;
use super::path_bytes::PathBytes;
use super::process::Inherited;
use super::process::link::Link;
use super::process::message::{
    CheckpointOrder, ClientReport, FromClient, Reference, ResumePoint, ToClient, TrackOrder,
};
use super::request::Source;
use super::result::Warning;
use super::status::{code, status_text};
use super::tar_stream::Head;

/// File records per message.
const RECORDS_PER_MESSAGE: usize = 512;
/// Warnings sent at most; the rest is counted.
const MAX_WARNINGS: u64 = 10_000;

/// Runs the process; returns its exit code.
pub(crate) fn run(mut inherited: Inherited) -> i32 {
    let Some(ToClient::Backup { source, reference, track, checkpoints, timeout_ms }) = inherited.order()
    else {
        return code::HANDSHAKE;
    };
    let Inherited { link, data } = inherited;
    let mut records = Records {
        link,
        batch: Vec::new(),
        files: 0,
        warnings: 0,
        earlier: None,
        track: None,
        checkpoints: None,
        clock: None,
        resumed_at: 0,
    };
    let sent = records
        .compare_with(reference.as_ref())
        .and_then(|()| records.begin_track(track.as_ref()))
        .map(|()| records.begin_checkpoints(checkpoints))
        .and_then(|()| send(&source, Duration::from_millis(timeout_ms), data, &mut records));
    let report = match sent {
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

fn send(source: &Source, timeout: Duration, data: UnixStream, records: &mut Records) -> Result<u64, Failure> {
    let framed = records.track.is_some() || records.checkpoints.is_some();
    let mut outlet = Outlet::new(data, framed, records.resumed_at, timeout)?;
    match source {
        Source::Directory(root) => walk::send_tree(root, &mut outlet, records)?,
        Source::Synthetic(directives) => synthetic::send(directives, &mut outlet, records)?,
    }
    records.flush()?;
    let bytes = outlet.finish()?;
    records.end_track(outlet.data(), bytes)?;
    Ok(bytes)
}

/// What bpbrm is told of files.
#[derive(Debug)]
struct Records {
    link: Link,
    batch: Vec<FileRecord>,
    files: u64,
    warnings: u64,
    earlier: Option<Earlier>,
    track: Option<Track>,
    checkpoints: Option<CheckpointOrder>,
    /// When the next checkpoint is due.
    clock: Option<CheckpointClock>,
    /// Position in the stream that a resumed backup goes on at.
    resumed_at: u64,
}

impl Records {
    /// Prepares an incremental backup.
    fn compare_with(&mut self, reference: Option<&Reference>) -> Result<(), Failure> {
        self.earlier = reference.map(Earlier::load).transpose()?;
        Ok(())
    }

    /// Prepares an accelerated backup, and says in the job details when its base is lost.
    fn begin_track(&mut self, order: Option<&TrackOrder>) -> Result<(), Failure> {
        let Some(order) = order else { return Ok(()) };
        let (track, lost) = Track::begin(order)?;
        self.track = Some(track);
        if lost {
            self.log(format!("{NO_BASE}: a full backup follows"))?;
        }
        Ok(())
    }

    /// Prepares a backup with checkpoints, which may go on behind one.
    fn begin_checkpoints(&mut self, order: Option<CheckpointOrder>) {
        if let Some(ResumePoint { files, bytes, .. }) = order.as_ref().and_then(|order| order.resume.as_ref())
        {
            (self.files, self.resumed_at) = (*files, *bytes);
        }
        self.clock = order.as_ref().map(|order| CheckpointClock::new(order.every, self.resumed_at));
        self.checkpoints = order;
    }

    /// Whether a member is part of the backup already: everything is that comes before the last file of the checkpoint, or
    /// is that file, in the order in which members are sent. What came there meanwhile is for the next backup.
    fn resumed_behind(&self, path: &[u8]) -> bool {
        let point = self.checkpoints.as_ref().and_then(|order| order.resume.as_ref());
        point.is_some_and(|point| order_of(path).le(order_of(&point.path.0)))
    }

    /// Takes a checkpoint, if one is due. To be called at the end of a file.
    fn checkpoint(&mut self, outlet: &mut Outlet) -> Result<(), Failure> {
        if !self.clock.as_mut().is_some_and(|clock| clock.is_due(outlet.position())) {
            return Ok(());
        }
        // bpbrm gets the records before bptm gets the mark.
        self.flush()?;
        Ok(outlet.checkpoint(self.files)?)
    }

    /// Completes the track log: it counts once the backup is in the catalogue.
    fn end_track(&mut self, sent: u64, bytes: u64) -> Result<(), Failure> {
        let Some(track) = self.track.take() else { return Ok(()) };
        track.end()?;
        let saved = bytes.saturating_sub(sent).saturating_mul(1000) / bytes.max(1);
        self.log(format!(
            "accelerator sent {sent} bytes out of {bytes} bytes to server, optimization {}.{}%",
            saved / 10,
            saved % 10
        ))
    }

    fn log(&mut self, text: impl std::fmt::Display) -> Result<(), Failure> {
        self.tell(&FromClient::Log(format!("Info bpbkar (pid={}) {text}", std::process::id())))
    }

    /// Lets an accelerated backup take a member from its base when nothing about it changed; true if it did.
    fn taken_from_base(&mut self, head: &Head<'_>, outlet: &mut Outlet) -> Result<bool, Failure> {
        let Some(track) = &mut self.track else { return Ok(false) };
        let Some(known) = track.unchanged(&record(head, 0, 0)) else { return Ok(false) };
        let start = outlet.position();
        outlet.piece(known.record.start, known.record.end() - known.record.start)?;
        let data_offset = start + (known.record.data_offset - known.record.start);
        let moved = FileRecord { start, data_offset, ..known.record };
        track.note(&moved, &known.blocks)?;
        self.add(moved)?;
        Ok(true)
    }

    /// Adds a member that was sent, with the sums of its blocks if it has any.
    fn add_sent(&mut self, record: FileRecord, blocks: &[BlockSum]) -> Result<(), Failure> {
        if let Some(track) = &mut self.track {
            track.note(&record, blocks)?;
        }
        self.add(record)
    }

    /// Whether an incremental backup leaves this file out: then its record goes to the true image restore information,
    /// and nothing into the stream.
    fn left_out(&mut self, head: &Head<'_>) -> Result<bool, Failure> {
        let record = record(head, 0, 0);
        if !self.earlier.as_ref().is_some_and(|earlier| earlier.has(&record)) {
            return Ok(false);
        }
        self.add(FileRecord { tir_only: true, ..record })?;
        Ok(true)
    }

    fn add(&mut self, record: FileRecord) -> Result<(), Failure> {
        self.files += u64::from(!record.tir_only);
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

/// The catalogue's record of a member.
fn record(head: &Head<'_>, start: u64, data_offset: u64) -> FileRecord {
    FileRecord {
        path: PathBytes::from(head.path),
        kind: head.kind,
        start,
        data_offset,
        data_length: head.stored,
        size: head.size,
        mode: head.mode,
        uid: head.uid,
        gid: head.gid,
        mtime: head.mtime,
        mtime_nsec: head.mtime_nsec,
        link: head.link.map(PathBytes::from),
        tir_only: false,
    }
}

/// The place of a path in the stream: names of a directory in byte order, what is in a directory right behind it.
fn order_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| *name != b".")
}

#[cfg(test)]
mod tests {
    use super::order_of;

    #[test]
    fn a_path_is_where_the_walk_comes_to_it() {
        let walk = [".", "a", "a/b", "a/b/c", "a/bb", "a-b", "ab", "b"];
        for (at, path) in walk.iter().enumerate() {
            for (other_at, other) in walk.iter().enumerate() {
                let before = order_of(path.as_bytes()).le(order_of(other.as_bytes()));
                assert_eq!(before, at <= other_at, "{path} {other}");
            }
        }
    }
}
