//! A line of JSON that ends with its own checksum, and what follows it.

use bytes::Bytes;
use serde::Serialize;

use crate::checksum::crc32c;

pub(super) const CRC_MEMBER: &str = ",\"crc32c\":\"";
/// `,"crc32c":"01234567"}`
pub(super) const CRC_SUFFIX: usize = CRC_MEMBER.len() + 8 + 2;

/// The line for a struct with at least one member, which must not be called `crc32c`; ends with a newline.
pub(crate) fn sign(line: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut header = serde_json::to_vec(line).map_err(|error| error.to_string())?;
    header.pop();
    let crc = crc32c(&header);
    header.extend_from_slice(format!("{CRC_MEMBER}{crc:08x}\"}}\n").as_bytes());
    Ok(header)
}

/// Splits an object behind its line, and checks that. The error says what is wrong with it.
pub(crate) fn split(object: &Bytes) -> Result<(Bytes, Bytes), String> {
    let end = object.iter().position(|byte| *byte == b'\n').ok_or("the header line does not end")?;
    let line = object.slice(..end);
    let covered = line.len().checked_sub(CRC_SUFFIX).ok_or("the header line is too short")?;
    let suffix = format!("{CRC_MEMBER}{:08x}\"}}", crc32c(&line[..covered]));
    if line[covered..] != *suffix.as_bytes() {
        return Err("the header line does not match its checksum".to_owned());
    }
    Ok((line, object.slice(end + 1..)))
}
