//! Whether the figures that jobs print are there and fit each other.

use super::{Finding, listed};
use crate::engine::{JobRecord, Record};
use crate::nbu::{JobKind, WaitDelay};

/// What the plug-in left in the processes that loaded it: nothing, in any of them.
pub(super) fn leaks(record: &Record) -> Finding {
    let mut left = Vec::new();
    let mut processes = 0;
    for job in &record.jobs {
        processes += job.result.footprints.len();
        for footprint in &job.result.footprints {
            let what = footprint.left_descriptors.iter().map(|what| format!("descriptor {what}"));
            let what = what.chain(footprint.left_threads.iter().map(|what| format!("thread {what}")));
            left.extend(what.map(|what| format!("job {}: {what}", job.result.job_id)));
        }
    }
    if processes == 0 {
        return Finding::unknown("leaks", "no process that loaded the plug-in lived to report");
    }
    let holds = left.is_empty();
    let detail = if holds { format!("nothing is left in {processes} processes") } else { listed(&left) };
    Finding::new("leaks", holds, detail)
}

/// Wait and delay counters: delays are waiting time in units of NetBackup's sleep, nobody waits longer than the job
/// lasted, and the job details print them as NetBackup does.
pub(super) fn counters(record: &Record) -> Finding {
    let buffers = &record.scenario.buffers;
    let mut wrong = Vec::new();
    let mut examined = 0;
    let with_data = record.jobs.iter().filter(|job| job.result.status == 0 && has_buffers(job));
    for job in with_data {
        examined += 1;
        let waits = &job.result.waits;
        for (half, counted, delay_ms) in [
            ("parent", waits.parent, buffers.parent_delay_ms),
            ("child", waits.child, buffers.child_delay_ms),
        ] {
            if let Some(text) = inconsistent(counted, delay_ms, job.result.elapsed_ms) {
                wrong.push(format!("job {}: {half}: {text}", job.result.job_id));
            }
        }
        let words: &[&str] = match job.result.kind {
            JobKind::Backup => &["waited for full buffer", "waited for empty buffer"],
            _ => &["waited for empty buffer"],
        };
        for word in words {
            if !job.result.log.iter().any(|line| line.contains(word) && line.contains("delayed")) {
                wrong.push(format!("job {}: no line says {word:?} … \"delayed\"", job.result.job_id));
            }
        }
    }
    let holds = wrong.is_empty() && examined > 0;
    let detail = match (holds, examined) {
        (true, _) => format!("the counters of {examined} jobs are consistent"),
        (false, 0) => "no job moved data".into(),
        _ => listed(&wrong),
    };
    Finding::new("counters", holds, detail)
}

fn has_buffers(job: &JobRecord) -> bool {
    matches!(job.result.kind, JobKind::Backup | JobKind::Restore) && job.result.kbytes > 0
}

fn inconsistent(counted: WaitDelay, delay_ms: u32, elapsed_ms: u64) -> Option<String> {
    let quantum_ns = u64::from(delay_ms) * 1_000_000;
    let expected = counted.waited_ns / quantum_ns.max(1);
    if counted.delays != expected {
        return Some(format!(
            "delayed {} times, but {} ns of waiting are {expected} delays",
            counted.delays, counted.waited_ns
        ));
    }
    if counted.waits == 0 && counted.waited_ns > 0 {
        return Some(format!("{} ns of waiting in no wait at all", counted.waited_ns));
    }
    // The elapsed time is measured by another process: one second of difference is no contradiction.
    if counted.waited_ns / 1_000_000 > elapsed_ms + 1000 {
        return Some(format!("waited {} ns in a job of {elapsed_ms} ms", counted.waited_ns));
    }
    None
}
