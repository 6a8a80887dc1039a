//! What is in the bucket for an event: its key, its object, and the name of its payload.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::EventPosition;
use crate::checksum::crc32c;
use crate::layout::{EVENTS, PAYLOADS, WriterId};
use crate::manifest::signed;

const FORMAT: u32 = 1;
/// Decimal digits of every number in a key.
const DIGITS: usize = 20;

/// The members of an event's line.
#[derive(Serialize, Deserialize)]
struct Line {
    format: u32,
    id: String,
    payload_length: u64,
    payload_crc32c: String,
    length: u64,
    data_crc32c: String,
}

/// An event as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) data: Bytes,
    /// Tells it from every other event, and names its payload.
    pub(super) id: WriterId,
    pub(super) payload_len: u64,
    pub(super) payload_crc: u32,
}

impl Record {
    /// The name of its payload; an empty one has no object.
    pub(super) fn payload(&self) -> Option<WriterId> {
        (self.payload_len > 0).then_some(self.id)
    }

    pub(super) fn encode(&self) -> Result<Bytes, String> {
        let line = Line {
            format: FORMAT,
            id: self.id.to_string(),
            payload_length: self.payload_len,
            payload_crc32c: format!("{:08x}", self.payload_crc),
            length: self.data.len() as u64,
            data_crc32c: format!("{:08x}", crc32c(&self.data)),
        };
        let mut object = signed::sign(&line)?;
        object.extend_from_slice(&self.data);
        Ok(object.into())
    }

    /// The error says what is wrong with the object.
    pub(super) fn decode(object: &Bytes) -> Result<Self, String> {
        let (line, data) = signed::split(object)?;
        let line: Line = serde_json::from_slice(&line)
            .map_err(|error| format!("the header line is malformed: {error}"))?;
        if line.format != FORMAT {
            return Err(format!("format {} is newer than this program reads ({FORMAT})", line.format));
        }
        if line.length != data.len() as u64 || line.data_crc32c != format!("{:08x}", crc32c(&data)) {
            return Err("the event does not match its checksum".to_owned());
        }
        let malformed = || "the id or the checksum of the payload is malformed".to_owned();
        let id = WriterId::parse(&line.id).ok_or_else(malformed)?;
        let payload_crc = u32::from_str_radix(&line.payload_crc32c, 16).map_err(|_| malformed())?;
        Ok(Self { data, id, payload_len: line.payload_length, payload_crc })
    }
}

/// Key of an event.
pub(super) fn event_key(position: EventPosition) -> String {
    let EventPosition { number, suffix } = position;
    match suffix {
        None => format!("{EVENTS}{number:0DIGITS$}"),
        Some(suffix) => format!("{EVENTS}{number:0DIGITS$}-{}", WriterId(suffix)),
    }
}

/// Reads a key under [`EVENTS`]; `None` if it is not one of ours.
pub(super) fn parse_event_key(key: &str) -> Option<EventPosition> {
    let rest = key.strip_prefix(EVENTS)?;
    let (number, suffix) = match rest.split_once('-') {
        Some((number, suffix)) => (number, Some(WriterId::parse(suffix)?.0)),
        None => (rest, None),
    };
    let position = EventPosition { number: number.parse().ok()?, suffix };
    (event_key(position) == key).then_some(position)
}

/// Key of a payload.
pub(super) fn payload_key(id: WriterId) -> String {
    format!("{PAYLOADS}{id}")
}

/// Reads a key under [`PAYLOADS`].
pub(super) fn parse_payload_key(key: &str) -> Option<WriterId> {
    WriterId::parse(key.strip_prefix(PAYLOADS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_positions_and_read_back() {
        let positions = [
            EventPosition { number: 0, suffix: None },
            EventPosition { number: 9, suffix: None },
            EventPosition { number: 9, suffix: Some([1; 16]) },
            EventPosition { number: 9, suffix: Some([0xab; 16]) },
            EventPosition { number: 10, suffix: None },
            EventPosition { number: u64::MAX, suffix: None },
        ];
        let keys = positions.map(event_key);
        assert!(positions.is_sorted() && keys.is_sorted());
        assert_eq!(keys.each_ref().map(|key| parse_event_key(key)), positions.map(Some));
        for foreign in
            ["event/1", "event/x", "event/0000000000000000000+1", "event/00000000000000000001-", "x"]
        {
            assert_eq!(parse_event_key(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed() {
        let record = Record {
            data: Bytes::from_static(b"event\n"),
            id: WriterId([3; 16]),
            payload_len: 7,
            payload_crc: 8,
        };
        let object = record.encode().unwrap();
        assert_eq!(Record::decode(&object).unwrap(), record);
        for at in 0..object.len() {
            let mut bad = object.to_vec();
            bad[at] ^= 1;
            assert!(Record::decode(&bad.into()).is_err(), "{at}");
            assert!(Record::decode(&object.slice(..at)).is_err(), "cut at {at}");
        }
    }
}
