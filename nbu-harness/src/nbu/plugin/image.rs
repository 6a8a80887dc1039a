//! Open images. A writer that is dropped leaves its image incomplete.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use std::ptr::NonNull;

use ost_abi::{STS_CLOSEF_IH_COMPLETE, STS_EPLUGIN, bstsp_image_handle_s};

use super::{Server, check, failure};
use crate::nbu::result::StsFailure;
use crate::nbu::status::Place;

/// A handle that closes itself, incomplete.
#[derive(Debug)]
pub(super) struct Handle<'s> {
    pub(super) server: &'s Server<'s>,
    raw: Option<NonNull<bstsp_image_handle_s>>,
    pub(super) name: String,
}

impl Handle<'_> {
    pub(super) fn pointer(&self) -> *mut bstsp_image_handle_s {
        self.raw.map_or(std::ptr::null_mut(), NonNull::as_ptr)
    }

    fn close(&mut self, flags: u32) -> Result<(), StsFailure> {
        let Some(raw) = self.raw.take() else { return Ok(()) };
        // SAFETY: the handle is open, and gone after this call whatever it returns; `take` above forgot it.
        let code = unsafe { (self.server.plugin.api.stspi_close_image)(raw.as_ptr(), flags) };
        check(Place::Close, "stspi_close_image", &self.name, code)
    }
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        let _ = self.close(0);
    }
}

/// An image being written.
#[derive(Debug)]
pub(crate) struct ImageWriter<'s>(pub(super) Handle<'s>);

impl<'s> ImageWriter<'s> {
    pub(super) fn new(server: &'s Server<'s>, raw: NonNull<bstsp_image_handle_s>, name: &str) -> Self {
        Self(Handle { server, raw: Some(raw), name: name.to_owned() })
    }

    /// Writes all of `data`, a multiple of the block size, at `offset`. A call that takes less is repeated with the
    /// rest; one that takes nothing is an error.
    pub(crate) fn write(&mut self, data: &[u8], offset: u64) -> Result<(), StsFailure> {
        let mut done = 0;
        while done < data.len() {
            let rest = &data[done..];
            let mut written = 0;
            // SAFETY: the handle is open; `rest` is readable for its length; the null stat is allowed.
            let code = unsafe {
                (self.0.server.plugin.api.stspi_write_image)(
                    self.0.pointer(),
                    std::ptr::null(),
                    rest.as_ptr().cast(),
                    rest.len() as u64,
                    offset + done as u64,
                    &raw mut written,
                )
            };
            check(Place::Write, "stspi_write_image", &self.0.name, code)?;
            let count = usize::try_from(written).unwrap_or(usize::MAX);
            if count == 0 || count > rest.len() || count % 512 != 0 {
                return Err(failure(Place::Write, "stspi_write_image", &self.0.name, STS_EPLUGIN));
            }
            done += count;
        }
        Ok(())
    }

    /// Closes the image complete: success means that it is durable.
    pub(crate) fn complete(mut self) -> Result<(), StsFailure> {
        self.0.close(STS_CLOSEF_IH_COMPLETE)
    }

    /// Closes the image incomplete.
    pub(crate) fn abandon(mut self) -> Result<(), StsFailure> {
        self.0.close(0)
    }
}

/// An image being read.
#[derive(Debug)]
pub(crate) struct ImageReader<'s>(pub(super) Handle<'s>);

impl<'s> ImageReader<'s> {
    pub(super) fn new(server: &'s Server<'s>, raw: NonNull<bstsp_image_handle_s>, name: &str) -> Self {
        Self(Handle { server, raw: Some(raw), name: name.to_owned() })
    }

    /// Image name.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Reads at `offset`; fewer bytes than asked only at the end of the image, 0 behind it.
    pub(crate) fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<usize, StsFailure> {
        let mut read = 0;
        // SAFETY: the handle is open; `buffer` is writable for its length.
        let code = unsafe {
            (self.0.server.plugin.api.stspi_read_image)(
                self.0.pointer(),
                buffer.as_mut_ptr().cast(),
                buffer.len() as u64,
                offset,
                &raw mut read,
            )
        };
        check(Place::Read, "stspi_read_image", &self.0.name, code)?;
        usize::try_from(read)
            .ok()
            .filter(|count| *count <= buffer.len())
            .ok_or_else(|| failure(Place::Read, "stspi_read_image", &self.0.name, STS_EPLUGIN))
    }

    /// Closes the image.
    pub(crate) fn close(mut self) -> Result<(), StsFailure> {
        self.0.close(0)
    }
}
