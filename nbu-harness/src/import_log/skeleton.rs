//! The scenario as YAML, with what is not known in comments.

use super::lines::{Process, Waited};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// NetBackup's defaults, for comments.
const DELAYS: (u64, u64) = (10, 15);
/// Smallest fragment that a scenario can ask for, in KiB.
const MIN_FRAGMENT_KB: u64 = 1024;
/// KiB that tar's headers and end take in the stream of one generated file.
const FRAME_KB: u64 = 2;
/// Largest fragment whose bytes 64 bits can count, in KiB.
const MAX_FRAGMENT_KB: u64 = u64::MAX >> 10;
/// Most KiB in one generated file, most files, and most steps of a scenario.
const MAX_FILE_KB: u64 = 1 << 30;
const MAX_FILES: u64 = 10_000_000;
const MAX_STEPS: usize = 1000;
/// Processes with a comment of their own: YAML is read with fewer than 96 comments in a row.
const MAX_COMMENTS: usize = 64;

/// What all processes agree on, and what those that do not say.
struct Agreed {
    value: Option<u64>,
    others: Vec<u64>,
}

fn agreed(processes: &[&Process], value: fn(&Process) -> Option<u64>) -> Agreed {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for value in processes.iter().filter_map(|process| value(process)) {
        *counts.entry(value).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(_, count)| **count).map(|(value, _)| *value);
    let others = counts.into_keys().filter(|value| Some(*value) != most).collect();
    Agreed { value: most, others }
}

/// Writes the scenario. There is at least one backup or restore.
pub(super) fn write(processes: &[Process], log: &str) -> String {
    let backups: Vec<&Process> = processes.iter().filter(|process| process.is_backup()).collect();
    let restores: Vec<&Process> = processes.iter().filter(|process| process.is_restore()).collect();
    let both: Vec<&Process> = backups.iter().chain(&restores).copied().collect();
    let mut yaml = String::new();
    let mut line = |text: &str| {
        let _ = writeln!(yaml, "{text}");
    };
    line(&format!(
        "# Made from the log {}: {} backups, {} restores.",
        plain(log),
        backups.len(),
        restores.len()
    ));
    line("# A comment marked with ?? says what the log does not tell.");
    line("scenario: NBU-LOG-001");
    line(&format!("title: As in the log {}", plain(log)));
    line("# ?? the data: the seed decides what is generated in its place");
    line("seed: 1");
    nbu(&both, &mut line);
    storage(&both, &backups, &mut line);
    line("# ?? name and type of the policy");
    let header = backups.iter().find_map(|process| process.header_first);
    if header.is_none() {
        line("# ?? whether the header came first");
    }
    let header = if header == Some(true) { "first" } else { "last" };
    let client = backups.iter().flat_map(|process| &process.fragments).find_map(|f| client_of(&f.backup_id));
    let client = client.unwrap_or_else(|| "client1".to_owned());
    line(&format!("policy: {{name: from-log, storage: stu1, client: {client}, header: {header}}}"));
    selections(&backups, &mut line);
    steps(&backups, &restores, &mut line);
    expectations(&backups, &restores, &mut line);
    yaml
}

fn listed(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Text that means nothing to YAML.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// The client in `<client>_<time>`.
fn client_of(backup_id: &str) -> Option<String> {
    let (client, time) = backup_id.rsplit_once('_')?;
    let is_time = time.len() >= 9 && time.bytes().all(|byte| byte.is_ascii_digit());
    let client = plain(client);
    // A word that YAML takes for something else is written in quotes.
    is_time.then(|| format!("\"{client}\""))
}

fn nbu(both: &[&Process], line: &mut dyn FnMut(&str)) {
    let size = agreed(both, |process| process.buffer_size);
    let number = agreed(both, |process| process.buffers);
    let parent = agreed(both, |process| process.parent_delay);
    let child = agreed(both, |process| process.child_delay);
    line("nbu:");
    line("  buffers:");
    let mut setting = |name: &str, agreed: &Agreed, good: &dyn Fn(u64) -> bool, unit: &str| {
        if !agreed.others.is_empty() {
            line(&format!("    # other processes used {}", listed(&agreed.others)));
        }
        match agreed.value {
            Some(value) if good(value) => line(&format!("    {name}: {value}{unit}")),
            Some(value) => {
                line(&format!("    # ?? {name}: the log says {value}, which is not possible here"));
            }
            None => line(&format!("    # ?? {name}: not in the log, so the default counts")),
        }
    };
    let size_is_good = |bytes: u64| (1024..=64 << 20).contains(&bytes) && bytes.is_multiple_of(1024);
    setting("SIZE_DATA_BUFFERS_DISK", &size, &size_is_good, "");
    let buffer = size.value.filter(|bytes| size_is_good(*bytes)).unwrap_or(262_144);
    let number_is_good = |number: u64| (1..=65_536).contains(&number) && number * buffer <= 4 << 30;
    setting("NUMBER_DATA_BUFFERS_DISK", &number, &number_is_good, "");
    let delay_is_good = |ms: u64| (1..=60_000).contains(&ms);
    setting("parent_delay", &parent, &delay_is_good, "ms");
    setting("child_delay", &child, &delay_is_good, "ms");
}

fn storage(both: &[&Process], backups: &[&Process], line: &mut dyn FnMut(&str)) {
    line("storage:");
    match both.iter().find_map(|process| process.server.as_deref()).and_then(|server| server.split_once(':'))
    {
        Some((kind, name)) => {
            line(&format!("  server: {{type: \"{}\", name: \"{}\"}}", plain(kind), plain(name)));
        }
        None => line("  # ?? type and name of the storage server"),
    }
    line("  # ?? name and quota of the LSU");
    line("  lsus: [{name: lsu0}]");
    let cut: Vec<u64> = backups
        .iter()
        .flat_map(|process| process.fragments.iter().rev().skip(1))
        .map(|fragment| fragment.kbytes)
        .collect();
    let fragment = match (cut.iter().max(), cut.iter().min()) {
        (Some(max), _) if *max > MAX_FRAGMENT_KB => {
            line(&format!("  # ?? fragments of {max} KB are larger than a scenario can ask for"));
            String::new()
        }
        (Some(max), Some(min)) if *max >= MIN_FRAGMENT_KB => {
            if max != min {
                line(&format!("  # ?? fragments that were not the last had {min} to {max} KB"));
            }
            format!(", max_fragment: {max}k")
        }
        (Some(max), _) => {
            line(&format!("  # ?? fragments of {max} KB are smaller than a scenario can ask for"));
            String::new()
        }
        _ => {
            line("  # ?? the maximum fragment size: no backup had more than one fragment");
            String::new()
        }
    };
    let at_once = at_once(backups);
    if at_once.is_none() {
        line("  # ?? how many jobs ran at once: the lines have no time");
    }
    let jobs = at_once.unwrap_or(1).clamp(1, 64);
    line(&format!("  units: [{{label: stu1, lsu: lsu0{fragment}, max_concurrent_jobs: {jobs}}}]"));
}

/// The most backups that ran at one time; none where the log has no times.
fn at_once(backups: &[&Process]) -> Option<usize> {
    let times: Vec<(u64, u64)> = backups.iter().filter_map(|process| process.times).collect();
    if times.is_empty() || times.len() < backups.len() {
        return None;
    }
    times.iter().map(|(at, _)| times.iter().filter(|(first, last)| first <= at && at <= last).count()).max()
}

fn selections(backups: &[&Process], line: &mut dyn FnMut(&str)) {
    line("selections:");
    if backups.is_empty() {
        line("  # ?? what was restored: the log has no backup");
        line("  - GEN_DATA");
    }
    for backup in backups {
        let kbytes = backup.kbytes();
        let name = backup.fragments.first().map_or("a backup", |fragment| fragment.backup_id.as_str());
        line(&format!("  # {}: {kbytes} KB in {} fragments", plain(name), backup.fragments.len()));
        if kbytes == 0 {
            line("  # ?? how much it was to write: no fragment was finished");
        }
        line("  - NEW_STREAM");
        line("  - GEN_DATA");
        let data = kbytes.saturating_sub(FRAME_KB).max(1);
        let files = data.div_ceil(MAX_FILE_KB).min(MAX_FILES);
        let size = (data / files).min(MAX_FILE_KB);
        if data / files > size {
            line(&format!("  # ?? it is more data than {MAX_FILES} generated files can have"));
        }
        line(&format!("  - GEN_KBSIZE={size}"));
        line(&format!("  - GEN_MAXFILES={files}"));
    }
}

fn steps(backups: &[&Process], restores: &[&Process], line: &mut dyn FnMut(&str)) {
    line("run:");
    line("  - backup: {}");
    let rounds = restores.len().div_ceil(backups.len().max(1));
    if rounds > 0 {
        line(&format!("  # {} restores; a step restores every backup once", restores.len()));
    }
    // Besides the backup and the end.
    let most = MAX_STEPS - 2;
    if rounds > most {
        line(&format!(
            "  # ?? {} restores are more than a scenario has steps for: here are {most}",
            restores.len()
        ));
    }
    for _ in 0..rounds.min(most) {
        line("  - restore: {}");
    }
    line("  - expire: {}");
}

fn expectations(backups: &[&Process], restores: &[&Process], line: &mut dyn FnMut(&str)) {
    for process in backups.iter().chain(restores).take(MAX_COMMENTS) {
        let (parent, child) =
            process.parent_delay.zip(process.child_delay).map_or((DELAYS.1, DELAYS.0), |d| d);
        let told = |waited: Option<Waited>, delay: u64| {
            waited.map_or("not in the log".to_owned(), |w| {
                format!("{} times, {} ms in all", w.times, w.delays.saturating_mul(delay))
            })
        };
        line(&format!(
            "# process {}: bptm waited {}; its child waited {}",
            process.pid,
            told(process.parent_waited, parent),
            told(process.child_waited, child)
        ));
    }
    let more = (backups.len() + restores.len()).saturating_sub(MAX_COMMENTS);
    if more > 0 {
        line(&format!("# and {more} more processes: how long they waited is in the log"));
    }
    line("expect:");
    let failed = |processes: &[&Process]| {
        processes.iter().any(|process| process.status.is_some_and(|status| status != 0))
    };
    if failed(backups) || failed(restores) {
        line("  # ?? what made jobs fail: add a `fault`, `plugin_fault` or `fill` in `run` for it");
    }
    let mut jobs: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for (kind, processes) in [("Backup", backups), ("Restore", restores)] {
        let (mut unknown, mut impossible) = (Vec::new(), Vec::new());
        for process in processes {
            match process.status.map(i32::try_from) {
                Some(Ok(status)) => *jobs.entry((kind, status)).or_default() += 1,
                Some(Err(_)) => impossible.push(process.pid),
                None => unknown.push(process.pid),
            }
        }
        if !unknown.is_empty() {
            line(&format!("  # ?? how the {kind} of process {} ended", listed(&unknown)));
        }
        if !impossible.is_empty() {
            let pids = listed(&impossible);
            line(&format!("  # ?? the {kind} of process {pids} ended with a number that is no status"));
        }
    }
    if jobs.is_empty() {
        line("  jobs: []");
        return;
    }
    line("  jobs:");
    for ((kind, status), count) in jobs {
        line(&format!("    - {{type: {kind}, status: {status}, count: \">={count}\"}}"));
    }
}
