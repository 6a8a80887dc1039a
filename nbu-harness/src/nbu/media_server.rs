//! A media server: nbrmms, which starts the owners of jobs when nbjm asks for them, looks at storage servers, and says
//! how its processes ended. Killed, it takes every process of its jobs with it; started again, it holds nothing that
//! has to be remembered.
//!
//! One connection is one order; a peer that takes its time with it, or never sends one, keeps nobody else waiting. After [`Order::Own`] the connection becomes the owner's own: nbjm and the owner talk
//! over it directly, and the media server only adds how the owner ended.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};

use super::install::Installation;
use super::process::Running;
use super::process::link::Link;
use super::process::message::FromOwner;
use super::process::os::{termination_signals, timespec};
use super::result::ProcessRecord;
use super::status::code;
use crate::bpstsinfo::{self, Answer, Query};

/// How long a peer may take for an order or an answer of one line.
const PATIENCE: Duration = Duration::from_secs(30);
/// Rest after a connection that the system could not give: the next attempt fails too while descriptors are short.
const REST: Duration = Duration::from_millis(100);

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
    /// Answer when no job runs here any more.
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

/// A connection whose order has not come yet.
struct Caller {
    link: Link,
    /// The same connection, for an owner.
    stream: UnixStream,
    until: Instant,
}

impl Caller {
    fn new(stream: UnixStream) -> io::Result<Self> {
        let link = Link::new(stream.try_clone()?, "nbjm", PATIENCE)?;
        Ok(Self { link, stream, until: Instant::now() + PATIENCE })
    }
}

fn serve(socket: &Path) -> io::Result<()> {
    let signals = termination_signals()?;
    let listener = listen(socket)?;
    let mut owners: Vec<Owner> = Vec::new();
    let mut callers: Vec<Caller> = Vec::new();
    let mut waiting: Vec<Link> = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&signals, PollFlags::IN), PollFd::new(&listener, PollFlags::IN)];
        fds.extend(owners.iter().map(|owner| PollFd::new(&owner.running, PollFlags::IN)));
        fds.extend(callers.iter().map(|caller| PollFd::new(&caller.link, PollFlags::IN)));
        let first = callers.iter().map(|caller| caller.until).min();
        let left = first.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        match poll(&mut fds, left.as_ref()) {
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
        for caller in std::mem::take(&mut callers) {
            match hear(caller) {
                Ok(Heard::Nothing(caller)) => callers.push(caller),
                Ok(Heard::Owner(owner)) => owners.push(owner),
                Ok(Heard::Waits(link)) => waiting.push(link),
                Ok(Heard::Done) => {}
                // Whoever asked has its own error.
                Err(error) => eprintln!("nbrmms: an order could not be carried out: {error}"),
            }
        }
        if ready[1] {
            match listener.accept().and_then(|(stream, _)| Caller::new(stream)) {
                Ok(caller) => callers.push(caller),
                Err(error) => {
                    eprintln!("nbrmms: a connection could not be taken: {error}");
                    std::thread::sleep(REST); // tidy: nothing announces that a descriptor is free
                }
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

enum Heard {
    /// Its order is still to come.
    Nothing(Caller),
    Owner(Owner),
    Waits(Link),
    Done,
}

/// Takes a caller's order, if it is there, and carries it out.
fn hear(caller: Caller) -> io::Result<Heard> {
    let Caller { mut link, stream, until } = caller;
    match link.poll().map_err(io::Error::other)? {
        None if link.is_closed() => Ok(Heard::Done),
        None if Instant::now() >= until => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("none came for {} s", PATIENCE.as_secs())))
        }
        None => Ok(Heard::Nothing(Caller { link, stream, until })),
        Some(Order::Quiesce) => Ok(Heard::Waits(link)),
        Some(Order::Ask { exe, config, environment, query, patience }) => {
            std::thread::spawn(move || {
                let answer = bpstsinfo::ask(&exe, &config, &environment, &query, patience).map(Box::new);
                // nbjm has its own error when it has gone.
                let _ = link.send(&Reply::Asked(answer));
            });
            Ok(Heard::Done)
        }
        Some(Order::Own { name, job_id, installation }) => {
            let to_nbjm = stream.try_clone()?;
            match Running::start(&installation, &name, job_id, stream, None) {
                Ok(running) => {
                    link.send(&Reply::Started(running.id())).map_err(io::Error::other)?;
                    Ok(Heard::Owner(Owner { running, to_nbjm }))
                }
                Err(error) => {
                    link.send(&Reply::Failed(error.to_string())).map_err(io::Error::other)?;
                    Ok(Heard::Done)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn peers_that_say_nothing_or_nonsense_keep_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("nbrmms");
        let listening = socket.clone();
        // It ends with the process that tests.
        std::thread::spawn(move || run(&listening));
        let began = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            assert!(began.elapsed() < PATIENCE, "nbrmms does not listen");
            std::thread::yield_now();
        }
        let _silent = UnixStream::connect(&socket).unwrap();
        let mut half = UnixStream::connect(&socket).unwrap();
        half.write_all(b"\"Qui").unwrap();
        let mut nonsense = UnixStream::connect(&socket).unwrap();
        nonsense.write_all(b"nonsense\n").unwrap();
        quiesce(&socket, Duration::from_secs(10)).unwrap();
        // An order that comes in pieces is one all the same.
        half.write_all(b"esce\"\n").unwrap();
        let mut link = Link::new(half, "nbrmms", PATIENCE).unwrap();
        assert!(matches!(link.receive(Duration::from_secs(10)), Ok(Some(Reply::Quiet))));
    }
}
