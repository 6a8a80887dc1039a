//! `nbemmcmd`: media servers. `-addhost` and `-listhosts` are NetBackup's; which plug-in a media server has is a matter
//! of its file system there, and of `-plugin`, `-plugin_mt`, `-plugin_config` and `-plugin_env` here. The environment
//! belongs to the library: another `-plugin` has that which is given with it.

use super::options::{Given, Verb, flag, needed, optional, several};
use super::{CommandError, Context};
use crate::emm::{MediaServer, PluginInstall};
use crate::nbu::library_file;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "-addhost",
        options: &[
            needed("-machinename", "NAME"),
            optional("-machinetype", "media"),
            needed("-plugin", "PATH"),
            optional("-plugin_mt", "PATH"),
            optional("-plugin_config", "FILE"),
            several("-plugin_env", "NAME=VALUE"),
        ],
        run: add,
    },
    Verb {
        name: "-updatehost",
        options: &[
            needed("-machinename", "NAME"),
            optional("-machinetype", "media"),
            optional("-plugin", "PATH"),
            optional("-plugin_mt", "PATH"),
            optional("-plugin_config", "FILE"),
            several("-plugin_env", "NAME=VALUE"),
        ],
        run: update,
    },
    Verb {
        name: "-deletehost",
        options: &[needed("-machinename", "NAME"), optional("-machinetype", "media")],
        run: delete,
    },
    Verb { name: "-listhosts", options: &[flag("-verbose")], run: list },
];

fn media_only(given: &Given) -> Result<(), CommandError> {
    match given.value("-machinetype") {
        None | Some("media") => Ok(()),
        Some(other) => {
            Err(CommandError::usage(format!("-machinetype {other}: only media servers are set up so")))
        }
    }
}

/// A path that is right wherever the next command is called.
fn absolute(path: &str) -> Result<PathBuf, CommandError> {
    std::path::absolute(path).map_err(|error| CommandError::usage(format!("{path}: {error}")))
}

fn library(given: &Given, option: &str) -> Result<Option<PathBuf>, CommandError> {
    let Some(path) = given.value(option) else { return Ok(None) };
    let full = library_file(Path::new(path));
    full.map(Some)
        .map_err(|error| CommandError::usage(format!("{option} {path}: it cannot be loaded: {error}")))
}

fn config(given: &Given) -> Result<Option<PathBuf>, CommandError> {
    let Some(path) = given.value("-plugin_config") else { return Ok(None) };
    let full = absolute(path)?;
    std::fs::File::open(&full)
        .map_err(|error| CommandError::usage(format!("-plugin_config {path}: {error}")))?;
    Ok(Some(full))
}

/// What is given of a plug-in: looked at before the database is locked, and put in place under its lock.
struct Changes {
    library: Option<PathBuf>,
    library_mt: Option<PathBuf>,
    config: Option<PathBuf>,
    env: Option<BTreeMap<String, String>>,
}

/// Environment variables for the processes that load the plug-in.
fn environment(given: &Given) -> Result<Option<BTreeMap<String, String>>, CommandError> {
    let of_library = given.has("-plugin") || given.has("-plugin_env");
    let variables = given.values("-plugin_env").iter().map(|word| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(CommandError::usage(format!("-plugin_env {word}: expected NAME=VALUE"))),
    });
    let variables = variables.collect::<Result<_, _>>()?;
    Ok(of_library.then_some(variables))
}

impl Changes {
    fn of(given: &Given) -> Result<Self, CommandError> {
        Ok(Self {
            library: library(given, "-plugin")?,
            library_mt: library(given, "-plugin_mt")?,
            config: config(given)?,
            env: environment(given)?,
        })
    }

    /// The plug-in as it was, with what is given.
    fn on(self, plugin: PluginInstall) -> PluginInstall {
        PluginInstall {
            library: self.library.unwrap_or(plugin.library),
            library_mt: self.library_mt.or(plugin.library_mt),
            config: self.config.unwrap_or(plugin.config),
            env: self.env.unwrap_or(plugin.env),
        }
    }
}

fn add(context: &Context, given: &Given) -> Result<String, CommandError> {
    media_only(given)?;
    let name = given.need("-machinename")?.to_owned();
    let plugin = Changes::of(given)?.on(PluginInstall::default());
    context.emm()?.change(|database, _| database.add_media_server(MediaServer { name, plugin }))?;
    Ok("Command completed successfully.\n".into())
}

fn update(context: &Context, given: &Given) -> Result<String, CommandError> {
    media_only(given)?;
    let name = given.need("-machinename")?;
    let changes = Changes::of(given)?;
    context.emm()?.change(|database, _| {
        let known = database.media_server(name)?.plugin.clone();
        database.set_plugin(name, changes.on(known))
    })?;
    Ok("Command completed successfully.\n".into())
}

fn delete(context: &Context, given: &Given) -> Result<String, CommandError> {
    media_only(given)?;
    let name = given.need("-machinename")?;
    context.emm()?.change(|database, credentials| database.remove_media_server(name, credentials))?;
    Ok("Command completed successfully.\n".into())
}

fn list(context: &Context, given: &Given) -> Result<String, CommandError> {
    context.existing()?;
    let mut text = "The following hosts were found:\n".to_owned();
    for server in context.emm()?.read()?.media_servers().iter() {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "media           {}", server.name);
        if given.has("-verbose") {
            let plugin = &server.plugin;
            let _ = writeln!(text, "        plug-in: {}", plugin.library.display());
            if let Some(library) = &plugin.library_mt {
                let _ = writeln!(text, "        plug-in, multi-threaded: {}", library.display());
            }
            let _ = writeln!(text, "        plug-in configuration: {}", plugin.config.display());
            for (name, value) in &plugin.env {
                let _ = writeln!(text, "        plug-in environment: {name}={value}");
            }
        }
    }
    Ok(text + "Command completed successfully.\n")
}

#[cfg(test)]
mod tests {
    use super::super::options::parse;
    use super::*;

    fn given(line: &str) -> Result<Option<BTreeMap<String, String>>, CommandError> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (_, given) = parse(VERBS, &words)?;
        environment(&given)
    }

    #[test]
    fn the_environment_is_that_of_the_library_it_is_given_with() {
        let set = given("-addhost -machinename a -plugin /x -plugin_env A=1 B=x=y").unwrap().unwrap();
        assert_eq!(
            set.into_iter().collect::<Vec<_>>(),
            [("A".into(), "1".into()), ("B".into(), "x=y".into())]
        );
        let other = given("-updatehost -machinename a -plugin /y").unwrap();
        assert_eq!(other, Some(BTreeMap::new()), "another library has none of the first one's");
        assert_eq!(given("-updatehost -machinename a -plugin_config /c").unwrap(), None, "it stays");
        let refused = given("-addhost -machinename a -plugin /x -plugin_env =1").unwrap_err();
        assert!(refused.text.contains("expected NAME=VALUE"), "{}", refused.text);
    }
}
