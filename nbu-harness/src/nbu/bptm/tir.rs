//! The image of the true image restore information: what the client had when the backup was made, also what an earlier
//! backup holds. It is the catalogue's file list, kept beside the data so that an import has it too.
//!
//! This is the harness's own format, not NetBackup's: a block of 512 bytes with `key=value` lines behind a magic line,
//! then the list's JSON lines, and zeros up to the next block.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::session::{Failure, Mover};
use crate::nbu::catalog::{FileRecord, StoredCopy};
use crate::nbu::plugin::{Plugin, Server};
use crate::nbu::process::message::MoverReport;
use crate::nbu::status::code;
use crate::nbu::tar_stream::BLOCK;

const MAGIC: &str = "NBU-HARNESS TIR 1";
/// Bytes written or read at a time.
const CHUNK: usize = 1 << 18;
/// Bytes of a list that are read into memory at most.
const MAX_LIST: u64 = 4 << 30;

/// What the first block says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    backup_id: String,
    /// Bytes of the list.
    bytes: u64,
    /// Its checksum.
    sum: String,
}

impl Head {
    fn encode(&self) -> [u8; BLOCK] {
        let Self { backup_id, bytes, sum } = self;
        let text = format!("{MAGIC}\nbackup_id={backup_id}\nbytes={bytes}\nsum={sum}\n");
        let mut block = [0; BLOCK];
        let length = text.len().min(BLOCK);
        block[..length].copy_from_slice(&text.as_bytes()[..length]);
        block
    }

    fn decode(block: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(block);
        let mut lines = text.lines();
        if lines.next() != Some(MAGIC) {
            return None;
        }
        let mut value = |key: &str| Some(lines.next()?.strip_prefix(key)?.strip_prefix('=')?.to_owned());
        Some(Self {
            backup_id: value("backup_id")?,
            bytes: value("bytes")?.parse().ok()?,
            sum: value("sum")?,
        })
    }
}

/// Writes a file list as the image of this copy; returns the image's name.
pub(super) fn write(
    mover: &mut Mover,
    plugin: &Plugin,
    server: &Server<'_>,
    copy: u32,
    list: &Path,
    report: &mut MoverReport,
) -> Result<String, Failure> {
    let unreadable = |error| Failure::new(code::FILE_READ, format!("{}: {error}", list.display()));
    let mut sum = blake3::Hasher::new();
    let bytes =
        File::open(list).and_then(|mut file| std::io::copy(&mut file, &mut sum)).map_err(unreadable)?;
    let head =
        Head { backup_id: mover.order.backup_id.clone(), bytes, sum: sum.finalize().to_hex().to_string() };
    let block = head.encode();
    let mut content = block.as_slice().chain(File::open(list).map_err(unreadable)?.take(bytes));
    let name = format!("{}_C{copy}_TIR", mover.order.backup_id);
    let mut image = mover.create(plugin, server, &name, true, report)?;
    let (mut chunk, mut at) = (Vec::with_capacity(CHUNK), 0);
    loop {
        mover.check()?;
        chunk.clear();
        (&mut content).take(CHUNK as u64).read_to_end(&mut chunk).map_err(unreadable)?;
        if chunk.is_empty() {
            break;
        }
        chunk.resize(chunk.len().next_multiple_of(BLOCK), 0);
        image.write(&chunk, at).map_err(|sts| mover.failed(Some(plugin), sts))?;
        at += chunk.len() as u64;
    }
    image.complete().map_err(|sts| mover.failed(Some(plugin), sts))?;
    report.bytes_written += at;
    mover.pass_log(plugin);
    mover.log(4, format!("write_backup: wrote true image restore information {name}"));
    Ok(name)
}

/// Reads the records of a copy from its image, if it has one; what was read is checked.
pub(super) fn read(
    mover: &mut Mover,
    plugin: &Plugin,
    server: &Server<'_>,
    stored: &StoredCopy,
    report: &mut MoverReport,
) -> Result<Option<Vec<FileRecord>>, Failure> {
    let Some(name) = &stored.copy.tir else { return Ok(None) };
    let bad = |what: &str| Failure::new(code::INCONSISTENT, format!("{name}: {what}"));
    let mut image =
        server.open_image(&stored.image_id(name)).map_err(|sts| mover.failed(Some(plugin), sts))?;
    let mut block = vec![0; BLOCK];
    let count = image.read(&mut block, 0).map_err(|sts| mover.failed(Some(plugin), sts))?;
    let head = Head::decode(&block[..count]).ok_or_else(|| bad("it has no head"))?;
    if head.backup_id != stored.backup_id || head.bytes > MAX_LIST {
        return Err(bad("it is not that of the backup"));
    }
    let length = usize::try_from(head.bytes).map_err(|_| bad("it is too long"))?;
    let mut list = vec![0; length];
    let mut done = 0;
    while done < length {
        mover.check()?;
        let end = length.min(done + CHUNK);
        let at = (BLOCK + done) as u64;
        let count = image.read(&mut list[done..end], at).map_err(|sts| mover.failed(Some(plugin), sts))?;
        if count == 0 {
            return Err(bad("it ends early"));
        }
        done += count;
    }
    report.bytes_read += (BLOCK + length) as u64;
    image.close().map_err(|sts| mover.failed(Some(plugin), sts))?;
    if blake3::hash(&list).to_hex().as_str() != head.sum {
        return Err(bad("its checksum is wrong"));
    }
    let lines = list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let records: Result<Vec<FileRecord>, _> = lines.map(serde_json::from_slice).collect();
    records.map(Some).map_err(|error| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_and_nothing_else_is_one() {
        let head = Head { backup_id: "client1_1767636000".into(), bytes: 12_345, sum: "ab".repeat(32) };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        for other in [&b""[..], b"NBU-HARNESS TIR 2\n", b"NBU-HARNESS TIR 1\nbytes=1\n", &[0; 512]] {
            assert_eq!(Head::decode(other), None);
        }
    }
}
