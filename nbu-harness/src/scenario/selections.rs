//! The file list of a policy: paths and directives as NetBackup has them, and directives of our own.
//!
//! | line | meaning |
//! |---|---|
//! | `NEW_STREAM` | another data stream begins |
//! | `/a/path` | this directory and everything below it |
//! | `GEN_DATA` | synthetic data; `GEN_KBSIZE`, `GEN_MAXFILES`, `GEN_PERCENT_RANDOM`, `GEN_FILENAME_OFFSET` describe it |
//! | `GEN_SEED=n` | (ours) seed of the synthetic data or generated tree; default: the scenario's seed and the stream |
//! | `GEN_STREAMS=n` | (ours) the stream stands for so many of its kind, each with a seed of its own unless one is given |
//! | `GEN_CHANGE_PERCENT`, `GEN_DELETE_PERCENT` | (ours) share of the synthetic files that change or go with each generation |
//! | `GEN_COMPRESS_RATIO`, `GEN_DEDUP_PERCENT` | (ours) how often random content compresses, and the share of it that is there again |
//! | `GEN_FILE_SIZES=4k-16m` | (ours) sizes of the synthetic files, instead of one |
//! | `GEN_KB_PER_SECOND=n` | (ours) the client reads synthetic files no faster than this |
//! | `GEN_TREE` | (ours) a generated tree; `GEN_TREE_FILES`, `GEN_TREE_BYTES`, `GEN_TREE_CHANGING` (0 or 1) describe it |
//! | `RUST_SYSROOT`, `RUST_SYSROOT=i/n` | (ours) the Rust toolchain's directory, or the i-th of n parts of it |

use super::diagnostic::nearest;
use super::spec::{Stream, StreamSource};
use super::values::ByteSize;
use crate::data::{GenData, TreeSpec};
use std::path::PathBuf;

pub(super) const DIRECTIVES: &[&str] = &[
    "NEW_STREAM",
    "GEN_DATA",
    "GEN_KBSIZE",
    "GEN_MAXFILES",
    "GEN_PERCENT_RANDOM",
    "GEN_FILENAME_OFFSET",
    "GEN_SEED",
    "GEN_STREAMS",
    "GEN_CHANGE_PERCENT",
    "GEN_DELETE_PERCENT",
    "GEN_COMPRESS_RATIO",
    "GEN_DEDUP_PERCENT",
    "GEN_FILE_SIZES",
    "GEN_KB_PER_SECOND",
    "GEN_TREE",
    "GEN_TREE_FILES",
    "GEN_TREE_BYTES",
    "GEN_TREE_CHANGING",
    "RUST_SYSROOT",
];

/// Most parts that the Rust toolchain's directory is split into.
const MAX_PARTS: u32 = 64;
/// Limits of what is generated: a scenario should not fill a disk by a slip of the keyboard.
const MAX_TREE_FILES: u64 = 1_000_000;
const MAX_TREE_BYTES: u64 = 1 << 40;
const MAX_GEN_FILES: u64 = 10_000_000;
/// As many as jobs may run at a time on a storage unit.
pub(super) const MAX_STREAMS: usize = 1024;

/// What is wrong with a line: its index in the list, what, and what would be right.
pub(super) type Wrong = (usize, String, Option<String>);

/// Reads the list into streams, of which only the client is not known yet.
pub(super) fn parse(lines: &[&str], seed: u64) -> Result<Vec<Stream>, Wrong> {
    let mut streams = Vec::new();
    let mut builder = Builder::default();
    for (index, line) in lines.iter().enumerate() {
        if *line == "NEW_STREAM" {
            // The first one may come before the first stream, as NetBackup wants it.
            if !builder.is_empty() {
                std::mem::take(&mut builder).finish(&mut streams, seed)?;
            }
            builder.first_line = index + 1;
        } else {
            builder.line(index, line)?;
        }
    }
    builder.finish(&mut streams, seed)?;
    Ok(streams)
}

#[derive(Debug, Clone, PartialEq)]
enum Begun {
    Path(PathBuf),
    Sysroot { part: u32, of: u32 },
    Data,
    Tree,
}

#[derive(Debug, Default)]
struct Builder {
    first_line: usize,
    source: Option<Begun>,
    /// Directive, its line, its value.
    settings: Vec<(&'static str, usize, u64)>,
}

impl Builder {
    fn is_empty(&self) -> bool {
        self.source.is_none() && self.settings.is_empty()
    }

    fn line(&mut self, index: usize, line: &str) -> Result<(), Wrong> {
        if line.starts_with('/') {
            return self.begin(index, Begun::Path(PathBuf::from(line)));
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        let Some(name) = DIRECTIVES.iter().find(|directive| **directive == name) else {
            let help = format!("{}; a path must begin with /", nearest("directive", name, DIRECTIVES));
            return Err((index, format!("`{line}` is neither a path nor a directive"), Some(help)));
        };
        match (*name, value) {
            ("GEN_DATA", None) => self.begin(index, Begun::Data),
            ("GEN_TREE", None) => self.begin(index, Begun::Tree),
            ("RUST_SYSROOT", None) => self.begin(index, Begun::Sysroot { part: 1, of: 1 }),
            ("RUST_SYSROOT", Some(part)) => {
                let parsed =
                    part.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
                match parsed {
                    Some((part, of)) if 1 <= part && part <= of && of <= MAX_PARTS => {
                        self.begin(index, Begun::Sysroot { part, of })
                    }
                    _ => Err(wrong_value(
                        index,
                        line,
                        &format!("i/n with 1 <= i <= n <= {MAX_PARTS}, such as 2/4"),
                    )),
                }
            }
            ("NEW_STREAM" | "GEN_DATA" | "GEN_TREE", Some(_)) => {
                Err((index, format!("`{name}` takes no value"), Some(format!("write `{name}`"))))
            }
            (name, value) => self.setting(index, line, name, value.unwrap_or_default()),
        }
    }

    fn begin(&mut self, index: usize, source: Begun) -> Result<(), Wrong> {
        if self.source.replace(source).is_none() {
            return Ok(());
        }
        let help = "put a NEW_STREAM line between them";
        Err((index, "a stream has one source only, and this is its second".into(), Some(help.into())))
    }

    fn setting(&mut self, index: usize, line: &str, name: &'static str, value: &str) -> Result<(), Wrong> {
        let (range, expected) = match name {
            "GEN_KBSIZE" => (0..=MAX_TREE_BYTES >> 10, "KiB per file"),
            "GEN_MAXFILES" => (1..=MAX_GEN_FILES, "a number of files, at most 10000000"),
            "GEN_PERCENT_RANDOM" | "GEN_CHANGE_PERCENT" | "GEN_DELETE_PERCENT" | "GEN_DEDUP_PERCENT" => {
                (0..=100, "0 to 100")
            }
            "GEN_COMPRESS_RATIO" => (1..=64, "1 to 64"),
            "GEN_STREAMS" => (1..=MAX_STREAMS as u64, "1 to 1024"),
            "GEN_KB_PER_SECOND" => (1..=u64::MAX >> 10, "KiB in a second, at least 1"),
            "GEN_FILE_SIZES" => (1..=u64::MAX, "two sizes of 1k to 1t, such as 4k-16m"),
            "GEN_TREE_FILES" => (0..=MAX_TREE_FILES, "a number of files, at most 1000000"),
            "GEN_TREE_BYTES" => (0..=MAX_TREE_BYTES, "a size, at most 1t"),
            "GEN_TREE_CHANGING" => (0..=1, "0 or 1"),
            _ => (0..=u64::MAX, "a number"),
        };
        let number = match name {
            "GEN_TREE_BYTES" => value.parse::<ByteSize>().ok().map(|size| size.0),
            "GEN_FILE_SIZES" => sizes(value).map(|(smallest, largest)| smallest << 32 | largest),
            _ => value.parse().ok(),
        };
        match number.filter(|number| range.contains(number)) {
            Some(_) if self.settings.iter().any(|(other, ..)| *other == name) => Err((
                index,
                format!("`{name}` is given twice for one stream"),
                Some("remove one of the two".into()),
            )),
            Some(number) => {
                self.settings.push((name, index, number));
                Ok(())
            }
            None => Err(wrong_value(index, line, expected)),
        }
    }

    fn finish(self, streams: &mut Vec<Stream>, seed: u64) -> Result<(), Wrong> {
        for _ in 0..self.given("GEN_STREAMS").unwrap_or(1) {
            streams.push(self.stream(streams.len(), seed)?);
        }
        Ok(())
    }

    fn given(&self, name: &str) -> Option<u64> {
        self.settings.iter().find(|(other, ..)| *other == name).map(|(.., value)| *value)
    }

    fn stream(&self, streams_before: usize, seed: u64) -> Result<Stream, Wrong> {
        let Some(source) = &self.source else {
            let message = "this stream has no source".to_owned();
            let help = "give a path, GEN_DATA, GEN_TREE or RUST_SYSROOT".to_owned();
            return Err((self.first_line, message, Some(help)));
        };
        let prefix = match source {
            Begun::Data => "GEN_",
            Begun::Tree => "GEN_TREE_",
            Begun::Path(_) | Begun::Sysroot { .. } => "no directive",
        };
        let foreign = |name: &str| {
            if matches!(name, "GEN_SEED" | "GEN_STREAMS") {
                return prefix == "no directive";
            }
            !name.starts_with(prefix) || (prefix == "GEN_" && name.starts_with("GEN_TREE_"))
        };
        if let Some((name, index, _)) = self.settings.iter().find(|(name, ..)| foreign(name)) {
            let help = "GEN_TREE_* belong to GEN_TREE, the other GEN_* to GEN_DATA";
            return Err((
                *index,
                format!("`{name}` does not belong to this stream's source"),
                Some(help.into()),
            ));
        }
        let given = |name| self.given(name);
        let seed =
            given("GEN_SEED").unwrap_or_else(|| seed.wrapping_mul(1000).wrapping_add(streams_before as u64));
        let source = match source {
            Begun::Path(path) => StreamSource::Directory(path.clone()),
            Begun::Sysroot { part, of } => StreamSource::RustSysroot { part: *part, of: *of },
            Begun::Tree => StreamSource::GeneratedTree(TreeSpec {
                seed,
                files: u32::try_from(given("GEN_TREE_FILES").unwrap_or(1000)).unwrap_or(u32::MAX),
                bytes: given("GEN_TREE_BYTES").unwrap_or(16 << 20),
                changing: given("GEN_TREE_CHANGING") == Some(1),
            }),
            Begun::Data => {
                let default = GenData::with_seed(seed);
                let percent = |name, default| {
                    given(name).and_then(|percent| u8::try_from(percent).ok()).unwrap_or(default)
                };
                StreamSource::Synthetic(GenData {
                    kb_size: given("GEN_KBSIZE").unwrap_or(default.kb_size),
                    max_files: given("GEN_MAXFILES").unwrap_or(default.max_files),
                    percent_random: percent("GEN_PERCENT_RANDOM", default.percent_random),
                    change_percent: percent("GEN_CHANGE_PERCENT", default.change_percent),
                    delete_percent: percent("GEN_DELETE_PERCENT", default.delete_percent),
                    compress_ratio: percent("GEN_COMPRESS_RATIO", default.compress_ratio),
                    dedup_percent: percent("GEN_DEDUP_PERCENT", default.dedup_percent),
                    kb_per_second: given("GEN_KB_PER_SECOND"),
                    file_sizes: given("GEN_FILE_SIZES").map(|both| (both >> 32, both & 0xffff_ffff)),
                    generation: 0,
                    filename_offset: given("GEN_FILENAME_OFFSET").unwrap_or(default.filename_offset),
                    seed,
                })
            }
        };
        let number = streams_before + 1;
        let of_client = u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Stream { number, client: String::new(), of_client, source })
    }
}

/// Two sizes with a dash between them, in KiB: the smaller one first, at least 1 KiB, at most 1 TiB.
fn sizes(text: &str) -> Option<(u64, u64)> {
    let (smallest, largest) = text.split_once('-')?;
    let kbytes = |size: &str| size.parse::<ByteSize>().ok().map(|size| size.0 >> 10);
    let (smallest, largest) = (kbytes(smallest)?, kbytes(largest)?);
    (1 <= smallest && smallest <= largest && largest <= MAX_TREE_BYTES >> 10).then_some((smallest, largest))
}

fn wrong_value(index: usize, line: &str, expected: &str) -> Wrong {
    (index, format!("`{line}` has a value that is not valid"), Some(format!("expected {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_cut_at_new_stream() {
        let lines = [
            "NEW_STREAM",
            "/etc",
            "NEW_STREAM",
            "GEN_DATA",
            "GEN_KBSIZE=4",
            "GEN_FILE_SIZES=1k-2m",
            "GEN_SEED=7",
            "NEW_STREAM",
            "RUST_SYSROOT=2/4",
        ];
        let streams = parse(&lines, 5).unwrap();
        assert_eq!(streams.iter().map(|stream| stream.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(streams[0].source, StreamSource::Directory("/etc".into()));
        let synthetic = GenData { kb_size: 4, file_sizes: Some((1, 2048)), ..GenData::with_seed(7) };
        assert_eq!(streams[1].source, StreamSource::Synthetic(synthetic));
        assert_eq!(streams[2].source, StreamSource::RustSysroot { part: 2, of: 4 });
    }

    #[test]
    fn a_stream_stands_for_many_with_numbers_and_seeds_of_their_own() {
        let many =
            parse(&["/etc", "NEW_STREAM", "GEN_DATA", "GEN_STREAMS=3", "NEW_STREAM", "/usr"], 5).unwrap();
        assert_eq!(many.iter().map(|stream| stream.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let one_by_one =
            ["/etc", "NEW_STREAM", "GEN_DATA", "NEW_STREAM", "GEN_DATA", "NEW_STREAM", "GEN_DATA"];
        assert_eq!(many[..4], parse(&one_by_one, 5).unwrap());
        assert_eq!(many[4].source, StreamSource::Directory("/usr".into()));
    }

    #[test]
    fn every_wrong_line_is_named_with_what_would_be_right() {
        let cases: [(&[&str], usize, &str, &str); 14] = [
            (&["GEN_DATA", "GEN_STREAMS=0"], 1, "not valid", "1 to 1024"),
            (&["/etc", "GEN_STREAMS=2"], 1, "does not belong", "GEN_DATA"),
            (&["GEN_DATA", "GEN_FILE_SIZES=16m-4k"], 1, "not valid", "4k-16m"),
            (&["GEN_DATA", "GEN_FILE_SIZES=16m"], 1, "not valid", "4k-16m"),
            (&["GEN_DATA", "GEN_COMPRESS_RATIO=0"], 1, "not valid", "1 to 64"),
            (&["GEN_DATA", "GEN_KBSIZ=4"], 1, "neither a path nor a directive", "did you mean `GEN_KBSIZE`"),
            (&["etc"], 0, "neither a path", "must begin with /"),
            (&["GEN_DATA", "GEN_PERCENT_RANDOM=101"], 1, "not valid", "0 to 100"),
            (&["/etc", "/usr"], 1, "second", "NEW_STREAM"),
            (&["NEW_STREAM", "GEN_SEED=1"], 1, "no source", "GEN_DATA"),
            (&["/etc", "GEN_KBSIZE=1"], 1, "does not belong", "GEN_DATA"),
            (&["GEN_DATA", "GEN_TREE_FILES=1"], 1, "does not belong", "GEN_TREE"),
            (&["GEN_DATA", "GEN_SEED=1", "GEN_SEED=2"], 2, "twice", "remove"),
            (&["RUST_SYSROOT=5/4"], 0, "not valid", "2/4"),
        ];
        for (lines, at, message, help) in cases {
            let (index, said, helped) = parse(lines, 0).unwrap_err();
            assert_eq!(index, at, "{lines:?}: {said}");
            assert!(said.contains(message), "{lines:?}: {said}");
            assert!(helped.as_ref().unwrap().contains(help), "{lines:?}: {helped:?}");
        }
    }
}
