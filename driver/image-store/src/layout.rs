//! Where things are in the bucket: keys of state objects and of segments, both ways. The rules are in `LAYOUT.md`.

use std::fmt;

use crate::environment::Entropy;
use crate::identity::{ImageIdentity, escape, unescape};

/// Longest key of S3, in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// Prefix of all state objects, and of nothing else.
pub(crate) const IMAGES: &str = "image/";

/// One writer's identity and epoch: its segments cannot be mistaken for another writer's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WriterId(pub(crate) [u8; 16]);

impl WriterId {
    pub(crate) fn fresh(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// A key that nothing else uses, for finding out what the server can do.
    pub(crate) fn probe_key(self) -> String {
        format!("{PROBES}{self}")
    }

    /// Reads 32 lower-case hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 32 || !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|value| Self(value.to_be_bytes()))
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Key of an image's state object.
pub(crate) fn state_key(identity: &ImageIdentity) -> String {
    let key = format!(
        "{IMAGES}{}/{}/{}",
        component(&identity.base_name),
        identity.date,
        component(&identity.policy)
    );
    if key.len() <= KEY_BYTES_MAX { key } else { format!("{IMAGES}#{}", blake3::hash(key.as_bytes())) }
}

/// What a key under [`IMAGES`] says about its image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StateKey {
    /// All of it.
    Named(ImageIdentity),
    /// Only a hash: the names are in the object.
    Hashed,
    /// It is not a key of ours.
    Foreign,
}

/// Reads a key under [`IMAGES`].
pub(crate) fn parse_state_key(key: &str) -> StateKey {
    let Some(rest) = key.strip_prefix(IMAGES) else { return StateKey::Foreign };
    if let Some(hash) = rest.strip_prefix('#') {
        let hexadecimal = hash.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        return if hash.len() == 64 && hexadecimal { StateKey::Hashed } else { StateKey::Foreign };
    }
    let mut parts = rest.split('/');
    let identity = (|| {
        let base_name = read_component(parts.next()?)?;
        let date = parts.next()?.parse().ok()?;
        let policy = read_component(parts.next()?)?;
        ImageIdentity::new(base_name, date, policy).ok()
    })();
    match identity {
        Some(identity) if state_key(&identity) == key => StateKey::Named(identity),
        _ => StateKey::Foreign,
    }
}

/// Prefix of all segments.
pub(crate) const SEGMENTS: &str = "segment/";

/// Prefix of all markers.
pub(crate) const HOLDERS: &str = "holder/";

/// Prefix of all events.
pub(crate) const EVENTS: &str = "event/";

/// Prefix of what events are about.
pub(crate) const PAYLOADS: &str = "event-payload/";

/// Prefix of all operations: copies that outlive whoever asked for them.
pub(crate) const OPERATIONS: &str = "operation/";

/// Prefix of the operations of image sets.
pub(crate) const OPERATION_SETS: &str = "operation-set/";

/// Key of what an administrator calls the bucket.
pub(crate) const LABEL: &str = "label";

/// Prefix of what is left of finding out what the server can do.
pub(crate) const PROBES: &str = "probe/";

/// Prefix of the markers on the segments of a writer.
pub(crate) fn holders_prefix(writer: WriterId) -> String {
    format!("{HOLDERS}{writer}/")
}

/// Key of the marker by which `holder` holds segments of `writer`.
pub(crate) fn marker_key(writer: WriterId, holder: WriterId) -> String {
    format!("{HOLDERS}{writer}/{holder}")
}

/// The writer that a key names at its second level, and what follows: `segment/<writer>/…` or `holder/<writer>/…`.
pub(crate) fn writer_in<'a>(key: &'a str, prefix: &str) -> Option<(WriterId, &'a str)> {
    let (writer, rest) = key.strip_prefix(prefix)?.split_once('/')?;
    Some((WriterId::parse(writer)?, rest))
}

/// The index at the end of a segment's key.
pub(crate) fn segment_index(rest: &str) -> Option<u32> {
    let index = u32::from_str_radix(rest, 16).ok()?;
    (format!("{index:08x}") == rest).then_some(index)
}

/// Prefix of every segment of a writer.
pub(crate) fn writer_prefix(writer: WriterId) -> String {
    format!("segment/{writer}/")
}

/// Key of one segment.
pub(crate) fn segment_key(writer: WriterId, index: u32) -> String {
    format!("segment/{writer}/{index:08x}")
}

fn component(name: &[u8]) -> String {
    let text = escape(name);
    if text.is_empty() {
        "%".to_owned()
    } else if text.bytes().all(|byte| byte == b'.') {
        text.replacen('.', "%2E", 1)
    } else {
        text
    }
}

/// The exact inverse is enforced by the caller, which writes the key again and compares.
fn read_component(text: &str) -> Option<Vec<u8>> {
    match text {
        "%" => Some(Vec::new()),
        text if text.starts_with("%2E") => unescape(&text.replacen("%2E", ".", 1)),
        text => unescape(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_look_as_documented() {
        let key =
            |name: &[u8], policy: &[u8]| state_key(&ImageIdentity::new(name, 1_588_173_008, policy).unwrap());
        assert_eq!(
            key(b"server01_1588173008_C1_F1", b"Daily"),
            "image/server01_1588173008_C1_F1/1588173008/Daily"
        );
        assert_eq!(key(b"a/b", b""), "image/a%2Fb/1588173008/%");
        assert_eq!(key(b"..", b"."), "image/%2E./1588173008/%2E");
        let long = key(&[b'/'; 400], b"p");
        assert!(long.starts_with("image/#") && long.len() == 71, "{long}");
        assert_eq!(parse_state_key(&long), StateKey::Hashed);
        assert_eq!(
            segment_key(WriterId([0xab; 16]), 255),
            "segment/abababababababababababababababab/000000ff"
        );
    }

    #[test]
    fn foreign_keys_are_told_apart() {
        for key in [
            "x",
            "image/",
            "image/a",
            "image/a/1",
            "image/a/01/p",
            "image/a/1/p/q",
            "image/a//p",
            "image/#12",
            "image/ä/1/p",
            "image/%61/1/p",
            "image/a/1/",
            "segment/a/1/p",
        ] {
            assert_eq!(parse_state_key(key), StateKey::Foreign, "{key}");
        }
    }

    #[test]
    fn writer_ids_are_read_back() {
        let writer = WriterId([7; 16]);
        assert_eq!(WriterId::parse(&writer.to_string()), Some(writer));
        for text in ["", "07", &"+7".repeat(16), &"AB".repeat(16)] {
            assert_eq!(WriterId::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn keys_of_any_identity_are_unique_and_reversible(
            base_name in prop::collection::vec(any::<u8>(), 1..40),
            date: u64,
            policy in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let identity = ImageIdentity::new(base_name, date, policy).unwrap();
            let key = state_key(&identity);
            prop_assert!(key.len() <= KEY_BYTES_MAX);
            prop_assert_eq!(parse_state_key(&key), StateKey::Named(identity));
        }
    }
}
