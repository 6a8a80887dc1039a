//! What a scenario file may say, and what its mistakes are answered with.

use super::*;

/// The smallest scenario that is right.
const SMALL: &str = "\
scenario: NBU-BKP-900
title: the smallest one
storage:
  lsus: [{name: lsu0}]
  units: [{label: stu1, lsu: lsu0}]
policy: {name: p1, storage: stu1}
selections: [GEN_DATA]
run:
  - backup: {}
";

/// `SMALL` with one piece of text replaced by another: what is said about it.
fn said(old: &str, new: &str) -> String {
    assert!(SMALL.contains(old), "{old}");
    let diagnostic = *parse("a.yaml", &SMALL.replacen(old, new, 1)).unwrap_err();
    match &diagnostic.help {
        Some(help) => format!("{diagnostic} [{help}]"),
        None => diagnostic.to_string(),
    }
}

#[test]
fn the_smallest_scenario_has_every_default() {
    let scenario = parse("a.yaml", SMALL).unwrap();
    assert_eq!(scenario.id, "NBU-BKP-900");
    assert_eq!(scenario.buffers.size_data_buffers_disk, 262_144);
    assert_eq!(scenario.unit().max_fragment, ByteSize(524_288 << 20));
    assert_eq!(scenario.run, [Step::Backup(BackupStep::default())]);
    insta::assert_json_snapshot!("defaults", scenario);
}

#[test]
fn every_mistake_is_named_with_its_place_and_what_would_be_right() {
    let cases = [
        ("title:", "titel:"),
        ("scenario: NBU-BKP-900", "scenario: backup-1"),
        ("title: the smallest one\n", ""),
        ("storage: stu1", "storage: stu2"),
        ("lsu: lsu0}", "lsu: lsu0, max_fragmnt: 1g}"),
        ("lsu: lsu0}", "lsu: lsu0, max_fragment: big}"),
        ("lsu: lsu0}", "lsu: lsu0, max_fragment: 5k}"),
        ("lsu: lsu0}", "lsu: lsu0, max_concurrent_jobs: many}"),
        ("[GEN_DATA]", "[GEN_DATA, GEN_KBSIZ=4]"),
        ("[GEN_DATA]", "[GEN_DATA, GEN_PERCENT_RANDOM=200]"),
        ("[GEN_DATA]", "GEN_DATA"),
        ("backup: {}", "bakup: {}"),
        ("backup: {}", "backup: {abort_afer: 1m}"),
        ("backup: {}", "restore: {single_files: 0}"),
        ("backup: {}", "fill: {lsu: lsu0, leave: 1m}"),
        ("backup: {}", "fault: {effect: vip_down}"),
        ("backup: {}", "fault: {effect: rotate_password, operation: put}"),
        ("backup: {}", "duplicate: {to: stu9}"),
        ("backup: {}", "backup: {forced_rescan: true}"),
        ("backup: {}", "backup: {accelerator: true, schedule: differential}"),
        ("backup: {}", "backup: {accelerator: true, checkpoint: 4m}"),
        ("backup: {}", "backup: {checkpoint: 4m, abort_after: 1m, suspend_after: 1m}"),
        ("backup: {}", "backup: {suspend_after: 1m}"),
        ("backup: {}", "backup: {checkpoint: {evry: 15m}}"),
        ("backup: {}", "backup: {checkpoint: often}"),
        ("backup: {}", "restore: {suspend_after: 1m, domain: target}"),
        ("title:", "needs: [OptimisedImage]\ntitle:"),
        ("storage: stu1", "copies: [stu1]"),
        ("storage: stu1", "copies: [stu1, stu2]"),
        ("storage: stu1", "storage: stu1, copies: [stu1, stu1]"),
        ("storage: stu1", "storage: stu1, on_copy_failure: fail_all"),
        (", storage: stu1", ""),
        ("backup: {}", "duplicate: {to: stu1, extent: 1000}"),
        ("backup: {}", "duplicate: {to: stu1, method: magic}"),
        ("backup: {}", "change: {percent: 90, delete_percent: 20}"),
        ("backup: {}", "backup: {schedule: incremental}"),
        ("backup: {}", "expire: {images: newest}"),
        ("backup: {}", "import_replicas: {unit: stu9}"),
        ("  units:", "  replication: [{from: lsu0, to: lsu9}]\n  units:"),
        ("  units:", "  replication: [{from: lsu0, to: lsu0}]\n  units:"),
        ("  units:", "  target: {server: vast1, lsus: [{name: lsu0}]}\n  units:"),
        ("  units:", "  target: {server: vast:2, lsus: [{name: lsu0}]}\n  units:"),
        (
            "  units:",
            "  target: {server: vast2, lsus: [{name: far}]}\n  replication: [{from: lsu0, to: 'vast2:fa'}]\n  units:",
        ),
        (
            "  units: [{label: stu1, lsu: lsu0",
            "  target: {server: vast2, lsus: [{name: far}]}\n  units: [{label: stu1, lsu: 'vast2:far'",
        ),
        (
            "  units: [{label: stu1, lsu: lsu0}]\npolicy: {name: p1, storage: stu1",
            "  target: {server: vast2, lsus: [{name: far}]}\n  units: [{label: stu1, lsu: lsu0}, {label: stu2, lsu: 'vast2:far'}]\n\
             policy: {name: p1, copies: [stu1, stu2]",
        ),
        (
            "  units: [{label: stu1, lsu: lsu0}]\npolicy: {name: p1, storage: stu1",
            "  target: {server: vast2, lsus: [{name: far}]}\n  units: [{label: stu1, lsu: lsu0}, {label: stu2, lsu: 'vast2:far'}]\n\
             \x20 groups: [{label: g, units: [stu1, stu2]}]\npolicy: {name: p1, copies: [stu1, g]",
        ),
        ("[GEN_DATA]", "[GEN_DATA, GEN_FILE_SIZES=big]"),
        ("{name: lsu0}", "{name: LSU_0}"),
        ("{name: lsu0}", "{name: lsu0}, {name: lsu0}"),
        ("policy: {name: p1", "policy: {name: p1, type: VMware"),
        ("policy: {name: p1", "policy: {name: p1, name: p2"),
        ("policy: {name: p1", "policy: {name: p1, header: middle"),
        ("run:\n", "nbu: {buffers: {SIZE_DATA_BUFFERS: 1}}\nrun:\n"),
        ("run:\n", "nbu: {buffers: {SIZE_DATA_BUFFERS_DISK: 1000}}\nrun:\n"),
        ("run:\n", "nbu: {buffers: {parent_delay: 15}}\nrun:\n"),
        ("run:\n", "expect: {catalog: {fragments: '=>3'}}\nrun:\n"),
        ("backup: {}", "backup: {tries: 0}"),
        ("backup: {}", "backup: {schedule: diff}"),
        ("backup: {}", "kill: {process: bptm}"),
        ("backup: {}", "kill: {process: bptmm, fragment: 1}"),
        ("backup: {}", "kill: {server: ms2}"),
        ("backup: {}", "kill: {process: bptm, fragment: 1}"),
        ("backup: {}", "backup: {}\n  - cancel: {fragment: 1}\n  - verify: {}\n  - backup: {}"),
        ("backup: {}", "start: {server: primry}"),
        ("backup: {}", "volume: {lsu: lsu1, state: down}"),
        ("backup: {}", "restore: {media: ms2}"),
        ("backup: {}", "advance: 12"),
        ("lsu: lsu0}", "lsu: lsu0, media: [ms2]}"),
        ("lsu: lsu0}", "pool: pool1}"),
        ("lsu: lsu0}", "lsu: lsu0, pool: pool1}"),
        ("  units:", "  media_servers: [primary]\n  units:"),
        ("  units:", "  media_servers: [{name: ms2, plugn: {}}]\n  units:"),
        ("  units:", "  media_servers: [{name: ms2, plugin: {without: [includ]}}]\n  units:"),
        ("  units:", "  media_servers: [{name: ms2, plugin: {version: ''}}]\n  units:"),
        ("  units:", "  media_servers: [{name: ms2, clock: 10m}]\n  units:"),
        ("backup: {}", "fault: {effect: reset, by: 10m}"),
        ("backup: {}", "fault: {effect: clock_ahead, operation: put}"),
        ("backup: {}", "upgrade: {server: ms1}"),
        ("run:\n", "nbu: {attributes: plugin}\nrun:\n"),
        ("  units:", "  pools: [{name: p, lsus: [lsu0], high_water: 50}]\n  units:"),
        ("policy:", "  groups: [{label: g, units: [stu3]}]\npolicy:"),
        ("storage: stu1}", "storage: stu1, schedules: [{name: s, windows: [{opens: 22, duration: 6h}]}]}"),
        ("storage: stu1}", "storage: stu1, schedules: [{name: s, media_multiplexing: 33}]}"),
        ("storage: stu1}", "storage: stu1, schedules: [{name: s, retention: 5ms}]}"),
        ("run:\n", "nbu: {image_cleanup_interval: 5s}\nrun:\n"),
        ("storage: stu1}", "storage: stu1, client: a, clients: [b]}"),
        ("storage: stu1}", "storage: stu1, clients: [a, b, a]}"),
        ("storage: stu1}", "storage: stu1, clients: [a/b]}"),
        ("storage: stu1}", "storage: stu1, clients: []}"),
        ("run:\n  - backup: {}\n", "run: []\n"),
        ("units: [{", "units: [{{"),
        ("storage:\n", "storage:\n\tx: 1\n"),
    ];
    let report: Vec<String> =
        cases.iter().map(|(old, new)| format!("{new:?}\n  {}", said(old, new))).collect();
    insta::assert_snapshot!("mistakes", report.join("\n"));
}

#[test]
fn the_report_shows_the_line() {
    let diagnostic = parse("scenarios/a.yaml", &SMALL.replace("policy:", "polcy:")).unwrap_err();
    insta::assert_snapshot!("report", diagnostic.render(false));
}

#[test]
fn a_missing_file_is_named() {
    let diagnostic = load(Path::new("/no/such.yaml")).unwrap_err();
    assert!(diagnostic.to_string().starts_with("/no/such.yaml: cannot read it: "), "{diagnostic}");
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(MAX_FILE + 1).unwrap();
    assert!(load(file.path()).unwrap_err().message.contains("too many"));
}

proptest::proptest! {
    /// No text, however broken, makes the reader panic.
    #[test]
    fn any_text_gets_an_answer(at in 0..SMALL.len(), garbage in "[ -~\\n\u{e9}]{0,12}", cut in 0..40usize) {
        let end = (at + cut).min(SMALL.len());
        let text = format!("{}{garbage}{}", &SMALL[..at], &SMALL[end..]);
        if let Err(diagnostic) = parse("a.yaml", &text) {
            proptest::prop_assert!(!diagnostic.render(false).is_empty());
        }
    }
}

#[test]
fn a_password_is_used_and_never_shown() {
    let text = SMALL.replacen("  lsus:", "  server: {password: hunter2}\n  lsus:", 1);
    let scenario = parse("a.yaml", &text).unwrap();
    assert_eq!(scenario.server.password.as_ref().map(|secret| secret.0.as_str()), Some("hunter2"));
    let json = serde_json::to_string(&scenario).unwrap();
    assert!(json.contains("\"password\":\"***\"") && !json.contains("hunter2"), "{json}");
    let debug = format!("{scenario:?}");
    assert!(debug.contains("***") && !debug.contains("hunter2"), "{debug}");
}
