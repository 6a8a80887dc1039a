//! The list of images of an LSU.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::collections::VecDeque;
use std::ffi::c_int;

use image_store::ImageIdentity;
use ost_abi::{
    STS_ENOENT, STS_EPLUGIN, STS_MAX_IMAGENAME, STS_MAX_POLICYNAME, bstsp_image_list_handle_s,
    sts_image_def_t, sts_lsu_t,
};

use super::image::definition;
use super::lsu::locate;
use super::{pointer, raw};
use crate::args;
use crate::boundary::guard;
use crate::fault::Fault;
use crate::handles::Kind;
use crate::object::{ImageList, Object, with_table};
use crate::plugin::Plugin;
use crate::status::{client_fault, image_fault};

#[doc(hidden)]
pub unsafe fn stspi_open_image_list(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    list: *mut *mut bstsp_image_list_handle_s,
) -> c_int {
    guard(plugin, "stspi_open_image_list", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let out = unsafe { args::output_plain(list, "list")? };
        // An unknown LSU is said now and not at the first step.
        server.cluster.run(server.cluster.client.lsu(name))?.map_err(|e| client_fault(&e))?;
        let pager = server.cluster.images(name)?.list();
        let opened = ImageList { server, pager, page: VecDeque::new(), finished: false };
        let object = Object::ImageList(Box::new(opened));
        out.set(pointer(with_table(|table| table.insert(Kind::ImageList, object))?)?);
        Ok(())
    })
}

/// The next image that the host's fields can hold.
fn next(list: &mut ImageList) -> Result<Option<ImageIdentity>, Fault> {
    loop {
        while let Some(identity) = list.page.pop_front() {
            if identity.base_name.len() < STS_MAX_IMAGENAME && identity.policy.len() < STS_MAX_POLICYNAME {
                return Ok(Some(identity));
            }
        }
        if list.finished {
            return Ok(None);
        }
        match list.server.cluster.run(list.pager.next_page())?.map_err(|e| image_fault(&e))? {
            Some(page) => list.page = page.into_iter().map(|entry| entry.identity).collect(),
            None => list.finished = true,
        }
    }
}

#[doc(hidden)]
pub unsafe fn stspi_list_image(
    plugin: &Plugin,
    list: *mut bstsp_image_list_handle_s,
    image: *mut sts_image_def_t,
) -> c_int {
    guard(plugin, "stspi_list_image", |call| {
        // SAFETY: the host's promise.
        let out = unsafe { args::output(image)? };
        let found = with_table(|table| {
            table.with(raw(list), Kind::ImageList, |object| match object {
                Object::ImageList(list) => {
                    list.server.admit(call)?;
                    next(list)
                }
                _ => Err(Fault::new(STS_EPLUGIN, "a handle's kind and object disagree")),
            })
        })?;
        let identity = found.ok_or_else(|| Fault::quiet(STS_ENOENT, "no more images"))?;
        out.set(definition(&identity));
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_close_image_list(plugin: &Plugin, list: *mut bstsp_image_list_handle_s) -> c_int {
    guard(plugin, "stspi_close_image_list", |_| {
        with_table(|table| table.remove(raw(list), Kind::ImageList)).map(drop)
    })
}
