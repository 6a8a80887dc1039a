//! The images of a backup while bptm makes them: fragments cut at the storage unit's maximum, and the header. What goes
//! into them is written, or included from other images by the storage.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::header::BackupHeader;
use super::session::{Failure, Mover, image_id};
use super::tir;
use super::write::per_second;
use crate::nbu::catalog::{FragmentRecord, StoredCopy};
use crate::nbu::plugin::{ImageWriter, Plugin, Server};
use crate::nbu::process::message::{Checkpoint, Extent, FromMover, MoverReport, WriteTask};
use crate::nbu::request::HeaderOrder;
use crate::nbu::status::code;

use super::fragments::locate;

/// Asks for the space on the LSU, as bptm does before every fragment.
pub(super) fn need_space(mover: &mut Mover, plugin: &Plugin, server: &Server<'_>) -> Result<(), Failure> {
    if mover.check_lsu(plugin, server)? == Some(0) {
        let lsu = &mover.order.storage_unit.lsu;
        return Err(Failure::new(code::STORAGE_UNIT_FULL, format!("LSU {lsu} has no space left")));
    }
    Ok(())
}

/// The images of one backup.
#[derive(Debug)]
pub(super) struct Output<'s> {
    plugin: &'s Plugin,
    server: &'s Server<'s>,
    pub(super) task: &'s WriteTask,
    buffer_size: usize,
    fragment_limit: u64,
    current: Option<ImageWriter<'s>>,
    fragment_started: Instant,
    fragments: Vec<FragmentRecord>,
    /// Bytes of the stream so far.
    pub(super) total: u64,
}

impl<'s> Output<'s> {
    pub(super) fn new(
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

    /// Goes on behind a checkpoint, or writes the header if it comes first.
    pub(super) fn begin(&mut self, mover: &mut Mover, report: &mut MoverReport) -> Result<(), Failure> {
        if let Some(point) = &self.task.resume {
            mover.log(4, format!("resuming behind byte {}, fragment {}", point.bytes, point.fragments.len()));
            self.total = point.bytes;
            self.fragments.clone_from(&point.fragments);
            report.header.clone_from(&point.header);
            report.kept.clone_from(&point.images);
            return Ok(());
        }
        match self.task.header_order {
            HeaderOrder::First => self.write_header(mover, report),
            HeaderOrder::Last => Ok(()),
        }
    }

    /// Ends the fragment at a checkpoint: what is there is complete and stays whatever comes.
    pub(super) fn checkpoint(
        &mut self,
        mover: &mut Mover,
        files: u64,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        self.close_fragment(mover)?;
        report.kept.append(&mut report.images);
        mover.log(4, format!("checkpoint behind byte {}, fragment {}", self.total, self.fragments.len()));
        let point = Checkpoint {
            files,
            bytes: self.total,
            buffer_size: u32::try_from(self.buffer_size).unwrap_or(u32::MAX),
            fragments: self.fragments.clone(),
            header: report.header.clone(),
            images: report.kept.clone(),
            left: Vec::new(),
        };
        Ok(mover.link.send(&FromMover::Checkpoint(Box::new(point)))?)
    }

    /// Closes the last fragment and writes the header, if it comes last. The backup is complete then.
    pub(super) fn complete(&mut self, mover: &mut Mover, report: &mut MoverReport) -> Result<(), Failure> {
        if self.total == 0 {
            return Err(Failure::new(code::NO_DATA, "the stream was empty"));
        }
        self.close_fragment(mover)?;
        if let Some(list) = &self.task.tir {
            let (copy, list) = (self.task.copy, list.as_path());
            report.tir = Some(tir::write(mover, self.plugin, self.server, copy, list, report)?);
        }
        if self.task.header_order == HeaderOrder::Last {
            self.write_header(mover, report)?;
        }
        let mut all = std::mem::take(&mut report.kept);
        all.append(&mut report.images);
        report.images = all;
        self.lock(mover, report);
        report.bytes = self.total;
        report.fragments.clone_from(&self.fragments);
        Ok(())
    }

    /// Locks everything that was made, if the backup is to be locked: all images until the same time. A lock that is refused
    /// does not take the backup back, of which a part may be locked.
    fn lock(&self, mover: &mut Mover, report: &mut MoverReport) {
        let Some(seconds) = self.task.worm_seconds else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let until = now.saturating_add(seconds);
        for name in &report.images {
            let locked = self.server.lock_image(&image_id(&mover.order, name), until);
            if let Err(sts) = locked {
                let Failure { status, text, sts, .. } = mover.failed(Some(self.plugin), sts);
                report.lock_refused = Some((status, text, sts));
                report.lock_wanted = Some(until);
                return;
            }
        }
        mover.pass_log(self.plugin);
        mover.log(4, format!("{} images are locked until {until}", report.images.len()));
        report.unlock_time = Some(until);
    }

    /// Writes data, a multiple of the block size, of which `received` bytes belong to the stream; a new fragment begins
    /// wherever the current one is full.
    pub(super) fn write(
        &mut self,
        mover: &mut Mover,
        mut data: &[u8],
        mut received: u64,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        while !data.is_empty() {
            let room = usize::try_from(self.room(mover, report)?).unwrap_or(usize::MAX);
            let (now, later) = data.split_at(room.min(data.len()));
            let (image, fragment) = self.current()?;
            let written = image.write(now, fragment.bytes);
            let count = received.min(now.len() as u64);
            fragment.bytes += count;
            written.map_err(|sts| mover.failed(Some(self.plugin), sts))?;
            mover.pass_log(self.plugin);
            self.total += count;
            report.bytes_written += now.len() as u64;
            (data, received) = (later, received - count);
        }
        Ok(())
    }

    /// Includes a range of another backup's stream, piece by piece from the fragments that hold it.
    pub(super) fn include(
        &mut self,
        mover: &mut Mover,
        source: &StoredCopy,
        extent: Extent,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        let mut done = 0;
        while done < extent.length {
            mover.check()?;
            let found = locate(&source.copy, extent.offset + done);
            let found = found.and_then(|at| Some((at, source.copy.fragments.get(at.index)?)));
            let Some((at, from)) = found else {
                let what = format!("{} has no byte {}", source.backup_id, extent.offset + done);
                return Err(Failure::new(code::MEDIA_POSITION, what));
            };
            let length = (extent.length - done).min(at.left).min(self.room(mover, report)?);
            let (image, fragment) = self.current()?;
            let included = image.include(&source.image_id(&from.name), at.offset, length, fragment.bytes);
            let count = included.map_err(|sts| mover.failed(Some(self.plugin), sts))?;
            let (_, fragment) = self.current()?;
            fragment.bytes += count;
            mover.pass_log(self.plugin);
            self.total += count;
            done += count;
        }
        Ok(())
    }

    /// Bytes that the current fragment takes; begins the next one when it is full.
    fn room(&mut self, mover: &mut Mover, report: &mut MoverReport) -> Result<u64, Failure> {
        let full = self.fragments.last().is_some_and(|f| f.bytes >= self.fragment_limit);
        if full {
            self.close_fragment(mover)?;
        }
        if self.current.is_none() {
            self.open_fragment(mover, report)?;
        }
        Ok(self.fragment_limit - self.fragments.last().map_or(0, |fragment| fragment.bytes))
    }

    fn current(&mut self) -> Result<(&mut ImageWriter<'s>, &mut FragmentRecord), Failure> {
        match (&mut self.current, self.fragments.last_mut()) {
            (Some(image), Some(fragment)) => Ok((image, fragment)),
            _ => Err(Failure::new(code::MEDIA_MANAGER_ERROR, "no fragment is open")),
        }
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
            schedule_type: self.task.schedule_type,
            stream: self.task.stream,
            source: Some(self.task.source.clone()),
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
    pub(super) fn settle(
        &mut self,
        mover: &mut Mover,
        result: &Result<(), Failure>,
        report: &mut MoverReport,
    ) {
        let Err(failure) = result else { return };
        if let Some(image) = self.current.take()
            && let Err(sts) = image.abandon()
        {
            mover.complain(self.plugin, &sts);
        }
        mover.discard(self.plugin, self.server, failure, report);
    }
}
