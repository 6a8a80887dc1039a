//! A file that changes while it is read, and what a restored copy of it may look like.

use super::{DataError, SyntheticStream};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Bytes of the file: enough that reading it takes many times longer than one rewrite of a block.
const BYTES: u64 = 32 << 20;
const BLOCK: usize = 4096;
/// How many contents a block can have.
const VARIANTS: u64 = 8;
/// Words are compared one by one.
const WORD: usize = 8;

/// The file: constant in length, and at every moment each 8-byte word of it is one of eight that belong there. So a
/// copy taken while it changed can still be told from a damaged one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangingFile {
    /// Its path below the generated tree's root.
    pub relative_path: PathBuf,
    seed: u64,
}

impl ChangingFile {
    pub(super) fn create(root: &Path, seed: u64) -> Result<Self, DataError> {
        let this = Self { relative_path: PathBuf::from("changing.db"), seed };
        let path = root.join(&this.relative_path);
        super::tree::write_stream(&path, &this.variant(0), &mut vec![0; 1 << 20])?;
        super::oddities::set_mtime(&path, 1_640_000_000, 0)?;
        Ok(this)
    }

    fn variant(&self, variant: u64) -> SyntheticStream {
        SyntheticStream::new(self.seed.wrapping_add(variant.wrapping_mul(0x5bd1_e995)), BYTES)
    }

    /// Whether `copy` holds something that this file held: its length is right and every word is one that belongs
    /// there. The answer names the first word that does not.
    ///
    /// # Errors
    /// A sentence for the report.
    pub fn accepts(&self, copy: &Path) -> Result<(), String> {
        let file = File::open(copy).map_err(|error| format!("cannot open the restored copy: {error}"))?;
        let len =
            file.metadata().map_err(|error| format!("cannot examine the restored copy: {error}"))?.len();
        if len != BYTES {
            return Err(format!("the restored copy has {len} bytes, the file always had {BYTES}"));
        }
        let mut data = [0; BLOCK];
        let mut expected: Vec<(u64, [u8; BLOCK])> =
            (0..VARIANTS).map(|variant| (variant, [0; BLOCK])).collect();
        for offset in (0..BYTES).step_by(BLOCK) {
            file.read_exact_at(&mut data, offset)
                .map_err(|error| format!("cannot read the copy: {error}"))?;
            for (variant, block) in &mut expected {
                self.variant(*variant).fill(offset, block);
            }
            for at in (0..BLOCK).step_by(WORD) {
                if expected.iter().all(|(_, block)| block[at..at + WORD] != data[at..at + WORD]) {
                    return Err(format!("offset {}: content that the file never held", offset + at as u64));
                }
            }
        }
        Ok(())
    }
}

/// A thread that rewrites the file's blocks one by one, without a pause, until it is stopped.
#[derive(Debug)]
pub struct Mutator {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<(), DataError>>>,
}

impl Mutator {
    /// Starts it, and returns once the first block has been rewritten.
    ///
    /// # Errors
    /// When the file cannot be opened for writing.
    pub fn start(root: &Path, file: &ChangingFile) -> Result<Self, DataError> {
        let path = root.join(&file.relative_path);
        let handle = fs::OpenOptions::new().write(true).open(&path).map_err(DataError::io("open", &path))?;
        let (stop, writes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (started, has_started) = std::sync::mpsc::channel();
        let thread = {
            let (stop, writes, file) = (Arc::clone(&stop), Arc::clone(&writes), file.clone());
            std::thread::spawn(move || rewrite(&handle, &path, &file, &stop, &writes, &started))
        };
        let mutator = Self { stop, writes, thread: Some(thread) };
        // An error here means that the thread ended, and `stop` will say why.
        let _ = has_started.recv();
        Ok(mutator)
    }

    /// Stops it, and returns the number of rewritten blocks.
    ///
    /// # Errors
    /// When a write failed on the way.
    pub fn stop(mut self) -> Result<u64, DataError> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && let Ok(result) = thread.join()
        {
            result?;
        }
        Ok(self.writes.load(Ordering::Relaxed))
    }
}

impl Drop for Mutator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its result no longer interests anyone: `stop` is the way to learn it.
            let _ = thread.join();
        }
    }
}

fn rewrite(
    handle: &File,
    path: &Path,
    file: &ChangingFile,
    stop: &AtomicBool,
    writes: &AtomicU64,
    started: &std::sync::mpsc::Sender<()>,
) -> Result<(), DataError> {
    let mut block = [0; BLOCK];
    let blocks = BYTES / BLOCK as u64;
    let mut count = 0u64;
    while !stop.load(Ordering::Relaxed) {
        // A stride that has no factor in common with the number of blocks: all of them are visited, far apart.
        let offset = count.wrapping_mul(2_654_435_761) % blocks * BLOCK as u64;
        file.variant(1 + count / 3 % (VARIANTS - 1)).fill(offset, &mut block);
        handle.write_all_at(&block, offset).map_err(DataError::io("rewrite", path))?;
        // A time of its own for every rewrite: the kernel's own stamps are some milliseconds apart.
        let nanoseconds = u32::try_from(count % 1_000_000_000).unwrap_or_default();
        super::oddities::set_mtime(path, 1_650_000_000, nanoseconds)?;
        count += 1;
        writes.store(count, Ordering::Relaxed);
        if count == 1 {
            // Nobody listening is fine: the starter gave up.
            let _ = started.send(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, ChangingFile, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = ChangingFile::create(dir.path(), 5).unwrap();
        let path = dir.path().join(&file.relative_path);
        (dir, file, path)
    }

    #[test]
    fn copies_taken_before_during_and_after_the_changes_are_accepted() {
        let (dir, file, path) = tree();
        file.accepts(&path).unwrap();
        let before = fs::read(&path).unwrap();
        let mutator = Mutator::start(dir.path(), &file).unwrap();
        let copy = dir.path().join("copy");
        fs::copy(&path, &copy).unwrap();
        assert!(mutator.stop().unwrap() >= 1);
        file.accepts(&copy).unwrap();
        file.accepts(&path).unwrap();
        assert_ne!(before, fs::read(&path).unwrap());
    }

    #[test]
    fn damage_and_a_wrong_length_are_refused() {
        let (_dir, file, path) = tree();
        let handle = fs::OpenOptions::new().write(true).open(&path).unwrap();
        handle.write_all_at(&[0; 8], 40_960).unwrap();
        let error = file.accepts(&path).unwrap_err();
        assert!(error.contains("offset 40960"), "{error}");
        handle.set_len(BYTES - 1).unwrap();
        let error = file.accepts(&path).unwrap_err();
        assert!(error.contains("bytes"), "{error}");
    }
}
