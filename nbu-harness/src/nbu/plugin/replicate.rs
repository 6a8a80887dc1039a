//! Copies in the background, and the events that tell the other side of them.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use std::ptr::NonNull;

use ost_abi::{
    STS_EBUSY, STS_EINVAL, STS_ENOENT, STS_EV_SEQNO_START, bstsp_evchannel_handle_s, sts_backup_info_t,
    sts_event_t, sts_image_info_t, sts_lsu_replication_t,
};

use super::server::definition;
use super::{ImageId, ListedImage, Server, check, failure, put_text, size_of_u32, text};
use crate::nbu::result::StsFailure;
use crate::nbu::status::Place;

/// What replication carries along with an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackupInfo<'a> {
    /// The same for all images of one backup; not 0.
    pub(crate) set: u64,
    pub(crate) copy: u32,
    pub(crate) master_server: &'a str,
    pub(crate) slp: &'a str,
}

impl Server<'_> {
    /// How many LSUs images of this one are replicated to.
    pub(crate) fn replication_targets(&self, lsu: &str) -> Result<u32, StsFailure> {
        let target = self.lsu(lsu)?;
        // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
        let mut info: sts_lsu_replication_t = unsafe { std::mem::zeroed() };
        info.size = size_of_u32::<sts_lsu_replication_t>();
        let call = self.plugin.api.stspi_get_lsu_replication_prop;
        // SAFETY: `target` holds the open server and a terminated name; `info` has the size it says.
        let code = unsafe { call(&raw const target, &raw mut info) };
        check(Place::Replicate, "stspi_get_lsu_replication_prop", "", code)?;
        Ok(info.sld_rep_target_count)
    }

    /// Begins to copy an image to all replication targets of its LSU; returns the number of the operation.
    pub(crate) fn begin_replication(
        &self,
        from: &ImageId<'_>,
        backup: &BackupInfo<'_>,
        flags: u32,
    ) -> Result<u64, StsFailure> {
        let (lsu, image) = (self.lsu(from.lsu)?, definition(from)?);
        // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
        let mut info: sts_backup_info_t = unsafe { std::mem::zeroed() };
        info.size = size_of_u32::<sts_backup_info_t>();
        (info.bi_copy, info.isi_id) = (backup.copy, backup.set);
        if !put_text(&mut info.bi_master_server, backup.master_server)
            || !put_text(&mut info.isi_slpname, backup.slp)
        {
            return Err(failure(Place::Replicate, "stspi_async_copy_image", from.name, STS_EINVAL));
        }
        let mut operation = 0;
        // SAFETY: all pointers are to locals that outlive the call, or null where that is allowed.
        let code = unsafe {
            (self.plugin.api.stspi_async_copy_image)(
                &raw const lsu,
                &raw const image,
                std::ptr::null(),
                &raw const image,
                &raw const info,
                flags,
                &raw mut operation,
            )
        };
        check(Place::Replicate, "stspi_async_copy_image", from.name, code).map(|()| operation)
    }

    /// Lets an operation go on; true when it is done.
    pub(crate) fn operation_done(&self, operation: u64) -> Result<bool, StsFailure> {
        // SAFETY: the server is open.
        let code = unsafe { (self.plugin.api.stspi_async_wait)(self.handle.as_ptr(), operation) };
        if code == STS_EBUSY {
            return Ok(false);
        }
        check(Place::Replicate, "stspi_async_wait", "", code).map(|()| true)
    }

    /// Cancels an operation.
    pub(crate) fn cancel_operation(&self, operation: u64) -> Result<(), StsFailure> {
        // SAFETY: the server is open.
        let code = unsafe { (self.plugin.api.stspi_async_cancel)(self.handle.as_ptr(), operation) };
        check(Place::Replicate, "stspi_async_cancel", "", code)
    }

    /// Opens the event channel of an LSU, from its oldest event on.
    pub(crate) fn events(&self, lsu: &str) -> Result<Events<'_>, StsFailure> {
        let target = self.lsu(lsu)?;
        let mut channel: *mut bstsp_evchannel_handle_s = std::ptr::null_mut();
        // SAFETY: `target` holds the open server and a terminated name; no handler, so no context.
        let code = unsafe {
            (self.plugin.api.stspi_open_evchannel)(
                &raw const target,
                None,
                std::ptr::null_mut(),
                STS_EV_SEQNO_START,
                &raw mut channel,
            )
        };
        check(Place::Events, "stspi_open_evchannel", "", code)?;
        let channel = NonNull::new(channel)
            .ok_or_else(|| failure(Place::Events, "stspi_open_evchannel", "", STS_EINVAL))?;
        Ok(Events { server: self, channel })
    }
}

/// An open event channel. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Events<'s> {
    server: &'s Server<'s>,
    channel: NonNull<bstsp_evchannel_handle_s>,
}

impl Events<'_> {
    /// The next event: its number, and the images that it is about; `None` when there is none.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Vec<ListedImage>)>, StsFailure> {
        // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
        let mut event: sts_event_t = unsafe { std::mem::zeroed() };
        event.size = size_of_u32::<sts_event_t>();
        let api = &self.server.plugin.api;
        // SAFETY: the channel is open; `event` has the size it says.
        let code = unsafe { (api.stspi_get_event)(self.channel.as_ptr(), &raw mut event) };
        if code == STS_ENOENT {
            return Ok(None);
        }
        check(Place::Events, "stspi_get_event", "", code)?;
        // SAFETY: all zeros is a valid value of this structure of integers and character arrays.
        let mut blank: sts_image_info_t = unsafe { std::mem::zeroed() };
        blank.size = size_of_u32::<sts_image_info_t>();
        let mut images = vec![blank; event.ev_images as usize];
        let mut count = 0;
        // SAFETY: the channel is open; `images` has room for as many structures as the call is told.
        let code = unsafe {
            (api.stspi_get_event_payload)(
                self.channel.as_ptr(),
                event.ev_seqno,
                images.as_mut_ptr(),
                event.ev_images,
                &raw mut count,
            )
        };
        check(Place::Events, "stspi_get_event_payload", "", code)?;
        let named = images.iter().take(count as usize).map(|info| ListedImage {
            name: text(&info.def.img_basename),
            date: info.def.img_date,
            policy: text(&info.def.img_policy),
        });
        Ok(Some((event.ev_seqno, named.collect())))
    }

    /// Deletes an event; one that is not there counts as deleted.
    pub(crate) fn delete(&mut self, number: u64) -> Result<(), StsFailure> {
        // SAFETY: the channel is open.
        let code = unsafe { (self.server.plugin.api.stspi_delete_event)(self.channel.as_ptr(), number) };
        if code == STS_ENOENT { Ok(()) } else { check(Place::Events, "stspi_delete_event", "", code) }
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        // SAFETY: the channel is open and not used again.
        unsafe { (self.server.plugin.api.stspi_close_evchannel)(self.channel.as_ptr()) };
    }
}
