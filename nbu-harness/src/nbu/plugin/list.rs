//! What is known of images without opening them.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use ost_abi::{STS_ENOENT, sts_image_info_t};

use super::server::definition;
use super::{ImageId, Server, check, size_of_u32};
use crate::nbu::result::StsFailure;
use crate::nbu::status::Place;

impl Server<'_> {
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
