//! A job as one line of `bpdbjobs -report -all_columns` and `-most_columns`.
//!
//! The order of the columns is that of public scripts that read them. Fields are separated by commas; a comma or a
//! backslash in one is escaped with a backslash, and a line feed, which NetBackup's own fields never have, is `\n`.
//! Times and spans have ten digits. Not verified: where `-most_columns` ends (before the file list here), and what
//! the columns that do not concern disk hold (empty or 0 here).

#[cfg(test)]
mod tests;

use crate::jobs_db::{Job, Operation, Try};

/// A column: its name, and what it holds.
type Column<T> = (&'static str, fn(&T) -> String);

/// The columns before the lists.
const HEAD: &[Column<Job>] = &[
    ("jobid", |job| job.id.to_string()),
    ("jobtype", |job| job.request.job_type.code().to_string()),
    ("state", |job| job.state.code().to_string()),
    ("status", |job| known(job.status)),
    ("policy", |job| job.request.policy.clone()),
    ("sched", |job| job.request.schedule.clone()),
    ("client", |job| job.request.client.clone()),
    ("server", |job| job.last_try().map(|last| last.server.clone()).unwrap_or_default()),
    ("start", |job| time(job.submitted)),
    ("elapsed", |job| time(job.elapsed())),
    ("end", |job| time(job.ended.unwrap_or(0))),
    ("stunit", |job| job.last_try().map_or(&job.request.storage_unit, |last| &last.storage_unit).clone()),
    ("try", |job| job.tries.len().to_string()),
    ("operation", |job| known(job.operation.map(Operation::code))),
    ("kbytes", |job| job.progress().kbytes.to_string()),
    ("files", |job| job.progress().files.to_string()),
    ("pathlastwritten", |job| job.progress().path),
    ("percent", |job| known(job.progress().percent)),
    ("jobpid", |job| known(job.last_try().map(|last| last.pid))),
    ("owner", |job| job.request.owner.clone()),
    ("subtype", |job| job.request.subtype.code().to_string()),
    ("classtype", |job| job.request.policy_type.code().to_string()),
    ("schedtype", |job| job.request.schedule_type.code().to_string()),
    ("priority", |job| job.request.priority.to_string()),
    ("group", |job| job.request.group.clone()),
    ("master", |job| job.request.primary.clone()),
    ("ret_units", |job| job.request.retention_level.to_string()),
    ("ret_period", |job| job.request.retention_seconds.to_string()),
    ("compression", |job| bit(job.request.compression)),
    ("kb_last", |job| job.request.kbytes_last.to_string()),
    ("files_last", |job| job.request.files_last.to_string()),
];

/// A try, and the time of the job's last change, which is now for a try that runs.
struct Attempt {
    one: Try,
    now: u64,
}

/// The columns of a try before its lines.
const ATTEMPT: &[Column<Attempt>] = &[
    ("trypid", |a| a.one.pid.to_string()),
    ("trystunit", |a| a.one.storage_unit.clone()),
    ("tryserver", |a| a.one.server.clone()),
    ("trystart", |a| time(a.one.started)),
    ("tryelapsed", |a| time(a.one.ended.unwrap_or(a.now).saturating_sub(a.one.started))),
    ("tryend", |a| time(a.one.ended.unwrap_or(0))),
    ("trystatus", |a| known(a.one.status)),
    ("trystatusdesc", |a| a.one.text.clone()),
];

/// The columns of a try behind its lines.
const ATTEMPT_TAIL: &[Column<Attempt>] = &[
    ("trybytes", |a| a.one.progress.kbytes.to_string()),
    ("tryfiles", |a| a.one.progress.files.to_string()),
];

/// The columns behind the tries.
const TAIL: &[Column<Job>] = &[
    ("parentjob", |job| job.request.parent.unwrap_or(0).to_string()),
    ("kbpersec", |job| job.progress().kbytes_per_sec.to_string()),
    ("copy", |job| job.copy.to_string()),
    ("robot", |_| String::new()),
    ("vault", |_| String::new()),
    ("profile", |_| String::new()),
    ("session", |_| "0".into()),
    ("ejecttapes", |_| "0".into()),
    ("srcstunit", |job| job.source_storage_unit.clone()),
    ("srcserver", |job| job.source_server.clone()),
    ("srcmedia", |job| job.source_media.clone()),
    ("dstmedia", |job| job.destination_media.clone()),
    ("stream", |job| job.request.stream.to_string()),
    ("suspendable", |job| bit(job.request.controls.suspendable)),
    ("resumable", |job| bit(job.request.controls.resumable)),
    ("restartable", |job| bit(job.request.controls.restartable)),
    ("datamovement", |_| "0".into()),
    ("frozenimage", |job| job.frozen_image.clone()),
    ("backupid", |job| job.request.backup_id.clone()),
    ("killable", |job| bit(job.request.controls.killable)),
    ("controllinghost", |job| job.request.primary.clone()),
];

fn bit(set: bool) -> String {
    u8::from(set).to_string()
}

/// A number, or nothing while there is none.
fn known(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn time(seconds: u64) -> String {
    format!("{seconds:010}")
}

/// A line that grows by fields.
#[derive(Debug, Default)]
struct Line(Option<String>);

impl Line {
    fn field(&mut self, field: &str) {
        let line = match &mut self.0 {
            Some(line) => {
                line.push(',');
                line
            }
            first => first.insert(String::new()),
        };
        for c in field.chars() {
            match c {
                ',' | '\\' => line.extend(['\\', c]),
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                _ => line.push(c),
            }
        }
    }

    fn columns<T>(&mut self, columns: &[Column<T>], of: &T) {
        for (_, column) in columns {
            self.field(&column(of));
        }
    }

    /// How many there are, and each.
    fn list(&mut self, fields: &[String]) {
        self.field(&fields.len().to_string());
        for field in fields {
            self.field(field);
        }
    }

    fn finish(self) -> String {
        self.0.unwrap_or_default()
    }
}

/// The columns before the lists.
pub(super) fn most_columns(job: &Job) -> String {
    let mut line = Line::default();
    line.columns(HEAD, job);
    line.finish()
}

/// All columns.
pub(super) fn all_columns(job: &Job) -> String {
    let mut line = Line::default();
    line.columns(HEAD, job);
    line.list(&job.request.files_list);
    line.field(&job.tries.len().to_string());
    for one in &job.tries {
        let attempt = Attempt { one: one.clone(), now: job.updated };
        line.columns(ATTEMPT, &attempt);
        line.list(&attempt.one.lines);
        line.columns(ATTEMPT_TAIL, &attempt);
    }
    line.columns(TAIL, job);
    line.finish()
}
