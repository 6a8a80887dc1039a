//! `bpstsinfo` for people: `-plugininfo` (`-pi`), `-serverinfo` (`-si`) and `-lsuinfo` (`-li`).
//!
//! The real command's labels are not public in full; the words here are those of the interface.

use super::ask::{all_listed, answer};
use super::options::{Given, Opt, Verb, needed, optional};
use super::{CommandError, Context};
use crate::bpstsinfo::{Answer, LsuFacts, Query, ServerFacts, ask};
use crate::emm::{MediaServer, server_key};
use crate::nearest::{hint, nearest};
use ost_abi::{STS_CAPABILITIES, STS_EOK, STSPI_THREADS_MULTI, sts_error_text};
use std::fmt::Write;
use std::time::Duration;

const PLUGINS: &[Opt] = &[optional("-media_server", "NAME")];
const SERVER: &[Opt] =
    &[needed("-storage_server", "NAME"), needed("-stype", "TYPE"), optional("-media_server", "NAME")];
const LSUS: &[Opt] = &[
    needed("-storage_server", "NAME"),
    needed("-stype", "TYPE"),
    optional("-lsu_name", "LSU"),
    optional("-media_server", "NAME"),
];

pub(super) const VERBS: &[Verb] = &[
    Verb { name: "-pi", options: PLUGINS, run: plugins },
    Verb { name: "-plugininfo", options: PLUGINS, run: plugins },
    Verb { name: "-si", options: SERVER, run: server },
    Verb { name: "-serverinfo", options: SERVER, run: server },
    Verb { name: "-li", options: LSUS, run: lsus },
    Verb { name: "-lsuinfo", options: LSUS, run: lsus },
];

/// Lines of label and value below a heading.
struct Block(String);

impl Block {
    fn new(heading: &str) -> Self {
        Self(format!("{heading}\n"))
    }

    fn line(&mut self, label: &str, value: impl std::fmt::Display) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "    {:<26}{value}", format!("{label}:"));
    }
}

fn plugins(context: &Context, given: &Given) -> Result<String, CommandError> {
    context.existing()?;
    let emm = context.emm()?;
    let (database, settings) = (emm.read()?, emm.settings()?);
    let hosts: Vec<&MediaServer> = match given.value("-media_server") {
        Some(name) => vec![database.media_server(name)?],
        None => database.media_servers().iter().collect(),
    };
    let mut text = String::new();
    for host in hosts {
        let install = &host.plugin;
        for library in [Some(&install.library), install.library_mt.as_ref()].into_iter().flatten() {
            let query = Query { plugin: library.clone(), claim: Vec::new(), open: None };
            let patience = Duration::from_secs(settings.plugin_patience_seconds);
            let answer = ask(&context.exe, &install.config, &install.env, &query, patience);
            let mut block = Block::new(&format!("Plug-in of {}:", host.name));
            block.line("Library", library.display());
            match answer.map(|answer| (answer.plugin, answer.load_error)) {
                Ok((Some(facts), _)) => {
                    block.line("Name", &facts.name);
                    block.line("Prefix", &facts.prefix);
                    block.line("Label", &facts.label);
                    block.line("Version", &facts.build_version);
                    block.line("Interface", facts.interface_version);
                    let threads = if facts.thread_model == STSPI_THREADS_MULTI { "multi" } else { "single" };
                    block.line("Threads", threads);
                }
                Ok((None, error)) => block.line("Error", error.unwrap_or_default()),
                Err(error) => block.line("Error", error),
            }
            text.push_str(&block.0);
        }
    }
    Ok(text)
}

/// The plug-in's answer about the storage server that is named.
fn asked(context: &Context, given: &Given) -> Result<(String, Answer), CommandError> {
    context.existing()?;
    let emm = context.emm()?;
    let (database, store) = (emm.read()?, emm.credentials()?);
    let key = server_key(given.need("-stype")?, given.need("-storage_server")?);
    let own = &database.storage_server(&key)?.media_server;
    let host = database.media_server(given.value("-media_server").unwrap_or(own))?;
    // Without credentials the server is asked for by its name: better than nothing.
    let credentials = store.get(&host.name, &key).ok();
    let answer = answer(context, host, &key, credentials, &emm.settings()?)?;
    Ok((key, answer))
}

fn server(context: &Context, given: &Given) -> Result<String, CommandError> {
    let (key, answer) = asked(context, given)?;
    let Some(facts) = answer.server.as_ref().or(answer.by_name.as_ref()) else {
        let code = answer.open_code.unwrap_or(STS_EOK);
        let text = format!("{key}: the plug-in says nothing of it (error {code}: {})", sts_error_text(code));
        return Err(CommandError { status: 2106, text });
    };
    let ServerFacts { name, description, flags, capabilities } = facts;
    let mut block = Block::new("Server Info:");
    block.line("Name", name);
    block.line("Description", description);
    block.line("Opened", if answer.server.is_some() { "yes" } else { "no, by its name only" });
    block.line("Flags", format_args!("{flags:#x}"));
    for row in STS_CAPABILITIES {
        let has = if capabilities.contains(&row.index) { "yes" } else { "no" };
        block.line(row.name, has);
    }
    Ok(block.0)
}

fn lsus(context: &Context, given: &Given) -> Result<String, CommandError> {
    let (key, answer) = asked(context, given)?;
    if answer.open_code != Some(STS_EOK) {
        let code = answer.open_code.unwrap_or(STS_EOK);
        let text = format!(
            "{key} could not be opened (error {code}: {}): its LSUs need credentials, see tpconfig",
            sts_error_text(code)
        );
        return Err(CommandError { status: 2106, text });
    }
    all_listed(&answer, &key)?;
    let wanted = given.value("-lsu_name");
    let found: Vec<&LsuFacts> =
        answer.lsus.iter().filter(|lsu| wanted.is_none_or(|name| name == lsu.name)).collect();
    if let Some(name) = wanted.filter(|_| found.is_empty()) {
        let meant = hint(nearest(name, answer.lsus.iter().map(|lsu| lsu.name.as_str())));
        return Err(CommandError { status: 227, text: format!("{key} has no LSU {name}{meant}") });
    }
    let figure = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), |bytes| bytes.to_string());
    let blocks = found.into_iter().map(|lsu| {
        let mut block = Block::new("LSU Info:");
        block.line("Name", &lsu.name);
        if lsu.code != STS_EOK {
            block.line("Error", format_args!("{} ({})", lsu.code, sts_error_text(lsu.code)));
            return block.0;
        }
        block.line("Capacity", figure(lsu.capacity));
        block.line("Used", figure(lsu.used));
        block.line("Media flags", format_args!("{:#x}", lsu.media));
        block.line("Block size", lsu.block_size);
        block.line("Max transfer", lsu.max_transfer);
        let any = |seconds: Option<u64>| seconds.map_or("any".to_owned(), |seconds| seconds.to_string());
        block.line("Lock min, max", format_args!("{} {}", any(lsu.worm_min), any(lsu.worm_max)));
        block.0
    });
    Ok(blocks.collect())
}
