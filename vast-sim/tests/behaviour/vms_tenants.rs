//! What the administrator of one tenant can find out about and do to others: nothing.

use base64::Engine as _;
use serde_json::{Value, json};
use vast_sim::{Cluster, Config, SimClock};

use crate::client::{Reply, Vms};

/// A cluster with two tenants that have the same things, and the administrator of the second.
struct World {
    cluster: Cluster,
    root: Vms,
    boss: Vms,
    /// Kind and id of what belongs to the first tenant.
    theirs: Vec<(&'static str, u64)>,
    mine: u64,
    other: u64,
}

async fn id_of(vms: &Vms, kind: &str, body: Value) -> u64 {
    let made = vms.post(&format!("/api/{kind}/"), body).await.ok().json();
    made["id"].as_u64().unwrap_or_else(|| panic!("{made}"))
}

async fn world() -> World {
    // The clock stands still, so that what happens is what requests do.
    let clock = std::sync::Arc::new(SimClock::frozen_at(std::time::SystemTime::now()));
    let cluster = Cluster::start(Config { clock, ..Config::default() }).await.unwrap();
    let root = Vms::new(&cluster);
    let local = json!({ "name": "of-other", "managed_by": ["TENANT_ADMIN", "SUPER_ADMIN"] });
    let provider = id_of(&root, "localproviders", local).await;
    let other = id_of(&root, "tenants", json!({ "name": "other", "local_provider_id": provider })).await;
    let local = json!({ "name": "of-mine", "managed_by": ["TENANT_ADMIN", "SUPER_ADMIN"] });
    let provider_of_mine = id_of(&root, "localproviders", local).await;
    let mine =
        id_of(&root, "tenants", json!({ "name": "mine", "local_provider_id": provider_of_mine })).await;
    let mut theirs = Vec::new();
    let text =
        r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#;
    let policy = id_of(&root, "viewpolicies", json!({ "name": "hush", "tenant_id": other })).await;
    theirs.push(("viewpolicies", policy));
    let qos = json!({ "name": "hush", "mode": "STATIC", "tenant_id": other });
    theirs.push(("qospolicies", id_of(&root, "qospolicies", qos).await));
    let s3 = json!({ "name": "hush", "policy": text, "tenant_id": other });
    theirs.push(("s3policies", id_of(&root, "s3policies", s3).await));
    let user = json!({ "name": "hush", "local_provider_id": provider });
    let user = id_of(&root, "users", user).await;
    theirs.push(("users", user));
    let group = json!({ "name": "hush", "gid": 4711, "local_provider_id": provider });
    theirs.push(("groups", id_of(&root, "groups", group).await));
    root.post(&format!("/api/users/{user}/access_keys/"), json!({ "tenant_id": other })).await.ok();
    let view = json!({ "path": "/hush", "policy_id": policy, "tenant_id": other, "protocols": ["S3"],
        "bucket": "hush", "bucket_owner": "hush", "create_dir": true });
    let view = id_of(&root, "views", view).await;
    theirs.push(("views", view));
    let block = json!({ "path": "/hushb", "policy_id": policy, "tenant_id": other, "protocols": ["BLOCK"], "create_dir": true });
    let block = id_of(&root, "views", block).await;
    theirs.push((
        "volumes",
        id_of(&root, "volumes", json!({ "name": "hush", "size": 1 << 20, "view_id": block })).await,
    ));
    let host = json!({ "name": "hush", "nqn": "nqn.hush", "tenant_id": other });
    theirs.push(("blockhosts", id_of(&root, "blockhosts", host).await));
    theirs.push((
        "quotas",
        id_of(&root, "quotas", json!({ "name": "hush", "path": "/hush", "tenant_id": other })).await,
    ));
    let snapshot =
        id_of(&root, "snapshots", json!({ "name": "hush", "path": "/hush/", "tenant_id": other })).await;
    theirs.push(("snapshots", snapshot));
    let stream = json!({ "name": "hush", "loanee_root_path": "/hush2", "loanee_snapshot_id": snapshot, "loanee_tenant_id": other });
    theirs.push(("globalsnapstreams", id_of(&root, "globalsnapstreams", stream).await));
    let rule = json!({ "name": "hush", "view_id": view, "expiration_days": 3 });
    theirs.push(("s3lifecyclerules", id_of(&root, "s3lifecyclerules", rule).await));
    let pool = json!({ "name": "hush", "ip_ranges": [["127.0.99.1", "127.0.99.1"]], "tenant_id": other, "role": "PROTOCOLS" });
    theirs.push(("vippools", id_of(&root, "vippools", pool).await));
    let manager = json!({ "username": "hush", "password": "secret-1", "roles": [1], "user_type": "TENANT_ADMIN", "tenant_id": other });
    theirs.push(("managers", id_of(&root, "managers", manager).await));
    theirs.push(("localproviders", provider));
    theirs.push(("tenants", other));
    // Tasks and events come of what was done above; the stream's is still running.
    for kind in ["vtasks", "events"] {
        let list = root.get(&format!("/api/{kind}/?page_size=1000")).await.ok().json();
        let rows = list["results"].as_array().unwrap();
        let not_mine = rows.iter().filter(|row| row["object_name"] != "mine");
        theirs.extend(not_mine.map(|row| (kind, row["id"].as_u64().unwrap())));
    }
    let body = json!({ "username": "boss", "password": "secret-1", "roles": [1], "user_type": "TENANT_ADMIN", "tenant_id": mine });
    root.post("/api/managers/", body).await.ok();
    let boss = basic(&root, "boss", "secret-1");
    World { cluster, root, boss, theirs, mine, other }
}

fn basic(vms: &Vms, name: &str, password: &str) -> Vms {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    vms.with(format!("Basic {encoded}"))
}

#[track_caller]
fn refused(reply: &Reply, what: &str) {
    let status = reply.status.as_u16();
    assert!([400, 403, 404].contains(&status), "{what}: {status} {}", reply.text());
    if status == 403 {
        assert!(reply.text().contains("permission_denied"), "{what}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_another_tenant_is_seen_or_changed() {
    let w = world().await;
    let before = w.root.get("/sim/v1/dump").await.ok().text();
    for (kind, id) in &w.theirs {
        let path = format!("/api/{kind}/{id}/");
        for (method, body) in [
            ("GET", Value::Null),
            ("PATCH", json!({ "name": "taken" })),
            ("PATCH", json!({ "tenant_id": w.mine })),
            ("DELETE", json!({ "force": true })),
        ] {
            refused_or_absent(&w.boss.call(method, &path, &body).await, &format!("{method} {path}"));
        }
        for query in
            ["", &format!("id={id}"), "name__contains=hush", "page_size=1000", "tenant_id__isnull=false"]
        {
            let list = w.boss.get(&format!("/api/{kind}/?{query}")).await.ok().json();
            let rows = list.get("results").unwrap_or(&list).as_array().unwrap().clone();
            assert!(rows.iter().all(|row| row["id"] != json!(id)), "{kind}?{query}: {rows:?}");
            assert!(!list.to_string().contains("hush"), "{kind}?{query}: {list}");
        }
    }
    for path in
        ["locals3keys", "blockmappings", "vips", "alarms", "apitokens", "prometheusmetrics/all", "capacity"]
    {
        let seen = w.boss.get(&format!("/api/{path}/")).await.ok().text();
        assert!(!seen.contains("hush") && !seen.contains("127.0.99.1"), "{path}: {seen}");
    }
    for object in
        ["view", "user", "tenant", "quota", "snapshot", "vip", "vippool", "volume", "globalsnapstream"]
    {
        let query = format!("object_type={object}&prop_list=Capacity,logical_space&time_frame=5m");
        let seen = w.boss.get(&format!("/api/monitors/ad_hoc_query/?{query}")).await;
        if seen.status != 200 {
            continue;
        }
        let ids: Vec<u64> =
            seen.json()["object_ids"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        let kind = format!("{object}s");
        let leaks: Vec<_> = w.theirs.iter().filter(|(k, id)| *k == kind && ids.contains(id)).collect();
        assert!(leaks.is_empty(), "{object}: {leaks:?}");
    }
    let after = w.root.get("/sim/v1/dump").await.ok().text();
    let rows = |dump: &str| {
        let dump: Value = serde_json::from_str(dump).unwrap();
        let mut vms = dump["vms"].clone();
        for kind in ["apitokens", "managers"] {
            vms.as_object_mut().unwrap().remove(kind);
        }
        vms
    };
    let (before, after) = (rows(&before), rows(&after));
    for (kind, rows) in before.as_object().unwrap() {
        assert!(after[kind] == *rows, "{kind} changed");
    }
    w.cluster.stop().await;
}

#[track_caller]
fn refused_or_absent(reply: &Reply, what: &str) {
    let status = reply.status.as_u16();
    assert!([403, 404, 405].contains(&status), "{what}: {status} {}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mine_cannot_lead_to_what_is_theirs() {
    let w = world().await;
    let id = |kind: &str| w.theirs.iter().find(|(k, _)| *k == kind).unwrap().1;
    let policy = id_of(&w.boss, "viewpolicies", json!({ "name": "p" })).await;
    let owner = id_of(&w.boss, "users", json!({ "name": "sam" })).await;
    let view = json!({ "path": "/v", "policy_id": policy, "create_dir": true, "protocols": ["BLOCK"] });
    let view = id_of(&w.boss, "views", view).await;
    let snapshot = id_of(&w.boss, "snapshots", json!({ "name": "s", "path": "/v/" })).await;
    let volume = id_of(&w.boss, "volumes", json!({ "name": "vol", "size": 1 << 20, "view_id": view })).await;
    for (kind, row) in [("users", owner), ("views", view), ("snapshots", snapshot), ("volumes", volume)] {
        w.boss.get(&format!("/api/{kind}/{row}/")).await.ok();
    }
    let theirs = |path: &str| json!({ "path": path, "policy_id": id("viewpolicies"), "create_dir": true });
    let attempts = [
        ("POST", "/api/views/".to_owned(), theirs("/w")),
        (
            "POST",
            "/api/views/".to_owned(),
            json!({ "path": "/w", "policy_id": policy, "tenant_id": w.other, "create_dir": true }),
        ),
        ("PATCH", format!("/api/views/{view}/"), json!({ "policy_id": id("viewpolicies") })),
        ("PATCH", format!("/api/views/{view}/"), json!({ "qos_policy_id": id("qospolicies") })),
        ("PATCH", format!("/api/users/{owner}/"), json!({ "s3_policies_ids": [id("s3policies")] })),
        (
            "PATCH",
            format!("/api/users/{owner}/tenant_data/"),
            json!({ "tenant_id": w.other, "s3_superuser": true }),
        ),
        ("POST", format!("/api/users/{owner}/access_keys/"), json!({ "tenant_id": w.other })),
        (
            "POST",
            "/api/users/".to_owned(),
            json!({ "name": "spy", "local_provider_id": id("localproviders") }),
        ),
        ("POST", "/api/users/".to_owned(), json!({ "name": "spy", "local_provider_id": 1 })),
        ("PATCH", "/api/users/query/".to_owned(), json!({ "username": "hush", "s3_superuser": true })),
        (
            "PATCH",
            "/api/users/query/".to_owned(),
            json!({ "username": "local-user-1", "s3_superuser": true }),
        ),
        ("GET", "/api/users/query/?username=hush".to_owned(), Value::Null),
        ("GET", "/api/groups/query/?groupname=hush".to_owned(), Value::Null),
        ("PATCH", "/api/groups/query/".to_owned(), json!({ "groupname": "hush", "s3_policies_ids": [] })),
        (
            "POST",
            format!("/api/snapshots/{snapshot}/clone/"),
            json!({ "name": "c", "loanee_root_path": "/c", "loanee_tenant_id": w.other }),
        ),
        (
            "POST",
            "/api/globalsnapstreams/".to_owned(),
            json!({ "name": "c", "loanee_root_path": "/c", "loanee_snapshot_id": id("snapshots"), "loanee_tenant_id": w.mine }),
        ),
        (
            "POST",
            "/api/globalsnapstreams/".to_owned(),
            json!({ "name": "c", "loanee_root_path": "/c", "loanee_snapshot_id": id("snapshots") }),
        ),
        ("PATCH", format!("/api/volumes/{volume}/set_hosts"), json!({ "ids": [id("blockhosts")] })),
        (
            "PATCH",
            "/api/blockmappings/bulk".to_owned(),
            json!({ "pairs_to_add": [{ "volume_id": id("volumes"), "host_id": id("blockhosts") }] }),
        ),
        (
            "PATCH",
            "/api/blockmappings/bulk".to_owned(),
            json!({ "pairs_to_remove": [{ "volume_id": id("volumes"), "host_id": id("blockhosts") }] }),
        ),
        (
            "POST",
            "/api/s3lifecyclerules/".to_owned(),
            json!({ "name": "r", "view_id": id("views"), "expiration_days": 1 }),
        ),
        (
            "GET",
            "/api/s3lifecyclerules/get_object_expiration/?bucket_name=hush&object_name=x".to_owned(),
            Value::Null,
        ),
        (
            "POST",
            format!("/api/views/{view}/permissions_repair/"),
            json!({ "target_path": "/v", "template_dir_path": "/v", "template_view_id": id("views") }),
        ),
        ("POST", "/api/folders/create_folder/".to_owned(), json!({ "path": "/x", "tenant_id": w.other })),
        ("POST", "/api/folders/stat_path/".to_owned(), json!({ "path": "/hush", "tenant_id": w.other })),
        (
            "DELETE",
            "/api/folders/delete_folder/".to_owned(),
            json!({ "path": "/hush", "tenant_id": w.other }),
        ),
        ("GET", format!("/api/capacity/?tenant_id={}", w.other), Value::Null),
        ("POST", "/api/quotas/".to_owned(), json!({ "name": "q", "path": "/hush", "tenant_id": w.other })),
        (
            "POST",
            "/api/vippools/".to_owned(),
            json!({ "name": "x", "ip_ranges": [["127.0.98.1", "127.0.98.1"]], "tenant_id": w.other }),
        ),
    ];
    for (method, path, body) in &attempts {
        refused(&w.boss.call(method, path, body).await, &format!("{method} {path} {body}"));
    }
    // Nor does a filter follow a relation to what is hidden.
    let through = w.boss.get("/api/users/?local_provider__name=of-other").await.ok().json();
    assert_eq!(through, json!([]));
    // No tenant is not a way out of one's own.
    let made = w
        .boss
        .post("/api/quotas/", json!({ "name": "q", "path": "/v", "tenant_id": null }))
        .await
        .ok()
        .json();
    assert_eq!(made["tenant_id"], json!(w.mine));
    let pool = json!({ "name": "mine", "ip_ranges": [["127.0.97.1", "127.0.97.1"]], "role": "PROTOCOLS" });
    let pool = id_of(&w.boss, "vippools", pool).await;
    refused(
        &w.boss.call("PATCH", &format!("/api/vippools/{pool}/"), &json!({ "tenant_id": null })).await,
        "a pool for all",
    );
    w.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_more_than_they_are() {
    let w = world().await;
    // Managers of the cluster are not seen, let alone given a password or a token.
    assert_eq!(w.boss.get("/api/managers/1/").await.status, 404);
    refused(
        &w.boss.call("PATCH", "/api/managers/1/", &json!({ "password": "mine-now-1" })).await,
        "password",
    );
    refused(
        &w.boss.call("PATCH", "/api/managers/1/unlock/", &json!({ "password": "mine-now-1" })).await,
        "unlock",
    );
    for owner in ["admin", "hush"] {
        refused(&w.boss.post("/api/apitokens/", json!({ "owner": owner })).await, owner);
    }
    let theirs = w.root.post("/api/apitokens/", json!({ "name": "root's" })).await.ok().json()["id"].clone();
    let path = format!("/api/apitokens/{}/", theirs.as_str().unwrap());
    refused(&w.boss.call("PATCH", &path, &json!({ "name": "x" })).await, "a token's name");
    refused(&w.boss.call("PATCH", &format!("{path}revoke"), &Value::Null).await, "a token's end");
    assert_eq!(w.boss.get("/api/apitokens/").await.ok().json(), json!([]));
    // What serves all tenants can be seen and not changed.
    for (kind, id) in [("vippools", 1), ("roles", 2), ("roles", 1)] {
        w.boss.get(&format!("/api/{kind}/{id}/")).await.ok();
        let changed = w.boss.call("PATCH", &format!("/api/{kind}/{id}/"), &json!({ "name": "x" })).await;
        assert_eq!(changed.status, 403, "{kind}");
        assert_eq!(
            w.boss.call("DELETE", &format!("/api/{kind}/{id}/"), &Value::Null).await.status,
            403,
            "{kind}"
        );
    }
    for path in ["/api/clusters/1/", "/api/tenants/1/", "/api/vms/1/", "/api/cnodes/1/", "/api/realms/1/"] {
        refused(&w.boss.call("PATCH", path, &json!({ "name": "x" })).await, path);
    }
    let manager = json!({ "username": "deputy", "password": "secret-1", "roles": [1], "user_type": "SUPER_ADMIN", "tenant_id": null });
    let made = w.boss.post("/api/managers/", manager).await;
    if made.status == 201 {
        assert_eq!(made.json()["tenant_id"], json!(w.mine));
        let deputy = basic(&w.root, "deputy", "secret-1");
        assert_eq!(deputy.get("/api/tenants/").await.ok().json().as_array().unwrap().len(), 1);
    }
    // The ids of rows are not for clients to choose.
    let policy =
        w.boss.post("/api/viewpolicies/", json!({ "name": "p", "id": 1, "guid": "x" })).await.ok().json();
    let path = format!("/api/viewpolicies/{}/", policy["id"]);
    w.boss.call("PATCH", &path, &json!({ "id": 1 })).await.ok();
    assert_eq!(w.boss.get(&path).await.ok().json()["id"], policy["id"]);
    // The tenants that there are are not told.
    let (known, unknown) = (w.boss.in_tenant("other"), w.boss.in_tenant("nowhere"));
    let (known, unknown) = (known.get("/api/views/").await, unknown.get("/api/views/").await);
    assert_eq!((known.status.as_u16(), known.text()), (403, unknown.text()));
    // The simulator's own paths want the operator's password.
    for path in ["state", "dump", "faults", "counters", "features"] {
        assert_eq!(w.boss.get(&format!("/sim/v1/{path}")).await.status, 401, "{path}");
    }
    w.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_say_who_manages_their_users() {
    let w = world().await;
    let sam = id_of(&w.boss, "users", json!({ "name": "sam" })).await;
    let row = w.boss.get(&format!("/api/users/{sam}/")).await.ok().json();
    assert_eq!(row["local_provider"]["name"], "of-mine");
    let keys = w.boss.post(&format!("/api/users/{sam}/access_keys/"), Value::Null).await.ok().json();
    let other = json!({ "tenant_id": w.other });
    let foreign = w.root.post(&format!("/api/users/{sam}/access_keys/"), other).await.ok().json();
    let shown = w.boss.get(&format!("/api/users/{sam}/")).await.ok().json()["access_keys"].clone();
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!(shown[0]["access_key"], keys["access_key"]);
    let listed = w.boss.get("/api/locals3keys/").await.ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let path = format!("/api/users/{sam}/access_keys/");
    let body = json!({ "access_key": foreign["access_key"], "enabled": false });
    assert_eq!(w.boss.call("PATCH", &path, &body).await.status, 404);
    assert_eq!(w.boss.call("DELETE", &path, &body).await.status, 404);
    w.boss.call("DELETE", &path, &json!({ "access_key": keys["access_key"] })).await.ok();
    // A key pair keeps its number when another one goes.
    let before = w.root.get("/api/locals3keys/").await.ok().json();
    w.root.post(&path, Value::Null).await.ok();
    let id = before[0]["id"].clone();
    assert_eq!(w.root.get(&format!("/api/locals3keys/?id={id}")).await.ok().json()[0], before[0]);

    let provider = row["local_provider"]["id"].clone();
    let only = json!({ "managed_by": ["TENANT_ADMIN"] });
    w.root.call("PATCH", &format!("/api/localproviders/{provider}/"), &only).await.ok();
    let change = json!({ "allow_create_bucket": true });
    let path = format!("/api/users/{sam}/");
    assert_eq!(w.root.call("PATCH", &path, &change).await.status, 403);
    w.boss.call("PATCH", &path, &change).await.ok();
    let only = json!({ "managed_by": ["SUPER_ADMIN"] });
    w.root.call("PATCH", &format!("/api/localproviders/{provider}/"), &only).await.ok();
    assert_eq!(w.boss.call("PATCH", &path, &change).await.status, 403);
    w.root.call("PATCH", &path, &change).await.ok();
    w.cluster.stop().await;
}
