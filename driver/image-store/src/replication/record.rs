//! What is in the bucket for an operation: its keys, and the line that says what was asked for.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Origin, Place, Request};
use crate::identity::{ImageIdentity, escape, unescape};
use crate::layout::{OPERATION_SETS, OPERATIONS, WriterId};
use crate::manifest::signed;

const FORMAT: u32 = 1;

/// What became of an operation, by the last part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    /// It was cancelled.
    Cancelled,
    /// The target of that index has the image.
    Copied(usize),
    /// The target of that index has the event.
    Told(usize),
}

impl Fact {
    fn name(self) -> String {
        match self {
            Self::Cancelled => "cancelled".to_owned(),
            Self::Copied(place) => format!("copied-{place}"),
            Self::Told(place) => format!("told-{place}"),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let fact = match name.split_once('-') {
            None if name == "cancelled" => Self::Cancelled,
            Some(("copied", place)) => Self::Copied(place.parse().ok()?),
            Some(("told", place)) => Self::Told(place.parse().ok()?),
            _ => return None,
        };
        (fact.name() == name).then_some(fact)
    }
}

/// Prefix of everything about an operation.
pub(super) fn operation_prefix(number: u64) -> String {
    format!("{OPERATIONS}{number:016x}/")
}

/// Key of what was asked for.
pub(super) fn request_key(number: u64) -> String {
    format!("{}request", operation_prefix(number))
}

/// Key of a fact. It is one of the request with this id; another one may have had the number before.
pub(super) fn fact_key(number: u64, id: WriterId, fact: Fact) -> String {
    format!("{}{id}-{}", operation_prefix(number), fact.name())
}

/// The operation that a key under [`OPERATIONS`] belongs to.
pub(super) fn parse_operation_key(key: &str) -> Option<u64> {
    let (number, _) = key.strip_prefix(OPERATIONS)?.split_once('/')?;
    u64::from_str_radix(number, 16).ok().filter(|_| number.len() == 16)
}

/// The fact that a key of an operation stands for, and the id of the request.
pub(super) fn parse_fact_key(number: u64, key: &str) -> Option<(WriterId, Fact)> {
    let (id, name) = key.strip_prefix(&operation_prefix(number))?.split_once('-')?;
    Some((WriterId::parse(id)?, Fact::parse(name)?))
}

/// Prefix of the operations of an image set. A set is one of the server that it comes from.
pub(super) fn set_prefix(origin: &Origin) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&origin.image_set.to_be_bytes());
    hasher.update(&origin.server);
    format!("{OPERATION_SETS}{}/", hasher.finalize().to_hex())
}

/// Key that says that an operation is of a set.
pub(super) fn member_key(origin: &Origin, number: u64) -> String {
    format!("{}{number:016x}", set_prefix(origin))
}

/// The operation that a key under [`OPERATION_SETS`] names.
pub(super) fn parse_member_key(key: &str) -> Option<u64> {
    let (_, number) = key.strip_prefix(OPERATION_SETS)?.rsplit_once('/')?;
    u64::from_str_radix(number, 16).ok().filter(|_| number.len() == 16)
}

/// An image in a line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ImageLine {
    base_name: String,
    date: u64,
    policy: String,
}

impl ImageLine {
    pub(super) fn of(image: &ImageIdentity) -> Self {
        Self { base_name: escape(&image.base_name), date: image.date, policy: escape(&image.policy) }
    }

    /// `None` if it is malformed.
    pub(super) fn read(&self) -> Option<ImageIdentity> {
        ImageIdentity::new(unescape(&self.base_name)?, self.date, unescape(&self.policy)?).ok()
    }
}

/// An origin in a line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OriginLine {
    copy: u32,
    image_set: u64,
    server: String,
    lifecycle_policy: String,
}

impl OriginLine {
    pub(super) fn of(origin: &Origin) -> Self {
        Self {
            copy: origin.copy,
            image_set: origin.image_set,
            server: escape(&origin.server),
            lifecycle_policy: escape(&origin.lifecycle_policy),
        }
    }

    /// `None` if it is malformed.
    pub(super) fn read(&self) -> Option<Origin> {
        Some(Origin {
            copy: self.copy,
            image_set: self.image_set,
            server: unescape(&self.server)?,
            lifecycle_policy: unescape(&self.lifecycle_policy)?,
        })
    }
}

/// The members of a request's line.
#[derive(Serialize, Deserialize)]
struct Line {
    format: u32,
    id: String,
    source: ImageLine,
    target: ImageLine,
    places: Vec<(String, String)>,
    origin: Option<OriginLine>,
    in_event: bool,
    triggers: bool,
    name: Option<String>,
}

impl Request {
    pub(super) fn encode(&self, id: WriterId) -> Result<Bytes, String> {
        let places = self.places.iter().map(|place| (place.server.clone(), place.lsu.clone()));
        let line = Line {
            format: FORMAT,
            id: id.to_string(),
            source: ImageLine::of(&self.source),
            target: ImageLine::of(&self.target),
            places: places.collect(),
            origin: self.origin.as_ref().map(OriginLine::of),
            in_event: self.in_event,
            triggers: self.triggers,
            name: self.name.as_deref().map(escape),
        };
        signed::sign(&line).map(Bytes::from)
    }

    /// With its id. The error says what is wrong with the object.
    pub(super) fn decode(object: &Bytes) -> Result<(Self, WriterId), String> {
        let (line, rest) = signed::split(object)?;
        let line: Line =
            serde_json::from_slice(&line).map_err(|error| format!("the line is malformed: {error}"))?;
        if line.format != FORMAT {
            return Err(format!("format {} is newer than this program reads ({FORMAT})", line.format));
        }
        if !rest.is_empty() {
            return Err(format!("{} bytes follow the line", rest.len()));
        }
        let read = || {
            let request = Self {
                source: line.source.read()?,
                target: line.target.read()?,
                places: line
                    .places
                    .iter()
                    .map(|(server, lsu)| Place { server: server.clone(), lsu: lsu.clone() })
                    .collect(),
                origin: line.origin.as_ref().map(|origin| origin.read().ok_or(())).transpose().ok()?,
                in_event: line.in_event,
                triggers: line.triggers,
                name: line.name.as_deref().map(|name| unescape(name).ok_or(())).transpose().ok()?,
            };
            Some((request, WriterId::parse(&line.id)?))
        };
        read().ok_or_else(|| "a name or the id in the line is malformed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            source: ImageIdentity::new(b"a\xff/b".to_vec(), 7, "Daily").unwrap(),
            target: ImageIdentity::new("b", 8, "").unwrap(),
            places: vec![Place { server: "vast2".to_owned(), lsu: "lsu-ü".to_owned() }],
            origin: Some(Origin { copy: 1, image_set: u64::MAX, server: vec![0xfe], ..Origin::default() }),
            in_event: true,
            triggers: false,
            name: Some(b"night 3".to_vec()),
        }
    }

    #[test]
    fn a_request_is_read_back_and_every_flipped_or_missing_byte_is_noticed() {
        let id = WriterId([7; 16]);
        let object = request().encode(id).unwrap();
        assert_eq!(Request::decode(&object).unwrap(), (request(), id));
        let bare = Request { origin: None, name: None, ..request() };
        assert_eq!(Request::decode(&bare.encode(id).unwrap()).unwrap(), (bare, id));
        for at in 0..object.len() {
            let mut bad = object.to_vec();
            bad[at] ^= 1;
            assert!(Request::decode(&bad.into()).is_err(), "{at}");
            assert!(Request::decode(&object.slice(..at)).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn keys_are_read_back_and_foreign_ones_are_not() {
        let id = WriterId([7; 16]);
        for fact in [Fact::Cancelled, Fact::Copied(0), Fact::Told(15)] {
            let key = fact_key(u64::MAX, id, fact);
            assert_eq!(parse_fact_key(u64::MAX, &key), Some((id, fact)));
            assert_eq!(parse_operation_key(&key), Some(u64::MAX));
            assert_eq!(parse_fact_key(1, &key), None);
        }
        assert_eq!(parse_fact_key(1, &request_key(1)), None);
        let origin = request().origin.unwrap();
        assert_eq!(parse_member_key(&member_key(&origin, 9)), Some(9));
        assert_ne!(set_prefix(&origin), set_prefix(&Origin { server: vec![0xfd], ..origin.clone() }));
        for foreign in ["operation/1/request", "operation/x", "x"] {
            assert_eq!(parse_operation_key(foreign), None, "{foreign}");
        }
    }
}
