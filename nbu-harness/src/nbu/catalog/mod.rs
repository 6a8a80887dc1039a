//! bpdbm: the image catalogue. Which backups exist, their fragments, and where each file starts in the stream.
//!
//! One directory, two files per image: a file list (`.f`) with one JSON line per file in stream order, and
//! `<backup id>.json` with everything else. The `.json` appears last, whole and at once, and never in place of another
//! image's: an image is in the catalogue when that file exists. What changes of an image later replaces the file as whole,
//! one change after the other. Nothing is held open between calls, so that several processes can work with one catalogue.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

mod lookup;
mod record;
#[cfg(test)]
pub(crate) mod sample;

pub(crate) use lookup::MissingCopy;
pub(crate) use record::StoredCopy;
pub use record::{CopyRecord, FileKind, FileRecord, FragmentRecord, ImageRecord};

use super::path_bytes::PathBytes;
use crate::durable;

/// Format of the files; an image with another one is refused.
const FORMAT: u32 = 2;

/// What can go wrong with the catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The file system refused something.
    #[error("catalogue {path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBytes,
        /// What it said.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error(
        "catalogue {path}, line {line}: {what}: the entry is damaged, expire the image or restore the file"
    )]
    Damaged {
        /// The file.
        path: PathBytes,
        /// Line, from 1.
        line: u64,
        /// What the reader found.
        what: String,
    },
    /// The backup id is already there.
    #[error("backup id {0} is in the catalogue already")]
    Exists(String),
    /// The name cannot be a backup id.
    #[error("{0:?} is not a backup id: letters, digits, '.', '-' and '_' are allowed, 160 bytes at most")]
    BadId(String),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CatalogError + '_ {
    move |error| CatalogError::Io { path: path.into(), error }
}

/// The catalogue in one directory.
#[derive(Debug, Clone)]
pub struct Catalog {
    dir: PathBuf,
}

impl Catalog {
    /// The catalogue of the installation with this work directory. Creates it when missing.
    pub fn open(work_dir: &Path) -> Result<Self, CatalogError> {
        let dir = work_dir.join("catalog");
        fs::create_dir_all(&dir).map_err(at(&dir))?;
        Ok(Self { dir })
    }

    /// All images, by backup id.
    pub fn images(&self) -> Result<Vec<ImageRecord>, CatalogError> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(at(&self.dir))? {
            let name = entry.map_err(at(&self.dir))?.file_name();
            if let Some(id) = name.to_str().and_then(|n| n.strip_suffix(".json")) {
                ids.push(id.to_owned());
            }
        }
        ids.sort();
        ids.iter().filter_map(|id| self.image(id).transpose()).collect()
    }

    /// One image; `None` if the catalogue has none of that id.
    pub fn image(&self, backup_id: &str) -> Result<Option<ImageRecord>, CatalogError> {
        let path = self.header_path(backup_id)?;
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at(&path)(e)),
        };
        let damaged = |what: String| CatalogError::Damaged { path: (&*path).into(), line: 1, what };
        let image: ImageRecord = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if image.format != FORMAT {
            return Err(damaged(format!("format {} (this program writes {FORMAT})", image.format)));
        }
        Ok(Some(image))
    }

    /// The files of an image in stream order, read as they are asked for.
    pub fn files(
        &self,
        backup_id: &str,
    ) -> Result<impl Iterator<Item = Result<FileRecord, CatalogError>> + use<>, CatalogError> {
        let all = self.true_image(backup_id)?;
        Ok(all.filter(|record| !record.as_ref().is_ok_and(|record| record.tir_only)))
    }

    /// All files that were there when the image was made (true image restore information), those that it holds and
    /// those that an earlier one does.
    pub fn true_image(
        &self,
        backup_id: &str,
    ) -> Result<impl Iterator<Item = Result<FileRecord, CatalogError>> + use<>, CatalogError> {
        let header = self.header_path(backup_id)?;
        let image = self.image(backup_id)?.ok_or_else(|| at(&header)(io::ErrorKind::NotFound.into()))?;
        let path = self.dir.join(&image.file_list);
        let file = File::open(&path).map_err(at(&path))?;
        let lines = BufReader::with_capacity(1 << 18, file).split(b'\n');
        Ok(lines.zip(1u64..).map(move |(line, number)| {
            let line = line.map_err(at(&path))?;
            serde_json::from_slice(&line).map_err(|e| CatalogError::Damaged {
                path: (&*path).into(),
                line: number,
                what: e.to_string(),
            })
        }))
    }

    /// The images of one stream of a policy for one client, by backup time.
    pub(crate) fn images_of(
        &self,
        client: &str,
        policy: &str,
        stream: u32,
    ) -> Result<Vec<ImageRecord>, CatalogError> {
        let mut images = self.images()?;
        images.retain(|image| image.client == client && image.policy == policy && image.stream == stream);
        images.sort_by_key(|image| image.backup_time);
        Ok(images)
    }

    /// The path of an image's file list.
    pub(crate) fn list_path(&self, image: &ImageRecord) -> PathBuf {
        self.dir.join(&image.file_list)
    }

    /// Starts another file list for an image that is there.
    pub(crate) fn begin_list(&self, backup_id: &str, job_id: u64) -> Result<NewImage, CatalogError> {
        self.start(checked_id(backup_id)?, job_id)
    }

    /// Starts the file list of a new image.
    pub(crate) fn begin(&self, backup_id: &str, job_id: u64) -> Result<NewImage, CatalogError> {
        if self.header_path(backup_id)?.exists() {
            return Err(CatalogError::Exists(backup_id.to_owned()));
        }
        self.start(backup_id, job_id)
    }

    fn start(&self, backup_id: &str, job_id: u64) -> Result<NewImage, CatalogError> {
        let name = format!("{backup_id}.{job_id}-{}.f", std::process::id());
        let path = self.dir.join(&name);
        let file = File::create(&path).map_err(at(&path))?;
        let out = Some(BufWriter::with_capacity(1 << 18, file));
        Ok(NewImage { catalog: self.clone(), name, path, out, files: 0, committed: false })
    }

    /// Changes an image's record, whole and at once; changes of several processes come one after the other. What
    /// `change` returns says whether the image stays.
    pub(crate) fn update(
        &self,
        backup_id: &str,
        change: impl FnOnce(&mut ImageRecord) -> bool,
    ) -> Result<Option<ImageRecord>, CatalogError> {
        let _turn = self.turn()?;
        let Some(mut image) = self.image(backup_id)? else { return Ok(None) };
        if !change(&mut image) {
            self.remove(backup_id)?;
            return Ok(Some(image));
        }
        let header = self.header_path(backup_id)?;
        durable::replace(&header, &encoded(&header, &image)?).map_err(at(&header))?;
        Ok(Some(image))
    }

    /// Waits for the right to change records, held until the value is dropped.
    fn turn(&self) -> Result<File, CatalogError> {
        let dir = File::open(&self.dir).map_err(at(&self.dir))?;
        dir.lock().map_err(at(&self.dir))?;
        Ok(dir)
    }

    /// Takes an image out; one that is not there counts as taken out.
    pub(crate) fn remove(&self, backup_id: &str) -> Result<(), CatalogError> {
        let header = self.header_path(backup_id)?;
        let list = self.image(backup_id).ok().flatten().map(|image| self.dir.join(image.file_list));
        // The header first: without it the image is gone, and a file list alone is nothing.
        for path in [Some(header), list].into_iter().flatten() {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(&path)(e)),
                _ => {}
            }
        }
        durable::sync_dir(&self.dir).map_err(at(&self.dir))
    }

    fn header_path(&self, backup_id: &str) -> Result<PathBuf, CatalogError> {
        Ok(self.dir.join(format!("{}.json", checked_id(backup_id)?)))
    }
}

fn checked_id(backup_id: &str) -> Result<&str, CatalogError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if backup_id.is_empty()
        || backup_id.len() > 160
        || backup_id.starts_with('.')
        || !backup_id.chars().all(good)
    {
        return Err(CatalogError::BadId(backup_id.to_owned()));
    }
    Ok(backup_id)
}

/// What the file at `path` is to hold.
fn encoded(path: &Path, image: &ImageRecord) -> Result<Vec<u8>, CatalogError> {
    serde_json::to_vec_pretty(image).map_err(|e| at(path)(e.into()))
}

/// An image that is being added: its file list, until [`NewImage::commit`]. Dropped before, it leaves nothing.
#[derive(Debug)]
pub(crate) struct NewImage {
    catalog: Catalog,
    name: String,
    path: PathBuf,
    out: Option<BufWriter<File>>,
    files: u64,
    committed: bool,
}

impl NewImage {
    /// Adds files, in stream order.
    pub(crate) fn add(&mut self, records: &[FileRecord]) -> Result<(), CatalogError> {
        let Some(out) = &mut self.out else { return Ok(()) };
        for record in records {
            serde_json::to_writer(&mut *out, record).map_err(|e| at(&self.path)(e.into()))?;
            out.write_all(b"\n").map_err(at(&self.path))?;
        }
        self.files += records.iter().filter(|record| !record.tir_only).count() as u64;
        Ok(())
    }

    /// Where the file list is, and from where it can be read up to here.
    pub(crate) fn flushed(&mut self) -> Result<&Path, CatalogError> {
        if let Some(out) = &mut self.out {
            out.flush().map_err(at(&self.path))?;
        }
        Ok(&self.path)
    }

    /// Gives the file list up: what was added so far is in the file at this path, which is the caller's now.
    pub(crate) fn into_list(mut self) -> Result<PathBuf, CatalogError> {
        self.sync()?;
        self.committed = true;
        Ok(self.path.clone())
    }

    /// Files added so far, without those that are true image restore information only.
    pub(crate) const fn files(&self) -> u64 {
        self.files
    }

    /// Name of the file list, for the image's record.
    pub(crate) fn file_list(&self) -> &str {
        &self.name
    }

    /// Takes the place of the file list of an image that is in the catalogue. What `change` makes of its record comes with it.
    pub(crate) fn replace(
        mut self,
        backup_id: &str,
        change: impl FnOnce(&mut ImageRecord),
    ) -> Result<Option<ImageRecord>, CatalogError> {
        self.sync()?;
        let (name, files, mut old) = (self.name.clone(), self.files, None);
        let updated = self.catalog.update(backup_id, |image| {
            old = Some(std::mem::replace(&mut image.file_list, name));
            image.files = files;
            change(image);
            true
        })?;
        self.committed = updated.is_some();
        if let Some(old) = old {
            let old = self.catalog.dir.join(old);
            fs::remove_file(&old).map_err(at(&old))?;
        }
        Ok(updated)
    }

    fn sync(&mut self) -> Result<(), CatalogError> {
        let Some(out) = self.out.take() else { return Ok(()) };
        let file = out.into_inner().map_err(|e| at(&self.path)(e.into_error()))?;
        file.sync_all().map_err(at(&self.path))
    }

    /// Puts the image into the catalogue, durably.
    pub(crate) fn commit(mut self, image: &ImageRecord) -> Result<(), CatalogError> {
        let header = self.catalog.header_path(&image.backup_id)?;
        self.sync()?;
        let new = self.path.with_extension("new");
        // A link, and not a rename: it must not replace an image that came in between.
        let text = encoded(&header, image)?;
        let linked = durable::write(&new, &text).map_err(at(&new)).and_then(|()| {
            fs::hard_link(&new, &header).map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => CatalogError::Exists(image.backup_id.clone()),
                _ => at(&header)(e),
            })
        });
        let _ = fs::remove_file(&new);
        linked?;
        if let Err(error) = durable::sync_dir(&self.catalog.dir).map_err(at(&self.catalog.dir)) {
            // Not known to be durable: no image, rather than one that may come and go.
            let _ = fs::remove_file(&header);
            return Err(error);
        }
        self.committed = true;
        Ok(())
    }
}

impl Drop for NewImage {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(&self.path);
        }
    }
}
