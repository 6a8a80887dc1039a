//! The operating-system calls that need `unsafe`: fork, signals as a descriptor, replacing standard descriptors.

#![allow(unsafe_code, reason = "fork, signalfd and dup2 have no safe interface in the libraries used here")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};

/// A forked half of this process. Dropped, it is killed and reaped.
#[derive(Debug)]
pub(crate) struct ForkedChild {
    pid: Pid,
    pidfd: OwnedFd,
    status: Option<WaitStatus>,
}

/// Forks without exec. The child closes `close_in_child`, runs `child` and exits with its code; it dies when the
/// parent does.
///
/// The process may have threads of a foreign library: `child` must then not allocate, lock or call that library, only
/// use memory and descriptors that exist already.
pub(crate) fn fork(close_in_child: &[RawFd], child: impl FnOnce() -> i32) -> io::Result<ForkedChild> {
    let parent = rustix::process::getpid();
    // SAFETY: the child runs only `child`, whose restrictions are stated above, and leaves through `_exit`, so that no
    // destructor and no exit handler of the parent's image runs a second time.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    if pid == 0 {
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let orphan = rustix::process::getppid() != Some(parent);
        for fd in close_in_child {
            // SAFETY: the caller's descriptors; their owners never run in this process.
            unsafe { libc::close(*fd) };
        }
        let code = if orphan { 40 } else { child() };
        // SAFETY: ends the process at once; nothing after it runs.
        unsafe { libc::_exit(code) };
    }
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork returned no process id"))?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    Ok(ForkedChild { pid, pidfd, status: None })
}

impl ForkedChild {
    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How it ended, without waiting; `None` while it runs.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<WaitStatus>> {
        if self.status.is_none() {
            self.status =
                rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG)?.map(|(_, status)| status);
        }
        Ok(self.status)
    }

    /// Waits for its end; `None` if it still runs after `timeout`.
    pub(crate) fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<WaitStatus>> {
        if self.status.is_none() {
            wait_readable(&self.pidfd, timeout)?;
        }
        self.try_wait()
    }

    /// Sends a signal; harmless when it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if let Ok(None) = self.try_wait() {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }
}

impl Drop for ForkedChild {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if self.status.is_none() {
            let _ = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}

/// Waits until a descriptor is readable (a pidfd: until the process has ended); false after `timeout`.
pub(crate) fn wait_readable(fd: impl AsFd, timeout: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&timespec(timeout))) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// A duration for system calls.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// Makes the program that `command` starts die with the thread that starts it: nothing outlives its starter, however
/// that ends.
pub(crate) fn die_with_starter(command: &mut Command) {
    let starter = rustix::process::getpid();
    let prepare = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if rustix::process::getppid() == Some(starter) {
            Ok(())
        } else {
            // It died before the line above, so no signal will come.
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: between fork and exec this makes two system calls, and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Blocks SIGTERM and SIGINT in this thread, those it starts and the programs they start, and returns a descriptor that
/// is readable when one arrives.
pub(crate) fn termination_signals() -> io::Result<OwnedFd> {
    // SAFETY: `set` is initialised by sigemptyset before it is used; all pointers are to locals.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        let mut set = set.assume_init();
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigaddset(&raw mut set, libc::SIGINT);
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Takes descriptors 0 and 1 out of the way of libraries that read or print: returns copies of them and puts
/// `/dev/null` and standard error in their place.
pub(crate) fn take_stdio() -> io::Result<(OwnedFd, OwnedFd)> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let input = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
    let output = rustix::io::fcntl_dupfd_cloexec(&stdout, 3)?;
    let null = File::open("/dev/null")?;
    // SAFETY: replaces descriptors 0 and 1, which nobody owns; 2 is open in every process of a job.
    let replaced = unsafe { libc::dup2(null.as_raw_fd(), 0) >= 0 && libc::dup2(2, 1) >= 0 };
    if replaced { Ok((input, output)) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_reports_its_code_and_a_killed_one_its_signal() {
        let mut child = fork(&[], || 7).unwrap();
        let status = child.wait_timeout(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(7));

        let (held, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut child = fork(&[], || {
            let mut byte = [0];
            i32::from(io::Read::read(&mut &held, &mut byte).is_err())
        })
        .unwrap();
        assert!(child.wait_timeout(Duration::from_millis(1)).unwrap().is_none());
        child.signal(Signal::USR2);
        let status = child.wait_timeout(Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(status.terminating_signal(), Some(libc::SIGUSR2));
    }
}
