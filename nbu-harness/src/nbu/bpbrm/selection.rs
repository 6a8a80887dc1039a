//! Which parts of a backup's stream a restore needs: the catalogue knows where each file starts.

use std::collections::{HashMap, HashSet};

use crate::nbu::catalog::{Catalog, CatalogError, FileKind, FileRecord, ImageRecord};
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::process::message::{Extent, Placement};
use crate::nbu::request::Selection;

/// What a restore reads, and what it does with it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Ranges of the stream in ascending order, none touching the next.
    pub(super) extents: Vec<Extent>,
    pub(super) placements: Vec<Placement>,
    /// Selected paths that the backup does not have.
    pub(super) missing: Vec<PathBytes>,
}

impl Plan {
    /// Bytes of the stream to be read.
    pub(super) fn bytes(&self) -> u64 {
        self.extents.iter().map(|e| e.length).sum()
    }
}

/// Plans a restore.
pub(super) fn plan(
    catalog: &Catalog,
    image: &ImageRecord,
    selection: &Selection,
) -> Result<Plan, CatalogError> {
    match selection {
        Selection::All => {
            let extents = vec![Extent { offset: 0, length: image.stream_bytes }];
            Ok(Plan { extents, ..Plan::default() })
        }
        Selection::Files(paths) => plan_files(paths, || catalog.files(&image.backup_id)),
    }
}

/// What is left of a plan behind a checkpoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) plan: Plan,
    /// 1 if the last member before the checkpoint is restored once more, as it should.
    pub(super) again: u64,
    /// Directories before that one: they are restored once more, since their attributes come last.
    pub(super) directories: u64,
}

/// Cuts a plan behind a checkpoint: what was restored before its last member is left out.
pub(super) fn rest_of(
    catalog: &Catalog,
    image: &ImageRecord,
    plan: Plan,
    last: &PathBytes,
) -> Result<Rest, CatalogError> {
    rest(plan, last, || catalog.files(&image.backup_id))
}

fn rest<I>(
    plan: Plan,
    last: &PathBytes,
    files: impl Fn() -> Result<I, CatalogError>,
) -> Result<Rest, CatalogError>
where
    I: Iterator<Item = Result<FileRecord, CatalogError>>,
{
    let mut at = None;
    for record in files()? {
        let record = record?;
        if record.path == *last {
            at = Some(record.start);
            break;
        }
    }
    // A checkpoint behind a file that the backup does not have is none.
    let Some(at) = at else { return Ok(Rest { plan, again: 0, directories: 0 }) };
    let (mut extents, mut again, mut directories) = (Vec::new(), 0, 0);
    for record in files()? {
        let record = record?;
        let next = plan.extents.partition_point(|extent| extent.offset <= record.start);
        let before = next.checked_sub(1).and_then(|index| plan.extents.get(index));
        let planned = before.is_some_and(|extent| record.start < extent.offset + extent.length);
        if planned && (record.start >= at || record.kind == FileKind::Directory) {
            extents.push(Extent { offset: record.start, length: record.end() - record.start });
            again += u64::from(record.start == at);
            directories += u64::from(record.start < at);
        }
    }
    Ok(Rest { plan: Plan { extents: merged(extents), ..plan }, again, directories })
}

fn plan_files<I>(
    paths: &[PathBytes],
    files: impl Fn() -> Result<I, CatalogError>,
) -> Result<Plan, CatalogError>
where
    I: Iterator<Item = Result<FileRecord, CatalogError>>,
{
    let wanted: HashSet<&[u8]> = paths.iter().map(|p| plain(&p.0)).collect();
    let mut found: HashSet<&[u8]> = HashSet::new();
    let mut extents = Vec::new();
    let mut selected = HashSet::new();
    let mut links: Vec<(PathBytes, PathBytes)> = Vec::new();
    for record in files()? {
        let record = record?;
        let Some(hit) = hit(&wanted, &record.path.0) else { continue };
        found.insert(hit);
        selected.insert(record.path.clone());
        match (record.kind, record.link) {
            (FileKind::HardLink, Some(target)) if !selected.contains(&target) => {
                links.push((target, record.path));
            }
            _ => extents.push(Extent {
                offset: record.start,
                length: record.data_offset + record.data_length.next_multiple_of(512) - record.start,
            }),
        }
    }
    // Links to a file that was not selected: its content is restored under the first link's name.
    let mut targets: HashMap<PathBytes, Vec<PathBytes>> = HashMap::new();
    for (target, path) in links {
        targets.entry(target).or_default().push(path);
    }
    let mut placements = Vec::new();
    if !targets.is_empty() {
        for record in files()? {
            let record = record?;
            if let Some(outputs) = targets.remove(&record.path) {
                extents.push(Extent { offset: record.start, length: record.end() - record.start });
                placements.push(Placement { member: record.path, outputs });
            }
        }
    }
    let missing = paths.iter().filter(|p| !found.contains(plain(&p.0))).cloned().collect();
    Ok(Plan { extents: merged(extents), placements, missing })
}

/// A path without `./` before and `/` behind.
fn plain(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"./").filter(|p| !p.is_empty()).unwrap_or(path);
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
    &path[..end]
}

/// The selected path that covers `path`: itself, a directory above it, or the root.
fn hit<'w>(wanted: &HashSet<&'w [u8]>, path: &[u8]) -> Option<&'w [u8]> {
    if let Some(root) = wanted.get(&b"."[..]) {
        return Some(root);
    }
    let mut path = path;
    loop {
        if let Some(found) = wanted.get(path) {
            return Some(found);
        }
        path = &path[..path.iter().rposition(|b| *b == b'/')?];
    }
}

fn merged(mut extents: Vec<Extent>) -> Vec<Extent> {
    extents.sort_unstable_by_key(|e| e.offset);
    let mut merged: Vec<Extent> = Vec::new();
    for extent in extents {
        match merged.last_mut() {
            Some(last) if last.offset + last.length >= extent.offset => {
                let end = (extent.offset + extent.length).max(last.offset + last.length);
                last.length = end - last.offset;
            }
            _ => merged.push(extent),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(path: &str, kind: FileKind, start: u64, length: u64, link: Option<&str>) -> FileRecord {
        FileRecord {
            path: path.into(),
            kind,
            start,
            data_offset: start + 512,
            data_length: length,
            size: length,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            mtime_nsec: 0,
            link: link.map(PathBytes::from),
            tir_only: false,
        }
    }

    fn planned(paths: &[&str]) -> Plan {
        let files = [
            record(".", FileKind::Directory, 0, 0, None),
            record("a", FileKind::Directory, 512, 0, None),
            record("ab", FileKind::File, 1024, 10, None),
            record("a/file", FileKind::File, 2048, 1000, None),
            record("a/link", FileKind::HardLink, 3584, 0, Some("ab")),
            record("b", FileKind::HardLink, 4096, 0, Some("ab")),
        ];
        let paths: Vec<PathBytes> = paths.iter().map(|p| PathBytes::from(*p)).collect();
        plan_files(&paths, || Ok(files.clone().into_iter().map(Ok))).unwrap()
    }

    fn extents(plan: &Plan) -> Vec<(u64, u64)> {
        plan.extents.iter().map(|e| (e.offset, e.length)).collect()
    }

    #[test]
    fn one_file_is_its_header_and_blocks() {
        let plan = planned(&["a/file"]);
        assert_eq!(extents(&plan), [(2048, 1536)]);
        assert!(plan.missing.is_empty() && plan.placements.is_empty());
    }

    #[test]
    fn a_directory_stands_for_what_is_below_it_and_not_for_its_namesakes() {
        let plan = planned(&["./a/", "ab"]);
        // `a` and `ab` touch, and so does everything behind.
        assert_eq!(extents(&plan), [(512, 3584)]);
        assert!(plan.placements.is_empty(), "the link's file is selected too");
    }

    #[test]
    fn links_whose_file_is_not_selected_bring_its_content() {
        let plan = planned(&["b", "a/link"]);
        assert_eq!(extents(&plan), [(1024, 1024)]);
        let outputs = vec!["a/link".into(), "b".into()];
        assert_eq!(plan.placements, [Placement { member: "ab".into(), outputs }]);
    }

    #[test]
    fn behind_a_checkpoint_are_its_last_file_what_follows_and_all_directories() {
        let files = [
            record(".", FileKind::Directory, 0, 0, None),
            record("a", FileKind::File, 512, 10, None),
            record("b", FileKind::Directory, 1536, 0, None),
            record("b/c", FileKind::File, 2048, 10, None),
            record("d", FileKind::HardLink, 3072, 0, Some("a")),
        ];
        let rest_from = |plan: Plan, last: &str| {
            rest(plan, &last.into(), || Ok(files.clone().into_iter().map(Ok))).unwrap()
        };
        let all = || Plan { extents: vec![Extent { offset: 0, length: 4608 }], ..Plan::default() };
        let behind = rest_from(all(), "b/c");
        // The trailer is left out: the stream may end behind any member.
        assert_eq!(extents(&behind.plan), [(0, 512), (1536, 2048)]);
        assert_eq!((behind.again, behind.directories), (1, 2));
        let behind = rest_from(all(), "a");
        assert_eq!((extents(&behind.plan), behind.again, behind.directories), (vec![(0, 3584)], 1, 1));
        let some = Plan { extents: vec![Extent { offset: 2048, length: 1536 }], ..Plan::default() };
        assert_eq!(rest_from(some, "d").plan.extents, [Extent { offset: 3072, length: 512 }]);
        assert_eq!(rest_from(all(), "nowhere"), Rest { plan: all(), again: 0, directories: 0 });
    }

    #[test]
    fn what_the_backup_does_not_have_is_named() {
        let plan = planned(&["a/file", "nowhere", "a/fil"]);
        assert_eq!(plan.missing, ["nowhere".into(), "a/fil".into()]);
        assert_eq!(extents(&planned(&["."])), [(0, 4608)]);
    }
}
