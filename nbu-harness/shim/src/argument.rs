//! The arguments of calls: what a trace keeps of each type, and what faults may change.

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;
use std::slice;

use nbu_trace::Value;
#[allow(clippy::wildcard_imports, reason = "the structures of the interface, nearly all of them")]
use ost_abi::*;

/// Longest C string that is kept, in bytes.
const MAX_TEXT: usize = 4096;

/// Numbers of the handles of this process. The address of a closed handle may come again: it gets a new number then.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    numbers: HashMap<(&'static str, usize), u64>,
    last: u64,
}

impl Handles {
    fn opened(&mut self, kind: &'static str, address: usize) -> Value {
        self.last += 1;
        self.numbers.insert((kind, address), self.last);
        Value::Handle(self.last)
    }

    fn known(&self, kind: &'static str, address: usize) -> Value {
        match address {
            0 => Value::Nothing,
            _ => Value::Handle(self.numbers.get(&(kind, address)).copied().unwrap_or(0)),
        }
    }
}

/// One argument of a call.
pub(crate) trait Argument {
    /// What goes in.
    ///
    /// # Safety
    /// A pointer is null or points at what the prototype says.
    unsafe fn before(&self, _: &mut Handles) -> Value {
        Value::Nothing
    }

    /// What came out of a call that succeeded.
    ///
    /// # Safety
    /// A pointer is null or points at what the prototype says.
    unsafe fn after(&self, _: &mut Handles) -> Value {
        Value::Nothing
    }

    /// The number itself, for those that are one.
    fn number(&mut self) -> Option<&mut u64> {
        None
    }

    /// The flags themselves, for those that are flags or another number of 32 bits.
    fn flags(&mut self) -> Option<&mut u32> {
        None
    }

    /// Makes it point at something else, for those pointers of which that is wanted.
    fn redirect(&mut self, _: *mut c_void) {}

    /// What it points at, for those that are pointers.
    fn address(&self) -> *mut c_void {
        std::ptr::null_mut()
    }
}

/// The arguments of a call with their names.
pub(crate) struct Arguments<'a, 'v>(pub(crate) &'a mut [(&'static str, &'v mut dyn Argument)]);

impl Arguments<'_, '_> {
    /// A number that goes in.
    pub(crate) fn number(&mut self, name: &str) -> Option<&mut u64> {
        self.0.iter_mut().find(|(known, _)| *known == name).and_then(|(_, argument)| argument.number())
    }

    /// Flags that go in.
    pub(crate) fn flags(&mut self, name: &str) -> Option<&mut u32> {
        self.0.iter_mut().find(|(known, _)| *known == name).and_then(|(_, argument)| argument.flags())
    }

    /// Makes a pointer point at something else, which outlives the call.
    pub(crate) fn redirect(&mut self, name: &str, to: *mut c_void) {
        if let Some((_, argument)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            argument.redirect(to);
        }
    }

    /// Where a pointer points, unless it is null.
    pub(crate) fn address(&self, name: &str) -> Option<NonNull<c_void>> {
        let (_, argument) = self.0.iter().find(|(known, _)| *known == name)?;
        NonNull::new(argument.address())
    }

    /// What a pointer points at, as the type that the caller knows it to be.
    ///
    /// # Safety
    /// The argument of that name is null or points at a `T` that nobody else uses meanwhile.
    pub(crate) unsafe fn at<T>(&mut self, name: &str) -> Option<&mut T> {
        let mut address = self.address(name)?.cast::<T>();
        // SAFETY: the caller's promise.
        Some(unsafe { address.as_mut() })
    }

    /// The bytes that a call with `buffer`, `length` and `read` has read.
    ///
    /// # Safety
    /// The call has succeeded.
    pub(crate) unsafe fn bytes_read(&mut self) -> Option<&mut [u8]> {
        let length = *self.number("length")?;
        // SAFETY: the caller's promise: it is the place that the call has filled.
        let read = *unsafe { self.at::<u64>("read") }?;
        let length = usize::try_from(read.min(length)).ok()?;
        let buffer = self.address("buffer")?.cast::<u8>();
        // SAFETY: the caller's promise: the buffer is that long.
        Some(unsafe { slice::from_raw_parts_mut(buffer.as_ptr(), length) })
    }
}

impl Argument for u32 {
    unsafe fn before(&self, _: &mut Handles) -> Value {
        Value::Number((*self).into())
    }

    fn flags(&mut self) -> Option<&mut u32> {
        Some(self)
    }
}

impl Argument for c_int {
    unsafe fn before(&self, _: &mut Handles) -> Value {
        Value::Signed((*self).into())
    }
}

impl Argument for u64 {
    unsafe fn before(&self, _: &mut Handles) -> Value {
        Value::Number(*self)
    }

    fn number(&mut self) -> Option<&mut u64> {
        Some(self)
    }
}

impl Argument for sts_event_fn {}

impl Argument for *const c_void {
    fn address(&self) -> *mut c_void {
        self.cast_mut()
    }

    fn redirect(&mut self, to: *mut c_void) {
        *self = to;
    }
}

impl Argument for *mut c_void {
    fn address(&self) -> *mut c_void {
        *self
    }
}

impl Argument for *const c_char {
    unsafe fn before(&self, _: &mut Handles) -> Value {
        if self.is_null() {
            return Value::Nothing;
        }
        // SAFETY: a C string, of which no byte beyond its NUL is touched.
        let bytes = unsafe {
            let length = libc::strnlen(*self, MAX_TEXT);
            slice::from_raw_parts(self.cast::<u8>(), length)
        };
        Value::text(bytes)
    }

    fn address(&self) -> *mut c_void {
        self.cast_mut().cast()
    }

    fn redirect(&mut self, to: *mut c_void) {
        *self = to.cast();
    }
}

/// The text in a character array, up to its NUL or its end.
fn text(array: &[c_char]) -> Value {
    Value::Text(array.iter().map(|c| c.cast_unsigned()).take_while(|b| *b != 0).collect())
}

macro_rules! handle {
    ($($ty:ty),+) => {$(
        impl Argument for *mut $ty {
            unsafe fn before(&self, handles: &mut Handles) -> Value {
                handles.known(stringify!($ty), self.addr())
            }
        }

        impl Argument for *mut *mut $ty {
            unsafe fn after(&self, handles: &mut Handles) -> Value {
                // SAFETY: null, or the place that the call has filled.
                match unsafe { self.as_ref() } {
                    Some(handle) if !handle.is_null() => handles.opened(stringify!($ty), handle.addr()),
                    _ => Value::Nothing,
                }
            }

            fn address(&self) -> *mut c_void {
                self.cast()
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

/// A number that comes out.
macro_rules! number_out {
    ($($ty:ty),+) => {$(
        impl Argument for *mut $ty {
            unsafe fn after(&self, _: &mut Handles) -> Value {
                // SAFETY: null, or the place that the call has filled.
                unsafe { self.as_ref() }.map_or(Value::Nothing, |value| number(*value))
            }

            fn address(&self) -> *mut c_void {
                self.cast()
            }
        }
    )+};
}

number_out!(u64, u32);

/// A structure that goes in (`*const`) or comes out (`*mut`), and the members that are kept.
macro_rules! structure {
    (@members $pointer:expr, $handles:ident, |$it:ident| [$($value:expr),*]) => {
        // SAFETY: null, or a structure as the prototype says.
        match unsafe { $pointer.as_ref() } {
            Some($it) => {
                let _ = &$handles;
                Value::Fields(vec![$($value),*])
            }
            None => Value::Nothing,
        }
    };
    ($(in $in_ty:ty, $in_handles:ident, |$in_it:ident| [$($in_value:expr),* $(,)?];)*
     $(out $out_ty:ty, |$out_it:ident| [$($out_value:expr),* $(,)?];)*) => {
        $(impl Argument for *const $in_ty {
            unsafe fn before(&self, $in_handles: &mut Handles) -> Value {
                structure!(@members self, $in_handles, |$in_it| [$($in_value),*])
            }

            fn address(&self) -> *mut c_void {
                self.cast_mut().cast()
            }

            fn redirect(&mut self, to: *mut c_void) {
                *self = to.cast();
            }
        })*
        $(impl Argument for *mut $out_ty {
            unsafe fn after(&self, handles: &mut Handles) -> Value {
                structure!(@members self, handles, |$out_it| [$($out_value),*])
            }

            fn address(&self) -> *mut c_void {
                self.cast()
            }
        })*
    };
}

/// Unsigned numbers of any width.
fn number(value: impl Into<u64>) -> Value {
    Value::Number(value.into())
}

structure! {
    in sts_session_def_v7_t, handles, |it| [text(&it.application), text(&it.job_id)];
    // The password stays where it is.
    in sts_cred_v7_t, handles, |it| [text(&it.user)];
    in sts_lsu_def_t, handles, |it| [number(it.sld_flags)];
    in sts_lsu_t, handles, |it| [
        handles.known("bstsp_server_handle_s", it.sl_server.addr()),
        text(&it.sl_name),
    ];
    in sts_image_def_t, handles, |it| [number(it.img_date), text(&it.img_basename), text(&it.img_policy)];
    in sts_stat_t, handles, |it| [number(it.content)];
    in sts_backup_info_t, handles, |it| [
        number(it.bi_copy), number(it.isi_id), text(&it.bi_master_server), text(&it.isi_slpname),
    ];

    out stspi_plugin_info_t, |it| [
        number(it.interface_version), number(it.thread_model), text(&it.name), text(&it.prefix), text(&it.label),
        text(&it.build_version),
    ];
    out sts_server_info_t, |it| [
        number(it.connections), number(it.flags), number(it.srv_cap[0]), text(&it.name), text(&it.description),
    ];
    out sts_lsu_name_t, |it| [text(&it.name)];
    out sts_lsu_info_t, |it| [
        number(it.allocation), number(it.storage), number(it.media), number(it.save_as), number(it.max_transfer),
        number(it.block_size), number(it.lsu_capacity), number(it.lsu_capacity_phys), number(it.lsu_used),
        number(it.lsu_used_phys), number(it.images), number(it.worm_min), number(it.worm_max), text(&it.name),
        text(&it.description), text(&it.label),
    ];
    out sts_lsu_replication_t, |it| [
        number(it.sld_flags), number(it.sld_rep_target_count), number(it.sld_rep_source_count),
    ];
    out sts_image_def_t, |it| [number(it.img_date), text(&it.img_basename), text(&it.img_policy)];
    out sts_image_info_t, |it| [
        number(it.status), number(it.imo_size), number(it.create_time), number(it.block_size),
        number(it.meta_length), text(&it.def.img_basename),
    ];
    out sts_event_t, |it| [
        number(it.ev_type), number(it.ev_seqno), number(it.ev_time), number(it.ev_images), text(&it.ev_lsu),
        text(&it.ev_image.img_basename),
    ];
    out sts_image_lock_t, |it| [number(it.lock_flags), number(it.lock_until)];
}
