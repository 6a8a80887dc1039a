//! The image catalogue: which backups exist, their fragments, and where each file starts in the stream.
//!
//! One directory, two files per image: a file list (`.f`) with one JSON line per file in stream order, and
//! `<backup id>.json` with everything else. The `.json` appears last, whole and at once, and never in place of another:
//! an image is in the catalogue when that file exists. Nothing is held open between calls, so that several processes
//! can work with one catalogue.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::path_bytes::PathBytes;
use super::request::{HeaderOrder, Source};

/// Format of the files; an image with another one is refused.
const FORMAT: u32 = 1;

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

/// Kinds of files in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Regular file, sparse ones too.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Another name of a file that comes earlier in the stream.
    HardLink,
    /// Named pipe.
    Fifo,
    /// Character device.
    CharacterDevice,
    /// Block device.
    BlockDevice,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Path relative to the backup's directory, `.` for the directory itself.
    pub path: PathBytes,
    /// Kind.
    pub kind: FileKind,
    /// Position in the stream of its first header block, a multiple of 512.
    pub start: u64,
    /// Position of its content.
    pub data_offset: u64,
    /// Bytes of content in the stream, without padding: less than `size` for a sparse file.
    pub data_length: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Permission bits, with set-user-id and the like.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds since the epoch.
    pub mtime: i64,
    /// Nanoseconds of it, 0 to 999 999 999.
    pub mtime_nsec: u32,
    /// Target of a symbolic link as it is; of a hard link, the path in this backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PathBytes>,
}

impl FileRecord {
    /// Position in the stream right behind this file, a multiple of 512.
    pub const fn end(&self) -> u64 {
        self.data_offset + self.data_length.next_multiple_of(512)
    }
}

/// One data fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FragmentRecord {
    /// Number, from 1.
    pub number: u32,
    /// Image base name, such as `client_1588173008_C1_F2`.
    pub name: String,
    /// Position in the stream of its first byte.
    pub offset: u64,
    /// Bytes of the stream in it.
    pub bytes: u64,
}

impl FragmentRecord {
    /// Size in KiB as the catalogue prints it.
    pub const fn kbytes(&self) -> u64 {
        self.bytes.div_ceil(1024)
    }
}

/// One backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Format of the record.
    pub format: u32,
    /// Backup id.
    pub backup_id: String,
    /// Client.
    pub client: String,
    /// Policy.
    pub policy: String,
    /// Schedule.
    pub schedule: String,
    /// Seconds since the epoch.
    pub backup_time: u64,
    /// The job that made it.
    pub job_id: u64,
    /// Storage server.
    pub storage_server: String,
    /// LSU.
    pub lsu: String,
    /// Copy number.
    pub copy: u32,
    /// Bytes of one buffer when it was written; reads use the same.
    pub buffer_size: u32,
    /// Length of the stream in bytes.
    pub stream_bytes: u64,
    /// Number of file records.
    pub files: u64,
    /// Status of the backup: 0 or 1.
    pub status: i32,
    /// Base name of the header image.
    pub header: String,
    /// When the header was written.
    pub header_order: HeaderOrder,
    /// Data fragments in order.
    pub fragments: Vec<FragmentRecord>,
    /// What was backed up.
    pub source: Source,
    /// Name of the file with the file records, in the catalogue's directory.
    pub file_list: String,
}

impl ImageRecord {
    /// Names of all images of the backup: the fragments, then the header.
    pub fn image_names(&self) -> Vec<String> {
        self.fragments.iter().map(|f| f.name.clone()).chain([self.header.clone()]).collect()
    }

    /// The record's format number for new records.
    pub(crate) const fn current_format() -> u32 {
        FORMAT
    }
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

    /// Starts the file list of a new image.
    pub(crate) fn begin(&self, backup_id: &str, job_id: u64) -> Result<NewImage, CatalogError> {
        if self.header_path(backup_id)?.exists() {
            return Err(CatalogError::Exists(backup_id.to_owned()));
        }
        let name = format!("{backup_id}.{job_id}-{}.f", std::process::id());
        let path = self.dir.join(&name);
        let file = File::create(&path).map_err(at(&path))?;
        let out = Some(BufWriter::with_capacity(1 << 18, file));
        Ok(NewImage { catalog: self.clone(), name, path, out, files: 0, committed: false })
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
        sync_dir(&self.dir)
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

fn sync_dir(dir: &Path) -> Result<(), CatalogError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(at(dir))
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
        self.files += records.len() as u64;
        Ok(())
    }

    /// Files added so far.
    pub(crate) const fn files(&self) -> u64 {
        self.files
    }

    /// Name of the file list, for the image's record.
    pub(crate) fn file_list(&self) -> &str {
        &self.name
    }

    /// Puts the image into the catalogue, durably.
    pub(crate) fn commit(mut self, image: &ImageRecord) -> Result<(), CatalogError> {
        let header = self.catalog.header_path(&image.backup_id)?;
        if let Some(out) = self.out.take() {
            let file = out.into_inner().map_err(|e| at(&self.path)(e.into_error()))?;
            file.sync_all().map_err(at(&self.path))?;
        }
        let new = self.path.with_extension("new");
        let text = serde_json::to_vec_pretty(image).map_err(|e| at(&new)(e.into()))?;
        let written = File::create(&new).and_then(|mut f| f.write_all(&text).and_then(|()| f.sync_all()));
        // A link, and not a rename: it must not replace an image that came in between.
        let linked = written.and_then(|()| fs::hard_link(&new, &header));
        let _ = fs::remove_file(&new);
        linked.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => CatalogError::Exists(image.backup_id.clone()),
            _ => at(&header)(e),
        })?;
        if let Err(error) = sync_dir(&self.catalog.dir) {
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
