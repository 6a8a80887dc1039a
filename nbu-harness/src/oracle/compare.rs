//! The comparison of two snapshots: every difference is counted, the first ones are listed.

use super::{Entry, Kind, Snapshot};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// How to compare.
#[derive(Debug, Clone)]
pub struct CompareOptions {
    /// How many differences are kept for the report; all are counted.
    pub list: usize,
    /// Whether owners must be equal: only a restore by root can give files away.
    pub owners: bool,
    /// Paths whose content and time may differ, because they changed while they were read.
    pub volatile: BTreeSet<Vec<u8>>,
    /// Whether the top directory's own attributes count.
    pub top: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { list: 50, owners: rustix::process::geteuid().is_root(), volatile: BTreeSet::new(), top: false }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The path below the top; bytes that are not UTF-8 are escaped.
    pub path: String,
    /// What differs, one word: missing, extra, type, mode, time, owner, size, content, target, links.
    pub what: &'static str,
    /// Before the backup.
    pub expected: String,
    /// After the restore.
    pub found: String,
}

impl Difference {
    /// Whether something came back that was never backed up, rather than too little or with other attributes.
    pub fn is_wrong_bytes(&self) -> bool {
        matches!(self.what, "content" | "size")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: expected {}, found {}", self.path, self.what, self.expected, self.found)
    }
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Paths compared.
    pub paths: usize,
    /// Bytes of the regular files compared.
    pub bytes: u64,
    /// Number of differences.
    pub total: usize,
    /// How many of them are wrong bytes: another content or another size.
    pub wrong_bytes: usize,
    /// The first of them, wrong bytes before all others.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Adds another tree's outcome, keeping at most `list` differences.
    pub fn add(&mut self, other: Self, list: usize) {
        self.paths += other.paths;
        self.bytes += other.bytes;
        self.total += other.total;
        self.wrong_bytes += other.wrong_bytes;
        for difference in other.differences {
            self.list(difference, list);
        }
    }

    /// Adds one difference that this module could not see itself.
    pub fn push(&mut self, difference: Difference, list: usize) {
        self.total += 1;
        self.wrong_bytes += usize::from(difference.is_wrong_bytes());
        self.list(difference, list);
    }

    /// Lists a difference; when the list is full, wrong bytes take the place of the last that is something else.
    fn list(&mut self, difference: Difference, list: usize) {
        if self.differences.len() < list {
            self.differences.push(difference);
        } else if difference.is_wrong_bytes()
            && let Some(other) = self.differences.iter_mut().rev().find(|other| !other.is_wrong_bytes())
        {
            *other = difference;
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.total == 0 {
            return write!(f, "{} paths and {} bytes are identical", self.paths, self.bytes);
        }
        write!(f, "{} differences in {} paths", self.total, self.paths)?;
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        let unlisted = self.total - self.differences.len();
        if unlisted > 0 { write!(f, "\n  and {unlisted} more") } else { Ok(()) }
    }
}

/// Compares `found` with `expected`, path by path and attribute by attribute.
pub fn compare(expected: &Snapshot, found: &Snapshot, options: &CompareOptions) -> Comparison {
    let mut result = Comparison { bytes: expected.total_bytes(), ..Comparison::default() };
    for (path, before) in expected.iter() {
        if path.is_empty() && !options.top {
            continue;
        }
        result.paths += 1;
        match found.get(path) {
            Some(after) => compare_entry(path, before, after, options, &mut result),
            None => result.push(difference(path, "missing", before.kind.name(), "nothing"), options.list),
        }
    }
    for (path, after) in found.iter() {
        if expected.get(path).is_none() && !path.is_empty() {
            result.push(difference(path, "extra", "nothing", after.kind.name()), options.list);
        }
    }
    result
}

fn difference(path: &[u8], what: &'static str, expected: &str, found: &str) -> Difference {
    let path = path.escape_ascii().to_string();
    Difference { path, what, expected: expected.into(), found: found.into() }
}

fn compare_entry(
    path: &[u8],
    before: &Entry,
    after: &Entry,
    options: &CompareOptions,
    result: &mut Comparison,
) {
    let mut differs = |what, expected: String, found: String| {
        result.push(difference(path, what, &expected, &found), options.list);
    };
    let volatile = options.volatile.contains(path);
    match (&before.kind, &after.kind) {
        (Kind::File(before), Kind::File(after)) => {
            if before.size != after.size {
                differs("size", before.size.to_string(), after.size.to_string());
            } else if before.hash != after.hash && !volatile {
                differs("content", before.hash.to_string(), after.hash.to_string());
            }
        }
        (Kind::Symlink { target: before }, Kind::Symlink { target: after }) if before != after => {
            differs("target", before.escape_ascii().to_string(), after.escape_ascii().to_string());
        }
        (before, after) if std::mem::discriminant(before) != std::mem::discriminant(after) => {
            // Nothing else can be compared between two things of different types.
            differs("type", before.name().into(), after.name().into());
            return;
        }
        _ => {}
    }
    // A symbolic link's mode means nothing and cannot be set.
    if before.mode != after.mode && !matches!(before.kind, Kind::Symlink { .. }) {
        differs("mode", format!("{:04o}", before.mode), format!("{:04o}", after.mode));
    }
    if before.mtime != after.mtime && !volatile {
        let show = |(seconds, nanoseconds): (i64, i64)| format!("{seconds}.{nanoseconds:09}");
        differs("time", show(before.mtime), show(after.mtime));
    }
    if options.owners && (before.uid, before.gid) != (after.uid, after.gid) {
        differs("owner", format!("{}:{}", before.uid, before.gid), format!("{}:{}", after.uid, after.gid));
    }
    if before.hard_links != after.hard_links {
        let show = |links: &Option<Vec<u8>>| {
            links
                .as_ref()
                .map_or("no other name".into(), |first| format!("the same file as {}", first.escape_ascii()))
        };
        differs("links", show(&before.hard_links), show(&after.hard_links));
    }
}

#[cfg(test)]
mod tests {
    use super::super::HashedFile;
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> Snapshot {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        for name in ["a", "b"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        symlink("a", dir.path().join("link")).unwrap();
        Snapshot::take(dir.path(), 1).unwrap()
    }

    /// Compares `tree()` with itself after `change`, and returns what was found.
    fn after(change: impl FnOnce(&mut Snapshot)) -> Vec<(String, &'static str)> {
        let expected = tree_once();
        let mut found = expected.clone();
        change(&mut found);
        let result =
            compare(&expected, &found, &CompareOptions { owners: true, ..CompareOptions::default() });
        assert_eq!(result.total, result.differences.len());
        result.differences.into_iter().map(|d| (d.path, d.what)).collect()
    }

    fn tree_once() -> Snapshot {
        static TREE: std::sync::OnceLock<Snapshot> = std::sync::OnceLock::new();
        TREE.get_or_init(tree).clone()
    }

    #[test]
    fn equal_trees_have_no_difference() {
        assert_eq!(after(|_| {}), []);
    }

    #[test]
    fn every_attribute_is_compared() {
        type Change = (&'static str, fn(&mut Entry));
        let changes: [Change; 8] = [
            ("mode", |e| e.mode ^= 0o4000),
            ("time", |e| e.mtime.1 ^= 1),
            ("owner", |e| e.uid += 1),
            ("owner", |e| e.gid += 1),
            ("links", |e| e.hard_links = Some(b"b".to_vec())),
            ("content", |e| e.kind = Kind::File(HashedFile { size: 1, hash: blake3::hash(b"z") })),
            ("size", |e| e.kind = Kind::File(HashedFile { size: 2, hash: blake3::hash(b"aa") })),
            ("type", |e| e.kind = Kind::Fifo),
        ];
        for (what, change) in changes {
            assert_eq!(after(|found| change(found.entry_mut(b"a"))), [("a".to_owned(), what)]);
        }
        let target = after(|found| found.entry_mut(b"link").kind = Kind::Symlink { target: b"b".to_vec() });
        assert_eq!(target, [("link".to_owned(), "target")]);
    }

    #[test]
    fn missing_and_extra_paths_are_found() {
        let expected = tree_once();
        let fewer = expected.filtered(|path| path != b"b");
        let options = CompareOptions::default();
        let missing = compare(&expected, &fewer, &options);
        assert_eq!((missing.total, missing.differences[0].what), (1, "missing"));
        let extra = compare(&fewer, &expected, &options);
        assert_eq!((extra.total, extra.differences[0].what), (1, "extra"));
    }

    #[test]
    fn a_volatile_file_may_differ_in_content_and_time_but_not_in_size() {
        let expected = tree_once();
        let options = CompareOptions { volatile: [b"a".to_vec()].into(), ..CompareOptions::default() };
        let mut found = expected.clone();
        found.entry_mut(b"a").mtime.0 += 1;
        found.entry_mut(b"a").kind = Kind::File(HashedFile { size: 1, hash: blake3::hash(b"z") });
        assert_eq!(compare(&expected, &found, &options).total, 0);
        found.entry_mut(b"a").kind = Kind::File(HashedFile { size: 2, hash: blake3::hash(b"z") });
        assert_eq!(compare(&expected, &found, &options).total, 1);
    }

    #[test]
    fn the_list_is_bounded_and_the_count_is_not() {
        let expected = tree_once();
        let result = compare(
            &expected,
            &Snapshot::default(),
            &CompareOptions { list: 2, ..CompareOptions::default() },
        );
        assert_eq!((result.total, result.differences.len()), (4, 2));
        assert!(result.to_string().ends_with("and 2 more"), "{result}");
    }

    #[test]
    fn wrong_bytes_are_listed_however_much_else_differs() {
        let all = |what| {
            let mut one = Comparison::default();
            for path in [b"a", b"b", b"c"] {
                one.push(difference(path, what, "x", "y"), 2);
            }
            one
        };
        let mut result = all("mode");
        assert_eq!((result.total, result.wrong_bytes, result.differences.len()), (3, 0, 2));
        result.push(difference(b"late", "content", "x", "y"), 2);
        assert_eq!((result.total, result.wrong_bytes), (4, 1));
        let listed: Vec<_> = result.differences.iter().map(|d| (d.path.as_str(), d.what)).collect();
        assert_eq!(listed, [("a", "mode"), ("late", "content")]);
        result.add(all("size"), 2);
        assert_eq!((result.total, result.wrong_bytes), (7, 4));
        assert!(result.differences.iter().all(Difference::is_wrong_bytes) && result.differences.len() == 2);
    }
}
