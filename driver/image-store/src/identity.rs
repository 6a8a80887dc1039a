//! Who an image is, and how its names are written down: percent-encoding, byte by byte.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::error::ImageError;

/// Bytes that stay as they are: `A-Z a-z 0-9 . _ -`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-');

/// Longest base name or policy, in bytes.
pub const NAME_BYTES_MAX: usize = 4096;

/// Identity of an image: what NetBackup calls it. Names are bytes; nothing requires UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageIdentity {
    /// Base name, for example `server01_1588173008_C1_F1`. 1 to [`NAME_BYTES_MAX`] bytes.
    pub base_name: Vec<u8>,
    /// Image date, seconds since the epoch.
    pub date: u64,
    /// Policy name, 0 to [`NAME_BYTES_MAX`] bytes.
    pub policy: Vec<u8>,
}

impl ImageIdentity {
    /// Makes an identity; [`ImageError::InvalidIdentity`] if a name is empty (base name) or too long.
    pub fn new(
        base_name: impl Into<Vec<u8>>,
        date: u64,
        policy: impl Into<Vec<u8>>,
    ) -> Result<Self, ImageError> {
        let identity = Self { base_name: base_name.into(), date, policy: policy.into() };
        identity.check()?;
        Ok(identity)
    }

    /// Stands for an image of which only a key is known, in messages.
    pub(crate) fn unknown(key: &str) -> Self {
        Self { base_name: key.into(), date: 0, policy: Vec::new() }
    }

    /// Refuses what [`Self::new`] refuses, for identities built field by field.
    pub(crate) fn check(&self) -> Result<(), ImageError> {
        let problem = if self.base_name.is_empty() {
            "the base name is empty".to_owned()
        } else if self.base_name.len() > NAME_BYTES_MAX {
            format!("the base name has {} bytes, more than {NAME_BYTES_MAX}", self.base_name.len())
        } else if self.policy.len() > NAME_BYTES_MAX {
            format!("the policy name has {} bytes, more than {NAME_BYTES_MAX}", self.policy.len())
        } else {
            return Ok(());
        };
        Err(ImageError::InvalidIdentity { problem })
    }
}

impl fmt::Display for ImageIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", escape(&self.base_name), self.date, escape(&self.policy))
    }
}

/// Writes bytes as text without loss: every byte outside `[A-Za-z0-9._-]` as `%XX`.
pub(crate) fn escape(bytes: &[u8]) -> String {
    percent_encode(bytes, ESCAPED).to_string()
}

/// Reads [`escape`]'s text back; `None` for anything that `escape` would not have written.
pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    (escape(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        let all: Vec<u8> = (0..=255).collect();
        let text = escape(&all);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte)), "{text}");
        assert_eq!(unescape(&text), Some(all));
        assert_eq!(escape(b"a/b%\xff c"), "a%2Fb%25%FF%20c");
    }

    #[test]
    fn only_canonical_text_is_read() {
        for text in ["a b", "%2f", "%41", "%", "%4", "a/b", "é"] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }

    #[test]
    fn empty_and_overlong_names_are_refused() {
        assert!(ImageIdentity::new("", 1, "p").is_err());
        assert!(ImageIdentity::new("a", 1, "").is_ok());
        assert!(ImageIdentity::new(vec![b'a'; NAME_BYTES_MAX + 1], 1, "").is_err());
        assert!(ImageIdentity::new("a", 1, vec![b'a'; NAME_BYTES_MAX + 1]).is_err());
        assert!(ImageIdentity::new(vec![b'a'; NAME_BYTES_MAX], 1, vec![b'a'; NAME_BYTES_MAX]).is_ok());
    }
}
