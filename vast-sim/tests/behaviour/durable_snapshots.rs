//! Snapshots in durable mode: they outlive what they keep, and the process.

use std::path::Path;

use serde_json::{Value, json};
use vast_sim::{Cluster, Config};

use crate::client::{S3, pattern, start_with};
use crate::s3_versions::versioned;

fn config(dir: &Path) -> Config {
    Config { data_dir: Some(dir.to_owned()), ..Config::default() }
}

fn blob_bytes(dir: &Path) -> u64 {
    std::fs::read_dir(dir.join("blobs")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_read_after_a_restart_and_a_deleted_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, provisioned, s3) = start_with(config(dir.path()), None).await;
    s3.put("/data/dir/a", pattern(1, 20_000)).await.ok();
    s3.put("/data/dir/b", pattern(2, 3_000)).await.ok();
    s3.put("/data/empty/", "").await.ok();
    let make = |name: &str| {
        cluster.create("snapshots", &json!({ "name": name, "path": "/data/" })).unwrap()["id"].clone()
    };
    let (kept, dropped) = (make("kept"), make("dropped"));
    s3.put("/data/dir/a", "new").await.ok();
    s3.delete("/data/dir/b").await.ok();
    cluster.vms("DELETE", &format!("snapshots/{dropped}"), &Value::Null).unwrap();
    let figures = cluster.vms("GET", &format!("snapshots/{kept}"), &Value::Null).unwrap();
    assert_eq!(figures["unique_phys_estimation"], 23_000);
    cluster.stop().await;
    assert_eq!(blob_bytes(dir.path()), 23_003);

    let cluster = Cluster::start(config(dir.path())).await.unwrap();
    let s3 = S3::new(&cluster, &provisioned.keys);
    assert_eq!(s3.get("/data/.snapshot/kept/dir/a").await.ok().body, pattern(1, 20_000));
    assert_eq!(s3.get("/data/.snapshot/kept/dir/b").await.ok().body, pattern(2, 3_000));
    s3.get("/data/.snapshot/dropped/dir/a").await.is(404, "NoSuchKey");
    let listed = s3.get("/data?list-type=2&prefix=.snapshot/kept/dir/").await.ok();
    assert_eq!(listed.between("<Key>", "</Key>"), [".snapshot/kept/dir/a", ".snapshot/kept/dir/b"]);
    let again = cluster.vms("GET", &format!("snapshots/{kept}"), &Value::Null).unwrap();
    assert_eq!(again["unique_phys_estimation"], 23_000);
    // The last that held the bytes lets them go.
    cluster.vms("DELETE", &format!("snapshots/{kept}"), &Value::Null).unwrap();
    cluster.stop().await;
    assert_eq!(blob_bytes(dir.path()), 3);
    let cluster = Cluster::start(config(dir.path())).await.unwrap();
    S3::new(&cluster, &provisioned.keys).get("/data/.snapshot/kept/dir/a").await.is(404, "NoSuchKey");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_takes_snapshots_and_their_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _, s3) = start_with(config(dir.path()), None).await;
    s3.put("/data/k", pattern(1, 5_000)).await.ok();
    cluster.create("snapshots", &json!({ "name": "s", "path": "/data/" })).unwrap();
    cluster.reset();
    cluster.stop().await;
    assert_eq!(blob_bytes(dir.path()), 0);
    let cluster = Cluster::start(config(dir.path())).await.unwrap();
    let snapshots = cluster.vms("GET", "snapshots", &Value::Null).unwrap();
    assert_eq!(snapshots, json!([]));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, provisioned, s3) = start_with(config(dir.path()), None).await;
    // The oldest has no id.
    s3.put("/data/first", "null").await.ok();
    versioned(&s3).await;
    for n in 0..20 {
        s3.put("/data/first", n.to_string()).await.ok();
        s3.put("/data/second", n.to_string()).await.ok();
    }
    s3.delete("/data/first").await.ok();
    let before = s3.get("/data?versions").await.ok().text();
    cluster.stop().await;
    let cluster = Cluster::start(config(dir.path())).await.unwrap();
    let s3 = S3::new(&cluster, &provisioned.keys);
    assert_eq!(s3.get("/data?versions").await.ok().text(), before);
    assert_eq!(s3.get("/data/second").await.ok().text(), "19");
    s3.get("/data/first").await.is(404, "NoSuchKey");
    cluster.stop().await;
}
