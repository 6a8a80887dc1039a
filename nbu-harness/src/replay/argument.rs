//! Arguments of recorded calls as they are passed again: for each type its place in memory.

#![allow(unsafe_code, reason = "makes structures of the plug-in's C interface")]

use super::call::{Context, Shared};
use nbu_trace::{Value, pattern};
#[allow(clippy::wildcard_imports, reason = "the structures of the interface, nearly all of them")]
use ost_abi::*;
use std::ffi::CString;

/// Room for a read or write is never larger; a call that says more is refused.
const MAX_LENGTH: u64 = 1 << 30;
/// Structures in an array, at most; a call that says more is refused.
const MAX_CAPACITY: u64 = 65_536;

/// One argument's type.
pub(super) trait Argument: Sized {
    /// Where its value, or what it points at, lies during the call.
    type Place;

    /// Why there is no place of the size that the call says. The plug-in would write or read beyond a smaller one.
    fn too_much(_: &Shared) -> Option<String> {
        None
    }

    /// Makes the place from what was recorded.
    fn place(value: &Value, shared: &Shared, context: &Context) -> Self::Place;

    /// The argument itself.
    fn pass(place: &mut Self::Place) -> Self;

    /// After a call that succeeded, with what came out in the recording.
    fn took(_: &Self::Place, _: &Value, _: &Shared, _: &Context) {}

    /// The bytes of a buffer.
    fn bytes(_: &Self::Place) -> Option<&[u8]> {
        None
    }
}

/// A number of either sign.
pub(super) fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => Some((*number).into()),
        Value::Signed(number) => Some((*number).into()),
        _ => None,
    }
}

macro_rules! number {
    ($($ty:ty),+) => {$(
        impl Argument for $ty {
            type Place = Self;

            fn place(value: &Value, _: &Shared, _: &Context) -> Self {
                integer(value).map_or(0, |number| Self::try_from(number).unwrap_or(Self::MAX))
            }

            fn pass(place: &mut Self) -> Self {
                *place
            }
        }
    )+};
}

number!(u32, u64, c_int);

impl Argument for sts_event_fn {
    type Place = ();

    fn place(_: &Value, _: &Shared, _: &Context) {}

    fn pass((): &mut ()) -> Self {
        None
    }
}

impl Argument for *const c_char {
    type Place = Option<CString>;

    fn place(value: &Value, _: &Shared, _: &Context) -> Self::Place {
        match value {
            Value::Text(bytes) => CString::new(bytes.clone()).ok(),
            _ => None,
        }
    }

    fn pass(place: &mut Self::Place) -> Self {
        place.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
    }
}

fn buffer(shared: &Shared) -> Option<Vec<u8>> {
    Some(vec![0; usize::try_from(shared.length?).ok()?])
}

fn more_than(limit: u64, said: u64, what: &str) -> Option<String> {
    (said > limit).then(|| format!("{said} {what}, more than the {limit} that a replay has room for"))
}

fn long_buffer(shared: &Shared) -> Option<String> {
    more_than(MAX_LENGTH, shared.length.unwrap_or(0), "bytes")
}

impl Argument for *const c_void {
    type Place = Option<Vec<u8>>;

    fn too_much(shared: &Shared) -> Option<String> {
        long_buffer(shared)
    }

    fn place(_: &Value, shared: &Shared, _: &Context) -> Self::Place {
        let mut data = buffer(shared)?;
        pattern::fill(&mut data, shared.offset);
        Some(data)
    }

    fn pass(place: &mut Self::Place) -> Self {
        place.as_ref().map_or(std::ptr::null(), |data| data.as_ptr().cast())
    }
}

impl Argument for *mut c_void {
    type Place = Option<Vec<u8>>;

    fn too_much(shared: &Shared) -> Option<String> {
        long_buffer(shared)
    }

    fn place(_: &Value, shared: &Shared, _: &Context) -> Self::Place {
        buffer(shared)
    }

    fn pass(place: &mut Self::Place) -> Self {
        place.as_mut().map_or(std::ptr::null_mut(), |data| data.as_mut_ptr().cast())
    }

    fn bytes(place: &Self::Place) -> Option<&[u8]> {
        place.as_deref()
    }
}

impl Argument for *mut u64 {
    type Place = u64;

    fn place(_: &Value, _: &Shared, _: &Context) -> u64 {
        0
    }

    fn pass(place: &mut u64) -> Self {
        place
    }

    fn took(place: &u64, _: &Value, shared: &Shared, _: &Context) {
        shared.moved.set(*place);
    }
}

impl Argument for *mut u32 {
    type Place = u32;

    fn place(_: &Value, _: &Shared, _: &Context) -> u32 {
        0
    }

    fn pass(place: &mut u32) -> Self {
        place
    }
}

macro_rules! handle {
    ($($ty:ty),+) => {$(
        impl Argument for *mut $ty {
            type Place = Self;

            fn place(value: &Value, _: &Shared, context: &Context) -> Self {
                context.handle(value)
            }

            fn pass(place: &mut Self) -> Self {
                *place
            }
        }

        impl Argument for *mut *mut $ty {
            type Place = *mut $ty;

            fn place(_: &Value, _: &Shared, _: &Context) -> *mut $ty {
                std::ptr::null_mut()
            }

            fn pass(place: &mut *mut $ty) -> Self {
                place
            }

            fn took(place: &*mut $ty, result: &Value, _: &Shared, context: &Context) {
                context.gave(result, *place);
            }
        }
    )+};
}

handle!(
    bstsp_server_handle_s,
    bstsp_lsu_list_handle_s,
    bstsp_image_handle_s,
    bstsp_image_list_handle_s,
    bstsp_copy_handle_s,
    bstsp_evchannel_handle_s
);

/// Structures of integers, pointers and character arrays, for which all zeros is a value, and which begin with their size.
trait Sized32: Copy {}

fn sized<T: Sized32>() -> T {
    // SAFETY: see the trait.
    let mut made: T = unsafe { std::mem::zeroed() };
    let size = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
    // SAFETY: see the trait: the first member is the size, of 32 bits.
    unsafe { (&raw mut made).cast::<u32>().write(size) };
    made
}

/// Puts a text into a character array with its NUL, cut where it does not fit.
fn put(array: &mut [c_char], text: &Value) {
    if let Value::Text(bytes) = text {
        let room = array.len().saturating_sub(1);
        for (to, from) in array.iter_mut().zip(bytes.iter().take(room)) {
            *to = from.cast_signed();
        }
    }
}

/// A structure that goes in; nothing was recorded of a null pointer.
macro_rules! goes_in {
    ($($ty:ty, |$made:ident, $value:ident, $context:ident| $fill:block)+) => {$(
        impl Sized32 for $ty {}

        impl Argument for *const $ty {
            type Place = Option<Box<$ty>>;

            fn place($value: &Value, _: &Shared, $context: &Context) -> Self::Place {
                if *$value == Value::Nothing {
                    return None;
                }
                let mut $made = Box::new(sized::<$ty>());
                $fill
                Some($made)
            }

            fn pass(place: &mut Self::Place) -> Self {
                place.as_deref().map_or(std::ptr::null(), |made| made)
            }
        }
    )+};
}

fn number_of(value: &Value) -> u64 {
    value.as_number().unwrap_or(0)
}

fn number_of_32(value: &Value) -> u32 {
    u32::try_from(number_of(value)).unwrap_or(0)
}

goes_in! {
    sts_session_def_v7_t, |made, value, _context| {
        put(&mut made.application, value.field(0));
        put(&mut made.job_id, value.field(1));
    }
    sts_cred_v7_t, |made, value, context| {
        let user = context.user.as_ref().map_or_else(|| value.field(0).clone(), Value::text);
        put(&mut made.user, &user);
        put(&mut made.password, &Value::text(&context.password));
    }
    sts_lsu_def_t, |made, value, _context| {
        made.sld_flags = number_of(value.field(0));
    }
    sts_image_def_t, |made, value, _context| {
        made.img_date = number_of(value.field(0));
        put(&mut made.img_basename, value.field(1));
        put(&mut made.img_policy, value.field(2));
    }
    sts_stat_t, |made, value, _context| {
        made.content = number_of_32(value.field(0));
    }
    sts_backup_info_t, |made, value, _context| {
        made.bi_copy = number_of_32(value.field(0));
        made.isi_id = number_of(value.field(1));
        put(&mut made.bi_master_server, value.field(2));
        put(&mut made.isi_slpname, value.field(3));
    }
}

impl Argument for *const sts_lsu_t {
    type Place = Option<Box<sts_lsu_t>>;

    fn place(value: &Value, _: &Shared, context: &Context) -> Self::Place {
        if *value == Value::Nothing {
            return None;
        }
        let mut made =
            Box::new(sts_lsu_t { sl_server: context.handle(value.field(0)), sl_name: [0; STS_MAX_LSUNAME] });
        put(&mut made.sl_name, value.field(1));
        Some(made)
    }

    fn pass(place: &mut Self::Place) -> Self {
        place.as_deref().map_or(std::ptr::null(), |made| made)
    }
}

/// Structures that come out; an array has room for the recorded capacity.
macro_rules! comes_out {
    ($($ty:ty),+) => {$(
        impl Argument for *mut $ty {
            type Place = Vec<$ty>;

            fn too_much(shared: &Shared) -> Option<String> {
                more_than(MAX_CAPACITY, shared.capacity, "structures")
            }

            fn place(_: &Value, shared: &Shared, _: &Context) -> Self::Place {
                vec![sized::<$ty>(); usize::try_from(shared.capacity.max(1)).unwrap_or(1)]
            }

            fn pass(place: &mut Self::Place) -> Self {
                place.as_mut_ptr()
            }
        }
    )+};
}

impl Sized32 for stspi_plugin_info_t {}
impl Sized32 for sts_server_info_t {}
impl Sized32 for sts_lsu_name_t {}
impl Sized32 for sts_lsu_info_t {}
impl Sized32 for sts_lsu_replication_t {}
impl Sized32 for sts_image_info_t {}
impl Sized32 for sts_event_t {}
impl Sized32 for sts_image_lock_t {}

comes_out!(
    stspi_plugin_info_t,
    sts_server_info_t,
    sts_lsu_name_t,
    sts_lsu_info_t,
    sts_lsu_replication_t,
    sts_image_def_t,
    sts_image_info_t,
    sts_event_t,
    sts_image_lock_t
);
