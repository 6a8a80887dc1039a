//! Injected faults: each does what it says, to the requests it names, as often as it counts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vast_sim::{Cluster, Config, Effect, Fault};

use crate::client::{Vms, pattern, start};

fn slow_down() -> Effect {
    Effect::Error { status: 503, code: "SlowDown".to_owned(), message: "please".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_hit_what_they_name() {
    let (cluster, _, s3) = start().await;
    let id = cluster
        .faults()
        .add(Fault::s3(slow_down()).on("PutObject").bucket("data").key_prefix("img/").times(2))
        .unwrap();
    s3.put("/data/doc", "x").await.ok();
    s3.put("/data/img/1", pattern(1, 20_000_000)).await.is(503, "SlowDown");
    s3.get("/data/img/1").await.is(404, "NoSuchKey");
    let told = s3.put("/data/img/1", "x").await.is(503, "SlowDown");
    assert_eq!(told.between("<Message>", "</Message>"), ["please"]);
    s3.put("/data/img/1", "x").await.ok();
    let status = &cluster.faults().list()[0];
    assert_eq!((status.id, status.seen, status.hits), (id, 3, 2));
    assert!(cluster.faults().remove(id) && !cluster.faults().remove(id));
    let second = cluster.s3_urls()[1].clone();
    cluster.faults().add(Fault::s3(slow_down()).vip("127.0.0.12")).unwrap();
    s3.get("/data/doc").await.ok();
    s3.on(&second).get("/data/doc").await.is(503, "SlowDown");
    cluster.faults().clear();
    s3.on(&second).get("/data/doc").await.ok();
    let silent = Effect::Error { status: 500, code: "InternalError".to_owned(), message: String::new() };
    cluster.faults().add(Fault::s3(silent).times(1)).unwrap();
    let told = s3.get("/data/doc").await.is(500, "InternalError");
    assert!(told.text().contains("<Message>We encountered an internal error"), "{}", told.text());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_and_lost_answers() {
    let (cluster, _, s3) = start().await;
    let exists = |key: &str| cluster.raw_state().bucket("data").unwrap().object(key).is_some();
    for (effect, stored) in
        [(Effect::ResetBeforeBody, false), (Effect::ResetAfterBody, false), (Effect::AnswerLost, true)]
    {
        cluster.faults().clear();
        cluster.reset_counters();
        cluster.faults().add(Fault::s3(effect.clone()).on("PutObject").times(1)).unwrap();
        let key = format!("{effect:?}");
        let error =
            s3.try_send("PUT", &format!("/data/{key}"), &[], pattern(1, 3_000_000)).await.unwrap_err();
        assert!(format!("{error:?}").contains("ConnectionReset"), "{effect:?}: {error:?}");
        assert_eq!(exists(&key), stored, "{effect:?}");
        assert_eq!(cluster.counters().operation("PutObject").errors, 1);
        s3.put(&format!("/data/{key}"), "again").await.ok();
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_is_corrupted() {
    let (cluster, _, s3) = start().await;
    let data = pattern(3, 1_000_000);
    s3.put("/data/k", data.clone()).await.ok();
    cluster
        .faults()
        .add(Fault::s3(Effect::CorruptBody { offset: 777_777 }).on("GetObject").skip(1).times(1))
        .unwrap();
    assert_eq!(s3.get("/data/k").await.ok().body, data);
    let bad = s3.get("/data/k").await.ok().body;
    let differing: Vec<usize> = (0..data.len()).filter(|i| bad[*i] != data[*i]).collect();
    assert_eq!(differing, [777_777]);
    assert_eq!(s3.get("/data/k").await.ok().body, data);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_run_on_the_clusters_clock_and_combine() {
    let clock = Arc::new(vast_sim::SimClock::frozen_at(std::time::SystemTime::now()));
    let config = Config { clock, ..Config::default() };
    let (cluster, _, s3) = crate::client::start_with(config, None).await;
    cluster.faults().add(Fault::s3(Effect::Delay { millis: 3_600_000 }).times(1)).unwrap();
    cluster.faults().add(Fault::s3(slow_down()).times(1)).unwrap();
    let put = tokio::spawn(async move { s3.put("/data/k", "x").await });
    while cluster.faults().hits() == 0 {
        tokio::task::yield_now().await;
    }
    cluster.advance(Duration::from_millis(3_599_999)).unwrap();
    assert!(!put.is_finished());
    // The request may not have gone to sleep yet: its hour starts when it does.
    while !put.is_finished() {
        cluster.advance(Duration::from_mins(1)).unwrap();
        tokio::task::yield_now().await;
    }
    put.await.unwrap().is(503, "SlowDown");
    let log: Vec<u64> = cluster.faults().log().iter().map(|h| h.fault_id).collect();
    assert_eq!(log, [1, 2]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_management_side_fails_alone() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    let pair =
        vms.post("/api/token/", json!({ "username": "admin", "password": "123456" })).await.ok().json();
    let bearer = vms.with(format!("Bearer {}", pair["access"].as_str().unwrap()));

    cluster.faults().add(Fault::vms(Effect::TokenExpired).times(1)).unwrap();
    vms.post("/api/token/", json!({ "username": "admin", "password": "123456" })).await.ok();
    assert!(bearer.get("/api/views/").await.text().contains("Token is invalid or expired"));
    bearer.get("/api/views/").await.ok();

    let down = cluster.faults().add(Fault::vms(Effect::ResetBeforeBody)).unwrap();
    let error = bearer.try_send("GET", "/api/views/", "").await.unwrap_err();
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    s3.put("/data/k", "x").await.ok();
    assert_eq!(
        vms.call("DELETE", &format!("/sim/v1/faults/{down}"), &serde_json::Value::Null).await.status,
        204
    );
    bearer.get("/api/views/").await.ok();

    cluster.faults().add(Fault::vms(Effect::AnswerLost).on("POST users").times(1)).unwrap();
    bearer.try_send("POST", "/api/users/", json!({ "name": "ghost" }).to_string()).await.unwrap_err();
    assert_eq!(bearer.get("/api/users/?name=ghost").await.json().as_array().unwrap().len(), 1);
    cluster.faults().add(Fault::vms(slow_down()).on("GET quotas").times(1)).unwrap();
    let refused = bearer.get("/api/quotas/").await;
    assert_eq!((refused.status.as_u16(), refused.json()), (503, json!({ "detail": "please" })));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_managed_over_rest() {
    let cluster = Cluster::start(Config::default()).await.unwrap();
    let vms = Vms::new(&cluster);
    let fault = json!({ "operations": ["PutObject"], "count": 2, "effect": { "type": "error", "status": 503, "code": "SlowDown" } });
    let added = vms.post("/sim/v1/faults", fault).await;
    assert_eq!((added.status.as_u16(), added.json()), (201, json!({ "id": 1, "warnings": [] })));
    assert_eq!(
        cluster.faults().list()[0].fault,
        Fault::s3(Effect::Error { status: 503, code: "SlowDown".to_owned(), message: String::new() })
            .on("PutObject")
            .times(2)
    );
    assert_eq!(vms.get("/sim/v1/faults").await.json()[0]["hits"], 0);
    for bad in [
        json!({}),
        json!({ "effect": { "type": "explode" } }),
        json!({ "effect": { "type": "answer_lost" }, "oops": 1 }),
        json!({ "effect": { "type": "answer_lost" }, "operations": ["PutObjects"] }),
        json!({ "effect": { "type": "answer_lost" }, "plane": "vms", "operations": ["GET view"] }),
    ] {
        let refused = vms.post("/sim/v1/faults", bad.clone()).await;
        assert_eq!(refused.status, 400, "{bad}");
        assert!(refused.text().contains("bad fault"));
    }
    assert_eq!(vms.call("DELETE", "/sim/v1/faults/7", &serde_json::Value::Null).await.status, 404);
    assert_eq!(vms.call("DELETE", "/sim/v1/faults", &serde_json::Value::Null).await.status, 204);
    assert_eq!(cluster.faults().list(), []);

    // What does not exist may come later: that is said, not refused.
    let early = json!({ "bucket": "dta", "vip": "127.0.0.99", "cnode": "cnode-9", "effect": { "type": "answer_lost" } });
    let added = vms.post("/sim/v1/faults", early).await.ok().json();
    let told = ["no bucket dta yet", "no VIP 127.0.0.99 yet", "no CNode cnode-9 yet"];
    let warnings: Vec<&str> =
        added["warnings"].as_array().unwrap().iter().filter_map(|w| w.as_str()).collect();
    assert!(warnings.len() == 3 && warnings.iter().zip(told).all(|(w, t)| w.contains(t)), "{warnings:?}");
    let moved = Fault::s3(Effect::VipMoved { to: "cnode-3".to_owned() }).vip("127.0.0.11");
    assert!(cluster.fault_warnings(&moved)[0].contains("did you mean cnode-1?"));
    cluster.stop().await;
}
