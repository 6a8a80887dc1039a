//! Views, their policies and tenants: what may be made, changed and deleted, and what follows from it.

use serde_json::{Value, json};

use crate::client::{Vms, pattern, start};

/// Posts a view and expects a complaint about a field.
async fn refused(vms: &Vms, body: Value, field: &str) {
    let reply = vms.post("/api/views/", body.clone()).await;
    assert_eq!(reply.status, 400, "{body}: {}", reply.text());
    assert!(reply.json()[field].is_array(), "{body}: {}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_needs_a_directory() {
    let (cluster, ..) = start().await;
    let vms = Vms::new(&cluster);
    refused(&vms, json!({ "path": "/new/dir", "policy_id": 1 }), "path").await;
    let made =
        vms.post("/api/views/", json!({ "path": "/new/dir", "policy_id": 1, "create_dir": true })).await.ok();
    assert_eq!(made.json()["protocols"], json!([]));
    // The directory above it was made on the way, and one that is there needs no making.
    vms.post("/api/views/", json!({ "path": "/new", "policy_id": 1 })).await.ok();
    vms.post("/api/views/", json!({ "path": "/", "policy_id": 1 })).await.ok();
    let path = format!("/api/views/{}/", made.json()["id"]);
    assert_eq!(vms.call("DELETE", &path, &Value::Null).await.status, 204);
    vms.post("/api/views/", json!({ "path": "/new/dir", "policy_id": 1 })).await.ok();
    for bad in ["/a//b", "/a/../b", "x", "/a/"] {
        refused(&vms, json!({ "path": bad, "policy_id": 1, "create_dir": true }), "path").await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_a_window_onto_its_path() {
    let (cluster, provisioned, s3) = start().await;
    let vms = Vms::new(&cluster);
    s3.put("/data/in/side", pattern(1, 500)).await.ok();
    let inner = json!({ "path": "/data/in", "policy_id": 2, "protocols": ["S3"], "bucket": "inner",
        "bucket_owner": "data-owner" });
    let inner = vms.post("/api/views/", inner).await.ok().json();
    assert_eq!((&inner["logical_capacity"], &inner["policy"]), (&json!(500), &json!("s3_default_policy")));
    assert_eq!(s3.get("/inner/side").await.ok().body, pattern(1, 500));
    // With force the bucket goes, the data stays for the next view on the path.
    let outer = format!("/api/views/{}/", provisioned.view_id);
    assert_eq!(vms.call("DELETE", &outer, &Value::Null).await.status, 400);
    assert_eq!(vms.call("DELETE", &format!("{outer}?force=true"), &Value::Null).await.status, 204);
    s3.get("/data/in/side").await.is(404, "NoSuchBucket");
    let again = json!({ "path": "/data", "policy_id": 2, "protocols": ["S3"], "bucket": "again", "bucket_owner": "data-owner" });
    vms.post("/api/views/", again).await.ok();
    assert_eq!(s3.get("/again/in/side").await.ok().body, pattern(1, 500));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_locks_must_make_sense_and_stays() {
    let (cluster, ..) = start().await;
    let vms = Vms::new(&cluster);
    let view = |more: Value| {
        let mut body = json!({ "path": "/worm", "policy_id": 2, "protocols": ["S3"], "bucket": "worm",
            "bucket_owner": "data-owner", "create_dir": true, "locking": true, "s3_versioning": true });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, field) in [
        (json!({ "default_retention_period": "two days" }), "default_retention_period"),
        (json!({ "min_retention_period": "3d", "max_retention_period": "2d" }), "min_retention_period"),
        (
            json!({ "min_retention_period": "3d", "default_retention_period": "2d" }),
            "default_retention_period",
        ),
        (json!({ "s3_locks_retention_mode": "COMPLIANCE" }), "default_retention_period"),
        (json!({ "s3_locks_retention_mode": "SOMETIMES" }), "s3_locks_retention_mode"),
        (json!({ "protocols": ["S3", "NFS"] }), "files_retention_mode"),
        (json!({ "protocols": ["FTP"] }), "protocols"),
        (json!({ "smb_encryption_state": "MAYBE" }), "smb_encryption_state"),
    ] {
        refused(&vms, view(more), field).await;
    }
    let kept = json!({ "s3_locks_retention_mode": "GOVERNANCE", "default_retention_period": "2d", "max_retention_period": "1y" });
    let made = vms.post("/api/views/", view(kept)).await.ok().json();
    assert_eq!((&made["locking"], &made["max_retention_period"]), (&json!(true), &json!("1y")));
    let path = format!("/api/views/{}/", made["id"]);
    for field in ["locking", "s3_versioning"] {
        let off = vms.call("PATCH", &path, &json!({ field: false })).await;
        assert!(off.status == 400 && off.json()[field].is_array(), "{}", off.text());
    }
    vms.call("PATCH", &path, &json!({ "max_retention_period": "2y" })).await.ok();
    let mode = view(json!({ "is_indestructible_object_enabled": true, "path": "/i", "bucket": "indest" }));
    let refused = vms.post("/api/views/", mode).await;
    assert!(refused.status == 400 && refused.json()["is_indestructible_object_enabled"].is_array());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn legal_hold_and_cors_are_below_the_view() {
    let (cluster, provisioned, s3) = start().await;
    let vms = Vms::new(&cluster);
    let plain = format!("/api/views/{}/", provisioned.view_id);
    let hold = json!({ "legal_hold_path": "/k", "value": true });
    assert_eq!(
        vms.call("PATCH", &format!("{plain}legal_hold/"), &hold).await.status,
        400,
        "nothing is locked there"
    );
    let worm = json!({ "path": "/worm", "policy_id": 2, "protocols": ["S3"], "bucket": "worm",
        "bucket_owner": "data-owner", "create_dir": true, "locking": true, "s3_versioning": true });
    let worm = format!("/api/views/{}/", vms.post("/api/views/", worm).await.ok().json()["id"]);
    s3.put("/worm/a/k", "x").await.ok();
    let held = |path: &'static str| {
        let (vms, url) = (vms.clone(), format!("{worm}legal_hold/?legal_hold_path={path}"));
        async move { vms.get(&url).await.ok().json()["value"].clone() }
    };
    assert_eq!(held("/a/k").await, "false");
    let set = |value: Value| json!({ "legal_hold_path": "/worm/a/k", "value": value });
    vms.call("PATCH", &format!("{worm}legal_hold/"), &set(json!(true))).await.ok();
    assert_eq!((held("/a/k").await, held("/worm/a/k").await), (json!("true"), json!("true")));
    assert_eq!(vms.call("PATCH", &format!("{worm}legal_hold/"), &set(Value::Null)).await.status, 400);
    let missing = vms.get(&format!("{worm}legal_hold/?legal_hold_path=/none")).await;
    assert!(missing.status == 400 && missing.json()["legal_hold_path"].is_array());
    vms.call("PATCH", &format!("{worm}legal_hold/"), &set(json!(false))).await.ok();
    assert_eq!(held("/a/k").await, "false");

    let cors = format!("{plain}s3cors_configuration/");
    assert_eq!(vms.get(&cors).await.ok().json(), json!({ "cors_rules": [], "aws_cors_rules": null }));
    let rule = json!({ "allowed_methods": ["GET"], "allowed_origins": ["*"], "max_age_seconds": 5 });
    assert_eq!(vms.post(&cors, json!({ "cors_rules": [rule] })).await.status, 201);
    let aws = vms.get(&format!("{cors}?aws_format=true")).await.ok().json();
    assert_eq!(
        aws,
        json!({ "cors_rules": null, "aws_cors_rules": [{ "AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 5 }] })
    );
    assert_eq!(vms.post(&cors, json!({ "cors_rules": [{ "allowed_methods": ["GET"] }] })).await.status, 400);
    assert_eq!(vms.call("DELETE", &cors, &Value::Null).await.status, 204);
    assert_eq!(vms.get(&cors).await.ok().json(), json!({ "cors_rules": [], "aws_cors_rules": null }));
    assert_eq!(vms.get(&format!("{plain}nothing/")).await.status, 404);
    assert_eq!(vms.call("DELETE", &format!("{plain}legal_hold/"), &Value::Null).await.status, 405);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_views_are_templates() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    let template = json!({ "path": "/buckets", "policy_id": 1, "protocols": ["ENDPOINT"], "create_dir": true,
        "s3_versioning": true, "bucket_creators": ["data-owner"] });
    vms.post("/api/views/", template.clone()).await.ok();
    let mut second = template;
    second["path"] = json!("/elsewhere");
    refused(&vms, second, "bucket_creators").await;
    vms.call(
        "PATCH",
        &format!("/api/users/{}/", vms.get("/api/users/?name=data-owner").await.json()[0]["id"]),
        &json!({ "allow_create_bucket": true }),
    )
    .await
    .ok();
    s3.put("/fresh", "").await.ok();
    let view = vms.get("/api/views/?bucket=fresh").await.ok().json()[0].clone();
    assert_eq!(
        (&view["path"], &view["policy_id"], &view["s3_versioning"], &view["protocols"]),
        (&json!("/buckets/fresh"), &json!(1), &json!(true), &json!(["S3"]))
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_stand_for_ids_and_tenants_are_kept_apart() {
    let (cluster, ..) = start().await;
    let vms = Vms::new(&cluster);
    let tenant = vms.post("/api/tenants/", json!({ "name": "t", "max_views": 1 })).await.ok().json();
    assert_eq!(
        (&tenant["local_provider"]["id"], &tenant["vippool_names"]),
        (&json!(1), &json!([vast_sim::VIP_POOL]))
    );
    let id = tenant["id"].clone();
    let policy =
        vms.post("/api/viewpolicies/", json!({ "name": "p", "tenant_id": id })).await.ok().json()["id"]
            .clone();
    refused(&vms, json!({ "path": "/x", "policy_id": policy, "create_dir": true }), "policy_id").await;
    let body = json!({ "path": "/x", "policy_id": policy, "tenant_id": id, "create_dir": true });
    let view = vms.post("/api/views/", body.clone()).await.ok().json();
    assert_eq!((&view["tenant_name"], &view["policy"]), (&json!("t"), &json!("p")));
    let mut second = body;
    second["path"] = json!("/y");
    assert_eq!(vms.post("/api/views/", second).await.status, 400, "one view is the limit");
    assert_eq!(
        vms.get(&format!("/api/tenants/{id}/views_count")).await.json(),
        json!({ "current_views_count": 1, "max_views": 1 })
    );
    assert_eq!(vms.call("DELETE", &format!("/api/tenants/{id}/"), &Value::Null).await.status, 409);
    assert_eq!(vms.call("DELETE", "/api/tenants/1/", &Value::Null).await.status, 400);
    let ranges = format!("/api/tenants/{id}/client_ip_ranges/");
    let add = json!({ "client_ip_ranges_to_add": [["10.0.0.1", "10.0.0.9"]] });
    assert_eq!(
        vms.call("PATCH", &ranges, &add).await.ok().json()["client_ip_ranges_summary"],
        "10.0.0.1-10.0.0.9"
    );
    let backwards = json!({ "client_ip_ranges": [["10.0.0.9", "10.0.0.1"]] });
    assert_eq!(vms.call("PATCH", &format!("/api/tenants/{id}/"), &backwards).await.status, 400);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_repaired_by_a_task() {
    let (cluster, provisioned, _) = start().await;
    let vms = Vms::new(&cluster);
    let path = format!("/api/views/{}/permissions_repair/", provisioned.view_id);
    let body =
        |target: &str| json!({ "target_path": target, "template_view_id": 1, "template_dir_path": "/" });
    assert_eq!(vms.post(&path, json!({ "target_path": "/" })).await.status, 400);
    let (good, bad) =
        (vms.post(&path, body("/")).await.ok().json(), vms.post(&path, body("/none")).await.ok().json());
    cluster.advance(std::time::Duration::from_secs(1)).unwrap();
    let state = |task: &Value| {
        let (vms, url) = (vms.clone(), format!("/api/vtasks/{}/", task["async_task"]["id"]));
        async move { vms.get(&url).await.ok().json() }
    };
    assert_eq!(state(&good).await["state"], "COMPLETED");
    let failed = state(&bad).await;
    assert_eq!(failed["state"], "FAILED");
    assert!(failed["messages"][0].as_str().unwrap().contains("no such directory"), "{failed}");
    cluster.stop().await;
}
