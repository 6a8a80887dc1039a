//! Media servers of a scenario: as they are written, and what those have that differ from the others.

use super::Scenario;
use super::diagnostic::nearest;
use super::expect::AttributeExpectation;
use super::file::StartFile;
use super::resolve::{Problem, twice};
use super::settings::Nbu;
use super::topology::Domain;
use super::values::Milliseconds;
use crate::primary::PRIMARY;
use nbu_trace::orders::{OlderVersion, VersionError};
use ost_abi::STS_CAPABILITIES;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The media server of a scenario that names none.
const MEDIA_SERVER: &str = "ms1";

/// Which of a plug-in's two libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ThreadModel {
    /// The single-threaded one: `libstspi<Name>.so`.
    St,
    /// The multi-threaded one: `libstspi<Name>MT.so`.
    Mt,
}

/// The plug-in of a media server, where it is not the one under test as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginSpec {
    /// Another library.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The one of the plug-in's two libraries; default: the one that the harness was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<ThreadModel>,
    /// The version that it says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Capabilities that this version does not have, by the plug-in's names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl PluginSpec {
    /// The older version that the wrapping plug-in plays, if it is one.
    pub(crate) fn older(&self) -> Option<OlderVersion> {
        let older = OlderVersion { version: self.version.clone(), without: self.without.clone() };
        (older != OlderVersion::default()).then_some(older)
    }

    fn words(&self) -> String {
        let library = self.path.as_ref().map(|path| path.display().to_string());
        let threads = self.threads.map(|threads| match threads {
            ThreadModel::St => "the single-threaded library".to_owned(),
            ThreadModel::Mt => "the multi-threaded library".to_owned(),
        });
        let version = self.version.as_ref().map(|version| format!("version {version}"));
        let without =
            (!self.without.is_empty()).then(|| format!("a version without {}", self.without.join(", ")));
        [library, threads, version, without].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// A media server: its name, or what it is.
#[derive(Debug)]
pub(super) struct Entry(MediaServerFile);

/// A media server that differs from the others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MediaServerFile {
    name: String,
    plugin: Option<PluginSpec>,
    /// How far its wall clock is ahead (`+10m`) or behind (`-10m`), for the processes that load the plug-in.
    clock: Option<ClockOffset>,
}

/// How far a wall clock is ahead of the right one, in milliseconds; behind it when negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ClockOffset(pub i64);

impl FromStr for ClockOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not what a clock is off by; expected +10m or -30s");
        let (sign, time) = match text.split_at_checked(1) {
            Some(("+", time)) => (1, time),
            Some(("-", time)) => (-1, time),
            _ => return Err(expected()),
        };
        let time: Milliseconds = time.parse().map_err(|_| expected())?;
        i64::try_from(time.0).map(|ms| Self(sign * ms)).map_err(|_| expected())
    }
}

impl<'de> Deserialize<'de> for ClockOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for ClockOffset {
    fn schema_name() -> Cow<'static, str> {
        "ClockOffset".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[+-][0-9]+(ms|s|m|h|d)$" })
    }
}

pub(super) fn entry_schema(generator: &mut SchemaGenerator) -> Schema {
    let full = generator.subschema_for::<MediaServerFile>();
    json_schema!({ "type": "array", "items": { "anyOf": [{ "type": "string" }, full] } })
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMap;

        impl<'de> Visitor<'de> for NameOrMap {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a media server, or {name: ms1, plugin: {...}}")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Entry, E> {
                Ok(Entry(MediaServerFile { name: name.to_owned(), plugin: None, clock: None }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                MediaServerFile::deserialize(MapAccessDeserializer::new(map)).map(Entry)
            }
        }

        deserializer.deserialize_any(NameOrMap)
    }
}

/// All media servers by name, and what those have that differ.
#[derive(Debug, Default)]
pub(super) struct MediaServers {
    pub(super) names: Vec<String>,
    pub(super) plugins: BTreeMap<String, PluginSpec>,
    pub(super) clocks: BTreeMap<String, ClockOffset>,
}

pub(super) fn resolve(entries: Vec<Spanned<Entry>>) -> Result<MediaServers, Problem> {
    let mut servers = MediaServers::default();
    for entry in entries {
        let place = entry.referenced;
        let MediaServerFile { name, plugin, clock } = entry.value.0;
        if servers.names.contains(&name) {
            return Err(twice(place, &name, "media server"));
        }
        // It becomes part of a path.
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(good) || name == PRIMARY {
            let message = format!("`{name}` cannot be the name of a media server");
            let help = "expected 1 to 32 letters, digits, - and _, and not `primary`";
            return Err(Problem::new(place, message, help));
        }
        if let Some(plugin) = plugin.filter(|plugin| *plugin != PluginSpec::default()) {
            match plugin.older().map(|older| older.check()) {
                None | Some(Ok(())) => {}
                Some(Err(VersionError::NoSuchCapability(unknown))) => {
                    let known: Vec<&str> = STS_CAPABILITIES.iter().map(|row| row.name).collect();
                    let message = format!("a plug-in has no capability `{unknown}`");
                    return Err(Problem::new(place, message, nearest("name", &unknown, &known)));
                }
                Some(Err(error)) => {
                    return Err(Problem::new(place, error.to_string(), "such as `version: \"0.9.0\"`"));
                }
            }
            servers.plugins.insert(name.clone(), plugin);
        }
        servers.clocks.extend(clock.filter(|clock| clock.0 != 0).map(|clock| (name.clone(), clock)));
        servers.names.push(name);
    }
    if servers.names.is_empty() {
        servers.names.push(MEDIA_SERVER.to_owned());
    }
    Ok(servers)
}

/// The step `upgrade`: the media server has to have another plug-in.
pub(super) fn upgrade(step: &Spanned<StartFile>, domain: &Domain) -> Result<String, Problem> {
    let name = domain.media_server_at(step.referenced, &step.value.server)?;
    if domain.plugins.contains_key(&name) {
        return Ok(name);
    }
    let message = format!("{name} has the plug-in under test already");
    let help = "give it an older one in `media_servers`: {name: ms1, plugin: {version: \"0.9.0\"}}";
    Err(Problem::new(step.referenced, message, help))
}

/// What there is to tell of media servers that differ.
pub(super) fn tell(scenario: &Scenario) -> impl Iterator<Item = String> {
    let plugins = scenario.plugins.iter();
    let plugins =
        plugins.map(|(name, plugin)| format!("Media server {name} has another plug-in: {}.", plugin.words()));
    let clocks = scenario.clocks.iter().map(|(name, clock)| {
        let way = if clock.0 < 0 { "behind" } else { "ahead" };
        format!("The clock of media server {name} is {} s {way}.", clock.0.unsigned_abs() / 1000)
    });
    plugins.chain(clocks)
}

/// What an upgrade does, in words.
pub(super) fn tell_upgrade(server: &str, by_commands: bool) -> String {
    let asked = if by_commands {
        ", and `nbdevconfig -updatests` asks it what the storage server can do"
    } else {
        ""
    };
    format!("From now on media server {server} loads the plug-in under test{asked}.")
}

/// What is expected to be recorded, in words.
pub(super) fn tell_attributes(expected: &AttributeExpectation) -> String {
    let after = match expected.step {
        0 => "after the set-up".to_owned(),
        step => format!("after step {step}"),
    };
    let version = expected.version.as_ref().map(|version| format!("version {version}"));
    let has = (!expected.has.is_empty()).then(|| format!("the flags {}", expected.has.join(", ")));
    let lacks = (!expected.lacks.is_empty()).then(|| format!("not the flags {}", expected.lacks.join(", ")));
    let recorded: Vec<String> = [version, has, lacks].into_iter().flatten().collect();
    format!("{after} the storage server and its pools are recorded with {}", recorded.join(", "))
}

/// Where the key that only commands make sense of is used without them.
pub(super) fn attributes(nbu: &Nbu) -> Result<(), Problem> {
    match &nbu.attributes {
        Some(given) if !nbu.by_commands() => {
            let message = "only the commands record what a storage server can do";
            Err(Problem::new(given.referenced, message, "add `set_up: commands`"))
        }
        _ => Ok(()),
    }
}
