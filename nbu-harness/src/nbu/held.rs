//! What a process holds that it should give back: open descriptors and threads, as `/proc` has them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How long what is on its way out may take to be gone. A joined thread, for one, is in `/proc` a moment longer.
const SETTLE: Duration = Duration::from_secs(2);

/// Open descriptors and threads of this process at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Number of each descriptor and what it stands for.
    descriptors: BTreeMap<String, String>,
    /// Id of each thread and its name.
    threads: BTreeMap<String, String>,
}

impl Held {
    /// What this process holds now; nothing where `/proc` cannot be read.
    pub(crate) fn now() -> Self {
        let own_listing = format!("/proc/{}/fd", std::process::id());
        let mut descriptors = entries("/proc/self/fd", |path| {
            std::fs::read_link(path).ok().map(|target| target.display().to_string())
        });
        // The descriptor that lists the descriptors.
        descriptors.retain(|_, target| *target != own_listing);
        let threads = entries("/proc/self/task", |path| {
            std::fs::read_to_string(path.join("comm")).ok().map(|name| name.trim_end().to_owned())
        });
        Self { descriptors, threads }
    }

    /// What this process holds now and did not hold `before`, once that has settled: waits at most two seconds for
    /// threads and descriptors on their way out.
    pub(crate) fn more_than(before: &Self) -> Footprint {
        let deadline = Instant::now() + SETTLE;
        loop {
            let footprint = Self::now().beside(before);
            if footprint.is_clean() || Instant::now() >= deadline {
                return footprint;
            }
            std::thread::yield_now();
        }
    }

    fn beside(&self, before: &Self) -> Footprint {
        let left = |now: &BTreeMap<String, String>, is_new: &dyn Fn(&String, &String) -> bool| {
            let more = now.iter().filter(|(key, value)| is_new(key, value));
            more.map(|(key, value)| format!("{key} {value}")).collect()
        };
        Footprint {
            descriptors_before: before.descriptors.len(),
            descriptors_after: self.descriptors.len(),
            threads_before: before.threads.len(),
            threads_after: self.threads.len(),
            left_descriptors: left(&self.descriptors, &|key, value| {
                before.descriptors.get(key) != Some(value)
            }),
            // A thread may take its name after its start.
            left_threads: left(&self.threads, &|key, _| !before.threads.contains_key(key)),
        }
    }
}

fn entries(dir: &str, value: impl Fn(&std::path::Path) -> Option<String>) -> BTreeMap<String, String> {
    let listed = std::fs::read_dir(dir).into_iter().flatten().flatten();
    listed.filter_map(|entry| Some((entry.file_name().into_string().ok()?, value(&entry.path())?))).collect()
}

/// What was held before something and after it, and what of the latter is new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// Open descriptors before.
    pub descriptors_before: usize,
    /// Open descriptors after.
    pub descriptors_after: usize,
    /// Threads before.
    pub threads_before: usize,
    /// Threads after.
    pub threads_after: usize,
    /// Descriptors that are open after and were not before, each as `number what`.
    pub left_descriptors: Vec<String>,
    /// Threads that run after and did not before, each as `id name`.
    pub left_threads: Vec<String>,
}

impl Footprint {
    /// Nothing is left.
    pub const fn is_clean(&self) -> bool {
        self.left_descriptors.is_empty() && self.left_threads.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(descriptors: &[(&str, &str)], threads: &[(&str, &str)]) -> Held {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        Held { descriptors: map(descriptors), threads: map(threads) }
    }

    #[test]
    fn a_number_that_stands_for_something_else_is_left_and_one_that_is_gone_is_not() {
        let before = held(&[("0", "/dev/null"), ("3", "socket:[1]"), ("4", "pipe:[2]")], &[("7", "bptm")]);
        let after = held(&[("0", "/dev/null"), ("3", "socket:[9]")], &[("7", "renamed"), ("8", "io")]);
        let footprint = after.beside(&before);
        assert_eq!(footprint.left_descriptors, ["3 socket:[9]"]);
        assert_eq!(footprint.left_threads, ["8 io"]);
        assert_eq!((footprint.descriptors_before, footprint.descriptors_after), (3, 2));
        assert!(!footprint.is_clean());
        assert!(before.beside(&before).is_clean());
    }

    #[test]
    fn an_open_file_is_among_what_this_process_holds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = file.path().canonicalize().unwrap().display().to_string();
        let held = Held::now();
        assert!(held.descriptors.values().any(|target| *target == name), "{held:?}");
        assert!(!held.threads.is_empty());
        let listing = format!("/proc/{}/fd", std::process::id());
        assert!(!held.descriptors.values().any(|target| *target == listing), "{held:?}");
    }
}
