//! libstspiVastDataMT.so: the multi-threaded plug-in.

#![allow(non_snake_case, reason = "NetBackup prescribes the library's name")]
#![allow(unsafe_code, reason = "exports C symbols")]

#[allow(clippy::wildcard_imports, reason = "the entry points name their types without a path")]
use ost_plugin::abi::*;

ost_plugin::export!(ost_plugin::ThreadModel::Multi);
