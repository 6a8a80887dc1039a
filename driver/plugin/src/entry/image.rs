//! Images: create, open, write, read, flush, close, properties, delete.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::{c_int, c_void};

use image_store::object_store::RetentionMode;
use image_store::{
    AppendOutcome, Close, Discarded, ImageIdentity, ImageInfo, ImageState, Origin, ReadOutcome,
    ReplicatedImage, S3Store, Writer,
};
use ost_abi::{
    STS_BLOCK_SIZE, STS_CLOSEF_IH_COMPLETE, STS_EACCESS, STS_II_BUSY_WRITE, STS_II_IMAGE_CREATED,
    STS_II_IMAGE_PENDING, STS_LOCKF_COMPLIANCE, STS_LOCKF_LOCKED, STS_MAX_IMAGENAME, STS_MAX_POLICYNAME,
    STS_O_READ, STS_O_WRITE, STS_SRVC_CHECKPOINT, bstsp_image_handle_s, sts_backup_info_t, sts_image_def_t,
    sts_image_info_t, sts_image_lock_t, sts_lsu_t, sts_stat_t,
};
use vast_client::{Log as _, Severity};

use super::lsu::locate;
use super::{give_bytes, identity, pointer, raw, take_bytes};
use crate::args;
use crate::boundary::guard;
use crate::fault::Fault;
use crate::handles::Kind;
use crate::object::{self, Access, Image, Object, Server, with_table};
use crate::plugin::Plugin;
use crate::status::image_fault;

/// Opens a handle for an image.
fn insert(image: Image) -> Result<*mut bstsp_image_handle_s, Fault> {
    pointer(with_table(|table| table.insert(Kind::Image, Object::Image(Box::new(image))))?)
}

#[doc(hidden)]
pub unsafe fn stspi_create_image(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    image: *const sts_image_def_t,
    _pending: c_int,
    handle: *mut *mut bstsp_image_handle_s,
) -> c_int {
    guard(plugin, "stspi_create_image", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let (definition, out) = unsafe { (args::input(image)?, args::output_plain(handle, "handle")?) };
        let identity = identity(definition)?;
        let images = server.cluster.images(name)?;
        let writer = server.cluster.run(images.create(&identity))?.map_err(|e| image_fault(&e))?;
        let access = Access::Write(Box::new(writer));
        out.set(insert(Image { server, lsu: name.to_owned(), access })?);
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_open_image(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    image: *const sts_image_def_t,
    mode: u32,
    handle: *mut *mut bstsp_image_handle_s,
) -> c_int {
    guard(plugin, "stspi_open_image", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let (definition, out) = unsafe { (args::input(image)?, args::output_plain(handle, "handle")?) };
        let identity = identity(definition)?;
        let images = server.cluster.images(name)?;
        let access = match mode {
            STS_O_READ => {
                let reader = server.cluster.run(images.open_read(&identity))?.map_err(|e| image_fault(&e))?;
                Access::Read(Box::new(reader))
            }
            STS_O_WRITE => {
                server.capabilities.require(STS_SRVC_CHECKPOINT)?;
                let writer =
                    server.cluster.run(images.open_write(&identity))?.map_err(|e| image_fault(&e))?;
                Access::Write(Box::new(writer))
            }
            _ => return Err(Fault::invalid(format_args!("mode {mode} is neither read nor write"))),
        };
        out.set(insert(Image { server, lsu: name.to_owned(), access })?);
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_write_image(
    plugin: &Plugin,
    handle: *mut bstsp_image_handle_s,
    stat: *const sts_stat_t,
    buffer: *const c_void,
    length: u64,
    offset: u64,
    written: *mut u64,
) -> c_int {
    guard(plugin, "stspi_write_image", |call| {
        let taken = |image: &mut Image, data: &[u8]| {
            // SAFETY: the host's promise.
            unsafe { args::optional(stat)? };
            if data.is_empty() || !length.is_multiple_of(STS_BLOCK_SIZE) {
                let message = format!("length {length} is not a multiple of {STS_BLOCK_SIZE} above 0");
                return Err(Fault::invalid(message));
            }
            write(image, data, offset)
        };
        // SAFETY: as above, for both.
        unsafe { take_bytes(call, handle, (buffer, length), written, taken) }
    })
}

/// Copies the host's bytes into segment buffers; crosses into the runtime only when one is full.
fn write(image: &mut Image, data: &[u8], offset: u64) -> Result<(), Fault> {
    let (cluster, writer) = image.writer()?;
    let mut done = 0;
    while done < data.len() {
        let at = offset.saturating_add(done as u64);
        match writer.try_append(at, &data[done..]).map_err(|e| image_fault(&e))? {
            AppendOutcome::Done => break,
            AppendOutcome::NeedsIo { consumed } => {
                done += consumed;
                let made = cluster.run(writer.make_room());
                // Part of this write is taken already: whatever follows must not pass for complete.
                let made = made.inspect_err(|_| writer.interrupt())?;
                made.map_err(|e| image_fault(&e))?;
            }
        }
    }
    cluster.driver.turn();
    Ok(())
}

#[doc(hidden)]
pub unsafe fn stspi_read_image(
    plugin: &Plugin,
    handle: *mut bstsp_image_handle_s,
    buffer: *mut c_void,
    length: u64,
    offset: u64,
    read: *mut u64,
) -> c_int {
    guard(plugin, "stspi_read_image", |call| {
        let give = |image: &mut Image, into: &mut [u8]| read_into(image, into, offset);
        // SAFETY: the host's promise, for both.
        unsafe { give_bytes(call, handle, (buffer, length), read, give) }
    })
}

/// Fills the host's buffer from verified data; crosses into the runtime only to fetch more.
fn read_into(image: &mut Image, into: &mut [u8], offset: u64) -> Result<usize, Fault> {
    let cluster = &image.server.cluster;
    let Access::Read(reader) = &mut image.access else {
        return Err(Fault::new(STS_EACCESS, "the image is open for writing"));
    };
    let mut done = 0;
    while done < into.len() {
        let at = offset.saturating_add(done as u64);
        match reader.try_read(at, &mut into[done..]) {
            ReadOutcome::Read(0) => break,
            ReadOutcome::Read(count) => done += count,
            ReadOutcome::NeedsIo => {
                let rest = into.len() - done;
                cluster.run(reader.fetch(at, rest))?.map_err(|e| image_fault(&e))?;
            }
        }
    }
    cluster.driver.turn();
    Ok(done)
}

#[doc(hidden)]
pub unsafe fn stspi_flush_image(plugin: &Plugin, handle: *mut bstsp_image_handle_s) -> c_int {
    guard(plugin, "stspi_flush_image", |call| {
        object::image(call, raw(handle), |image| {
            let (cluster, writer) = image.writer()?;
            cluster.run(writer.flush())?.map_err(|e| image_fault(&e))
        })
    })
}

#[doc(hidden)]
pub unsafe fn stspi_close_image(plugin: &Plugin, handle: *mut bstsp_image_handle_s, flags: u32) -> c_int {
    guard(plugin, "stspi_close_image", |call| {
        object::closing_image(call, raw(handle))?;
        if flags & !STS_CLOSEF_IH_COMPLETE != 0 {
            return Err(Fault::invalid(format_args!("unknown close flags {flags:#x}")));
        }
        let Object::Image(image) = with_table(|table| table.remove(raw(handle), Kind::Image))? else {
            return Err(Fault::new(ost_abi::STS_EPLUGIN, "a handle's kind and object disagree"));
        };
        let Image { server, access, .. } = *image;
        match access {
            Access::Read(_) => Ok(()),
            Access::Write(writer) => {
                let how =
                    if flags & STS_CLOSEF_IH_COMPLETE == 0 { Close::Incomplete } else { Close::Complete };
                close_writer(&server, *writer, how)
            }
        }
    })
}

/// Closes a writer. One that cannot be closed leaves no segments behind, since nobody will come back for them.
fn close_writer(server: &Server, mut writer: Writer<S3Store>, how: Close) -> Result<(), Fault> {
    let cluster = &server.cluster;
    let fault = match cluster.run(writer.close(how)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => image_fault(&error),
        Err(gave_up) => {
            writer.interrupt();
            gave_up
        }
    };
    match cluster.run(writer.discard()) {
        Ok(Ok(Discarded::Committed)) if how == Close::Complete => return Ok(()),
        Ok(Ok(_)) => {}
        Ok(Err(left)) => warn_of_leavings(server, &left),
        Err(gave_up) => warn_of_leavings(server, &gave_up.message),
    }
    Err(fault)
}

fn warn_of_leavings(server: &Server, why: &dyn std::fmt::Display) {
    let line = format_args!("segments of a failed writer may be left until the image is deleted: {why}");
    server.cluster.log.log(Severity::Warning, line);
}

/// What the host sees of an image.
fn image_info(info: &ImageInfo) -> sts_image_info_t {
    let mut status = match info.state {
        ImageState::Pending => STS_II_IMAGE_PENDING,
        ImageState::Created => STS_II_IMAGE_CREATED,
    };
    if info.busy {
        status |= STS_II_BUSY_WRITE;
    }
    sts_image_info_t {
        size: u32::try_from(size_of::<sts_image_info_t>()).unwrap_or(0),
        status,
        imo_size: info.size,
        create_time: info.created,
        block_size: STS_BLOCK_SIZE,
        meta_length: info.metadata_length,
        def: definition(&info.identity),
        lock: lock_of(info),
        backup: backup_info(&Origin::default()),
    }
}

/// What the host sees of an image's lock.
pub(super) fn lock_of(info: &ImageInfo) -> sts_image_lock_t {
    sts_image_lock_t {
        size: u32::try_from(size_of::<sts_image_lock_t>()).unwrap_or(0),
        lock_flags: match info.locked {
            None => 0,
            Some(RetentionMode::Governance) => STS_LOCKF_LOCKED,
            Some(RetentionMode::Compliance) => STS_LOCKF_LOCKED | STS_LOCKF_COMPLIANCE,
        },
        lock_until: info.locked_until.unwrap_or(0),
    }
}

/// The backup that an image belongs to; of one that was not replicated here nothing is known.
fn backup_info(origin: &Origin) -> sts_backup_info_t {
    sts_backup_info_t {
        size: u32::try_from(size_of::<sts_backup_info_t>()).unwrap_or(0),
        bi_copy: origin.copy,
        isi_id: origin.image_set,
        bi_master_server: args::text(&origin.server),
        isi_slpname: args::text(&origin.lifecycle_policy),
    }
}

/// What the host sees of an image that an event tells of.
pub(super) fn replicated_info(image: &ReplicatedImage) -> sts_image_info_t {
    let info = image_info(&ImageInfo {
        identity: image.identity.clone(),
        size: image.size,
        state: ImageState::Created,
        busy: false,
        created: image.created,
        committed: None,
        metadata_length: image.metadata_length,
        locked_until: None,
        locked: None,
    });
    sts_image_info_t { backup: backup_info(&image.origin), ..info }
}

/// An identity in the host's shape. Names come from the host and fit.
pub(super) fn definition(identity: &ImageIdentity) -> sts_image_def_t {
    sts_image_def_t {
        size: u32::try_from(size_of::<sts_image_def_t>()).unwrap_or(0),
        reserved: 0,
        img_date: identity.date,
        img_basename: args::text::<STS_MAX_IMAGENAME>(&identity.base_name),
        img_policy: args::text::<STS_MAX_POLICYNAME>(&identity.policy),
    }
}

#[doc(hidden)]
pub unsafe fn stspi_get_image_prop(
    plugin: &Plugin,
    handle: *mut bstsp_image_handle_s,
    info: *mut sts_image_info_t,
) -> c_int {
    guard(plugin, "stspi_get_image_prop", |call| {
        object::image(call, raw(handle), |_| Ok(()))?;
        // SAFETY: the host's promise.
        let out = unsafe { args::output(info)? };
        let found = object::image(call, raw(handle), |image| {
            Ok(match &image.access {
                Access::Write(writer) => writer.info(),
                Access::Read(reader) => reader.info().clone(),
            })
        })?;
        out.set(image_info(&found));
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_get_image_prop_byname(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    image: *const sts_image_def_t,
    info: *mut sts_image_info_t,
) -> c_int {
    guard(plugin, "stspi_get_image_prop_byname", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let (definition, out) = unsafe { (args::input(image)?, args::output(info)?) };
        let identity = identity(definition)?;
        let images = server.cluster.images(name)?;
        let found = server.cluster.run(images.properties(&identity))?.map_err(|e| image_fault(&e))?;
        out.set(image_info(&found));
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_delete_image(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    image: *const sts_image_def_t,
    asynchronous: c_int,
) -> c_int {
    guard(plugin, "stspi_delete_image", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let definition = unsafe { args::input(image)? };
        if !(0..=1).contains(&asynchronous) {
            return Err(Fault::invalid(format_args!("asynchronous is {asynchronous}, not 0 or 1")));
        }
        let identity = identity(definition)?;
        let images = server.cluster.images(name)?;
        server.cluster.run(images.delete(&identity))?.map_err(|e| image_fault(&e))
    })
}
