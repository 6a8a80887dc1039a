//! What is left on the cluster, judged by its raw state and never by what the plug-in lists.

use super::{Finding, PRINTED};
use crate::engine::Record;
use crate::nbu::{JobResult, JobState};

const NO_RAW_STATE: &str = "the raw state of an external cluster cannot be examined";

/// Steps whose jobs write images.
const WRITES: &[&str] = &["backup", "duplicate", "synthetic", "replicate", "advance"];

/// Whether a job may leave something: it succeeded, or it can go on with what it has.
fn stays(result: &JobResult) -> bool {
    result.is_successful() || result.state != JobState::Done
}

/// Every step in which no job succeeded leaves exactly what was there before.
pub(super) fn no_orphans(record: &Record) -> Finding {
    let aspect = "storage.no_orphans";
    let mut examined = 0;
    let mut left = Vec::new();
    for (index, step) in record.steps.iter().enumerate() {
        let mut jobs = record.jobs.iter().filter(|job| job.step == index).peekable();
        if !WRITES.contains(&step.name) || jobs.peek().is_none() || jobs.any(|job| stays(&job.result)) {
            continue;
        }
        let (Some(before), Some(after)) = (&step.before, &step.after) else {
            return Finding::unknown(aspect, NO_RAW_STATE);
        };
        examined += 1;
        left.extend(after.more_than(before).map(str::to_owned));
        left.extend(before.more_than(after).map(|lost| format!("{lost} (was there before and is gone)")));
    }
    match (examined, left.len()) {
        (0, _) => Finding::new(aspect, false, "no step failed, so nothing could be left behind"),
        (_, 0) => Finding::new(aspect, true, "the cluster holds exactly what it held before"),
        (_, count) => {
            left.truncate(PRINTED);
            Finding::new(aspect, false, format!("{count} things are left behind\n{}", left.join("\n")))
        }
    }
}

/// Nothing is there at the end.
pub(super) fn empty(record: &Record) -> Finding {
    let aspect = "storage.empty";
    match &record.storage {
        None => Finding::unknown(aspect, NO_RAW_STATE),
        Some(state) if state.is_empty() => {
            let held =
                record.steps.iter().filter_map(|step| step.after.as_ref()).map(|after| after.bytes).max();
            Finding::new(
                aspect,
                true,
                format!("nothing is left; at most {} bytes were held", held.unwrap_or_default()),
            )
        }
        Some(state) => {
            let some: Vec<&str> = state.things.keys().take(PRINTED).map(String::as_str).collect();
            let count = format!("{} objects and {} open uploads are left", state.objects, state.uploads);
            Finding::new(aspect, false, format!("{count}\n{}", some.join("\n")))
        }
    }
}

/// Every VIP got requests.
pub(super) fn all_vips_used(record: &Record) -> Finding {
    let aspect = "storage.all_vips_used";
    let Some(vips) = &record.vips else { return Finding::unknown(aspect, NO_RAW_STATE) };
    let share: Vec<String> =
        vips.iter().map(|(vip, requests)| format!("{vip}: {}", requests.total())).collect();
    let holds = !vips.is_empty() && vips.values().all(|requests| requests.total() > 0);
    Finding::new(aspect, holds, format!("requests by VIP: {}", share.join(", ")))
}
