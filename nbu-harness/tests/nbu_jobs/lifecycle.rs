//! Jobs of storage lifecycle policies: batches of images, each of which gets one copy of an operation.

use std::fs;

use nbu_harness::nbu::{LifecycleRequest, StorageUnit, lifecycle};

use crate::rig::{Rig, assert_status, go_on, synthetic};

fn rig() -> (Rig, StorageUnit) {
    let rig = Rig::new();
    fs::create_dir_all(rig.path("storage/lsu1")).unwrap();
    let target = StorageUnit { lsu: "lsu1".into(), ..rig.unit.clone() };
    (rig, target)
}

fn request(target: &StorageUnit, backup_ids: &[&str]) -> LifecycleRequest {
    LifecycleRequest {
        job_id: 700,
        slp: "gold".into(),
        operation: 2,
        source: 1,
        replicates: false,
        backup_ids: backup_ids.iter().map(|id| (*id).to_owned()).collect(),
        retention_seconds: Some(60),
        again: false,
        storage_unit: target.clone(),
        master_server: "primary".into(),
    }
}

fn copies(rig: &Rig, backup_id: &str) -> Vec<(u32, Option<u32>)> {
    let image = rig.catalog().image(backup_id).unwrap().unwrap();
    image.copies.iter().map(|copy| (copy.number, copy.lifecycle_operation)).collect()
}

#[test]
fn what_went_well_of_a_batch_stays_and_is_not_done_again() {
    let (rig, target) = rig();
    let made = [1, 2].map(|job| rig.backup(&rig.request(job, synthetic(2))).backup_id);
    let ids = [made[0].as_str(), "client1_0000000007", made[1].as_str()];
    let result = lifecycle(&rig.installation, &request(&target, &ids), &mut go_on);
    assert_status(&result, 1);
    assert_eq!(result.processed, made);
    assert!(result.text.contains("client1_0000000007"), "{}", result.text);
    for id in &made {
        assert_eq!(copies(&rig, id), [(1, None), (2, Some(2))]);
    }
    // As after a job whose end nobody heard of.
    let again = lifecycle(&rig.installation, &request(&target, &[&made[0], &made[1]]), &mut go_on);
    assert_status(&again, 0);
    assert_eq!((again.processed.as_slice(), again.bytes_written), (made.as_slice(), 0));
    for id in &made {
        assert_eq!(copies(&rig, id), [(1, None), (2, Some(2))]);
    }
    // The operation says how long its copy is kept, from the time of the backup on; copy 1 is as it was.
    let image = rig.catalog().image(&made[0]).unwrap().unwrap();
    let kept: Vec<_> = image.copies.iter().map(|copy| copy.expires).collect();
    assert_eq!(kept, [None, Some(image.backup_time + 60)]);
    // Another operation is another copy, with the number of its own.
    let third = LifecycleRequest { operation: 4, ..request(&target, &[&made[0]]) };
    let elsewhere = StorageUnit { lsu: "lsu2".into(), ..target };
    fs::create_dir_all(rig.path("storage/lsu2")).unwrap();
    let third =
        lifecycle(&rig.installation, &LifecycleRequest { storage_unit: elsewhere, ..third }, &mut go_on);
    assert_status(&third, 0);
    assert_eq!(third.backup_id, made[0]);
    assert_eq!(copies(&rig, &made[0]), [(1, None), (2, Some(2)), (4, Some(4))]);
}

#[test]
fn a_batch_of_which_nothing_can_be_done_is_191_or_what_the_catalogue_says() {
    let (mut rig, target) = rig();
    let id = rig.backup(&rig.request(1, synthetic(2))).backup_id;
    rig.plugin_env("FAKE_OST_FAIL", "write_image:2060019");
    let result = lifecycle(&rig.installation, &request(&target, &[&id]), &mut go_on);
    assert_status(&result, 191);
    assert_eq!((result.cause, result.processed.len()), (Some(84), 0));
    let unknown = lifecycle(&rig.installation, &request(&target, &["client1_0000000007"]), &mut go_on);
    assert_status(&unknown, 227);
    let replication = LifecycleRequest { replicates: true, ..request(&target, &[&id]) };
    let replication = lifecycle(&rig.installation, &replication, &mut go_on);
    assert_status(&replication, 191);
    assert_eq!(replication.processes[0].name, "nbreplicate");
}

#[test]
fn what_a_job_left_is_no_obstacle_for_the_next_one() {
    let (mut rig, target) = rig();
    let id = rig.backup(&rig.request(1, synthetic(8))).backup_id;
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", 3 << 20);
    rig.plugin_env("FAKE_OST_FAIL", "delete_image:2060019");
    let first = request(&target, &[&id]);
    let left = lifecycle(&rig.installation, &first, &mut go_on);
    assert_status(&left, 191);
    assert_eq!(left.left_behind.len(), 1, "half a copy");
    rig.plugin_env("FAKE_OST_NOSPACE_AFTER", u64::MAX);
    rig.plugin_env("FAKE_OST_FAIL", "");
    let hindered = lifecycle(&rig.installation, &first, &mut go_on);
    assert_status(&hindered, 191);
    let again = lifecycle(&rig.installation, &LifecycleRequest { again: true, ..first }, &mut go_on);
    assert_status(&again, 0);
    assert_eq!(copies(&rig, &id), [(1, None), (2, Some(2))]);
}
