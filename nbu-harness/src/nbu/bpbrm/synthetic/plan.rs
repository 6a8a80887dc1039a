//! Which pieces of which backups make a synthetic full one: every file that the newest backup knows of, each from the
//! youngest backup that holds it, in the order of the newest one.

use std::collections::HashMap;

use super::super::catalogue_cause;
use super::super::owner::Cause;
use crate::nbu::catalog::{Catalog, CatalogError, FileRecord, ImageRecord, NewImage};
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::process::message::{Extent, Piece};
use crate::nbu::status::code;
use crate::nbu::tar_stream::TRAILER;

/// File records kept before they are written into the new list.
const BATCH: usize = 512;

/// What the new image is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Pieces in stream order, none continuing the one before.
    pub(super) pieces: Vec<Piece>,
    /// Length of the new stream, with what ends it.
    pub(super) bytes: u64,
}

/// Plans the new stream and writes its file list.
pub(super) fn plan(
    catalog: &Catalog,
    components: &[ImageRecord],
    new_image: &mut NewImage,
) -> Result<Plan, Cause> {
    let Some((newest, older)) = components.split_last() else { return Ok(Plan::default()) };
    let mut older_files = Vec::new();
    for image in older {
        let files = catalog.files(&image.backup_id).map_err(catalogue_cause)?;
        let by_path: Result<HashMap<_, _>, CatalogError> =
            files.map(|record| record.map(|record| (record.path.clone(), record))).collect();
        older_files.push(by_path.map_err(catalogue_cause)?);
    }
    let mut batch = Vec::new();
    let known = catalog.true_image(&newest.backup_id).map_err(catalogue_cause)?;
    let records = known.map(|record| record.map_err(catalogue_cause));
    let plan = compose(records, older.len(), &older_files, |record| {
        batch.push(record);
        if batch.len() < BATCH {
            Ok(())
        } else {
            new_image.add(&std::mem::take(&mut batch)).map_err(catalogue_cause)
        }
    })?;
    new_image.add(&batch).map_err(catalogue_cause)?;
    Ok(plan)
}

/// Puts the pieces together. `newest` is the index of the newest backup, `older` has the files of those before it.
fn compose(
    known: impl Iterator<Item = Result<FileRecord, Cause>>,
    newest: usize,
    older: &[HashMap<PathBytes, FileRecord>],
    mut keep: impl FnMut(FileRecord) -> Result<(), Cause>,
) -> Result<Plan, Cause> {
    let mut plan = Plan::default();
    for record in known {
        let record = record?;
        let (image, found) = if record.tir_only {
            let holder =
                older.iter().enumerate().rev().find_map(|(i, files)| Some((i, files.get(&record.path)?)));
            let Some((image, held)) = holder.filter(|(_, held)| held.same_file(&record)) else {
                let what = format!("no backup has {} as the newest one knows it", record.path);
                return Err(Cause::new(code::SYNTHETIC_INVALID, what));
            };
            (image, held.clone())
        } else {
            (newest, record)
        };
        let length = found.end() - found.start;
        match plan.pieces.last_mut() {
            Some(last) if last.image == image && last.extent.offset + last.extent.length == found.start => {
                last.extent.length += length;
            }
            _ => plan.pieces.push(Piece { image, extent: Extent { offset: found.start, length } }),
        }
        keep(FileRecord {
            start: plan.bytes,
            data_offset: plan.bytes + (found.data_offset - found.start),
            ..found
        })?;
        plan.bytes += length;
    }
    plan.bytes += TRAILER.len() as u64;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbu::catalog::FileKind;

    fn record(path: &str, start: u64, size: u64, mtime: i64) -> FileRecord {
        FileRecord {
            path: path.into(),
            kind: FileKind::File,
            start,
            data_offset: start + 512,
            data_length: size,
            size,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime,
            mtime_nsec: 0,
            link: None,
            tir_only: false,
        }
    }

    fn composed(known: Vec<FileRecord>) -> Result<(Plan, Vec<FileRecord>), Cause> {
        let files = |records: Vec<FileRecord>| records.into_iter().map(|r| (r.path.clone(), r)).collect();
        let full = vec![
            record("a", 0, 512, 1),
            record("b", 1024, 512, 1),
            record("gone", 2048, 512, 1),
            record("z", 3072, 512, 1),
        ];
        let incremental = vec![record("b", 0, 1000, 2)];
        let older = [files(full), files(incremental)];
        let mut kept = Vec::new();
        let plan = compose(known.into_iter().map(Ok), 2, &older, |record| {
            kept.push(record);
            Ok(())
        })?;
        Ok((plan, kept))
    }

    fn unchanged(record: FileRecord) -> FileRecord {
        FileRecord { tir_only: true, start: 0, data_offset: 512, ..record }
    }

    #[test]
    fn each_file_comes_from_the_youngest_backup_that_holds_it_and_deleted_ones_from_none() {
        let known = vec![
            unchanged(record("a", 0, 512, 1)),
            unchanged(record("b", 0, 1000, 2)),
            record("new", 512, 100, 3),
            unchanged(record("z", 0, 512, 1)),
        ];
        let (plan, kept) = composed(known).unwrap();
        let pieces: Vec<_> =
            plan.pieces.iter().map(|p| (p.image, p.extent.offset, p.extent.length)).collect();
        assert_eq!(pieces, [(0, 0, 1024), (1, 0, 1536), (2, 512, 1024), (0, 3072, 1024)]);
        let places: Vec<_> = kept.iter().map(|r| (r.path.to_string(), r.start, r.data_offset)).collect();
        let place = |path: &str, start| (path.to_owned(), start, start + 512);
        assert_eq!(places, [place("a", 0), place("b", 1024), place("new", 2560), place("z", 3584)]);
        assert!(kept.iter().all(|record| !record.tir_only));
        assert_eq!(plan.bytes, 4608 + 1024);
    }

    #[test]
    fn neighbours_are_one_piece() {
        let full = [("a", 0), ("b", 1024)].map(|(path, start)| record(path, start, 512, 1));
        let known: Vec<_> = full.iter().cloned().map(|r| Ok(unchanged(r))).collect();
        let files = full.into_iter().map(|r| (r.path.clone(), r)).collect();
        let plan = compose(known.into_iter(), 1, &[files], |_| Ok(())).unwrap();
        assert_eq!(plan.pieces, [Piece { image: 0, extent: Extent { offset: 0, length: 2048 } }]);
    }

    #[test]
    fn what_no_backup_holds_as_it_is_cannot_be_synthesized() {
        for known in [record("nowhere", 0, 512, 1), record("a", 0, 512, 9)] {
            let cause = composed(vec![unchanged(known)]).unwrap_err();
            assert_eq!(cause.status, 647, "{}", cause.text);
        }
    }
}
