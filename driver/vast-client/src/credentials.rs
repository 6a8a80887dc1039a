//! The S3 key pair, from a key file that only its owner can read.
//!
//! VAST shows a secret key once, when it is made, and allows few keys per user: so the pair is made once by an
//! administrator and kept in a file, `access_key = "..."` and `secret_key = "..."` in TOML.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// A key file holds two short lines.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What S3 requests are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The public half.
    pub access_key: String,
    /// The half that never travels.
    pub secret_key: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    access_key: String,
    secret_key: String,
}

impl KeyPair {
    /// A pair from its two halves.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<Secret>) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into() }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`Error::Config`] when the file is missing, can be read by group or others, or is malformed; the message
    /// says what to do and holds nothing of the file's content.
    pub fn from_file(path: &Path) -> Result<Self> {
        let what = format!("key file {}", path.display());
        let file = fs::File::open(path).map_err(|e| {
            Error::config(
                &what,
                e.to_string(),
                "create it with access_key and secret_key of the VAST user, owned by the NetBackup service user, mode 0600",
            )
        })?;
        let metadata =
            file.metadata().map_err(|e| Error::config(&what, e.to_string(), "check the file system"))?;
        if !metadata.is_file() {
            return Err(Error::config(&what, "not a regular file", "give the path of the key file itself"));
        }
        refuse_open_mode(&what, &metadata)?;
        let mut text = String::new();
        file.take(KEY_FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|e| Error::config(&what, e.to_string(), "write it as TOML text in UTF-8"))?;
        Self::parse(&text).map_err(|why| {
            Error::config(&what, why, "write two lines: access_key = \"...\" and secret_key = \"...\"")
        })
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let file: KeyFile = toml::from_str(text).map_err(|e| {
            // The reader's own message may quote the line, and with it the secret: the place is enough.
            let line = e.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            match line {
                Some(line) => format!("malformed near line {line}"),
                None => "malformed".to_owned(),
            }
        })?;
        if file.access_key.trim().is_empty() || file.secret_key.trim().is_empty() {
            return Err("access_key or secret_key is empty".to_owned());
        }
        Ok(Self::new(file.access_key.trim(), file.secret_key.trim()))
    }
}

#[cfg(unix)]
fn refuse_open_mode(what: &str, metadata: &fs::Metadata) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::config(
            what,
            format!("its mode {mode:04o} lets group or others in"),
            "run chmod 0600 on it, and make a new key if others may have read it",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the file system's own access list guards the file on this platform"
)]
fn refuse_open_mode(_what: &str, _metadata: &fs::Metadata) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    fn file(dir: &tempfile::TempDir, text: &str, mode: u32) -> PathBuf {
        let path = dir.path().join("keys.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_good_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, "access_key = \"AK\"\nsecret_key = \"sekrit\"\n", 0o600);
        assert_eq!(KeyPair::from_file(&path).unwrap(), KeyPair::new("AK", "sekrit"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o640, 0o604, 0o666, 0o610] {
            let path = file(&dir, "access_key = \"AK\"\nsecret_key = \"sekrit\"\n", mode);
            let error = KeyPair::from_file(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 0600") && error.contains(&format!("{mode:04o}")), "{error}");
        }
    }

    #[test]
    fn a_malformed_file_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        for text in [
            "access_key = \"AK\"\nsecret_key = sekrit\n",
            "access_key = \"AK\"\n",
            "access_key = \"AK\"\nsecret_key = \"\"\n",
            "access_key = \"AK\"\nsecret_key = \"sekrit\"\nsecretkey = \"sekrit\"\n",
            "sekrit",
        ] {
            let error = KeyPair::from_file(&file(&dir, text, 0o600)).unwrap_err().to_string();
            assert!(error.contains("keys.toml") && error.contains("two lines"), "{error}");
            assert!(!error.contains("sekrit"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_says_what_to_do() {
        let error = KeyPair::from_file(Path::new("/nonexistent/keys.toml")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/keys.toml") && error.contains("0600"), "{error}");
        assert!(matches!(KeyPair::from_file(Path::new("/")), Err(Error::Config(_))));
    }
}
