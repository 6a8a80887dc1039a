//! The catalogue made anew from what is on the storage.

use std::fs;

use nbu_harness::nbu::{ImportPhase, ImportRequest, JobKind, JobResult, Selection, import};

use crate::rig::{Rig, assert_status, go_on, synthetic};

fn run(rig: &Rig, phase: ImportPhase) -> JobResult {
    let request = ImportRequest { job_id: 800, storage_unit: rig.unit.clone(), phase };
    import(&rig.installation, &request, &mut go_on)
}

fn two(rig: &Rig, backup_id: &str) -> JobResult {
    run(rig, ImportPhase::Two { backup_id: backup_id.into() })
}

/// Three backups of several fragments, and no catalogue any more.
fn rig() -> (Rig, Vec<String>) {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    let backup = |job_id| {
        let result = rig.backup(&rig.request(job_id, synthetic(2)));
        assert_status(&result, 0);
        result.backup_id
    };
    let ids = (1..=3).map(backup).collect();
    fs::remove_dir_all(rig.path("work/catalog")).unwrap();
    (rig, ids)
}

#[test]
fn phase_one_enters_headers_and_phase_two_the_files() {
    let (rig, ids) = rig();
    // As if it had been replicated once: it goes with the others.
    fs::write(rig.path("storage/lsu0").join(format!("{}_C1_IM", ids[0])), [0; 512]).unwrap();
    let first = run(&rig, ImportPhase::One);
    assert_status(&first, 0);
    assert_eq!(first.kind, JobKind::Import);
    let image = rig.catalog().image(&ids[0]).unwrap().unwrap();
    assert!(image.not_imported);
    assert_eq!((image.files, image.client.as_str(), image.schedule.as_str()), (0, "client1", "full"));
    let early = rig.restore(&ids[0], &rig.path("early"), Selection::All);
    assert_status(&early, 227);
    assert!(early.text.contains("phase 2 of its import"), "{}", early.text);
    assert_status(&two(&rig, &ids[0]), 0);
    let image = rig.catalog().image(&ids[0]).unwrap().unwrap();
    assert!(!image.not_imported && image.files == 1);
    let restored = rig.restore(&ids[0], &rig.path("out"), Selection::All);
    assert_status(&restored, 0);
    assert_eq!((restored.files, restored.bad_ranges.len()), (1, 0), "generated data is known as such");
    assert_status(&rig.verify(&ids[0]), 0);
    assert_status(&two(&rig, &ids[0]), 1535);
    assert_eq!(image.copy(None).unwrap().catalog_image, Some(format!("{}_C1_IM", ids[0])));
    assert_status(&two(&rig, "client1_0000000009"), 227);
    for id in &ids {
        assert_status(&rig.expire(id), 0);
    }
    rig.assert_nothing_left();
}

#[test]
fn what_cannot_be_read_is_left_out_with_its_status_and_the_rest_imported() {
    let (rig, ids) = rig();
    let lsu = rig.path("storage/lsu0");
    let header = lsu.join(format!("{}_C1_HDR", ids[0]));
    let mut bytes = fs::read(&header).unwrap();
    bytes[100] ^= 1;
    fs::write(&header, bytes).unwrap();
    fs::remove_file(lsu.join(format!("{}_C1_F1", ids[1]))).unwrap();
    fs::write(lsu.join("BEOST_SInf.img"), "of somebody else").unwrap();
    let first = run(&rig, ImportPhase::One);
    assert_status(&first, 1);
    let details = first.log.join("\n");
    for words in ["cannot read backup header", "events out of sequence", "is no image of a backup"] {
        assert!(details.contains(words), "{words:?} is missing in\n{details}");
    }
    let known: Vec<_> = rig.catalog().images().unwrap().into_iter().map(|image| image.backup_id).collect();
    assert_eq!(known, [ids[2].clone()]);
    // Once more: what is known conflicts, the rest is as bad as before.
    let again = run(&rig, ImportPhase::One);
    assert_status(&again, 191);
    assert_status(&two(&rig, &ids[2]), 0);
    fs::remove_file(lsu.join(format!("{}_C1_HDR", ids[2]))).unwrap();
    assert_status(&rig.expire(&ids[2]), 0);
    let without = run(&rig, ImportPhase::One);
    assert_status(&without, 191);
}

#[test]
fn fragments_without_a_header_are_172_and_an_empty_lsu_190() {
    let rig = Rig::new();
    assert_status(&run(&rig, ImportPhase::One), 190);
    fs::write(rig.path("storage/lsu0/client1_1588173001_C1_F1"), [0; 512]).unwrap();
    let result = run(&rig, ImportPhase::One);
    assert_status(&result, 191);
    assert_eq!(result.cause, Some(172));
}
