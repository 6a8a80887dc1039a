//! Event channels: what was replicated to an LSU, in order, until it is deleted.

#![allow(unsafe_code, reason = "entry points take the host's pointers")]
#![allow(clippy::missing_safety_doc, reason = "said once, in the module above")]

use std::ffi::{c_int, c_void};

use image_store::{EventPosition, ReplicatedImage, ReplicationEvent};
use ost_abi::{
    STS_ECORRUPT, STS_EEVSEQ, STS_ENOENT, STS_ENOTSUP, STS_EV_SEQNO_START, STS_EVT_IMG_REP,
    bstsp_evchannel_handle_s, sts_event_fn, sts_event_t, sts_image_info_t, sts_lsu_t,
};

use super::image::{definition, replicated_info};
use super::lsu::locate;
use super::{pointer, raw};
use crate::args;
use crate::boundary::guard;
use crate::fault::Fault;
use crate::handles::Kind;
use crate::object::{self, Channel, Object, with_table};
use crate::plugin::Plugin;
use crate::status::image_fault;

#[doc(hidden)]
pub unsafe fn stspi_open_evchannel(
    plugin: &Plugin,
    lsu: *const sts_lsu_t,
    handler: sts_event_fn,
    _context: *mut c_void,
    seqno: u64,
    channel: *mut *mut bstsp_evchannel_handle_s,
) -> c_int {
    guard(plugin, "stspi_open_evchannel", |call| {
        // SAFETY: the host's promise.
        let (server, name) = unsafe { locate(call, lsu)? };
        // SAFETY: as above.
        let out = unsafe { args::output_plain(channel, "channel")? };
        if handler.is_some() {
            let message = "events are asked for, not pushed: pass no handler and call stspi_get_event";
            return Err(Fault::new(STS_ENOTSUP, message));
        }
        let log = server.cluster.images(name)?.events();
        let last = server.cluster.run(log.last())?.map_err(|e| image_fault(&e))?;
        if seqno > last.number {
            let message = format!(
                "event {seqno} was never in the log of LSU {name}, which ends at {}: it was begun anew; start at \
                 {STS_EV_SEQNO_START}",
                last.number
            );
            return Err(Fault::new(STS_EEVSEQ, message));
        }
        let position = match seqno {
            STS_EV_SEQNO_START => EventPosition::START,
            seqno => EventPosition::behind(seqno),
        };
        let opened = Object::EventChannel(Box::new(Channel { server, lsu: name.to_owned(), log, position }));
        out.set(pointer(with_table(|table| table.insert(Kind::EventChannel, opened))?)?);
        Ok(())
    })
}

fn unreadable(seqno: u64, problem: &str) -> Fault {
    Fault::new(STS_ECORRUPT, format_args!("event {seqno}: {problem}; delete it to go on"))
}

#[doc(hidden)]
pub unsafe fn stspi_get_event(
    plugin: &Plugin,
    channel: *mut bstsp_evchannel_handle_s,
    event: *mut sts_event_t,
) -> c_int {
    guard(plugin, "stspi_get_event", |call| {
        object::with(call, raw(channel), |_: &mut Channel| Ok(()))?;
        // SAFETY: the host's promise.
        let out = unsafe { args::output(event)? };
        let found = object::with(call, raw(channel), |channel: &mut Channel| {
            let cluster = &channel.server.cluster;
            let next = cluster.run(channel.log.next_after(channel.position))?.map_err(|e| image_fault(&e))?;
            let next = next.ok_or_else(|| Fault::quiet(STS_ENOENT, "no further event yet"))?;
            let number = next.position.number;
            let told =
                ReplicationEvent::decode(&next.data).map_err(|problem| unreadable(number, &problem))?;
            channel.position = next.position;
            Ok(sts_event_t {
                size: u32::try_from(size_of::<sts_event_t>()).unwrap_or(0),
                ev_type: STS_EVT_IMG_REP,
                ev_seqno: number,
                ev_time: told.time,
                ev_images: told.images,
                reserved: 0,
                ev_lsu: args::text(channel.lsu.as_bytes()),
                ev_image: definition(&told.image),
            })
        })?;
        out.set(found);
        Ok(())
    })
}

impl Channel {
    /// The events of a number: one, but on servers without conditional writes.
    fn positions(&self, seqno: u64) -> Result<Vec<EventPosition>, Fault> {
        let mut positions = Vec::new();
        let Some(before) = seqno.checked_sub(1) else { return Ok(positions) };
        let mut position = EventPosition::behind(before);
        loop {
            let next =
                self.server.cluster.run(self.log.next_after(position))?.map_err(|e| image_fault(&e))?;
            match next {
                Some(event) if event.position.number == seqno => {
                    position = event.position;
                    positions.push(position);
                }
                _ => return Ok(positions),
            }
        }
    }

    /// What the event of a number is about: the first one that the host was given and has not deleted.
    fn payload(&self, seqno: u64) -> Result<Vec<ReplicatedImage>, Fault> {
        let gone = || Fault::quiet(STS_ENOENT, format_args!("there is no event {seqno}"));
        let position = match self.position {
            last if last.number == seqno => last,
            _ => *self.positions(seqno)?.first().ok_or_else(gone)?,
        };
        let payload = self.server.cluster.run(self.log.payload(position))?.map_err(|e| image_fault(&e))?;
        let payload = payload.ok_or_else(gone)?;
        ReplicatedImage::decode(&payload).map_err(|problem| unreadable(seqno, &problem))
    }

    /// Deletes what the host was given under a number.
    fn delete(&self, seqno: u64) -> Result<(), Fault> {
        let cluster = &self.server.cluster;
        let own = EventPosition { number: seqno, suffix: None };
        let mut deleted = cluster.run(self.log.delete(own))?.map_err(|e| image_fault(&e))?;
        if !deleted {
            for position in self.positions(seqno)? {
                deleted |= cluster.run(self.log.delete(position))?.map_err(|e| image_fault(&e))?;
            }
        }
        if deleted {
            Ok(())
        } else {
            Err(Fault::quiet(STS_ENOENT, format_args!("there is no event {seqno}")))
        }
    }
}

#[doc(hidden)]
pub unsafe fn stspi_get_event_payload(
    plugin: &Plugin,
    channel: *mut bstsp_evchannel_handle_s,
    seqno: u64,
    images: *mut sts_image_info_t,
    capacity: u32,
    count: *mut u32,
) -> c_int {
    guard(plugin, "stspi_get_event_payload", |call| {
        object::with(call, raw(channel), |_: &mut Channel| Ok(()))?;
        // SAFETY: the host's promise.
        let out = unsafe { args::output_plain(count, "count")? };
        let told = object::with(call, raw(channel), |channel: &mut Channel| channel.payload(seqno))?;
        let number = u32::try_from(told.len()).unwrap_or(u32::MAX);
        if number > capacity {
            let message = format!("event {seqno} is about {number} images, there is room for {capacity}");
            return Err(Fault::invalid(message));
        }
        // All are looked at before any is written.
        // SAFETY: the host's promise: there is room for `capacity` of them, each with its size.
        let slots = (0..told.len()).map(|at| unsafe { args::output(images.wrapping_add(at)) });
        let slots = slots.collect::<Result<Vec<_>, _>>()?;
        for (slot, image) in slots.into_iter().zip(&told) {
            slot.set(replicated_info(image));
        }
        out.set(number);
        Ok(())
    })
}

#[doc(hidden)]
pub unsafe fn stspi_delete_event(
    plugin: &Plugin,
    channel: *mut bstsp_evchannel_handle_s,
    seqno: u64,
) -> c_int {
    guard(plugin, "stspi_delete_event", |call| {
        object::with(call, raw(channel), |channel: &mut Channel| channel.delete(seqno))
    })
}

#[doc(hidden)]
pub unsafe fn stspi_close_evchannel(plugin: &Plugin, channel: *mut bstsp_evchannel_handle_s) -> c_int {
    guard(plugin, "stspi_close_evchannel", |call| {
        object::with(call, raw(channel), |_: &mut Channel| Ok(()))?;
        with_table(|table| table.remove(raw(channel), Kind::EventChannel)).map(drop)
    })
}
