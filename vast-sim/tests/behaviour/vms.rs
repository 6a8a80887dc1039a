//! The VMS REST API: logging in, conventions, relations.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::client::{Vms, pattern, start};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_expire_and_are_refreshed() {
    let config = vast_sim::Config { clock: frozen(), ..vast_sim::Config::default() };
    let cluster = vast_sim::Cluster::start(config).await.unwrap();
    let vms = Vms::new(&cluster);
    let anonymous = vms.with("");
    let bad = anonymous.post("/api/token/", json!({ "username": "admin", "password": "x" })).await;
    assert_eq!(bad.status, 401);
    let pair = anonymous
        .post("/api/v5/token/", json!({ "username": "admin", "password": "123456" }))
        .await
        .ok()
        .json();
    let bearer = |pair: &Value| vms.with(format!("Bearer {}", pair["access"].as_str().unwrap()));
    bearer(&pair).get("/api/views/").await.ok();

    cluster.advance(Duration::from_secs(3601)).unwrap();
    let expired = bearer(&pair).get("/api/views/").await;
    assert_eq!(
        (expired.status.as_u16(), expired.json()["detail"].clone()),
        (403, json!("Token is invalid or expired"))
    );
    let fresh =
        anonymous.post("/api/token/refresh/", json!({ "refresh": pair["refresh"] })).await.ok().json();
    assert_ne!(fresh["access"], pair["access"]);
    assert!(fresh["refresh"].is_string());
    bearer(&fresh).get("/api/views/").await.ok();

    cluster.expire_access_tokens();
    assert_eq!(bearer(&fresh).get("/api/views/").await.status, 403);
    anonymous.post("/api/token/refresh/", json!({ "refresh": fresh["refresh"] })).await.ok();
    cluster.revoke_tokens();
    assert_eq!(
        anonymous.post("/api/token/refresh/", json!({ "refresh": fresh["refresh"] })).await.status,
        401
    );
    for header in ["", "Bearer #", "'Api-Token x", "Api-Token x"] {
        let refused = vms.with(header).get("/api/latest/versions/?status=success").await;
        assert_eq!(refused.status, 403, "{header}");
        assert!(refused.text().contains("Token is invalid or expired"));
    }
    assert_eq!(vms.with("Basic YTpi").get("/api/views/").await.status, 401);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_prefix_and_slash_leads_to_the_same_list() {
    let (cluster, ..) = start().await;
    let vms = Vms::new(&cluster);
    let expected = vms.get("/api/clusters/").await.ok().json();
    assert_eq!(expected[0]["state"], "ONLINE");
    let version = expected[0]["sw_version"].as_str().unwrap();
    assert!(version.starts_with("5.4.") && version.split('.').all(|p| p.parse::<u64>().is_ok()), "{version}");
    for path in [
        "/api/clusters",
        "/api/v1/clusters/",
        "/api/v4/clusters",
        "/api/v5//clusters/",
        "/api/latest/clusters/",
        "/api//clusters",
    ] {
        assert_eq!(vms.get(path).await.ok().json(), expected, "{path}");
    }
    assert_eq!(vms.get("/api/versions/?status=success").await.json()[0]["sys_version"], version);
    assert_eq!(vms.get("/api/nothing/").await.status, 404);
    assert_eq!(vms.get("/api/views/99/").await.json(), json!({ "detail": "Not found." }));
    assert_eq!(vms.call("DELETE", "/api/versions/1/", &Value::Null).await.status, 405);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_bare_or_paged_and_filtered() {
    let (cluster, ..) = start().await;
    let vms = Vms::new(&cluster);
    assert!(vms.get("/api/vips/").await.json().is_array());
    let first = vms.get("/api/vips/?page_size=3").await.json();
    assert_eq!((&first["count"], first["results"].as_array().unwrap().len()), (&json!(4), 3));
    let next = first["next"].as_str().unwrap();
    assert!(next.starts_with(&cluster.vms_url()), "{next}");
    let second = vms.get(next.strip_prefix(&cluster.vms_url()).unwrap()).await.json();
    assert_eq!((second["results"].as_array().unwrap().len(), &second["next"]), (1, &Value::Null));
    let names = |v: Value| {
        v.as_array().unwrap().iter().map(|r| r["ip"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(vms.get("/api/vips/?ip__icontains=0.13").await.json()), ["127.0.0.13"]);
    assert_eq!(
        names(vms.get("/api/vips/?cnode__id=2&vippool__name=vippool-1").await.json()),
        ["127.0.0.12", "127.0.0.14"]
    );
    assert_eq!(names(vms.get("/api/vips/?vippool__name=other").await.json()), [""; 0]);
    assert_eq!(names(vms.get("/api/vips/?made_up=1").await.json()).len(), 4);
    let policies = vms.get("/api/viewpolicies/?name=s3_default_policy").await.json();
    assert_eq!((policies.as_array().unwrap().len(), &policies[0]["count_views"]), (1, &json!(1)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_buckets_and_relations_hold() {
    let (cluster, provisioned, s3) = start().await;
    let vms = Vms::new(&cluster);
    let path = format!("/api/views/{}/", provisioned.view_id);
    let view = vms.get(&path).await.ok().json();
    assert_eq!(view["bucket"], "data");
    assert_eq!(view["policy"], "s3_default_policy");
    assert_eq!((&view["tenant_name"], &view["tenant_id"]), (&json!("default"), &json!(1)));
    assert_eq!(
        (&view["bucket_logging"], &view["share_acl"], &view["qos_policy_id"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert!(view["guid"].as_str().unwrap().len() == 36 && view["url"].as_str().unwrap().ends_with(&path));

    s3.put("/data/k", pattern(1, 1000)).await.ok();
    let view = vms.get(&path).await.json();
    assert_eq!(view["logical_capacity"], 1000);
    assert_eq!(vms.get("/api/clusters/").await.json()[0]["logical_space_in_use"], 1000);

    let refused = vms.call("DELETE", &path, &Value::Null).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert_eq!(vms.call("DELETE", "/api/viewpolicies/2/", &Value::Null).await.status, 409);
    assert_eq!(
        vms.call("DELETE", &format!("/api/users/{}/", provisioned.user_id), &Value::Null).await.status,
        409
    );
    let post = |body: Value| {
        let vms = vms.clone();
        async move { vms.post("/api/views/", body).await }
    };
    let bad = post(json!({ "path": "/x", "policy_id": 77 })).await;
    assert_eq!((bad.status.as_u16(), bad.json()["policy_id"].is_array()), (400, true));
    assert!(
        post(json!({ "path": "/x", "policy_id": 1, "tenant_id": 9 })).await.json()["tenant_id"].is_array()
    );
    assert!(post(json!({ "policy_id": 1 })).await.json()["path"].is_array());
    assert!(post(json!({ "path": "/x", "policy_id": "one" })).await.json()["policy_id"].is_array());
    assert!(post(json!({ "path": "/data", "policy_id": 1 })).await.json()["path"].is_array());
    assert!(post(json!({ "path": "/x/", "policy_id": 1 })).await.json()["path"].is_array());
    let s3_view = |bucket: &str, owner: &str| json!({ "path": "/y", "policy_id": 2, "protocols": ["S3"], "bucket": bucket, "bucket_owner": owner, "create_dir": true });
    assert!(post(s3_view("data", "data-owner")).await.json()["bucket"].is_array());
    assert!(post(s3_view("fine", "nobody")).await.json()["bucket_owner"].is_array());
    assert!(post(s3_view("NO", "data-owner")).await.json()["bucket"].is_array());
    let mut locked = s3_view("fine", "data-owner");
    locked["is_indestructible_object_enabled"] = json!(true);
    assert!(post(locked).await.json()["indestructible_object_duration"].is_array());
    assert_eq!(cluster.raw_state().buckets.len(), 1);

    let patched = vms
        .call("PATCH", &path, &json!({ "alias": "/a", "select_for_live_monitoring": true }))
        .await
        .ok()
        .json();
    assert_eq!((&patched["alias"], &patched["bucket"]), (&json!("/a"), &json!("data")));
    assert_eq!(vms.call("PATCH", &path, &json!({ "bucket": "other" })).await.status, 400);
    assert_eq!(vms.call("DELETE", &format!("{path}?force=true"), &Value::Null).await.status, 204);
    s3.get("/data/k").await.is(404, "NoSuchBucket");
    assert_eq!(vms.get("/api/views/?bucket=data").await.json(), json!([]));
    assert_eq!(cluster.raw_state().buckets, []);
    let again = post(s3_view("data", "data-owner")).await.ok().json();
    assert_eq!(again["id"], provisioned.view_id + 1, "ids are never given twice");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_pairs_are_shown_once() {
    let (cluster, ..) = start().await;
    let vms = Vms::new(&cluster);
    let user = vms.post("/api/users/", json!({ "name": "u" })).await;
    assert_eq!(user.status, 201);
    let id = user.json()["id"].as_u64().unwrap();
    let path = format!("/api/users/{id}/access_keys/");
    let made = vms.call("POST", &path, &Value::Null).await;
    assert_eq!(made.status, 200);
    let (access, secret) =
        (made.json()["access_key"].clone(), made.json()["secret_key"].as_str().unwrap().to_owned());
    let shown = vms.get(&format!("/api/users/{id}/")).await;
    assert_eq!(shown.json()["access_keys"][0]["access_key"], access);
    for path in ["/api/users/".to_owned(), format!("/api/users/{id}/"), "/sim/v1/state".to_owned()] {
        assert!(!vms.get(&path).await.ok().text().contains(&secret), "{path}");
    }
    assert_eq!(vms.call("DELETE", &path, &json!({ "access_key": access })).await.status, 204);
    assert_eq!(vms.call("DELETE", &path, &json!({ "access_key": access })).await.status, 404);
    assert_eq!(vms.get(&format!("/api/users/{id}/")).await.json()["access_keys"], json!([]));
    assert_eq!(vms.post("/api/users/", json!({ "name": "u" })).await.status, 400);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused() {
    let (cluster, ..) = start().await;
    let vms = Vms::new(&cluster);
    for body in ["{", "[1]", "\"x\"", "nonsense"] {
        let reply = vms.try_send("POST", "/api/views/", body).await.unwrap();
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
    }
    let huge = vec![b' '; 2 << 20];
    assert_eq!(vms.try_send("POST", "/api/views/", huge).await.unwrap().status, 413);
    assert_eq!(vms.get("/api/views/?name__regex=(").await.status, 400);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_paths_want_the_password() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    assert_eq!(vms.with("").get("/sim/v1/state").await.status, 401);
    s3.put("/data/k", "x").await.ok();
    let state: vast_sim::RawState =
        serde_json::from_value(vms.get("/sim/v1/state").await.ok().json()).unwrap();
    assert_eq!(state, cluster.raw_state());
    assert_eq!(state.bucket("data").unwrap().object("k").unwrap().size, 1);
    let counters: vast_sim::Counters =
        serde_json::from_value(vms.get("/sim/v1/counters").await.ok().json()).unwrap();
    assert_eq!(counters.operation("PutObject").bytes_in, 1);
    assert_eq!(vms.call("DELETE", "/sim/v1/counters", &Value::Null).await.status, 204);
    assert_eq!(cluster.counters().s3_total().requests, 0);
    cluster.stop().await;
}

fn frozen() -> std::sync::Arc<vast_sim::SimClock> {
    std::sync::Arc::new(vast_sim::SimClock::frozen_at(UNIX_EPOCH + Duration::from_hours(24 * 365 * 56)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_shown_and_advanced_over_rest() {
    let config = vast_sim::Config { clock: frozen(), ..vast_sim::Config::default() };
    let cluster = vast_sim::Cluster::start(config).await.unwrap();
    let vms = Vms::new(&cluster);
    let before = vms.get("/sim/v1/clock").await.ok().json()["now_ms"].as_u64().unwrap();
    let after = vms.post("/sim/v1/clock", json!({ "advance_ms": 86_400_000 })).await.ok().json();
    assert_eq!(after["now_ms"], before + 86_400_000);
    assert_eq!(vms.get("/sim/v1/clock").await.ok().json(), after);
    let refused = vms.post("/sim/v1/clock", json!({ "advance": 1 })).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("advance_ms"), "{}", refused.text());
    cluster.stop().await;
}
