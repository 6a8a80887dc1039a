//! The script in `LAYOUT.md` restores images from plain files, as a person would whom this program has left.

use std::process::Command;

use image_store::Close;

use crate::support::{block_on, bytes, identity, image_store, small, write_image};

/// The page's own script.
fn script() -> &'static str {
    let page = include_str!("../../LAYOUT.md");
    let (_, rest) = page.split_once("```python\n").expect("LAYOUT.md has a Python script");
    rest.split_once("```").expect("the script ends").0
}

#[test]
fn the_script_in_the_layout_page_restores_every_kind_of_image() {
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "python3 is missing, and CI must not skip this");
        eprintln!("skipped: python3 is missing");
        return;
    }
    block_on(async {
        let (images, memory, _) = image_store(small());
        let content = bytes(1, 0, 1500);
        write_image(&images, &identity("small"), &content[..30]).await;
        write_image(&images, &identity("a b/c"), &content).await;
        let mut writer = images.create(&identity("synthetic")).await.unwrap();
        writer.append(0, &content[..100]).await.unwrap();
        writer.include(&identity("a b/c"), 33, 700, 100).await.unwrap();
        writer.append(800, &content[..7]).await.unwrap();
        writer.include(&identity("a b/c"), 1, 1, 807).await.unwrap();
        writer.set_metadata(b"not part of the image").unwrap();
        writer.close(Close::Complete).await.unwrap();
        let synthetic = [&content[..100], &content[33..733], &content[..7], &content[1..2]].concat();

        let folder = tempfile::tempdir().unwrap();
        for key in memory.keys() {
            let path = folder.path().join("bucket").join(&key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, memory.object(&key).unwrap()).unwrap();
        }
        for (name, expected) in
            [("small", &content[..30]), ("a%20b%2Fc", &content[..]), ("synthetic", &synthetic[..])]
        {
            let key = format!("image/{name}/1588173008/Daily");
            let restored =
                Command::new("python3").args(["-c", script(), &key]).current_dir(&folder).output().unwrap();
            assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
            assert!(restored.stdout == expected, "{name}: {} bytes", restored.stdout.len());
        }
    });
}
