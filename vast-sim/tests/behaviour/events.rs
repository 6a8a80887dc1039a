//! Events and alarms: real happenings leave real traces.

use serde_json::{Value, json};
use vast_sim::{Config, Effect, Fault, Monitoring};

use crate::client::{Vms, start_with};

async fn newest(vms: &Vms, query: &str) -> Value {
    let page = vms.get(&format!("/api/events/?{query}")).await.ok().json();
    let rows = page["results"].as_array().unwrap_or_else(|| panic!("not an envelope: {page}")).clone();
    rows.first().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_do_to_objects_is_recorded() {
    let (cluster, p, _) = start_with(Config::default(), None).await;
    let vms = Vms::new(&cluster);
    let event = newest(&vms, "object_type=View&page_size=1000").await;
    assert_eq!(
        [&event["event_type"], &event["object_id"], &event["object_name"], &event["severity"]],
        [&json!("OBJECT_CREATED"), &json!(p.view_id), &json!("/data"), &json!("INFO")]
    );
    vms.call("PATCH", &format!("/api/users/{}/", p.user_id), &json!({ "s3_superuser": true })).await.ok();
    assert_eq!(
        newest(&vms, "event_type=OBJECT_MODIFIED&object_type=User").await["object_id"],
        json!(p.user_id)
    );
    vms.call("DELETE", &format!("/api/views/{}/?force=true", p.view_id), &Value::Null).await.ok();
    assert_eq!(newest(&vms, "event_type=OBJECT_DELETED").await["object_name"], "/data");
    let made =
        json!({ "event_message": "a note", "event_type": "MINE", "object_type": "Cluster", "object_id": 1 });
    let made = vms.post("/api/events/", made).await.ok().json();
    assert_eq!([&made["event_message"], &made["event_type"]], [&json!("a note"), &json!("MINE")]);
    // None of this needs attention.
    assert_eq!(vms.get("/api/alarms/").await.json(), json!([]));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_events_go_first() {
    let monitoring = Monitoring { events_kept: 3, ..Monitoring::default() };
    let (cluster, _, _) = start_with(Config { monitoring, ..Config::default() }, None).await;
    let vms = Vms::new(&cluster);
    for n in 0..5 {
        cluster.create_quota(&format!("/data/{n}"), 1_000).unwrap();
    }
    let page = vms.get("/api/events/").await.ok().json();
    let names: Vec<&Value> = page["results"].as_array().unwrap().iter().map(|e| &e["object_name"]).collect();
    assert_eq!(names, ["quota on /data/4", "quota on /data/3", "quota on /data/2"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_nodes_raise_alarms_until_they_are_back_and_failed_logins_are_noted() {
    let (cluster, _, _) = start_with(Config::default(), None).await;
    let vms = Vms::new(&cluster);
    let fault = cluster.faults().add(Fault::s3(Effect::CnodeDown).cnode("cnode-1")).unwrap();
    let alarms = vms.get("/api/alarms/?object_type=CNode").await.ok().json();
    assert_eq!(
        [&alarms[0]["event_name"], &alarms[0]["severity"], &alarms[0]["object_name"]],
        [&json!("CNODE_FAILED"), &json!("CRITICAL"), &json!("cnode-1")]
    );
    assert_ne!(newest(&vms, "event_name=VIP_MOVED").await, Value::Null);
    let text = vms.get("/api/prometheusmetrics/alarms").await.text();
    assert!(text.contains("vast_vms_alarms{") && text.contains("event_name=\"CNODE_FAILED\""), "{text}");
    let id = alarms[0]["id"].clone();
    let path = format!("/api/alarms/{id}/");
    vms.call("PATCH", &path, &json!({ "acknowledged": true })).await.ok();
    assert_eq!(vms.get(&path).await.ok().json()["acknowledged"], true);
    cluster.faults().remove(fault);
    assert_eq!(vms.get("/api/alarms/").await.json(), json!([]));
    assert_eq!(newest(&vms, "event_name=CNODE_ACTIVE").await["object_name"], "cnode-1");
    let wrong = json!({ "username": "admin", "password": "wrong" });
    assert_eq!(vms.post("/api/token/", wrong).await.status, 401);
    assert_eq!(newest(&vms, "event_name=LOGIN_FAILED").await["event_type"], "AUDIT");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_say_when_and_by_whom_and_can_be_filtered() {
    let config = crate::metrics::frozen();
    let clock = std::sync::Arc::clone(&config.clock);
    let (cluster, p, s3) = start_with(config, None).await;
    let vms = Vms::new(&cluster);
    let stamp = || {
        let now: jiff::Timestamp = clock.now().try_into().unwrap();
        format!("{now:.3}")
    };
    cluster.advance(std::time::Duration::from_secs(100)).unwrap();
    let before = stamp();
    let view = json!({ "path": "/v", "policy_id": 1, "create_dir": true });
    let view = vms.post("/api/views/", view).await.ok().json();
    let of_view = format!("object_type=View&object_id={}", view["id"]);
    let made = newest(&vms, &of_view).await;
    assert_eq!((&made["event_origin"], &made["timestamp"]), (&json!("admin"), &json!(before)));
    assert_eq!(made["event_message"], "View /v was created by admin");
    // A bucket that is made over S3 is a view, made by the user of the key.
    vms.call("PATCH", &format!("/api/users/{}/", p.user_id), &json!({ "allow_create_bucket": true }))
        .await
        .ok();
    s3.put("/fresh", "").await.ok();
    let made = newest(&vms, "object_type=View&object_name=/fresh").await;
    assert_eq!(
        (&made["event_type"], &made["event_origin"]),
        (&json!("OBJECT_CREATED"), &json!("data-owner"))
    );
    vms.call("PATCH", &format!("/api/users/{}/", p.user_id), &json!({ "s3_superuser": true })).await.ok();
    s3.delete("/fresh").await.ok();
    let gone = newest(&vms, "object_type=View&object_name=/fresh").await;
    assert_eq!(
        (&gone["event_type"], &gone["event_origin"]),
        (&json!("OBJECT_DELETED"), &json!("data-owner"))
    );
    // What a task does later is still done by the one who asked.
    let tenant = vms.post("/api/tenants/", json!({ "name": "t" })).await.ok().json();
    vms.call("DELETE", &format!("/api/tenants/{}/", tenant["id"]), &Value::Null).await.ok();
    cluster.advance(std::time::Duration::from_secs(100)).unwrap();
    let gone = newest(&vms, "object_type=Tenant&event_type=OBJECT_DELETED").await;
    assert_eq!((&gone["object_name"], &gone["event_origin"]), (&json!("t"), &json!("admin")));

    let body = json!({ "name": "q", "path": "/data", "soft_limit": 10, "hard_limit": 20 });
    let quota = vms.post("/api/quotas/", body).await.ok().json();
    s3.put("/data/a", "123456789012").await.ok();
    cluster.advance(std::time::Duration::from_secs(1)).unwrap();
    let alarms = async |query: &str| {
        let list = vms.get(&format!("/api/alarms/?{query}")).await.ok().json();
        let names = list.as_array().unwrap().iter().map(|a| a["event_name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let soft = "QUOTA_SOFT_EXCEEDED";
    assert_eq!(alarms("severity=MINOR").await, [soft]);
    assert_eq!(alarms("severity=CRITICAL").await, [""; 0]);
    assert_eq!(alarms(&format!("timestamp__gte={before}")).await, [soft]);
    assert_eq!(alarms(&format!("timestamp__lte={before}")).await, [""; 0]);
    assert_eq!(alarms("alarm_message__contains=SOFT_EXCEEDED").await, [soft]);
    assert_eq!(alarms(&format!("object_type=Quota&object_id={}", quota["id"])).await, [soft]);
    // One condition at a time: worse takes the place of bad, and over is over.
    s3.put("/data/b", "12345678").await.ok();
    cluster.advance(std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(alarms("").await, ["QUOTA_HARD_EXCEEDED"]);
    s3.delete("/data/a").await.ok();
    cluster.advance(std::time::Duration::from_secs(1)).unwrap();
    assert_eq!(alarms("").await, [""; 0]);
    s3.put("/data/a", "123456789012").await.ok();
    cluster.advance(std::time::Duration::from_secs(1)).unwrap();
    vms.call("PATCH", "/api/alarms/clear/", &Value::Null).await.ok();
    assert_eq!(alarms("").await, [""; 0]);
    cluster.stop().await;
}
