//! Including ranges of complete images in the one being written.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]
#![allow(clippy::too_many_arguments, reason = "the interface has that many")]

use std::ffi::c_int;

use image_store::ImageIdentity;
use ost_abi::{STS_ENOTSUP, bstsp_image_handle_s, sts_image_def_t, sts_lsu_t};

use super::lsu::locate;
use super::{identity, raw};
use crate::args;
use crate::boundary::guard;
use crate::fault::Fault;
use crate::object::{self, Image, Server};
use crate::plugin::Plugin;
use crate::status::image_fault;

#[doc(hidden)]
pub unsafe fn stspi_include_in_image(
    plugin: &Plugin,
    handle: *mut bstsp_image_handle_s,
    source_lsu: *const sts_lsu_t,
    source_image: *const sts_image_def_t,
    source_offset: u64,
    length: u64,
    offset: u64,
    included: *mut u64,
) -> c_int {
    guard(plugin, "stspi_include_in_image", |call| {
        object::image(call, raw(handle), |_| Ok(()))?;
        // SAFETY: the host's promise, for all three.
        let ((server, lsu), definition, out) = unsafe {
            (locate(call, source_lsu)?, args::input(source_image)?, args::output_plain(included, "included")?)
        };
        let source = identity(definition)?;
        if length == 0 {
            return Err(Fault::invalid("length is 0"));
        }
        object::image(call, raw(handle), |image| {
            same_lsu(image, &server, lsu)?;
            include(image, &source, source_offset, length, offset)
        })?;
        out.set(length);
        Ok(())
    })
}

/// The segments of an image are of use in their own bucket only.
fn same_lsu(image: &Image, server: &Server, lsu: &str) -> Result<(), Fault> {
    let own = &image.server.cluster.name;
    if image.lsu == lsu && *own == server.cluster.name {
        return Ok(());
    }
    let message = format!(
        "the image is in LSU {} of {own}, its source in {lsu} of {}: only images of one LSU can be included, copy the \
         range instead",
        image.lsu, server.cluster.name
    );
    Err(Fault::new(STS_ENOTSUP, message))
}

fn include(
    image: &mut Image,
    source: &ImageIdentity,
    from: u64,
    length: u64,
    offset: u64,
) -> Result<(), Fault> {
    let (cluster, writer) = image.writer()?;
    let done = cluster.run(writer.include(source, from, length, offset));
    // A part may be included already: whatever follows must not pass for complete.
    let done = done.inspect_err(|_| writer.interrupt())?;
    done.map_err(|e| image_fault(&e))?;
    cluster.driver.turn();
    Ok(())
}
