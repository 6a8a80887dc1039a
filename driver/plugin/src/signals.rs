//! Signals: the plug-in installs no handler, and its socket writes never raise SIGPIPE in the host.
//!
//! hyper writes with `writev`, which has no `MSG_NOSIGNAL`; in a C host with default signals a peer that closes early
//! would end the process. Host threads block SIGPIPE around each call that may touch a socket; threads of our own
//! block every signal for ever.

#![allow(unsafe_code, reason = "signal masks have no safe form")]

use std::mem::MaybeUninit;
use std::ptr;

/// SIGPIPE is blocked on this thread while the value lives; one that we caused is consumed when it is dropped.
#[derive(Debug)]
pub(crate) struct SigpipeBlocked {
    /// The host had it unblocked and none was pending: then one that is pending at the end is ours.
    ours: bool,
}

fn sigpipe_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set that it is given; SIGPIPE is a valid signal number.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

impl SigpipeBlocked {
    /// Blocks SIGPIPE on the calling thread.
    pub(crate) fn new() -> Self {
        let set = sigpipe_set();
        let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
        let mut old = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both out-sets are written by the calls before they are read; on failure (impossible with these
        // arguments) the result is not used.
        let ours = unsafe {
            let read = libc::sigpending(pending.as_mut_ptr()) == 0;
            let was_pending = read && libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1;
            let blocked = libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, old.as_mut_ptr()) == 0;
            blocked && libc::sigismember(old.as_ptr(), libc::SIGPIPE) == 0 && !was_pending
        };
        Self { ours }
    }
}

impl Drop for SigpipeBlocked {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        let set = sigpipe_set();
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: valid set and timeout; a null info pointer is allowed. The loop ends when nothing is pending.
        unsafe {
            while libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const now) == libc::SIGPIPE
                || *libc::__errno_location() == libc::EINTR
            {
                *libc::__errno_location() = 0;
            }
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
        }
    }
}

/// Every signal is blocked on this thread while the value lives.
#[derive(Debug)]
pub(crate) struct AllBlocked(Option<libc::sigset_t>);

impl AllBlocked {
    /// Blocks every signal on the calling thread.
    pub(crate) fn new() -> Self {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        let mut old = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the old mask is used only if the call wrote it.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            let done = libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), old.as_mut_ptr()) == 0;
            Self(done.then(|| old.assume_init()))
        }
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        if let Some(old) = &self.0 {
            // SAFETY: restores the mask that this thread had.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, ptr::from_ref(old), ptr::null_mut()) };
        }
    }
}

/// Blocks every signal on the calling thread for good: the host's handlers run on the host's threads only.
pub(crate) fn block_all() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set; the old mask is not wanted.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    fn sigpipe_blocked() -> bool {
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: a null new mask only reads the current one.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr());
            libc::sigismember(mask.as_ptr(), libc::SIGPIPE) == 1
        }
    }

    /// Runs in a thread of its own with the default action, where an escaped SIGPIPE would end the test process.
    #[test]
    fn a_broken_pipe_inside_is_an_error_and_leaves_no_signal_behind() {
        std::thread::spawn(|| {
            // SAFETY: sets the default action, which is what a C host has.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            let (reader, mut writer) = std::io::pipe().unwrap();
            drop(reader);
            {
                let _guard = SigpipeBlocked::new();
                assert!(sigpipe_blocked());
                let error = writer.write_all(b"x").unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "fd {}", writer.as_raw_fd());
            }
            assert!(!sigpipe_blocked());
            // SAFETY: back to what the Rust test runner had.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_mask_that_the_host_had_stays() {
        std::thread::spawn(|| {
            let set = sigpipe_set();
            // SAFETY: blocks SIGPIPE on this test thread only.
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
            drop(SigpipeBlocked::new());
            assert!(sigpipe_blocked());
        })
        .join()
        .unwrap();
    }
}
