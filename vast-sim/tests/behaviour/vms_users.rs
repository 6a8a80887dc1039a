//! Users, groups, their S3 keys and identity policies over REST.

use serde_json::{Value, json};
use vast_sim::{Cluster, Config, KeyPair};

use crate::client::{S3, Vms, start, start_with};

fn keys(reply: &Value) -> KeyPair {
    let text = |f: &str| reply[f].as_str().unwrap().to_owned();
    KeyPair { access_key: text("access_key"), secret_key: text("secret_key") }
}

fn vms(cluster: &Cluster) -> Vms {
    Vms::new(cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_shown_once_disabled_and_removed() {
    let (cluster, data, owner) = start().await;
    let vms = vms(&cluster);
    let path = format!("/api/users/{}/access_keys/", data.user_id);
    // An empty body will do.
    let made = vms.call("POST", &path, &Value::Null).await;
    assert_eq!(made.status, 200);
    let second = keys(&made.json());
    let s3 = S3 { keys: second.clone(), ..owner.clone() };
    s3.get("/data").await.ok();

    let user = vms.get(&format!("/api/users/{}/", data.user_id)).await.ok();
    assert!(!user.text().contains(&second.secret_key));
    let shown = user.json()["access_keys"].as_array().unwrap().clone();
    assert_eq!(shown.len(), 2);
    assert!(
        shown.iter().all(|k| k["enabled"] == true && k["tenant_id"] == 1 && k["creation_time"].is_string())
    );
    let listed = vms.get(&format!("/api/locals3keys/?access_key={}", second.access_key)).await.ok().json();
    assert_eq!(listed[0]["user"]["name"], "data-owner");
    assert_eq!(listed[0]["tenant"], json!({ "id": 1, "name": "default" }));
    let of_user = vms.get(&format!("/api/locals3keys/?user_id={}", data.user_id)).await.ok().json();
    assert_eq!(of_user.as_array().unwrap().len(), 2);

    let named = |enabled: bool| json!({ "access_key": second.access_key, "enabled": enabled });
    assert_eq!(vms.call("PATCH", &path, &named(false)).await.status, 204);
    s3.get("/data").await.is(403, "InvalidAccessKeyId");
    assert_eq!(vms.call("PATCH", &path, &named(true)).await.status, 204);
    s3.get("/data").await.ok();
    assert_eq!(vms.call("DELETE", &path, &json!({ "access_key": second.access_key })).await.status, 204);
    s3.get("/data").await.is(403, "InvalidAccessKeyId");

    assert_eq!(vms.call("DELETE", &path, &json!({ "access_key": second.access_key })).await.status, 404);
    assert_eq!(vms.call("DELETE", &path, &json!({})).await.status, 400);
    let lost = vms.call("POST", &path, &json!({ "tenant_id": 99 })).await;
    assert_eq!((lost.status.as_u16(), lost.json()["tenant_id"].is_array()), (400, true));
    assert_eq!(vms.call("POST", "/api/users/999/access_keys/", &Value::Null).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_keys_is_a_setting() {
    let (cluster, data, _) = start_with(Config { max_keys_per_user: 2, ..Config::default() }, None).await;
    cluster.create_keys(data.user_id).unwrap();
    assert_eq!(cluster.create_keys(data.user_id).unwrap_err().status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_other_providers_have_keys_too() {
    let (cluster, _, owner) = start().await;
    let vms = vms(&cluster);
    let local = cluster.vms("GET", "users", &Value::Null).unwrap().as_array().unwrap().len();
    assert_eq!(vms.get("/api/users/query/?uid=77001").await.status, 404);
    let body = json!({ "uid": 77001, "username": "carla", "tenant_id": 1 });
    let made = vms.call("POST", "/api/users/non_local_keys/", &body).await.ok();
    let carla = S3 { keys: keys(&made.json()), ..owner.clone() };
    carla.put("/carlas", "").await.is(403, "AccessDenied");
    let patch = json!({ "uid": 77001, "allow_create_bucket": true, "allow_delete_bucket": true });
    vms.call("PATCH", "/api/users/query/", &patch).await.ok();
    carla.put("/carlas", "").await.ok();

    let found = vms.get("/api/users/query/?username=carla&tenant_id=1").await.ok().json();
    assert_eq!((found["uid"].as_u64(), found["allow_create_bucket"].as_bool()), (Some(77001), Some(true)));
    assert_eq!(found["access_keys"][0]["access_key"], carla.keys.access_key.as_str());
    assert_eq!(cluster.vms("GET", "users", &Value::Null).unwrap().as_array().unwrap().len(), local);

    let off = json!({ "access_key": carla.keys.access_key, "enabled": false, "uid": 77001 });
    let wrong = json!({ "access_key": carla.keys.access_key, "enabled": false, "uid": 77002 });
    assert_eq!(vms.call("PATCH", "/api/users/non_local_keys/", &wrong).await.status, 404);
    assert_eq!(vms.call("PATCH", "/api/users/non_local_keys/", &off).await.status, 204);
    carla.get("/carlas").await.is(403, "InvalidAccessKeyId");
    let gone = json!({ "access_key": carla.keys.access_key });
    assert_eq!(vms.call("DELETE", "/api/users/non_local_keys/", &gone).await.status, 204);
    assert_eq!(vms.call("POST", "/api/users/non_local_keys/", &json!({})).await.status, 400);
    // A local user can be asked for as well.
    assert_eq!(vms.get("/api/users/query/?username=data-owner").await.ok().json()["name"], "data-owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_have_keys_of_their_own() {
    let (cluster, _, owner) = start().await;
    let vms = vms(&cluster);
    assert_eq!(vms.get("/api/s3keys/").await.ok().json(), json!([]));
    let made = vms.post("/api/s3keys/", json!({})).await;
    assert_eq!(made.status, 201);
    let own = keys(&made.json());
    assert_eq!(vms.get("/api/s3keys/").await.ok().json()[0]["access_key"], own.access_key.as_str());
    let s3 = S3 { keys: own.clone(), ..owner };
    s3.get("/").await.ok();
    assert_eq!(
        vms.call("DELETE", &format!("/api/s3keys/{}/", own.access_key), &Value::Null).await.status,
        204
    );
    assert_eq!(
        vms.call("DELETE", &format!("/api/s3keys/{}/", own.access_key), &Value::Null).await.status,
        404
    );
    s3.get("/").await.is(403, "InvalidAccessKeyId");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_differs_from_tenant_to_tenant() {
    let (cluster, data, owner) = start().await;
    let vms = vms(&cluster);
    let path = format!("/api/users/{}/tenant_data/", data.user_id);
    let before = vms.get(&format!("{path}?tenant_id=1")).await.ok().json();
    assert_eq!(
        (before["allow_create_bucket"].as_bool(), before["s3_policies_ids"].clone()),
        (Some(false), json!([]))
    );
    owner.put("/more", "").await.is(403, "AccessDenied");
    let patch = json!({ "tenant_id": 1, "allow_create_bucket": true });
    assert_eq!(vms.call("PATCH", &path, &patch).await.ok().json()["allow_create_bucket"], true);
    owner.put("/more", "").await.ok();
    let second = cluster.create("tenants", &json!({ "name": "second" })).unwrap()["id"].clone();
    let other = vms.get(&format!("{path}?tenant_id={second}")).await.ok().json();
    assert_eq!(other["allow_create_bucket"], false);
    assert_eq!(vms.get(&format!("{path}?tenant_id=99")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_policies_know_their_members() {
    let (cluster, data, _) = start().await;
    let vms = vms(&cluster);
    let text = json!({ "Statement": { "Effect": "Allow", "Action": "s3:*", "Resource": "*" } }).to_string();
    let policy = vms.post("/api/s3policies/", json!({ "name": "all", "policy": text })).await;
    assert_eq!(policy.status, 201);
    let policy = policy.json();
    assert_eq!((policy["enabled"].as_bool(), policy["tenant_name"].as_str()), (Some(true), Some("default")));
    let id = policy["id"].clone();
    let group = json!({ "name": "ops", "gid": 700, "s3_policies_ids": [id] });
    let group = vms.post("/api/groups/", group).await.ok().json();
    assert_eq!(group["local_provider"], json!({ "id": 1, "name": "local" }));
    assert_eq!(group["s3_policies"], json!([{ "id": id, "name": "all" }]));
    let user = format!("/api/users/{}/", data.user_id);
    vms.call("PATCH", &user, &json!({ "gids": [700], "leading_gid": 700 })).await.ok();
    let shown = vms.get(&user).await.ok().json();
    assert_eq!((shown["groups"].clone(), shown["group_count"].clone()), (json!(["ops"]), json!(1)));
    assert_eq!(shown["leading_group_name"], "ops");
    let shown = vms.get(&format!("/api/s3policies/{id}/")).await.ok().json();
    assert_eq!((shown["groups"].clone(), shown["users"].clone()), (json!(["ops"]), json!([])));
    assert_eq!(vms.get("/api/groups/query/?groupname=ops").await.ok().json()["gid"], 700);

    // What is in use stays, what is taken is refused, what cannot be read is refused.
    assert_eq!(vms.call("DELETE", &format!("/api/s3policies/{id}/"), &Value::Null).await.status, 409);
    for (path, body, field) in [
        ("/api/groups/", json!({ "name": "ops", "gid": 701 }), "name"),
        ("/api/groups/", json!({ "name": "ops2", "gid": 700 }), "gid"),
        ("/api/groups/", json!({ "name": "ops2" }), "gid"),
        ("/api/s3policies/", json!({ "name": "bad", "policy": "{" }), "policy"),
        ("/api/s3policies/", json!({ "name": "all", "policy": text }), "name"),
        ("/api/users/", json!({ "name": "data-owner" }), "name"),
        ("/api/users/", json!({ "name": "dora", "s3_policies_ids": [99] }), "s3_policies_ids"),
    ] {
        let refused = vms.post(path, body.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.json()[field].is_array()), (400, true), "{path} {body}");
    }
    let owned = vms.call("DELETE", &user, &Value::Null).await;
    assert_eq!(owned.status, 409, "{}", owned.text());
    let dora = vms.post("/api/users/", json!({ "name": "dora", "password": "secret!" })).await.ok();
    assert!(!dora.text().contains("secret!"));
    assert_eq!(dora.json()["password_is_set"], true);
}
