//! Snapshots keep what was there; clones bring it back; both share the bytes.

use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::{Cluster, Config, Effect, Fault, Provisioned};

use crate::client::{S3, Vms, pattern, start_with};
use crate::metrics::frozen;

async fn start(config: Config) -> (Cluster, Provisioned, S3, Vms) {
    let (cluster, provisioned, s3) = start_with(config, None).await;
    let vms = Vms::new(&cluster);
    (cluster, provisioned, s3, vms)
}

async fn snapshot(vms: &Vms, body: Value) -> Value {
    vms.post("/api/snapshots/", body).await.ok().json()
}

async fn physical(vms: &Vms) -> u64 {
    vms.get("/api/clusters/1/").await.json()["physical_space_in_use"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_can_be_read_after_everything_has_changed() {
    let (cluster, _, s3, vms) = start(Config::default()).await;
    s3.put("/data/dir/a", pattern(1, 2_000)).await.ok();
    s3.put("/data/dir/b", pattern(2, 1_000)).await.ok();
    s3.put("/data/other", pattern(3, 500)).await.ok();
    let kept = snapshot(&vms, json!({ "name": "s1", "path": "/data/" })).await;
    assert_eq!(
        (&kept["path"], &kept["name"], &kept["tenant_name"]),
        (&json!("/data/"), &json!("s1"), &json!("default"))
    );
    assert_eq!((physical(&vms).await, &kept["unique_phys_estimation"]), (3_500, &json!(0)));

    s3.put("/data/dir/a", pattern(9, 4_000)).await.ok();
    s3.delete("/data/dir/b").await.ok();
    assert_eq!(s3.get("/data/.snapshot/s1/dir/a").await.ok().body, pattern(1, 2_000));
    assert_eq!(s3.get("/data/.snapshot/s1/dir/b").await.ok().body, pattern(2, 1_000));
    assert_eq!(s3.get("/data/dir/.snapshot/s1/b").await.ok().body, pattern(2, 1_000));
    assert_eq!(s3.head("/data/.snapshot/s1/dir/b").await.ok().header("content-length"), "1000");
    s3.get("/data/.snapshot/s1/none").await.is(404, "NoSuchKey");
    s3.get("/data/.snapshot/s2/dir/a").await.is(404, "NoSuchKey");
    s3.put("/data/.snapshot/s1/dir/a", "x").await.is(403, "AccessDenied");
    let listed = s3.get("/data?list-type=2&prefix=.snapshot/s1/dir/").await.ok();
    assert_eq!(listed.between("<Key>", "</Key>"), [".snapshot/s1/dir/a", ".snapshot/s1/dir/b"]);
    let rolled = s3.get("/data?list-type=2&prefix=.snapshot/s1/&delimiter=/&max-keys=1").await.ok();
    assert_eq!(rolled.between("<Prefix>", "</Prefix>").last().unwrap(), ".snapshot/s1/dir/");
    let token = rolled.between("<NextContinuationToken>", "</NextContinuationToken>").remove(0);
    let rest = s3
        .get(&format!("/data?list-type=2&prefix=.snapshot/s1/&delimiter=/&continuation-token={token}"))
        .await
        .ok();
    assert_eq!(rest.between("<Key>", "</Key>"), [".snapshot/s1/other"]);
    // Snapshots are not among a bucket's own objects.
    assert_eq!(s3.get("/data?list-type=2").await.between("<Key>", "</Key>"), ["dir/a", "other"]);

    // What was replaced and deleted is held by the snapshot alone.
    let now = vms.get(&format!("/api/snapshots/{}/", kept["id"])).await.ok().json();
    assert_eq!(
        (&now["unique_phys_estimation"], &now["aggr_phys_estimation"]),
        (&json!(3_000), &json!(3_000))
    );
    assert_eq!(physical(&vms).await, 4_500 + 3_000);
    // A view on a path in the snapshot shows it as a bucket of its own, read-only.
    let view = json!({ "path": "/data/.snapshot/s1/dir", "policy_id": 2, "protocols": ["S3"], "bucket": "past",
        "bucket_owner": "data-owner" });
    vms.post("/api/views/", view).await.ok();
    assert_eq!(s3.get("/past/b").await.ok().body, pattern(2, 1_000));
    assert_eq!(s3.get("/past?list-type=2").await.ok().between("<Key>", "</Key>"), ["a", "b"]);
    s3.put("/past/b", "x").await.is(403, "AccessDenied");

    let gone = vms.call("DELETE", &format!("/api/snapshots/{}/", kept["id"]), &Value::Null).await;
    assert_eq!((gone.status.as_u16(), physical(&vms).await), (204, 4_500));
    s3.get("/data/.snapshot/s1/dir/b").await.is(404, "NoSuchKey");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_expire_on_the_clusters_clock_unless_locked() {
    let (cluster, _, s3, vms) = start(frozen()).await;
    s3.put("/data/a", "x").await.ok();
    let in_hours = |n: u64| {
        let now: jiff::Timestamp =
            vast_sim::Clock::now(&*frozen().clock).try_into().expect("a time within range");
        (now + Duration::from_hours(n)).to_string()
    };
    let one = snapshot(&vms, json!({ "name": "one", "path": "/data", "expiration_time": in_hours(1) })).await;
    let two = snapshot(&vms, json!({ "name": "two", "path": "/data", "expiration_time": in_hours(2) })).await;
    let held = json!({ "name": "held", "path": "/data", "expiration_time": in_hours(1), "locked": true });
    let held = snapshot(&vms, held).await;
    let names = async || {
        let list = vms.get("/api/snapshots/").await.ok().json();
        list.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    cluster.advance(Duration::from_mins(59)).unwrap();
    assert_eq!(names().await, ["one", "two", "held"]);
    cluster.advance(Duration::from_mins(2)).unwrap();
    assert_eq!(names().await, ["two", "held"]);
    let later = json!({ "expiration_time": in_hours(5) });
    vms.call("PATCH", &format!("/api/snapshots/{}/", two["id"]), &later).await.ok();
    vms.call("PATCH", &format!("/api/snapshots/{}/", held["id"]), &json!({ "locked": false })).await.ok();
    cluster.advance(Duration::from_mins(90)).unwrap();
    assert_eq!(names().await, ["two"]);
    assert_eq!(vms.get(&format!("/api/snapshots/{}/", one["id"])).await.status, 404);

    for (bad, body) in [
        ("no path", json!({ "name": "x" })),
        ("a path that is not there", json!({ "name": "x", "path": "/nowhere/" })),
        ("a name with a slash", json!({ "name": "a/b", "path": "/data/" })),
        ("a name that is taken", json!({ "name": "two", "path": "/data/" })),
        (
            "an expiry in the past",
            json!({ "name": "x", "path": "/data/", "expiration_time": "2020-01-01T00:00:00Z" }),
        ),
        ("an expiry that is no time", json!({ "name": "x", "path": "/data/", "expiration_time": "soon" })),
    ] {
        assert_eq!(vms.post("/api/snapshots/", body).await.status, 400, "{bad}");
    }
    let sure = snapshot(&vms, json!({ "name": "sure", "path": "/data/", "indestructible": true })).await;
    let path = format!("/api/snapshots/{}/", sure["id"]);
    assert_eq!(vms.call("DELETE", &path, &Value::Null).await.status, 403);
    assert_eq!(vms.call("PATCH", &path, &json!({ "indestructible": false })).await.status, 400);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_shares_the_bytes_and_lives_its_own_life() {
    let (cluster, _, s3, vms) = start(frozen()).await;
    s3.put("/data/dir/a", pattern(1, 3_000)).await.ok();
    let kept = snapshot(&vms, json!({ "name": "s", "path": "/data/" })).await;
    s3.delete("/data/dir/a").await.ok();
    let clone = format!("/api/snapshots/{}/clone/", kept["id"]);
    let made = vms.post(&clone, json!({ "name": "c", "loanee_root_path": "/clone" })).await.ok().json();
    assert_eq!(made["async_task"]["state"], "RUNNING");
    let (task, stream) = (made["async_task"]["id"].clone(), made["id"].clone());
    let path = format!("/api/globalsnapstreams/{stream}/");
    assert_eq!(vms.get(&path).await.ok().json()["status"]["state"], "IN_PROGRESS");
    // A snapshot that is being read cannot go.
    let in_use = vms.call("DELETE", &format!("/api/snapshots/{}/", kept["id"]), &Value::Null).await;
    assert_eq!(in_use.status, 409);
    cluster.advance(Duration::from_secs(10)).unwrap();
    assert_eq!(vms.get(&path).await.json()["status"]["state"], "FINISHED");
    assert_eq!(vms.get(&format!("/api/vtasks/{task}/")).await.json()["state"], "COMPLETED");
    let found = vms.get(&format!("/api/globalsnapstreams/?loanee_snapshot__id={}", kept["id"])).await.json();
    assert_eq!(found[0]["loanee_root_path"], "/clone");

    cluster.create_bucket("cloned", "data-owner").unwrap();
    let view = json!({ "path": "/clone", "policy_id": 2, "protocols": ["S3"], "bucket": "clone", "bucket_owner": "data-owner" });
    vms.post("/api/views/", view).await.ok();
    assert_eq!(s3.get("/clone/dir/a").await.ok().body, pattern(1, 3_000));
    assert_eq!(physical(&vms).await, 3_000);
    s3.put("/clone/dir/a", pattern(2, 100)).await.ok();
    assert_eq!(s3.get("/data/.snapshot/s/dir/a").await.ok().body, pattern(1, 3_000));
    assert_eq!(physical(&vms).await, 3_100);

    for (bad, body) in [
        ("no path", json!({ "name": "d" })),
        ("a path that has data", json!({ "name": "d", "loanee_root_path": "/clone" })),
        ("a name that is taken", json!({ "name": "c", "loanee_root_path": "/d" })),
    ] {
        assert_eq!(vms.post(&clone, body).await.status, 400, "{bad}");
    }
    let unknown = json!({ "name": "d", "loanee_root_path": "/d", "loanee_snapshot_id": 99 });
    assert_eq!(vms.post("/api/globalsnapstreams/", unknown).await.status, 400);
    cluster.create_quota("/tight", 2_999).unwrap();
    let refused = vms.post(&clone, json!({ "name": "d", "loanee_root_path": "/tight/d" })).await;
    assert!(refused.status == 400 && refused.text().contains("quota"), "{}", refused.text());

    let removed = vms.call("DELETE", &path, &json!({ "remove_dir": true })).await.ok().json();
    assert!(removed["async_task"]["id"].is_number());
    cluster.advance(Duration::from_secs(10)).unwrap();
    assert_eq!(vms.get(&path).await.status, 404);
    s3.get("/clone/dir/a").await.is(404, "NoSuchKey");
    assert_eq!(physical(&vms).await, 3_000);
    assert_eq!(
        vms.call("DELETE", &format!("/api/snapshots/{}/", kept["id"]), &Value::Null).await.status,
        204
    );
    assert_eq!(physical(&vms).await, 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_can_be_paused_resumed_and_stopped() {
    let (cluster, _, s3, vms) = start(frozen()).await;
    s3.put("/data/a", pattern(1, 10)).await.ok();
    let kept = snapshot(&vms, json!({ "name": "s", "path": "/data/" })).await;
    let begin = async |name: &str, enabled: bool| {
        let body = json!({ "name": name, "loanee_root_path": format!("/{name}"), "loanee_snapshot_id": kept["id"],
            "enabled": enabled });
        let made = vms.post("/api/globalsnapstreams/", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        format!("/api/globalsnapstreams/{}", made.json()["id"])
    };
    let state = async |path: &str| vms.get(path).await.ok().json()["status"]["state"].clone();
    let first = begin("first", true).await;
    vms.call("PATCH", &format!("{first}/pause"), &Value::Null).await.ok();
    cluster.advance(Duration::from_secs(10)).unwrap();
    assert_eq!(state(&first).await, "PAUSED");
    vms.call("PATCH", &format!("{first}/resume"), &Value::Null).await.ok();
    cluster.advance(Duration::from_secs(10)).unwrap();
    assert_eq!(state(&first).await, "FINISHED");
    let second = begin("second", false).await;
    assert_eq!(state(&second).await, "PAUSED");
    let stop = vms.call("PATCH", &format!("{second}/stop"), &Value::Null).await.ok().json();
    assert!(stop["async_task"]["id"].is_number());
    cluster.advance(Duration::from_secs(10)).unwrap();
    assert_eq!(state(&second).await, "STOPPED");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_says_so_until_it_is_tried_again() {
    let (cluster, _, s3, vms) = start(frozen()).await;
    s3.put("/data/a", pattern(1, 10)).await.ok();
    let kept = snapshot(&vms, json!({ "name": "s", "path": "/data/" })).await;
    let broken =
        Effect::Error { status: 500, code: "Broken".to_owned(), message: "no way through".to_owned() };
    cluster.faults().add(Fault::vms(broken).on("TASK globalsnapstream_create").times(1)).unwrap();
    let clone = format!("/api/snapshots/{}/clone/", kept["id"]);
    let made = vms.post(&clone, json!({ "name": "c", "loanee_root_path": "/c" })).await.ok().json();
    let path = format!("/api/globalsnapstreams/{}/", made["id"]);
    // Both vocabularies that clients compare with.
    let state = async || {
        let row = vms.get(&path).await.ok().json();
        assert_eq!(row["state"], row["external_state"]);
        (row["status"]["state"].as_str().unwrap().to_owned(), row["state"].as_str().unwrap().to_owned())
    };
    let is = |capitals: &str, words: &str| (capitals.to_owned(), words.to_owned());
    assert_eq!(state().await, is("IN_PROGRESS", "Syncing"));
    cluster.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(state().await, is("FAILED", "Suspended"));
    assert_eq!(vms.get(&path).await.json()["health"], "ERROR");
    let task = format!("/api/vtasks/{}/", made["async_task"]["id"]);
    assert_eq!(vms.get(&task).await.json()["state"], "FAILED");
    let alarms = vms.get("/api/alarms/?event_name=TASK_FAILED").await.json();
    assert_eq!(alarms.as_array().unwrap().len(), 1);
    vms.call("PATCH", &format!("{task}retry/"), &Value::Null).await.ok();
    assert_eq!(state().await, is("IN_PROGRESS", "Syncing"));
    assert_eq!(vms.get("/api/alarms/?event_name=TASK_FAILED").await.json(), json!([]));
    cluster.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(state().await, is("FINISHED", "Completed"));
    // Giving a task up by hand ends its stream, and resuming begins another one.
    let made = vms.post(&clone, json!({ "name": "d", "loanee_root_path": "/d" })).await.ok().json();
    let path = format!("/api/globalsnapstreams/{}/", made["id"]);
    let task = format!("/api/vtasks/{}/", made["async_task"]["id"]);
    vms.call("PATCH", &task, &json!({ "state": "FAILED" })).await.ok();
    assert_eq!(vms.get(&path).await.json()["status"]["state"], "FAILED");
    let gone = vms.call("DELETE", &format!("/api/snapshots/{}/", kept["id"]), &Value::Null).await;
    assert_eq!(gone.status, 204, "nobody reads from it any more");
    vms.call("PATCH", &format!("{path}resume"), &Value::Null).await.ok();
    cluster.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(vms.get(&path).await.json()["status"]["state"], "FINISHED");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_can_be_read_before_its_stream_begins_and_locks_are_respected() {
    let (cluster, _, s3, vms) = start(frozen()).await;
    s3.put("/data/a", pattern(1, 10)).await.ok();
    let kept = snapshot(&vms, json!({ "name": "s", "path": "/data/" })).await;
    let body =
        json!({ "name": "c", "loanee_root_path": "/c", "loanee_snapshot_id": kept["id"], "enabled": false });
    let made = vms.post("/api/globalsnapstreams/", body).await.ok().json();
    assert_eq!((&made["status"]["state"], &made["state"]), (&json!("PAUSED"), &json!("Suspended")));
    assert_eq!(made["async_task"], Value::Null);
    let view = json!({ "path": "/c", "policy_id": 2, "protocols": ["S3"], "bucket": "clone", "bucket_owner": "data-owner",
        "locking": true, "s3_versioning": true });
    vms.post("/api/views/", view).await.ok();
    assert_eq!(s3.get("/clone/a").await.ok().body, pattern(1, 10));
    let hold = "<LegalHold><Status>ON</Status></LegalHold>";
    s3.send("PUT", "/clone/a?legal-hold", &[], hold).await.ok();
    let path = format!("/api/globalsnapstreams/{}/", made["id"]);
    let refused = vms.call("DELETE", &path, &json!({ "remove_dir": true })).await;
    assert!(refused.status == 400 && refused.text().contains("locked"), "{}", refused.text());
    vms.call("PATCH", "/api/clusters/1/", &json!({ "enable_trash": true })).await.ok();
    cluster.advance(Duration::from_secs(1)).unwrap();
    let refused = vms.call("DELETE", "/api/folders/delete_folder/", &json!({ "path": "/c" })).await;
    assert!(refused.status == 400 && refused.text().contains("locked"), "{}", refused.text());
    s3.send("PUT", "/clone/a?legal-hold", &[], hold.replace("ON", "OFF")).await.ok();
    vms.call("DELETE", &path, &json!({ "remove_dir": true })).await.ok();
    cluster.advance(Duration::from_secs(1)).unwrap();
    s3.get("/clone/a").await.is(404, "NoSuchKey");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_of_snapshots_can_be_listed() {
    let (cluster, p, s3, vms) = start(Config::default()).await;
    s3.put("/data/dir/a", pattern(1, 100)).await.ok();
    s3.put("/data/b", pattern(2, 10)).await.ok();
    cluster.create_bucket("other", "data-owner").unwrap();
    s3.put("/other/c", pattern(3, 1)).await.ok();
    snapshot(&vms, json!({ "name": "n2", "path": "/data/" })).await;
    snapshot(&vms, json!({ "name": "n1", "path": "/data/dir" })).await;
    // One of a parent of several views.
    snapshot(&vms, json!({ "name": "root", "path": "/" })).await;
    let list = async |bucket: &str, query: &str| {
        let listed = s3.get(&format!("/{bucket}?list-type=2&{query}")).await.ok();
        let mut prefixes = listed.between("<CommonPrefixes><Prefix>", "</Prefix>");
        prefixes.extend(listed.between("<Key>", "</Key>"));
        prefixes
    };
    assert_eq!(list("data", "prefix=.snapshot/&delimiter=/").await, [".snapshot/n2/", ".snapshot/root/"]);
    assert_eq!(list("other", "prefix=.snapshot/&delimiter=/").await, [".snapshot/root/"]);
    let nested = ["dir/.snapshot/n1/", "dir/.snapshot/n2/", "dir/.snapshot/root/"];
    assert_eq!(list("data", "prefix=dir/.snapshot/&delimiter=/").await, nested);
    assert_eq!(list("data", "prefix=dir/.snapshot/n&delimiter=/").await, nested[..2]);
    let keys = [".snapshot/n2/b", ".snapshot/n2/dir/a", ".snapshot/root/b", ".snapshot/root/dir/a"];
    assert_eq!(list("data", "prefix=.snapshot/").await, keys);
    assert_eq!(list("data", "prefix=.snapshot/&start-after=.snapshot/n2/b&max-keys=2").await, keys[1..3]);
    assert_eq!(
        list("data", "prefix=.snapshot/&delimiter=/&start-after=.snapshot/n2/").await,
        [".snapshot/root/"]
    );
    let page = s3.get("/data?list-type=2&prefix=.snapshot/&delimiter=/&max-keys=1").await.ok();
    let token = page.between("<NextContinuationToken>", "</NextContinuationToken>").remove(0);
    let rest = format!("prefix=.snapshot/&delimiter=/&continuation-token={token}");
    assert_eq!(list("data", &rest).await, [".snapshot/root/"]);
    for none in ["prefix=.snapshot/n9/", "prefix=x.snapshot/", "prefix=.snapshot/n9&delimiter=/"] {
        assert_eq!(list("data", none).await, [""; 0], "{none}");
    }
    assert_eq!(s3.get("/other/.snapshot/root/c").await.ok().body, pattern(3, 1));
    assert_eq!(s3.get("/data/dir/.snapshot/root/a").await.ok().body, pattern(1, 100));
    // Three snapshots and two views over 111 bytes.
    assert_eq!(physical(&vms).await, 111);

    // What a snapshot keeps outlives the view, and the files.
    let force = format!("/api/views/{}/?force=true", p.view_id);
    assert_eq!(vms.call("DELETE", &force, &Value::Null).await.status, 204);
    vms.call("PATCH", "/api/clusters/1/", &json!({ "enable_trash": true })).await.ok();
    cluster.advance(Duration::from_secs(1)).unwrap();
    vms.call("DELETE", "/api/folders/delete_folder/", &json!({ "path": "/data" })).await.ok();
    cluster.create_bucket("data", "data-owner").unwrap();
    assert_eq!(list("data", "").await, [""; 0]);
    assert_eq!(s3.get("/data/.snapshot/n2/b").await.ok().body, pattern(2, 10));
    assert_eq!(physical(&vms).await, 111);
    cluster.stop().await;
}
