//! Protection policies: snapshots appear when they are due, and go when their time is over.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use vast_sim::Cluster;

use crate::client::{S3, Vms, pattern, start_with};
use crate::metrics::frozen;

struct Site {
    cluster: Cluster,
    s3: S3,
    vms: Vms,
    start: SystemTime,
}

async fn start() -> Site {
    let config = frozen();
    let start = config.clock.now();
    let (cluster, _, s3) = start_with(config, None).await;
    let vms = Vms::new(&cluster);
    Site { cluster, s3, vms, start }
}

impl Site {
    fn at(&self, minutes: u64) -> String {
        let time: jiff::Timestamp = (self.start + Duration::from_mins(minutes)).try_into().unwrap();
        format!("{time:.0}")
    }

    async fn protect(&self, frames: Value) -> Value {
        let policy = json!({ "name": "p", "clone_type": "LOCAL", "prefix": "auto", "frames": frames });
        let policy = self.vms.post("/api/protectionpolicies/", policy).await.ok().json();
        let path = json!({ "name": "pp", "source_dir": "/data", "target_exported_dir": "/target", "tenant_id": 1,
            "protection_policy_id": policy["id"] });
        self.vms.post("/api/protectedpaths/", path).await.ok().json()
    }

    async fn names(&self) -> Vec<String> {
        let list = self.vms.get("/api/snapshots/").await.ok().json();
        list.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_taken_and_expire_by_the_schedule() {
    let site = start().await;
    site.s3.put("/data/a", pattern(1, 100)).await.ok();
    let path = site.protect(json!([{ "every": "10m", "keep-local": "25m" }])).await;
    assert_eq!((&path["state"], &path["protection_policy_name"]), (&json!("Active"), &json!("p")));
    site.cluster.advance(Duration::from_mins(9)).unwrap();
    assert_eq!(site.names().await, [""; 0]);
    site.cluster.advance(Duration::from_mins(1)).unwrap();
    let name = |minutes: u64| format!("auto_{}", site.at(minutes));
    assert_eq!(site.names().await, [name(10)]);
    // One step of half an hour leaves what half an hour leaves: taken at 20, 30 and 40, the first gone at 35.
    site.cluster.advance(Duration::from_mins(30)).unwrap();
    assert_eq!(site.names().await, [name(20), name(30), name(40)]);
    let kept = site.vms.get("/api/snapshots/").await.json();
    assert_eq!(kept[2]["protection_policy"], "p");
    assert_eq!(kept[2]["expiration_time"].as_str().unwrap()[..16], site.at(65)[..16]);
    let shown = site.vms.get(&format!("/api/protectedpaths/{}/", path["id"])).await.json();
    assert_eq!(shown["last_snapshot_creation_time"].as_str().unwrap()[..16], site.at(40)[..16]);

    let patch = async |action: &str| {
        site.vms
            .call("PATCH", &format!("/api/protectedpaths/{}/{action}", path["id"]), &Value::Null)
            .await
            .ok()
            .json()
    };
    assert_eq!(patch("pause").await["state"], "Suspended");
    site.cluster.advance(Duration::from_hours(1)).unwrap();
    assert_eq!(site.names().await, [""; 0]);
    patch("resume").await;
    site.cluster.advance(Duration::from_mins(10)).unwrap();
    assert_eq!(site.names().await, [name(110)]);
    let now = json!({ "time_expires_local": "5m", "time_expires_target": "5m" });
    site.cluster.advance(Duration::from_mins(1)).unwrap();
    let replicate = format!("/api/protectedpaths/{}/replicate_now/", path["id"]);
    site.vms.call("PATCH", &replicate, &now).await.ok();
    assert_eq!(site.names().await, [name(110), name(111)]);
    site.cluster.advance(Duration::from_mins(6)).unwrap();
    assert_eq!(site.names().await, [name(110)]);
    site.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_share_snapshots_and_start_when_told() {
    let site = start().await;
    site.s3.put("/data/a", "x").await.ok();
    let start_at = site.at(5).replace('T', " ").replace('Z', "");
    site.protect(json!([
        { "every": "1h", "keep-local": "2h", "start-at": start_at },
        { "every": "1D", "keep-local": "1W", "start-at": start_at },
    ]))
    .await;
    site.cluster.advance(Duration::from_hours(7 * 24) + Duration::from_mins(1)).unwrap();
    // Of a week: seven daily ones, the one after seven days not yet due, and the hourly ones of the last two hours.
    let list = site.vms.get("/api/snapshots/").await.json();
    assert_eq!(list.as_array().unwrap().len(), 7 + 2, "{:?}", site.names().await);
    site.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_can_be_put_back_and_bad_schedules_are_refused() {
    let site = start().await;
    site.s3.put("/data/a", pattern(1, 100)).await.ok();
    let path = site.protect(json!([])).await;
    let replicate = format!("/api/protectedpaths/{}/replicate_now/", path["id"]);
    let made = site.vms.call("PATCH", &replicate, &json!({})).await.ok().json();
    site.s3.put("/data/a", "spoilt").await.ok();
    site.s3.put("/data/b", "new").await.ok();
    let body = json!({ "name": "back", "loanee_snapshot_id": made["snapshot_id"] });
    let restored =
        site.vms.post(&format!("/api/protectedpaths/{}/restore", path["id"]), body).await.ok().json();
    assert!(restored["async_task"]["id"].is_number());
    assert_eq!(site.s3.get("/data/a").await.ok().body, pattern(1, 100));
    site.s3.get("/data/b").await.is(404, "NoSuchKey");

    for frames in [
        json!([{ "every": "often" }]),
        json!([{ "keep-local": "1D" }]),
        json!([{ "every": "1D", "start-at": "later" }]),
    ] {
        let policy = json!({ "name": "q", "clone_type": "LOCAL", "prefix": "x", "frames": frames });
        assert_eq!(site.vms.post("/api/protectionpolicies/", policy).await.status, 400, "{frames}");
    }
    let without = json!({ "name": "q", "clone_type": "LOCAL", "prefix": "x" });
    site.vms.post("/api/protectionpolicies/", without).await.ok();
    let nowhere =
        json!({ "name": "n", "source_dir": "/nowhere", "target_exported_dir": "/target", "tenant_id": 1 });
    assert_eq!(site.vms.post("/api/protectedpaths/", nowhere).await.status, 400);
    let policies = site.vms.get("/api/protectionpolicies/?name=p").await.json();
    let in_use = site
        .vms
        .call("DELETE", &format!("/api/protectionpolicies/{}/", policies[0]["id"]), &Value::Null)
        .await;
    assert!([400, 409].contains(&in_use.status.as_u16()), "{}", in_use.status);
    site.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_in_one_jump_is_bounded_and_leaves_what_a_year_leaves() {
    let site = start().await;
    site.s3.put("/data/a", "x").await.ok();
    site.protect(json!([{ "every": "1m", "keep-local": "1h" }, { "every": "1D", "keep-local": "3D" }])).await;
    let started = std::time::Instant::now();
    let year = Duration::from_hours(365 * 24);
    site.cluster.advance(year).unwrap();
    // Every minute of the last hour; of the daily ones those of the last three days, one of which is also the last
    // minute's.
    let minutes = 365 * 24 * 60;
    let mut expected: Vec<String> =
        [2, 1].iter().map(|day| format!("auto_{}", site.at(minutes - day * 24 * 60))).collect();
    expected.extend((0..60).rev().map(|back| format!("auto_{}", site.at(minutes - back))));
    assert_eq!(site.names().await, expected);
    // Without bounds this takes hours.
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    site.cluster.advance(Duration::from_mins(1)).unwrap();
    assert_eq!(site.names().await.last().unwrap(), &format!("auto_{}", site.at(minutes + 1)));
    site.cluster.stop().await;
}
