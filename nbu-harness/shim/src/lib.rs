//! `libnbu_shim.so`: a plug-in that wraps another one. It exports every entry point of the interface and hands each call
//! on to the library that `NBU_SHIM_PLUGIN` names; what else it does is said in [`nbu_trace::orders`]:
//!
//! * it records every call, with `NBU_SHIM_TRACE`;
//! * it makes calls go wrong, with `NBU_SHIM_FAULTS`;
//! * it does one thing wrong as a broken plug-in would, with `NBU_SHIM_DEFECT`;
//! * it passes for an older version of it, with `NBU_SHIM_OLDER`.
//!
//! A host loads it in place of the plug-in and notices nothing else. It is a C boundary: no panic leaves it, null pointers
//! are survived, any thread may call. State belongs to one process: a forked child that calls it begins anew, with a trace
//! of its own.

#![allow(unsafe_code, reason = "exports C symbols and calls those of another library")]

mod argument;
mod crossing;
mod deeds;
mod faults;
mod left;
mod older;
mod process;
mod recorder;
mod remembered;
mod target;

#[allow(clippy::wildcard_imports, reason = "the entry points name their types without a path")]
use ost_abi::*;

use argument::Argument;
use crossing::Crossing;

macro_rules! export {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $ty:ty),*);)+) => {
        /// The entry points in the order of [`ENTRY_POINTS`].
        #[allow(non_camel_case_types, reason = "named as they are")]
        #[derive(Clone, Copy)]
        enum Entry {
            $($name,)+
        }

        $(
            $(#[$attr])*
            ///
            /// # Safety
            /// Pointers are null or point at what the prototype in `stspi.h` says.
            #[unsafe(no_mangle)]
            #[allow(unused_mut, reason = "there is a call without arguments")]
            pub unsafe extern "C" fn $name($(mut $arg: $ty),*) -> c_int {
                let mut crossing = Crossing::begin(Entry::$name as usize);
                // SAFETY: the host's promise, passed on.
                let answer = unsafe {
                    let mut arguments: [(&'static str, &mut dyn Argument); _] =
                        [$((stringify!($arg), &mut $arg)),*];
                    crossing.before(&mut arguments)
                };
                let code = match (answer, crossing.api()) {
                    (Some(code), _) => return code,
                    (None, None) => return STS_EPLUGIN,
                    // SAFETY: the host's promise, passed on; changed lengths are shorter ones.
                    (None, Some(api)) => unsafe { (api.$name)($($arg),*) },
                };
                // SAFETY: as above; what the plug-in filled is there when it says so.
                unsafe {
                    let mut arguments: [(&'static str, &mut dyn Argument); _] =
                        [$((stringify!($arg), &mut $arg)),*];
                    crossing.after(code, &mut arguments)
                }
            }
        )+
    };
}

for_each_entry_point!(export);
