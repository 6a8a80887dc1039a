//! Restores, verify and expire.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use nbu_harness::data::GenData;
use nbu_harness::nbu::{JobKind, PathBytes, Selection, Source};

use crate::rig::{Rig, assert_status, synthetic};
use crate::tree;

fn files(paths: &[&str]) -> Selection {
    Selection::Files(paths.iter().map(|p| PathBytes::from(*p)).collect())
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    let source = rig.path("source");
    tree::build(&source);
    let result = rig.backup(&rig.request(1, Source::Directory(source.clone())));
    assert_status(&result, 0);
    let target = rig.path("deep/target");
    let restored = rig.restore(&result.backup_id, &target, Selection::All);
    assert_status(&restored, 0);
    assert_eq!(restored.kind, JobKind::Restore);
    assert_eq!(restored.files, result.files);
    tree::assert_same(&source, &target);
    let blocks = |path: &str| fs::metadata(target.join(path)).unwrap().blocks() * 512;
    assert!(blocks("sparse") < 1 << 20 && blocks("all hole") < 1 << 16, "holes are holes again");
    let log = restored.log.join("\n");
    for line in ["read_data: waited for empty buffer ", " waited for full buffer ", "tar (pid="] {
        assert!(log.contains(line), "{line:?} is missing in\n{log}");
    }
    // Over what is there already.
    fs::write(target.join("plain"), b"something else").unwrap();
    fs::remove_file(target.join("link")).unwrap();
    fs::write(target.join("link"), b"not a link").unwrap();
    assert_status(&rig.restore(&result.backup_id, &target, Selection::All), 0);
    tree::assert_same(&source, &target);
}

#[test]
fn one_file_is_read_by_position_and_not_by_scanning() {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    let source = rig.path("source");
    fs::create_dir(&source).unwrap();
    for i in 0..64 {
        tree::file(&source.join(format!("{i:02}")), 300_000);
    }
    let result = rig.backup(&rig.request(1, Source::Directory(source.clone())));
    assert_status(&result, 0);
    assert!(result.fragments.len() >= 18);
    let target = rig.path("target");
    let restored = rig.restore(&result.backup_id, &target, files(&["37"]));
    assert_status(&restored, 0);
    assert_eq!(fs::read(target.join("37")).unwrap(), fs::read(source.join("37")).unwrap());
    assert_eq!(fs::read_dir(&target).unwrap().count(), 1);
    assert_eq!(restored.files, 1);
    let needed = 300_000u64.next_multiple_of(512) + 3 * 512 + 1024;
    assert!(restored.bytes_read <= needed, "{} bytes read, {needed} would do", restored.bytes_read);
    let opened = restored.log.iter().filter(|l| l.contains("for reading")).count();
    assert!(opened <= 2, "{opened} fragments opened");
}

#[test]
fn a_selection_can_name_directories_links_and_what_is_not_there() {
    let rig = Rig::new();
    let source = rig.path("source");
    tree::build(&source);
    let result = rig.backup(&rig.request(1, Source::Directory(source.clone())));
    let id = &result.backup_id;
    assert_status(&result, 0);

    let target = rig.path("directory");
    let restored = rig.restore(id, &target, files(&["many/"]));
    assert_status(&restored, 0);
    assert_eq!(restored.files, 51);
    tree::assert_same(&source.join("many"), &target.join("many"));

    // The content is under a/large, which is not selected.
    let target = rig.path("links");
    assert_status(&rig.restore(id, &target, files(&["zz hard", "a/b/hard"])), 0);
    assert_eq!(fs::read(target.join("zz hard")).unwrap(), fs::read(source.join("a/large")).unwrap());
    assert_eq!(fs::metadata(target.join("a/b/hard")).unwrap().nlink(), 2);
    assert!(!target.join("a/large").exists());

    let target = rig.path("partly");
    let restored = rig.restore(id, &target, files(&["plain", "nowhere"]));
    assert_status(&restored, 175);
    assert_eq!(restored.warnings[0].path, PathBytes::from("nowhere"));
    assert!(target.join("plain").exists());

    assert_status(&rig.restore(id, &target, files(&["nowhere"])), 227);
    assert_status(&rig.restore("client1_0000000001", &target, Selection::All), 227);
}

#[test]
fn nothing_is_written_outside_the_destination() {
    let rig = Rig::new();
    let source = rig.path("source");
    fs::create_dir_all(source.join("dir")).unwrap();
    tree::file(&source.join("dir/file"), 100);
    tree::file(&source.join("ok"), 100);
    let result = rig.backup(&rig.request(1, Source::Directory(source)));
    assert_status(&result, 0);
    let (target, outside) = (rig.path("target"), rig.path("outside"));
    fs::create_dir_all(&target).unwrap();
    fs::create_dir_all(&outside).unwrap();
    symlink(&outside, target.join("dir")).unwrap();
    let restored = rig.restore(&result.backup_id, &target, files(&["dir/file", "ok"]));
    assert_status(&restored, 1);
    assert!(restored.warnings[0].text.contains("refused"), "{:?}", restored.warnings);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(target.join("ok").exists());
}

#[test]
fn generated_data_is_checked_and_a_changed_byte_is_found_where_it_is() {
    let rig = Rig::new();
    let source = Source::Synthetic(GenData { kb_size: 100, max_files: 5, ..GenData::with_seed(3) });
    let result = rig.backup(&rig.request(1, source));
    assert_status(&result, 0);
    let target = rig.path("target");
    let good = rig.restore(&result.backup_id, &target, Selection::All);
    assert_status(&good, 0);
    assert_eq!(good.files, 5);
    assert!(!target.exists(), "generated files are not created");

    let third = rig.catalog().files(&result.backup_id).unwrap().nth(2).unwrap().unwrap();
    let image = rig.path("storage/lsu0").join(&result.images[0]);
    let mut bytes = fs::read(&image).unwrap();
    let at = usize::try_from(third.data_offset).unwrap() + 777;
    bytes[at] ^= 1;
    fs::write(&image, bytes).unwrap();
    let bad = rig.restore(&result.backup_id, &target, Selection::All);
    assert_status(&bad, 5);
    assert_eq!(bad.bad_ranges.len(), 1);
    assert_eq!(
        (&bad.bad_ranges[0].path, bad.bad_ranges[0].from, bad.bad_ranges[0].to),
        (&third.path, 777, 778)
    );
}

#[test]
fn verify_reads_everything_and_notices_damage_to_headers() {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    let source = rig.path("source");
    tree::build(&source);
    let result = rig.backup(&rig.request(1, Source::Directory(source)));
    let id = &result.backup_id;
    let good = rig.verify(id);
    assert_status(&good, 0);
    assert_eq!((good.files, good.kbytes), (result.files, result.kbytes));
    assert!(good.bytes_read > result.kbytes * 1024 - 1024);

    let damage = |record: usize, at: u64| {
        let record = rig.catalog().files(id).unwrap().nth(record).unwrap().unwrap();
        let position = record.data_offset - 512 + at;
        let fragment = result.fragments.iter().rfind(|f| f.offset <= position).unwrap();
        let image = rig.path("storage/lsu0").join(&fragment.name);
        let mut bytes = fs::read(&image).unwrap();
        bytes[usize::try_from(position - fragment.offset).unwrap()] ^= 1;
        fs::write(&image, bytes).unwrap();
    };
    damage(5, 0);
    let bad = rig.verify(id);
    assert_status(&bad, 191);
    assert_eq!(bad.cause, Some(92));
    damage(5, 0);
    assert_status(&rig.verify(id), 0);

    let last = rig.path("storage/lsu0").join(&result.fragments.last().unwrap().name);
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 1024]).unwrap();
    let short = rig.verify(id);
    assert_status(&short, 191);
    assert_eq!(short.cause, Some(85), "{}", short.text);
    fs::write(&last, &bytes).unwrap();

    let header = rig.path("storage/lsu0").join(result.images.last().unwrap());
    fs::write(&header, [0; 1024]).unwrap();
    assert_eq!(rig.verify(id).cause, Some(173));
}

#[test]
fn expire_deletes_every_image_and_a_missing_one_counts_as_deleted() {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    let first = rig.backup(&rig.request(1, synthetic(3)));
    let second = rig.backup(&rig.request(2, synthetic(3)));
    fs::remove_file(rig.path("storage/lsu0").join(&first.images[1])).unwrap();
    let expired = rig.expire(&first.backup_id);
    assert_status(&expired, 0);
    assert_eq!(expired.images.len(), first.images.len());
    let mut names = second.images.clone();
    names.sort();
    assert_eq!(rig.stored(), names, "the other backup is untouched");
    assert_status(&rig.restore(&first.backup_id, &rig.path("x"), Selection::All), 227);
    assert_status(&rig.expire(&first.backup_id), 227);

    rig.plugin_env("FAKE_OST_FAIL", "delete_image:2060069");
    let locked = rig.expire(&second.backup_id);
    assert_status(&locked, 1);
    assert_eq!(locked.left_behind.len(), second.images.len());
    assert!(rig.catalog().image(&second.backup_id).unwrap().is_some(), "stays for the next cleanup");
    rig.installation.plugin_env.remove("FAKE_OST_FAIL");
    assert_status(&rig.expire(&second.backup_id), 0);
    rig.assert_nothing_left();
}
