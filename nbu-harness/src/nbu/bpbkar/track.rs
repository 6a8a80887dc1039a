//! The track log of an accelerated backup: which blocks the client's files had when the base was made, and where they are in
//! its stream. One log per backup, named after it, so that a log counts exactly if its backup is in the catalogue.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::outlet::Outlet;
use super::{Failure, Records};
use crate::nbu::catalog::FileRecord;
use crate::nbu::path_bytes::PathBytes;
use crate::nbu::process::message::TrackOrder;
use crate::nbu::status::{code, status_text};
use crate::nbu::tar_stream::BLOCK;

/// What NetBackup says when there is a track log and not the backup that it belongs to.
pub(super) const NO_BASE: &str = "There is no complete backup image match with track journal";

/// The sum of one block's content.
pub(super) type BlockSum = [u8; 16];

/// A file of the base.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Known {
    /// With its places in the base's stream.
    pub(super) record: FileRecord,
    /// The sums of its blocks; none for what is not compared block by block.
    pub(super) blocks: Vec<BlockSum>,
}

/// The base's log, and the new one while it is made.
#[derive(Debug)]
pub(super) struct Track {
    known: HashMap<PathBytes, Known>,
    out: BufWriter<File>,
    path: PathBuf,
    block: usize,
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    let text = format!("{}: {}: {error}", status_text(code::FILE_WRITE), path.display());
    Failure { status: code::FILE_WRITE, text }
}

impl Track {
    /// Reads the base's log and begins the new one. True if there are logs and none is the base's.
    pub(super) fn begin(order: &TrackOrder) -> Result<(Self, bool), Failure> {
        let dir = order.dir.as_path();
        fs::create_dir_all(dir).map_err(|e| failed(dir, &e))?;
        let name = |id: &str| dir.join(format!("{id}.track"));
        let base = order.base.as_deref().map(name).filter(|path| path.exists());
        let path = name(&order.backup_id);
        let mut others = false;
        for entry in fs::read_dir(dir).map_err(|e| failed(dir, &e))? {
            let other = entry.map_err(|e| failed(dir, &e))?.path();
            if Some(&other) != base.as_ref() {
                // It belongs to a backup that failed or has gone.
                others = true;
                fs::remove_file(&other).map_err(|e| failed(&other, &e))?;
            }
        }
        let known = match &base {
            Some(base) if !order.forced_rescan => Self::load(base)?,
            _ => HashMap::new(),
        };
        let out = BufWriter::new(File::create(&path).map_err(|e| failed(&path, &e))?);
        let block = usize::try_from(order.block_bytes).unwrap_or(usize::MAX);
        Ok((Self { known, out, path, block }, base.is_none() && others))
    }

    fn load(path: &Path) -> Result<HashMap<PathBytes, Known>, Failure> {
        let file = File::open(path).map_err(|e| failed(path, &e))?;
        let mut known = HashMap::new();
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|e| failed(path, &e))?;
            let entry: Known = serde_json::from_slice(&line).map_err(|e| failed(path, &e))?;
            known.insert(entry.record.path.clone(), entry);
        }
        Ok(known)
    }

    /// The file of the base, if nothing about it changed.
    pub(super) fn unchanged(&self, now: &FileRecord) -> Option<Known> {
        self.known.get(&now.path).filter(|known| known.record.same_file(now)).cloned()
    }

    /// Notes a member of the new backup.
    pub(super) fn note(&mut self, record: &FileRecord, blocks: &[BlockSum]) -> Result<(), Failure> {
        let entry = Known { record: record.clone(), blocks: blocks.to_vec() };
        let written = serde_json::to_writer(&mut self.out, &entry).map_err(std::io::Error::from);
        written.and_then(|()| self.out.write_all(b"\n")).map_err(|e| failed(&self.path, &e))
    }

    /// Completes the new log.
    pub(super) fn end(self) -> Result<(), Failure> {
        let path = self.path;
        let file = self.out.into_inner().map_err(|e| failed(&path, e.error()))?;
        file.sync_all().map_err(|e| failed(&path, &e))
    }
}

impl Records {
    /// Sends a file's content block by block in an accelerated backup: blocks that the base has at the same place are
    /// taken from there. `read` fills a buffer from an offset on. Ends at a block limit of the stream.
    pub(super) fn send_blocks(
        &mut self,
        path: &[u8],
        size: u64,
        outlet: &mut Outlet,
        read: &mut dyn FnMut(u64, &mut [u8]),
    ) -> Result<Vec<BlockSum>, Failure> {
        let Some(track) = &self.track else { return Ok(Vec::new()) };
        let known = track.known.get(&PathBytes::from(path)).filter(|known| !known.blocks.is_empty());
        let mut buffer = vec![0; track.block.min(usize::try_from(size).unwrap_or(usize::MAX))];
        let (mut sums, mut done) = (Vec::new(), 0);
        while done < size {
            let length = usize::try_from(size - done).unwrap_or(usize::MAX).min(buffer.len());
            let block = &mut buffer[..length];
            read(done, block);
            let sum = sum_of(block);
            let same = known.filter(|known| {
                // The last block of a file that grew or shrank has another length, and so another sum.
                known.blocks.get(sums.len()) == Some(&sum)
                    && known.record.data_length.saturating_sub(done).min(length as u64) == length as u64
            });
            match same {
                Some(known) => {
                    let padded = (length as u64).next_multiple_of(BLOCK as u64);
                    outlet.piece(known.record.data_offset + done, padded)?;
                }
                None => {
                    outlet.write(block)?;
                    outlet.pad()?;
                }
            }
            sums.push(sum);
            done += length as u64;
        }
        Ok(sums)
    }
}

fn sum_of(block: &[u8]) -> BlockSum {
    let hash = blake3::hash(block);
    // The length is part of it: a cut block is another block.
    let mut sum = [0; 16];
    sum.copy_from_slice(&hash.as_bytes()[..16]);
    for (to, byte) in sum.iter_mut().zip((block.len() as u64).to_le_bytes()) {
        *to ^= byte;
    }
    sum
}
