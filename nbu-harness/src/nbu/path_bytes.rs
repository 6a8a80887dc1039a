//! Paths as bytes, and how they are written in JSON: UTF-8 as it is, any other byte and `%` as `%XX`.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path as the file system has it: bytes in no particular encoding, without a NUL.
///
/// Its text form ([`fmt::Display`], JSON) keeps UTF-8 as it is and writes every other byte, control characters and
/// `%` itself as `%XX`, so that it is readable and nothing is lost.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PathBytes(pub Vec<u8>);

impl PathBytes {
    /// The path for calls of the standard library.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Reads the text form. A `%` that no two hexadecimal digits follow stands for itself.
    pub fn from_text(text: &str) -> Self {
        Self(percent_encoding::percent_decode_str(text).collect())
    }
}

impl From<&Path> for PathBytes {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<PathBuf> for PathBytes {
    fn from(path: PathBuf) -> Self {
        Self(path.into_os_string().into_vec())
    }
}

impl From<&[u8]> for PathBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for PathBytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Display for PathBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '%' => f.write_str("%25")?,
                    c if c.is_ascii_control() => write!(f, "%{:02X}", u32::from(c))?,
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PathBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for PathBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PathBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::from_text(&text))
    }
}

/// `#[serde(with = "path_bytes::lossless")]` for a [`PathBuf`] field.
pub(crate) mod lossless {
    use super::{Deserialize, Deserializer, OsStringExt, PathBuf, PathBytes, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
        PathBytes::from(path).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        PathBytes::deserialize(deserializer).map(|p| PathBuf::from(std::ffi::OsString::from_vec(p.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_text_form_loses_nothing(bytes: Vec<u8>) {
            let path = PathBytes(bytes);
            prop_assert_eq!(&PathBytes::from_text(&path.to_string()), &path);
            let json = serde_json::to_string(&path).unwrap();
            prop_assert_eq!(serde_json::from_str::<PathBytes>(&json).unwrap(), path);
        }
    }

    #[test]
    fn readable_names_stay_readable() {
        assert_eq!(PathBytes::from("etc/hösts").to_string(), "etc/hösts");
        assert_eq!(PathBytes(b"100%\xff\n".to_vec()).to_string(), "100%25%FF%0A");
    }
}
