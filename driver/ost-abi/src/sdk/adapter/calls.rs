//! The header's functions, each in terms of entry points of the engine.
//!
//! One for each prototype of the header, with the engine's entry points as an extra first argument. A call that we have
//! nothing for is not offered. An argument that we have nothing for is ignored here, where it can be seen.

#![allow(missing_docs, reason = "documented by whoever the header is from")]
#![allow(clippy::missing_safety_doc, reason = "for all: pointers are null or point at what the header says")]
#![allow(clippy::too_many_arguments, reason = "the header has that many")]

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use super::super::header as h;
use super::super::pointers::{Outward, Plain, Wanted, given, wanted};
use super::types::{code, event_flags, lsu_flags};
#[allow(clippy::wildcard_imports, reason = "nearly all of our structures are named here")]
use crate::*;

/// Hands an output on if the engine succeeded, and gives the header's code.
fn settle<H: Outward>(ours: c_int, output: Wanted<H>) -> c_int {
    if ours == STS_EOK {
        output.hand_on();
    }
    code(ours)
}

pub unsafe fn stspi_init_v11(api: &Api, level: u16, plugin: *mut h::ostf_plugin) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        // Major version in the high byte: 11.1 is 0x0b01.
        let mut info = wanted(plugin);
        settle((api.stspi_init)(u32::from(level >> 8), ptr::null(), info.pointer()), info)
    }
}

pub unsafe fn stspi_claim_v7(api: &Api, server: *const c_char, _reserved: u32) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe { code((api.stspi_claim)(server)) }
}

pub unsafe fn stspi_terminate_v7(api: &Api) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe { code((api.stspi_terminate)()) }
}

pub unsafe fn stspi_open_server(
    api: &Api,
    session: *const h::ostf_session_v7,
    server: *const c_char,
    login: *const h::ostf_login_v7,
    interface: *const c_char,
    handle: *mut *mut h::ostf_server,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (session, login) = (given(session), given(login));
        code((api.stspi_open_server)(session.pointer(), server, login.pointer(), interface, handle.cast()))
    }
}

pub unsafe fn stspi_open_target_server_v9(
    api: &Api,
    through: *mut h::ostf_server,
    server: *const c_char,
    login: *const h::ostf_login_v7,
    handle: *mut *mut h::ostf_server,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let login = given(login);
        let interface = ptr::null();
        code((api.stspi_open_target_server)(
            through.cast(),
            server,
            login.pointer(),
            interface,
            handle.cast(),
        ))
    }
}

pub unsafe fn stspi_close_server_v9(api: &Api, server: *mut h::ostf_server) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe { code((api.stspi_close_server)(server.cast())) }
}

pub unsafe fn stspi_get_server_prop_v9(
    api: &Api,
    server: *mut h::ostf_server,
    props: *mut h::ostf_server_props,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut info = wanted(props);
        settle((api.stspi_get_server_prop)(server.cast(), info.pointer()), info)
    }
}

pub unsafe fn stspi_get_server_prop_byname_v9(
    api: &Api,
    session: *const h::ostf_session_v7,
    server: *const c_char,
    props: *mut h::ostf_server_props,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (session, mut info) = (given(session), wanted(props));
        settle((api.stspi_get_server_prop_byname)(session.pointer(), server, info.pointer()), info)
    }
}

pub unsafe fn stspi_open_lsu_list_v11(
    api: &Api,
    server: *mut h::ostf_server,
    traits: u32,
    list: *mut *mut h::ostf_lsus,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let filter = sts_lsu_def_t { sld_flags: lsu_flags(traits), ..Plain::blank() };
        code((api.stspi_open_lsu_list)(server.cast(), &raw const filter, list.cast()))
    }
}

pub unsafe fn stspi_list_lsu_v9(api: &Api, list: *mut h::ostf_lsus, id: *mut c_char) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut name = wanted(id.cast::<[c_char; h::OSTF_LSU_LEN as usize]>());
        settle((api.stspi_list_lsu)(list.cast(), name.pointer()), name)
    }
}

pub unsafe fn stspi_close_lsu_list_v9(api: &Api, list: *mut h::ostf_lsus) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe { code((api.stspi_close_lsu_list)(list.cast())) }
}

pub unsafe fn stspi_get_lsu_prop_byname_v11(
    api: &Api,
    lsu: *const h::ostf_lsu,
    props: *mut h::ostf_lsu_props_v11,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (lsu, mut info) = (given(lsu), wanted(props));
        settle((api.stspi_get_lsu_prop_byname)(lsu.pointer(), info.pointer()), info)
    }
}

pub unsafe fn stspi_create_image_v10(
    api: &Api,
    lsu: *const h::ostf_lsu,
    key: *const h::ostf_key_v10,
    more_follow: c_int,
    _priority: c_int,
    image: *mut *mut h::ostf_image,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (lsu, key) = (given(lsu), given(key));
        code((api.stspi_create_image)(lsu.pointer(), key.pointer(), more_follow, image.cast()))
    }
}

pub unsafe fn stspi_open_image_v9(
    api: &Api,
    lsu: *const h::ostf_lsu,
    key: *const h::ostf_key_v10,
    mode: c_char,
    image: *mut *mut h::ostf_image,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (lsu, key) = (given(lsu), given(key));
        let mode = match mode.cast_unsigned() {
            b'r' => STS_O_READ,
            b'w' => STS_O_WRITE,
            _ => 0,
        };
        code((api.stspi_open_image)(lsu.pointer(), key.pointer(), mode, image.cast()))
    }
}

pub unsafe fn stspi_write_image_v9(
    api: &Api,
    image: *mut h::ostf_image,
    offset: u64,
    length: u32,
    data: *const c_void,
    written: *mut u32,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut count = wanted(written);
        let (stat, length) = (ptr::null(), u64::from(length));
        settle((api.stspi_write_image)(image.cast(), stat, data, length, offset, count.pointer()), count)
    }
}

pub unsafe fn stspi_read_image_v9(
    api: &Api,
    image: *mut h::ostf_image,
    offset: u64,
    length: u32,
    data: *mut c_void,
    read: *mut u32,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut count = wanted(read);
        let length = u64::from(length);
        settle((api.stspi_read_image)(image.cast(), data, length, offset, count.pointer()), count)
    }
}

pub unsafe fn stspi_flush_v9(api: &Api, image: *mut h::ostf_image) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe { code((api.stspi_flush_image)(image.cast())) }
}

pub unsafe fn stspi_close_image_v10(
    api: &Api,
    image: *mut h::ostf_image,
    complete: c_int,
    _forced: c_int,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let flags = if complete == 0 { 0 } else { STS_CLOSEF_IH_COMPLETE };
        code((api.stspi_close_image)(image.cast(), flags))
    }
}

pub unsafe fn stspi_get_image_prop_v10(
    api: &Api,
    image: *mut h::ostf_image,
    props: *mut h::ostf_image_props_v10,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut info = wanted(props);
        settle((api.stspi_get_image_prop)(image.cast(), info.pointer()), info)
    }
}

pub unsafe fn stspi_get_image_prop_byname_v10(
    api: &Api,
    lsu: *const h::ostf_lsu,
    key: *const h::ostf_key_v10,
    props: *mut h::ostf_image_props_v10,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (lsu, key, mut info) = (given(lsu), given(key), wanted(props));
        settle((api.stspi_get_image_prop_byname)(lsu.pointer(), key.pointer(), info.pointer()), info)
    }
}

pub unsafe fn stspi_delete_image_v10(
    api: &Api,
    lsu: *const h::ostf_lsu,
    key: *const h::ostf_key_v10,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (lsu, key) = (given(lsu), given(key));
        code((api.stspi_delete_image)(lsu.pointer(), key.pointer(), 0))
    }
}

pub unsafe fn stspi_open_image_list_v10(
    api: &Api,
    lsu: *const h::ostf_lsu,
    _kind: c_int,
    list: *mut *mut h::ostf_images,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let lsu = given(lsu);
        code((api.stspi_open_image_list)(lsu.pointer(), list.cast()))
    }
}

pub unsafe fn stspi_list_image_v10(api: &Api, list: *mut h::ostf_images, key: *mut h::ostf_key_v10) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut image = wanted(key);
        settle((api.stspi_list_image)(list.cast(), image.pointer()), image)
    }
}

pub unsafe fn stspi_close_image_list_v9(api: &Api, list: *mut h::ostf_images) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe { code((api.stspi_close_image_list)(list.cast())) }
}

pub unsafe fn stspi_write_image_meta_v9(
    api: &Api,
    image: *mut h::ostf_image,
    data: *const c_void,
    length: u32,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut written = 0;
        code((api.stspi_write_image_meta)(image.cast(), data, u64::from(length), 0, &raw mut written))
    }
}

pub unsafe fn stspi_read_image_meta_v9(
    api: &Api,
    image: *mut h::ostf_image,
    data: *mut c_void,
    length: u32,
    read: *mut u32,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut count = wanted(read);
        settle((api.stspi_read_image_meta)(image.cast(), data, u64::from(length), 0, count.pointer()), count)
    }
}

pub unsafe fn stspi_include_in_image_v10(
    api: &Api,
    image: *mut h::ostf_image,
    at: u64,
    lsu: *const h::ostf_lsu,
    key: *const h::ostf_key_v10,
    from: u64,
    length: u64,
    _options: u32,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (lsu, key) = (given(lsu), given(key));
        let (handle, mut included) = (image.cast(), 0);
        let (lsu, key, included) = (lsu.pointer(), key.pointer(), &raw mut included);
        code((api.stspi_include_in_image)(handle, lsu, key, from, length, at, included))
    }
}

pub unsafe fn stspi_copy_image_v9(
    api: &Api,
    to: *const h::ostf_lsu,
    to_key: *const h::ostf_key_v10,
    from: *const h::ostf_lsu,
    from_key: *const h::ostf_key_v10,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (to, to_key, from, from_key) = (given(to), given(to_key), given(from), given(from_key));
        code((api.stspi_copy_image)(from.pointer(), from_key.pointer(), to.pointer(), to_key.pointer()))
    }
}

pub unsafe fn stspi_copy_extent_v9(
    api: &Api,
    to: *mut h::ostf_image,
    at: u64,
    from: *mut h::ostf_image,
    offset: u64,
    length: u64,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut copied = 0;
        code((api.stspi_copy_extent)(from.cast(), offset, length, to.cast(), at, &raw mut copied))
    }
}

pub unsafe fn stspi_async_copy_image_v11(
    api: &Api,
    to: *const h::ostf_lsu,
    to_key: *const h::ostf_key_v10,
    from: *const h::ostf_lsu,
    from_key: *const h::ostf_key_v10,
    origin: *const h::ostf_origin_v11,
    tell: u32,
    operation: *mut u64,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (to, to_key, from, from_key) = (given(to), given(to_key), given(from), given(from_key));
        let (backup, mut number) = (given(origin), wanted(operation));
        let ours = (api.stspi_async_copy_image)(
            from.pointer(),
            from_key.pointer(),
            to.pointer(),
            to_key.pointer(),
            backup.pointer(),
            event_flags(tell),
            number.pointer(),
        );
        settle(ours, number)
    }
}

pub unsafe fn stspi_async_wait_v11(api: &Api, server: *mut h::ostf_server, operation: *const u64) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        match given(operation).value() {
            Some(number) => code((api.stspi_async_wait)(server.cast(), number)),
            None => code(STS_EINVAL),
        }
    }
}

pub unsafe fn stspi_async_cancel_v11(api: &Api, server: *mut h::ostf_server, operation: *const u64) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        match given(operation).value() {
            Some(number) => code((api.stspi_async_cancel)(server.cast(), number)),
            None => code(STS_EINVAL),
        }
    }
}

pub unsafe fn stspi_open_evchannel_v11(
    api: &Api,
    lsu: *const h::ostf_lsu,
    after: u64,
    channel: *mut *mut h::ostf_channel,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let lsu = given(lsu);
        code((api.stspi_open_evchannel)(lsu.pointer(), None, ptr::null_mut(), after, channel.cast()))
    }
}

pub unsafe fn stspi_get_event_v11(
    api: &Api,
    channel: *mut h::ostf_channel,
    event: *mut h::ostf_event_v11,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let mut next = wanted(event);
        settle((api.stspi_get_event)(channel.cast(), next.pointer()), next)
    }
}

pub unsafe fn stspi_get_event_payload_v11(
    api: &Api,
    channel: *mut h::ostf_channel,
    event: *const h::ostf_event_v11,
    parts: *mut h::ostf_image_props_v10,
    room: u16,
) -> c_int {
    // SAFETY: the host's promise, passed on; `parts` has room for `room` structures.
    unsafe {
        let Some(number) = given(event).value() else { return code(STS_EINVAL) };
        if parts.is_null() || !parts.is_aligned() {
            return code(STS_EINVAL);
        }
        let mut images = vec![sts_image_info_t::blank(); usize::from(room)];
        let mut count = 0;
        let filled = images.as_mut_ptr();
        let ours =
            (api.stspi_get_event_payload)(channel.cast(), number, filled, u32::from(room), &raw mut count);
        if ours == STS_EOK {
            for (at, image) in images.iter().take(count as usize).enumerate() {
                parts.add(at).write(Outward::theirs(image));
            }
        }
        code(ours)
    }
}

pub unsafe fn stspi_delete_event_v11(
    api: &Api,
    channel: *mut h::ostf_channel,
    event: *const h::ostf_event_v11,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        match given(event).value() {
            Some(number) => code((api.stspi_delete_event)(channel.cast(), number)),
            None => code(STS_EINVAL),
        }
    }
}

pub unsafe fn stspi_close_evchannel_v9(api: &Api, channel: *mut h::ostf_channel) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe { code((api.stspi_close_evchannel)(channel.cast())) }
}

pub unsafe fn stspi_lock_image_v11(
    api: &Api,
    lsu: *const h::ostf_lsu,
    key: *const h::ostf_key_v10,
    until: u64,
    longer: c_int,
) -> c_int {
    // SAFETY: the host's promise, passed on.
    unsafe {
        let (lsu, key) = (given(lsu), given(key));
        let lock = if longer == 0 { api.stspi_set_image_lock } else { api.stspi_extend_image_lock };
        code(lock(lsu.pointer(), key.pointer(), until))
    }
}

pub unsafe fn stspi_get_config_v11(
    _api: &Api,
    _server: *mut h::ostf_server,
    _name: *const c_char,
    _value: *mut c_char,
    _room: u32,
) -> c_int {
    code(STS_ENOTSUP)
}
