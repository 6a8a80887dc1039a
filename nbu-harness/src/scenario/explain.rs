//! A scenario in words: what is set up, who does what in each step, and what is expected of it.

use super::plugin_fault;
use super::{
    Cluster, Expectations, JobType, KillStep, Milliseconds, RestoreSelection, Scenario, SetUp, Step,
    StreamSource, Victim, VolumeState, WindowSpec,
};
use super::{checkpoint, fault, flows, media_server, target};
use crate::nbu::ScheduleType;
use crate::primary::config::UnitSelection;
use crate::primary::{JobOrder, PRIMARY};
use std::fmt::Write as _;

/// Tells a scenario in words, with every default in its place. Ends without a newline.
pub fn explain(scenario: &Scenario) -> String {
    let mut text = format!("{}: {}\n", scenario.id, scenario.title);
    for line in set_up(scenario) {
        let _ = write!(text, "\n  {line}");
    }
    text.push('\n');
    for (number, step) in (1..).zip(&scenario.run) {
        let _ = write!(text, "\n  {number}. {}", tell(step, scenario));
    }
    text.push_str("\n\n  Then");
    for line in expected(&scenario.expect) {
        let _ = write!(text, "\n  - {line}");
    }
    text
}

fn set_up(scenario: &Scenario) -> Vec<String> {
    let server = &scenario.server;
    let behind = match &scenario.cluster {
        Cluster::Embedded(cluster) => {
            format!(
                "a simulated cluster with {} VIPs over {}",
                cluster.vips,
                cluster.s3.name().to_uppercase()
            )
        }
        Cluster::External(cluster) => format!("the cluster at {}", cluster.vms),
    };
    let mut lines =
        vec![format!("Storage server {}:{}, behind it {behind}.", server.server_type, server.name)];
    if scenario.globals.set_up == SetUp::Commands {
        lines.push("NetBackup's commands set it all up, as an administrator does.".to_owned());
    }
    if !scenario.needs.is_empty() {
        lines.push(format!("Without {} it is skipped.", scenario.needs.join(", ")));
    }
    if !server.disable.is_empty() {
        lines.push(format!("Its capabilities {} are switched off.", server.disable.join(", ")));
    }
    for lsu in &scenario.lsus {
        let quota = lsu.quota.map(|quota| format!(", with a quota of {quota}")).unwrap_or_default();
        let worm = if lsu.worm { ", whose images can be locked" } else { "" };
        lines.push(format!("LSU {}{quota}{worm}.", lsu.name));
    }
    lines.extend(scenario.target.iter().map(|cluster| target::tell(cluster, &server.server_type)));
    for pair in &scenario.replication {
        lines.push(format!("Images of LSU {} are replicated to LSU {}.", pair.from, pair.to));
    }
    lines.extend(media_server::tell(scenario));
    for unit in &scenario.units {
        lines.push(format!(
            "Storage unit {} (LSU {}) on {}: fragments of at most {}, {} at a time.",
            unit.label,
            unit.lsu,
            unit.media.join(", "),
            unit.max_fragment,
            counted(unit.max_concurrent_jobs, "job"),
        ));
    }
    lines.extend(scenario.groups.iter().map(|group| {
        let how = match group.selection {
            UnitSelection::Prioritized => "the first that is available",
            UnitSelection::Failover => "the first that is not down or full, even if it is busy",
            UnitSelection::RoundRobin => "the one chosen least recently",
            UnitSelection::MediaServerLoadBalancing => "the one whose media server has the fewest jobs",
        };
        format!("Storage unit group {} of {}: {how}.", group.label, group.units.join(", "))
    }));
    lines.extend(super::lifecycle::tell(scenario));
    let clients = if scenario.clients.len() == 1 { "client" } else { "clients" };
    lines.push(format!(
        "Policy {} for {clients} {}, schedule {}, to {}{}.",
        scenario.policy,
        scenario.clients.join(", "),
        scenario.schedule,
        scenario.policy_storage,
        scenario.copies.words()
    ));
    if scenario.collect_tir {
        lines.push("What the client had is kept on the storage with each backup (TIR).".to_owned());
    }
    for schedule in scenario.schedules.iter().filter(|schedule| !schedule.windows.is_empty()) {
        let windows: Vec<String> = schedule.windows.iter().map(window).collect();
        let every = duration(schedule.frequency);
        lines.push(format!("Schedule {} every {every}, in {}.", schedule.name, windows.join(", ")));
    }
    let kept = scenario.schedules.iter().filter_map(|schedule| Some((&schedule.name, schedule.retention?)));
    lines.extend(kept.map(|(name, retention)| {
        let every = duration(scenario.globals.image_cleanup_interval);
        let kept = duration(retention);
        format!("What schedule {name} makes is kept for {kept}; image cleanup, every {every}, deletes it afterwards.")
    }));
    let multiplexed = scenario.schedules.iter().filter(|schedule| schedule.media_multiplexing > 1);
    lines.extend(multiplexed.map(|schedule| {
        format!(
            "Schedule {} multiplexes up to {} backups: on disk each has an image, a bpbrm and a bptm of its own, and all \
             images of a group are open before any is written on.",
            schedule.name, schedule.media_multiplexing
        )
    }));
    for stream in &scenario.streams {
        let of = if scenario.clients.len() == 1 { String::new() } else { format!(" of {}", stream.client) };
        lines.push(format!("Stream {}{of}: {}.", stream.number, source(&stream.source)));
    }
    lines.push(format!("Seed {}.", scenario.seed));
    lines
}

fn window(window: &WindowSpec) -> String {
    let days: Vec<String> = window.days.iter().map(|day| format!("{day:?}s")).collect();
    let days = if days.is_empty() { "every day".to_owned() } else { days.join(", ") };
    format!("a window of {} from {} {days}", duration(window.duration), window.opens)
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

pub(super) fn duration(time: Milliseconds) -> String {
    match time.0 {
        ms if ms.is_multiple_of(3_600_000) && ms > 0 => format!("{} h", ms / 3_600_000),
        ms if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        ms => format!("{ms} ms"),
    }
}

fn source(source: &StreamSource) -> String {
    match source {
        StreamSource::Directory(path) => format!("the directory {}", path.display()),
        StreamSource::RustSysroot { part, of } => {
            format!("part {part} of {of} of the Rust toolchain's directory")
        }
        StreamSource::GeneratedTree(tree) => {
            let changing = if tree.changing { ", one of them changing while it is read" } else { "" };
            format!("a generated tree of {} files, {} bytes in all{changing}", tree.files, tree.bytes)
        }
        StreamSource::Synthetic(data) => {
            let (changed, gone) = (data.change_percent, data.delete_percent);
            let moves_on = if changed == 0 && gone == 0 {
                String::new()
            } else {
                format!("; with each generation {changed} % change and {gone} % go")
            };
            let size = match data.file_sizes {
                None => format!("{} KiB", data.kb_size),
                Some((smallest, largest)) => format!("{smallest} to {largest} KiB"),
            };
            let pace = data.kb_per_second.map(|kb| format!(", at most {kb} KiB in a second"));
            let pace = pace.unwrap_or_default();
            let (ratio, again) = (data.compress_ratio, data.dedup_percent);
            let shape = match (ratio, again) {
                (1, 0) => String::new(),
                _ => format!(
                    "; what is random compresses {ratio} times, {again} % of the units are there again"
                ),
            };
            format!(
                "{} synthetic files of {size}, {} % of them random{pace}{shape}{moves_on}",
                data.max_files, data.percent_random
            )
        }
    }
}

fn tell(step: &Step, scenario: &Scenario) -> String {
    let jobs = counted(scenario.streams.len(), "backup job");
    match step {
        Step::Backup(backup) => {
            let tries = match backup.tries {
                1 => String::new(),
                tries => format!(" Each has {tries} tries."),
            };
            let kind = match backup.schedule {
                ScheduleType::Full => "Back up",
                ScheduleType::Differential => "Back up what changed since the last backup",
                ScheduleType::Cumulative => "Back up what changed since the last full backup",
            };
            let cancelled = backup.abort_after.map_or_else(String::new, |bytes| {
                format!(" The operator cancels each job when {bytes} of its stream are written.")
            });
            let checkpoints = backup.checkpoint.map_or_else(String::new, |every| {
                let every = checkpoint::words(every);
                format!(" A checkpoint ends the fragment at the first end of a file after each {every}.")
            });
            let suspended = backup.suspend_after.map_or_else(String::new, |bytes| {
                format!(" The operator suspends each job when {bytes} of its stream are written.")
            });
            let worm = backup.worm.map_or_else(String::new, |time| {
                format!(" At its end bptm locks the images for {}.", duration(time))
            });
            let accelerated = match (backup.accelerator, backup.forced_rescan) {
                (false, _) => "",
                (true, false) => {
                    " Blocks that the last full backup has are taken from there, by the storage."
                }
                (true, true) => " The track log is made anew and everything is sent.",
            };
            format!(
                "{kind}: {jobs}. For each, bpbrm starts bpbkar and bptm; bptm forks a child that fills shared memory, and \
                 writes it through the plug-in, a fragment after another.{accelerated}{checkpoints}{worm}{suspended}{cancelled}{tries}"
            )
        }
        Step::Restore(restore) => {
            let what = match &restore.selection {
                RestoreSelection::All => "everything".to_owned(),
                RestoreSelection::SingleFiles(count) => {
                    format!("{} of each backup, in a job each", counted(*count as usize, "single file"))
                }
                RestoreSelection::Files(paths) => paths.join(", "),
            };
            let (copy, images) = (which_copy(restore.copy), restore.images.words());
            let domain = restore.domain.words();
            format!(
                "Restore {what}, of {copy}{images}{domain}, to a new place{}: bptm reads through the plug-in in new \
                 processes, tar writes the files.{}",
                restore.media.as_ref().map(|name| format!(", on media server {name}")).unwrap_or_default(),
                checkpoint::tell_restore(restore)
            )
        }
        Step::Verify(verify) => {
            let what = which_copy(verify.copy);
            let (images, domain) = (verify.images.words(), verify.domain.words());
            format!("Verify {what}{images}{domain}: bptm reads all of it and compares it with the catalogue.")
        }
        Step::Expire(expire) => {
            let what = which_copy(expire.copy);
            let (images, domain) = (expire.images.words(), expire.domain.words());
            format!("Expire {what}{images}{domain}: bpdm deletes its images through the plug-in.")
        }
        Step::Synthetic(synthetic) => flows::tell_synthetic(*synthetic),
        Step::Import(import) => flows::tell_import(*import),
        Step::Replicate => {
            "Replicate every backup so far to the targets of its LSU: nbreplicate has bpdm put the catalogue \
                            entry on the storage, and the storage copy everything in the background."
                .to_owned()
        }
        Step::ImportReplicas(import) => flows::tell_import_replicas(*import, scenario),
        Step::Cleanup => {
            "Image cleanup: bpdm tries again to lock what the storage refused to lock.".to_owned()
        }
        Step::LoseCatalog => "The catalogue is lost.".to_owned(),
        Step::Resume(resume) => flows::tell_resume(*resume),
        Step::Change(change) => flows::tell_change(*change),
        Step::Duplicate(duplicate) => flows::tell_duplicate(duplicate, scenario),
        Step::Fill(fill) => {
            format!("Fill LSU {} from outside until {} of its quota are left.", fill.lsu, fill.leave)
        }
        Step::Fault(fault) => fault::tell(fault),
        Step::PluginFault(order) => plugin_fault::tell(order),
        Step::Heal => "Cluster and plug-in behave again.".to_owned(),
        Step::Advance(time) => format!(
            "{} pass, by NetBackup's clock and on the cluster: nbpem starts what is due, as often as a try fails{}.",
            duration(*time),
            if scenario.slps.is_empty() {
                ""
            } else {
                ", and nbstserv what storage lifecycle policies ask for"
            }
        ),
        Step::Kill(kill) => killed(kill),
        Step::Pause(pause) => {
            let what = if pause.paused {
                format!("media server {} and all processes of its jobs stop where they are", pause.server)
            } else {
                format!("media server {} and its processes go on, as if nothing had happened", pause.server)
            };
            match pause.fragment {
                Some(number) => format!("When a job of the next step makes its fragment {number}, {what}."),
                None => format!("Now {what}."),
            }
        }
        Step::Order(order) => format!(
            "When a job of the next step makes its fragment {}, the operator {} it.",
            order.fragment,
            if order.order == JobOrder::Suspend { "suspends" } else { "cancels" }
        ),
        Step::Restart => "Restart every job that has failed, as a new one.".to_owned(),
        Step::Upgrade(server) => {
            media_server::tell_upgrade(server, scenario.globals.set_up == SetUp::Commands)
        }
        Step::UpdateCredentials => {
            "The administrator enters the credentials that the storage server has now.".to_owned()
        }
        Step::Start(server) => format!("Start {server} again."),
        Step::Volume(volume) => match volume.state {
            VolumeState::Up => format!("The administrator marks disk volume {} up.", volume.lsu),
            VolumeState::Down => format!("The administrator marks disk volume {} down.", volume.lsu),
        },
    }
}

fn killed(kill: &KillStep) -> String {
    let what = match &kill.victim {
        Victim::Process(process) => format!("its {} is killed", process.name()),
        Victim::Server(name) if name == PRIMARY => "the primary is killed, and started again".to_owned(),
        Victim::Server(name) => format!("media server {name} is killed, with every process of its jobs"),
    };
    match kill.fragment {
        Some(number) => format!("When a job of the next step makes its fragment {number}, {what} (SIGKILL)."),
        None => format!("Now {what} (SIGKILL)."),
    }
}

/// Names a copy, if one is chosen.
fn which_copy(copy: Option<u32>) -> String {
    copy.map(|number| format!("copy {number} of ")).unwrap_or_default()
}

fn expected(expect: &Expectations) -> Vec<String> {
    let mut lines = Vec::new();
    for job in &expect.jobs {
        let kind = match job.job_type {
            JobType::Backup => "Backup",
            JobType::Restore => "Restore",
            JobType::Verify => "Verify",
            JobType::Duplicate => "Duplicate",
            JobType::Import => "Import",
            JobType::Replication => "Replication",
            JobType::ReplicationImport => "Replication import",
            JobType::ImageCleanup => "Image cleanup",
        };
        let count = job.count.map_or_else(|| "at least one".to_owned(), |count| count.to_string());
        let tries = job.tries.map(|tries| format!(", tries {tries}")).unwrap_or_default();
        let statuses = job.try_statuses.as_ref().map(|all| {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!(", the tries with {}", all.join(", "))
        });
        let statuses = statuses.unwrap_or_default();
        let media = job.media.as_ref().map(|name| format!(", at last on {name}")).unwrap_or_default();
        let unit = job.unit.as_ref().map(|label| format!(", to {label}")).unwrap_or_default();
        let state = job.state.map(|state| format!(", in state {state:?}")).unwrap_or_default();
        let operations = job.operations.as_ref().map(|all| {
            let all: Vec<&str> = all.iter().map(|operation| operation.words()).collect();
            format!(", by way of {}", all.join(", "))
        });
        let operations = operations.unwrap_or_default();
        lines.push(format!(
            "jobs of type {kind} that end with status {}{tries}{statuses}{media}{unit}{state}{operations}: {count}",
            job.status
        ));
    }
    if expect.jobs.is_empty() {
        lines.push("every job ends with status 0".to_owned());
    }
    let catalog = &expect.catalog;
    let storage = &expect.storage;
    let data = &expect.data;
    let told = [
        (catalog.images.map(|n| format!("backups in the catalogue: {n}"))),
        (catalog.fragments.map(|n| format!("fragments of each backup: {n}"))),
        (catalog.copies.map(|n| format!("copies of each backup after a duplication: {n}"))),
        (catalog.header_in_order.then(|| "the header image comes where the policy says".to_owned())),
        (storage
            .no_orphans
            .then(|| "a failed or cancelled step leaves the storage as it was before".to_owned())),
        (storage.empty.then(|| "in the end the storage is empty".to_owned())),
        (storage.all_vips_used.then(|| "every VIP took part".to_owned())),
        (data.restore.map(|_| "full restores are byte-identical".to_owned())),
        (data.single_file.map(|_| "single files are byte-identical".to_owned())),
        (data.single_file_read_overhead.map(|n| format!("bytes read beyond a single file: {n}"))),
        (data.no_wrong_bytes.then(|| "nothing that a restore gave is wrong".to_owned())),
        (data.changed_file_reported.then(|| "a file that changed while it was read is reported".to_owned())),
        (expect.counters.map(|_| "wait and delay counters fit each other and the time".to_owned())),
        (expect.bptm_peak_memory.map(|n| format!("largest resident size of a bptm: {n}"))),
        (expect.all_jobs_done_within.map(|limit| format!("every job ends within {}", duration(limit)))),
        (expect.faults_fired.then(|| "all that was to go wrong went wrong".to_owned())),
    ];
    lines.extend(told.into_iter().flatten());
    lines.extend(expect.media_server_reads.iter().map(|limit| {
        format!("bytes that the media server read in each job of step {}: {}", limit.step, limit.bytes)
    }));
    lines.extend(expect.media_server_writes.iter().map(|limit| {
        format!("bytes that the media server wrote in each job of step {}: {}", limit.step, limit.bytes)
    }));
    lines.extend(
        expect.step_details_say.iter().map(|details| {
            format!("the details of every job of step {} say {:?}", details.step, details.says)
        }),
    );
    lines.extend(expect.attributes.iter().map(media_server::tell_attributes));
    lines.extend(
        expect.job_details_say.iter().map(|word| format!("the details of a failed job say {word:?}")),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::embedded_scenarios;
    use crate::scenario::parse;

    #[test]
    fn every_step_and_expectation_of_every_scenario_is_told() {
        for (id, text) in embedded_scenarios() {
            let scenario = parse(id, text).unwrap();
            let told = explain(&scenario);
            let steps = told.lines().filter(|line| {
                line.trim_start().split_once(". ").is_some_and(|(number, _)| number.parse::<usize>().is_ok())
            });
            assert_eq!(steps.count(), scenario.run.len(), "{told}");
            assert!(told.contains("\n  - "), "{told}");
            assert!(told.starts_with(&format!("{id}: ")), "{told}");
        }
    }

    #[test]
    fn a_fault_is_told_with_what_it_hits() {
        let text = embedded_scenarios().iter().find(|(id, _)| *id == "NBU-FLT-003").unwrap().1;
        let told = explain(&parse("NBU-FLT-003", text).unwrap());
        let fault = "1. Of the kind PutObject, each of 3 is carried out and its answer lost.";
        assert!(told.contains(fault), "{told}");
        assert!(told.contains("16 synthetic files of 8192 KiB, 100 % of them random"));
        assert!(told.contains("- every job ends within 300 s"), "{told}");
        assert!(told.contains("- all that was to go wrong went wrong"), "{told}");
    }
}
