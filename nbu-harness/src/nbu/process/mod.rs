//! Starting and being one of a job's processes: this program executed again, under NetBackup's name.
//!
//! A process of a job gets its control connection as standard input, its data socket (if it has one) as standard output, and
//! the job's log file as standard error.

pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod os;
mod running;

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use self::link::{Link, LinkError};
pub(crate) use self::running::Running;
use super::install::Installation;
use super::result::ProcessRecord;
use super::{bpbkar, bpbrm, bpdm, bptm, media_server, tar};

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
    // The servers: one argument, no connection.
    let serve: Option<fn(&Path) -> i32> = match name.as_str() {
        "nbrmms" => Some(media_server::run),
        "nbprimary" => Some(crate::primary::run),
        _ => None,
    };
    if let Some(serve) = serve {
        let argument = args.next()?;
        name_process(&name);
        return Some(serve(Path::new(&argument)));
    }
    let run: fn(Inherited) -> i32 = match name.as_str() {
        "bpbrm" | "bpverify" | "nbdelete" | "bpduplicate" | "bpsynth" => bpbrm::run,
        "bpbkar" => bpbkar::run,
        "bptm" => bptm::run,
        "bpdm" => bpdm::run,
        "tar" => tar::run,
        _ => return None,
    };
    name_process(&name);
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

/// Makes `ps` show NetBackup's name; without effect where the system refuses.
fn name_process(name: &str) {
    if let Ok(name) = CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}

/// A process of a job with its control connection, as its starter holds it. Dropped, it is killed and reaped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) link: Link,
    running: Running,
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
        let running = Running::start(installation, name, job_id, theirs, data)?;
        let link = Link::new(ours, name, installation.timeouts.client_read())?;
        Ok(Self { link, running })
    }

    /// NetBackup's name.
    pub(crate) fn name(&self) -> &str {
        self.running.name()
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.running.id()
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
        self.running.signal(signal);
    }

    /// Waits for its end, kills it when that takes longer than `timeout`, and says how it ended.
    pub(crate) fn reap(&mut self, timeout: Duration) -> ProcessRecord {
        self.running.reap(timeout)
    }
}

/// Highest resident size of this process so far in bytes (`VmHWM`); 0 when the system does not tell.
pub(crate) fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kbytes = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kbytes.unwrap_or(0) * 1024
}
