//! Quality of service: limits are in force, for whom they are meant, and take exactly as long as they say. The clock is
//! the simulated runtime's and the network is in memory, so nothing but a limit takes time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::{Clock, Cluster, Config, Provisioned};

use crate::client::{Reply, S3, pattern, start_with};
use crate::memory::Memory;

#[derive(Clone)]
struct Site {
    cluster: Arc<Cluster>,
    clock: Arc<dyn Clock>,
    network: Memory,
    p: Provisioned,
    s3: S3,
}

async fn start() -> Site {
    let network = Memory::default();
    let config = Config { network: Arc::new(network.clone()), ..Config::default() };
    let clock = Arc::clone(&config.clock);
    let (cluster, p, s3) = start_with(config, None).await;
    Site { cluster: Arc::new(cluster), clock, network, p, s3 }
}

impl Site {
    fn vms(&self, method: &str, path: &str, body: &Value) -> Value {
        self.cluster.vms(method, path, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    fn policy(&self, body: &Value) -> u64 {
        let mut all = json!({ "name": format!("q{}", self.vms("GET", "qospolicies", &Value::Null).as_array().unwrap().len()) });
        all.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        self.vms("POST", "qospolicies", &all)["id"].as_u64().unwrap()
    }

    /// Puts the view under a policy.
    fn limit(&self, policy: &Value) -> u64 {
        let id = self.policy(policy);
        self.vms("PATCH", &format!("views/{}", self.p.view_id), &json!({ "qos_policy_id": id }));
        id
    }

    /// A user beside the first one, who may do the same.
    fn second(&self) -> S3 {
        let user = self.vms("POST", "users", &json!({ "name": "second", "uid": 77, "s3_superuser": true }));
        let keys = self.vms("POST", &format!("users/{}/access_keys", user["id"]), &json!({}));
        S3 { keys: serde_json::from_value(keys).unwrap(), ..self.s3.clone() }
    }

    async fn put(&self, path: &str, len: usize) -> Reply {
        self.put_as(&self.s3, path, len).await
    }

    async fn put_as(&self, s3: &S3, path: &str, len: usize) -> Reply {
        self.network.send(s3, "PUT", path, &[], pattern(1, len)).await.ok()
    }

    async fn get(&self, path: &str) -> Reply {
        self.network.send(&self.s3, "GET", path, &[], "").await.ok()
    }

    /// Milliseconds on the cluster's clock until something is done.
    async fn takes<T>(&self, work: impl Future<Output = T>) -> u128 {
        let start = self.clock.now();
        work.await;
        self.clock.now().duration_since(start).unwrap().as_millis()
    }

    fn waited(&self, section: &str, prefix: &str, label: &str) -> u64 {
        let text = self.vms("GET", &format!("prometheusmetrics/{section}"), &Value::Null);
        let name = format!("vast_{prefix}_qos_wait_for_budget_time_sum{{");
        let text = text.as_str().unwrap().to_owned();
        let line = text.lines().find(|l| l.starts_with(&name) && l.contains(label));
        line.unwrap_or_else(|| panic!("{name} {label}")).rsplit_once(' ').unwrap().1.parse().unwrap()
    }
}

/// A time as predicted: timers have a resolution of a millisecond, and bytes pass in sips of 64 KiB that each wait for
/// one.
#[track_caller]
fn lasts(took: u128, expected: u128, bytes: usize) {
    let sips = bytes.div_ceil(64 << 10) as u128;
    assert!((expected..=expected + sips + 1).contains(&took), "{took} ms instead of {expected}");
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_limited_in_each_direction_and_for_the_view_only() {
    let site = start().await;
    site.cluster.create_bucket("free", "data-owner").unwrap();
    let limits = json!({ "static_limits": { "max_writes_bw_mbps": 1, "max_reads_bw_mbps": 2 } });
    let policy = site.limit(&limits);
    let len = 3_000_000;
    lasts(site.takes(site.put("/data/a", len)).await, 3_000, len);
    lasts(site.takes(site.get("/data/a")).await, 1_500, len);
    assert_eq!(site.get("/data/a").await.body, pattern(1, len));
    // Two at a time share it.
    let both = async { tokio::join!(site.put("/data/b", 1_000_000), site.put("/data/c", 1_000_000)) };
    lasts(site.takes(both).await, 2_000, 2_000_000);
    lasts(site.takes(site.put("/free/a", len)).await, 0, 0);
    lasts(site.takes(site.get("/free/a")).await, 0, 0);
    site.vms("PATCH", &format!("qospolicies/{policy}"), &json!({ "static_limits": {} }));
    lasts(site.takes(site.put("/data/d", len)).await, 0, 0);
    site.cluster.vms("DELETE", &format!("qospolicies/{policy}"), &Value::Null).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn bursts_pass_and_requests_wait_for_their_turn() {
    let site = start().await;
    let limits = json!({ "max_reads_iops": 2, "burst_reads_iops": 3, "max_writes_bw_mbps": 1, "burst_writes_bw_mb": 2 });
    site.limit(&json!({ "static_limits": limits }));
    let heads = async {
        for _ in 0..7 {
            site.network.send(&site.s3, "HEAD", "/data/none", &[], "").await;
        }
    };
    // Three at once, then one every half second.
    lasts(site.takes(heads).await, 2_000, 0);
    assert_eq!(site.waited("views", "view_metrics_ViewMetrics", "path=\"/data\""), 2_000_000);
    lasts(site.takes(site.put("/data/a", 2_000_000)).await, 0, 0);
    lasts(site.takes(site.put("/data/a", 1_000_000)).await, 1_000, 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn data_counts_as_the_ios_that_its_bytes_make() {
    let site = start().await;
    site.limit(&json!({ "static_limits": { "max_writes_iops": 8, "max_reads_iops": 16 } }));
    // Sixteen of 64 KiB, the first of which passes at once.
    let len = 1 << 20;
    lasts(site.takes(site.put("/data/a", len)).await, 1_875, 0);
    // tidy: time is simulated here, nothing waits
    tokio::time::sleep(Duration::from_secs(1)).await;
    lasts(site.takes(site.get("/data/a")).await, 937, 1);
    // tidy: time is simulated here, nothing waits
    tokio::time::sleep(Duration::from_secs(1)).await;
    let small = async {
        for n in 0..5 {
            site.put(&format!("/data/{n}"), 10).await;
        }
    };
    lasts(site.takes(small).await, 500, 0);
}

#[tokio::test(start_paused = true)]
async fn users_are_limited_by_the_policies_that_name_them() {
    let site = start().await;
    let second = site.second();
    let named =
        json!([{ "name": "o", "fqdn": "", "identifier_type": "username", "identifier_value": "data-owner" }]);
    let named = json!({ "policy_type": "USER", "attached_users": named, "static_limits": { "max_writes_bw_mbps": 1 } });
    let named = site.policy(&named);
    let len = 1_000_000;
    lasts(site.takes(site.put("/data/a", len)).await, 1_000, len);
    lasts(site.takes(site.put_as(&second, "/data/b", len)).await, 0, 0);
    // What is signed in the query has a user as well.
    lasts(site.takes(site.get("/data/a")).await, 0, 0);
    let query = format!("users/query?username={}", "data-owner");
    let shown = site.vms("GET", &query, &Value::Null)["user_qos_policies"].clone();
    assert_eq!(shown[0]["id"], named);
    let fallback =
        json!({ "policy_type": "USER", "is_default": true, "static_limits": { "max_writes_bw_mbps": 4 } });
    site.policy(&fallback);
    // Each has a budget of its own.
    let both = async { tokio::join!(site.put("/data/c", len), site.put_as(&second, "/data/d", len)) };
    lasts(site.takes(both).await, 1_000, len);
    lasts(site.takes(site.put_as(&second, "/data/e", len)).await, 250, len);
    // Two times a quarter of a second, each sip's wait in whole microseconds.
    let waited = site.waited("users", "user_metrics_UserMetrics", "name=\"second\"");
    assert!((499_900..=500_000).contains(&waited), "{waited}");
    // A view's limit holds beside a user's.
    site.limit(&json!({ "static_limits": { "max_writes_bw_mbps": 2 } }));
    lasts(site.takes(site.put_as(&second, "/data/e", len)).await, 500, len);
    lasts(site.takes(site.put("/data/e", len)).await, 1_000, len);
    let mut another = fallback;
    another["name"] = "another".into();
    site.cluster.vms("POST", "qospolicies", &another).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn tenants_and_the_cluster_have_limits_too() {
    let site = start().await;
    let len = 2_000_000;
    let limits = |mbps| json!({ "qos": { "static_limits": { "max_writes_bw_mbps": mbps, "nonsense": 1 } } });
    let tenant = site.vms("PATCH", "tenants/1", &limits(1));
    assert_eq!(tenant["qos"]["static_limits"]["nonsense"], Value::Null);
    lasts(site.takes(site.put("/data/a", len)).await, 2_000, len);
    site.vms("PATCH", "tenants/1", &json!({ "qos": null }));
    lasts(site.takes(site.put("/data/a", len)).await, 0, 0);
    site.vms("PATCH", "clusters/1", &limits(4));
    site.cluster.advance(Duration::from_secs(1)).unwrap();
    lasts(site.takes(site.put("/data/a", len)).await, 500, len);
    site.cluster.vms("PATCH", "tenants/1", &limits(-1)).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn limits_follow_used_and_provisioned_capacity() {
    let site = start().await;
    let len = 2_000_000;
    let per_gigabyte = json!({ "max_writes_bw_mbps_per_gb_capacity": 2 });
    let policy = site.limit(&json!({ "mode": "USED_CAPACITY", "capacity_limits": per_gigabyte }));
    lasts(site.takes(site.put("/data/a", len)).await, 1_000, len);
    // Copies take no time and count in full: with these the view holds three gigabytes.
    site.put("/data/big", 10_000_000).await;
    let copies = async {
        for n in 0..99 {
            let source = [("x-amz-copy-source", "/data/big")];
            site.network.send(&site.s3, "PUT", &format!("/data/{n}"), &source, "").await.ok();
        }
    };
    lasts(site.takes(copies).await, 0, 0);
    lasts(site.takes(site.put("/data/a", len)).await, 998, len);
    site.vms("PATCH", &format!("qospolicies/{policy}"), &json!({ "mode": "PROVISIONED_CAPACITY" }));
    let quota = json!({ "name": "q", "path": "/data", "soft_limit": 5_000_000_000_u64, "hard_limit": 90_000_000_000_u64 });
    site.vms("POST", "quotas", &quota);
    lasts(site.takes(site.put("/data/a", len)).await, 200, len);
    let bounded = json!({ "static_limits": { "max_writes_bw_mbps": 4 } });
    site.vms("PATCH", &format!("qospolicies/{policy}"), &bounded);
    lasts(site.takes(site.put("/data/a", len)).await, 500, len);
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_at_a_time_are_told_to_slow_down() {
    let site = start().await;
    site.limit(&json!({ "s3_connections_limit": 1, "static_limits": { "max_writes_bw_mbps": 1 } }));
    let held = site.clone();
    let first = tokio::spawn(async move { held.put("/data/a", 500_000).await });
    // tidy: time is simulated here, nothing waits
    tokio::time::sleep(Duration::from_millis(250)).await;
    let second = site.network.send(&site.s3, "GET", "/data/none", &[], "").await;
    assert_eq!((second.status.as_u16(), second.code().as_str()), (503, "SlowDown"));
    first.await.unwrap();
    site.network.send(&site.s3, "GET", "/data/none", &[], "").await.is(404, "NoSuchKey");
    let metrics = site.vms("GET", "prometheusmetrics/views", &Value::Null);
    let refused = metrics.as_str().unwrap().lines().find(|l| {
        l.starts_with("vast_view_metrics_ViewMetrics_qos_failures{") && l.contains("path=\"/data\"")
    });
    assert!(refused.unwrap().ends_with(" 1"), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_refused_and_unknown_limits_are_dropped() {
    let site = start().await;
    for bad in [
        json!({ "name": "n", "static_limits": { "max_reads_bw_mbps": -1 } }),
        json!({ "name": "n", "static_limits": { "max_reads_bw_mbps": "fast" } }),
        json!({ "name": "n", "s3_connections_limit": -1 }),
        json!({ "name": "n", "mode": "SOMETIMES" }),
        json!({ "name": "n", "policy_type": "USER", "mode": "USED_CAPACITY" }),
        json!({ "name": "n", "is_default": true }),
        json!({ "name": "n", "policy_type": "USER", "attached_users": [{ "identifier_type": "mail", "identifier_value": "x" }] }),
        json!({ "name": "n", "policy_type": "USER", "attached_users": [{ "identifier_type": "uid" }] }),
        json!({ "mode": "STATIC" }),
    ] {
        let refused = site.cluster.vms("POST", "qospolicies", &bad).unwrap_err();
        assert_eq!(refused.status, 400, "{bad}");
    }
    let made = json!({ "name": "n", "static_limits": { "max_reads_iops": 4, "max_reads_ipos": 5 } });
    let made = site.vms("POST", "qospolicies", &made);
    let limits = made["static_limits"].as_object().unwrap();
    assert_eq!(
        (limits.len(), &limits["max_reads_iops"], &limits["burst_writes_bw_mb"]),
        (16, &json!(4), &json!(0))
    );
    assert_eq!((&made["io_size_bytes"], &made["capacity_limits"]), (&json!(65_536), &Value::Null));
    let users = site.policy(&json!({ "policy_type": "USER" }));
    let view = format!("views/{}", site.p.view_id);
    let refused = site.cluster.vms("PATCH", &view, &json!({ "qos_policy_id": users })).unwrap_err();
    assert_eq!(refused.status, 400);
}
