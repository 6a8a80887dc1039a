//! Judges a record against a scenario's expectations: one finding per expectation, with what was seen.

mod attributes;
mod consistency;
mod storage;

#[cfg(test)]
pub(crate) mod tests;

use crate::engine::{JobRecord, Record};
use crate::nbu::{HeaderOrder, JobKind, JobResult, JobState};
use crate::oracle;
use crate::scenario::{Comparison, JobExpectation, JobType, MediaServerWrites, StepDetails};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Differences and lines that one finding prints.
const PRINTED: usize = 10;

/// One expectation and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The expectation's place in the scenario's `expect`, such as `storage.no_orphans`.
    pub aspect: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether the evidence is missing: then it does not hold, and nothing is said against the plug-in either.
    #[serde(default)]
    pub unknown: bool,
    /// What was seen, for people.
    pub detail: String,
}

impl Finding {
    fn new(aspect: &str, holds: bool, detail: impl Into<String>) -> Self {
        Self { aspect: aspect.into(), holds, unknown: false, detail: detail.into() }
    }

    /// The evidence is missing.
    fn unknown(aspect: &str, detail: impl Into<String>) -> Self {
        Self { unknown: true, ..Self::new(aspect, false, detail) }
    }
}

/// Whether NetBackup's commands did what the administrator wanted.
fn set_up(record: &Record) -> Finding {
    match record.set_up.iter().find(|command| command.status != 0) {
        None => Finding::new("set_up", true, format!("{} commands", record.set_up.len())),
        Some(failed) => {
            Finding::new("set_up", false, format!("{}\n{}", failed.line, failed.output.trim_end()))
        }
    }
}

/// Judges all expectations of the record's scenario. At least one finding comes back: how the jobs ended.
pub fn judge(record: &Record) -> Vec<Finding> {
    let expect = &record.scenario.expect;
    let mut findings = vec![jobs(record)];
    if !record.set_up.is_empty() {
        findings.push(set_up(record));
    }
    findings.extend(expect.attributes.iter().map(|expected| attributes::recorded(record, expected)));
    let comparison = |aspect, comparison: Option<Comparison>, values: Vec<(String, u64)>| {
        comparison.map(|comparison| measured(aspect, comparison, &values))
    };
    let images: Vec<_> = record.steps.iter().flat_map(|step| &step.images).collect();
    let of_images = |value: fn(&crate::nbu::ImageRecord) -> u64| {
        images.iter().map(|facts| (facts.image.backup_id.clone(), value(&facts.image))).collect::<Vec<_>>()
    };
    findings.extend(comparison(
        "catalog.images",
        expect.catalog.images,
        vec![("images".into(), images.len() as u64)],
    ));
    let fragments = of_images(|image| image.copy(None).map_or(0, |copy| copy.fragments.len() as u64));
    findings.extend(comparison("catalog.fragments", expect.catalog.fragments, fragments));
    let copies = record.steps.iter().flat_map(|step| step.copies.clone()).collect();
    findings.extend(comparison("catalog.copies", expect.catalog.copies, copies));
    if expect.catalog.header_in_order {
        findings.push(header_in_order(record));
    }
    if expect.storage.no_orphans {
        findings.push(storage::no_orphans(record));
    }
    if expect.storage.empty {
        findings.push(storage::empty(record));
    }
    if expect.storage.all_vips_used {
        findings.push(storage::all_vips_used(record));
    }
    if expect.data.restore.is_some() {
        let compared: Vec<_> = record.steps.iter().filter_map(|step| step.full.as_ref()).collect();
        findings.push(identical("data.restore", &compared));
    }
    if expect.data.single_file.is_some() {
        let compared: Vec<_> = record.steps.iter().filter_map(|step| step.single.as_ref()).collect();
        findings.push(identical("data.single_file", &compared));
    }
    if expect.data.no_wrong_bytes {
        findings.push(no_wrong_bytes(record));
    }
    // A restore that failed may have read nothing at all.
    let restores = record.jobs_of(JobKind::Restore).filter(|job| job.result.is_successful());
    let overhead = restores.filter_map(|job| {
        let wanted = job.wanted_bytes?;
        Some((format!("job {}", job.result.job_id), job.result.bytes_read.saturating_sub(wanted)))
    });
    let overhead = overhead.collect();
    findings.extend(comparison(
        "data.single_file_read_overhead",
        expect.data.single_file_read_overhead,
        overhead,
    ));
    if expect.data.changed_file_reported {
        findings.push(changed_file_reported(record));
    }
    let moved = |aspect: &'static str, limit: &MediaServerWrites, bytes: fn(&JobResult) -> u64| {
        let of_step =
            record.jobs.iter().filter(|job| job.step + 1 == limit.step && job.result.is_successful());
        let moved = of_step.map(|job| (format!("job {}", job.result.job_id), bytes(&job.result)));
        measured(aspect, limit.bytes, &moved.collect::<Vec<_>>())
    };
    let writes = expect.media_server_writes.iter();
    findings.extend(writes.map(|limit| moved("media_server_writes", limit, |result| result.bytes_written)));
    let reads = expect.media_server_reads.iter();
    findings.extend(reads.map(|limit| moved("media_server_reads", limit, |result| result.bytes_read)));
    if expect.counters.is_some() {
        findings.push(consistency::counters(record));
    }
    if expect.leaks.is_some() {
        findings.push(consistency::leaks(record));
    }
    let peaks = record.jobs.iter().filter(|job| job.result.peak_rss_bytes > 0);
    let peaks = peaks.map(|job| (format!("job {}", job.result.job_id), job.result.peak_rss_bytes)).collect();
    findings.extend(comparison("bptm_peak_memory", expect.bptm_peak_memory, peaks));
    if let Some(limit) = expect.all_jobs_done_within {
        let times =
            record.jobs.iter().map(|job| (format!("job {} (ms)", job.result.job_id), job.result.elapsed_ms));
        let limit = Comparison { comparator: crate::scenario::Comparator::AtMost, value: limit.0 };
        findings.push(measured("all_jobs_done_within", limit, &times.collect::<Vec<_>>()));
    }
    if !expect.job_details_say.is_empty() {
        findings.push(job_details(record));
    }
    for details in &expect.step_details_say {
        findings.push(step_details(record, details));
    }
    if expect.faults_fired {
        findings.push(faults_fired(record));
    }
    findings
}

const fn kind_of(job_type: JobType) -> JobKind {
    match job_type {
        JobType::Backup => JobKind::Backup,
        JobType::Restore => JobKind::Restore,
        JobType::Verify => JobKind::Verify,
        JobType::Duplicate => JobKind::Duplicate,
        JobType::Import => JobKind::Import,
        JobType::Replication => JobKind::Replication,
        JobType::ReplicationImport => JobKind::ReplicationImport,
        JobType::ImageCleanup => JobKind::ImageCleanup,
    }
}

/// How every job ended. Scenarios that say nothing mean 0.
fn jobs(record: &Record) -> Finding {
    let expected = &record.scenario.expect.jobs;
    let mut wrong: Vec<String> = Vec::new();
    let matches = |job: &JobRecord, entry: &JobExpectation| {
        job.result.kind == kind_of(entry.job_type)
            && job.result.status == entry.status
            && job.state == entry.state.unwrap_or(JobState::Done)
            && entry.tries.is_none_or(|tries| tries.holds(job.tries.len() as u64))
            && entry.try_statuses.as_ref().is_none_or(|statuses| {
                statuses.iter().copied().map(Some).eq(job.tries.iter().map(|one| one.status))
            })
            && entry.operations.as_ref().is_none_or(|operations| *operations == job.result.operations)
            && entry.unit.as_ref().is_none_or(|label| job.unit == *label)
            && entry
                .media
                .as_ref()
                .is_none_or(|name| job.tries.last().is_some_and(|one| one.media_server == *name))
    };
    for job in &record.jobs {
        let of_type: Vec<_> =
            expected.iter().filter(|entry| kind_of(entry.job_type) == job.result.kind).collect();
        let fine = match of_type.as_slice() {
            [] => job.result.status == 0 && job.state == JobState::Done,
            entries => entries.iter().any(|entry| matches(job, entry)),
        };
        if !fine {
            wrong.push(describe(job));
        }
    }
    for entry in expected {
        let count = record.jobs.iter().filter(|job| matches(job, entry)).count() as u64;
        let wanted =
            entry.count.unwrap_or(Comparison { comparator: crate::scenario::Comparator::AtLeast, value: 1 });
        if !wanted.holds(count) {
            let text =
                format!("{:?} jobs with status {}: {count}, expected {wanted}", entry.job_type, entry.status);
            wrong.push(text);
        }
    }
    if record.jobs.is_empty() {
        wrong.push("no job ran".into());
    }
    let detail = if wrong.is_empty() {
        format!("{} jobs ended as expected", record.jobs.len())
    } else {
        listed(&wrong)
    };
    Finding::new("jobs", wrong.is_empty(), detail)
}

/// One job, its status and the first thing that explains it.
fn describe(job: &JobRecord) -> String {
    let result = &job.result;
    let mut text = format!(
        "job {} ({:?}, stream {}): {:?}, status {}, {} tries: {}",
        result.job_id,
        result.kind,
        job.stream,
        job.state,
        result.status,
        job.tries.len(),
        result.text
    );
    if !result.operations.is_empty() {
        let all: Vec<&str> = result.operations.iter().map(|operation| operation.words()).collect();
        let _ = write!(text, "; operations: {}", all.join(", "));
    }
    if let Some(error) = &result.sts_error {
        let _ = write!(text, "; {} on {:?}: error {}: {}", error.call, error.image, error.code, error.text);
    }
    for warning in result.warnings.iter().take(3) {
        let _ = write!(text, "; {}: {}", warning.path, warning.text);
    }
    let is_serious = |line: &&String| line.contains("Error ") || line.contains("Critical ");
    for line in result.log.iter().filter(is_serious).take(3) {
        let _ = write!(text, "; {line}");
    }
    text
}

/// Holds when there is at least one value and the comparison holds for each.
fn measured(aspect: &str, comparison: Comparison, values: &[(String, u64)]) -> Finding {
    let wrong: Vec<String> = values
        .iter()
        .filter(|(_, value)| !comparison.holds(*value))
        .map(|(name, value)| format!("{name}: {value}, expected {comparison}"))
        .collect();
    if values.is_empty() {
        return Finding::new(aspect, false, format!("nothing to measure, expected {comparison}"));
    }
    let range = || {
        let lowest = values.iter().map(|(_, value)| *value).min().unwrap_or_default();
        let highest = values.iter().map(|(_, value)| *value).max().unwrap_or_default();
        if lowest == highest {
            format!("{lowest}, expected {comparison}")
        } else {
            format!("{lowest} to {highest}, expected {comparison}")
        }
    };
    Finding::new(aspect, wrong.is_empty(), if wrong.is_empty() { range() } else { listed(&wrong) })
}

fn listed(lines: &[String]) -> String {
    let mut text = lines.iter().take(PRINTED).cloned().collect::<Vec<_>>().join("\n");
    if lines.len() > PRINTED {
        let _ = write!(text, "\nand {} more", lines.len() - PRINTED);
    }
    text
}

fn identical(aspect: &str, compared: &[&oracle::Comparison]) -> Finding {
    let paths: usize = compared.iter().map(|one| one.paths).sum();
    let different: usize = compared.iter().map(|one| one.total).sum();
    if paths == 0 {
        return Finding::new(aspect, false, "nothing was restored, so nothing could be compared");
    }
    if different == 0 {
        let bytes: u64 = compared.iter().map(|one| one.bytes).sum();
        return Finding::new(aspect, true, format!("{paths} paths, {bytes} bytes are identical"));
    }
    let lines: Vec<String> =
        compared.iter().flat_map(|one| &one.differences).map(ToString::to_string).take(PRINTED).collect();
    Finding::new(aspect, false, format!("{different} differences in {paths} paths\n{}", lines.join("\n")))
}

/// Nothing that a restore returned is wrong, even where it did not return everything.
fn no_wrong_bytes(record: &Record) -> Finding {
    let aspect = "data.no_wrong_bytes";
    let compared: Vec<_> =
        record.steps.iter().flat_map(|step| step.full.iter().chain(&step.single)).collect();
    let count: usize = compared.iter().map(|one| one.wrong_bytes).sum();
    let wrong = compared.iter().flat_map(|one| &one.differences).filter(|one| one.is_wrong_bytes());
    let wrong: Vec<String> = wrong.map(ToString::to_string).take(PRINTED).collect();
    if compared.is_empty() {
        return Finding::new(aspect, false, "nothing was restored, so nothing could be compared");
    }
    let detail = match count {
        0 => "no wrong byte came back".into(),
        count => format!("{count} files came back with wrong bytes\n{}", wrong.join("\n")),
    };
    Finding::new(aspect, count == 0, detail)
}

fn header_in_order(record: &Record) -> Finding {
    let order = record.scenario.header;
    let mut wrong = Vec::new();
    let images: Vec<_> = record.steps.iter().flat_map(|step| &step.images).collect();
    for facts in &images {
        let at = match order {
            HeaderOrder::First => facts.made.first(),
            HeaderOrder::Last => facts.made.last(),
        };
        if at != facts.image.copy(None).map(|copy| &copy.header) {
            wrong.push(format!("{}: made in the order {}", facts.image.backup_id, facts.made.join(", ")));
        }
    }
    let holds = wrong.is_empty() && !images.is_empty();
    let detail = if holds { format!("header {order:?} in {} backups", images.len()) } else { listed(&wrong) };
    Finding::new("catalog.header_in_order", holds, detail)
}

fn changed_file_reported(record: &Record) -> Finding {
    let changed: Vec<_> = record.steps.iter().flat_map(|step| &step.changed).collect();
    let unreported: Vec<String> = changed
        .iter()
        .filter(|file| !file.reported)
        .map(|file| {
            format!(
                "stream {}: {} changed {} times and no warning says so",
                file.stream, file.path, file.rewrites
            )
        })
        .collect();
    let holds = unreported.is_empty() && !changed.is_empty();
    let detail = match (holds, changed.is_empty()) {
        (true, _) => format!("{} changed files were reported", changed.len()),
        (false, true) => "no file changed".into(),
        (false, false) => listed(&unreported),
    };
    Finding::new("data.changed_file_reported", holds, detail)
}

fn step_details(record: &Record, expected: &StepDetails) -> Finding {
    let aspect = "step_details_say";
    let of_step: Vec<_> = record.jobs.iter().filter(|job| job.step + 1 == expected.step).collect();
    let silent = of_step.iter().find(|job| !job.result.log.iter().any(|line| line.contains(&expected.says)));
    match silent {
        _ if of_step.is_empty() => Finding::new(aspect, false, format!("step {} ran no job", expected.step)),
        Some(job) => {
            let id = job.result.job_id;
            Finding::new(aspect, false, format!("job {id}: the details do not say {:?}", expected.says))
        }
        None => Finding::new(aspect, true, format!("{} jobs say {:?}", of_step.len(), expected.says)),
    }
}

fn job_details(record: &Record) -> Finding {
    let failed: Vec<_> = record.jobs.iter().filter(|job| !job.result.is_successful()).collect();
    let mut wrong = Vec::new();
    for job in &failed {
        let details = job.result.log.join("\n");
        for word in &record.scenario.expect.job_details_say {
            if !details.to_lowercase().contains(&word.to_lowercase()) {
                let last = job.result.log.iter().rev().take(4).cloned().collect::<Vec<_>>().join(" | ");
                wrong.push(format!(
                    "job {}: the details do not say {word:?}; their end: {last}",
                    job.result.job_id
                ));
            }
        }
    }
    let holds = wrong.is_empty() && !failed.is_empty();
    let detail = match (holds, failed.is_empty()) {
        (true, _) => format!("the details say {}", record.scenario.expect.job_details_say.join(", ")),
        (false, true) => "no job failed".into(),
        (false, false) => listed(&wrong),
    };
    Finding::new("job_details_say", holds, detail)
}

fn faults_fired(record: &Record) -> Finding {
    let faults = record.faults.iter().map(|outcome| (format!("{:?}", outcome.fault), outcome.hits));
    let calls = record.plugin_faults.iter().map(|outcome| (format!("{:?}", outcome.fault), outcome.hits));
    let kills = record.kills.iter().map(|outcome| (format!("{:?}", outcome.kill), outcome.hits));
    let orders = record.orders.iter().map(|outcome| (format!("{:?}", outcome.order), outcome.hits));
    let pauses = record.pauses.iter().map(|outcome| (format!("{:?}", outcome.pause), outcome.hits));
    let kinds: [(&str, Vec<(String, u64)>); 5] = [
        ("requests", faults.collect()),
        ("calls", calls.collect()),
        ("processes killed", kills.collect()),
        ("orders given", orders.collect()),
        ("processes paused", pauses.collect()),
    ];
    let all: Vec<&(String, u64)> = kinds.iter().flat_map(|(_, outcomes)| outcomes).collect();
    let missed: Vec<String> = all
        .iter()
        .filter(|(_, hits)| *hits == 0)
        .map(|(what, _)| format!("{what} never happened: the scenario proves nothing"))
        .collect();
    let holds = missed.is_empty() && !all.is_empty();
    let told = kinds
        .iter()
        .filter(|(_, outcomes)| !outcomes.is_empty())
        .map(|(what, outcomes)| format!("{what}: {}", outcomes.iter().map(|(_, hits)| hits).sum::<u64>()));
    let detail = if holds { told.collect::<Vec<_>>().join(", ") } else { listed(&missed) };
    Finding::new("faults_fired", holds, detail)
}
