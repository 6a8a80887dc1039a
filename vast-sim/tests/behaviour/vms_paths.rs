//! What lies below resources: replication that does not happen, settings that are kept, figures in other units, things
//! of which there are none.

use serde_json::{Value, json};
use vast_sim::{Cluster, Config};

use crate::client::{S3, Vms, pattern, start_with};

async fn start() -> (Cluster, Vms, S3) {
    let (cluster, _, s3) = start_with(Config::default(), None).await;
    let vms = Vms::new(&cluster);
    (cluster, vms, s3)
}

#[tokio::test(flavor = "multi_thread")]
async fn replication_is_configured_and_never_pretended() {
    let (cluster, vms, s3) = start().await;
    s3.put("/data/a", pattern(1, 100)).await.ok();
    let target = json!({ "name": "far", "leading_vip": "192.0.2.1", "pool_id": 1 });
    let target = vms.post("/api/nativereplicationremotetargets/", target).await.ok().json();
    assert_eq!(
        [&target["state"], &target["health"], &target["pool"]],
        [&json!("ERROR"), &json!("ERROR"), &json!("vippool-1")]
    );
    assert!(target["state_description"].as_str().unwrap().contains("192.0.2.1"));
    let bucket = json!({ "name": "cloud", "type": "CUSTOM_S3", "access_key": "A", "secret_key": "s", "bucket_name": "b",
        "http_protocol": "https" });
    let bucket = vms.post("/api/replicationtargets/", bucket).await.ok().json();
    assert_eq!((&bucket["state"], bucket.get("secret_key")), (&json!("ERROR"), None));

    let policy = |kind: &str, target: Value| {
        json!({ "name": kind, "clone_type": kind, "prefix": "r", "target_object_id": target,
        "frames": [{ "every": "1h", "keep-local": "1d" }] })
    };
    for (kind, wrong) in [("NATIVE_REPLICATION", 77), ("CLOUD_REPLICATION", 77)] {
        let refused = vms.post("/api/protectionpolicies/", policy(kind, wrong.into())).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json()["target_object_id"].is_array()),
            (400, true),
            "{kind}"
        );
    }
    let native = vms
        .post("/api/protectionpolicies/", policy("NATIVE_REPLICATION", target["id"].clone()))
        .await
        .ok()
        .json();
    vms.post("/api/protectionpolicies/", policy("CLOUD_REPLICATION", bucket["id"].clone())).await.ok();
    for (kind, id) in
        [("nativereplicationremotetargets", &target["id"]), ("replicationtargets", &bucket["id"])]
    {
        assert_eq!(
            vms.call("DELETE", &format!("/api/{kind}/{id}/"), &Value::Null).await.status,
            409,
            "{kind}"
        );
    }
    let path = json!({ "name": "pp", "source_dir": "/data", "target_exported_dir": "/t", "tenant_id": 1,
        "protection_policy_id": native["id"] });
    let path = vms.post("/api/protectedpaths/", path).await.ok().json();
    assert_eq!(
        [&path["state"], &path["health"], &path["is_local"]],
        [&json!("Sync Failed"), &json!("UNHEALTHY"), &json!(false)]
    );
    let below = |name: &str| format!("/api/protectedpaths/{}/{name}", path["id"]);
    for name in ["stop", "commit", "force_failover", "replicate_now/"] {
        let refused = vms.call("PATCH", &below(name), &Value::Null).await;
        assert_eq!((refused.status.as_u16(), refused.json()["detail"].is_string()), (400, true), "{name}");
    }
    let lost =
        vms.call("PATCH", &below("add_stream/"), &json!({ "name": "s", "remote_target_id": 77 })).await;
    assert!(lost.status == 400 && lost.json()["remote_target_id"].is_array());
    let away = json!({ "name": "s", "target_exported_dir": "/t", "remote_target_id": target["id"] });
    assert_eq!(
        vms.call("PATCH", &below("add_stream/"), &away).await.json()["detail"],
        "The remote target is not connected."
    );
    assert_eq!(vms.get(&below("validate")).await.ok().json()["is_source_ppath"], true);
    assert_eq!(
        vms.get("/api/snapshots/").await.ok().json(),
        json!([]),
        "a refused replication takes no snapshot"
    );
    // Its schedule takes real ones here.
    cluster.advance(std::time::Duration::from_mins(61)).unwrap();
    assert_eq!(vms.get("/api/snapshots/").await.ok().json().as_array().unwrap().len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_below_the_cluster_are_kept() {
    let (cluster, vms, s3) = start().await;
    let path = |name: &str| format!("/api/clusters/1/{name}/");
    vms.call("PATCH", &path("vsettings"), &json!({ "vsettings": { "a": "1", "b": 2 } })).await.ok();
    assert_eq!(vms.get(&path("vsettings")).await.ok().json(), json!({ "a": "1", "b": "2" }));
    assert_eq!(vms.get(&format!("{}?key=b", path("vsettings"))).await.ok().json(), json!({ "b": "2" }));
    vms.call("DELETE", &path("vsettings"), &json!({ "key": "a" })).await.ok();
    assert_eq!(vms.call("DELETE", &path("vsettings"), &json!({ "key": "a" })).await.status, 404);
    assert_eq!(vms.call("PATCH", &path("vsettings"), &json!({})).await.status, 400);
    let true_ip = json!({ "true_client_ip_header": "X-Real-IP", "included_addresses": [{ "start_ip": "10.0.0.1", "range": 2 }] });
    vms.call("PATCH", &path("s3_true_ip_config"), &true_ip).await.ok();
    assert_eq!(vms.get(&path("s3_true_ip_config")).await.ok().json(), true_ip);
    let change = vms
        .call("PATCH", &path("auditing"), &json!({ "enable_json_audit": true, "max_file_size": 5 }))
        .await
        .ok();
    assert_eq!(change.json()["async_task"]["state"], "RUNNING");
    cluster.advance(std::time::Duration::from_secs(2)).unwrap();
    let auditing = vms.get(&path("auditing")).await.ok().json();
    assert_eq!([&auditing["enable_json_audit"], &auditing["max_file_size"]], [&json!(true), &json!(5)]);
    assert_eq!(vms.get("/api/clusters/1/").await.ok().json()["enable_json_audit"], true);
    assert!(!vms.get("/api/clusters/").await.text().contains("vsettings"));

    let before = vms.get(&path("advanced")).await.ok().json();
    s3.put("/data/x", pattern(1, 1 << 20)).await.ok();
    let after = vms.get(&path("advanced")).await.ok().json();
    let grown = |field: &str| after[field].as_f64().unwrap() - before[field].as_f64().unwrap();
    assert!((grown("used_capacity_in_gib") * 1024.0 - 1.0).abs() < 1e-9, "{after}");
    assert!((grown("number_of_files_and_directories") - 1.0).abs() < 1e-9, "{after}");

    vms.call("PATCH", "/api/clusters/1/", &json!({ "enable_trash": true })).await.ok();
    cluster.advance(std::time::Duration::from_secs(2)).unwrap();
    vms.call("DELETE", &path("delete_folder"), &json!({ "path": "/data" })).await.ok();
    let gone = vms.call("DELETE", &path("delete_folder"), &json!({ "path": "/data" })).await;
    assert!(gone.status == 400 && gone.text().contains("no such directory"), "{}", gone.text());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_some_things_there_are_none() {
    let (cluster, vms, _) = start().await;
    for kind in
        ["openfiles", "schemas", "tables", "computeclusters", "issues", "virtual-machines", "quotagroups"]
    {
        assert_eq!(vms.get(&format!("/api/{kind}/")).await.ok().json(), json!([]), "{kind}");
        let page = vms.get(&format!("/api/latest/{kind}/?page_size=1000&page=1")).await.ok().json();
        assert_eq!(page, json!({ "count": 0, "next": null, "previous": null, "results": [] }), "{kind}");
        assert_eq!(vms.get(&format!("/api/{kind}/1/")).await.status, 404, "{kind}");
    }
    assert_eq!(vms.get("/api/clusters/bgp_table/").await.ok().json()["count"], 0);
    assert_eq!(vms.post("/api/tables/", json!({ "name": "t" })).await.status, 501);
    assert_eq!(vms.call("DELETE", "/api/openfiles/", &Value::Null).await.status, 405);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_do_what_they_say() {
    let (cluster, vms, _) = start().await;
    vms.call("PATCH", "/api/cnodes/1/control_led/", &json!({ "control": "blink" })).await.ok();
    assert_eq!(vms.get("/api/cnodes/1/").await.ok().json()["led_status"], "BLINK");
    assert_eq!(
        vms.call("PATCH", "/api/cnodes/1/control_led/", &json!({ "control": "dance" })).await.status,
        400
    );
    vms.call("PATCH", "/api/dnodes/1/highlight/", &Value::Null).await.ok();
    vms.call("PATCH", "/api/dnodes/1/rename/", &json!({ "name": "drawer" })).await.ok();
    cluster.advance(std::time::Duration::from_secs(2)).unwrap();
    let node = vms.get("/api/dnodes/1/").await.ok().json();
    assert_eq!([&node["name"], &node["led_status"]], [&json!("drawer"), &json!("BLINK")]);

    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let ldap = json!({ "name": name, "urls": ["ldap://192.0.2.1"], "binddn": "cn=x", "bindpw": "x", "searchbase": "dc=x" });
        ids.push(vms.post("/api/ldaps/", ldap).await.ok().json()["id"].clone());
    }
    for id in &ids {
        vms.call("PATCH", &format!("/api/ldaps/{id}/set_posix_primary/"), &Value::Null).await.ok();
    }
    let primary = vms.get("/api/ldaps/?posix_primary_provider=true").await.ok().json();
    assert_eq!((primary.as_array().unwrap().len(), &primary[0]["id"]), (1, &ids[1]));

    let names = vms.get("/api/users/names/?prefix=local-user-").await.ok().json();
    assert_eq!((names.as_array().unwrap().len(), &names[0]["name"]), (5, &json!("local-user-1")));
    vms.post("/api/groups/", json!({ "name": "staff", "gid": 7 })).await.ok();
    assert_eq!(vms.get("/api/groups/names/?prefix=st").await.ok().json()[0]["gid"], 7);

    let view = json!({ "path": "/block", "policy_id": 1, "protocols": ["BLOCK"], "create_dir": true });
    let view = vms.post("/api/views/", view).await.ok().json()["id"].clone();
    let mut volumes = Vec::new();
    for name in ["a", "b"] {
        let volume = json!({ "name": name, "size": 1 << 20, "view_id": view });
        volumes.push(vms.post("/api/volumes/", volume).await.ok().json()["id"].clone());
    }
    vms.post("/api/snapshots/", json!({ "name": "s", "path": "/block/" })).await.ok();
    let held = vms.get(&format!("/api/volumes/{}/get_snapshots", volumes[0])).await.ok().json();
    assert_eq!(held[0]["name"], "s");
    let all = json!({ "ids": [volumes[0], volumes[1], 77] });
    assert_eq!(vms.call("DELETE", "/api/volumes/bulk", &all).await.status, 400);
    assert_eq!(vms.get("/api/volumes/").await.ok().json().as_array().unwrap().len(), 2);
    vms.call("DELETE", "/api/volumes/bulk", &json!({ "ids": volumes })).await.ok();
    assert_eq!(vms.get("/api/volumes/").await.ok().json(), json!([]));

    let triggers = format!("/api/views/{view}/nfs4_triggers/");
    vms.post(&triggers, json!({ "enabled": true })).await.ok();
    assert_eq!(vms.get(&triggers).await.ok().json(), json!({ "enabled": true }));
    let network = vms.get("/api/vms/1/network_settings/").await.ok().json();
    assert_eq!(network["boxes"][0]["hosts"][0]["hostname"], "cnode-1");
    cluster.stop().await;
}
