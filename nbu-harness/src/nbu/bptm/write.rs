//! bptm's parent in a backup: takes full buffers and writes them, through the plug-in, into fragment images.
//!
//! Whatever fails, every image that was created is deleted again before the report is sent.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::child::Duty;
use super::header::BackupHeader;
use super::pair::{Buffers, buffer_geometry};
use super::ring::{Consumer, Next};
use super::session::{Failure, Mover, PROGRESS_EVERY, wait_delay};
use crate::nbu::catalog::FragmentRecord;
use crate::nbu::install::ForkPoint;
use crate::nbu::plugin::{ImageWriter, Plugin, Server};
use crate::nbu::process::message::{FromMover, MoverReport, ToMover, WriteTask};
use crate::nbu::process::os::ForkedChild;
use crate::nbu::request::HeaderOrder;
use crate::nbu::result::BufferWaits;
use crate::nbu::status::code;
use crate::nbu::tar_stream::BLOCK;

/// Writes a backup. The report is filled in as far as it went, also on failure.
pub(super) fn write_backup(
    mover: &mut Mover,
    socket: UnixStream,
    task: &WriteTask,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let config = mover.order.installation.data_buffers;
    let (size, number) = buffer_geometry(config.size_data_buffers_disk, config.number_data_buffers_disk)?;
    report.buffer_size = u32::try_from(size).unwrap_or(u32::MAX);
    let Buffers { producer, consumer } = mover.buffers(size, number)?;
    let early = mover.order.installation.fork_point == ForkPoint::BeforePlugin;
    let mut duty = Some((Duty::Fill(producer), socket));
    let mut child = match duty.take_if(|_| early) {
        Some((duty, socket)) => Some(mover.fork_child(duty, socket)?),
        None => None,
    };
    let result = mover.load().and_then(|plugin| {
        let server = mover.open(&plugin)?;
        need_space(mover, &plugin, &server)?;
        if let Some((duty, socket)) = duty.take() {
            child = Some(mover.fork_child(duty, socket)?);
        }
        let child = child.as_mut().ok_or_else(|| Failure::new(code::SYSTEM_CALL, "no child"))?;
        let mut backup = Backup::new(&plugin, &server, task, size, mover);
        let result = backup.run(mover, consumer, child, report);
        backup.settle(mover, &result, report);
        mover.pass_log(&plugin);
        result
    });
    match (result, &mut child) {
        (Err(failure), Some(child)) => Err(mover.kill_child(child, failure)),
        (result, _) => result,
    }
}

/// Asks for the space on the LSU, as bptm does before every fragment.
fn need_space(mover: &mut Mover, plugin: &Plugin, server: &Server<'_>) -> Result<(), Failure> {
    if mover.check_lsu(plugin, server)? == Some(0) {
        let lsu = &mover.order.storage_unit.lsu;
        return Err(Failure::new(code::STORAGE_UNIT_FULL, format!("LSU {lsu} has no space left")));
    }
    Ok(())
}

/// The images of one backup.
struct Backup<'s> {
    plugin: &'s Plugin,
    server: &'s Server<'s>,
    task: &'s WriteTask,
    buffer_size: usize,
    fragment_limit: u64,
    current: Option<ImageWriter<'s>>,
    fragment_started: Instant,
    fragments: Vec<FragmentRecord>,
    total: u64,
}

impl<'s> Backup<'s> {
    fn new(
        plugin: &'s Plugin,
        server: &'s Server<'s>,
        task: &'s WriteTask,
        size: usize,
        mover: &Mover,
    ) -> Self {
        let limit = mover.order.storage_unit.max_fragment_size;
        let size64 = size as u64;
        Self {
            plugin,
            server,
            task,
            buffer_size: size,
            fragment_limit: (limit - limit % size64).max(size64),
            current: None,
            fragment_started: Instant::now(),
            fragments: Vec::new(),
            total: 0,
        }
    }

    fn run(
        &mut self,
        mover: &mut Mover,
        mut consumer: Consumer,
        child: &mut ForkedChild,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        if self.task.header_order == HeaderOrder::First {
            self.write_header(mover, report)?;
        }
        let data = self.write_data(mover, &mut consumer, child, report);
        let delays = mover.order.installation.data_buffers;
        let (parent, other) = (consumer.counted(), consumer.peer_counted());
        report.waits = BufferWaits {
            parent: wait_delay(parent, delays.parent_delay_ms),
            child: wait_delay(other, delays.child_delay_ms),
        };
        mover.log_write_waits(&report.waits, child.id(), other.bytes);
        data?;
        let _ = mover.link.send(&FromMover::EndOfData { bytes: self.total });
        match mover.answer(mover.timeouts().client_read())? {
            ToMover::Finish => {}
            _ => return Err(Failure::new(code::HANDSHAKE, "bpbrm sent a message out of turn")),
        }
        if self.total == 0 {
            return Err(Failure::new(code::NO_DATA, "the stream was empty"));
        }
        self.close_fragment(mover)?;
        if self.task.header_order == HeaderOrder::Last {
            self.write_header(mover, report)?;
        }
        report.bytes = self.total;
        report.fragments.clone_from(&self.fragments);
        mover.await_child(child)
    }

    fn write_data(
        &mut self,
        mover: &mut Mover,
        consumer: &mut Consumer,
        child: &mut ForkedChild,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        let timeout = mover.timeouts().client_read();
        let mut hold_at = self.task.hold_at;
        let mut reported = Instant::now();
        loop {
            let mut check = || mover.check_pair(child);
            let mut buffer = match consumer.full(timeout, &mut check)? {
                Next::Full(buffer) => buffer,
                Next::End(0) => return Ok(()),
                Next::End(reason) => {
                    let status = i32::try_from(reason).unwrap_or(code::SOCKET_READ);
                    return Err(Failure::new(status, "receiving the stream failed"));
                }
            };
            mover.check()?;
            let received = buffer.len() as u64;
            buffer.pad_to(BLOCK);
            self.write(mover, &buffer, received, report)?;
            drop(buffer);
            if hold_at.is_some_and(|at| self.total >= at) {
                hold_at = None;
                mover.link.send(&FromMover::Held { bytes: self.total })?;
                mover.answer(timeout)?;
            }
            if reported.elapsed() >= PROGRESS_EVERY {
                reported = Instant::now();
                mover.link.send(&FromMover::Progress { bytes: self.total })?;
            }
        }
    }

    /// Writes one buffer; a new fragment begins when the current one is full.
    fn write(
        &mut self,
        mover: &mut Mover,
        data: &[u8],
        received: u64,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        let full = self.fragments.last().is_some_and(|f| f.bytes + data.len() as u64 > self.fragment_limit);
        if full {
            self.close_fragment(mover)?;
        }
        if self.current.is_none() {
            self.open_fragment(mover, report)?;
        }
        let (Some(image), Some(fragment)) = (&mut self.current, self.fragments.last_mut()) else {
            return Err(Failure::new(code::MEDIA_MANAGER_ERROR, "no fragment is open"));
        };
        if let Err(sts) = image.write(data, fragment.bytes) {
            return Err(mover.failed(Some(self.plugin), sts));
        }
        mover.pass_log(self.plugin);
        fragment.bytes += received;
        self.total += received;
        report.bytes_written += data.len() as u64;
        Ok(())
    }

    fn open_fragment(&mut self, mover: &mut Mover, report: &mut MoverReport) -> Result<(), Failure> {
        // Before the first fragment bptm has just asked, when it opened the server.
        if !self.fragments.is_empty() {
            need_space(mover, self.plugin, self.server)?;
        }
        let number = u32::try_from(self.fragments.len() + 1).unwrap_or(u32::MAX);
        let name = format!("{}_C{}_F{number}", mover.order.backup_id, self.task.copy);
        // At the start of a fragment nobody knows whether it is the last; the header, when it comes last, follows it.
        let image = mover.create(self.plugin, self.server, &name, true, report)?;
        self.current = Some(image);
        self.fragment_started = Instant::now();
        self.fragments.push(FragmentRecord { number, name, offset: self.total, bytes: 0 });
        Ok(())
    }

    fn close_fragment(&mut self, mover: &mut Mover) -> Result<(), Failure> {
        let (Some(image), Some(fragment)) = (self.current.take(), self.fragments.last()) else {
            return Ok(());
        };
        if let Err(sts) = image.complete() {
            return Err(mover.failed(Some(self.plugin), sts));
        }
        let kbytes = fragment.kbytes();
        let rate = per_second(kbytes, self.fragment_started.elapsed());
        let (id, copy, number) = (mover.order.backup_id.clone(), self.task.copy, fragment.number);
        mover.pass_log(self.plugin);
        mover.log(
            4,
            format!(
                "write_backup: successfully wrote backup id {id}, copy {copy}, fragment {number}, {kbytes} Kbytes at \
                 {rate} Kbytes/sec"
            ),
        );
        Ok(())
    }

    fn write_header(&mut self, mover: &mut Mover, report: &mut MoverReport) -> Result<(), Failure> {
        let last = self.task.header_order == HeaderOrder::Last;
        let order = &mover.order;
        let header = BackupHeader {
            backup_id: order.backup_id.clone(),
            client: self.task.client.clone(),
            policy: order.policy.clone(),
            schedule: self.task.schedule.clone(),
            backup_time: order.backup_time,
            copy: self.task.copy,
            block_size: u32::try_from(self.buffer_size).unwrap_or(u32::MAX),
            fragments: last.then(|| u32::try_from(self.fragments.len()).unwrap_or(u32::MAX)),
            stream_bytes: last.then_some(self.total),
        };
        let name = format!("{}_C{}_HDR", order.backup_id, self.task.copy);
        let bytes = header.encode();
        let mut image = mover.create(self.plugin, self.server, &name, !last, report)?;
        let written = image.write(&bytes, 0);
        let closed = written.and_then(|()| image.complete());
        if let Err(sts) = closed {
            return Err(mover.failed(Some(self.plugin), sts));
        }
        report.bytes_written += bytes.len() as u64;
        mover.pass_log(self.plugin);
        mover.log(4, format!("write_backup: wrote header {name}"));
        report.header = name;
        Ok(())
    }

    /// After a failure: closes what is open and deletes what was created, last first.
    fn settle(&mut self, mover: &mut Mover, result: &Result<(), Failure>, report: &mut MoverReport) {
        let Err(failure) = result else { return };
        if let Some(image) = self.current.take()
            && let Err(sts) = image.abandon()
        {
            mover.complain(self.plugin, &sts);
        }
        mover.discard(self.plugin, self.server, failure.status, report);
    }
}

/// KiB per second, of wall time.
pub(crate) fn per_second(kbytes: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    kbytes.saturating_mul(1000) / millis
}
