//! The password of a server that no session of the host brings one for, from a file that only its owner can read.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use vast_client::Secret;

/// A password file holds one line.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Reads a password file: its first line. The text of a failure says what to do.
pub(super) fn read(path: &Path) -> Result<Secret, String> {
    let what = format!("password file {}", path.display());
    let file = fs::File::open(path)
        .map_err(|e| format!("{what}: {e}; create it with the password on one line, mode 0600"))?;
    let metadata = file.metadata().map_err(|e| format!("{what}: {e}"))?;
    refuse_open_mode(&metadata).map_err(|why| format!("{what}: {why}; run chmod 0600 on it"))?;
    let mut text = String::new();
    file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(|e| format!("{what}: {e}"))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(format!("{what}: its first line is empty")),
    }
}

#[cfg(unix)]
fn refuse_open_mode(metadata: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(format!("its mode {mode:04o} lets group or others in"));
    }
    Ok(())
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "the file system's own access list guards the file here")]
fn refuse_open_mode(_metadata: &fs::Metadata) -> Result<(), String> {
    Ok(())
}
