//! Incremental backups, and full ones made of them.

use std::fs;

use nbu_harness::data::{GenData, TreeChange, TreeSpec, change_tree};
use nbu_harness::nbu::{
    FallBack, ImageRecord, JobControl, JobEvent, JobResult, ScheduleType, Selection, Source,
    SyntheticRequest, synthesize,
};
use nbu_harness::oracle::{CompareOptions, Snapshot, compare};

use crate::rig::{Rig, assert_status, go_on};

/// The bits of `include`.
const INCLUDE: u32 = 1 << 3;

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    rig.plugin_env("FAKE_OST_CAPABILITIES", INCLUDE);
    rig
}

/// A backup; jobs are two seconds apart, so that a synthetic backup fits between them.
fn backup(rig: &Rig, job_id: u64, schedule_type: ScheduleType, source: &Source) -> JobResult {
    let mut request = rig.request(2 * job_id, source.clone());
    request.schedule_type = schedule_type;
    let result = rig.backup(&request);
    assert_status(&result, 0);
    result
}

fn request(rig: &Rig, optimized: bool, fall_back: FallBack) -> SyntheticRequest {
    SyntheticRequest {
        job_id: 700,
        client: "client1".into(),
        policy: "policy1".into(),
        schedule: "full".into(),
        stream: 1,
        storage_unit: rig.unit.clone(),
        optimized,
        fall_back,
        retention_seconds: Some(3600),
    }
}

fn synthetic(rig: &Rig, optimized: bool, fall_back: FallBack) -> JobResult {
    synthesize(&rig.installation, &request(rig, optimized, fall_back), &mut go_on)
}

/// The stream as it is on the storage.
fn stream_of(rig: &Rig, image: &ImageRecord) -> Vec<Vec<u8>> {
    let fragments = &image.copy(None).unwrap().fragments;
    fragments.iter().map(|f| fs::read(rig.path("storage/lsu0").join(&f.name)).unwrap()).collect()
}

#[test]
fn optimized_and_normal_synthetic_backups_are_the_same_bytes_and_the_clients_state() {
    let rig = rig();
    let root = rig.path("tree");
    let spec = TreeSpec { seed: 5, files: 120, bytes: 5 << 20, changing: false };
    spec.generate(&root).unwrap();
    let source = Source::Directory(root.clone());
    let full = backup(&rig, 1, ScheduleType::Full, &source);
    let change =
        |generation, mtime| TreeChange { seed: 5, generation, change_percent: 20, delete_percent: 6, mtime };
    change_tree(&root, &change(1, 1_588_173_003)).unwrap();
    let first = backup(&rig, 2, ScheduleType::Differential, &source);
    change_tree(&root, &change(2, 1_588_173_005)).unwrap();
    let second = backup(&rig, 3, ScheduleType::Differential, &source);
    assert!(
        first.kbytes < full.kbytes / 2 && second.kbytes < full.kbytes / 2,
        "{} {}",
        first.kbytes,
        second.kbytes
    );
    for result in [&first, &second] {
        assert_status(&rig.verify(&result.backup_id), 0);
    }

    let optimized = synthetic(&rig, true, FallBack::Never);
    assert_status(&optimized, 0);
    assert_eq!(optimized.backup_id, "client1_1588173007", "one second after the newest component");
    assert!(optimized.bytes_written < 4096, "{} bytes were written", optimized.bytes_written);
    let image = rig.catalog().image(&optimized.backup_id).unwrap().unwrap();
    assert_eq!((image.schedule_type, image.copies.len()), (ScheduleType::Full, 1));
    assert_eq!(image.copies[0].expires, Some(image.backup_time + 3600));
    let composed = stream_of(&rig, &image);
    assert!(composed.len() > 3);
    let before = Snapshot::take(&root, 2).unwrap();
    let restored = rig.restore(&optimized.backup_id, &rig.path("out"), Selection::All);
    assert_status(&restored, 0);
    let found = Snapshot::take(&rig.path("out"), 2).unwrap();
    let compared = compare(&before, &found, &CompareOptions::default());
    assert_eq!(compared.total, 0, "{compared}");
    assert_status(&rig.verify(&optimized.backup_id), 0);

    assert_status(&rig.expire(&optimized.backup_id), 0);
    let normal = synthetic(&rig, false, FallBack::Never);
    assert_status(&normal, 0);
    let image = rig.catalog().image(&normal.backup_id).unwrap().unwrap();
    assert!(stream_of(&rig, &image) == composed, "the layouts or the bytes differ");
    assert!(normal.bytes_written > 3 << 20);
}

#[test]
fn a_cumulative_backup_takes_the_place_of_the_differential_ones_before_it() {
    let mut rig = rig();
    let data = GenData {
        kb_size: 300,
        max_files: 20,
        change_percent: 25,
        delete_percent: 6,
        ..GenData::with_seed(8)
    };
    let generation = |generation| Source::Synthetic(GenData { generation, ..data });
    backup(&rig, 1, ScheduleType::Full, &generation(0));
    let gone = backup(&rig, 2, ScheduleType::Differential, &generation(1));
    backup(&rig, 3, ScheduleType::Cumulative, &generation(2));
    let last = backup(&rig, 4, ScheduleType::Differential, &generation(3));
    // Not needed: the cumulative one has all of it.
    assert_status(&rig.expire(&gone.backup_id), 0);
    rig.plugin_env("FAKE_OST_CAPABILITIES", 0);
    let refused = synthetic(&rig, true, FallBack::Never);
    assert_status(&refused, 84);
    assert_eq!(refused.sts_error.unwrap().call, "stspi_include_in_image");
    let made = synthetic(&rig, true, FallBack::NotOffered);
    assert_status(&made, 0);
    assert!(made.log.iter().any(|line| line.contains("a normal one follows")));
    let restored = rig.restore(&made.backup_id, &rig.path("out"), Selection::All);
    assert_status(&restored, 0);
    let expected = GenData { generation: 3, ..data };
    assert_eq!((restored.files, restored.bad_ranges.len()), (expected.file_count(), 0));
    assert_ne!(made.backup_id, last.backup_id);
}

#[test]
fn a_failed_synthetic_backup_leaves_nothing() {
    let mut rig = rig();
    let data = GenData { kb_size: 300, max_files: 20, change_percent: 25, ..GenData::with_seed(8) };
    assert_status(&synthetic(&rig, true, FallBack::Never), 607);
    backup(&rig, 1, ScheduleType::Full, &Source::Synthetic(data));
    assert_status(&synthetic(&rig, true, FallBack::Never), 607);
    backup(&rig, 2, ScheduleType::Cumulative, &Source::Synthetic(GenData { generation: 1, ..data }));
    let before = rig.stored();
    for (optimized, fail, status) in [
        (true, "include_in_image:2060046", 84),
        (false, "read_image:2060019", 85),
        (false, "close_image:2060046", 87),
    ] {
        rig.plugin_env("FAKE_OST_FAIL", fail);
        let result = synthetic(&rig, optimized, FallBack::NotOffered);
        assert_status(&result, status);
        assert_eq!(rig.stored(), before, "{fail}");
        assert_eq!(rig.catalog().images().unwrap().len(), 2);
    }
    let files = fs::read_dir(rig.path("work/catalog")).unwrap().count();
    assert_eq!(files, 4, "two images, two files each");
}

#[test]
fn an_incremental_backup_without_a_full_one_becomes_one() {
    let rig = rig();
    let source = Source::Synthetic(GenData { kb_size: 10, max_files: 3, ..GenData::with_seed(8) });
    let result = backup(&rig, 1, ScheduleType::Differential, &source);
    assert!(result.log.iter().any(|line| line.contains("this one becomes a full backup")));
    let image = rig.catalog().image(&result.backup_id).unwrap().unwrap();
    assert_eq!((image.schedule_type, image.files), (ScheduleType::Full, 3));
    // Nothing changed: nothing but the end of the stream.
    let next = backup(&rig, 2, ScheduleType::Differential, &source);
    assert_eq!((next.files, next.kbytes), (0, 1));
}

#[test]
fn a_synthetic_backup_that_cannot_be_entered_is_deleted_again() {
    let mut rig = rig();
    let source = Source::Synthetic(GenData { kb_size: 512, max_files: 4, ..GenData::with_seed(9) });
    backup(&rig, 1, ScheduleType::Full, &source);
    backup(&rig, 2, ScheduleType::Differential, &source);
    let before = rig.stored();
    let mut open_gate = rig.gate();
    let catalog = rig.path("work/catalog");
    let result = synthesize(&rig.installation, &request(&rig, false, FallBack::Never), &mut |event| {
        if matches!(event, JobEvent::Log(line) if line.contains("created image")) {
            // Somebody else's.
            fs::write(catalog.join("client1_1588173005.json"), "{}").unwrap();
            open_gate();
        }
        JobControl::Continue
    });
    assert_eq!(result.backup_id, "client1_1588173005");
    assert_status(&result, 1535);
    assert_eq!(rig.stored(), before);
    assert!(result.left_behind.is_empty());
}
