//! What a plug-in leaves in its process is seen.

use nbu_harness::nbu::Selection;

use crate::rig::{Rig, assert_status, synthetic};

#[test]
fn a_process_that_loaded_the_plug_in_tells_what_that_left() {
    let rig = Rig::new();
    let backup = rig.backup(&rig.request(1, synthetic(1)));
    assert_status(&backup, 0);
    let restore = rig.restore(&backup.backup_id, &rig.path("restored"), Selection::All);
    let verify = rig.verify(&backup.backup_id);
    let expire = rig.expire(&backup.backup_id);
    for result in [&backup, &restore, &verify, &expire] {
        let [footprint] = &result.footprints[..] else { panic!("{:?}", result.footprints) };
        assert!(footprint.is_clean(), "{:?}: {footprint:?}", result.kind);
        assert!(footprint.descriptors_before >= 3 && footprint.threads_before >= 1, "{footprint:?}");
        assert!(
            result.log.iter().any(|line| line.contains("after stspi_terminate: ")),
            "the job details say it: {:?}",
            result.log
        );
    }
}

#[test]
fn a_descriptor_and_a_thread_that_outlive_stspi_terminate_are_named() {
    let mut rig = Rig::new();
    rig.plugin_env("FAKE_OST_LEAK", "descriptor");
    let result = rig.backup(&rig.request(1, synthetic(1)));
    assert_status(&result, 0);
    let [footprint] = &result.footprints[..] else { panic!("{:?}", result.footprints) };
    let [left] = &footprint.left_descriptors[..] else { panic!("{footprint:?}") };
    assert!(left.ends_with(" /dev/null"), "{left}");
    assert!(footprint.left_threads.is_empty());

    rig.plugin_env("FAKE_OST_LEAK", "thread");
    let result = rig.backup(&rig.request(2, synthetic(1)));
    assert_status(&result, 0);
    let [footprint] = &result.footprints[..] else { panic!("{:?}", result.footprints) };
    let [left] = &footprint.left_threads[..] else { panic!("{footprint:?}") };
    assert!(left.ends_with(" bptm"), "{left}");
    assert!(footprint.left_descriptors.is_empty(), "{footprint:?}");
}
