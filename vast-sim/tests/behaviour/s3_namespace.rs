//! A bucket is a window onto a path: what lies there is the same through every view.

use serde_json::{Value, json};
use vast_sim::Cluster;

use crate::client::{Vms, pattern, start};

fn view(cluster: &Cluster, path: &str, bucket: &str) -> u64 {
    let view = json!({ "path": path, "policy_id": 2, "protocols": ["S3"], "bucket": bucket, "bucket_owner": "data-owner", "create_dir": true });
    cluster.create("views", &view).unwrap()["id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_views_see_each_others_objects() {
    let (cluster, provisioned, s3) = start().await;
    let rights = json!({ "allow_delete_bucket": true });
    cluster.vms("PATCH", &format!("users/{}", provisioned.user_id), &rights).unwrap();
    view(&cluster, "/data/inner", "inner");
    s3.put("/data/inner/a", "outer wrote").await.ok();
    s3.put("/inner/b/c", "inner wrote").await.ok();
    s3.put("/inner//odd", "kept apart").await.ok();
    assert_eq!(s3.get("/inner/a").await.ok().text(), "outer wrote");
    assert_eq!(s3.get("/data/inner/b/c").await.ok().text(), "inner wrote");
    assert_eq!(s3.get("/data/inner//odd").await.ok().text(), "kept apart");
    assert_eq!(s3.get("/inner").await.ok().between("<Key>", "</Key>"), ["/odd", "a", "b/c"]);
    assert_eq!(s3.get("/data?prefix=inner/&delimiter=/").await.ok().between("<Key>", "</Key>"), ["inner/a"]);
    let id = s3.create_upload("/inner/up").await;
    assert_eq!(s3.get("/data?uploads").await.ok().between("<UploadId>", "</UploadId>"), [id.as_str()]);
    s3.delete("/data/inner/a").await.ok();
    s3.get("/inner/a").await.is(404, "NoSuchKey");
    s3.delete("/data").await.is(409, "BucketNotEmpty");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_outlives_its_view() {
    let (cluster, provisioned, s3) = start().await;
    let vms = Vms::new(&cluster);
    let rights = json!({ "allow_delete_bucket": true });
    cluster.vms("PATCH", &format!("users/{}", provisioned.user_id), &rights).unwrap();
    s3.put("/data/k", pattern(1, 1000)).await.ok();
    let path = format!("/api/views/{}/", provisioned.view_id);
    let refused = vms.call("DELETE", &path, &Value::Null).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(vms.call("DELETE", &format!("{path}?force=true"), &Value::Null).await.status, 204);
    s3.get("/data/k").await.is(404, "NoSuchBucket");
    let id = view(&cluster, "/data", "again");
    assert_eq!(s3.get("/again/k").await.ok().body, pattern(1, 1000));
    let row = vms.get(&format!("/api/views/{id}/")).await.ok().json();
    assert_eq!(row["logical_capacity"], 1000);
    s3.delete("/again/k").await.ok();
    s3.delete("/again").await.ok();
    view(&cluster, "/data", "fresh");
    assert_eq!(s3.get("/fresh").await.ok().between("<Key>", "</Key>"), [] as [&str; 0]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_on_any_path_count_exactly() {
    let (cluster, _, s3) = start().await;
    view(&cluster, "/data/inner", "inner");
    let deep = cluster.create_quota("/data/inner/x", 100).unwrap();
    let outer = cluster.create_quota("/data", 1000).unwrap();
    let used = |id: u64| {
        let row = cluster.vms("GET", &format!("quotas/{id}"), &Value::Null).unwrap();
        row["used_capacity"].as_u64().unwrap()
    };
    s3.put("/inner/x/a", pattern(1, 60)).await.ok();
    s3.put("/data/inner/x/b", pattern(1, 41)).await.is(403, "QuotaExceeded");
    s3.put("/data/inner/x/b", pattern(1, 40)).await.ok();
    s3.put("/data/inner/xy", pattern(1, 500)).await.ok();
    assert_eq!((used(deep), used(outer)), (100, 600));
    s3.put("/inner/z", pattern(1, 401)).await.is(403, "QuotaExceeded");
    s3.delete("/inner/x/a").await.ok();
    assert_eq!((used(deep), used(outer)), (40, 540));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_data_directory_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    {
        let old = redb::Database::create(dir.path().join("metadata.redb")).unwrap();
        let transaction = old.begin_write().unwrap();
        let table: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("objects");
        transaction.open_table(table).unwrap().insert(&b"k"[..], &b"v"[..]).unwrap();
        transaction.commit().unwrap();
    }
    let config = vast_sim::Config { data_dir: Some(dir.path().to_owned()), ..vast_sim::Config::default() };
    let error = Cluster::start(config).await.unwrap_err().to_string();
    assert!(error.contains("written in format 1") && error.contains("empty directory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_no_file_can_have_are_refused() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/a/../b", "x").await.is(400, "InvalidArgument");
    s3.put("/data/.snapshot/s/k", "x").await.is(403, "AccessDenied");
    s3.put("/data/a//b", "x").await.ok();
    s3.put(&format!("/data/{}", "k".repeat(1024)), "x").await.ok();
    s3.put(&format!("/data/{}", "k".repeat(1025)), "x").await.is(400, "KeyTooLongError");
    cluster.vms("PATCH", "viewpolicies/2", &json!({ "s3_special_chars_support": true })).unwrap();
    s3.put("/data/a/../b", "x").await.ok();
    assert_eq!(s3.get("/data?prefix=a/").await.ok().between("<Key>", "</Key>"), ["a/../b", "a//b"]);
    cluster.stop().await;
}
