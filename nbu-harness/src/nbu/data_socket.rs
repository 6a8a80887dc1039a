//! The socket that carries a stream between the client's process and bptm.

use std::os::unix::net::UnixStream;

/// Bytes that may be on their way in it. With less the two processes wait for each other more than they copy, with much more
/// what is on its way is in the processor's cache no longer.
pub(crate) const SEND_BUFFER: usize = 1 << 19;

/// Lets so much be on its way. Where the system allows less it only costs speed.
pub(crate) fn widen(socket: &UnixStream) {
    let _ = rustix::net::sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER);
}
