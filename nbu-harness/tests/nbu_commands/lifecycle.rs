//! `nbstlutil` of a domain that a scenario ran in.

use super::c_plugin::c_plugin;
use super::place::{PROGRAM, Place};

#[test]
fn what_storage_lifecycle_policies_did_and_did_not_is_listed() {
    let mut place = Place::new();
    for lsu in ["lsu0", "lsu1"] {
        std::fs::create_dir_all(place.path(format!("storage/{lsu}"))).unwrap();
    }
    place.set("FAKE_OST_DIR", &place.path("storage").display());
    // The plug-in does not replicate: the second operation fails at each try.
    let scenario = "scenario: NBU-SLP-900\ntitle: a copy and no replica\nseed: 7\nstorage:\n\
                    \x20 server: {type: Fake, name: server, user: user, password: secret}\n\
                    \x20 lsus: [{name: lsu0}, {name: lsu1}]\n\
                    \x20 units: [{label: stu1, lsu: lsu0}, {label: stu2, lsu: lsu1}]\n\
                    \x20 slps:\n    - name: gold\n\
                    \x20     operations: [{backup: stu1}, {duplicate: stu2, retention: 14d}, {replicate: true}]\n\
                    policy: {name: p1, client: client1, storage: gold}\n\
                    selections: [GEN_DATA, GEN_KBSIZE=512, GEN_MAXFILES=3]\n\
                    run: [{backup: {}}, {advance: 12m}]\n";
    std::fs::write(place.path("a.yaml"), scenario).unwrap();
    place.shell(&format!("{PROGRAM} run --keep --work-dir . --plugin {} a.yaml", c_plugin().display()));
    let home = std::fs::read_dir(place.path(".")).unwrap().filter_map(Result::ok);
    let home = home.map(|entry| entry.path()).find(|path| path.join("netbackup").is_dir()).unwrap();
    place.set("NBU_HARNESS_HOME", &home.join("netbackup").display());

    let id = place.ok("bpimagelist -idonly");
    let id = id.trim_end();
    let list = format!(
        "Image {id} for Lifecycle gold is IN_PROCESS\n  Copy to stu2 is COMPLETE\n  Replication is IN_PROCESS\n"
    );
    assert_eq!(place.ok("nbstlutil list"), list);
    assert_eq!(
        place.ok(&format!("nbstlutil stlilist -image_incomplete -lifecycle gold -backupid {id}")),
        list
    );
    let labels = place.ok("nbstlutil list -U");
    for line in [
        " Storage Lifecycle State   : 2 (IN_PROCESS)",
        "   Residence               : stu2",
        "   Retention               : 14 days",
        "   State                   : 3 (COMPLETE)",
    ] {
        assert!(labels.lines().any(|printed| printed == line), "{line:?} in {labels}");
    }
    let replications = place.ok("nbstlutil repllist");
    assert!(
        replications.contains("   Failed Jobs             : 2\n"),
        "after 5 and 10 minutes: {replications}"
    );
    let copies = place.ok("bpimagelist -l");
    assert_eq!(copies.matches("\nFRAG 2 ").count(), copies.matches("\nFRAG 1 ").count(), "{copies}");
    let jobs = place.ok("bpdbjobs -report");
    assert!(jobs.contains("SLP_gold"), "{jobs}");
    let target = format!("{}-target", home.join("netbackup").display());
    for (command, complaint) in [
        ("nbstlutil list -lifecycle silver", "there is no such image"),
        (&format!("nbstlutil pendimplist --home {target}"), "there is no such import"),
        ("nbstlutil lst", "did you mean list?"),
    ] {
        let done = place.shell(command);
        assert!(done.code != 0 && done.text.contains(complaint), "{command}: {done:?}");
    }
}
