//! Writes the header of a member, with the pax header that goes before it when one is needed.

use tar::{EntryType, Header};

use super::{BLOCK, pax};
use crate::nbu::catalog::FileKind;

/// Largest value of an octal header field of 12 bytes.
const MAX_OCTAL: u64 = 0o777_7777_7777;
/// Bytes of the name and link fields.
const NAME_FIELD: usize = 100;

/// What a member's header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    /// Path, `.` for the root.
    pub(crate) path: &'a [u8],
    pub(crate) kind: FileKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: i64,
    pub(crate) mtime_nsec: u32,
    /// Size of the file.
    pub(crate) size: u64,
    /// Bytes of content that follow in the stream, with the map of a sparse file, without padding.
    pub(crate) stored: u64,
    /// Whether the content begins with a sparse map.
    pub(crate) sparse: bool,
    pub(crate) link: Option<&'a [u8]>,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
}

/// Appends the header blocks of a member.
pub(crate) fn encode(head: &Head<'_>, out: &mut Vec<u8>) {
    let mut name = head.path.to_vec();
    if head.kind == FileKind::Directory {
        name.push(b'/');
    }
    let records = pax_records(head, &name);
    if !records.is_empty() {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        set_name(&mut header, &prefixed(b"./PaxHeaders/", &name));
        header.set_mode(0o644);
        header.set_size(records.len() as u64);
        header.set_mtime(0);
        finish(&mut header, out);
        out.extend(&records);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    let mut header = Header::new_ustar();
    header.set_entry_type(entry_type(head.kind));
    if head.sparse {
        set_name(&mut header, &prefixed(b"./GNUSparseFile.0/", &name));
    } else {
        set_name(&mut header, &name);
    }
    header.set_mode(head.mode & 0o7777);
    header.set_uid(u64::from(head.uid));
    header.set_gid(u64::from(head.gid));
    header.set_size(head.stored);
    header.set_mtime(u64::try_from(head.mtime).unwrap_or(0).min(MAX_OCTAL));
    if let Some(link) = head.link {
        let field = &mut header.as_old_mut().linkname;
        let length = link.len().min(NAME_FIELD);
        field[..length].copy_from_slice(&link[..length]);
    }
    if matches!(head.kind, FileKind::CharacterDevice | FileKind::BlockDevice) {
        // Only fails for headers without device fields, which this one has.
        let _ = header.set_device_major(head.device.0);
        let _ = header.set_device_minor(head.device.1);
    }
    finish(&mut header, out);
}

fn pax_records(head: &Head<'_>, name: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    if head.sparse {
        pax::put(&mut records, "GNU.sparse.major", b"1");
        pax::put(&mut records, "GNU.sparse.minor", b"0");
        pax::put(&mut records, "GNU.sparse.name", name);
        pax::put(&mut records, "GNU.sparse.realsize", head.size.to_string().as_bytes());
    } else if name.len() > NAME_FIELD {
        pax::put(&mut records, "path", name);
    }
    if let Some(link) = head.link.filter(|l| l.len() > NAME_FIELD) {
        pax::put(&mut records, "linkpath", link);
    }
    if head.mtime_nsec != 0 || u64::try_from(head.mtime).map_or(true, |t| t > MAX_OCTAL) {
        pax::put(&mut records, "mtime", pax::format_time(head.mtime, head.mtime_nsec).as_bytes());
    }
    if head.stored > MAX_OCTAL {
        pax::put(&mut records, "size", head.stored.to_string().as_bytes());
    }
    records
}

/// A name for people and old programs: the real one is in a pax record.
fn prefixed(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    let last = name.strip_suffix(b"/").unwrap_or(name).rsplit(|b| *b == b'/').next().unwrap_or(name);
    [prefix, last].concat()
}

fn set_name(header: &mut Header, name: &[u8]) {
    let field = &mut header.as_old_mut().name;
    let length = name.len().min(NAME_FIELD);
    field[..length].copy_from_slice(&name[..length]);
}

fn finish(header: &mut Header, out: &mut Vec<u8>) {
    header.set_cksum();
    out.extend(header.as_bytes());
}

const fn entry_type(kind: FileKind) -> EntryType {
    match kind {
        FileKind::File => EntryType::Regular,
        FileKind::Directory => EntryType::Directory,
        FileKind::Symlink => EntryType::Symlink,
        FileKind::HardLink => EntryType::Link,
        FileKind::Fifo => EntryType::Fifo,
        FileKind::CharacterDevice => EntryType::Char,
        FileKind::BlockDevice => EntryType::Block,
    }
}
