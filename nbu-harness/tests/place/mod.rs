//! A directory to run the command in.

use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const SCENARIO: &str = "\
scenario: NBU-BKP-900
title: a small one
storage:
  server: {type: Fake, name: server, user: user, password: secret}
  lsus: [{name: lsu0}]
  units: [{label: stu1, lsu: lsu0}]
policy: {name: p1, storage: stu1}
selections: [GEN_DATA, GEN_KBSIZE=64, GEN_MAXFILES=4]
run:
  - backup: {}
  - restore: {}
expect:
  data: {restore: byte_identical}
";

/// A directory with the scenario, an LSU for the C plug-in, and a command that works there.
pub(crate) struct Place(pub(crate) TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("storage/lsu0")).unwrap();
        std::fs::write(dir.path().join("a.yaml"), SCENARIO).unwrap();
        Self(dir)
    }

    pub(crate) fn run(&self, args: &[&str], fail: Option<&str>) -> Output {
        let fail = fail.map(|fail| ("FAKE_OST_FAIL", fail));
        self.run_with(args, fail.as_slice())
    }

    pub(crate) fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nbu-harness"));
        command.args(args).current_dir(self.0.path()).env("FAKE_OST_DIR", self.0.path().join("storage"));
        command.envs(env.iter().copied());
        command.output().unwrap()
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
