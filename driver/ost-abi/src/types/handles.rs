//! Handles: what a host gets back from an open call and may only hand in again.

/// A storage server opened by `stspi_open_server`. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: log (the name and that it is a pointer to it that comes back).
#[derive(Debug)]
pub struct bstsp_server_handle_s {
    _opaque: u8,
}

/// An enumeration of LSUs. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: provisional.
#[derive(Debug)]
pub struct bstsp_lsu_list_handle_s {
    _opaque: u8,
}

/// An open image. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: provisional.
#[derive(Debug)]
pub struct bstsp_image_handle_s {
    _opaque: u8,
}

/// An enumeration of images. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: provisional.
#[derive(Debug)]
pub struct bstsp_image_list_handle_s {
    _opaque: u8,
}

/// A copy begun by `stspi_begin_copy_image`. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: provisional.
#[derive(Debug)]
pub struct bstsp_copy_handle_s {
    _opaque: u8,
}

/// An event channel. Opaque; owned by the plug-in; valid on the thread that made it.
///
/// Provenance: training (that channels are opened), provisional (the name).
#[derive(Debug)]
pub struct bstsp_evchannel_handle_s {
    _opaque: u8,
}
