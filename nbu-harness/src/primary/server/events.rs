//! nbrmms asks a disk volume for its events, for the import manager.

use super::{Happened, POLL, Server};
use crate::bpstsinfo::{OpenQuery, Query};
use crate::nbu::media_server::ask_plugin;
use crate::primary::nbstserv::ToldEvent;

impl Server {
    /// Asks on a media server; the answer comes as something that happened.
    pub(super) fn ask_events(&self, volume: String, media_server: String) {
        let Some(core) = &self.core else { return };
        let found = core.config().volumes.get(&volume).zip(self.installation(&media_server));
        let (socket, send) = (self.media_socket(&media_server), self.send.clone());
        let Some((at, installation)) = found else {
            // The volume went with another configuration.
            let _ = send.send(Happened::Told(volume, None));
            return;
        };
        let query = Query {
            plugin: installation.plugin.clone(),
            claim: Vec::new(),
            open: Some(OpenQuery {
                server: at.server.clone(),
                user: at.user.clone(),
                password: at.password.clone(),
                unknown_lsu: String::new(),
                events_of: at.lsu.clone(),
            }),
        };
        std::thread::spawn(move || {
            let answer = ask_plugin(&socket, &installation, query, POLL);
            if answer.is_err() {
                let _ = send.send(Happened::MediaServerLost(media_server));
            }
            let events = answer.ok().and_then(Result::ok).and_then(|answer| answer.events);
            let told = events.map(|events| {
                let told = events.into_iter().map(|event| ToldEvent { number: event.number, slp: event.slp });
                told.collect()
            });
            let _ = send.send(Happened::Told(volume, told));
        });
    }
}
