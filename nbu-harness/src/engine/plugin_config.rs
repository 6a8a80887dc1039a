//! The plug-in's configuration file and the files beside it.

use super::SetupError;
use crate::scenario::WormLimits;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The plug-in's configuration file.
#[derive(Debug, Serialize)]
struct PluginConfig<'a> {
    server: BTreeMap<&'a str, ServerSection<'a>>,
}

/// What it says of one storage server.
#[derive(Debug, Serialize)]
pub(super) struct ServerSection<'a> {
    pub(super) vms: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ca_file: Option<&'a Path>,
    pub(super) s3: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_port: Option<u16>,
    pub(super) vip_pool: &'a str,
    pub(super) key_file: &'a Path,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) disable: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) worm: Option<WormLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password_file: Option<&'a Path>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) replication: BTreeMap<&'a str, Vec<String>>,
}

/// Writes the file with an S3 key pair.
pub(super) fn write_keys(path: &Path, keys: &vast_sim::KeyPair) -> Result<(), SetupError> {
    let text = format!("access_key = {:?}\nsecret_key = {:?}\n", keys.access_key, keys.secret_key);
    write_secret(path, &text)
}

/// Writes a file that only its owner may read.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), SetupError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(SetupError::io("write", path))
}

/// Writes what the plug-in has to know of its storage servers, by name.
pub(super) fn write_config(path: &Path, server: BTreeMap<&str, ServerSection<'_>>) -> Result<(), SetupError> {
    let config = PluginConfig { server };
    let text = toml::to_string(&config).map_err(|error| SetupError::Impossible(error.to_string()))?;
    fs::write(path, text).map_err(SetupError::io("write", path))
}
