//! `libstspiDiscard.so`: a plug-in that takes what it is given and keeps nothing: what a host needs for itself shows.
//!
//! Every image of every LSU of every server `Discard:...` exists and is endless, and reads as the pattern that follows from
//! the offset. It checks no name and no credentials. Handles are numbers; nothing is stored, so any thread may call.

#![allow(non_snake_case, reason = "NetBackup prescribes the library's name")]
#![allow(unsafe_code, reason = "exports C symbols")]
#![allow(
    clippy::missing_safety_doc,
    missing_docs,
    reason = "stspi.h documents them; null pointers are survived"
)]

use core::ffi::CStr;
use core::ptr;
use core::slice;

use nbu_trace::pattern;
#[allow(clippy::wildcard_imports, reason = "nearly all of the interface")]
use ost_abi::*;

const PREFIX: &str = "Discard";
/// What every LSU is called in its properties; lists are empty.
const LSU: &str = "nowhere";

/// A handle: any address that is not null, since no handle has anything behind it.
const fn handle<T>() -> *mut T {
    ptr::without_provenance_mut(1)
}

/// Gives a handle out.
unsafe fn give<T>(place: *mut *mut T) -> c_int {
    // SAFETY: null, or a place for a handle.
    match unsafe { place.as_mut() } {
        Some(place) => {
            *place = handle();
            STS_EOK
        }
        None => STS_EINVAL,
    }
}

/// Takes a handle back.
fn end<T>(handle: *mut T) -> c_int {
    if handle.is_null() { STS_EINVAL } else { STS_EOK }
}

fn put(array: &mut [c_char], text: &str) {
    array.fill(0);
    let room = array.len() - 1;
    for (to, from) in array[..room].iter_mut().zip(text.bytes()) {
        *to = from.cast_signed();
    }
}

/// Fills a structure that begins with its size: all zeros first.
unsafe fn answer<T>(place: *mut T, size: impl Fn(&mut T) -> &mut u32, fill: impl FnOnce(&mut T)) -> c_int {
    // SAFETY: null, or a structure of the interface.
    let Some(place) = (unsafe { place.as_mut() }) else { return STS_EINVAL };
    let own = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
    if *size(place) != own {
        return STS_EINVAL;
    }
    // SAFETY: structures of integers and character arrays, for which all zeros is a value.
    *place = unsafe { core::mem::zeroed() };
    *size(place) = own;
    fill(place);
    STS_EOK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_init(version: u32, _: *const c_char, info: *mut stspi_plugin_info_t) -> c_int {
    if version != STSPI_INTERFACE_VERSION {
        return STS_ENOTSUP;
    }
    // SAFETY: the host's promise.
    unsafe {
        answer(
            info,
            |info| &mut info.size,
            |info| {
                info.interface_version = STSPI_INTERFACE_VERSION;
                info.thread_model = STSPI_THREADS_MULTI;
                put(&mut info.name, "libstspiDiscard");
                put(&mut info.prefix, PREFIX);
                put(&mut info.label, "takes everything and keeps nothing");
                put(&mut info.build_version, env!("CARGO_PKG_VERSION"));
            },
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_claim(server_name: *const c_char) -> c_int {
    if server_name.is_null() {
        return STS_EINVAL;
    }
    // SAFETY: not null, so a C string.
    let name = unsafe { CStr::from_ptr(server_name) }.to_bytes();
    let own = name.strip_prefix(PREFIX.as_bytes()).is_some_and(|rest| rest.starts_with(b":"));
    if own { STS_EOK } else { STS_ECLAIM }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_terminate() -> c_int {
    STS_EOK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_open_server(
    _: *const sts_session_def_v7_t,
    _: *const c_char,
    _: *const sts_cred_v7_t,
    _: *const c_char,
    server: *mut *mut bstsp_server_handle_s,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe { give(server) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_close_server(server: *mut bstsp_server_handle_s) -> c_int {
    end(server)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_get_server_prop(
    _: *mut bstsp_server_handle_s,
    info: *mut sts_server_info_t,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe {
        answer(
            info,
            |info| &mut info.size,
            |info| {
                info.flags = STS_SRV_DISK;
                put(&mut info.name, PREFIX);
                put(&mut info.description, "keeps nothing");
            },
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_get_server_prop_byname(
    _: *const sts_session_def_v7_t,
    _: *const c_char,
    info: *mut sts_server_info_t,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe { stspi_get_server_prop(handle(), info) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_open_lsu_list(
    _: *mut bstsp_server_handle_s,
    _: *const sts_lsu_def_t,
    list: *mut *mut bstsp_lsu_list_handle_s,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe { give(list) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_list_lsu(_: *mut bstsp_lsu_list_handle_s, _: *mut sts_lsu_name_t) -> c_int {
    STS_ENOENT
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_close_lsu_list(list: *mut bstsp_lsu_list_handle_s) -> c_int {
    end(list)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_get_lsu_prop_byname(
    lsu: *const sts_lsu_t,
    info: *mut sts_lsu_info_t,
) -> c_int {
    if lsu.is_null() {
        return STS_EINVAL;
    }
    // SAFETY: the host's promise.
    unsafe {
        answer(
            info,
            |info| &mut info.size,
            |info| {
                info.block_size = STS_BLOCK_SIZE;
                info.max_transfer = STS_MAX_IO;
                info.lsu_capacity = STS_UNKNOWN;
                info.lsu_used = STS_UNKNOWN;
                put(&mut info.name, LSU);
            },
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_create_image(
    _: *const sts_lsu_t,
    _: *const sts_image_def_t,
    _: c_int,
    image: *mut *mut bstsp_image_handle_s,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe { give(image) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_open_image(
    _: *const sts_lsu_t,
    _: *const sts_image_def_t,
    _: u32,
    image: *mut *mut bstsp_image_handle_s,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe { give(image) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_write_image(
    _: *mut bstsp_image_handle_s,
    _: *const sts_stat_t,
    buffer: *const c_void,
    length: u64,
    _: u64,
    written: *mut u64,
) -> c_int {
    if buffer.is_null() || !length.is_multiple_of(STS_BLOCK_SIZE) || length > STS_MAX_IO {
        return STS_EINVAL;
    }
    // SAFETY: null, or a place for a number.
    match unsafe { written.as_mut() } {
        Some(written) => {
            *written = length;
            STS_EOK
        }
        None => STS_EINVAL,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_read_image(
    _: *mut bstsp_image_handle_s,
    buffer: *mut c_void,
    length: u64,
    offset: u64,
    read: *mut u64,
) -> c_int {
    // SAFETY: null, or a place for a number.
    let (Some(read), Ok(room)) = (unsafe { read.as_mut() }, usize::try_from(length)) else {
        return STS_EINVAL;
    };
    if buffer.is_null() || length > STS_MAX_IO {
        return STS_EINVAL;
    }
    // SAFETY: not null, so a buffer of that length.
    pattern::fill(unsafe { slice::from_raw_parts_mut(buffer.cast(), room) }, offset);
    *read = length;
    STS_EOK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_flush_image(image: *mut bstsp_image_handle_s) -> c_int {
    end(image)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_close_image(image: *mut bstsp_image_handle_s, _: u32) -> c_int {
    end(image)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_get_image_prop(
    _: *mut bstsp_image_handle_s,
    info: *mut sts_image_info_t,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe {
        answer(
            info,
            |info| &mut info.size,
            |info| {
                info.status = STS_II_IMAGE_CREATED;
                info.imo_size = STS_UNKNOWN;
                info.block_size = STS_BLOCK_SIZE;
            },
        )
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_get_image_prop_byname(
    _: *const sts_lsu_t,
    _: *const sts_image_def_t,
    info: *mut sts_image_info_t,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe { stspi_get_image_prop(handle(), info) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_delete_image(
    _: *const sts_lsu_t,
    _: *const sts_image_def_t,
    _: c_int,
) -> c_int {
    STS_EOK
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_open_image_list(
    _: *const sts_lsu_t,
    list: *mut *mut bstsp_image_list_handle_s,
) -> c_int {
    // SAFETY: the host's promise.
    unsafe { give(list) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_list_image(
    _: *mut bstsp_image_list_handle_s,
    _: *mut sts_image_def_t,
) -> c_int {
    STS_ENOENT
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stspi_close_image_list(list: *mut bstsp_image_list_handle_s) -> c_int {
    end(list)
}
