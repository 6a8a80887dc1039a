//! What is known of images without opening them: which ones an LSU has, complete or not, and how large one is.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use ost_abi::{STS_EINVAL, STS_ENOENT, bstsp_image_list_handle_s, sts_image_def_t, sts_image_info_t};

use super::server::definition;
use super::{ImageId, Server, check, failure, size_of_u32, text};
use crate::nbu::result::StsFailure;
use crate::nbu::status::Place;

/// An image as the list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedImage {
    pub(crate) name: String,
    /// Backup time in seconds since the epoch.
    pub(crate) date: u64,
}

impl Server<'_> {
    /// Images of an LSU for which `wanted` is true.
    pub(crate) fn images(
        &self,
        lsu: &str,
        wanted: &dyn Fn(&ListedImage) -> bool,
    ) -> Result<Vec<ListedImage>, StsFailure> {
        let lsu = self.lsu(lsu)?;
        let api = &self.plugin.api;
        let mut list: *mut bstsp_image_list_handle_s = std::ptr::null_mut();
        // SAFETY: `lsu` holds an open server and a terminated name; both pointers outlive the call.
        let code = unsafe { (api.stspi_open_image_list)(&raw const lsu, &raw mut list) };
        check(Place::OpenServer, "stspi_open_image_list", "", code)?;
        if list.is_null() {
            return Err(failure(Place::OpenServer, "stspi_open_image_list", "", STS_EINVAL));
        }
        let mut images = Vec::new();
        let ended = loop {
            // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
            let mut image: sts_image_def_t = unsafe { std::mem::zeroed() };
            image.size = size_of_u32::<sts_image_def_t>();
            // SAFETY: the list is open; `image` has the size it says.
            let code = unsafe { (api.stspi_list_image)(list, &raw mut image) };
            if code == STS_ENOENT {
                break Ok(());
            }
            if let Err(error) = check(Place::OpenServer, "stspi_list_image", "", code) {
                break Err(error);
            }
            let image = ListedImage { name: text(&image.img_basename), date: image.img_date };
            if wanted(&image) {
                images.push(image);
            }
        };
        // SAFETY: the list is open, and not used again.
        let code = unsafe { (api.stspi_close_image_list)(list) };
        ended.and_then(|()| check(Place::OpenServer, "stspi_close_image_list", "", code))?;
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
