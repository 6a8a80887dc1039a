//! Accelerated backups: full ones of which only changed blocks leave the client.

use std::fs;

use nbu_harness::data::{TreeChange, TreeSpec, change_tree};
use nbu_harness::nbu::{Accelerator, JobResult, Selection, Source};
use nbu_harness::oracle::{CompareOptions, Snapshot, compare};

use crate::rig::{Rig, assert_status};

/// The bits of `include`.
const INCLUDE: u32 = 1 << 3;

/// A media server whose storage includes, and a tree.
fn rig() -> (Rig, Source) {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    rig.plugin_env("FAKE_OST_CAPABILITIES", INCLUDE);
    let root = rig.path("tree");
    TreeSpec { seed: 6, files: 120, bytes: 6 << 20, changing: false }.generate(&root).unwrap();
    (rig, Source::Directory(root))
}

fn change(rig: &Rig, generation: u32) {
    let change =
        TreeChange { seed: 6, generation, change_percent: 15, delete_percent: 4, mtime: 1_588_173_000 };
    change_tree(&rig.path("tree"), &change).unwrap();
}

fn backup(rig: &Rig, job_id: u64, source: &Source, forced_rescan: bool) -> JobResult {
    let mut request = rig.request(job_id, source.clone());
    request.accelerator = Some(Accelerator { forced_rescan, ..Accelerator::default() });
    rig.backup(&request)
}

#[track_caller]
fn restores_as_it_is(rig: &Rig, result: &JobResult) {
    assert_status(result, 0);
    let out = rig.path(&format!("out-{}", result.job_id));
    assert_status(&rig.restore(&result.backup_id, &out, Selection::All), 0);
    let [before, found] = [&rig.path("tree"), &out].map(|root| Snapshot::take(root, 2).unwrap());
    let compared = compare(&before, &found, &CompareOptions::default());
    assert_eq!(compared.total, 0, "{compared}");
    assert_status(&rig.verify(&result.backup_id), 0);
}

#[test]
fn changed_blocks_are_written_and_the_rest_included() {
    let (rig, source) = rig();
    let first = backup(&rig, 1, &source, false);
    restores_as_it_is(&rig, &first);
    change(&rig, 1);
    let second = backup(&rig, 2, &source, false);
    restores_as_it_is(&rig, &second);
    assert!(second.bytes_written < first.bytes_written / 3, "{} bytes written", second.bytes_written);
    assert!(second.log.iter().any(|line| line.contains("accelerator sent")));
    // The new image stands for itself, and is the next base.
    assert_status(&rig.expire(&first.backup_id), 0);
    change(&rig, 2);
    let third = backup(&rig, 3, &source, false);
    restores_as_it_is(&rig, &third);
    assert!(third.bytes_written < first.bytes_written / 3, "{} bytes written", third.bytes_written);
    let rescan = backup(&rig, 4, &source, true);
    restores_as_it_is(&rig, &rescan);
    assert!(rescan.bytes_written > 5 << 20);
}

#[test]
fn a_lost_base_is_a_full_backup_that_says_so() {
    let (rig, source) = rig();
    let first = backup(&rig, 1, &source, false);
    assert_status(&rig.expire(&first.backup_id), 0);
    let words = "There is no complete backup image match with track journal";
    let second = backup(&rig, 2, &source, false);
    restores_as_it_is(&rig, &second);
    assert!(second.log.iter().any(|line| line.contains(words)), "{:#?}", second.log);
    assert!(second.bytes_written > 5 << 20);
    assert!(!first.log.iter().any(|line| line.contains(words)), "a first backup has lost nothing");
}

#[test]
fn a_failed_backup_leaves_the_base_as_it_was() {
    let (mut rig, source) = rig();
    assert_status(&backup(&rig, 1, &source, false), 0);
    change(&rig, 1);
    let before = rig.stored();
    rig.plugin_env("FAKE_OST_FAIL", "include_in_image:2060046");
    let failed = backup(&rig, 2, &source, false);
    assert_status(&failed, 84);
    assert_eq!(failed.sts_error.unwrap().call, "stspi_include_in_image");
    assert_eq!(rig.stored(), before);
    rig.plugin_env("FAKE_OST_FAIL", "");
    rig.plugin_env("FAKE_OST_CAPABILITIES", 0);
    let refused = backup(&rig, 3, &source, false);
    assert_status(&refused, 84);
    assert!(refused.text.contains("operation not supported"), "{}", refused.text);
    rig.plugin_env("FAKE_OST_CAPABILITIES", INCLUDE);
    // The track logs of the failed backups do not count.
    let good = backup(&rig, 4, &source, false);
    restores_as_it_is(&rig, &good);
    assert!(good.bytes_written < 3 << 20, "{} bytes written", good.bytes_written);
    assert_eq!(fs::read_dir(rig.path("work/track/client1-policy1-1")).unwrap().count(), 2, "base and new");
}
