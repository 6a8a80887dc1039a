//! Checks of single answers: what the plug-in says, compared with what the cluster says of itself.

use crate::bpstsinfo::{Answer, OpenQuery, Query, ServerFacts};
use crate::engine::{SetupError, Stand};
use crate::scenario::{self, Scenario};
use ost_abi::{
    STS_CAPABILITIES, STS_EAUTH, STS_ECLAIM, STS_ENOENT, STS_ENOTSUP, STS_EOK, STS_SRV_DISK,
    STSPI_INTERFACE_VERSION, STSPI_THREADS_MULTI, STSPI_THREADS_SINGLE,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often everything is asked: an answer that depends on more than the question shows.
const TIMES: usize = 3;
/// How long one `bpstsinfo` may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// A wrong password must be noticed within this time.
const SOON_MS: u64 = 20_000;
/// Quota of the LSU that has one, in bytes.
const QUOTA: u64 = 5 << 30;
/// Capacity of the cluster, in bytes.
const CAPACITY: u64 = 7 << 40;

/// A cluster to ask about: two LSUs, one with a quota.
const SCENARIO: &str = "\
scenario: NBU-SRV-001
title: Questions to the storage server
storage:
  cluster: {embedded: {capacity: 7t}}
  lsus: [{name: with-quota, quota: 5g}, {name: without-quota}]
  units: [{label: stu1, lsu: with-quota}]
policy: {name: ask, storage: stu1}
selections: [GEN_DATA, GEN_KBSIZE=1024, GEN_MAXFILES=2]
run:
  - backup: {}
expect:
  jobs: [{type: Backup, status: 11}]
  storage: {no_orphans: true, empty: true}
";

/// What stands in place of the plug-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Substitute {
    /// Nothing.
    Missing,
    /// A library that is no plug-in.
    OtherLibrary,
}

/// Everything that was asked at one time and what is true.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Answers with the right credentials.
    pub right: Answer,
    /// Answers with a wrong password.
    pub wrong_password: Answer,
    /// LSUs of the cluster, their capacity and bytes used.
    pub lsus: Vec<(String, u64, u64)>,
}

impl Seen {
    /// Names of the capabilities that the server claims.
    pub(crate) fn claims(&self) -> Vec<String> {
        let claimed =
            self.right.server.as_ref().map(|server| server.capabilities.as_slice()).unwrap_or_default();
        let name = |index: &u32| STS_CAPABILITIES.iter().find(|row| row.index == *index).map(|row| row.name);
        claimed.iter().filter_map(|index| name(index).map(str::to_owned)).collect()
    }
}

/// The scenario behind these checks.
pub(crate) fn probe_scenario() -> Result<Scenario, SetupError> {
    scenario::parse("probes", SCENARIO).map_err(|error| SetupError::Impossible(error.to_string()))
}

/// What a plug-in claims, by the capabilities' names; none when its server does not answer.
pub(crate) fn claims_of(
    exe: &Path,
    plugin: &Path,
    environment: &BTreeMap<String, String>,
    base: &Path,
) -> Result<Option<Vec<String>>, SetupError> {
    let dir = tempfile::Builder::new().prefix("nbu-harness-").tempdir_in(base);
    let dir = dir.map_err(SetupError::io("make a directory in", base))?;
    let seen = look(exe, plugin, environment, dir.path())?;
    Ok(seen.iter().find(|seen| seen.right.server.is_some()).map(Seen::claims))
}

/// Starts a cluster and asks everything several times, each time in new processes.
pub(crate) fn look(
    exe: &Path,
    plugin: &Path,
    environment: &BTreeMap<String, String>,
    dir: &Path,
) -> Result<Vec<Seen>, SetupError> {
    let scenario = probe_scenario()?;
    let stand = Stand::start(&scenario, dir)?;
    let unit = stand.storage_unit(scenario.unit());
    let ask = |password: &str| {
        let query = Query {
            plugin: plugin.to_path_buf(),
            claim: vec![unit.server.clone(), "PureDisk:vast1".into(), "VastDataX:vast1".into(), "x:".into()],
            open: Some(OpenQuery {
                server: unit.server.clone(),
                user: unit.user.clone(),
                password: password.into(),
                unknown_lsu: "no-such-lsu".into(),
                events_of: String::new(),
            }),
        };
        crate::bpstsinfo::ask(exe, stand.plugin_config(), environment, &query, PATIENCE)
            .unwrap_or_else(|error| Answer { load_error: Some(error), ..Answer::default() })
    };
    let answers: Vec<_> = (0..TIMES).map(|_| (ask(&unit.password), ask("wrong"))).collect();
    let raw = stand.cluster().map(vast_sim::Cluster::raw_state).unwrap_or_default();
    let used = |name: &str| raw.bucket(name).map_or(0, |bucket| bucket.bytes);
    let lsus = scenario
        .lsus
        .iter()
        .map(|lsu| (lsu.name.clone(), lsu.quota.map_or(CAPACITY, |quota| quota.0), used(&lsu.name)));
    debug_assert_eq!(scenario.lsus[0].quota.map(|quota| quota.0), Some(QUOTA));
    let lsus: Vec<_> = lsus.collect();
    let seen =
        answers.into_iter().map(|(right, wrong_password)| Seen { right, wrong_password, lsus: lsus.clone() });
    Ok(seen.collect())
}

/// The library in place of the plug-in.
pub(super) fn substitute(kind: Substitute, dir: &Path) -> Result<(PathBuf, &'static str), SetupError> {
    match kind {
        Substitute::Missing => Ok((dir.join("libstspiMissing.so"), "libstspiMissing.so")),
        Substitute::OtherLibrary => {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
            let libc = maps
                .lines()
                .filter_map(|line| line.split_whitespace().last())
                .find(|path| path.contains("libc.so"));
            let path =
                libc.ok_or_else(|| SetupError::Impossible("no shared library is loaded here".into()))?;
            Ok((path.into(), "stspi_init"))
        }
    }
}

type Finding = Result<String, String>;

fn loaded(answer: &Answer) -> Result<&Answer, String> {
    match &answer.load_error {
        Some(error) => Err(error.clone()),
        None => Ok(answer),
    }
}

/// The code that opened the server.
fn opened(seen: &Seen) -> Result<&Answer, String> {
    let answer = loaded(&seen.right)?;
    match answer.open_code {
        Some(STS_EOK) => Ok(answer),
        Some(code) => Err(format!("stspi_open_server: {}; log: {}", said(code), answer.log.join(" | "))),
        None => Err("the server was not opened".into()),
    }
}

fn said(code: i32) -> String {
    format!("error {code}: {}", ost_abi::sts_error_text(code))
}

pub(super) fn loads(seen: &Seen) -> Finding {
    let answer = loaded(&seen.right)?;
    let facts = answer.plugin.as_ref().ok_or("the plug-in says nothing of itself")?;
    if facts.name.is_empty() || facts.build_version.is_empty() || facts.prefix.is_empty() {
        return Err(format!("a name, version or type is missing: {facts:?}"));
    }
    match facts.interface_version {
        STSPI_INTERFACE_VERSION => {
            Ok(format!("{} {}, type {}", facts.name, facts.build_version, facts.prefix))
        }
        other => Err(format!("interface version {other}, expected {STSPI_INTERFACE_VERSION}")),
    }
}

pub(super) fn refuses_version_0(seen: &Seen) -> Finding {
    let answer = loaded(&seen.right)?;
    match answer.plugin.as_ref().map(|facts| facts.init_version_0_code) {
        Some(STS_ENOTSUP) => Ok("refused with STS_ENOTSUP".into()),
        Some(code) => Err(format!("stspi_init with version 0: {}", said(code))),
        None => Err("stspi_init was not called".into()),
    }
}

pub(super) fn claims(seen: &Seen) -> Finding {
    let answer = loaded(&seen.right)?;
    let Some(((own, own_code), others)) = answer.claims.split_first() else {
        return Err("nothing was asked".into());
    };
    if *own_code != STS_EOK {
        return Err(format!("{own} is not claimed: {}", said(*own_code)));
    }
    match others.iter().find(|(_, code)| *code != STS_ECLAIM) {
        Some((name, code)) => Err(format!("{name} is not refused with STS_ECLAIM but: {}", said(*code))),
        None => Ok(format!("{own} is claimed, {} others are not", others.len())),
    }
}

pub(super) fn thread_model(seen: &Seen) -> Finding {
    match loaded(&seen.right)?.plugin.as_ref().map(|facts| facts.thread_model) {
        Some(STSPI_THREADS_SINGLE) => Ok("single".into()),
        Some(STSPI_THREADS_MULTI) => Ok("multi".into()),
        other => Err(format!("thread model {other:?}")),
    }
}

pub(super) fn opens(seen: &Seen) -> Finding {
    let answer = opened(seen)?;
    match answer.close_code {
        Some(STS_EOK) => Ok(format!("opened in {} ms and closed", answer.open_ms)),
        code => Err(format!("stspi_close_server: {}", code.map_or("not called".into(), said))),
    }
}

pub(super) fn server_properties(seen: &Seen) -> Finding {
    let answer = opened(seen)?;
    let (Some(by_handle), Some(by_name)) = (&answer.server, &answer.by_name) else {
        return Err(format!("by handle {:?}, by name {:?}", answer.server, answer.by_name));
    };
    let same = |facts: &ServerFacts| (facts.name.clone(), facts.flags, facts.capabilities.clone());
    if same(by_handle) != same(by_name) {
        return Err(format!("by handle {by_handle:?}, by name {by_name:?}"));
    }
    match by_handle.flags & STS_SRV_DISK {
        0 => Err(format!("it does not say that it is disk storage: {by_handle:?}")),
        _ => Ok(format!("{}: {}", by_handle.name, by_handle.description)),
    }
}

pub(super) fn lsu_list(seen: &Seen) -> Finding {
    let answer = opened(seen)?;
    let mut listed: Vec<&str> = answer.lsus.iter().map(|lsu| lsu.name.as_str()).collect();
    let mut expected: Vec<&str> = seen.lsus.iter().map(|(name, ..)| name.as_str()).collect();
    listed.sort_unstable();
    expected.sort_unstable();
    if listed != expected {
        return Err(format!("listed {listed:?}, the cluster has {expected:?}"));
    }
    match answer.list_end_code {
        Some(STS_ENOENT) => Ok(listed.join(", ")),
        code => Err(format!("the list ended with {}, not STS_ENOENT", code.map_or("nothing".into(), said))),
    }
}

fn compare_figures(
    seen: &Seen,
    what: &str,
    listed: fn(&crate::bpstsinfo::LsuFacts) -> Option<u64>,
    truth: fn(&(String, u64, u64)) -> u64,
) -> Finding {
    let answer = opened(seen)?;
    let mut right = Vec::new();
    for lsu in &seen.lsus {
        let facts =
            answer.lsus.iter().find(|facts| facts.name == lsu.0).ok_or(format!("{} is not listed", lsu.0))?;
        match listed(facts) {
            Some(figure) if figure == truth(lsu) => right.push(format!("{}: {figure}", lsu.0)),
            figure => return Err(format!("{}: {what} {figure:?}, the cluster says {}", lsu.0, truth(lsu))),
        }
    }
    Ok(right.join(", "))
}

pub(super) fn capacity(seen: &Seen) -> Finding {
    compare_figures(seen, "capacity", |facts| facts.capacity, |lsu| lsu.1)
}

pub(super) fn used(seen: &Seen) -> Finding {
    compare_figures(seen, "used", |facts| facts.used, |lsu| lsu.2)
}

pub(super) fn unknown_lsu(seen: &Seen) -> Finding {
    match opened(seen)?.unknown_lsu_code {
        Some(STS_ENOENT) => Ok("STS_ENOENT".into()),
        code => Err(code.map_or("not asked".into(), said)),
    }
}

pub(super) fn wrong_password(seen: &Seen) -> Finding {
    let answer = loaded(&seen.wrong_password)?;
    match answer.open_code {
        Some(STS_EAUTH) if answer.open_ms <= SOON_MS => Ok(format!("STS_EAUTH after {} ms", answer.open_ms)),
        Some(STS_EAUTH) => Err(format!("STS_EAUTH only after {} ms", answer.open_ms)),
        code => Err(code.map_or("the server was not opened".into(), said)),
    }
}

/// Every time the same, but for how long it took.
pub(crate) fn alike(seen: &[Seen]) -> Finding {
    let timeless = |answer: &Answer| Answer { open_ms: 0, log: Vec::new(), ..answer.clone() };
    let Some((first, others)) = seen.split_first() else { return Err("nothing was asked".into()) };
    for (index, other) in others.iter().enumerate() {
        for (password, one, two) in [
            ("the right password", &first.right, &other.right),
            ("a wrong password", &first.wrong_password, &other.wrong_password),
        ] {
            let (one, two) = (timeless(one), timeless(two));
            if one != two {
                let time = index + 2;
                return Err(format!("with {password}: the first time {one:?}, the {time}. time {two:?}"));
            }
        }
    }
    Ok(format!("asked {} times", seen.len()))
}

/// What the server claims is in the table, and its flags are those of what it claims.
pub(super) fn flags_fit_claims(seen: &Seen) -> Finding {
    let answer = opened(seen)?;
    let server = answer.server.as_ref().ok_or("the server has no properties")?;
    let known = |index: &&u32| STS_CAPABILITIES.iter().any(|row| row.index == **index);
    if let Some(index) = server.capabilities.iter().find(|index| !known(index)) {
        return Err(format!("it claims capability {index}, which no host knows"));
    }
    for row in STS_CAPABILITIES.iter().filter(|row| !server.capabilities.contains(&row.index)) {
        if row.server_flags & server.flags != 0 {
            let flags = row.server_flags & server.flags;
            return Err(format!("the flags {flags:#x} are set and {} is not claimed", row.name));
        }
    }
    Ok(format!("claimed: {}", seen.claims().join(", ")))
}

/// The library has the calls of a capability that is claimed, the server its flags.
pub(super) fn capability_works(seen: &Seen, name: &str) -> Finding {
    let answer = opened(seen)?;
    let server = answer.server.as_ref().ok_or("the server has no properties")?;
    let row = STS_CAPABILITIES.iter().find(|row| row.name == name).ok_or("no such capability")?;
    if !answer.by_name.as_ref().is_some_and(|by_name| by_name.capabilities.contains(&row.index)) {
        return Err(format!("{name} is claimed by handle and not by name"));
    }
    if server.flags & row.server_flags != row.server_flags {
        let missing = row.server_flags & !server.flags;
        return Err(format!("{name} is claimed and the server's flags {missing:#x} are not set"));
    }
    match row.calls.iter().find(|call| !answer.optional_calls.iter().any(|has| has == *call)) {
        Some(call) => Err(format!("{name} is claimed and the library has no {call}")),
        None if row.calls.is_empty() => Ok("claimed; it has no call of its own".into()),
        None => Ok(row.calls.join(", ")),
    }
}

#[cfg(test)]
mod tests;
