//! What the primary has done on media servers: tries of jobs, each followed by a thread, and looks at disk volumes.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::{GO_ON, Happened, POLL, SUSPEND, Server};
use crate::bpstsinfo::{Answer, OpenQuery, Query};
use crate::nbu::media_server::ask_plugin;
use crate::nbu::{BackupRequest, JobControl, JobEvent, JobResult, order::JobRequest, run_on};
use crate::primary::event::Polled;
use crate::primary::multiplex::Group;

impl Server {
    /// Starts a try; a thread follows it to its end.
    pub(super) fn start(&mut self, id: u64, media_server: String, request: JobRequest) {
        let Some(installation) = self.installation(&media_server) else { return };
        let socket = self.media_socket(&media_server);
        let stop = Arc::new(AtomicU8::new(GO_ON));
        self.stops.insert(id, Arc::clone(&stop));
        let group = self.group(&request);
        let send = self.send.clone();
        let silence = self.core.as_ref().map_or(0, |core| core.config().globals.job_silence_ms);
        let silence = Duration::from_millis(silence);
        std::thread::spawn(move || {
            let result = JobResult::empty(request.kind(), id, request.backup_id());
            let mut progress = |event: &JobEvent| {
                if !matches!(event, JobEvent::Quiet) {
                    let _ = send.send(Happened::Event(id, event.clone()));
                }
                if let (JobEvent::ImageOpen, Some(group)) = (event, &group) {
                    group.open(id);
                }
                match stop.load(Ordering::Relaxed) {
                    GO_ON => match group.as_ref().and_then(|group| group.whole()) {
                        Some(images) => JobControl::Interleave { images },
                        None => JobControl::Continue,
                    },
                    SUSPEND => JobControl::Suspend,
                    _ => JobControl::Cancel,
                }
            };
            let (result, reported) = run_on(&socket, &installation, request, result, silence, &mut progress);
            if let Some(group) = &group {
                group.over(id);
            }
            // A media server that nobody can reach gets no other job until it is back.
            if UnixStream::connect(&socket).is_err() {
                let _ = send.send(Happened::MediaServerLost(media_server));
            }
            let _ = send.send(Happened::TryEnded(id, Box::new(result), reported));
        });
    }

    /// The multiplexed group of a backup, if it is in one.
    fn group(&mut self, request: &JobRequest) -> Option<Arc<Group>> {
        let JobRequest::Backup(BackupRequest { multiplexed: Some(group), .. }) = request else { return None };
        // One that is not whole has backups that are still to be started: they have to find what the others did.
        self.groups.retain(|_, other| other.whole().is_none());
        let group_of = self.groups.entry(group.number).or_insert_with(|| Arc::new(Group::of(*group)));
        Some(Arc::clone(group_of))
    }

    pub(super) fn poll(&self, volume: String, media_server: String) {
        let Some(core) = &self.core else { return };
        let found = core.config().volumes.get(&volume).zip(self.installation(&media_server));
        let Some((at, installation)) = found else { return };
        let (at, socket, send) = (at.clone(), self.media_socket(&media_server), self.send.clone());
        std::thread::spawn(move || {
            let query = Query {
                plugin: installation.plugin.clone(),
                claim: Vec::new(),
                open: Some(OpenQuery {
                    server: at.server,
                    user: at.user,
                    password: at.password,
                    unknown_lsu: "no-such-lsu".into(),
                    events_of: String::new(),
                }),
            };
            let answer = ask_plugin(&socket, &installation, query, POLL);
            let polled = match answer {
                Ok(Ok(answer)) => seen(volume, &at.lsu, &answer),
                Ok(Err(_)) => Polled { volume, server_up: false, lsu_up: false, space: None },
                Err(_) => {
                    let _ = send.send(Happened::MediaServerLost(media_server));
                    let _ = send.send(Happened::NotPolled(volume));
                    return;
                }
            };
            let _ = send.send(Happened::Polled(polled));
        });
    }
}

/// What an answer says of a disk volume.
fn seen(volume: String, lsu: &str, answer: &Answer) -> Polled {
    let server_up = answer.load_error.is_none() && answer.open_code == Some(0);
    let facts = answer.lsus.iter().find(|facts| facts.name == lsu && facts.code == 0);
    let space = facts.and_then(|facts| facts.capacity.zip(facts.used));
    Polled { volume, server_up, lsu_up: facts.is_some(), space }
}
