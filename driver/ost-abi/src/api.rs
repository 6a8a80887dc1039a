//! The table of a loaded plug-in's entry points, for hosts.

#![allow(unsafe_code, reason = "turns symbol addresses of a foreign library into function pointers")]

#[allow(clippy::wildcard_imports, reason = "the entry points name their types without a path")]
use crate::*;

/// A symbol of the interface that a library does not export.
///
/// Provenance: provisional (ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the library does not export {0}: it is not an OpenStorage plug-in of this interface")]
pub struct MissingSymbol(pub &'static str);

macro_rules! api {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $ty:ty),*);)+) => {
        /// The entry points of one loaded library. The library must stay loaded while this is used.
        ///
        /// Provenance: provisional (ours).
        #[derive(Debug, Clone, Copy)]
        pub struct Api {
            $($(#[$attr])* pub $name: unsafe extern "C" fn($($arg: $ty),*) -> c_int,)+
        }

        impl Api {
            /// Finds every entry point with `find` (as `dlsym` does).
            ///
            /// A library may lack the symbol of an optional call ([`sts_is_optional`]): in its place stands a function
            /// that answers `STS_ENOTSUP`, as a library does that has the symbol and not the capability.
            ///
            /// # Safety
            /// An address that `find` returns for a name must be that of a function with the prototype in `stspi.h`,
            /// and stay valid as long as the table is used.
            pub unsafe fn load(
                mut find: impl FnMut(&'static str) -> Option<core::ptr::NonNull<c_void>>,
            ) -> Result<Self, MissingSymbol> {
                Ok(Self {
                    $($name: match find(stringify!($name)) {
                        // SAFETY: the caller vouches for the prototype; data and function pointers have one size here.
                        Some(address) => unsafe {
                            core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($arg: $ty),*) -> c_int>(
                                address.as_ptr(),
                            )
                        },
                        None if sts_is_optional(stringify!($name)) => {
                            unsafe extern "C" fn absent($(_: $ty),*) -> c_int {
                                STS_ENOTSUP
                            }
                            absent
                        }
                        None => return Err(MissingSymbol(stringify!($name))),
                    },)+
                })
            }
        }
    };
}

for_each_entry_point!(api);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_without_a_symbol_is_refused_by_name() {
        // SAFETY: no address is returned that could be called.
        let missing = unsafe { Api::load(|_| None) }.unwrap_err();
        assert_eq!(missing, MissingSymbol("stspi_init"));
    }

    #[test]
    fn an_optional_call_that_a_library_lacks_is_not_supported() {
        unsafe extern "C" fn never() {}
        let address = core::ptr::NonNull::new(never as *mut c_void);
        // SAFETY: of the functions found, all of one address, none is called; the one that is called was not found.
        let code = unsafe {
            let api = Api::load(|name| if sts_is_optional(name) { None } else { address }).unwrap();
            (api.stspi_async_wait)(core::ptr::null_mut(), 1)
        };
        assert_eq!(code, STS_ENOTSUP);
    }
}
