//! Faults that were added over time: bodies in both directions, headers, keys, tokens, time, features, chance.

use std::time::Duration;

use serde_json::json;
use vast_sim::{Effect, Fault, Feature, FeaturesOff, Side, Switch};

use crate::client::{Vms, pattern, start};

const FAULT: &str = "x-vast-sim-fault";

#[tokio::test(flavor = "multi_thread")]
async fn every_hit_is_named_in_the_answer_and_in_the_log() {
    let (cluster, _, s3) = start().await;
    let slow =
        cluster.faults().add(Fault::s3(Effect::SlowDown { retry_after_s: 7 }).on("PutObject").times(1));
    let answer = s3.put("/data/k", "x").await.is(503, "SlowDown");
    assert_eq!((answer.header("retry-after"), answer.header(FAULT)), ("7", "1"));
    let hit = &cluster.faults().log()[0];
    assert_eq!((hit.number, hit.fault_id, hit.effect.as_str()), (1, slow.unwrap(), "slow_down"));
    assert_eq!(hit.request_id, answer.header("x-amz-request-id"));
    assert_eq!((hit.operation.as_str(), hit.key.as_str(), hit.cnode.as_str()), ("PutObject", "k", "cnode-1"));
    assert!(hit.time_ms > 0);
    assert_eq!(s3.put("/data/k", "x").await.ok().header(FAULT), "");

    cluster
        .faults()
        .add(Fault::s3(Effect::SetHeader { name: "ETag".to_owned(), value: "\"0\"".to_owned() }))
        .unwrap();
    cluster.faults().add(Fault::s3(Effect::RemoveHeader { name: "last-modified".to_owned() })).unwrap();
    let changed = s3.get("/data/k").await.ok();
    assert_eq!((changed.header("etag"), changed.header(FAULT)), ("\"0\"", "2,3"));
    assert!(!changed.headers.contains_key("last-modified"));
    cluster.faults().clear();
    let short = Effect::SetHeader { name: "content-length".to_owned(), value: "100".to_owned() };
    cluster.faults().add(Fault::s3(short)).unwrap();
    s3.try_send("GET", "/data/k", &[], "").await.expect_err("the body is shorter than announced");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_suffer_in_both_directions() {
    let (cluster, _, s3) = start().await;
    let data = pattern(5, 300_000);
    s3.put("/data/k", data.clone()).await.ok();
    let once = |effect: Effect| {
        cluster.faults().clear();
        cluster.faults().add(Fault::s3(effect).times(1)).unwrap();
    };
    once(Effect::CorruptRequest { offset: 200_001 });
    s3.put("/data/bad", data.clone()).await.ok();
    let bad = s3.get("/data/bad").await.ok().body;
    assert_eq!((0..data.len()).filter(|i| bad[*i] != data[*i]).collect::<Vec<_>>(), [200_001]);
    // With a checksum the cluster notices.
    once(Effect::CorruptRequest { offset: 3 });
    s3.send("PUT", "/data/sum", &[("x-amz-checksum-crc32", "y/Q5Jg==")], "123456789")
        .await
        .is(400, "BadDigest");
    s3.send("PUT", "/data/sum", &[("x-amz-checksum-crc32", "y/Q5Jg==")], "123456789").await.ok();

    once(Effect::Truncate { side: Side::Request, offset: 1_000 });
    s3.put("/data/cut", data.clone()).await.is(400, "IncompleteBody");
    s3.get("/data/cut").await.is(404, "NoSuchKey");
    once(Effect::Truncate { side: Side::Answer, offset: 1_000 });
    s3.try_send("GET", "/data/k", &[], "").await.unwrap_err();
    once(Effect::ResetAt { side: Side::Request, offset: 100_000 });
    s3.try_send("PUT", "/data/cut", &[], data.clone()).await.unwrap_err();
    s3.get("/data/cut").await.is(404, "NoSuchKey");
    once(Effect::ResetAt { side: Side::Answer, offset: 100_000 });
    let error = s3.try_send("GET", "/data/k", &[], "").await.unwrap_err();
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    once(Effect::QuotaFull { after_bytes: 50_000 });
    s3.put("/data/full", data.clone()).await.is(403, "QuotaExceeded");
    s3.get("/data/full").await.is(404, "NoSuchKey");
    assert_eq!(s3.get("/data/k").await.ok().body, data);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalls_and_silence_last_as_long_as_they_say() {
    let clock = std::sync::Arc::new(vast_sim::SimClock::frozen_at(std::time::SystemTime::now()));
    let config = vast_sim::Config { clock, ..vast_sim::Config::default() };
    let (cluster, _, s3) = crate::client::start_with(config, None).await;
    s3.put("/data/k", pattern(1, 100_000)).await.ok();
    let stall = Effect::Stall { side: Side::Answer, offset: 50_000, millis: Some(60_000) };
    cluster.faults().add(Fault::s3(stall).on("GetObject").times(1)).unwrap();
    let reader = s3.clone();
    let get = tokio::spawn(async move { reader.get("/data/k").await });
    while cluster.faults().hits() == 0 {
        tokio::task::yield_now().await;
    }
    cluster.advance(Duration::from_secs(59)).unwrap();
    assert!(!get.is_finished());
    while !get.is_finished() {
        cluster.advance(Duration::from_secs(1)).unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(get.await.unwrap().ok().body.len(), 100_000);

    cluster.faults().add(Fault::s3(Effect::NoAnswer).on("PutObject").times(1)).unwrap();
    let writer = s3.clone();
    let put = tokio::spawn(async move { writer.put("/data/mute", "x").await });
    while cluster.raw_state().bucket("data").unwrap().object("mute").is_none() {
        tokio::task::yield_now().await;
    }
    assert!(!put.is_finished(), "carried out, not answered");
    put.abort();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_tokens_and_time_go_wrong() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/k", "x").await.ok();
    cluster.faults().add(Fault::s3(Effect::KeyRevoked).times(1)).unwrap();
    s3.get("/data/k").await.is(403, "InvalidAccessKeyId");
    cluster.faults().add(Fault::s3(Effect::KeyExpired).times(1)).unwrap();
    s3.get("/data/k").await.is(400, "ExpiredToken");
    let skew = |millis| Fault::s3(Effect::ClockSkew { millis }).times(1);
    cluster.faults().add(skew(-20 * 60_000)).unwrap();
    s3.get("/data/k").await.is(403, "RequestTimeTooSkewed");
    cluster.faults().add(skew(10 * 60_000)).unwrap();
    let ahead = s3.get("/data/k").await.ok();
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).unwrap().timestamp().as_second();
    let off = date(ahead.header("date")) - date(s3.get("/data/k").await.ok().header("date"));
    assert!((598..=600).contains(&off), "{off}");

    let vms = Vms::new(&cluster);
    let pair =
        vms.post("/api/token/", json!({ "username": "admin", "password": "123456" })).await.ok().json();
    let bearer = vms.with(format!("Bearer {}", pair["access"].as_str().unwrap()));
    cluster.faults().clear();
    cluster.faults().add(Fault::vms(Effect::TokenRevoked).times(2)).unwrap();
    let refused = bearer.get("/api/views/").await;
    assert_eq!((refused.status.as_u16(), refused.header(FAULT)), (403, "5"));
    let refresh = json!({ "refresh": pair["refresh"] });
    assert_eq!(vms.post("/api/token/refresh/", refresh.clone()).await.status, 401);
    vms.post("/api/token/refresh/", refresh).await.ok();
    bearer.get("/api/views/").await.ok();

    let task = Fault::vms(Effect::TaskFailed { message: "on purpose".to_owned() })
        .on("TASK vippool_delete")
        .times(1);
    cluster.faults().add(task).unwrap();
    let pool =
        vms.post("/api/vippools/", json!({ "name": "p", "ip_ranges": [["127.0.9.1", "127.0.9.1"]] })).await;
    let path = format!("/api/vippools/{}/", pool.ok().json()["id"]);
    let started = vms.call("DELETE", &path, &serde_json::Value::Null).await.ok().json();
    cluster.advance(Duration::from_mins(1)).unwrap();
    let task = vms.get(&format!("/api/vtasks/{}/", started["async_task"]["id"])).await.ok().json();
    assert_eq!((&task["state"], &task["messages"]), (&json!("FAILED"), &json!(["on purpose"])));
    vms.get(&path).await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn features_are_refused_or_not_noticed() {
    let (cluster, _, s3) = start().await;
    let only_new = [("if-none-match", "*")];
    s3.put("/data/k", "first").await.ok();
    s3.send("PUT", "/data/k", &only_new, "second").await.is(412, "PreconditionFailed");
    let off = |feature, how| {
        let mut off = FeaturesOff::default();
        off.switch_off(feature, how).unwrap();
        cluster.set_features_off(off).unwrap();
    };
    off(Feature::ConditionalWrites, Switch::Refused);
    s3.send("PUT", "/data/k", &only_new, "second").await.is(501, "NotImplemented");
    off(Feature::ConditionalWrites, Switch::Ignored);
    s3.send("PUT", "/data/k", &only_new, "second").await.ok();
    assert_eq!(s3.get("/data/k").await.ok().body, "second");
    off(Feature::ChecksumCrc32c, Switch::Ignored);
    s3.send("PUT", "/data/k", &[("x-amz-checksum-crc32c", "AAAAAA==")], "any").await.ok();
    s3.send("PUT", "/data/k", &[("x-amz-checksum-crc32", "AAAAAA==")], "any").await.is(400, "BadDigest");
    off(Feature::ChecksumCrc32c, Switch::Refused);
    s3.send("PUT", "/data/k", &[("x-amz-checksum-crc32c", "AAAAAA==")], "any")
        .await
        .is(501, "NotImplemented");
    off(Feature::Multipart, Switch::Refused);
    s3.send("POST", "/data/k?uploads", &[], "").await.is(501, "NotImplemented");
    off(Feature::VersionListing, Switch::Refused);
    s3.get("/data?versions").await.is(501, "NotImplemented");

    // Over REST, and for single requests.
    let vms = Vms::new(&cluster);
    assert_eq!(vms.get("/sim/v1/features").await.json(), json!({ "version_listing": "refused" }));
    let vms_of = vms.clone();
    let call = |body: serde_json::Value| {
        let vms = vms_of.clone();
        async move { vms.call("PUT", "/sim/v1/features", &body).await }
    };
    assert_eq!(call(json!({ "multipart": "ignored" })).await.status, 400);
    assert_eq!(call(json!({})).await.status, 204);
    let part_copy = Effect::FeatureOff { feature: Feature::PartCopy, how: Switch::Refused };
    cluster.faults().add(Fault::s3(part_copy).times(1).on("UploadPartCopy")).unwrap();
    let id = s3.create_upload("/data/m").await;
    let path = format!("/data/m?partNumber=1&uploadId={id}");
    s3.send("PUT", &path, &[("x-amz-copy-source", "/data/k")], "").await.is(501, "NotImplemented");
    s3.send("PUT", &path, &[("x-amz-copy-source", "/data/k")], "").await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chance_repeats_itself() {
    let mut seen = Vec::new();
    for seed in [1, 1, 2] {
        let (cluster, _, s3) = start().await;
        let error = Effect::Error { status: 500, code: "InternalError".to_owned(), message: String::new() };
        cluster.faults().add(Fault::s3(error).with_probability(0.5, seed)).unwrap();
        let mut hits = Vec::new();
        for _ in 0..24 {
            hits.push(s3.get("/data/none").await.status == 500);
        }
        seen.push(hits);
        cluster.stop().await;
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
}
