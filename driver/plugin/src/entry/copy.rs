//! Copies that their caller waits for: whole images and extents, within a server and to a target.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::c_int;
use std::rc::Rc;

use image_store::{CopyOptions, CopyStatus, Reader, Route, S3Store};
use ost_abi::{
    STS_CLOSEF_IH_COMPLETE, STS_EACCESS, STS_EAGAIN, STS_EPLUGIN, bstsp_copy_handle_s, bstsp_image_handle_s,
    sts_image_def_t, sts_lsu_t,
};

use super::lsu::locate;
use super::{identity, pointer, raw};
use crate::args;
use crate::boundary::{Call, guard};
use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::handles::Kind;
use crate::object::{self, Access, Copying, Image, Object, with_table};
use crate::plugin::Plugin;
use crate::status::image_fault;

/// Bytes of an extent that are copied under one deadline.
const EXTENT_PIECE: u64 = 16 << 20;

/// Which way the data takes between two servers.
fn route(from: &Cluster, to: &Cluster) -> Route {
    if from.name == to.name { Route::SameCluster } else { Route::OtherCluster }
}

/// Begins the copy that the host asks for. Its log lines go to the session of the source.
///
/// # Safety
/// As [`args::plain`], for all four.
unsafe fn open(
    call: &Call,
    from_lsu: *const sts_lsu_t,
    from_image: *const sts_image_def_t,
    to_lsu: *const sts_lsu_t,
    to_image: *const sts_image_def_t,
) -> Result<Copying, Fault> {
    // SAFETY: the caller's promise.
    let ((to, to_name), (from, from_name)) = unsafe { (locate(call, to_lsu)?, locate(call, from_lsu)?) };
    // SAFETY: as above.
    let (image, name) = unsafe { (args::input(from_image)?, args::input(to_image)?) };
    let (image, name) = (identity(image)?, identity(name)?);
    let (source, target) = (from.cluster.images(from_name)?, to.cluster.images(to_name)?);
    let options = CopyOptions { route: route(&from.cluster, &to.cluster), copier: None };
    let begun = from.cluster.run(source.begin_copy(&image, &target, &name, options))?;
    let copy = begun.map_err(|e| image_fault(&e))?;
    Ok(Copying { copy, from, _to: to })
}

impl Copying {
    /// Copies on until one more segment is there. Each step has a deadline of its own: the copy may take as long as it
    /// takes while it advances.
    fn advance(&mut self) -> Result<CopyStatus, Fault> {
        self.from.cluster.run(self.copy.step())?.map_err(|e| image_fault(&e))
    }

    /// Lets the target be for whoever begins the copy again. If even that fails, its lease will run out.
    fn suspend(&mut self) -> Result<(), Fault> {
        self.from.cluster.run(self.copy.suspend())?.map_err(|e| image_fault(&e))
    }
}

#[doc(hidden)]
pub unsafe fn stspi_copy_image(
    plugin: &Plugin,
    from_lsu: *const sts_lsu_t,
    from_image: *const sts_image_def_t,
    to_lsu: *const sts_lsu_t,
    to_image: *const sts_image_def_t,
) -> c_int {
    guard(plugin, "stspi_copy_image", |call| {
        // SAFETY: the host's promise, for all four.
        let mut copying = unsafe { open(call, from_lsu, from_image, to_lsu, to_image)? };
        loop {
            match copying.advance() {
                Ok(CopyStatus::More) => {}
                Ok(CopyStatus::Done) => return Ok(()),
                Err(fault) => {
                    let _ = copying.suspend();
                    return Err(fault);
                }
            }
        }
    })
}

#[doc(hidden)]
pub unsafe fn stspi_begin_copy_image(
    plugin: &Plugin,
    from_lsu: *const sts_lsu_t,
    from_image: *const sts_image_def_t,
    to_lsu: *const sts_lsu_t,
    to_image: *const sts_image_def_t,
    copy: *mut *mut bstsp_copy_handle_s,
) -> c_int {
    guard(plugin, "stspi_begin_copy_image", |call| {
        // SAFETY: the host's promise.
        let out = unsafe { args::output_plain(copy, "copy")? };
        // SAFETY: as above, for all four.
        let copying = unsafe { open(call, from_lsu, from_image, to_lsu, to_image)? };
        let opened = Object::Copy(Box::new(copying));
        out.set(pointer(with_table(|table| table.insert(Kind::Copy, opened))?)?);
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_end_copy_image(plugin: &Plugin, copy: *mut bstsp_copy_handle_s, flags: u32) -> c_int {
    guard(plugin, "stspi_end_copy_image", |call| {
        object::with(call, raw(copy), |_: &mut Copying| Ok(()))?;
        if flags & !STS_CLOSEF_IH_COMPLETE != 0 {
            return Err(Fault::invalid(format_args!("unknown close flags {flags:#x}")));
        }
        let complete = flags & STS_CLOSEF_IH_COMPLETE != 0;
        let advanced =
            if complete { object::with(call, raw(copy), Copying::advance) } else { Ok(CopyStatus::More) };
        if let (true, Ok(CopyStatus::More)) = (complete, &advanced) {
            let progress =
                object::with(call, raw(copy), |copying: &mut Copying| Ok(copying.copy.progress()))?;
            let message = format!("{} of {} bytes are copied", progress.bytes_done, progress.bytes);
            return Err(Fault::quiet(STS_EAGAIN, message));
        }
        let Object::Copy(mut copying) = with_table(|table| table.remove(raw(copy), Kind::Copy))? else {
            return Err(Fault::new(STS_EPLUGIN, "a handle's kind and object disagree"));
        };
        match advanced {
            Ok(CopyStatus::Done) => Ok(()),
            Ok(CopyStatus::More) => copying.suspend(),
            Err(fault) => {
                let _ = copying.suspend();
                Err(fault)
            }
        }
    })
}

#[doc(hidden)]
pub unsafe fn stspi_copy_extent(
    plugin: &Plugin,
    from: *mut bstsp_image_handle_s,
    from_offset: u64,
    length: u64,
    to: *mut bstsp_image_handle_s,
    to_offset: u64,
    copied: *mut u64,
) -> c_int {
    guard(plugin, "stspi_copy_extent", |call| {
        object::image(call, raw(from), |_| Ok(()))?;
        // SAFETY: the host's promise.
        let out = unsafe { args::output_plain(copied, "copied")? };
        if length == 0 {
            return Err(Fault::invalid("length is 0"));
        }
        object::image(call, raw(from), |source| {
            object::image(call, raw(to), |target| copy_extent(source, from_offset, length, target, to_offset))
        })?;
        out.set(length);
        Ok(())
    })
}

fn copy_extent(
    source: &mut Image,
    from: u64,
    length: u64,
    target: &mut Image,
    offset: u64,
) -> Result<(), Fault> {
    let same = Rc::ptr_eq(&source.server, &target.server) && source.lsu == target.lsu;
    let Access::Read(reader) = &mut source.access else {
        return Err(Fault::new(STS_EACCESS, "the image to copy from is open for writing"));
    };
    let reader: &mut Reader<S3Store> = reader;
    let (cluster, writer) = target.writer()?;
    // Within an LSU nothing is moved, so there is nothing to be cut into pieces.
    let piece = if same { length } else { EXTENT_PIECE };
    let mut done = 0;
    while done < length {
        let count = piece.min(length - done);
        let at = |base: u64| base.saturating_add(done);
        let copied = cluster.run(writer.copy_range(reader, at(from), count, at(offset)));
        // A part may be there already: whatever follows must not pass for complete.
        copied.inspect_err(|_| writer.interrupt())?.map_err(|e| image_fault(&e))?;
        done += count;
    }
    cluster.driver.turn();
    Ok(())
}
