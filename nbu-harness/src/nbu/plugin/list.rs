//! What is known of images without opening them.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use ost_abi::{STS_ENOENT, STS_EOK, bstsp_image_list_handle_s, sts_image_def_t, sts_image_info_t};

use super::server::definition;
use super::{ImageId, Server, check, size_of_u32, text};
use crate::nbu::result::StsFailure;
use crate::nbu::status::Place;

/// An image as an enumeration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedImage {
    pub(crate) name: String,
    pub(crate) date: u64,
    pub(crate) policy: String,
}

impl Server<'_> {
    /// All images of an LSU.
    pub(crate) fn images(&self, lsu: &str) -> Result<Vec<ListedImage>, StsFailure> {
        let target = self.lsu(lsu)?;
        let mut list: *mut bstsp_image_list_handle_s = std::ptr::null_mut();
        // SAFETY: `target` holds the open server and a terminated name; both outlive the call.
        let code = unsafe { (self.plugin.api.stspi_open_image_list)(&raw const target, &raw mut list) };
        check(Place::List, "stspi_open_image_list", "", code)?;
        let mut images = Vec::new();
        let end = loop {
            // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
            let mut image: sts_image_def_t = unsafe { std::mem::zeroed() };
            image.size = size_of_u32::<sts_image_def_t>();
            // SAFETY: the list is open; `image` has the size it says.
            let code = unsafe { (self.plugin.api.stspi_list_image)(list, &raw mut image) };
            if code != STS_EOK {
                break code;
            }
            images.push(ListedImage {
                name: text(&image.img_basename),
                date: image.img_date,
                policy: text(&image.img_policy),
            });
        };
        // SAFETY: the list is open and not used again.
        unsafe { (self.plugin.api.stspi_close_image_list)(list) };
        if end != STS_ENOENT {
            check(Place::List, "stspi_list_image", "", end)?;
        }
        Ok(images)
    }

    /// Size of an image in bytes; `None` if there is no such image.
    pub(crate) fn image_size(&self, at: &ImageId<'_>) -> Result<Option<u64>, StsFailure> {
        let (lsu, image) = (self.lsu(at.lsu)?, definition(at)?);
        // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
        let mut info: sts_image_info_t = unsafe { std::mem::zeroed() };
        info.size = size_of_u32::<sts_image_info_t>();
        let call = self.plugin.api.stspi_get_image_prop_byname;
        // SAFETY: all pointers are to locals that outlive the call; names are terminated; `info` has the size it says.
        let code = unsafe { call(&raw const lsu, &raw const image, &raw mut info) };
        if code == STS_ENOENT {
            return Ok(None);
        }
        check(Place::OpenImage, "stspi_get_image_prop_byname", at.name, code)?;
        Ok(Some(info.imo_size))
    }
}
