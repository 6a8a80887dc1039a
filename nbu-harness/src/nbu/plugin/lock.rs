//! Locks of images (WORM).

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use super::server::definition;
use super::{ImageId, Server, check};
use crate::nbu::result::StsFailure;
use crate::nbu::status::Place;

impl Server<'_> {
    /// Locks a complete image until a time, in seconds since the epoch by the storage's clock.
    pub(crate) fn lock_image(&self, at: &ImageId<'_>, until: u64) -> Result<(), StsFailure> {
        let (lsu, image) = (self.lsu(at.lsu)?, definition(at)?);
        // SAFETY: all pointers are to locals that outlive the call; names are terminated, the server is open.
        let code = unsafe { (self.plugin.api.stspi_set_image_lock)(&raw const lsu, &raw const image, until) };
        check(Place::Lock, "stspi_set_image_lock", at.name, code)
    }
}
