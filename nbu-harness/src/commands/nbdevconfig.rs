//! `nbdevconfig`: storage servers and disk pools, from what the plug-in says of them.

use super::ask::{Asked, ask};
use super::options::{Given, Verb, needed, optional};
use super::{CommandError, Context, volume_lines};
use crate::emm::{
    Database, Emm, EmmError, NewPool, NewServer, PoolValues, StateChange, StorageType, VolumeReport,
    server_key,
};
use crate::nearest::{hint_ended, nearest};

/// Credentials are missing on the media server.
const NO_CREDENTIALS: i32 = 2107;

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "-creatests",
        options: &[
            needed("-storage_server", "NAME"),
            needed("-stype", "TYPE"),
            needed("-media_server", "NAME"),
            optional("-st", "N"),
        ],
        run: create_server,
    },
    Verb {
        name: "-updatests",
        options: &[
            needed("-storage_server", "NAME"),
            needed("-stype", "TYPE"),
            optional("-media_server", "NAME"),
        ],
        run: update_server,
    },
    Verb {
        name: "-deletests",
        options: &[needed("-storage_server", "NAME"), needed("-stype", "TYPE")],
        run: delete_server,
    },
    Verb {
        name: "-previewdv",
        options: &[
            needed("-storage_servers", "NAME"),
            needed("-stype", "TYPE"),
            optional("-media_server", "NAME"),
        ],
        run: preview,
    },
    Verb {
        name: "-createdp",
        options: &[
            needed("-dp", "POOL"),
            needed("-stype", "TYPE"),
            needed("-storage_servers", "NAME"),
            needed("-dvlist", "FILE"),
            optional("-media_server", "NAME"),
            optional("-hwm", "PERCENT"),
            optional("-lwm", "PERCENT"),
            optional("-max_io_streams", "N"),
            optional("-comment", "TEXT"),
        ],
        run: create_pool,
    },
    Verb {
        name: "-updatedp",
        options: &[
            needed("-dp", "POOL"),
            needed("-stype", "TYPE"),
            optional("-hwm", "PERCENT"),
            optional("-lwm", "PERCENT"),
            optional("-max_io_streams", "N"),
            optional("-comment", "TEXT"),
        ],
        run: update_pool,
    },
    Verb { name: "-deletedp", options: &[needed("-dp", "POOL"), needed("-stype", "TYPE")], run: delete_pool },
    Verb {
        name: "-changestate",
        options: &[
            needed("-stype", "TYPE"),
            optional("-storage_server", "NAME"),
            optional("-dp", "POOL"),
            optional("-dv", "VOLUME"),
            needed("-state", "UP|DOWN|RESET"),
        ],
        run: change_state,
    },
];

/// Type and name as one.
fn key(given: &Given, option: &str) -> Result<String, CommandError> {
    Ok(server_key(given.need("-stype")?, given.need(option)?))
}

/// Changes the pool that is named, which must be of the type that is named.
fn change_pool(
    emm: &Emm,
    given: &Given,
    change: impl FnOnce(&mut Database, &str) -> Result<(), EmmError>,
) -> Result<(), CommandError> {
    let (name, stype) = (given.need("-dp")?, given.need("-stype")?);
    emm.change(|database, _| {
        let server = database.storage_server(&database.disk_pool(name)?.storage_server)?;
        if server.server_type != stype {
            let expected = format!("the disk pool {name} is of type {}", server.server_type);
            return Err(EmmError::BadValue { what: "as -stype".into(), value: stype.into(), expected });
        }
        change(database, name)
    })?;
    Ok(())
}

fn create_server(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let (key, settings) = (key(given, "-storage_server")?, emm.settings()?);
    let storage_type = match given.number("-st")? {
        None => StorageType::default(),
        Some(number) => StorageType::new(number).ok_or_else(|| {
            let text = format!(
                "-st {number}: it is 5, 6, 9 or 10: 1 (formatted) or 2 (raw), and 4 (direct) or 8 (network)"
            );
            CommandError::usage(text)
        })?,
    };
    let (name, media_server) = (given.need("-storage_server")?, given.need("-media_server")?);
    let asked = ask(context, emm.read()?.media_server(media_server)?, &key, None, &settings)?;
    let new = NewServer {
        name: name.to_owned(),
        server_type: given.need("-stype")?.to_owned(),
        storage_type,
        media_server: media_server.to_owned(),
        report: asked.report,
    };
    emm.change(|database, _| database.add_storage_server(new, &settings))?;
    Ok(format!("Storage server {name} has been successfully created\n"))
}

/// Asks a media server with credentials about the storage server: the one that is given, or the one it was set up
/// with.
fn ask_opened(context: &Context, given: &Given, emm: &Emm, key: &str) -> Result<Asked, CommandError> {
    let (database, store, settings) = (emm.read()?, emm.credentials()?, emm.settings()?);
    let own = &database.storage_server(key)?.media_server;
    let host = database.media_server(given.value("-media_server").unwrap_or(own))?;
    let credentials = store.get(&host.name, key).map_err(|error| CommandError {
        status: NO_CREDENTIALS,
        text: format!("{error}: add it with tpconfig -add"),
    })?;
    ask(context, host, key, Some(credentials), &settings)
}

fn update_server(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let (key, settings) = (key(given, "-storage_server")?, emm.settings()?);
    let asked = ask_opened(context, given, &emm, &key)?;
    emm.change(|database, _| database.refresh(&key, asked.report, asked.volumes.as_deref(), &settings))?;
    Ok(format!("Storage server {} has been successfully updated\n", given.need("-storage_server")?))
}

fn delete_server(context: &Context, given: &Given) -> Result<String, CommandError> {
    let key = key(given, "-storage_server")?;
    context.emm()?.change(|database, credentials| database.remove_storage_server(&key, credentials))?;
    Ok(format!("Storage server {} has been successfully deleted\n", given.need("-storage_server")?))
}

fn preview(context: &Context, given: &Given) -> Result<String, CommandError> {
    context.existing()?;
    let asked = ask_opened(context, given, &context.emm()?, &key(given, "-storage_servers")?)?;
    Ok(volume_lines::print(&asked.volumes.unwrap_or_default()))
}

/// The volumes of a list, as the plug-in reports them now.
fn chosen(list: &[String], reported: &[VolumeReport]) -> Result<Vec<VolumeReport>, CommandError> {
    list.iter()
        .map(|name| {
            reported.iter().find(|volume| volume.name == *name).cloned().ok_or_else(|| {
                let names: Vec<_> = reported.iter().map(|volume| volume.name.as_str()).collect();
                let meant = hint_ended(nearest(name, names.iter().copied()));
                let text =
                    format!("the storage server has no volume {name}{meant} It has {}", names.join(", "));
                CommandError { status: 227, text }
            })
        })
        .collect()
}

fn values(given: &Given) -> Result<PoolValues, CommandError> {
    Ok(PoolValues {
        high_water_mark: given.number("-hwm")?,
        low_water_mark: given.number("-lwm")?,
        max_io_streams: given.number("-max_io_streams")?,
        comment: given.value("-comment").map(str::to_owned),
    })
}

fn create_pool(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let (file, key, settings) = (given.need("-dvlist")?, key(given, "-storage_servers")?, emm.settings()?);
    let text = std::fs::read_to_string(file)
        .map_err(|error| CommandError::usage(format!("-dvlist {file}: {error}")))?;
    let list = volume_lines::names(&text)?;
    let reported = ask_opened(context, given, &emm, &key)?.volumes.unwrap_or_default();
    let new = NewPool {
        name: given.need("-dp")?.to_owned(),
        storage_server: key,
        volumes: chosen(&list, &reported)?,
        values: values(given)?,
    };
    emm.change(|database, _| database.add_disk_pool(&new, &settings))?;
    Ok(format!("Disk pool {} has been successfully created with {} volumes\n", new.name, new.volumes.len()))
}

fn update_pool(context: &Context, given: &Given) -> Result<String, CommandError> {
    let values = values(given)?;
    change_pool(&context.emm()?, given, |database, name| database.update_disk_pool(name, &values))?;
    Ok(format!("Disk pool {} has been successfully updated\n", given.need("-dp")?))
}

fn delete_pool(context: &Context, given: &Given) -> Result<String, CommandError> {
    change_pool(&context.emm()?, given, |database, name| database.remove_disk_pool(name).map(|_| ()))?;
    Ok(format!("Disk pool {} has been successfully deleted\n", given.need("-dp")?))
}

fn change_state(context: &Context, given: &Given) -> Result<String, CommandError> {
    let emm = context.emm()?;
    let change = match given.need("-state")? {
        "UP" => StateChange::Up,
        "DOWN" => StateChange::Down,
        "RESET" => StateChange::Reset,
        other => return Err(CommandError::usage(format!("-state {other}: it is UP, DOWN or RESET"))),
    };
    let what = match (given.value("-storage_server"), given.value("-dp"), given.value("-dv")) {
        (Some(_), None, None) => {
            let key = key(given, "-storage_server")?;
            emm.change(|database, _| database.change_server_state(&key, change))?;
            "storage server"
        }
        (None, Some(_), volume) => {
            change_pool(&emm, given, |database, pool| match volume {
                Some(volume) => database.change_volume_state(pool, volume, change),
                None => database.change_pool_state(pool, change),
            })?;
            if volume.is_some() { "disk volume" } else { "disk pool" }
        }
        _ => {
            let text = "whose state? -storage_server NAME, or -dp POOL, or -dp POOL -dv VOLUME";
            return Err(CommandError::usage(text.into()));
        }
    };
    Ok(format!("successfully changed the state of {what}\n"))
}
