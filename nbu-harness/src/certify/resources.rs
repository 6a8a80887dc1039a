//! What a scenario leaves on this machine, processes and shared memory, and in this process, descriptors and threads.
//!
//! Looked at before and after. Whatever is there afterwards and was not before is left; a process that outlives its
//! scenario is also ended, so that the next scenario begins as the first one did.

use crate::nbu::{Held, wait_readable};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long processes may take to end after their jobs.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where POSIX shared memory is.
const POSIX_MEMORY: &str = "/dev/shm";
/// Where the kernel lists System V shared memory.
const SYSTEM_V_MEMORY: &str = "/proc/sysvipc/shm";

/// What jobs can leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeakKind {
    /// A process of a job.
    Process,
    /// A shared memory segment.
    SharedMemory,
}

/// Something that a scenario left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Leak {
    /// What kind of thing.
    pub kind: LeakKind,
    /// Which, for people.
    pub what: String,
}

/// What there is before a scenario.
#[derive(Debug)]
pub(crate) struct Before {
    held: Held,
    children: BTreeSet<i32>,
    memory: BTreeSet<String>,
}

impl Before {
    /// Looks around. From now on, orphaned processes of jobs become children of this process, so that they can be found.
    pub(crate) fn now() -> Self {
        warm_up();
        // Refused by no kernel since 3.4; without it, orphans are not seen.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let (memory, _) = shared_memory();
        Self { held: Held::now(), children: children().into_keys().collect(), memory }
    }

    /// What the jobs of a scenario left, whose processes had these ids. Ends processes that are left.
    pub(crate) fn leaks(&self, processes: &BTreeSet<u32>) -> Vec<Leak> {
        let leak = |kind, what| Leak { kind, what };
        let mut leaks: Vec<Leak> =
            self.end_children().into_iter().map(|what| leak(LeakKind::Process, what)).collect();
        leaks.extend(self.memory_left(processes).into_iter().map(|what| leak(LeakKind::SharedMemory, what)));
        leaks
    }

    /// What this process has open and runs that it did not before. That is the harness's own: no plug-in is loaded here.
    pub(crate) fn left_here(&self) -> Result<(), String> {
        let left = Held::more_than(&self.held);
        let descriptors = left.left_descriptors.iter().map(|what| format!("descriptor {what}"));
        let threads = left.left_threads.iter().map(|what| format!("thread {what}"));
        let lines: Vec<String> = descriptors.chain(threads).collect();
        if lines.is_empty() { Ok(()) } else { Err(format!("the harness itself left {}", lines.join(", "))) }
    }

    /// Waits for processes that are about to end, all of them at the same time, kills the others and names them. One that
    /// is killed may leave children of its own to this process, so this goes on until there are none.
    fn end_children(&self) -> Vec<String> {
        let mut named = Vec::new();
        loop {
            let new: Vec<_> = children().into_iter().filter(|(id, _)| !self.children.contains(id)).collect();
            if new.is_empty() {
                return named;
            }
            let limit = Instant::now() + PATIENCE;
            for (id, name) in new {
                let patience = limit.saturating_duration_since(Instant::now());
                let Some(pid) = Pid::from_raw(id) else { continue };
                let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty());
                if !handle.is_ok_and(|handle| wait_readable(&handle, patience).unwrap_or(false)) {
                    named.push(format!("{id} {name}"));
                    // It may have ended this very moment.
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
                // Blocks no longer than the kernel takes to end a killed process.
                let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
            }
        }
    }

    fn memory_left(&self, processes: &BTreeSet<u32>) -> Vec<String> {
        let (now, creators) = shared_memory();
        self.left_of(now, &creators, processes)
    }

    fn left_of(
        &self,
        now: BTreeSet<String>,
        creators: &BTreeMap<String, u32>,
        processes: &BTreeSet<u32>,
    ) -> Vec<String> {
        let new = now.into_iter().filter(|name| !self.memory.contains(name));
        let ours = new.filter(|name| match creators.get(name) {
            // System V: the kernel knows who made it.
            Some(creator) => processes.contains(creator),
            // POSIX: somebody else's, if somebody else has it open.
            None => !in_use(name),
        });
        ours.collect()
    }
}

/// Starts and ends an embedded cluster once, before anybody looks: what its libraries make one time for the life of the
/// process, such as the sockets of tokio's signal handling, is no leak of a scenario.
fn warm_up() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // Whether a cluster can be started is the scenario's to find out.
        drop(vast_sim::BlockingCluster::start(vast_sim::Config::default(), 1));
    });
}

/// Ids and names of this process's children, those that ended and were not waited for included.
fn children() -> BTreeMap<i32, String> {
    let own = rustix::process::getpid().as_raw_pid();
    let mut found = BTreeMap::new();
    for id in process_ids() {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        if let Some((name, parent)) = name_and_parent(&stat)
            && parent == own
        {
            found.insert(id, name.to_owned());
        }
    }
    found
}

fn process_ids() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// `id (name) state parent …`; the name may hold anything, brackets too.
fn name_and_parent(stat: &str) -> Option<(&str, i32)> {
    let (front, back) = stat.rsplit_once(") ")?;
    let name = front.split_once('(')?.1;
    Some((name, back.split(' ').nth(1)?.parse().ok()?))
}

/// Paths of the files in a directory that belong to a user: what others make there is no job's.
fn files_of(directory: &Path, user: u32) -> BTreeSet<String> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    // A file may be gone meanwhile.
    let own = files.filter(|file| file.metadata().is_ok_and(|facts| facts.uid() == user));
    own.map(|file| file.path().display().to_string()).collect()
}

/// Names of all shared memory, but for files of other users, and the creators of those whose creator the kernel knows.
fn shared_memory() -> (BTreeSet<String>, BTreeMap<String, u32>) {
    let mut names = files_of(Path::new(POSIX_MEMORY), rustix::process::geteuid().as_raw());
    let creators = segments(&std::fs::read_to_string(SYSTEM_V_MEMORY).unwrap_or_default());
    names.extend(creators.keys().cloned());
    (names, creators)
}

/// System V segments of the kernel's table, each with the process that made it.
fn segments(table: &str) -> BTreeMap<String, u32> {
    let line = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        // Key, id, permissions, size, creator.
        [_, id, _, bytes, creator, ..] => {
            Some((format!("System V segment {id} of {bytes} bytes"), creator.parse().ok()?))
        }
        _ => None,
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// Whether any process has this file mapped or open.
fn in_use(path: &str) -> bool {
    process_ids().any(|id| {
        let mapped = std::fs::read_to_string(format!("/proc/{id}/maps"));
        let open = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        mapped.is_ok_and(|maps| maps.lines().any(|line| line.ends_with(path)))
            || open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).any(|to| to.as_os_str() == path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(name_and_parent("12 (bptm) S 7 12 1 0"), Some(("bptm", 7)));
        assert_eq!(name_and_parent("12 (a) S 9 (b) R 7 12 1 0"), Some(("a) S 9 (b", 7)));
        assert_eq!(name_and_parent(""), None);
    }

    #[test]
    fn a_segment_is_left_when_a_process_of_the_run_made_it() {
        let table = "       key      shmid perms                  size  cpid  lpid nattch   uid\n\
                     \u{20}        0          3   600                  4096    12    12      0     0\n\
                     \u{20}        0          4   600                  8192    99    99      1     0\n";
        let found = segments(table);
        assert_eq!(found["System V segment 3 of 4096 bytes"], 12);
        assert_eq!(found["System V segment 4 of 8192 bytes"], 99);
        let before = Before { held: Held::default(), children: BTreeSet::new(), memory: BTreeSet::new() };
        let left = before.left_of(found.keys().cloned().collect(), &found, &BTreeSet::from([12]));
        assert_eq!(left, ["System V segment 3 of 4096 bytes"]);
    }

    #[test]
    fn what_the_harness_itself_left_is_named() {
        let before = Before { held: Held::default(), children: BTreeSet::new(), memory: BTreeSet::new() };
        let said = before.left_here().unwrap_err();
        assert!(said.starts_with("the harness itself left descriptor "), "{said}");
        assert!(said.contains(", thread "), "{said}");
    }

    #[test]
    fn only_files_of_the_own_user_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("segment");
        std::fs::write(&path, "").unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(files_of(dir.path(), own), BTreeSet::from([path.display().to_string()]));
        assert_eq!(files_of(dir.path(), own + 1), BTreeSet::new());
    }

    #[test]
    fn a_mapped_file_is_in_use_and_one_that_is_only_there_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().canonicalize().unwrap().display().to_string();
        assert!(in_use(&path));
        let (_, path) = file.keep().unwrap();
        assert!(!in_use(&path.canonicalize().unwrap().display().to_string()));
        std::fs::remove_file(path).unwrap();
    }
}
