//! A started process as whoever started it holds it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

use super::{MARK, os};
use crate::nbu::install::Installation;
use crate::nbu::result::ProcessRecord;

/// A process with NetBackup's name. Dropped, it is killed and reaped; it dies with the thread that started it.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Starts a process of a job. `control` becomes its control connection, `data` its data socket.
    pub(crate) fn start(
        installation: &Installation,
        name: &str,
        job_id: u64,
        control: UnixStream,
        data: Option<UnixStream>,
    ) -> io::Result<Self> {
        let mut command = Command::new(&installation.exe);
        command
            .arg0(name)
            .args([name, MARK])
            .stdin(OwnedFd::from(control))
            .stdout(data.map_or_else(Stdio::null, |data| OwnedFd::from(data).into()))
            .stderr(log_file(&installation.work_dir, &format!("job-{job_id}.log"))?);
        if matches!(name, "bptm" | "bpdm") {
            command.env("VAST_OST_CONFIG", &installation.plugin_config);
            command.envs(&installation.plugin_env);
        }
        Self::spawn(name, command)
    }

    /// Starts a server process: `name` with one argument. What it prints goes to `logs/<file>` of `work_dir`.
    pub(crate) fn server(
        exe: &Path,
        name: &str,
        argument: &Path,
        work_dir: &Path,
        file: &str,
    ) -> io::Result<Self> {
        let mut command = Command::new(exe);
        let log = log_file(work_dir, file)?;
        let copy = log.try_clone()?;
        command.arg0(name).args([name, MARK]).arg(argument).stdin(Stdio::null()).stdout(copy).stderr(log);
        Self::spawn(name, command)
    }

    fn spawn(name: &str, mut command: Command) -> io::Result<Self> {
        os::die_with_starter(&mut command);
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a started process has no process id"))?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { name: name.to_owned(), child, pidfd, ended: None })
    }

    /// NetBackup's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; harmless when the process has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Waits for its end, kills it when that takes longer than `timeout`, and says how it ended.
    pub(crate) fn reap(&mut self, timeout: Duration) -> ProcessRecord {
        if self.ended.is_none() {
            if !os::wait_readable(&self.pidfd, timeout).unwrap_or(false) {
                self.signal(Signal::KILL);
            }
            self.ended = self.child.wait().ok();
        }
        let signal = self.ended.and_then(|e| e.signal());
        let exit_code = self.ended.and_then(|e| e.code());
        ProcessRecord { name: self.name.clone(), pid: self.id(), exit_code, signal }
    }
}

impl AsFd for Running {
    /// Readable when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.reap(Duration::ZERO);
    }
}

/// A file below `logs` that takes what processes print.
fn log_file(work_dir: &Path, name: &str) -> io::Result<File> {
    let dir = work_dir.join("logs");
    std::fs::create_dir_all(&dir)?;
    OpenOptions::new().create(true).append(true).open(dir.join(name))
}
