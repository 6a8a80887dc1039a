//! A media server for one test: the C plug-in, an LSU, a catalogue, all in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::c_plugin::c_plugin;
use nbu_harness::data::GenData;
use nbu_harness::nbu::{
    BackupRequest, Catalog, CheckpointEvery, ExpireRequest, HeaderOrder, Installation, JobControl, JobEvent,
    JobResult, RestoreRequest, ScheduleType, Selection, Source, StorageUnit, VerifyRequest, backup, expire,
    restore, verify,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

pub(crate) struct Rig {
    dir: TempDir,
    pub(crate) installation: Installation,
    pub(crate) unit: StorageUnit,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("storage/lsu0")).unwrap();
        let exe = env!("CARGO_BIN_EXE_nbu-harness").into();
        let mut installation =
            Installation::new(exe, c_plugin(), dir.path().join("plugin.toml"), dir.path().join("work"));
        let storage = dir.path().join("storage").to_str().unwrap().to_owned();
        installation.plugin_env.insert("FAKE_OST_DIR".into(), storage);
        Self { dir, installation, unit: StorageUnit::new("Fake:server", "user", "secret", "lsu0") }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Sets a variable of the C plug-in.
    pub(crate) fn plugin_env(&mut self, name: &str, value: impl std::fmt::Display) {
        self.installation.plugin_env.insert(name.into(), value.to_string());
    }

    pub(crate) fn request(&self, job_id: u64, source: Source) -> BackupRequest {
        BackupRequest {
            job_id,
            client: "client1".into(),
            policy: "policy1".into(),
            schedule: "full".into(),
            schedule_type: ScheduleType::Full,
            stream: 1,
            backup_time: 1_588_173_000 + job_id,
            source,
            storage_unit: self.unit.clone(),
            header_order: HeaderOrder::Last,
            checkpoint: None,
            resume: false,
            suspend: false,
            worm_seconds: None,
            accelerator: None,
            abort_after: None,
            inline: None,
            multiplexed: None,
            collect_tir: false,
            earlier_tries: 0,
            retention_seconds: None,
        }
    }

    pub(crate) fn backup(&self, request: &BackupRequest) -> JobResult {
        backup(&self.installation, request, &mut go_on)
    }

    pub(crate) fn restore(&self, backup_id: &str, destination: &Path, selection: Selection) -> JobResult {
        let request = RestoreRequest {
            job_id: 900,
            backup_id: backup_id.into(),
            copy: None,
            storage_unit: self.unit.clone(),
            destination: destination.into(),
            selection,
            checkpoint: CheckpointEvery::RESTORE,
            suspend_after: None,
            resume: false,
        };
        restore(&self.installation, &request, &mut go_on)
    }

    pub(crate) fn verify(&self, backup_id: &str) -> JobResult {
        let request = VerifyRequest {
            job_id: 901,
            backup_id: backup_id.into(),
            copy: None,
            storage_unit: self.unit.clone(),
        };
        verify(&self.installation, &request, &mut go_on)
    }

    pub(crate) fn expire(&self, backup_id: &str) -> JobResult {
        let request = ExpireRequest {
            job_id: 902,
            backup_id: backup_id.into(),
            copy: None,
            storage_unit: self.unit.clone(),
            leftovers_of: None,
        };
        expire(&self.installation, &request, &mut go_on)
    }

    /// An image cleanup job for a backup that failed and could not clean up after itself.
    pub(crate) fn discard(&self, failed: &BackupRequest) -> JobResult {
        let request = ExpireRequest {
            job_id: 903,
            backup_id: failed.backup_id(),
            copy: None,
            storage_unit: self.unit.clone(),
            leftovers_of: Some(failed.backup_time),
        };
        expire(&self.installation, &request, &mut go_on)
    }

    /// Holds the plug-in's first write until what this returns is called.
    pub(crate) fn gate(&mut self) -> impl FnMut() + use<> {
        let gate = self.path("gate");
        mknodat(CWD, &gate, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        self.plugin_env("FAKE_OST_GATE", gate.display());
        let mut opened = None;
        move || {
            opened.get_or_insert_with(|| fs::OpenOptions::new().read(true).write(true).open(&gate).unwrap());
        }
    }

    pub(crate) fn catalog(&self) -> Catalog {
        Catalog::open(&self.installation.work_dir).unwrap()
    }

    /// Names of what is on the storage, in order, half-written images too.
    pub(crate) fn stored(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path("storage/lsu0"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Nothing on the storage, nothing in the catalogue.
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.stored(), Vec::<String>::new());
        assert!(self.catalog().images().unwrap().is_empty());
        let files = fs::read_dir(self.path("work/catalog")).unwrap().count();
        assert_eq!(files, 0, "file lists are left in the catalogue's directory");
    }
}

pub(crate) fn go_on(_: &JobEvent) -> JobControl {
    JobControl::Continue
}

/// A synthetic source of `mib` MiB in one file.
pub(crate) fn synthetic(mib: u64) -> Source {
    Source::Synthetic(GenData { kb_size: mib * 1024, max_files: 1, ..GenData::with_seed(42) })
}

#[track_caller]
pub(crate) fn assert_status(result: &JobResult, status: i32) {
    assert_eq!(result.status, status, "{}\n{}", result.text, result.log.join("\n"));
}
