//! Starting and being one of a job's processes: this program executed again, under NetBackup's name.
//!
//! A process gets its control connection as standard input, its data socket (if it has one) as standard output, and
//! the job's log file as standard error.

pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod os;
mod task;

use std::ffi::{CString, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

use self::link::{Link, LinkError};
use super::install::Installation;
use super::result::ProcessRecord;
use super::{bpbkar, bpbrm, bpdm, bptm, tar};

/// The second argument of every internal process.
const MARK: &str = "--internal";
/// Until the order with the job's own timeouts has come.
const FIRST_ORDER_TIMEOUT: Duration = Duration::from_mins(1);

/// What a process was started with.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) link: Link,
    pub(crate) data: UnixStream,
}

impl Inherited {
    /// Waits for the first message.
    pub(crate) fn order<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        self.link.receive(FIRST_ORDER_TIMEOUT).ok().flatten()
    }
}

/// Runs this program as one of NetBackup's processes if its arguments say so (`<name> --internal`): returns the exit
/// code of the process, or `None` for the caller's own command line. To be called first thing in `main`, before any
/// thread is started.
pub fn dispatch(args: impl IntoIterator<Item = OsString>) -> Option<i32> {
    let mut args = args.into_iter().skip(1);
    let name = args.next()?.into_string().ok()?;
    if args.next()? != MARK {
        return None;
    }
    let run: fn(Inherited) -> i32 = match name.as_str() {
        "bpbrm" | "bpverify" | "nbdelete" | "bpduplicate" | "bpsynth" | "bpimport" | "nbreplicate" => {
            bpbrm::run
        }
        "bpbkar" => bpbkar::run,
        "bptm" => bptm::run,
        "bpdm" => bpdm::run,
        "nbrmms" => bpdm::run_as_nbrmms,
        "tar" => tar::run,
        _ => return None,
    };
    if let Ok(name) = CString::new(name.as_str()) {
        let _ = rustix::thread::set_name(&name);
    }
    let inherited = os::take_stdio().and_then(|(control, data)| {
        Ok(Inherited { link: Link::from_fd(control, "bpbrm", FIRST_ORDER_TIMEOUT)?, data: data.into() })
    });
    match inherited {
        Ok(inherited) => Some(run(inherited)),
        Err(error) => {
            eprintln!("{name}: cannot take over the connections it was started with: {error}");
            Some(26)
        }
    }
}

/// A process of a job, as its starter holds it. Dropped, it is killed and reaped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) link: Link,
    name: String,
    child: Child,
    pidfd: OwnedFd,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `name`. `data` becomes its data socket.
    pub(crate) fn start(
        installation: &Installation,
        name: &str,
        job_id: u64,
        data: Option<UnixStream>,
    ) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&installation.exe);
        command
            .arg0(name)
            .args([name, MARK])
            .stdin(OwnedFd::from(theirs))
            .stdout(data.map_or_else(Stdio::null, |data| OwnedFd::from(data).into()))
            .stderr(log_file(&installation.work_dir, job_id)?);
        if matches!(name, "bptm" | "bpdm" | "nbrmms") {
            command.env("VAST_OST_CONFIG", &installation.plugin_config);
            command.envs(&installation.plugin_env);
        }
        os::die_with_starter(&mut command);
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a started process has no process id"))?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        let link = Link::new(ours, name, installation.timeouts.client_read())?;
        Ok(Self { link, name: name.to_owned(), child, pidfd, ended: None })
    }

    /// NetBackup's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives the process its order. One that is gone already is no error here: whoever listens to it next learns how it
    /// ended.
    pub(crate) fn give_order<T: serde::Serialize>(&mut self, order: &T) -> Result<(), LinkError> {
        match self.link.send(order) {
            Err(LinkError::Broken { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
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

impl Drop for Process {
    fn drop(&mut self) {
        self.reap(Duration::ZERO);
    }
}

/// The file that takes what the processes of a job print: `logs/job-<id>.log`.
fn log_file(work_dir: &Path, job_id: u64) -> io::Result<File> {
    let dir = work_dir.join("logs");
    std::fs::create_dir_all(&dir)?;
    OpenOptions::new().create(true).append(true).open(dir.join(format!("job-{job_id}.log")))
}

/// Highest resident size of this process so far in bytes (`VmHWM`); 0 when the system does not tell.
pub(crate) fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kbytes = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kbytes.unwrap_or(0) * 1024
}
