//! The inputs of the core on disk, one JSON line each, durable before they count. A line that a crash tore is cut off:
//! what it said had not happened yet.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::event::Input;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The file system refused.
    #[error("the journal {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// A whole line that is no input: not a crash, but damage.
    #[error("the journal {}, line {line}: {what}: it is damaged; nothing was changed", path.display())]
    Damaged { path: PathBuf, line: u64, what: String },
}

/// The journal, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens or creates the journal; returns it with the inputs it holds.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Input>), JournalError> {
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        // Credentials of storage servers are in it.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(failed)?;
        let (mut inputs, mut whole, mut line) = (Vec::new(), 0u64, Vec::new());
        let mut reader = BufReader::new(&mut file);
        for number in 1.. {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if line.pop() != Some(b'\n') {
                break;
            }
            let damaged = |error: serde_json::Error| JournalError::Damaged {
                path: path.to_owned(),
                line: number,
                what: error.to_string(),
            };
            inputs.push(serde_json::from_slice(&line).map_err(damaged)?);
            whole += length as u64;
        }
        file.set_len(whole).and_then(|()| file.seek(SeekFrom::Start(whole)).map(drop)).map_err(failed)?;
        Ok((Self { file, path: path.to_owned() }, inputs))
    }

    /// Adds an input, durably.
    pub(crate) fn append(&mut self, input: &Input) -> Result<(), JournalError> {
        let failed = |source| JournalError::Io { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(input).map_err(io::Error::from).map_err(failed)?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(inputs: &[Input]) -> Vec<u64> {
        inputs
            .iter()
            .filter_map(|input| if let Input::Clock(at) = input { Some(*at) } else { None })
            .collect()
    }

    #[test]
    fn a_journal_cut_at_any_byte_holds_its_whole_lines_and_takes_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, inputs) = Journal::open(&path).unwrap();
        assert!(inputs.is_empty());
        for at in [10, 200, 3000] {
            journal.append(&Input::Clock(at)).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
            let (mut journal, inputs) = Journal::open(&path).unwrap();
            assert_eq!(clocks(&inputs), [10, 200, 3000][..lines], "cut at {cut}");
            journal.append(&Input::Clock(7)).unwrap();
            assert_eq!(clocks(&Journal::open(&path).unwrap().1).last(), Some(&7));
        }
    }

    #[test]
    fn damage_is_no_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, "{\"Clock\":1}\nnonsense\n").unwrap();
        let error = Journal::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("damaged"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"Clock\":1}\nnonsense\n");
    }
}
