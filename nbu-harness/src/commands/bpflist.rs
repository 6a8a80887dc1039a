//! `bpflist -l`: the files of a backup, from the image catalogue.
//!
//! A `FILES` line stands before every 50 files; a file's line has number, compressed size, length of the path, length
//! of the data, start block, whether it is in the image, raw size, parts of the size, path, mode, owner, group, size, and
//! three times. The fields are public; of the units, the start block is one of 512 bytes here, and modification
//! time stands for all three times, of which the catalogue keeps only that.

use super::options::{Given, Verb, flag, needed, optional};
use super::{CommandError, Context};
use crate::nbu::{Catalog, FileKind, FileRecord};
use std::fmt::Write;

pub(super) const VERBS: &[Verb] = &[Verb {
    name: "",
    options: &[needed("-backupid", "ID"), optional("-client", "NAME"), flag("-l"), flag("-U")],
    run: list,
}];

/// Files behind one `FILES` line.
const BLOCK: usize = 50;

fn list(context: &Context, given: &Given) -> Result<String, CommandError> {
    let catalog = Catalog::open(context.existing()?)?;
    let id = given.need("-backupid")?;
    let image =
        catalog.image(id)?.filter(|image| given.value("-client").is_none_or(|name| name == image.client));
    let Some(image) = image else {
        let text = format!("the catalogue has no image {id} of that client");
        return Err(CommandError { status: 227, text });
    };
    let mut text = String::new();
    for (at, file) in catalog.files(id)?.enumerate() {
        let file = file?;
        // Writing into a string cannot fail.
        let _ = if given.has("-U") {
            writeln!(text, "{}", file.path)
        } else {
            if at % BLOCK == 0 {
                let (time, client, policy) = (image.backup_time, &image.client, &image.policy);
                let _ = writeln!(text, "FILES 8 0 0 {time} 0 {client} {policy} {id} *NULL* 1 0");
            }
            writeln!(text, "{}", line(at + 1, &file))
        };
    }
    Ok(text)
}

/// The path may have blanks: its length says where it ends.
fn line(number: usize, file: &FileRecord) -> String {
    let path = file.path.to_string();
    let in_image = u8::from(file.kind != FileKind::HardLink);
    format!(
        "{number} 0 {} {} {} {in_image} {} 0 {path} {} {} {} {} {time} {time} {time}",
        path.len(),
        file.data_length,
        file.start / 512,
        file.size,
        mode(file),
        file.uid,
        file.gid,
        file.size,
        time = file.mtime,
    )
}

/// Type and permission bits as `stat` has them.
fn mode(file: &FileRecord) -> u32 {
    let kind = match file.kind {
        FileKind::File | FileKind::HardLink => 0o100_000,
        FileKind::Directory => 0o040_000,
        FileKind::Symlink => 0o120_000,
        FileKind::Fifo => 0o010_000,
        FileKind::CharacterDevice => 0o020_000,
        FileKind::BlockDevice => 0o060_000,
    };
    kind | (file.mode & 0o7777)
}
