//! bpdm in an optimized duplication: the storage copies every image of a backup, whole or by extent, and no data comes
//! through this process. Whatever fails, what was made is deleted again.

use ost_abi::{STS_EAGAIN, STS_EBUSY, STS_SRVC_COPY_EXTENT, STS_SRVC_COPY_IMAGE};

use crate::nbu::bptm::session::{Failure, Mover, image_id, not_offered};
use crate::nbu::catalog::{CopyRecord, FragmentRecord};
use crate::nbu::plugin::{Plugin, Server, ServerProperties};
use crate::nbu::process::message::{CopyTask, FromMover, MoverReport};
use crate::nbu::request::DuplicateMethod;
use crate::nbu::result::StsFailure;
use crate::nbu::status::{Place, code};

/// How often a copy that the storage has no time for is asked for again (`OST_CD_BUSY_RETRY_LIMIT`).
const BUSY_RETRY_LIMIT: u32 = 1500;

/// How the storage copies an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Image,
    Extent,
}

/// Copies a backup.
pub(super) fn copy_backup(
    mover: &mut Mover,
    task: &CopyTask,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let (server, properties) = mover.open_with_properties(&plugin)?;
    mover.check_lsu(&plugin, &server)?;
    let by = choose(task.method, &properties).map_err(|sts| mover.failed(Some(&plugin), sts))?;
    let word = if by == By::Image { "whole images" } else { "extents" };
    mover.log(4, format!("optimized duplication of {} by {word}", task.source.backup_id));
    let mut copying = Copying { plugin: &plugin, server: &server, task, by };
    let result = copying.run(mover, report);
    if let Err(failure) = &result {
        mover.discard(&plugin, &server, failure, report);
    }
    mover.pass_log(&plugin);
    result
}

/// The way that the server offers and the method allows.
fn choose(method: DuplicateMethod, properties: &ServerProperties) -> Result<By, StsFailure> {
    let offers = [
        (By::Image, STS_SRVC_COPY_IMAGE, DuplicateMethod::WholeImage),
        (By::Extent, STS_SRVC_COPY_EXTENT, DuplicateMethod::Extents),
    ];
    let fits = |wanted: DuplicateMethod| method == DuplicateMethod::Optimized || method == wanted;
    let offered = offers.iter().find(|(_, capability, way)| fits(*way) && properties.has(*capability));
    let call = if method == DuplicateMethod::Extents { "stspi_copy_extent" } else { "stspi_copy_image" };
    offered.map(|(by, ..)| *by).ok_or_else(|| not_offered(Place::Copy, call))
}

struct Copying<'s> {
    plugin: &'s Plugin,
    server: &'s Server<'s>,
    task: &'s CopyTask,
    by: By,
}

impl Copying<'_> {
    fn run(&mut self, mover: &mut Mover, report: &mut MoverReport) -> Result<(), Failure> {
        let CopyTask { source, copy, .. } = self.task;
        let CopyRecord { fragments, header, buffer_size, .. } = &source.copy;
        let id = &source.backup_id;
        let mut copies = Vec::new();
        for fragment in fragments {
            let name = format!("{id}_C{copy}_F{}", fragment.number);
            self.image(mover, &fragment.name, &name, report)?;
            report.bytes += fragment.bytes;
            mover.link.send(&FromMover::Progress { bytes: report.bytes })?;
            copies.push(FragmentRecord { name, ..fragment.clone() });
        }
        if let Some(tir) = &source.copy.tir {
            let name = format!("{id}_C{copy}_TIR");
            self.image(mover, tir, &name, report)?;
            report.tir = Some(name);
        }
        let name = format!("{id}_C{copy}_HDR");
        self.image(mover, header, &name, report)?;
        (report.header, report.buffer_size, report.fragments) = (name, *buffer_size, copies);
        Ok(())
    }

    fn image(
        &mut self,
        mover: &mut Mover,
        from: &str,
        to: &str,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        mover.check()?;
        match self.by {
            By::Image => {
                mover.link.send(&FromMover::Creating(to.to_owned()))?;
                let mut patience = BUSY_RETRY_LIMIT;
                loop {
                    let target = image_id(&mover.order, to);
                    let copied = self.server.copy_image(&self.task.source.image_id(from), &target);
                    match copied {
                        Ok(()) => break,
                        Err(sts) if later(sts.code) && patience > 0 => {
                            patience -= 1;
                            mover.check()?;
                        }
                        Err(sts) => {
                            // A copy that failed may have begun. A complete image that was there before is not ours.
                            if sts.code != ost_abi::STS_EEXIST {
                                report.images.push(to.to_owned());
                            }
                            return Err(mover.failed(Some(self.plugin), sts));
                        }
                    }
                }
                report.images.push(to.to_owned());
            }
            By::Extent => self.extents(mover, from, to, report)?,
        }
        mover.pass_log(self.plugin);
        mover.log(4, format!("copied {from} to {to}"));
        Ok(())
    }

    fn extents(
        &self,
        mover: &mut Mover,
        from: &str,
        to: &str,
        report: &mut MoverReport,
    ) -> Result<(), Failure> {
        let source = self.task.source.image_id(from);
        let size = match self.server.image_size(&source) {
            Ok(Some(size)) => size,
            Ok(None) => {
                return Err(Failure::new(
                    code::MEDIA_OPEN,
                    format!("the storage server has no image {from}"),
                ));
            }
            Err(sts) => return Err(mover.failed(Some(self.plugin), sts)),
        };
        let opened = self.server.open_image(&source);
        let mut reader = opened.map_err(|sts| mover.failed(Some(self.plugin), sts))?;
        let mut writer = mover.create(self.plugin, self.server, to, true, report)?;
        let (mut done, mut patience) = (0, BUSY_RETRY_LIMIT);
        while done < size {
            mover.check()?;
            let length = self.task.extent_bytes.min(size - done);
            match writer.copy_extent(&mut reader, done, length, done) {
                Ok(count) => done += count,
                Err(sts) if later(sts.code) && patience > 0 => patience -= 1,
                Err(sts) => return Err(mover.failed(Some(self.plugin), sts)),
            }
        }
        let closed = reader.close().and_then(|()| writer.complete());
        closed.map_err(|sts| mover.failed(Some(self.plugin), sts))
    }
}

/// Whether a call is to be repeated.
const fn later(code: i32) -> bool {
    code == STS_EBUSY || code == STS_EAGAIN
}
