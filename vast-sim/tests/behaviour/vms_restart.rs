//! What VMS knows is there after `kill -9`: tasks that run, managers with their roles and API tokens, what they changed.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::client::Vms;
use crate::command::Served;

async fn bearer(vms: &Vms) -> Vms {
    let login = json!({ "username": "keeper", "password": "secret-1" });
    let pair = vms.with("").post("/api/token/", login).await.ok().json();
    vms.with(format!("Bearer {}", pair["access"].as_str().unwrap()))
}

/// The same client for the server as it runs now.
fn again(vms: &Vms, server: &Served) -> Vms {
    let now = server.vms();
    now.with(vms.authorization.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_managers_roles_and_tokens_outlive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--data-dir", dir.path().to_str().unwrap(), "--task-duration", "3600"];
    let server = Served::start(&flags);
    let vms = server.vms();
    let role = json!({ "name": "quota keeper", "permissions_list": ["view_logical", "create_logical"] });
    let role = vms.post("/api/roles/", role).await.ok().json();
    let keeper = json!({ "username": "keeper", "password": "secret-1", "roles": [role["id"]] });
    vms.post("/api/managers/", keeper).await.ok();
    let encoded = base64::engine::general_purpose::STANDARD.encode("keeper:secret-1");
    let keeper = vms.with(format!("Basic {encoded}"));
    let token = |made: &Value| vms.with(format!("Api-Token {}", made["token"].as_str().unwrap()));
    let kept =
        keeper.post("/api/apitokens/", json!({ "name": "kept", "expiry_date": "2h" })).await.ok().json();
    let revoked = keeper.post("/api/apitokens/", json!({ "name": "revoked" })).await.ok().json();
    vms.call("PATCH", &format!("/api/apitokens/{}/revoke", revoked["id"].as_str().unwrap()), &Value::Null)
        .await
        .ok();
    let login = bearer(&vms).await;
    let definitions = vms.get("/api/eventdefinitions/").await.ok().json();
    let path = format!("/api/eventdefinitions/{}/", definitions[0]["id"]);
    vms.call("PATCH", &path, &json!({ "severity": "MAJOR" })).await.ok();
    let tenant = vms.post("/api/tenants/", json!({ "name": "going" })).await.ok().json();
    let tenant = format!("/api/tenants/{}/", tenant["id"]);
    let task = vms.call("DELETE", &tenant, &Value::Null).await.ok().json()["async_task"].clone();
    let task = format!("/api/vtasks/{}/", task["id"]);
    let events = vms.get("/api/events/?page_size=1").await.ok().json()["count"].clone();
    server.signal("-9");
    drop(server);

    let server = Served::start(&flags);
    let now = server.vms();
    assert_eq!(
        again(&keeper, &server).get("/api/login/").await.ok().json()["roles"][0]["name"],
        "quota keeper"
    );
    let by_token = again(&token(&kept), &server);
    by_token.get("/api/quotas/").await.ok();
    by_token.post("/api/quotas/", json!({ "name": "q", "path": "/exports" })).await.ok();
    let denied = by_token.call("DELETE", "/api/quotas/1/", &Value::Null).await;
    assert!(denied.status == 403 && denied.text().contains("permission_denied"), "{}", denied.text());
    assert_eq!(again(&token(&revoked), &server).get("/api/quotas/").await.status, 403);
    let stale = again(&login, &server).get("/api/quotas/").await;
    assert_eq!(
        (stale.status.as_u16(), &stale.json()["detail"]),
        (403, &json!("Token is invalid or expired"))
    );
    bearer(&now).await.get("/api/quotas/").await.ok();
    assert_eq!(now.get(&path).await.ok().json()["severity"], "MAJOR");
    assert_eq!(
        now.get("/api/eventdefinitions/").await.ok().json().as_array().unwrap().len(),
        definitions.as_array().unwrap().len()
    );
    assert!(now.get("/api/events/?page_size=1").await.ok().json()["count"].as_u64() >= events.as_u64());

    // The task goes on where it was, and is done in its time.
    assert_eq!(now.get(&task).await.ok().json()["state"], "RUNNING");
    now.get(&tenant).await.ok();
    now.post("/sim/v1/clock", json!({ "advance_ms": 3_600_000 })).await.ok();
    let done = now.get(&task).await.ok().json();
    assert_eq!((&done["state"], &done["name"]), (&json!("COMPLETED"), &json!("tenant_delete")));
    assert_eq!(now.get(&tenant).await.status, 404);
    let time = now.get("/sim/v1/clock").await.ok().json()["now_ms"].as_u64().unwrap();
    server.signal("-9");
    drop(server);

    // What it did is done for good, and is not done again.
    let server = Served::start(&flags);
    let now = server.vms();
    assert_eq!(now.get(&task).await.ok().json()["end_time"], done["end_time"]);
    assert_eq!(now.get(&tenant).await.status, 404);

    // The hour that passed at once has passed for good, until a reset.
    let clock = async || now.get("/sim/v1/clock").await.ok().json()["now_ms"].as_u64().unwrap();
    assert!(clock().await >= time, "{} is before {time}", clock().await);
    now.post("/sim/v1/clock", json!({ "advance_ms": 3_600_000 })).await.ok();
    assert_eq!(again(&token(&kept), &server).get("/api/quotas/").await.status, 403, "two hours have passed");
    server.signal("-9");
    drop(server);
    let server = Served::start(&flags);
    let now = server.vms();
    assert_eq!(
        again(&token(&kept), &server).get("/api/quotas/").await.status,
        403,
        "nothing comes back to life"
    );
    now.post("/sim/v1/reset", json!({})).await;
    server.signal("-9");
    drop(server);
    let server = Served::start(&flags);
    let after = server.vms().get("/sim/v1/clock").await.ok().json()["now_ms"].as_u64().unwrap();
    assert!(after < time, "{after} is still advanced");
}
