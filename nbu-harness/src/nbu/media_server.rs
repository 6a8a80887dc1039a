//! A media server: nbrmms, which starts the owners of jobs when nbjm asks for them, looks at storage servers, and says
//! how its processes ended. Killed, it takes every process of its jobs with it; started again, it holds nothing that
//! has to be remembered.
//!
//! One connection is one order. After [`Order::Own`] the connection becomes the owner's own: nbjm and the owner talk
//! over it directly, and the media server only adds how the owner ended.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};

use super::install::Installation;
use super::process::Running;
use super::process::link::Link;
use super::process::message::FromOwner;
use super::process::os::termination_signals;
use super::result::ProcessRecord;
use super::status::code;
use crate::bpstsinfo::{self, Answer, Query};

/// How long a peer may take for an order or an answer of one line.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a media server is asked for.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Start the owner of a job on this connection.
    Own { name: String, job_id: u64, installation: Box<Installation> },
    /// Ask a plug-in.
    Ask {
        exe: PathBuf,
        config: PathBuf,
        environment: BTreeMap<String, String>,
        query: Box<Query>,
        patience: Duration,
    },
    /// Answer when no job of an earlier primary is left.
    Quiesce,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Started(u32),
    Asked(Result<Box<Answer>, String>),
    Quiet,
    Failed(String),
}

/// Starts the owner of a job on the media server that listens at `socket`; returns the connection to it and its
/// process id.
pub(crate) fn start_owner(
    socket: &Path,
    installation: &Installation,
    name: &str,
    job_id: u64,
) -> io::Result<(Link, u32)> {
    let order = Order::Own { name: name.to_owned(), job_id, installation: Box::new(installation.clone()) };
    match ask_once(socket, name, &order, PATIENCE)? {
        (link, Reply::Started(pid)) => Ok((link, pid)),
        (_, Reply::Failed(what)) => Err(io::Error::other(what)),
        (_, other) => Err(unexpected(&other)),
    }
}

/// Has a plug-in asked on the media server. The inner error is `bpstsinfo`'s.
pub(crate) fn ask_plugin(
    socket: &Path,
    installation: &Installation,
    query: Query,
    patience: Duration,
) -> io::Result<Result<Answer, String>> {
    let (exe, config) = (installation.exe.clone(), installation.plugin_config.clone());
    let environment = installation.plugin_env.clone();
    let order = Order::Ask { exe, config, environment, query: Box::new(query), patience };
    match ask_once(socket, "nbrmms", &order, patience + PATIENCE)?.1 {
        Reply::Asked(answer) => Ok(answer.map(|answer| *answer)),
        other => Err(unexpected(&other)),
    }
}

/// Waits until no job runs on the media server any more.
pub(crate) fn quiesce(socket: &Path, patience: Duration) -> io::Result<()> {
    match ask_once(socket, "nbrmms", &Order::Quiesce, patience)?.1 {
        Reply::Quiet => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn ask_once(socket: &Path, peer: &str, order: &Order, patience: Duration) -> io::Result<(Link, Reply)> {
    let mut link = Link::new(UnixStream::connect(socket)?, peer, PATIENCE)?;
    link.send(order).map_err(io::Error::other)?;
    match link.receive(patience).map_err(io::Error::other)? {
        Some(reply) => Ok((link, reply)),
        None => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
    }
}

fn unexpected(reply: &Reply) -> io::Error {
    io::Error::other(format!("the media server answered {reply:?}"))
}

/// An owner that runs here, with the connection that it has with nbjm.
struct Owner {
    running: Running,
    to_nbjm: UnixStream,
}

/// Runs the process, listening at `socket`; returns its exit code.
pub(crate) fn run(socket: &Path) -> i32 {
    match serve(socket) {
        Ok(()) => code::OK,
        Err(error) => {
            eprintln!("nbrmms: {}: {error}", socket.display());
            code::SYSTEM_CALL
        }
    }
}

fn serve(socket: &Path) -> io::Result<()> {
    let signals = termination_signals()?;
    let listener = listen(socket)?;
    let mut owners: Vec<Owner> = Vec::new();
    let mut waiting: Vec<Link> = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&signals, PollFlags::IN), PollFd::new(&listener, PollFlags::IN)];
        fds.extend(owners.iter().map(|owner| PollFd::new(&owner.running, PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[0] {
            return Ok(());
        }
        for index in (0..owners.len()).rev().filter(|index| ready[index + 2]) {
            let Owner { mut running, to_nbjm } = owners.swap_remove(index);
            tell_end(to_nbjm, running.reap(Duration::ZERO));
        }
        if ready[1] {
            let (stream, _) = listener.accept()?;
            match take_order(stream) {
                Ok(Taken::Owner(owner)) => owners.push(owner),
                Ok(Taken::Waits(link)) => waiting.push(link),
                Ok(Taken::Done) => {}
                // Whoever asked has its own error.
                Err(error) => eprintln!("nbrmms: an order could not be carried out: {error}"),
            }
        }
        if owners.is_empty() {
            for mut link in waiting.drain(..) {
                let _ = link.send(&Reply::Quiet);
            }
        }
    }
}

/// Listens at a path, in place of whoever listened there before.
pub(crate) fn listen(socket: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(socket)
}

enum Taken {
    Owner(Owner),
    Waits(Link),
    Done,
}

fn take_order(stream: UnixStream) -> io::Result<Taken> {
    let theirs = stream.try_clone()?;
    let mut link = Link::new(stream, "nbjm", PATIENCE)?;
    match link.receive(PATIENCE).map_err(io::Error::other)? {
        None => Ok(Taken::Done),
        Some(Order::Quiesce) => Ok(Taken::Waits(link)),
        Some(Order::Ask { exe, config, environment, query, patience }) => {
            std::thread::spawn(move || {
                let answer = bpstsinfo::ask(&exe, &config, &environment, &query, patience).map(Box::new);
                // nbjm has its own error when it has gone.
                let _ = link.send(&Reply::Asked(answer));
            });
            Ok(Taken::Done)
        }
        Some(Order::Own { name, job_id, installation }) => {
            let to_nbjm = theirs.try_clone()?;
            match Running::start(&installation, &name, job_id, theirs, None) {
                Ok(running) => {
                    link.send(&Reply::Started(running.id())).map_err(io::Error::other)?;
                    Ok(Taken::Owner(Owner { running, to_nbjm }))
                }
                Err(error) => {
                    link.send(&Reply::Failed(error.to_string())).map_err(io::Error::other)?;
                    Ok(Taken::Done)
                }
            }
        }
    }
}

/// The last message of an owner's connection.
fn tell_end(to_nbjm: UnixStream, record: ProcessRecord) {
    if let Ok(mut link) = Link::new(to_nbjm, "nbjm", PATIENCE) {
        // nbjm has gone when this fails, and nobody is left to be told.
        let _ = link.send(&FromOwner::Ended(record));
    }
}
