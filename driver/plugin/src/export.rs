//! How the two libraries export the interface: ours as it is, or another header's by way of `ost_abi::sdk`.

/// Exports every entry point of the interface from the library that calls this, once, with the thread model given.
#[cfg(not(feature = "sdk"))]
#[macro_export]
macro_rules! export {
    ($model:expr) => {
        static PLUGIN: $crate::Plugin = $crate::Plugin::new($model);
        $crate::abi::for_each_entry_point!($crate::export_functions);
    };
}

/// The functions of [`export`].
#[cfg(not(feature = "sdk"))]
#[doc(hidden)]
#[macro_export]
macro_rules! export_functions {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $ty:ty),*);)+) => {
        $(
            $(#[$attr])*
            ///
            /// # Safety
            /// Pointers are null or point at what the prototype in `stspi.h` says.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($arg: $ty),*) -> c_int {
                // SAFETY: the host's promise, passed on.
                unsafe { $crate::entry::$name(&PLUGIN, $($arg),*) }
            }
        )+
    };
}

/// Exports every function of the header in `STSPI_SDK_HEADER` from the library that calls this, once, with the thread
/// model given.
#[cfg(feature = "sdk")]
#[macro_export]
macro_rules! export {
    ($model:expr) => {
        static PLUGIN: $crate::Plugin = $crate::Plugin::new($model);
        static ENGINE: Api = $crate::abi::for_each_entry_point!($crate::engine_table);

        #[allow(missing_docs, clippy::missing_safety_doc, reason = "the header documents them")]
        mod exported {
            use super::ENGINE;
            #[allow(
                clippy::wildcard_imports,
                reason = "the functions name the header's types without a path"
            )]
            use $crate::abi::sdk::header::*;

            $crate::abi::for_each_sdk_export!($crate::export_functions);
        }
    };
}

/// The entry points of the engine for one plug-in, as the adapter calls them.
#[cfg(feature = "sdk")]
#[doc(hidden)]
#[macro_export]
macro_rules! engine_table {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $ty:ty),*);)+) => {
        Api { $($name: {
            unsafe extern "C" fn call($($arg: $ty),*) -> c_int {
                // SAFETY: the host's promise, passed on by the adapter.
                unsafe { $crate::entry::$name(&PLUGIN, $($arg),*) }
            }
            call
        },)+ }
    };
}

/// The functions of [`export`].
#[cfg(feature = "sdk")]
#[doc(hidden)]
#[macro_export]
macro_rules! export_functions {
    ($(fn $name:ident($($arg:ident: $ty:ty),* $(,)?);)+) => {
        $(
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($arg: $ty),*) -> ::core::ffi::c_int {
                // SAFETY: the host's promise, passed on.
                unsafe { $crate::abi::sdk::adapter::$name(&ENGINE, $($arg),*) }
            }
        )+
    };
}
