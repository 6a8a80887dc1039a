//! The JSON schema of scenario files, made from the types that read them.
//!
//! It says less than the reader, which also resolves references; what the reader takes, the schema takes.

use super::file::ScenarioFile;
use super::selections::DIRECTIVES;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The schema, for editors and other programs; `scenarios/schema.json` is this.
pub fn schema() -> Value {
    schemars::schema_for!(ScenarioFile).to_value()
}

/// Lines of the file list: an absolute path, or a directive with or without a value.
pub(super) fn selections(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "string",
            "pattern": format!("^(/.*|({})(=.+)?)$", DIRECTIVES.join("|")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::certify::embedded_scenarios;

    const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/schema.json");
    const FIRST_LINE: &str = "# yaml-language-server: $schema=schema.json";

    fn validator() -> jsonschema::Validator {
        jsonschema::validator_for(&schema()).unwrap()
    }

    fn as_json(yaml: &str) -> Value {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn the_published_schema_is_this_one() {
        let published = std::fs::read_to_string(PUBLISHED).unwrap();
        let published: Value = serde_json::from_str(&published).unwrap();
        assert!(
            published == schema(),
            "scenarios/schema.json is not fresh: cargo run -p nbu-harness -- schema scenario > scenarios/schema.json"
        );
    }

    #[test]
    fn every_scenario_is_valid_and_names_the_schema_to_editors() {
        let validator = validator();
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");
        let mut count = 0;
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.display();
                assert_eq!(text.lines().next(), Some(FIRST_LINE), "the first line of {name}");
                if let Err(error) = validator.validate(&as_json(&text)) {
                    panic!("{name}: {}: {error}", error.instance_path());
                }
                count += 1;
            }
        }
        assert!(count >= embedded_scenarios().len(), "{count}");
    }

    #[test]
    fn the_schema_refuses_what_the_reader_refuses_by_its_shape_and_takes_what_it_takes() {
        const GOOD: &str = "\
scenario: NBU-BKP-900
title: a
storage:
  lsus: [{name: lsu0, quota: 1g}]
  units: [{label: stu1, lsu: lsu0}]
policy: {name: p1, storage: stu1}
selections: [GEN_DATA, GEN_KBSIZE=64]
run:
  - backup: {}
";
        let validator = validator();
        let cases = [
            ("title: a", "title: a", true),
            ("title: a", "titel: a", false),
            ("NBU-BKP-900", "backup-1", false),
            ("quota: 1g", "quota: 262144", true),
            ("quota: 1g", "quota: 1 GiB", true),
            ("quota: 1g", "quota: big", false),
            ("quota: 1g", "quota: -1", false),
            ("quota: 1g", "quoat: 1g", false),
            ("name: lsu0", "name: LSU_0", false),
            ("lsu: lsu0}", "lsu: lsu0, max_fragment: 64m, max_concurrent_jobs: 4}", true),
            ("lsu: lsu0}", "lsu: lsu0, max_concurrent_jobs: many}", false),
            ("name: p1", "name: p1, type: Standard, header: first", true),
            ("name: p1", "name: p1, type: VMware", false),
            ("name: p1", "name: p1, header: middle", false),
            ("GEN_KBSIZE=64", "GEN_KBSIZ=64", false),
            ("GEN_DATA, GEN_KBSIZE=64", "/etc", true),
            ("[GEN_DATA, GEN_KBSIZE=64]", "GEN_DATA", false),
            ("backup: {}", "backup: {abort_after: 1m}", true),
            ("backup: {}", "backup: {abort_afer: 1m}", false),
            ("backup: {}", "bakup: {}", false),
            ("backup: {}", "restore: {single_files: 3}", true),
            ("backup: {}", "restore: {single_files: 0}", false),
            ("backup: {}", "fill: {lsu: lsu0, leave: 1m}", true),
            ("backup: {}", "fill: {lsu: lsu0}", false),
            ("backup: {}", "fault: {effect: vip_down, vip: 1}", true),
            ("backup: {}", "fault: {effect: vip_up, vip: 1}", false),
            ("backup: {}", "fault: {effect: slow_down, times: 0}", false),
            ("run:\n  - backup: {}\n", "run: []\n", false),
            ("run:\n", "nbu: {buffers: {SIZE_DATA_BUFFERS_DISK: 32k, parent_delay: 20ms}}\nrun:\n", true),
            ("run:\n", "nbu: {buffers: {parent_delay: 15}}\nrun:\n", false),
            ("run:\n", "nbu: {fork: after_open_server}\nrun:\n", true),
            ("run:\n", "expect: {catalog: {fragments: '>=3'}}\nrun:\n", true),
            ("run:\n", "expect: {catalog: {fragments: '=>3'}}\nrun:\n", false),
            ("run:\n", "expect: {jobs: [{type: Image cleanup, status: 0, count: 2}]}\nrun:\n", true),
            ("run:\n", "expect: {jobs: [{type: Cleanup, status: 0}]}\nrun:\n", false),
            ("run:\n", "expect: {all_jobs_done_within: 10m, counters: consistent}\nrun:\n", true),
            ("  lsus:", "  cluster: {embedded: {vips: 2, s3: https}}\n  lsus:", true),
            ("  lsus:", "  cluster: {embeded: {}}\n  lsus:", false),
            ("  lsus:", "  server: {password: hunter2}\n  lsus:", true),
        ];
        for (old, new, good) in cases {
            assert!(GOOD.contains(old), "{old}");
            let text = GOOD.replacen(old, new, 1);
            let read = parse("a.yaml", &text);
            assert_eq!(read.is_ok(), good, "reader: {new}: {:?}", read.err().map(|e| e.to_string()));
            assert_eq!(validator.is_valid(&as_json(&text)), good, "schema: {new}");
        }
    }
}
