//! A bundle is read back; whatever is changed, taken, added or forged is found.

use super::verify::verify_bundle;
use super::*;
use crate::report::tests::verdict;
use std::path::PathBuf;

fn bundle() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut verdict = verdict();
    let record = crate::judge::tests::good();
    verdict.suites[0].runs =
        vec![ScenarioRun { pass: 1, record, findings: Vec::new(), timeline: Vec::new(), leaks: Vec::new() }];
    let path = dir.path().join("bundle");
    write_bundle(&verdict, &path).unwrap();
    (dir, path)
}

#[test]
fn a_bundle_is_read_back_and_is_in_order() {
    let (dir, path) = bundle();
    let facts = verify_bundle(&path, &[]).unwrap();
    assert_eq!(facts.libraries, ["libstspiVastData.so"]);
    assert!(!facts.certified && facts.files > REQUIRED.len(), "{facts:?}");
    let log = path.join("logs/libstspiVastData.so/NBU-BKP-900/job-1.log");
    assert!(fs::read_to_string(log).unwrap().contains("waited for full buffer"));
    write_bundle(&verdict(), &path).unwrap();
    assert!(!path.join("logs").exists(), "nothing of the earlier bundle is left");
    verify_bundle(&path, &[]).unwrap();
    let error = write_bundle(&verdict(), dir.path()).unwrap_err().to_string();
    assert!(error.contains("it is no bundle"), "{error}");
    assert!(path.exists(), "what is no bundle is not removed");
}

#[test]
fn an_earlier_bundle_stays_until_the_new_one_is_whole() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, path) = bundle();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    let plain = dir.path().join("plain");
    fs::create_dir(&plain).unwrap();
    assert_eq!(mode(&path), mode(&plain), "it can be read by those who can read any other directory");
    fs::remove_dir(&plain).unwrap();
    let mut unwritable = verdict();
    unwritable.suites[0].runs = vec![ScenarioRun {
        pass: 1,
        record: crate::judge::tests::good(),
        findings: Vec::new(),
        timeline: Vec::new(),
        leaks: Vec::new(),
    }];
    unwritable.suites[0].name = "a name that no file can have\0".into();
    write_bundle(&unwritable, &path).unwrap_err();
    verify_bundle(&path, &[]).unwrap();
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["bundle"], "nothing else is left");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(bundle_place(&file).is_err(), "a file is in the way");
    assert!(bundle_place(dir.path()).is_err(), "something else is in the way");
    bundle_place(&dir.path().join("nothing")).unwrap();
    bundle_place(&path).unwrap();
}

/// What is said about a bundle to which this has been done.
fn said(change: impl FnOnce(&Path)) -> String {
    let (_dir, path) = bundle();
    change(&path);
    verify_bundle(&path, &[]).unwrap_err().join("\n")
}

#[test]
fn whatever_is_changed_taken_or_added_is_found() {
    for name in files_below(&bundle().1).unwrap() {
        let changed = said(|path| {
            let mut content = fs::read(path.join(&name)).unwrap();
            let middle = content.len() / 2;
            content[middle] ^= 1;
            fs::write(path.join(&name), content).unwrap();
        });
        assert!(changed.contains(&format!("SHA256SUMS: {name} has been changed")), "{changed}");
        assert!(changed.contains(&format!("B3SUMS: {name} has been changed")), "{changed}");
        let taken = said(|path| fs::remove_file(path.join(&name)).unwrap());
        assert!(taken.contains(&format!("SHA256SUMS: {name} is listed and not there")), "{taken}");
    }
    let added = said(|path| fs::write(path.join("extra"), "x").unwrap());
    assert!(added.contains("SHA256SUMS: extra is there and not listed"), "{added}");
    for list in [SHA256, BLAKE3] {
        let gone = said(|path| fs::remove_file(path.join(list)).unwrap());
        assert!(gone.contains(list), "{gone}");
    }
}

/// As [`said`], with the sums made right again: what the files say must agree all the same.
fn forged(name: &str, from: &str, to: &str) -> String {
    said(|path| {
        let file = path.join(name);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        fs::write(&file, text.replace(from, to)).unwrap();
        let content = fs::read(&file).unwrap();
        for (list, sum) in [(SHA256, sha256_of(&content)), (BLAKE3, blake3::hash(&content).to_string())] {
            let lines = fs::read_to_string(path.join(list)).unwrap();
            let lines = lines.lines().map(|line| match line.split_once("  ") {
                Some((_, of)) if of == name => format!("{sum}  {name}\n"),
                _ => format!("{line}\n"),
            });
            fs::write(path.join(list), lines.collect::<String>()).unwrap();
        }
    })
}

#[test]
fn a_product_sheet_that_says_more_than_the_results_is_found() {
    let text = forged("PRODUCT.yaml", "certified: false", "certified: true");
    assert!(text.contains("says certified, results.json says BKP-002: FAIL"), "{text}");
    assert!(forged("PRODUCT.yaml", "11ee", "22ff").contains("different libraries"));
    assert!(forged("results.json", "\"seed\": 7", "\"seed\": 8").contains("not of the same run"));
    assert!(forged("PRODUCT.yaml", "seed:", "sed:").contains("PRODUCT.yaml cannot be read"));
}

#[test]
fn another_library_than_the_certified_one_is_found() {
    let (_dir, path) = bundle();
    let other = tempfile::NamedTempFile::new().unwrap();
    let wrong = verify_bundle(&path, &[other.path().into()]).unwrap_err().join("\n");
    assert!(wrong.contains("none of the libraries"), "{wrong}");
    assert!(verify_bundle(Path::new("/no/such/bundle"), &[]).is_err());
}

#[test]
fn a_scenario_is_written_with_the_seed_it_was_run_with() {
    assert_eq!(
        with_seed("scenario: X\nseed: 1\nrun:\n  - a: {seed: 1}\n", 9),
        "scenario: X\nseed: 9\nrun:\n  - a: {seed: 1}\n"
    );
    assert_eq!(with_seed("scenario: X\n", 9), "scenario: X\nseed: 9\n");
    for (id, text) in certify::embedded_scenarios() {
        let text = with_seed(text, 77);
        assert_eq!(crate::scenario::parse(id, &text).unwrap().seed, 77, "{id}");
    }
}
