//! Limits: refused before the body, refused again at the end, never exceeded by many writers at once.

use serde_json::json;
use vast_sim::{Config, QuotaAnswer};

use crate::client::{Vms, pattern, start_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_limit_holds_for_every_way_of_writing() {
    let config = Config { min_part_size: 1, ..Config::default() };
    let (cluster, _, s3) = start_with(config, Some(10_000)).await;
    s3.put("/data/a", pattern(1, 6_000)).await.ok();
    s3.put("/data/b", pattern(1, 4_001)).await.is(403, "QuotaExceeded");
    s3.put("/data/b", pattern(1, 30_000_000)).await.is(403, "QuotaExceeded");
    s3.put("/data/a", pattern(2, 10_000)).await.ok();
    s3.put("/data/a", pattern(3, 6_000)).await.ok();
    s3.send("PUT", "/data/c", &[("x-amz-copy-source", "/data/a")], "").await.is(403, "QuotaExceeded");
    let id = s3.create_upload("/data/m").await;
    let etag = s3.part("/data/m", &id, 1, pattern(4, 3_000)).await.ok().header("etag").to_owned();
    s3.part("/data/m", &id, 2, pattern(4, 1_001)).await.is(403, "QuotaExceeded");
    let ranged = [("x-amz-copy-source", "/data/a"), ("x-amz-copy-source-range", "bytes=0-1000")];
    s3.send("PUT", &format!("/data/m?partNumber=2&uploadId={id}"), &ranged, "")
        .await
        .is(403, "QuotaExceeded");
    s3.complete("/data/m", &id, &[(1, &etag)]).await.ok();
    s3.put("/data/rest", pattern(5, 1_000)).await.ok();
    s3.put("/data/more", "x").await.is(403, "QuotaExceeded");

    let vms = Vms::new(&cluster);
    let quota = vms.get("/api/quotas/1/").await.json();
    assert_eq!(
        (&quota["used_capacity"], &quota["state"], &quota["percent_capacity"]),
        (&json!(10_000), &json!("HARD_EXCEEDED"), &json!(100))
    );
    assert_eq!((&quota["used_inodes"], &quota["tenant_name"]), (&json!(3), &json!("default")));
    vms.call("PATCH", "/api/quotas/1/", &json!({ "hard_limit": 20_000, "soft_limit": 9_000 })).await.ok();
    s3.put("/data/more", pattern(6, 10)).await.ok();
    assert_eq!(vms.get("/api/quotas/1/").await.json()["state"], "SOFT_EXCEEDED");
    vms.call("PATCH", "/api/quotas/1/", &json!({ "soft_limit": 30_000 })).await.is(400, "");
    s3.delete("/data/a").await.ok();
    assert_eq!(vms.get("/api/quotas/1/").await.json()["used_capacity"], 4_010);
    assert_eq!(vms.call("DELETE", "/api/quotas/1/", &serde_json::Value::Null).await.status, 204);
    s3.put("/data/free", pattern(7, 100_000)).await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_cannot_exceed_it() {
    let (cluster, _, s3) = start_with(Config::default(), Some(100_000)).await;
    let writers: Vec<_> = (0..24)
        .map(|n: u64| {
            let s3 = s3.on(&cluster.s3_urls()[usize::try_from(n % 4).unwrap()]);
            tokio::spawn(
                async move { s3.put(&format!("/data/{n}"), pattern(n, 9_000)).await.status.as_u16() },
            )
        })
        .collect();
    let mut stored = 0;
    for writer in writers {
        match writer.await.unwrap() {
            200 => stored += 1,
            403 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!((stored, cluster.raw_state().bucket("data").unwrap().bytes), (11, 99_000));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_count_by_path_and_the_answer_is_a_setting() {
    let quota_answer = QuotaAnswer { status: 507, code: "InsufficientCapacity".to_owned() };
    let config = Config { quota_answer, capacity: 50_000, ..Config::default() };
    let (cluster, _, s3) = start_with(config, None).await;
    cluster.create_quota("/data/dir", 1_000).unwrap();
    cluster.create_quota("/dat", 1).unwrap();
    s3.put("/data/dir/a", pattern(1, 1_000)).await.ok();
    s3.put("/data/dir/b", "x").await.is(507, "InsufficientCapacity");
    s3.put("/data/directory", pattern(1, 40_000)).await.ok();
    s3.put("/data/over-the-cluster", pattern(1, 9_001)).await.is(507, "InsufficientCapacity");
    s3.put("/data/just-fits", pattern(1, 9_000)).await.ok();
    let inodes =
        cluster.create("quotas", &json!({ "name": "n", "path": "/data", "hard_limit_inodes": 3 })).unwrap();
    s3.put("/data/fourth", "").await.is(507, "InsufficientCapacity");
    s3.put("/data/just-fits", "").await.ok();
    assert_eq!(
        cluster.vms("GET", &format!("quotas/{}", inodes["id"]), &serde_json::Value::Null).unwrap()["state"],
        "INODE_HARD_EXCEEDED"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_limit_becomes_hard_when_grace_is_over() {
    let (cluster, _, s3) = start_with(crate::metrics::frozen(), None).await;
    let vms = Vms::new(&cluster);
    let body = json!({ "name": "q", "path": "/data", "soft_limit": 1_000, "hard_limit": 5_000, "grace_period": "1h" });
    let quota = vms.post("/api/quotas/", body).await.ok().json();
    assert_eq!((&quota["state"], &quota["pretty_grace_period"]), (&json!("OK"), &json!("1 hour")));
    let path = format!("/api/quotas/{}/", quota["id"]);
    let state = async || vms.get(&path).await.ok().json()["state"].as_str().unwrap().to_owned();
    let events = async || {
        let page = vms.get("/api/events/?event_type=THRESHOLD&ordering=id").await.json();
        let names =
            page["results"].as_array().unwrap().iter().map(|e| e["event_name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let alarms = async || {
        let list = vms.get("/api/alarms/").await.json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|a| a["event_name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    s3.put("/data/a", pattern(1, 1_500)).await.ok();
    let advance = |seconds| cluster.advance(std::time::Duration::from_secs(seconds)).unwrap();
    advance(1);
    assert_eq!(
        (state().await.as_str(), alarms().await),
        ("SOFT_EXCEEDED", vec!["QUOTA_SOFT_EXCEEDED".to_owned()])
    );
    advance(3_000);
    s3.put("/data/b", pattern(2, 100)).await.ok();
    let shown = vms.get(&path).await.json();
    assert!(shown["time_to_block"].as_str().unwrap().starts_with("00:09:5"), "{}", shown["time_to_block"]);
    advance(599);
    assert_eq!(state().await, "GRACE_EXPIRED");
    s3.put("/data/c", "x").await.is(403, "QuotaExceeded");
    s3.delete("/data/a").await.ok();
    advance(1);
    assert_eq!((state().await.as_str(), alarms().await), ("OK", vec![]));
    s3.put("/data/c", pattern(3, 4_900)).await.ok();
    advance(1);
    assert_eq!(
        (state().await.as_str(), alarms().await),
        ("HARD_EXCEEDED", vec!["QUOTA_HARD_EXCEEDED".to_owned()])
    );
    assert_eq!(
        events().await,
        ["QUOTA_SOFT_EXCEEDED", "QUOTA_GRACE_EXPIRED", "QUOTA_OK", "QUOTA_HARD_EXCEEDED"]
    );
    let bad = json!({ "grace_period": "a while" });
    assert_eq!(vms.call("PATCH", &path, &bad).await.status, 400);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_may_lag_while_limits_hold_at_once() {
    let monitoring =
        vast_sim::Monitoring { quota_lag: std::time::Duration::from_mins(1), ..Default::default() };
    let config = Config { monitoring, ..crate::metrics::frozen() };
    let (cluster, _, s3) = start_with(config, Some(10_000)).await;
    let vms = Vms::new(&cluster);
    let used = async || vms.get("/api/quotas/1/").await.ok().json()["used_capacity"].as_u64().unwrap();
    cluster.advance(std::time::Duration::from_mins(2)).unwrap();
    cluster.advance(std::time::Duration::from_secs(1)).unwrap();
    s3.put("/data/a", pattern(1, 10_000)).await.ok();
    assert_eq!(used().await, 0);
    s3.put("/data/b", "x").await.is(403, "QuotaExceeded");
    cluster.advance(std::time::Duration::from_mins(1)).unwrap();
    assert_eq!(used().await, 10_000);
    s3.delete("/data/a").await.ok();
    assert_eq!(used().await, 10_000);
    cluster.advance(std::time::Duration::from_mins(1)).unwrap();
    assert_eq!(used().await, 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_has_limits_of_its_own() {
    let (cluster, _, s3) = start_with(Config::default(), None).await;
    let rules = json!({ "capacity_rules": { "hard_limit": 1_000 } });
    cluster.vms("PATCH", "tenants/1", &rules).unwrap();
    s3.put("/data/a", pattern(1, 1_000)).await.ok();
    s3.put("/data/b", "x").await.is(403, "QuotaExceeded");
    cluster.stop().await;
}
