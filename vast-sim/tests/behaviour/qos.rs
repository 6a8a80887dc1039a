//! Quality of service: limits are in force, on the cluster's clock, for whom they are meant.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::{Clock, Cluster, Config};

use crate::client::{S3, Vms, pattern, start_with};
use crate::metrics::frozen;

struct Site {
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    s3: S3,
    vms: Vms,
    view: u64,
}

async fn start() -> Site {
    let config: Config = frozen();
    let clock = Arc::clone(&config.clock);
    let (cluster, provisioned, s3) = start_with(config, None).await;
    let vms = Vms::new(&cluster);
    Site { cluster, clock, s3, vms, view: provisioned.view_id }
}

impl Site {
    async fn limit(&self, policy: Value) -> Value {
        let mut body = json!({ "name": "q", "mode": "STATIC" });
        body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
        let policy = self.vms.post("/api/qospolicies/", body).await.ok().json();
        let view = format!("/api/views/{}/", self.view);
        self.vms.call("PATCH", &view, &json!({ "qos_policy_id": policy["id"] })).await.ok();
        policy["id"].clone()
    }

    /// Lets the clock go in small steps until the work is done; how long that took on it.
    async fn takes<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> (T, Duration) {
        let start = self.clock.now();
        let mut work = tokio::spawn(work);
        loop {
            // Short naps let the work get as far as the clock allows; how long they are decides nothing.
            if let Ok(done) = tokio::time::timeout(Duration::from_millis(5), &mut work).await {
                return (done.unwrap(), self.clock.now().duration_since(start).unwrap());
            }
            self.cluster.advance(Duration::from_millis(50)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bandwidth_is_limited_in_each_direction_and_for_the_view_only() {
    let site = start().await;
    site.cluster.create_bucket("free", "data-owner").unwrap();
    let limits = json!({ "static_limits": { "max_writes_bw_mbps": 1, "max_reads_bw_mbps": 2 } });
    let policy = site.limit(limits).await;
    let s3 = site.s3.clone();
    let (_, took) = site.takes(async move { s3.put("/data/a", pattern(1, 3_000_000)).await.ok() }).await;
    assert!(took >= Duration::from_millis(2_900), "{took:?}");
    let s3 = site.s3.clone();
    let (got, took) = site.takes(async move { s3.get("/data/a").await.ok() }).await;
    assert_eq!(got.body, pattern(1, 3_000_000));
    assert!(took >= Duration::from_millis(1_400), "{took:?}");
    // Nobody moves the clock for these.
    site.s3.put("/free/a", pattern(2, 3_000_000)).await.ok();
    assert_eq!(site.s3.get("/free/a").await.ok().body.len(), 3_000_000);
    site.vms
        .call("PATCH", &format!("/api/qospolicies/{policy}/"), &json!({ "static_limits": {} }))
        .await
        .ok();
    site.s3.put("/data/b", pattern(3, 3_000_000)).await.ok();
    let in_use = site.vms.call("DELETE", &format!("/api/qospolicies/{policy}/"), &Value::Null).await;
    assert!([400, 409].contains(&in_use.status.as_u16()));
    site.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_per_second_are_limited_and_bursts_are_let_through() {
    let site = start().await;
    site.limit(json!({ "static_limits": { "max_reads_iops": 2, "burst_reads_iops": 3 } })).await;
    let s3 = site.s3.clone();
    let ((), took) = site
        .takes(async move {
            for _ in 0..7 {
                s3.head("/data/none").await;
            }
        })
        .await;
    // Three at once, then one every half second.
    assert!(took >= Duration::from_millis(1_900), "{took:?}");
    site.s3.put("/data/a", "writes are not limited").await.ok();
    let metrics = site.vms.get("/api/prometheusmetrics/views").await.text();
    let waited = metrics.lines().find(|l| {
        l.starts_with("vast_view_metrics_ViewMetrics_qos_wait_for_budget_time_sum") && l.contains("\"/data\"")
    });
    assert!(!waited.unwrap().ends_with(" 0"), "{waited:?}");
    site.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_at_a_time_are_told_to_slow_down() {
    let site = start().await;
    site.limit(json!({ "s3_connections_limit": 1, "static_limits": { "max_writes_bw_mbps": 1 } })).await;
    let s3 = site.s3.clone();
    let first = tokio::spawn(async move { s3.put("/data/a", pattern(1, 500_000)).await.ok() });
    // The first one holds its place as long as the clock stands still.
    loop {
        let second = site.s3.get("/data/none").await;
        if second.status == 503 {
            assert_eq!(second.code(), "SlowDown");
            break;
        }
        second.is(404, "NoSuchKey");
    }
    while !first.is_finished() {
        site.cluster.advance(Duration::from_millis(50)).unwrap();
        tokio::task::yield_now().await;
    }
    first.await.unwrap();
    let metrics = site.vms.get("/api/prometheusmetrics/views").await.text();
    let refused = metrics
        .lines()
        .find(|l| l.starts_with("vast_view_metrics_ViewMetrics_qos_failures") && l.contains("\"/data\""));
    assert!(!refused.unwrap().ends_with(" 0"), "{refused:?}");
    site.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_have_limits_too_and_nonsense_is_refused() {
    let site = start().await;
    let limits = json!({ "qos": { "static_limits": { "max_writes_bw_mbps": 1 } } });
    site.vms.call("PATCH", "/api/tenants/1/", &limits).await.ok();
    let s3 = site.s3.clone();
    let (_, took) = site.takes(async move { s3.put("/data/a", pattern(1, 2_000_000)).await.ok() }).await;
    assert!(took >= Duration::from_millis(1_900), "{took:?}");
    for bad in [
        json!({ "name": "n", "static_limits": { "max_reads_bw_mbps": -1 } }),
        json!({ "name": "n", "static_limits": { "max_reads_bw_mbps": "fast" } }),
        json!({ "name": "n", "s3_connections_limit": -1 }),
        json!({ "name": "n", "mode": "SOMETIMES" }),
        json!({ "mode": "STATIC" }),
    ] {
        assert_eq!(site.vms.post("/api/qospolicies/", bad.clone()).await.status, 400, "{bad}");
    }
    site.cluster.stop().await;
}
