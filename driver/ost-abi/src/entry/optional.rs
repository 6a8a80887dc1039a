//! The entry points that a server may lack; `capabilities.rs` says which capability each of them belongs to.

/// Hands the items given, followed by every optional entry point, to a callback: see [`crate::for_each_entry_point`].
#[doc(hidden)]
#[macro_export]
macro_rules! __optional_entry_points {
    ([$($callback:tt)+] $($before:tt)*) => {
        $($callback)+! {
            $($before)*

            /// Gives an LSU a label, in place of any it had; empty text takes it away.
            ///
            /// Provenance: provisional (that the call exists is from third-party notes).
            fn stspi_label_lsu(lsu: *const sts_lsu_t, label: *const c_char);

            /// Replication targets and sources of an LSU; `STS_ENOENT` if the server has none of that name.
            ///
            /// Provenance: training (name and purpose), provisional (arguments).
            fn stspi_get_lsu_replication_prop(lsu: *const sts_lsu_t, info: *mut sts_lsu_replication_t);

            /// Writes metadata of an image that is open for writing: bytes that the host keeps beside the data.
            ///
            /// `offset` is at most the length of the metadata (`STS_EOFFSET`), its end at most `STS_MAX_IMAGE_META`
            /// (`STS_EINVAL`). Durable like the data: with the next flush or close.
            ///
            /// Provenance: provisional (that the call exists is from third-party notes).
            fn stspi_write_image_meta(
                handle: *mut bstsp_image_handle_s,
                buffer: *const c_void,
                length: u64,
                offset: u64,
                written: *mut u64
            );

            /// Reads metadata of an open image. Fewer bytes than asked only at its end; 0 at or after it.
            ///
            /// Provenance: provisional (that the call exists is from third-party notes).
            fn stspi_read_image_meta(
                handle: *mut bstsp_image_handle_s,
                buffer: *mut c_void,
                length: u64,
                offset: u64,
                read: *mut u64
            );

            /// Makes a range of a complete image part of the image being written, without moving its data.
            ///
            /// `offset`: where the range comes to lie, which is the size of the image being written (`STS_EOFFSET`).
            /// `length`: any number of bytes above 0, all within the source (`STS_EOFFSET`). The source may be deleted
            /// afterwards. `source_lsu` is the LSU of the image being written; another one is `STS_ENOTSUP`.
            /// A source that is not there is `STS_ENOENT`, one that is not complete `STS_EACCESS`.
            ///
            /// Provenance: log (that ranges with offset and length are included), provisional (arguments).
            fn stspi_include_in_image(
                handle: *mut bstsp_image_handle_s,
                source_lsu: *const sts_lsu_t,
                source_image: *const sts_image_def_t,
                source_offset: u64,
                length: u64,
                offset: u64,
                included: *mut u64
            );

            /// Opens the server that images shall be copied to, through an open one. Closed by `stspi_close_server`.
            ///
            /// The handle is one like any other, and the server it was opened through stays busy while it is open.
            /// `credentials` may be null: then the plug-in's configuration has them.
            ///
            /// Provenance: training (name and purpose), provisional (arguments).
            fn stspi_open_target_server(
                server: *mut bstsp_server_handle_s,
                target_name: *const c_char,
                credentials: *const sts_cred_v7_t,
                interface: *const c_char,
                target: *mut *mut bstsp_server_handle_s
            );

            /// Copies a complete image and waits until the copy is complete.
            ///
            /// `to_lsu` may be an LSU of a target server. The copy is pending until its last byte is durable. Called
            /// again after a failure it goes on where it was. A complete image of that name is `STS_EEXIST`.
            ///
            /// Provenance: training (that it copies whole images synchronously), provisional (arguments).
            fn stspi_copy_image(
                from_lsu: *const sts_lsu_t,
                from_image: *const sts_image_def_t,
                to_lsu: *const sts_lsu_t,
                to_image: *const sts_image_def_t
            );

            /// Begins a copy like that of `stspi_copy_image`, for a host that does not want to wait in one call.
            ///
            /// Provenance: provisional (that the call exists is known, and nothing else).
            fn stspi_begin_copy_image(
                from_lsu: *const sts_lsu_t,
                from_image: *const sts_image_def_t,
                to_lsu: *const sts_lsu_t,
                to_image: *const sts_image_def_t,
                copy: *mut *mut bstsp_copy_handle_s
            );

            /// Ends a copy. With `STS_CLOSEF_IH_COMPLETE` it copies on: `STS_EAGAIN` when there is more to do, to be
            /// called again; anything else closes the handle. Without the flag the copy is given up: its target stays
            /// pending, to be begun again or deleted.
            ///
            /// Provenance: provisional (that the call exists is known, and nothing else).
            fn stspi_end_copy_image(copy: *mut bstsp_copy_handle_s, flags: u32);

            /// Copies a range of an image open for reading to one open for writing, on the same server or a target.
            ///
            /// `to_offset` is the size of the image being written; after an error that size tells how far it got. No data
            /// moves through the host's memory.
            ///
            /// Provenance: training (name and purpose), documented (that optimized duplication copies extents),
            /// provisional (arguments).
            fn stspi_copy_extent(
                from: *mut bstsp_image_handle_s,
                from_offset: u64,
                length: u64,
                to: *mut bstsp_image_handle_s,
                to_offset: u64,
                copied: *mut u64
            );

            /// Begins to copy a complete image in the background and returns the number of the operation.
            ///
            /// `to_lsu` null: to every replication target of `from_lsu`. `backup` may be null without event flags.
            /// `event_flags`: `STS_EVF_*`; the images of one set (`isi_id`) that were copied with `STS_EVF_INCLUDE` are
            /// in the payload of the event that the one with `STS_EVF_TRIGGER` causes at the target, once all of them
            /// are complete there. The operation outlives its caller: any process may wait for it.
            ///
            /// Provenance: training (no image handles, a null target, the flags, the operation id), provisional
            /// (arguments and their order).
            fn stspi_async_copy_image(
                from_lsu: *const sts_lsu_t,
                from_image: *const sts_image_def_t,
                to_lsu: *const sts_lsu_t,
                to_image: *const sts_image_def_t,
                backup: *const sts_backup_info_t,
                event_flags: u32,
                operation: *mut u64
            );

            /// As `stspi_async_copy_image`, with a name of the host's: called again with the name of an operation
            /// that is known, it returns the number of that one and begins nothing.
            ///
            /// Provenance: training (name), provisional (meaning of the name, arguments).
            fn stspi_named_async_copy_image(
                name: *const c_char,
                from_lsu: *const sts_lsu_t,
                from_image: *const sts_image_def_t,
                to_lsu: *const sts_lsu_t,
                to_image: *const sts_image_def_t,
                backup: *const sts_backup_info_t,
                event_flags: u32,
                operation: *mut u64
            );

            /// Asks for an operation and lets it go on: `STS_EBUSY` while it runs, `STS_EOK` when it is done, the
            /// code of its failure, `STS_EABORT` when it was cancelled, `STS_ENOENT` if there is none of that number.
            ///
            /// Provenance: training (that it is polled, `STS_EBUSY`, `STS_EOK`), provisional (arguments).
            fn stspi_async_wait(server: *mut bstsp_server_handle_s, operation: u64);

            /// Cancels an operation; nothing is left of a target that is not complete. What has ended stays as it is.
            /// `STS_ENOENT` if there is none of that number.
            ///
            /// Provenance: training (name and purpose), provisional (arguments).
            fn stspi_async_cancel(server: *mut bstsp_server_handle_s, operation: u64);

            /// Opens the event channel of an LSU: events after `seqno`, from the oldest with `STS_EV_SEQNO_START`.
            ///
            /// `handler` null: the host asks with `stspi_get_event`. Another one is `STS_ENOTSUP`. A number that the
            /// log has never reached is `STS_EEVSEQ`.
            ///
            /// Provenance: training (name, null handler, that the number starts at zero), provisional (arguments, and
            /// that a channel is one of an LSU).
            fn stspi_open_evchannel(
                lsu: *const sts_lsu_t,
                handler: sts_event_fn,
                context: *mut c_void,
                seqno: u64,
                channel: *mut *mut bstsp_evchannel_handle_s
            );

            /// The next event; `STS_ENOENT` when there is none yet. The event stays stored until it is deleted.
            ///
            /// Provenance: training (name and purpose), provisional (arguments).
            fn stspi_get_event(channel: *mut bstsp_evchannel_handle_s, event: *mut sts_event_t);

            /// What an event is about: `ev_images` structures. `images` has room for `capacity` of them
            /// (`STS_EINVAL` if that is too few), each with its `size` set. `STS_ENOENT` if the event was deleted.
            ///
            /// Provenance: training (name, and that it holds one or more `sts_image_info_t`), provisional (arguments).
            fn stspi_get_event_payload(
                channel: *mut bstsp_evchannel_handle_s,
                seqno: u64,
                images: *mut sts_image_info_t,
                capacity: u32,
                count: *mut u32
            );

            /// Deletes an event and its payload; `STS_ENOENT` if it is not there.
            ///
            /// Provenance: provisional (that events are deleted is from third-party notes).
            fn stspi_delete_event(channel: *mut bstsp_evchannel_handle_s, seqno: u64);

            /// Closes an event channel. Events that were not deleted come again.
            ///
            /// Provenance: provisional.
            fn stspi_close_evchannel(channel: *mut bstsp_evchannel_handle_s);

            /// Locks a complete image until a time, in seconds since the epoch by the cluster's clock.
            ///
            /// Success means that everything the image consists of is kept until then. The time from now on must be
            /// within the LSU's minimum and maximum (`STS_EWORMMIN`, `STS_EWORMMAX`). An earlier end than that of a
            /// lock in force is `STS_EACCESS`, as is an image that is not complete; an LSU without `STS_LSUF_WORM` is
            /// `STS_ENOTSUP`.
            ///
            /// Provenance: provisional (nothing of the names and arguments is public), documented (the rules).
            fn stspi_set_image_lock(lsu: *const sts_lsu_t, image: *const sts_image_def_t, until: u64);

            /// As `stspi_set_image_lock`, for an image whose lock is in force; `STS_EACCESS` if there is none.
            ///
            /// Provenance: provisional (nothing of the names and arguments is public), documented (that locks are
            /// extended and never shortened).
            fn stspi_extend_image_lock(lsu: *const sts_lsu_t, image: *const sts_image_def_t, until: u64);

            /// The lock of an image; `STS_ENOENT` if there is no such image.
            ///
            /// Provenance: provisional.
            fn stspi_get_image_lock(
                lsu: *const sts_lsu_t,
                image: *const sts_image_def_t,
                lock: *mut sts_image_lock_t
            );
        }
    };
}
