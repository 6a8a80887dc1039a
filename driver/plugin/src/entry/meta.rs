//! Metadata of images: bytes that the host keeps beside the data.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::{c_int, c_void};

use ost_abi::{STS_EOFFSET, STS_MAX_IMAGE_META, bstsp_image_handle_s};

use super::{give_bytes, take_bytes};
use crate::boundary::guard;
use crate::fault::Fault;
use crate::object::{Access, Image};
use crate::plugin::Plugin;
use crate::status::image_fault;

// What the interface promises, the store keeps.
const _: () = assert!(STS_MAX_IMAGE_META == image_store::METADATA_BYTES_MAX as u64);

#[doc(hidden)]
pub unsafe fn stspi_write_image_meta(
    plugin: &Plugin,
    handle: *mut bstsp_image_handle_s,
    buffer: *const c_void,
    length: u64,
    offset: u64,
    written: *mut u64,
) -> c_int {
    guard(plugin, "stspi_write_image_meta", |call| {
        let take = |image: &mut Image, data: &[u8]| write(image, data, offset);
        // SAFETY: the host's promise, for both.
        unsafe { take_bytes(call, handle, (buffer, length), written, take) }
    })
}

fn write(image: &mut Image, data: &[u8], offset: u64) -> Result<(), Fault> {
    let (_, writer) = image.writer()?;
    let before = writer.metadata();
    let Some(from) = usize::try_from(offset).ok().filter(|from| *from <= before.len()) else {
        let length = before.len();
        let message = format!("offset {offset} is behind the end of the metadata, which has {length} bytes");
        return Err(Fault::new(STS_EOFFSET, message));
    };
    let end = from + data.len();
    if end as u64 > STS_MAX_IMAGE_META {
        let message = format!("the metadata would end at {end}, {STS_MAX_IMAGE_META} bytes is the most");
        return Err(Fault::invalid(message));
    }
    let after = [&before[..from], data, before.get(end..).unwrap_or_default()].concat();
    writer.set_metadata(&after).map_err(|e| image_fault(&e))
}

#[doc(hidden)]
pub unsafe fn stspi_read_image_meta(
    plugin: &Plugin,
    handle: *mut bstsp_image_handle_s,
    buffer: *mut c_void,
    length: u64,
    offset: u64,
    read: *mut u64,
) -> c_int {
    guard(plugin, "stspi_read_image_meta", |call| {
        let give = |image: &mut Image, into: &mut [u8]| Ok(copy(metadata(image), into, offset));
        // SAFETY: the host's promise, for both.
        unsafe { give_bytes(call, handle, (buffer, length), read, give) }
    })
}

/// What is kept beside the image, as this handle sees it: a writer sees what it wrote, durable or not.
fn metadata(image: &Image) -> &[u8] {
    match &image.access {
        Access::Write(writer) => writer.metadata(),
        Access::Read(reader) => reader.metadata(),
    }
}

/// Copies what there is from `offset` on; says how many bytes that were.
fn copy(metadata: &[u8], into: &mut [u8], offset: u64) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|from| metadata.get(from..)).unwrap_or_default();
    let count = rest.len().min(into.len());
    into[..count].copy_from_slice(&rest[..count]);
    count
}
