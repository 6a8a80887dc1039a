//! The header image: 1 KiB that says what the fragments of a backup are.
//!
//! This is the harness's own format, not NetBackup's: lines of `key=value` behind a magic line, zeros, and a checksum
//! of everything before it in the last four bytes.

use crate::nbu::request::{ScheduleType, Source};

/// Size of the header image.
pub(crate) const HEADER_SIZE: usize = 1024;
const MAGIC: &str = "NBU-HARNESS BACKUP HEADER 1";
/// Longest description of a source that a header has room for, in bytes.
const MAX_SOURCE: usize = 400;
const SUM_AT: usize = HEADER_SIZE - 4;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackupHeader {
    pub(crate) backup_id: String,
    pub(crate) client: String,
    pub(crate) policy: String,
    pub(crate) schedule: String,
    pub(crate) schedule_type: ScheduleType,
    pub(crate) stream: u32,
    /// What was backed up; `None` where its description is too long for the header.
    pub(crate) source: Option<Source>,
    pub(crate) backup_time: u64,
    /// Number of the copy that was written; a copy of the image by the storage keeps it.
    pub(crate) copy: u32,
    /// Bytes of one buffer.
    pub(crate) block_size: u32,
    /// Number of data fragments; `None` in a header that is written before them.
    pub(crate) fragments: Option<u32>,
    /// Length of the stream; `None` in a header that is written before it.
    pub(crate) stream_bytes: Option<u64>,
}

/// The bytes are no header of this format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a backup header: {0}")]
pub(crate) struct BadHeader(&'static str);

impl BackupHeader {
    /// The header's bytes. Names that do not fit are cut.
    pub(crate) fn encode(&self) -> [u8; HEADER_SIZE] {
        let counts = match (self.fragments, self.stream_bytes) {
            (Some(fragments), Some(bytes)) => format!("fragments={fragments}\nstream_bytes={bytes}\n"),
            _ => String::new(),
        };
        let line = |name: &str| name.chars().filter(|c| !c.is_control()).take(80).collect::<String>();
        let source = self.source.as_ref().and_then(|source| serde_json::to_string(source).ok());
        let source = source.filter(|json| json.len() <= MAX_SOURCE);
        let source = source.map(|json| format!("source={json}\n")).unwrap_or_default();
        let text = format!(
            "{MAGIC}\nbackup_id={}\nclient={}\nbackup_time={}\nblock_size={}\ncopy={}\n{counts}policy={}\nschedule={}\n\
             schedule_type={}\nstream={}\n{source}",
            self.backup_id,
            self.client,
            self.backup_time,
            self.block_size,
            self.copy,
            line(&self.policy),
            line(&self.schedule),
            self.schedule_type as u8,
            self.stream,
        );
        let mut bytes = [0; HEADER_SIZE];
        let length = text.len().min(SUM_AT);
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        let sum = checksum(&bytes[..SUM_AT]);
        bytes[SUM_AT..].copy_from_slice(&sum);
        bytes
    }

    /// Reads a header.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let (Some(body), Some(sum)) = (bytes.get(..SUM_AT), bytes.get(SUM_AT..HEADER_SIZE)) else {
            return Err(BadHeader("it is shorter than 1024 bytes"));
        };
        if !body.starts_with(MAGIC.as_bytes()) {
            return Err(BadHeader("the magic line is missing"));
        }
        if checksum(body) != sum {
            return Err(BadHeader("the checksum is wrong"));
        }
        let text = String::from_utf8_lossy(body);
        let value = |key: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
                .map(|v| v.trim_end_matches('\0').to_owned())
        };
        let need = |key: &str| value(key).ok_or(BadHeader("a line is missing"));
        let number = |text: String| text.parse::<u64>().map_err(|_| BadHeader("a number is malformed"));
        Ok(Self {
            backup_id: need("backup_id")?,
            client: need("client")?,
            policy: need("policy")?,
            schedule: need("schedule")?,
            schedule_type: schedule_type(number(need("schedule_type")?)?)?,
            stream: u32::try_from(number(need("stream")?)?).map_err(|_| BadHeader("stream is too large"))?,
            source: value("source").and_then(|json| serde_json::from_str(&json).ok()),
            backup_time: number(need("backup_time")?)?,
            copy: u32::try_from(number(need("copy")?)?).map_err(|_| BadHeader("copy is too large"))?,
            block_size: u32::try_from(number(need("block_size")?)?)
                .map_err(|_| BadHeader("block_size is too large"))?,
            fragments: value("fragments").and_then(|v| v.parse().ok()),
            stream_bytes: value("stream_bytes").and_then(|v| v.parse().ok()),
        })
    }
}

fn schedule_type(number: u64) -> Result<ScheduleType, BadHeader> {
    let types = [ScheduleType::Full, ScheduleType::Differential, ScheduleType::Cumulative];
    let found = types.into_iter().find(|known| *known as u64 == number);
    found.ok_or(BadHeader("the schedule type is unknown"))
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let hash = blake3::hash(bytes);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BackupHeader {
        BackupHeader {
            backup_id: "client_1588173008".into(),
            client: "client".into(),
            policy: "größe".into(),
            schedule: "full".into(),
            schedule_type: ScheduleType::Cumulative,
            stream: 3,
            source: Some(Source::Directory("/home".into())),
            backup_time: 1_588_173_008,
            copy: 2,
            block_size: 262_144,
            fragments: Some(3),
            stream_bytes: Some(12_345),
        }
    }

    #[test]
    fn a_header_reads_back() {
        assert_eq!(BackupHeader::decode(&header().encode()).unwrap(), header());
        let long = Source::Directory("/x".repeat(500).into());
        let without = BackupHeader { source: None, ..header() };
        assert_eq!(
            BackupHeader::decode(&BackupHeader { source: Some(long), ..header() }.encode()).unwrap(),
            without
        );
        let first = BackupHeader { fragments: None, stream_bytes: None, ..header() };
        assert_eq!(BackupHeader::decode(&first.encode()).unwrap(), first);
    }

    #[test]
    fn every_damaged_bit_is_noticed() {
        let good = header().encode();
        for at in 0..HEADER_SIZE {
            let mut bad = good;
            bad[at] ^= 4;
            assert!(BackupHeader::decode(&bad).is_err(), "byte {at}");
        }
        assert!(BackupHeader::decode(&good[..1000]).is_err());
    }

    #[test]
    fn endless_names_do_not_break_the_header() {
        let long = BackupHeader { policy: "p".repeat(5000), schedule: "s\n=".repeat(5000), ..header() };
        let read = BackupHeader::decode(&long.encode()).unwrap();
        assert_eq!(read.policy, "p".repeat(80));
        assert_eq!(read.backup_id, "client_1588173008");
    }
}
