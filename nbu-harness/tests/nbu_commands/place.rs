//! A directory with a NetBackup home, and a shell in which the program goes by the names of NetBackup's commands.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_nbu-harness");

pub(crate) struct Place {
    dir: TempDir,
    env: Vec<(String, String)>,
}

/// What a command printed, both streams in their order, and its exit code.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) text: String,
    pub(crate) code: i32,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        for command in nbu_harness::commands::COMMANDS {
            symlink(PROGRAM, dir.path().join("bin").join(command.name)).unwrap();
        }
        Self { dir, env: Vec::new() }
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn set(&mut self, name: &str, value: &impl ToString) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.to_string()));
    }

    /// Runs a line as a shell does.
    pub(crate) fn shell(&self, line: &str) -> Done {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("exec 2>&1; {line}")])
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", path)
            .env("TZ", "UTC")
            .env("NBU_HARNESS_HOME", self.home())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Done { text, code: output.status.code().unwrap() }
    }

    /// Runs a line that must work, and returns what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        let done = self.shell(line);
        assert_eq!(done.code, 0, "{line}: {}", done.text);
        done.text
    }
}
