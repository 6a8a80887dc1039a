//! A line read back as scripts do it: by the escapes and by counting columns, with names of its own.

use super::{all_columns, most_columns};
use crate::jobs_db::{
    Controls, Job, JobState, JobType, NewJob, Operation, PolicyType, Progress, ScheduleType, Subtype, Try,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The columns before the lists, in the order that public scripts count them by.
const COLUMNS: &[&str] = &[
    "jobid",
    "jobtype",
    "state",
    "status",
    "policy",
    "sched",
    "client",
    "server",
    "start",
    "elapsed",
    "end",
    "stunit",
    "try",
    "operation",
    "kbytes",
    "files",
    "pathlastwritten",
    "percent",
    "jobpid",
    "owner",
    "subtype",
    "classtype",
    "schedtype",
    "priority",
    "group",
    "master",
    "ret_units",
    "ret_period",
    "compression",
    "kb_last",
    "files_last",
];
/// Columns of a try, before its lines.
const TRY_COLUMNS: &[&str] =
    &["trypid", "trystunit", "tryserver", "trystart", "tryelapsed", "tryend", "trystatus", "trystatusdesc"];
/// Columns of a try, behind its lines.
const TRY_TAIL: &[&str] = &["trybytes", "tryfiles"];
/// Columns behind the tries.
const TAIL: &[&str] = &[
    "parentjob",
    "kbpersec",
    "copy",
    "robot",
    "vault",
    "profile",
    "session",
    "ejecttapes",
    "srcstunit",
    "srcserver",
    "srcmedia",
    "dstmedia",
    "stream",
    "suspendable",
    "resumable",
    "restartable",
    "datamovement",
    "frozenimage",
    "backupid",
    "killable",
    "controllinghost",
];

/// Splits a line into fields, knowing nothing but the escapes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let Some(last) = fields.last_mut() else { break };
        match c {
            ',' => fields.push(String::new()),
            '\\' => last.push(match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => panic!("a backslash at the end"),
            }),
            _ => last.push(c),
        }
    }
    fields
}

/// A try as the line has it: its columns by name, and its lines.
type ParsedTry = (BTreeMap<&'static str, String>, Vec<String>);

/// A job as the line has it.
struct Parsed {
    columns: BTreeMap<&'static str, String>,
    files: Vec<String>,
    tries: Vec<ParsedTry>,
}

fn named(rest: &mut impl Iterator<Item = String>, names: &[&'static str]) -> BTreeMap<&'static str, String> {
    names.iter().map(|name| (*name, rest.next().unwrap())).collect()
}
fn list(rest: &mut impl Iterator<Item = String>) -> Vec<String> {
    let count = rest.next().unwrap().parse().unwrap();
    (0..count).map(|_| rest.next().unwrap()).collect()
}

/// Reads a line as scripts do: by counting.
fn parse(line: &str) -> Parsed {
    let mut rest = fields(line).into_iter();
    let mut columns = named(&mut rest, COLUMNS);
    let files = list(&mut rest);
    let count: usize = rest.next().unwrap().parse().unwrap();
    let tries = (0..count)
        .map(|_| {
            let mut columns = named(&mut rest, TRY_COLUMNS);
            let lines = list(&mut rest);
            columns.extend(named(&mut rest, TRY_TAIL));
            (columns, lines)
        })
        .collect();
    columns.extend(named(&mut rest, TAIL));
    assert_eq!(rest.next(), None, "nothing is behind the last column");
    Parsed { columns, files, tries }
}

fn any_job() -> impl Strategy<Value = Job> {
    let word = || "[a-z,\\\\ \n\r\"ü]{0,12}";
    let words = || proptest::collection::vec(word(), 0..4);
    let progress = (any::<u64>(), any::<u64>(), proptest::option::of(0..=100u8), any::<u64>(), word())
        .prop_map(|(kbytes, files, percent, kbytes_per_sec, path)| Progress {
            kbytes,
            files,
            percent,
            kbytes_per_sec,
            path,
        });
    let time = || 0..2_000_000_000u64;
    let one = (
        any::<u32>(),
        word(),
        word(),
        time(),
        proptest::option::of((time(), any::<i32>())),
        words(),
        progress,
    )
        .prop_map(|(pid, storage_unit, server, started, end, lines, progress)| Try {
            pid,
            storage_unit,
            server,
            started,
            ended: end.map(|(at, _)| at),
            status: end.map(|(_, status)| status),
            text: "text, with \\".into(),
            lines,
            progress,
        });
    let codes = (
        proptest::sample::select(JobType::ALL),
        proptest::sample::select(JobState::ALL),
        proptest::sample::select(Subtype::ALL),
        proptest::sample::select(PolicyType::ALL),
        proptest::sample::select(ScheduleType::ALL),
        proptest::option::of(proptest::sample::select(Operation::ALL)),
    );
    let request = (word(), word(), word(), word(), words(), any::<i32>(), proptest::option::of(any::<u64>()))
        .prop_map(|(policy, client, owner, backup_id, files_list, priority, parent)| NewJob {
            policy,
            client,
            owner,
            backup_id,
            files_list,
            priority,
            parent,
            controls: Controls { suspendable: true, killable: true, ..Controls::default() },
            ..NewJob::default()
        });
    let ends = (time(), proptest::option::of(time()), proptest::option::of(any::<i32>()));
    (any::<u64>(), codes, request, ends, proptest::collection::vec(one, 0..3), word()).prop_map(
        |(
            id,
            (job_type, state, subtype, policy_type, schedule_type, operation),
            request,
            ends,
            tries,
            media,
        )| Job {
            id,
            state,
            status: ends.2,
            submitted: ends.0,
            ended: ends.1,
            updated: 1_999_999_999,
            operation,
            tries,
            destination_media: media,
            request: NewJob { job_type, subtype, policy_type, schedule_type, ..request },
            ..Job::default()
        },
    )
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

proptest! {
    #[test]
    fn any_job_is_read_back_from_its_line(job in any_job()) {
        let line = all_columns(&job);
        prop_assert!(!line.contains('\n'), "a job is one line");
        let Parsed { columns, files, tries } = parse(&line);
        let (request, progress) = (&job.request, job.progress());
        for (name, expected) in [
            ("jobid", job.id.to_string()),
            ("jobtype", request.job_type.code().to_string()),
            ("state", job.state.code().to_string()),
            ("status", text(job.status)),
            ("policy", request.policy.clone()),
            ("client", request.client.clone()),
            ("server", job.last_try().map(|last| last.server.clone()).unwrap_or_default()),
            ("try", job.tries.len().to_string()),
            ("operation", text(job.operation.map(Operation::code))),
            ("kbytes", progress.kbytes.to_string()),
            ("pathlastwritten", progress.path.clone()),
            ("percent", text(progress.percent)),
            ("owner", request.owner.clone()),
            ("subtype", request.subtype.code().to_string()),
            ("classtype", request.policy_type.code().to_string()),
            ("schedtype", request.schedule_type.code().to_string()),
            ("priority", request.priority.to_string()),
            ("parentjob", request.parent.unwrap_or(0).to_string()),
            ("kbpersec", progress.kbytes_per_sec.to_string()),
            ("dstmedia", job.destination_media.clone()),
            ("suspendable", "1".into()),
            ("resumable", "0".into()),
            ("backupid", request.backup_id.clone()),
            ("killable", "1".into()),
        ] {
            prop_assert_eq!(&columns[name], &expected, "{}", name);
        }
        for (name, expected) in [
            ("start", job.submitted),
            ("end", job.ended.unwrap_or(0)),
            ("elapsed", job.elapsed()),
        ] {
            prop_assert_eq!(columns[name].len(), 10);
            prop_assert_eq!(columns[name].parse::<u64>().unwrap(), expected, "{}", name);
        }
        prop_assert_eq!(&files, &request.files_list);
        prop_assert_eq!(tries.len(), job.tries.len());
        for ((columns, lines), one) in tries.iter().zip(&job.tries) {
            prop_assert_eq!(lines, &one.lines);
            prop_assert_eq!(&columns["trypid"], &one.pid.to_string());
            prop_assert_eq!(&columns["trystunit"], &one.storage_unit);
            prop_assert_eq!(&columns["tryserver"], &one.server);
            prop_assert_eq!(&columns["trystatus"], &text(one.status));
            prop_assert_eq!(&columns["trystatusdesc"], &one.text);
            prop_assert_eq!(columns["tryend"].parse::<u64>().unwrap(), one.ended.unwrap_or(0));
            prop_assert_eq!(&columns["trybytes"], &one.progress.kbytes.to_string());
            prop_assert_eq!(&columns["tryfiles"], &one.progress.files.to_string());
        }
        let most = fields(&most_columns(&job));
        prop_assert_eq!(most.as_slice(), &fields(&line)[..COLUMNS.len()]);
    }
}
