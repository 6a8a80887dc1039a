//! Durable mode: what was acknowledged survives a restart.

use std::path::Path;

use serde_json::{Value, json};
use vast_sim::{Cluster, Config};

use crate::client::{S3, pattern, start_with};

fn config(dir: &Path) -> Config {
    Config { data_dir: Some(dir.to_owned()), min_part_size: 1, ..Config::default() }
}

fn blob_bytes(dir: &Path) -> u64 {
    std::fs::read_dir(dir.join("blobs")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, provisioned, s3) = start_with(config(dir.path()), Some(1 << 30)).await;
    let ca = cluster.ca_pem().to_owned();
    let data = pattern(1, 3_000_000);
    s3.send("PUT", "/data/k", &[("x-amz-meta-m", "1"), ("content-type", "a/b")], data.clone()).await.ok();
    s3.send("PUT", "/data/copy", &[("x-amz-copy-source", "/data/k")], "").await.ok();
    s3.put("/data/gone", pattern(2, 1000)).await.ok();
    s3.delete("/data/gone").await.ok();
    s3.put("/data/over", pattern(2, 500_000)).await.ok();
    s3.put("/data/over", pattern(3, 100)).await.ok();
    let id = s3.create_upload("/data/m").await;
    let part = s3.part("/data/m", &id, 1, pattern(4, 50_000)).await.ok().header("etag").to_owned();
    let views = cluster.vms("GET", "views", &Value::Null).unwrap();
    let state = cluster.raw_state();
    cluster.stop().await;
    assert_eq!(
        blob_bytes(dir.path()),
        3_000_000 + 100 + 50_000,
        "shared once, replaced and deleted bytes gone"
    );

    std::fs::write(dir.path().join("blobs/00000000000000ff.part"), "cut short").unwrap();
    let cluster = Cluster::start(config(dir.path())).await.unwrap();
    assert_eq!(cluster.ca_pem(), ca);
    assert_eq!(cluster.raw_state(), state);
    assert_eq!(blob_bytes(dir.path()), 3_000_000 + 100 + 50_000, "leavings are swept");
    let again = cluster.vms("GET", "views", &Value::Null).unwrap();
    assert_eq!(
        (&again[0]["guid"], &again[0]["logical_capacity"]),
        (&views[0]["guid"], &views[0]["logical_capacity"])
    );
    let s3 = S3::new(&cluster, &provisioned.keys);
    let got = s3.get("/data/k").await.ok();
    assert_eq!((&got.body, got.header("x-amz-meta-m"), got.header("content-type")), (&data, "1", "a/b"));
    s3.delete("/data/k").await.ok();
    assert_eq!(s3.get("/data/copy").await.ok().body, data, "the copy keeps the bytes");
    s3.complete("/data/m", &id, &[(1, &part)]).await.ok();
    assert_eq!(s3.get("/data/m").await.ok().body, pattern(4, 50_000));
    let later = cluster.create("users", &json!({ "name": "later" })).unwrap()["id"].as_u64().unwrap();
    assert_eq!(later, provisioned.user_id + 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_used_by_one_cluster_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _, s3) = start_with(config(dir.path()), None).await;
    s3.put("/data/k", "x").await.ok();
    let second = Cluster::start(config(dir.path())).await.unwrap_err();
    assert!(second.to_string().contains("cannot open the database"), "{second}");
    cluster.stop().await;
    for blob in std::fs::read_dir(dir.path().join("blobs")).unwrap() {
        std::fs::write(blob.unwrap().path(), "longer").unwrap();
    }
    let damaged = Cluster::start(config(dir.path())).await.unwrap_err();
    assert!(damaged.to_string().contains("has 6 bytes, metadata says 1"), "{damaged}");
}
