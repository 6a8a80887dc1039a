//! The entry points, once: the header's prototypes, the plug-ins' exports and the loader's table all expand from here.

mod optional;

/// Calls `$callback!` with every entry point of the interface as `fn name(argument: type, ...);` items with their docs.
///
/// All of them return an `STS_*` code as `c_int`. The types are named without a path: the expansion needs
/// `use ost_abi::*` in scope.
///
/// Provenance: provisional (argument lists; what is known of each is said in its own line).
#[macro_export]
macro_rules! for_each_entry_point {
    ($($callback:tt)+) => {
        $crate::__optional_entry_points! {
            [$($callback)+]

            /// Starts the plug-in in this process. The first call; repeated calls are harmless. No I/O, no thread.
            ///
            /// `app_version`: interface version of the host; 0 or one the plug-in does not know is `STS_ENOTSUP`.
            /// `path`: directory that the library was loaded from, may be null. `info`: filled on success.
            ///
            /// Provenance: provisional.
            fn stspi_init(app_version: u32, path: *const c_char, info: *mut stspi_plugin_info_t);

            /// Says whether a storage-server name belongs to this plug-in: `STS_EOK` or `STS_ECLAIM`. No I/O.
            ///
            /// Provenance: provisional.
            fn stspi_claim(server_name: *const c_char);

            /// Ends the plug-in in this process: every handle becomes invalid, threads of the plug-in end.
            ///
            /// Provenance: provisional.
            fn stspi_terminate();

            /// Opens a storage server: logs in and looks at the data path.
            ///
            /// Provenance: log (name, argument types and their order), provisional (their meaning).
            fn stspi_open_server(
                session: *const sts_session_def_v7_t,
                server_name: *const c_char,
                credentials: *const sts_cred_v7_t,
                interface: *const c_char,
                server: *mut *mut bstsp_server_handle_s
            );

            /// Closes a server. `STS_EBUSY` while images or lists opened through it are open.
            ///
            /// Provenance: provisional.
            fn stspi_close_server(server: *mut bstsp_server_handle_s);

            /// Properties of an open server.
            ///
            /// Provenance: provisional.
            fn stspi_get_server_prop(server: *mut bstsp_server_handle_s, info: *mut sts_server_info_t);

            /// Properties of a server by name: what the plug-in offers for it. No I/O, no credentials.
            ///
            /// Provenance: provisional.
            fn stspi_get_server_prop_byname(
                session: *const sts_session_def_v7_t,
                server_name: *const c_char,
                info: *mut sts_server_info_t
            );

            /// Begins an enumeration of LSUs. `filter` may be null.
            ///
            /// Provenance: provisional.
            fn stspi_open_lsu_list(
                server: *mut bstsp_server_handle_s,
                filter: *const sts_lsu_def_t,
                list: *mut *mut bstsp_lsu_list_handle_s
            );

            /// The next LSU; `STS_ENOENT` at the end.
            ///
            /// Provenance: provisional.
            fn stspi_list_lsu(list: *mut bstsp_lsu_list_handle_s, lsu: *mut sts_lsu_name_t);

            /// Ends an enumeration of LSUs.
            ///
            /// Provenance: provisional.
            fn stspi_close_lsu_list(list: *mut bstsp_lsu_list_handle_s);

            /// Properties of an LSU; `STS_ENOENT` if the server has none of that name.
            ///
            /// Provenance: provisional.
            fn stspi_get_lsu_prop_byname(lsu: *const sts_lsu_t, info: *mut sts_lsu_info_t);

            /// Creates an image and opens it for writing: pending and busy.
            ///
            /// `pending`: a hint, not 0 when the caller will create more images on the same LSU.
            ///
            /// Provenance: training (the arguments and the hint), provisional (types).
            fn stspi_create_image(
                lsu: *const sts_lsu_t,
                image: *const sts_image_def_t,
                pending: c_int,
                handle: *mut *mut bstsp_image_handle_s
            );

            /// Opens an image: `STS_O_READ` a complete one, `STS_O_WRITE` one that was closed incomplete.
            ///
            /// Provenance: training (name), provisional (arguments).
            fn stspi_open_image(
                lsu: *const sts_lsu_t,
                image: *const sts_image_def_t,
                mode: u32,
                handle: *mut *mut bstsp_image_handle_s
            );

            /// Writes at an offset. `length` is a multiple of `STS_BLOCK_SIZE`, at most `STS_MAX_IO`.
            ///
            /// May buffer: a later failure is reported by the next write, flush or close. `stat` may be null.
            ///
            /// Provenance: training (the arguments), provisional (types).
            fn stspi_write_image(
                handle: *mut bstsp_image_handle_s,
                stat: *const sts_stat_t,
                buffer: *const c_void,
                length: u64,
                offset: u64,
                written: *mut u64
            );

            /// Reads at an offset. Fewer bytes than asked only at the end of the image; 0 at or after it.
            ///
            /// Provenance: provisional (order of arguments).
            fn stspi_read_image(
                handle: *mut bstsp_image_handle_s,
                buffer: *mut c_void,
                length: u64,
                offset: u64,
                read: *mut u64
            );

            /// Sends what is buffered to the storage and waits until it is durable.
            ///
            /// Provenance: training (that it is optional).
            fn stspi_flush_image(handle: *mut bstsp_image_handle_s);

            /// Closes an image. With `STS_CLOSEF_IH_COMPLETE` success means that the whole image is durable.
            ///
            /// The handle is gone whatever the result. Without the flag a written image stays pending.
            ///
            /// Provenance: training (the flag and its meaning).
            fn stspi_close_image(handle: *mut bstsp_image_handle_s, flags: u32);

            /// Properties of an open image.
            ///
            /// Provenance: provisional.
            fn stspi_get_image_prop(handle: *mut bstsp_image_handle_s, info: *mut sts_image_info_t);

            /// Properties of an image by name; `STS_ENOENT` if there is none.
            ///
            /// Provenance: log (the code for a missing image), provisional (arguments).
            fn stspi_get_image_prop_byname(
                lsu: *const sts_lsu_t,
                image: *const sts_image_def_t,
                info: *mut sts_image_info_t
            );

            /// Deletes an image, complete or pending; `STS_ENOENT` if there is none, `STS_EWORMLOCKED` while it is locked.
            ///
            /// `asynchronous`: 0 or 1; this plug-in returns when it is done either way.
            ///
            /// Provenance: log (behaviour), provisional (arguments).
            fn stspi_delete_image(lsu: *const sts_lsu_t, image: *const sts_image_def_t, asynchronous: c_int);

            /// Begins an enumeration of the images of an LSU.
            ///
            /// Provenance: provisional.
            fn stspi_open_image_list(lsu: *const sts_lsu_t, list: *mut *mut bstsp_image_list_handle_s);

            /// The next image; `STS_ENOENT` at the end.
            ///
            /// Provenance: provisional.
            fn stspi_list_image(list: *mut bstsp_image_list_handle_s, image: *mut sts_image_def_t);

            /// Ends an enumeration of images.
            ///
            /// Provenance: provisional.
            fn stspi_close_image_list(list: *mut bstsp_image_list_handle_s);
        }
    };
}

macro_rules! names_and_source {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $ty:ty),*);)+) => {
        /// Names of all entry points: exactly what a plug-in exports.
        ///
        /// Provenance: provisional (the selection).
        pub const ENTRY_POINTS: &[&str] = &[$(stringify!($name)),+];

        /// The prototypes as Rust source, from which the C header is generated.
        ///
        /// Provenance: provisional (the selection).
        pub const ENTRY_POINT_SOURCE: &str = concat!(
            "unsafe extern \"C\" {\n",
            $($("#[", stringify!($attr), "]\n",)* "pub fn ", stringify!($name), "(",
                $(stringify!($arg), ": ", stringify!($ty), ", ",)* ") -> c_int;\n",)+
            "}\n"
        );
    };
}

for_each_entry_point!(names_and_source);
