//! Logging in to VMS: the three schemes, tenants, roles, token limits and lifetimes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use serde_json::{Value, json};
use vast_sim::{Cluster, Config, SimClock};

use crate::client::{Reply, Vms};

async fn frozen() -> (Cluster, Vms) {
    let clock = Arc::new(SimClock::frozen_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
    let cluster = Cluster::start(Config { clock, ..Config::default() }).await.unwrap();
    let vms = Vms::new(&cluster);
    (cluster, vms)
}

fn basic(vms: &Vms, name: &str, password: &str) -> Vms {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    vms.with(format!("Basic {encoded}"))
}

fn bearer(vms: &Vms, pair: &Value) -> Vms {
    vms.with(format!("Bearer {}", pair["access"].as_str().unwrap()))
}

async fn manager(vms: &Vms, body: Value) -> Vms {
    let name = body["username"].as_str().unwrap().to_owned();
    vms.post("/api/managers/", body).await.ok();
    basic(vms, &name, "secret-1")
}

#[track_caller]
fn denied(reply: &Reply) {
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(reply.text().contains("permission_denied"), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_are_those_of_the_vms_row() {
    let (cluster, vms) = frozen().await;
    let row = vms.get("/api/vms/").await.ok().json()[0].clone();
    assert_eq!((&row["access_token_lifetime"], &row["min_tls_version"]), (&json!("01:00:00"), &json!("1.2")));
    let path = format!("/api/vms/{}/", row["id"]);
    for bad in ["soon", "", "1:2:3:4"] {
        let refused = vms.call("PATCH", &path, &json!({ "access_token_lifetime": bad })).await;
        assert!(refused.status == 400 && refused.json()["access_token_lifetime"].is_array(), "{bad}");
    }
    let lifetimes = json!({ "access_token_lifetime": "02:30", "refresh_token_lifetime": "1 00:00:00" });
    vms.call("PATCH", &path, &lifetimes).await.ok();
    let pair = vms
        .with("")
        .post("/api/token/", json!({ "username": "admin", "password": "123456" }))
        .await
        .ok()
        .json();
    cluster.advance(Duration::from_secs(149)).unwrap();
    bearer(&vms, &pair).get("/api/views/").await.ok();
    cluster.advance(Duration::from_secs(1)).unwrap();
    assert_eq!(bearer(&vms, &pair).get("/api/views/").await.status, 403);
    cluster.advance(Duration::from_secs(86_400 - 151)).unwrap();
    let refresh = json!({ "refresh": pair["refresh"] });
    let again = vms.with("").post("/api/token/refresh/", refresh.clone()).await.ok().json();
    bearer(&vms, &again).get("/api/views/").await.ok();
    cluster.advance(Duration::from_secs(1)).unwrap();
    let stale = vms.with("").post("/api/token/refresh/", refresh).await;
    assert_eq!((stale.status.as_u16(), &stale.json()["code"]), (401, &json!("token_not_valid")));
    let missing = vms.with("").post("/api/token/", json!({ "username": "admin" })).await;
    assert_eq!((missing.status.as_u16(), missing.json()["password"].is_array()), (400, true));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_tokens_are_limited_expire_and_are_revoked() {
    let (cluster, vms) = frozen().await;
    let make = |body: Value| {
        let vms = vms.clone();
        async move { vms.post("/api/apitokens/", body).await }
    };
    let first = make(json!({ "name": "t", "expiry_date": "2h" })).await;
    assert_eq!(first.status, 201);
    let (id, token) =
        (first.json()["id"].as_str().unwrap().to_owned(), first.json()["token"].as_str().unwrap().to_owned());
    let by_token = vms.with(format!("Api-Token {token}"));
    by_token.get("/api/latest/views/").await.ok();
    let wrong = vms.with(format!("'Api-Token {token}")).get("/api/views/").await;
    assert_eq!(
        (wrong.status.as_u16(), &wrong.json()["detail"]),
        (403, &json!("Token is invalid or expired"))
    );
    let shown = vms.get(&format!("/api/apitokens/{id}/")).await.ok().json();
    assert_eq!(
        (&shown["id"], &shown["name"], &shown["owner"], &shown["revoked"]),
        (&json!(id), &json!("t"), &json!("admin"), &json!(false))
    );
    assert!(shown["last_used"].is_string());
    assert!(!vms.get("/api/apitokens/").await.text().contains(&token), "a token is shown once");

    for n in 1..5 {
        assert_eq!(make(Value::Null).await.status, 201, "{n}");
    }
    let over = make(Value::Null).await;
    assert_eq!((over.status.as_u16(), over.json().is_string()), (503, true), "{}", over.text());
    let all = vms.get("/api/apitokens/?owner=admin").await.ok().json();
    assert_eq!((all.as_array().unwrap().len(), &all[1]["name"]), (5, &json!("admin_api_token")));
    vms.call("PATCH", "/api/vms/1/set_max_api_tokens_per_user/", &json!({ "max_api_tokens_per_user": 6 }))
        .await
        .ok();
    make(Value::Null).await.ok();
    for bad in ["2x", "h", "", "9Y"] {
        let refused = make(json!({ "expiry_date": bad })).await;
        assert_eq!((refused.status.as_u16(), refused.json().is_string()), (400, true), "{bad}");
    }
    assert!(make(json!({ "owner": "nobody" })).await.json().is_string());

    cluster.advance(Duration::from_secs(7_199)).unwrap();
    by_token.get("/api/views/").await.ok();
    let changed = vms.call("PATCH", &format!("/api/apitokens/{id}/"), &json!({ "expiry_date": "3h" })).await;
    assert_eq!((changed.status.as_u16(), changed.json().is_string()), (200, true));
    cluster.advance(Duration::from_secs(2)).unwrap();
    by_token.get("/api/views/").await.ok();
    let revoked = vms.call("PATCH", &format!("/api/apitokens/{id}/revoke"), &Value::Null).await;
    assert_eq!((revoked.status.as_u16(), revoked.json().is_string()), (200, true));
    assert_eq!(by_token.get("/api/views/").await.status, 403);
    assert_eq!(vms.get(&format!("/api/apitokens/{id}/")).await.json()["revoked"], true);
    assert_eq!(vms.call("PATCH", "/api/apitokens/none/revoke", &Value::Null).await.status, 404);
    assert_eq!(
        vms.call("PATCH", &format!("/api/apitokens/{id}/"), &json!({ "name": "x" })).await.status,
        400
    );
    make(Value::Null).await.ok();
    assert_eq!(vms.get("/api/apitokens/?archived=true").await.json().as_array().unwrap().len(), 1);

    vms.call("PATCH", "/api/vms/1/set_max_api_tokens_per_user/", &json!({ "max_api_tokens_per_user": 9 }))
        .await
        .ok();
    let brief = make(json!({ "expiry_date": "1h" })).await.ok().json();
    cluster.advance(Duration::from_hours(1)).unwrap();
    let path = format!("/api/apitokens/{}/", brief["id"].as_str().unwrap());
    let late = vms.call("PATCH", &path, &json!({ "expiry_date": "1Y" })).await;
    assert_eq!((late.status.as_u16(), late.json().is_string()), (400, true), "{}", late.text());
    let by_token = vms.with(format!("Api-Token {}", brief["token"].as_str().unwrap()));
    assert_eq!(by_token.get("/api/views/").await.status, 403, "what has expired stays so");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_limit_what_a_manager_may_do() {
    let (cluster, vms) = frozen().await;
    let role = json!({ "name": "quota keeper", "permissions_list": ["view_logical", "create_logical", "edit_logical"] });
    let role = vms.post("/api/roles/", role).await.ok().json();
    assert_eq!(role["permissions"], json!(["view_logical", "create_logical", "edit_logical"]));
    let strange = vms.post("/api/roles/", json!({ "name": "x", "permissions_list": ["fly_logical"] })).await;
    assert_eq!(strange.status, 400);
    let by_verb = vms
        .post("/api/roles/", json!({ "name": "seer", "permissions": ["view"], "realm": "hardware" }))
        .await;
    assert_eq!(by_verb.json()["permissions"], json!(["view_hardware"]));

    let keeper =
        manager(&vms, json!({ "username": "keeper", "password": "secret-1", "roles": [role["id"]] })).await;
    let me = keeper.get("/api/login/").await.ok().json();
    assert_eq!((&me["username"], &me["roles"][0]["name"]), (&json!("keeper"), &json!("quota keeper")));
    assert!(!me.to_string().contains("secret-1") && me.get("password").is_none());
    let quota = keeper.post("/api/quotas/", json!({ "name": "q", "path": "/exports" })).await.ok().json();
    let path = format!("/api/quotas/{}/", quota["id"]);
    keeper.call("PATCH", &path, &json!({ "hard_limit": 5 })).await.ok();
    denied(&keeper.call("DELETE", &path, &Value::Null).await);
    denied(&keeper.get("/api/managers/").await);
    denied(&keeper.get("/api/cnodes/").await);
    denied(&keeper.post("/api/users/", json!({ "name": "u" })).await);
    denied(&keeper.post("/api/apitokens/", json!({ "owner": "admin" })).await);
    keeper.post("/api/apitokens/", Value::Null).await.ok();
    assert_eq!(keeper.get("/api/apitokens/").await.json().as_array().unwrap().len(), 1);

    // A realm of one's own.
    vms.post("/api/realms/", json!({ "name": "people", "object_types": ["users"] })).await.ok();
    let change = json!({ "permissions_list": ["view_people"] });
    vms.call("PATCH", &format!("/api/roles/{}/", role["id"]), &change).await.ok();
    keeper.get("/api/users/").await.ok();
    denied(&keeper.get("/api/quotas/").await);

    let id = me["id"].as_u64().unwrap();
    assert_eq!(vms.call("DELETE", &format!("/api/roles/{}/", role["id"]), &Value::Null).await.status, 409);
    assert_eq!(vms.call("DELETE", "/api/roles/1/", &Value::Null).await.status, 400);
    assert_eq!(vms.call("DELETE", "/api/managers/1/", &Value::Null).await.status, 400);
    let twin =
        vms.post("/api/managers/", json!({ "username": "keeper", "password": "x", "roles": [1] })).await;
    assert!(twin.status == 400 && twin.json()["username"].is_array());
    assert_eq!(
        vms.post("/api/managers/", json!({ "username": "y", "password": "x", "roles": [77] })).await.status,
        400
    );
    assert_eq!(basic(&vms, "keeper", "wrong").get("/api/users/").await.status, 401);
    assert_eq!(vms.get(&format!("/api/managers/{id}/")).await.json()["failed_logins"], 1);
    vms.call("PATCH", &format!("/api/managers/{id}/"), &json!({ "password": "secret-2" })).await.ok();
    assert_eq!(keeper.get("/api/users/").await.status, 401);
    basic(&vms, "keeper", "secret-2").get("/api/users/").await.ok();
    vms.call("DELETE", &format!("/api/managers/{id}/"), &Value::Null).await.ok();
    assert_eq!(basic(&vms, "keeper", "secret-2").get("/api/users/").await.status, 401);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_rights_that_they_lack() {
    let (cluster, vms) = frozen().await;
    let role = async |name: &str, list: &[&str]| {
        let body = json!({ "name": name, "permissions_list": list });
        vms.post("/api/roles/", body).await.ok().json()["id"].as_u64().unwrap()
    };
    let security = ["view_security", "create_security", "edit_security"];
    let (own, less, more) = (
        role("own", &security).await,
        role("less", &["view_security"]).await,
        role("more", &["view_security", "view_logical"]).await,
    );
    let keeper = manager(&vms, json!({ "username": "keeper", "password": "secret-1", "roles": [own] })).await;
    let made = |name: &str, more: Value| {
        let mut body = json!({ "username": name, "password": "secret-1" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for given in [
        json!({ "roles": [1] }),
        json!({ "roles": [less, more] }),
        json!({ "permissions_list": ["edit_logical"] }),
    ] {
        denied(&keeper.post("/api/managers/", made("evil", given)).await);
    }
    let id =
        keeper.post("/api/managers/", made("deputy", json!({ "roles": [less] }))).await.ok().json()["id"]
            .clone();
    let path = format!("/api/managers/{id}/");
    for given in [json!({ "roles": [1] }), json!({ "roles": [more] })] {
        denied(&keeper.call("PATCH", &path, &given).await);
    }
    keeper.call("PATCH", &path, &json!({ "roles": [own], "first_name": "D" })).await.ok();
    // Nor by way of a role.
    let wide = json!({ "permissions_list": ["view_security", "view_logical"] });
    denied(&keeper.call("PATCH", &format!("/api/roles/{own}/"), &wide).await);
    denied(&keeper.post("/api/roles/", json!({ "name": "all", "permissions": ["view"] })).await);
    let narrow = json!({ "name": "narrow", "permissions": ["view"], "realm": "security" });
    keeper.post("/api/roles/", narrow).await.ok();
    assert_eq!(vms.get(&path).await.ok().json()["roles"], json!([{ "id": own, "name": "own" }]));
    vms.call("PATCH", &path, &json!({ "roles": [1] })).await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_tokens() {
    let (cluster, vms) = frozen().await;
    let login = json!({ "username": "admin", "password": "123456" });
    let pair = vms.with("").post("/api/token/", login).await.ok().json();
    assert_eq!(pair["access"].as_str().unwrap().split('.').count(), 3, "shaped like a signed token");
    let out = bearer(&vms, &pair).call("POST", "/api/logout/", &Value::Null).await;
    assert_eq!((out.status.as_u16(), &out.json()["username"]), (201, &json!("admin")));
    assert_eq!(bearer(&vms, &pair).get("/api/views/").await.status, 403);
    let refresh = vms.with("").post("/api/token/refresh/", json!({ "refresh": pair["refresh"] })).await;
    assert_eq!(refresh.status, 401);
    assert_eq!(vms.post("/api/v1/plugins/usage/", json!({ "vendor": "x" })).await.status, 200);
    assert_eq!(vms.get("/api/health/").await.ok().json()["status"], "ok");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_keep_to_themselves() {
    let (cluster, vms) = frozen().await;
    let acme = vms.post("/api/tenants/", json!({ "name": "acme" })).await.ok().json()["id"].clone();
    let body = json!({ "username": "boss", "password": "secret-1", "roles": [1], "user_type": "TENANT_ADMIN", "tenant_id": acme });
    let boss = manager(&vms, body).await;
    let without =
        json!({ "username": "b", "password": "secret-1", "roles": [1], "user_type": "TENANT_ADMIN" });
    assert_eq!(vms.post("/api/managers/", without).await.status, 400);

    let policy = boss.post("/api/viewpolicies/", json!({ "name": "p", "flavor": "NFS" })).await.ok().json();
    assert_eq!((&policy["tenant_id"], &policy["tenant_name"]), (&acme, &json!("acme")));
    let names = |v: Value| v.as_array().unwrap().iter().map(|p| p["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(boss.get("/api/viewpolicies/").await.json()), ["p"]);
    assert_eq!(names(boss.get("/api/tenants/").await.json()), ["acme"]);
    assert_eq!(boss.get("/api/views/1/").await.status, 404);
    assert_eq!(boss.call("DELETE", "/api/views/1/", &Value::Null).await.status, 404);
    denied(&boss.post("/api/viewpolicies/", json!({ "name": "p", "tenant_id": 1 })).await);
    denied(&boss.call("PATCH", "/api/clusters/1/", &json!({ "name": "mine" })).await);
    // The same name may be taken in another tenant.
    vms.post("/api/viewpolicies/", json!({ "name": "p" })).await.ok();
    assert_eq!(boss.post("/api/viewpolicies/", json!({ "name": "p" })).await.status, 400);

    let as_acme = vms.in_tenant("acme");
    assert_eq!(names(as_acme.get("/api/viewpolicies/").await.json()), ["p"]);
    assert_eq!(vms.in_tenant("nowhere").get("/api/views/").await.status, 400);
    denied(&boss.in_tenant("default").get("/api/views/").await);
    let pair = boss
        .in_tenant("acme")
        .post("/api/token/", json!({ "username": "boss", "password": "secret-1" }))
        .await;
    let scoped = bearer(&vms, &pair.ok().json());
    assert_eq!(names(scoped.get("/api/tenants/").await.json()), ["acme"]);
    cluster.stop().await;
}
