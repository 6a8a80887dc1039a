//! `tpconfig`: credentials of media servers for storage servers. They are tried on the storage server before they are
//! kept. A password that is not given on the command line, where other users could see it, is read from standard input.
//!
//! In NetBackup the command runs on the media server concerned; here `-media_server` names it, and without it the one
//! that the storage server was set up with is meant.

use super::ask::ask;
use super::options::{Given, Verb, flag, needed, optional};
use super::{CommandError, Context};
use crate::emm::{Credentials, Emm, Secret, server_key};
use std::fmt::Write;
use std::io::BufRead;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "-add",
        options: &[
            needed("-storage_server", "NAME"),
            needed("-stype", "TYPE"),
            needed("-sts_user_id", "USER"),
            optional("-password", "PASSWORD"),
            optional("-media_server", "NAME"),
        ],
        run: add,
    },
    Verb {
        name: "-update",
        options: &[
            needed("-storage_server", "NAME"),
            needed("-stype", "TYPE"),
            needed("-sts_user_id", "USER"),
            optional("-password", "PASSWORD"),
            optional("-media_server", "NAME"),
        ],
        run: update,
    },
    Verb {
        name: "-delete",
        options: &[
            needed("-storage_server", "NAME"),
            needed("-stype", "TYPE"),
            optional("-sts_user_id", "USER"),
            optional("-media_server", "NAME"),
        ],
        run: delete,
    },
    Verb { name: "-dsh", options: &[optional("-stype", "TYPE"), flag("-all_hosts")], run: list },
];

/// Storage server with its type, and the media server that is meant.
fn whom(given: &Given, emm: &Emm) -> Result<(String, String), CommandError> {
    let key = server_key(given.need("-stype")?, given.need("-storage_server")?);
    let database = emm.read()?;
    let own = &database.storage_server(&key)?.media_server;
    let media_server = given.value("-media_server").unwrap_or(own).to_owned();
    database.media_server(&media_server)?;
    Ok((key, media_server))
}

fn password(given: &Given) -> Result<Secret, CommandError> {
    if let Some(password) = given.value("-password") {
        return Ok(Secret::new(password.to_owned()));
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read {
        Ok(1..) => Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned())),
        Ok(0) => Err(CommandError::usage("there is no -password, and no line on standard input".into())),
        Err(error) => Err(CommandError { status: 11, text: format!("cannot read the password: {error}") }),
    }
}

/// The credentials that are given, once the storage server has taken them; and what it said then.
fn tried(
    context: &Context,
    given: &Given,
    emm: &Emm,
) -> Result<(Credentials, super::ask::Asked), CommandError> {
    let user = given.need("-sts_user_id")?.to_owned();
    if user.is_empty() {
        let text = "-sts_user_id is empty: a storage server is opened with a user";
        return Err(CommandError::usage(text.into()));
    }
    let (storage_server, media_server) = whom(given, emm)?;
    let credentials = Credentials { media_server, storage_server, user, password: password(given)? };
    let database = emm.read()?;
    let host = database.media_server(&credentials.media_server)?;
    let asked = ask(context, host, &credentials.storage_server, Some(&credentials), &emm.settings()?)?;
    Ok((credentials, asked))
}

fn add(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let (credentials, asked) = tried(context, given, &emm)?;
    let (key, settings) = (credentials.storage_server.clone(), emm.settings()?);
    // What further media servers can do is not what the storage server was set up to do: `nbdevconfig -updatests` asks them.
    let is_first = emm.read()?.storage_server(&key)?.media_server == credentials.media_server;
    emm.change_credentials(|store, database| store.add(database, credentials))?;
    if is_first {
        emm.change(|database, _| database.refresh(&key, asked.report, asked.volumes.as_deref(), &settings))?;
    }
    Ok(String::new())
}

fn update(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let (credentials, _) = tried(context, given, &emm)?;
    emm.change_credentials(|store, _| store.update(credentials))?;
    Ok(String::new())
}

fn delete(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let (key, media_server) = whom(given, &emm)?;
    emm.change_credentials(|store, _| store.remove(&media_server, &key, given.value("-sts_user_id")))?;
    Ok(String::new())
}

/// The listing; its shape is as the documentation of several vendors shows it.
fn list(context: &Context, given: &Given) -> Result<String, CommandError> {
    context.existing()?;
    let emm = context.emm()?;
    let (database, store) = (emm.read()?, emm.credentials()?);
    let mut text = String::new();
    for held in store.iter() {
        let server = database.storage_server(&held.storage_server)?;
        if given.value("-stype").is_some_and(|wanted| wanted != server.server_type) {
            continue;
        }
        let rule = "=".repeat(78);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{rule}\nMedia Server:           {}", held.media_server);
        let _ =
            writeln!(text, "Storage Server:         {}\nUser Id:                {}", server.name, held.user);
        let _ = writeln!(text, "    Storage Server Type:    {}\n{rule}", server.server_type);
    }
    Ok(text)
}
