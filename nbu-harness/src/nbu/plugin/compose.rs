//! Images made of other images by the storage: copied whole or by extent, or by ranges included in a new one.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use ost_abi::STS_EPLUGIN;

use super::server::definition;
use super::{ImageId, ImageReader, ImageWriter, Server, check, failure};
use crate::nbu::result::StsFailure;
use crate::nbu::status::Place;

impl Server<'_> {
    /// Copies a complete image; the copy is complete when this returns.
    pub(crate) fn copy_image(&self, from: &ImageId<'_>, to: &ImageId<'_>) -> Result<(), StsFailure> {
        let (from_lsu, from_image) = (self.lsu(from.lsu)?, definition(from)?);
        let (to_lsu, to_image) = (self.lsu(to.lsu)?, definition(to)?);
        // SAFETY: all pointers are to locals that outlive the call; names are terminated, the server is open.
        let code = unsafe {
            (self.plugin.api.stspi_copy_image)(
                &raw const from_lsu,
                &raw const from_image,
                &raw const to_lsu,
                &raw const to_image,
            )
        };
        check(Place::Copy, "stspi_copy_image", to.name, code)
    }
}

impl ImageWriter<'_> {
    /// Appends `length` bytes of an open image from `from_offset` on; this one has `offset` bytes so far. Returns how
    /// many bytes that were, at least one.
    pub(crate) fn copy_extent(
        &mut self,
        from: &mut ImageReader<'_>,
        from_offset: u64,
        length: u64,
        offset: u64,
    ) -> Result<u64, StsFailure> {
        let mut copied = 0;
        // SAFETY: both handles are open; `copied` outlives the call.
        let code = unsafe {
            (self.0.server.plugin.api.stspi_copy_extent)(
                from.0.pointer(),
                from_offset,
                length,
                self.0.pointer(),
                offset,
                &raw mut copied,
            )
        };
        check(Place::Copy, "stspi_copy_extent", &self.0.name, code)?;
        self.moved(Place::Copy, "stspi_copy_extent", copied, length)
    }

    /// Appends a range of a complete image without moving its data; this one has `offset` bytes so far. Returns how
    /// many bytes that were, at least one.
    pub(crate) fn include(
        &mut self,
        source: &ImageId<'_>,
        source_offset: u64,
        length: u64,
        offset: u64,
    ) -> Result<u64, StsFailure> {
        let (lsu, image) = (self.0.server.lsu(source.lsu)?, definition(source)?);
        let mut included = 0;
        // SAFETY: the handle is open; all pointers are to locals that outlive the call; names are terminated.
        let code = unsafe {
            (self.0.server.plugin.api.stspi_include_in_image)(
                self.0.pointer(),
                &raw const lsu,
                &raw const image,
                source_offset,
                length,
                offset,
                &raw mut included,
            )
        };
        check(Place::Include, "stspi_include_in_image", source.name, code)?;
        self.moved(Place::Include, "stspi_include_in_image", included, length)
    }

    /// A plug-in that says it moved nothing, or more than it was asked, is wrong.
    fn moved(&self, place: Place, call: &str, count: u64, wanted: u64) -> Result<u64, StsFailure> {
        if (1..=wanted).contains(&count) {
            return Ok(count);
        }
        Err(failure(place, call, &self.0.name, STS_EPLUGIN))
    }
}
