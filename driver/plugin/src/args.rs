//! Arguments from the host: every pointer is looked at here and nowhere else.
//!
//! Null, misaligned and wrongly sized structures, strings without an end and absurd lengths become `STS_EINVAL`. What
//! cannot be checked in C, that a non-null pointer points at memory of the type in the prototype, is the host's duty.

#![allow(unsafe_code, reason = "turns the host's pointers into references")]

use std::ffi::{c_char, c_void};
use std::mem::size_of;

use ost_abi::{
    STS_MAX_IO, sts_backup_info_t, sts_cred_v7_t, sts_event_t, sts_image_def_t, sts_image_info_t,
    sts_image_lock_t, sts_lsu_def_t, sts_lsu_info_t, sts_lsu_name_t, sts_lsu_replication_t,
    sts_server_info_t, sts_session_def_v7_t, sts_stat_t, stspi_plugin_info_t,
};

use crate::fault::Fault;

/// A structure that carries its own size in its first field.
pub(crate) trait Sized32 {
    /// Name in the header.
    const NAME: &'static str;
    /// The size that the caller says it was compiled with.
    fn declared_size(&self) -> u32;
}

macro_rules! sized32 {
    ($($ty:ident),+) => { $(impl Sized32 for $ty {
        const NAME: &'static str = stringify!($ty);
        fn declared_size(&self) -> u32 { self.size }
    })+ };
}

sized32!(
    stspi_plugin_info_t,
    sts_session_def_v7_t,
    sts_cred_v7_t,
    sts_server_info_t,
    sts_lsu_def_t,
    sts_lsu_name_t,
    sts_lsu_info_t,
    sts_lsu_replication_t,
    sts_image_def_t,
    sts_image_info_t,
    sts_image_lock_t,
    sts_backup_info_t,
    sts_event_t,
    sts_stat_t
);

fn check_pointer<T>(pointer: *const T, what: &str) -> Result<(), Fault> {
    if pointer.is_null() {
        return Err(Fault::invalid(format_args!("{what} is null")));
    }
    if !pointer.is_aligned() {
        return Err(Fault::invalid(format_args!("{what} is misaligned")));
    }
    Ok(())
}

fn check_size<T: Sized32>(value: &T) -> Result<(), Fault> {
    if value.declared_size() as usize == size_of::<T>() {
        return Ok(());
    }
    Err(Fault::invalid(format_args!(
        "{}.size is {}, this plug-in knows {}: host and plug-in were built from different headers",
        T::NAME,
        value.declared_size(),
        size_of::<T>()
    )))
}

/// An input structure without a size field.
///
/// # Safety
/// If not null and aligned, `pointer` points at a `T` that nothing writes while the reference lives.
pub(crate) unsafe fn plain<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Fault> {
    check_pointer(pointer, what)?;
    // SAFETY: not null, aligned; the rest is the caller's promise.
    Ok(unsafe { &*pointer })
}

/// An input structure.
///
/// # Safety
/// As [`plain`].
pub(crate) unsafe fn input<'a, T: Sized32>(pointer: *const T) -> Result<&'a T, Fault> {
    // SAFETY: the caller's promise.
    let value = unsafe { plain(pointer, T::NAME)? };
    check_size(value)?;
    Ok(value)
}

/// An input structure that may be null.
///
/// # Safety
/// As [`plain`].
pub(crate) unsafe fn optional<'a, T: Sized32>(pointer: *const T) -> Result<Option<&'a T>, Fault> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { input(pointer) }.map(Some)
}

/// An output structure: checked now, written by [`Output::set`] only on success.
#[derive(Debug)]
pub(crate) struct Output<T>(*mut T);

impl<T> Output<T> {
    /// Writes the result.
    pub(crate) fn set(self, value: T) {
        // SAFETY: checked by the function that made this; the host's promise holds until its call returns.
        unsafe { self.0.write(value) }
    }
}

/// An output structure with a size field.
///
/// # Safety
/// If not null and aligned, `pointer` points at memory for a `T` whose `size` field is initialised.
pub(crate) unsafe fn output<T: Sized32>(pointer: *mut T) -> Result<Output<T>, Fault> {
    check_pointer(pointer, T::NAME)?;
    // SAFETY: only the size field is read, and the caller promises that it is initialised; the others are plain data.
    check_size(unsafe { &*pointer })?;
    Ok(Output(pointer))
}

/// An output value without a size field (a count, a handle).
///
/// # Safety
/// If not null and aligned, `pointer` points at memory for a `T`.
pub(crate) unsafe fn output_plain<T>(pointer: *mut T, what: &str) -> Result<Output<T>, Fault> {
    check_pointer(pointer, what)?;
    Ok(Output(pointer))
}

/// A NUL-terminated string of at most `max - 1` bytes.
///
/// # Safety
/// `pointer` is null or points at bytes up to and including a NUL, or at least `max` bytes.
pub(crate) unsafe fn string<'a>(pointer: *const c_char, max: usize, what: &str) -> Result<&'a [u8], Fault> {
    check_pointer(pointer, what)?;
    // SAFETY: strnlen stops at the NUL or at `max`.
    let length = unsafe { libc::strnlen(pointer, max) };
    if length == max {
        return Err(Fault::invalid(format_args!("{what} is longer than {} bytes", max - 1)));
    }
    // SAFETY: these bytes were just read.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

/// As [`string`], null meaning empty.
///
/// # Safety
/// As [`string`].
pub(crate) unsafe fn optional_string<'a>(
    pointer: *const c_char,
    max: usize,
    what: &str,
) -> Result<&'a [u8], Fault> {
    if pointer.is_null() {
        return Ok(&[]);
    }
    // SAFETY: the caller's promise.
    unsafe { string(pointer, max, what) }
}

/// The bytes of a character array up to its NUL.
pub(crate) fn field<'a>(array: &'a [c_char], what: &str) -> Result<&'a [u8], Fault> {
    // SAFETY: c_char and u8 have one size, and every bit pattern is valid.
    let bytes = unsafe { std::slice::from_raw_parts(array.as_ptr().cast::<u8>(), array.len()) };
    match bytes.iter().position(|b| *b == 0) {
        Some(end) => Ok(&bytes[..end]),
        None => {
            Err(Fault::invalid(format_args!("{what} is not ended by a NUL within {} bytes", array.len())))
        }
    }
}

/// Text for a character array: cut at the array's end, at a NUL, always terminated.
pub(crate) fn text<const N: usize>(source: &[u8]) -> [c_char; N] {
    let mut array = [0; N];
    let room = N.saturating_sub(1);
    for (to, from) in array.iter_mut().take(room).zip(source.iter().take_while(|b| **b != 0)) {
        *to = from.cast_signed();
    }
    array
}

fn check_length(length: u64) -> Result<usize, Fault> {
    if length > STS_MAX_IO {
        return Err(Fault::invalid(format_args!("length {length} exceeds {STS_MAX_IO} bytes")));
    }
    usize::try_from(length).map_err(Fault::invalid)
}

/// The host's buffer of a write.
///
/// # Safety
/// `pointer` is null or points at `length` readable bytes that nothing writes while the slice lives.
pub(crate) unsafe fn buffer<'a>(pointer: *const c_void, length: u64) -> Result<&'a [u8], Fault> {
    let length = check_length(length)?;
    check_pointer(pointer.cast::<u8>(), "buffer")?;
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

/// The host's buffer of a read. Its bytes are only ever written.
///
/// # Safety
/// `pointer` is null or points at `length` writable bytes that nothing else touches while the slice lives.
pub(crate) unsafe fn buffer_mut<'a>(pointer: *mut c_void, length: u64) -> Result<&'a mut [u8], Fault> {
    let length = check_length(length)?;
    check_pointer(pointer.cast::<u8>(), "buffer")?;
    // SAFETY: the caller's promise; what the host left in it is never read.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer.cast(), length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_always_ends() {
        assert_eq!(text::<4>(b"abcdef").map(c_char::cast_unsigned), *b"abc\0");
        assert_eq!(text::<4>(b"a\0b").map(c_char::cast_unsigned), *b"a\0\0\0");
        assert_eq!(field(&text::<8>(b"name"), "x").unwrap(), b"name");
    }

    #[test]
    fn a_field_without_an_end_is_refused() {
        let fault = field(&[65; 4], "sl_name").unwrap_err();
        assert_eq!(fault.code, ost_abi::STS_EINVAL);
        assert!(fault.message.contains("sl_name"), "{}", fault.message);
    }

    #[test]
    fn a_string_is_read_no_further_than_its_bound() {
        let long = [65 as c_char; 16];
        // SAFETY: sixteen bytes are there, and the bound is sixteen.
        let fault = unsafe { string(long.as_ptr(), 16, "name") }.unwrap_err();
        assert!(fault.message.contains("longer than 15"), "{}", fault.message);
    }

    #[test]
    fn null_and_misaligned_are_refused() {
        let words = [0_u64; 2];
        // SAFETY: neither pointer is read: one is null, the other misaligned.
        unsafe {
            assert!(plain::<u64>(std::ptr::null(), "x").is_err());
            assert!(plain(words.as_ptr().byte_add(1), "x").is_err());
            assert!(buffer(std::ptr::null(), 512).is_err());
            assert!(buffer(words.as_ptr().cast(), STS_MAX_IO + 1).is_err());
        }
    }
}
