//! Asking the plug-in of a media server about a storage server, through a process of its own.

use super::{CommandError, Context};
use crate::bpstsinfo::{Answer, OpenQuery, Query, ServerFacts};
use crate::emm::{Credentials, MediaServer, ServerReport, Settings, VolumeReport};
use ost_abi::{STS_EAUTH, STS_ENOENT, STS_EOK, sts_error_text};
use std::time::Duration;

/// Storage server down or unavailable.
const SERVER_DOWN: i32 = 2106;

/// What a plug-in said of a storage server.
#[derive(Debug)]
pub(super) struct Asked {
    /// Of the server.
    pub(super) report: ServerReport,
    /// Of its LSUs, by name; `None` when the server was not opened, for want of credentials.
    pub(super) volumes: Option<Vec<VolumeReport>>,
}

/// The plug-in's whole answer about a storage server, which it must claim.
pub(super) fn answer(
    context: &Context,
    media_server: &MediaServer,
    server: &str,
    credentials: Option<&Credentials>,
    settings: &Settings,
) -> Result<Answer, CommandError> {
    let plugin = media_server.plugin.library_for(crate::bpstsinfo::NAME, &settings.multi_threaded);
    let query = Query {
        plugin: plugin.to_path_buf(),
        claim: vec![server.to_owned()],
        open: Some(OpenQuery {
            server: server.to_owned(),
            user: credentials.map(|held| held.user.clone()).unwrap_or_default(),
            password: credentials.map(|held| held.password.reveal().to_owned()).unwrap_or_default(),
            unknown_lsu: String::new(),
            events_of: String::new(),
        }),
    };
    let patience = Duration::from_secs(settings.plugin_patience_seconds);
    let install = &media_server.plugin;
    let where_to = format!("media server {}, plug-in {}", media_server.name, plugin.display());
    let answer = crate::bpstsinfo::ask(&context.exe, &install.config, &install.env, &query, patience)
        .map_err(|error| CommandError { status: SERVER_DOWN, text: format!("{where_to}: {error}") })?;
    if let Some(error) = &answer.load_error {
        let text = format!("{where_to}: {error}: check -plugin of nbemmcmd");
        return Err(CommandError { status: 11, text });
    }
    match answer.claims.first() {
        Some((_, STS_EOK)) => Ok(answer),
        Some((_, code)) => {
            let prefix = answer.plugin.as_ref().map_or("?", |facts| facts.prefix.as_str());
            let text = format!(
                "{where_to}: it does not claim {server} (error {code}: {}): its type is {prefix}, check -stype and \
                 the plug-in's configuration",
                sts_error_text(*code)
            );
            Err(CommandError { status: 20, text })
        }
        None => Err(CommandError::usage(format!("{server} cannot be the name of a storage server"))),
    }
}

/// Asks about a storage server. With credentials it is opened, and that must work.
pub(super) fn ask(
    context: &Context,
    media_server: &MediaServer,
    server: &str,
    credentials: Option<&Credentials>,
    settings: &Settings,
) -> Result<Asked, CommandError> {
    let answer = answer(context, media_server, server, credentials, settings)?;
    let opened = answer.open_code;
    if let Some(code) = opened.filter(|code| *code != STS_EOK) {
        return Err(refused(&answer, server, "stspi_open_server", code));
    }
    if opened.is_none() && credentials.is_some() {
        let text =
            format!("{server} was not opened: its credentials have no user: set one with tpconfig -update");
        return Err(CommandError { status: SERVER_DOWN, text });
    }
    let plugin = answer.plugin.as_ref();
    let facts: Option<&ServerFacts> = answer.server.as_ref().or(answer.by_name.as_ref());
    let Some(facts) = facts else {
        let text = format!(
            "media server {}: its plug-in says nothing of the storage server {server}, neither by its name nor opened",
            media_server.name
        );
        return Err(CommandError { status: SERVER_DOWN, text: with_log(&text, &answer) });
    };
    let report = ServerReport {
        plugin: plugin.map(|facts| facts.name.clone()).unwrap_or_default(),
        version: plugin.map(|facts| facts.build_version.clone()).unwrap_or_default(),
        description: facts.description.clone(),
        server_flags: facts.flags,
        capabilities: facts.capabilities.clone(),
    };
    if opened.is_none() {
        return Ok(Asked { report, volumes: None });
    }
    all_listed(&answer, server)?;
    if let Some(lsu) = answer.lsus.iter().find(|lsu| lsu.code != STS_EOK) {
        return Err(refused(
            &answer,
            server,
            &format!("stspi_get_lsu_prop_byname of {}", lsu.name),
            lsu.code,
        ));
    }
    let mut volumes: Vec<_> = answer
        .lsus
        .iter()
        .map(|lsu| VolumeReport {
            name: lsu.name.clone(),
            capacity: lsu.capacity,
            used: lsu.used,
            lsu_flags: lsu.media,
            worm_min: lsu.worm_min,
            worm_max: lsu.worm_max,
        })
        .collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Asked { report, volumes: Some(volumes) })
}

/// The LSUs of an opened storage server must be all of them: one that is not in the answer counts as gone.
pub(super) fn all_listed(answer: &Answer, server: &str) -> Result<(), CommandError> {
    match answer.list_end_code {
        Some(STS_ENOENT) => Ok(()),
        Some(code) => Err(refused(answer, server, "the list of LSUs", code)),
        None => {
            let text = format!(
                "{server} has {} or more LSUs, and no more than that are listed: let its user see fewer",
                answer.lsus.len()
            );
            Err(CommandError { status: SERVER_DOWN, text })
        }
    }
}

/// The plug-in's refusal, in the words of a job's details, with what it logged.
fn refused(answer: &Answer, server: &str, call: &str, code: i32) -> CommandError {
    let what = sts_error_text(code);
    let hint = if code == STS_EAUTH { ": check -sts_user_id and -password of tpconfig" } else { "" };
    let error =
        format!("Storage Server Error: (Storage server: {server}) {call}: error {code}: {what}{hint}");
    CommandError { status: SERVER_DOWN, text: with_log(&error, answer) }
}

/// An error, and below it what the plug-in logged.
fn with_log(error: &str, answer: &Answer) -> String {
    let lines: Vec<_> = [error].into_iter().chain(answer.log.iter().map(String::as_str)).collect();
    lines.join("\n  ")
}
