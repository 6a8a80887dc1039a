//! The events of an LSU that other LSUs are replicated to: read, and left where they are.

use super::{EventFacts, LIMIT, Zeroable, put, size, text, zeroed};
use ost_abi::{
    Api, STS_ENOENT, STS_EOK, STS_EV_SEQNO_START, bstsp_evchannel_handle_s, bstsp_server_handle_s,
    sts_event_t, sts_image_info_t, sts_lsu_t,
};

impl Zeroable for sts_event_t {}
impl Zeroable for sts_image_info_t {}

/// All events of an LSU, up to [`LIMIT`] of them; `None` when the channel cannot be read.
pub(super) fn events_of(api: &Api, server: *mut bstsp_server_handle_s, lsu: &str) -> Option<Vec<EventFacts>> {
    let mut at = zeroed::<sts_lsu_t>();
    at.sl_server = server;
    put(&mut at.sl_name, lsu);
    let mut channel: *mut bstsp_evchannel_handle_s = std::ptr::null_mut();
    // SAFETY: `at` holds an open server and a terminated name; no handler, so no context.
    let code = unsafe {
        let (at, channel) = (&raw const at, &raw mut channel);
        (api.stspi_open_evchannel)(at, None, std::ptr::null_mut(), STS_EV_SEQNO_START, channel)
    };
    if code != STS_EOK || channel.is_null() {
        return None;
    }
    let mut events = Vec::new();
    let code = loop {
        let mut event = zeroed::<sts_event_t>();
        event.size = size::<sts_event_t>();
        // SAFETY: the channel is open; `event` has the size it says.
        let code = unsafe { (api.stspi_get_event)(channel, &raw mut event) };
        if code != STS_EOK {
            break code;
        }
        match event_facts(api, channel, &event) {
            Ok(facts) => events.push(facts),
            Err(code) => break code,
        }
        if events.len() >= LIMIT {
            break STS_ENOENT;
        }
    };
    // SAFETY: the channel is open and not used again.
    unsafe { (api.stspi_close_evchannel)(channel) };
    (code == STS_ENOENT).then_some(events)
}

/// What an event's payload says, or the code that it could not be had for.
fn event_facts(
    api: &Api,
    channel: *mut bstsp_evchannel_handle_s,
    event: &sts_event_t,
) -> Result<EventFacts, i32> {
    let mut blank = zeroed::<sts_image_info_t>();
    blank.size = size::<sts_image_info_t>();
    let mut images = vec![blank; event.ev_images as usize];
    let mut count = 0;
    // SAFETY: the channel is open; `images` has room for as many structures as the call is told.
    let code = unsafe {
        let images = images.as_mut_ptr();
        (api.stspi_get_event_payload)(channel, event.ev_seqno, images, event.ev_images, &raw mut count)
    };
    if code != STS_EOK {
        return Err(code);
    }
    images.truncate(count as usize);
    let slp = images.first().map(|image| text(&image.backup.isi_slpname)).unwrap_or_default();
    Ok(EventFacts { number: event.ev_seqno, slp })
}
