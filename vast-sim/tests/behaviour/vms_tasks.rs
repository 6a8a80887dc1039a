//! Asynchronous tasks: they take time on the cluster's clock, end, fail when told to, and can be retried.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use vast_sim::{Cluster, Config, Effect, Fault, SimClock, TaskSettings};

use crate::client::Vms;

async fn frozen() -> (Cluster, Vms) {
    let clock = Arc::new(SimClock::frozen_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
    let cluster = Cluster::start(Config { clock, ..Config::default() }).await.unwrap();
    let vms = Vms::new(&cluster);
    (cluster, vms)
}

async fn task_of(vms: &Vms, started: &Value) -> Value {
    let id = started["async_task"]["id"].as_u64().unwrap();
    let one = vms.get(&format!("/api/v5/vtasks/{id}/")).await.ok().json();
    assert_eq!(vms.get(&format!("/api/vtasks/?id={id}")).await.ok().json(), json!([one]));
    one
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_its_time() {
    let (cluster, vms) = frozen().await;
    let tenant = vms.post("/api/tenants/", json!({ "name": "t" })).await.ok().json()["id"].as_u64().unwrap();
    let path = format!("/api/tenants/{tenant}/");
    let started = vms.call("DELETE", &path, &Value::Null).await;
    assert_eq!(started.status, 200);
    let started = started.json();
    assert_eq!(started["async_task"]["state"], "RUNNING");
    let task = task_of(&vms, &started).await;
    assert_eq!(
        (&task["state"], &task["messages"], &task["end_time"]),
        (&json!("RUNNING"), &json!([]), &Value::Null)
    );
    let again = vms.call("DELETE", &path, &Value::Null).await.ok().json();
    assert_eq!(again["async_task"]["id"], started["async_task"]["id"], "one deletion is one task");
    cluster.advance(Duration::from_millis(499)).unwrap();
    vms.get(&path).await.ok();
    cluster.advance(Duration::from_millis(1)).unwrap();
    assert_eq!(vms.get(&path).await.status, 404);
    let task = task_of(&vms, &started).await;
    assert_eq!((&task["state"], &task["name"]), (&json!("COMPLETED"), &json!("tenant_delete")));
    assert!(task["messages"].as_array().is_some_and(|m| !m.is_empty()) && task["end_time"].is_string());
    assert!(!task.to_string().contains("__"), "nothing internal is shown: {task}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_cluster_can_fail_and_be_retried() {
    let (cluster, vms) = frozen().await;
    let broken =
        Effect::Error { status: 500, code: "Broken".to_owned(), message: "the leader is busy".to_owned() };
    cluster.faults().add(Fault::vms(broken).on("TASK cluster_modify").times(1)).unwrap();
    let started = vms.call("PATCH", "/api/clusters/1/", &json!({ "enable_trash": true })).await.ok().json();
    assert_eq!((&started["id"], &started["enable_trash"]), (&json!(1), &json!(false)), "not yet");
    cluster.advance(Duration::from_secs(1)).unwrap();
    let failed = task_of(&vms, &started).await;
    assert_eq!((&failed["state"], &failed["messages"]), (&json!("FAILED"), &json!(["the leader is busy"])));
    assert_eq!(vms.get("/api/clusters/1/").await.json()["enable_trash"], false);
    assert_eq!(cluster.faults().log().len(), 1);

    let retry = format!("/api/vtasks/{}/retry/", failed["id"]);
    vms.call("PATCH", &retry, &Value::Null).await.ok();
    assert_eq!(task_of(&vms, &started).await["state"], "RUNNING");
    assert_eq!(vms.call("PATCH", &retry, &Value::Null).await.status, 400);
    cluster.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(task_of(&vms, &started).await["state"], "COMPLETED");
    assert_eq!(vms.get("/api/clusters/1/").await.json()["enable_trash"], true);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_forbidden_meanwhile_fails() {
    let (cluster, vms) = frozen().await;
    let tenant = vms.post("/api/tenants/", json!({ "name": "t" })).await.ok().json()["id"].clone();
    let started = vms.call("DELETE", &format!("/api/tenants/{tenant}/"), &Value::Null).await.ok().json();
    vms.post("/api/viewpolicies/", json!({ "name": "late", "tenant_id": tenant })).await.ok();
    cluster.advance(Duration::from_secs(1)).unwrap();
    let task = task_of(&vms, &started).await;
    assert_eq!(task["state"], "FAILED");
    assert!(task["messages"][0].as_str().unwrap().contains("late"), "{task}");
    vms.get(&format!("/api/tenants/{tenant}/")).await.ok();
    let refused = vms.call("DELETE", &format!("/api/tenants/{tenant}/"), &Value::Null).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (409, &json!("conflict")));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_can_take_no_time_and_old_ones_are_forgotten() {
    let tasks = TaskSettings { duration: Duration::ZERO, kept: 3 };
    let cluster = Cluster::start(Config { tasks, ..Config::default() }).await.unwrap();
    let vms = Vms::new(&cluster);
    for n in 0..5 {
        let id =
            vms.post("/api/tenants/", json!({ "name": format!("t{n}") })).await.ok().json()["id"].clone();
        let done = vms.call("DELETE", &format!("/api/tenants/{id}/"), &Value::Null).await.ok().json();
        assert_eq!(done["async_task"]["state"], "COMPLETED");
        assert_eq!(vms.get(&format!("/api/tenants/{id}/")).await.status, 404);
    }
    assert_eq!(vms.get("/api/vtasks/").await.json().as_array().unwrap().len(), 3);
    cluster.stop().await;
}
