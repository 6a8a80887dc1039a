//! Copies of a backup: made, read, expired one by one.

use std::fs;

use nbu_harness::nbu::{
    BackupRequest, DuplicateMethod, DuplicateRequest, ExpireRequest, FallBack, ImageRecord, JobControl,
    JobEvent, JobResult, Selection, StorageUnit, duplicate, expire,
};

use crate::rig::{Rig, assert_status, go_on, synthetic};

fn rig() -> (Rig, StorageUnit) {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    fs::create_dir_all(rig.path("storage/lsu1")).unwrap();
    let target = StorageUnit { lsu: "lsu1".into(), max_fragment_size: 768 << 10, ..rig.unit.clone() };
    (rig, target)
}

fn request(backup_id: &str, target: &StorageUnit) -> DuplicateRequest {
    DuplicateRequest {
        job_id: 500,
        backup_id: backup_id.into(),
        source_copy: None,
        storage_unit: target.clone(),
        method: DuplicateMethod::Normal,
        fall_back: FallBack::NotOffered,
        extent_bytes: DuplicateRequest::default_extent(),
        lifecycle: None,
        again: false,
    }
}

fn run(rig: &Rig, request: &DuplicateRequest) -> JobResult {
    duplicate(&rig.installation, request, &mut go_on)
}

fn expire_copy(rig: &Rig, backup_id: &str, copy: u32) -> JobResult {
    let request = ExpireRequest {
        job_id: 501,
        backup_id: backup_id.into(),
        copy: Some(copy),
        storage_unit: rig.unit.clone(),
        leftovers_of: None,
    };
    expire(&rig.installation, &request, &mut go_on)
}

fn names(rig: &Rig, lsu: &str) -> Vec<String> {
    let entries = fs::read_dir(rig.path("storage").join(lsu)).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn image(rig: &Rig, backup_id: &str) -> ImageRecord {
    rig.catalog().image(backup_id).unwrap().unwrap()
}

#[test]
fn a_second_copy_is_cut_as_its_unit_says_and_is_what_is_left_when_the_first_expires() {
    let (rig, target) = rig();
    let request_of_copy_1 = BackupRequest { retention_seconds: Some(60), ..rig.request(1, synthetic(3)) };
    let made = rig.backup(&request_of_copy_1);
    assert_status(&made, 0);
    let id = &made.backup_id;
    let result = run(&rig, &request(id, &target));
    assert_status(&result, 0);
    let record = image(&rig, id);
    assert_eq!(record.primary_copy, 1);
    let kept: Vec<_> = record.copies.iter().map(|copy| copy.expires).collect();
    assert_eq!(kept, [Some(record.backup_time + 60); 2], "a copy by hand is kept as long as its source");
    let copy = record.copy(Some(2)).unwrap();
    assert_eq!((copy.lsu.as_str(), copy.fragments.len()), ("lsu1", 5));
    assert!(copy.fragments[..4].iter().all(|fragment| fragment.bytes == 768 << 10));
    assert_eq!(names(&rig, "lsu1").len(), 6);
    let started: Vec<_> = result.processes.iter().map(|process| process.name.as_str()).collect();
    assert_eq!(started[0], "bpduplicate");
    assert_eq!(started.iter().filter(|name| **name == "bptm").count(), 2, "{started:?}");

    let first_gone = expire_copy(&rig, id, 1);
    assert_status(&first_gone, 0);
    assert!(first_gone.processed.is_empty(), "there is a copy left");
    assert_eq!(rig.stored(), Vec::<String>::new());
    assert_eq!(image(&rig, id).primary_copy, 2);
    let restored = rig.restore(id, &rig.path("out"), Selection::All);
    assert_status(&restored, 0);
    assert!(restored.bad_ranges.is_empty());
    assert_status(&rig.verify(id), 0);
    assert_status(&expire_copy(&rig, id, 1), 165);
    let all_gone = expire_copy(&rig, id, 2);
    assert_status(&all_gone, 0);
    assert_eq!(all_gone.processed, [id.as_str()]);
    assert!(names(&rig, "lsu1").is_empty());
    rig.assert_nothing_left();
}

#[test]
fn what_the_storage_does_not_offer_is_done_by_the_media_server_unless_that_is_ruled_out() {
    let (rig, target) = rig();
    let id = rig.backup(&rig.request(1, synthetic(2))).backup_id;
    let optimized = DuplicateRequest { method: DuplicateMethod::Optimized, ..request(&id, &target) };
    let never = run(&rig, &DuplicateRequest { fall_back: FallBack::Never, ..optimized.clone() });
    assert_status(&never, 191);
    assert_eq!(never.cause, Some(84));
    assert_eq!(never.sts_error.unwrap().call, "stspi_copy_image");
    assert_eq!(image(&rig, &id).copies.len(), 1);
    assert!(names(&rig, "lsu1").is_empty());
    let result = run(&rig, &optimized);
    assert_status(&result, 0);
    assert!(result.log.iter().any(|line| line.contains("optimized duplication is not possible")));
    assert!(result.sts_error.is_none());
    assert_eq!(image(&rig, &id).copies.len(), 2);
}

#[test]
fn a_failed_duplication_is_191_around_what_happened_and_leaves_nothing() {
    let (mut rig, target) = rig();
    let id = rig.backup(&rig.request(1, synthetic(3))).backup_id;
    let before = rig.stored();
    for (fail, cause) in
        [("read_image:2060019", 85), ("write_image:2060019", 84), ("close_image:2060046", 87)]
    {
        rig.plugin_env("FAKE_OST_FAIL", fail);
        let result = run(&rig, &request(&id, &target));
        assert_status(&result, 191);
        assert_eq!(result.cause, Some(cause), "{fail}");
        assert!(result.left_behind.is_empty());
        assert_eq!(names(&rig, "lsu1"), Vec::<String>::new(), "{fail}");
        assert_eq!(rig.stored(), before, "{fail}: the source is as it was");
        assert_eq!(image(&rig, &id).copies.len(), 1);
    }
}

#[test]
fn a_copy_goes_to_another_place_than_its_source() {
    let (rig, _) = rig();
    let id = rig.backup(&rig.request(1, synthetic(1))).backup_id;
    let result = run(&rig, &request(&id, &rig.unit));
    assert_status(&result, 20);
    assert!(result.text.contains("the LSU that it is on"), "{}", result.text);
}

#[test]
fn a_copy_of_a_backup_that_was_expired_meanwhile_is_deleted_again() {
    let (mut rig, target) = rig();
    let id = rig.backup(&rig.request(1, synthetic(3))).backup_id;
    let mut open_gate = rig.gate();
    let result = duplicate(&rig.installation, &request(&id, &target), &mut |event| {
        if matches!(event, JobEvent::Log(line) if line.contains("created image")) {
            let _ = fs::remove_file(rig.path("work/catalog").join(format!("{id}.json")));
            open_gate();
        }
        JobControl::Continue
    });
    assert_status(&result, 227);
    assert_eq!(names(&rig, "lsu1"), Vec::<String>::new());
    assert!(result.images.is_empty() && result.left_behind.is_empty());
}
