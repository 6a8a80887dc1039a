//! What waits for its time goes on waiting over a restart: schedules, tasks, grace periods, lifecycles, expiry.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use vast_sim::{Cluster, Config, SignatureRules, SimClock};

use crate::client::{S3, pattern};

const MINUTE: Duration = Duration::from_mins(1);

/// Starts the cluster in a directory, `minutes` after a given time; how far it was advanced before comes on top.
async fn start(dir: &Path, from: SystemTime, minutes: u32) -> Cluster {
    let clock = Arc::new(SimClock::frozen_at(from + minutes * MINUTE));
    // The clients' clock is the machine's.
    let signatures = SignatureRules { max_skew: None, ..SignatureRules::default() };
    let config = Config { data_dir: Some(dir.to_owned()), clock, signatures, ..Config::default() };
    Cluster::start(config).await.unwrap()
}

fn get(cluster: &Cluster, path: &str) -> Value {
    cluster.vms("GET", path, &Value::Null).unwrap()
}

fn names(cluster: &Cluster) -> Vec<String> {
    let all = get(cluster, "snapshots");
    all.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
}

/// A whole minute, so that names of snapshots can be predicted.
fn now() -> SystemTime {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds / 60 * 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_go_on_and_make_up_for_a_pause_with_one_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let from = now();
    let at = |minutes: u32| {
        let time: jiff::Timestamp = (from + minutes * MINUTE).try_into().unwrap();
        format!("auto_{time:.0}")
    };
    let cluster = start(dir.path(), from, 0).await;
    let p = cluster.provision("data", None).unwrap();
    S3::new(&cluster, &p.keys).put("/data/a", pattern(1, 1_000)).await.ok();
    let frames = json!([{ "every": "10m", "keep-local": "25m" }]);
    let policy = json!({ "name": "p", "clone_type": "LOCAL", "prefix": "auto", "frames": frames });
    let policy = cluster.create("protectionpolicies", &policy).unwrap();
    let path = json!({ "name": "pp", "source_dir": "/data", "target_exported_dir": "/t", "tenant_id": 1,
        "protection_policy_id": policy["id"] });
    cluster.create("protectedpaths", &path).unwrap();
    cluster.advance(20 * MINUTE).unwrap();
    assert_eq!(names(&cluster), [at(10), at(20)]);
    cluster.stop().await;

    let cluster = start(dir.path(), from, 4).await;
    cluster.advance(Duration::ZERO).unwrap();
    assert_eq!(names(&cluster), [at(10), at(20)], "nothing was due");
    S3::new(&cluster, &p.keys).delete("/data/a").await.ok();
    cluster.stop().await;

    // Due at 30 and 40; the first two expired at 35 and 45.
    let cluster = start(dir.path(), from, 26).await;
    cluster.advance(Duration::ZERO).unwrap();
    assert_eq!(names(&cluster), [at(46)]);
    let s3 = S3::new(&cluster, &p.keys);
    s3.get(&format!("/data/.snapshot/{}/a", at(20).replace(':', "%3A"))).await.is(404, "NoSuchKey");
    cluster.advance(4 * MINUTE).unwrap();
    assert_eq!(names(&cluster), [at(46), at(50)]);
    assert_eq!(get(&cluster, "clusters/1")["physical_space_in_use"], 0, "the last to hold the bytes is gone");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_grace_lifecycles_and_alarms_survive() {
    let dir = tempfile::tempdir().unwrap();
    let from = now();
    let cluster = start(dir.path(), from, 0).await;
    let p = cluster.provision("data", None).unwrap();
    let s3 = S3::new(&cluster, &p.keys);
    s3.put("/data/a", pattern(1, 2_000)).await.ok();
    let quota = json!({ "name": "q", "path": "/data", "soft_limit": 1_000, "grace_period": "1h" });
    let quota = format!("quotas/{}", cluster.create("quotas", &quota).unwrap()["id"]);
    let rule = "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
        <Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
    s3.send("PUT", "/data?lifecycle", &[], rule).await.ok();
    let kept = cluster.create("snapshots", &json!({ "name": "s", "path": "/data" })).unwrap();
    let clone = json!({ "name": "c", "loanee_root_path": "/c" });
    let made = cluster.vms("POST", &format!("snapshots/{}/clone", kept["id"]), &clone).unwrap();
    let (stream, task) =
        (format!("globalsnapstreams/{}", made["id"]), format!("vtasks/{}", made["async_task"]["id"]));
    assert_eq!(get(&cluster, &stream)["status"]["state"], "IN_PROGRESS");
    assert_eq!(get(&cluster, &quota)["state"], "SOFT_EXCEEDED");
    cluster.stop().await;

    let cluster = start(dir.path(), from, 30).await;
    cluster.advance(Duration::ZERO).unwrap();
    assert_eq!(
        (&get(&cluster, &stream)["status"]["state"], &get(&cluster, &task)["state"]),
        (&json!("FINISHED"), &json!("COMPLETED"))
    );
    let shown = get(&cluster, &quota);
    assert_eq!((&shown["state"], &shown["time_to_block"]), (&json!("SOFT_EXCEEDED"), &json!("00:30:00")));
    assert_eq!(get(&cluster, "alarms")[0]["event_name"], "QUOTA_SOFT_EXCEEDED");
    S3::new(&cluster, &p.keys).put("/data/b", "x").await.ok();
    cluster.stop().await;

    let cluster = start(dir.path(), from, 61).await;
    cluster.advance(Duration::ZERO).unwrap();
    let s3 = S3::new(&cluster, &p.keys);
    assert_eq!(get(&cluster, &quota)["state"], "GRACE_EXPIRED");
    s3.put("/data/c", "x").await.is(403, "QuotaExceeded");
    assert_eq!(get(&cluster, "alarms")[0]["event_name"], "QUOTA_GRACE_EXPIRED");
    cluster.stop().await;

    let cluster = start(dir.path(), from, 3 * 24 * 60).await;
    cluster.advance(MINUTE).unwrap();
    assert_eq!(cluster.raw_state().bucket("data").unwrap().objects.len(), 0, "the rule was carried out");
    assert_eq!((&get(&cluster, &quota)["state"], &get(&cluster, "alarms")), (&json!("OK"), &json!([])));
    assert_eq!(get(&cluster, "clusters/1")["physical_space_in_use"], 2_000, "snapshot and clone hold it");
    cluster.stop().await;
}
