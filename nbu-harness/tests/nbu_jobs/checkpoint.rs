//! Backups with checkpoints: what failed goes on.

use std::fs;

use nbu_harness::data::{GenData, TreeSpec};
use nbu_harness::nbu::{
    BackupRequest, CheckpointEvery, JobControl, JobEvent, JobState, Selection, Source, backup,
};
use nbu_harness::oracle::{CompareOptions, Snapshot, compare};

use crate::failure::kill;
use crate::rig::{Rig, assert_status};

/// A tree of 6 MiB, and a backup of it with a checkpoint after each MiB.
fn rig() -> (Rig, BackupRequest) {
    let rig = Rig::new();
    let root = rig.path("tree");
    TreeSpec { seed: 6, files: 300, bytes: 6 << 20, changing: false }.generate(&root).unwrap();
    let mut request = rig.request(1, Source::Directory(root));
    request.checkpoint = Some(CheckpointEvery::Bytes(1 << 20));
    (rig, request)
}

fn resumed(request: &BackupRequest) -> BackupRequest {
    BackupRequest { resume: true, abort_after: None, ..request.clone() }
}

#[test]
fn a_failed_backup_keeps_its_checkpoint_and_goes_on_behind_it() {
    let (mut rig, request) = rig();
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 4 << 20);
    let failed = rig.backup(&request);
    assert_status(&failed, 129);
    assert_eq!(failed.state, JobState::Incomplete);
    let kept = rig.stored();
    assert!(!kept.is_empty() && kept.iter().all(|name| !name.ends_with(".pending")), "{kept:?}");
    assert!(rig.catalog().images().unwrap().is_empty(), "no backup yet");

    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", u64::MAX);
    let result = rig.backup(&resumed(&request));
    assert_status(&result, 0);
    assert_eq!((result.state, result.job_id), (JobState::Done, failed.job_id));
    assert!(result.bytes_written < 4 << 20, "{} bytes were written again", result.bytes_written);
    assert_eq!(rig.stored().len(), result.images.len());
    assert!(kept.iter().all(|name| result.images.contains(name)));
    let offsets: Vec<_> =
        result.fragments.windows(2).map(|two| two[0].offset + two[0].bytes == two[1].offset).collect();
    assert!(offsets.len() > 4 && offsets.iter().all(|fits| *fits));
    assert_status(&rig.verify(&result.backup_id), 0);
    assert_status(&rig.restore(&result.backup_id, &rig.path("out"), Selection::All), 0);
    let [before, found] = ["tree", "out"].map(|root| Snapshot::take(&rig.path(root), 2).unwrap());
    let compared = compare(&before, &found, &CompareOptions::default());
    assert_eq!(compared.total, 0, "{compared}");
    assert_eq!(fs::read_dir(rig.path("work/checkpoints")).unwrap().count(), 0);
    assert_status(&rig.expire(&result.backup_id), 0);
    rig.assert_nothing_left();
}

#[test]
fn generated_data_goes_on_too_and_more_than_once() {
    let mut rig = Rig::new();
    let data = GenData { kb_size: 300, max_files: 20, ..GenData::with_seed(3) };
    let mut request = rig.request(1, Source::Synthetic(data));
    request.checkpoint = Some(CheckpointEvery::Bytes(700_000));
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 2 << 20);
    assert_eq!(rig.backup(&request).state, JobState::Incomplete);
    assert_eq!(rig.backup(&resumed(&request)).state, JobState::Incomplete, "it fails again, further on");
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", u64::MAX);
    let result = rig.backup(&resumed(&request));
    assert_status(&result, 0);
    assert_eq!(result.files, 20);
    let restored = rig.restore(&result.backup_id, &rig.path("out"), Selection::All);
    assert_status(&restored, 0);
    assert_eq!((restored.files, restored.bad_ranges.len()), (20, 0));
}

#[test]
fn a_cancelled_backup_keeps_nothing_and_a_suspended_one_its_checkpoint() {
    let (rig, mut request) = rig();
    request.abort_after = Some(4 << 20);
    let cancelled = rig.backup(&request);
    assert_status(&cancelled, 150);
    assert_eq!(cancelled.state, JobState::Done);
    rig.assert_nothing_left();
    assert_status(&rig.backup(&resumed(&request)), 227);
    request.suspend = true;
    let suspended = rig.backup(&request);
    assert_status(&suspended, 157);
    assert_eq!(suspended.state, JobState::Suspended);
    assert!(!rig.stored().is_empty());
}

#[test]
fn another_buffer_size_is_refused_and_the_job_can_still_go_on() {
    let (mut rig, mut request) = rig();
    (request.abort_after, request.suspend) = (Some(4 << 20), true);
    assert_status(&rig.backup(&request), 157);
    let before = rig.stored();
    rig.installation.data_buffers.size_data_buffers_disk = 128 << 10;
    let refused = rig.backup(&resumed(&request));
    assert_status(&refused, 163);
    assert_eq!((refused.state, rig.stored()), (JobState::Incomplete, before));
    rig.installation.data_buffers.size_data_buffers_disk = 256 << 10;
    assert_status(&rig.backup(&resumed(&request)), 0);
}

#[test]
fn what_a_failed_attempt_could_not_delete_does_not_hinder_the_next_one() {
    let (mut rig, request) = rig();
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 4 << 20);
    rig.plugin_env("FAKE_OST_FAIL", "delete_image:2060019");
    let failed = rig.backup(&request);
    assert_status(&failed, 129);
    assert_eq!(failed.left_behind.len(), 1, "{:?}", failed.left_behind);
    assert!(rig.stored().iter().any(|name| name.ends_with(".pending")));
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", u64::MAX);
    rig.plugin_env("FAKE_OST_FAIL", "");
    let result = rig.backup(&resumed(&request));
    assert_status(&result, 0);
    assert_status(&rig.verify(&result.backup_id), 0);
    assert_eq!(rig.stored().len(), result.images.len());
}

#[test]
fn a_cancelled_resume_leaves_nothing_of_any_attempt() {
    let (mut rig, mut request) = rig();
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 4 << 20);
    assert_eq!(rig.backup(&request).state, JobState::Incomplete);
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", u64::MAX);
    request.abort_after = Some(6 << 20);
    let cancelled = rig.backup(&BackupRequest { resume: true, ..request.clone() });
    assert_status(&cancelled, 150);
    rig.assert_nothing_left();
    assert_status(&rig.backup(&resumed(&request)), 227);
}

#[test]
fn before_the_first_checkpoint_a_failed_backup_leaves_nothing() {
    let (mut rig, mut request) = rig();
    request.checkpoint = Some(CheckpointEvery::Bytes(64 << 20));
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 4 << 20);
    let failed = rig.backup(&request);
    assert_status(&failed, 129);
    assert_eq!(failed.state, JobState::Done);
    rig.assert_nothing_left();
}

#[test]
fn what_a_lost_try_left_behind_the_checkpoint_does_not_hinder_the_next_one() {
    let (mut rig, request) = rig();
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 4 << 20);
    assert_eq!(rig.backup(&request).state, JobState::Incomplete);
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", u64::MAX);
    let kept = rig.stored();
    let (mut bpbrm, mut bptm, mut killed) = (None, None, false);
    let again = BackupRequest { earlier_tries: 1, ..resumed(&request) };
    let lost = backup(&rig.installation, &again, &mut |event| {
        match event {
            JobEvent::ProcessStarted { name, pid } if name == "bpbrm" => bpbrm = Some(*pid),
            JobEvent::ProcessStarted { name, pid } if name == "bptm" => bptm = Some(*pid),
            JobEvent::Log(line) if line.contains("created image") && !killed => {
                killed = true;
                kill(bpbrm.unwrap(), "-KILL");
                // Left alone it would make one image more, perhaps after the next try has looked for what there is.
                kill(bptm.unwrap(), "-KILL");
            }
            _ => {}
        }
        JobControl::Continue
    });
    assert!(killed && lost.status != 0, "{}", lost.text);
    assert!(rig.stored().len() > kept.len(), "{:?}", rig.stored());

    let result = rig.backup(&BackupRequest { earlier_tries: 2, ..resumed(&request) });
    assert_status(&result, 0);
    assert!(kept.iter().all(|name| result.images.contains(name)), "{kept:?}");
    assert_eq!(rig.stored().len(), result.images.len());
    assert_status(&rig.verify(&result.backup_id), 0);
}

#[test]
fn a_resumed_backup_has_no_link_to_a_file_that_is_not_in_it() {
    let (mut rig, request) = rig();
    let [early, late] = ["!early", "zz-late"].map(|name| rig.path("tree").join(name));
    fs::write(&late, b"the same file under two names").unwrap();
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 4 << 20);
    assert_eq!(rig.backup(&request).state, JobState::Incomplete);
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", u64::MAX);
    // The walk has passed its place.
    fs::hard_link(&late, &early).unwrap();
    let result = rig.backup(&resumed(&request));
    assert_status(&result, 0);
    assert_status(&rig.restore(&result.backup_id, &rig.path("out"), Selection::All), 0);
    assert!(!rig.path("out/!early").exists());
    assert_eq!(fs::read(rig.path("out/zz-late")).unwrap(), fs::read(&late).unwrap());
}
