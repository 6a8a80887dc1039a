//! Block storage as it is managed: volumes below views, hosts, and what is mapped to whom.

use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::Cluster;

use crate::client::{S3, pattern, start_with};
use crate::metrics::frozen;

fn call(cluster: &Cluster, method: &str, path: &str, body: &Value) -> Value {
    let done = cluster.vms(method, path, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
    // What is answered with a task is done a moment later.
    cluster.advance(Duration::from_secs(1)).unwrap();
    if let Some(id) = done.get("async_task").and_then(|t| t["id"].as_u64()) {
        let task = cluster.vms("GET", &format!("vtasks/{id}"), &Value::Null).unwrap();
        assert_eq!(task["state"], "COMPLETED", "{task}");
    }
    done
}

fn refused(cluster: &Cluster, method: &str, path: &str, body: &Value) -> u16 {
    cluster.vms(method, path, body).unwrap_err().status
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_mapped_to_hosts_and_back() {
    let (cluster, p, _) = start_with(frozen(), None).await;
    let view = json!({ "path": "/block", "policy_id": 1, "protocols": ["BLOCK"], "name": "sub", "create_dir": true });
    let view = call(&cluster, "POST", "views", &view);
    assert!(view["nqn"].as_str().unwrap().starts_with("nqn."), "{}", view["nqn"]);
    let volume = |name: &str| json!({ "name": name, "view_id": view["id"], "size": 1 << 30 });
    let one = call(&cluster, "POST", "volumes", &volume("one"));
    let two = call(&cluster, "POST", "volumes", &volume("two"));
    assert_eq!((&one["full_path"], &one["namespace_id"]), (&json!("/block/one"), &json!(1)));
    assert_eq!((&two["namespace_id"], &two["tenant_name"]), (&json!(2), &json!("default")));
    assert_ne!(one["uuid"], two["uuid"]);
    assert_eq!(refused(&cluster, "POST", "volumes", &volume("one")), 400);
    let elsewhere = json!({ "name": "three", "view_id": p.view_id, "size": 1 });
    assert_eq!(refused(&cluster, "POST", "volumes", &elsewhere), 400, "not a block view");
    let host = |name: &str| json!({ "name": name, "tenant_id": 1, "nqn": format!("nqn.{name}"), "os_type": "LINUX" });
    let ann = call(&cluster, "POST", "blockhosts", &host("ann"));
    let bob = call(&cluster, "POST", "blockhosts", &host("bob"));

    let pair = |volume: &Value, host: &Value| json!({ "volume_id": volume["id"], "host_id": host["id"] });
    let add = json!({ "pairs_to_add": [pair(&one, &ann), pair(&two, &ann)] });
    call(&cluster, "PATCH", "blockhostvolumes/bulk", &add);
    call(&cluster, "PATCH", "blockmappings/bulk", &add);
    let mapped = |query: &str| {
        let all = cluster.vms("GET", &format!("blockhostvolumes?{query}"), &Value::Null).unwrap();
        let pair = |m: &Value| {
            (
                m["volume"]["name"].as_str().unwrap().to_owned(),
                m["block_host"]["name"].as_str().unwrap().to_owned(),
            )
        };
        all.as_array().unwrap().iter().map(pair).collect::<Vec<_>>()
    };
    let is = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(v, h)| ((*v).to_owned(), (*h).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(mapped(""), is(&[("one", "ann"), ("two", "ann")]), "the same again changes nothing");
    assert_eq!(mapped(&format!("volume__id={}", two["id"])), is(&[("two", "ann")]));
    assert_eq!(mapped(&format!("block_host__id={}", bob["id"])), is(&[]));
    call(&cluster, "PATCH", &format!("volumes/{}/set_hosts", one["id"]), &json!({ "ids": [bob["id"]] }));
    assert_eq!(mapped(""), is(&[("two", "ann"), ("one", "bob")]));
    let change = json!({ "ids_to_add": [one["id"]], "ids_to_remove": [two["id"]] });
    call(&cluster, "PATCH", &format!("blockhosts/{}/update_volumes", ann["id"]), &change);
    assert_eq!(mapped(""), is(&[("one", "bob"), ("one", "ann")]));
    let shown = cluster.vms("GET", &format!("volumes/{}", one["id"]), &Value::Null).unwrap();
    assert_eq!(
        (&shown["mapped_block_host_count"], &shown["mapped_block_hosts_preview"]),
        (&json!(2), &json!("bob, ann"))
    );

    let nobody = json!({ "pairs_to_add": [{ "volume_id": one["id"], "host_id": 99 }] });
    assert_eq!(refused(&cluster, "PATCH", "blockhostvolumes/bulk", &nobody), 400);
    assert_eq!(refused(&cluster, "PATCH", "blockhostvolumes/bulk", &json!({ "pairs_to_add": [1] })), 400);
    assert_eq!(refused(&cluster, "PATCH", &format!("volumes/{}/set_hosts", one["id"]), &json!({})), 400);
    let path = format!("volumes/{}", one["id"]);
    assert_eq!(refused(&cluster, "DELETE", &path, &Value::Null), 409);
    assert_eq!(refused(&cluster, "DELETE", &format!("blockhosts/{}", bob["id"]), &Value::Null), 409);
    assert_eq!(
        refused(&cluster, "DELETE", &format!("views/{}", view["id"]), &Value::Null),
        400,
        "it has volumes"
    );
    call(&cluster, "DELETE", &path, &json!({ "force": true }));
    assert_eq!(mapped(""), is(&[]));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_goes_while_it_is_mapped_fails_the_task() {
    let (cluster, _, _) = start_with(frozen(), None).await;
    let view = json!({ "path": "/block", "policy_id": 1, "protocols": ["BLOCK"], "name": "sub", "create_dir": true });
    let view = call(&cluster, "POST", "views", &view);
    let volume = call(&cluster, "POST", "volumes", &json!({ "name": "v", "view_id": view["id"], "size": 1 }));
    let host = call(&cluster, "POST", "blockhosts", &json!({ "name": "h", "tenant_id": 1, "nqn": "nqn.h" }));
    let add = json!({ "pairs_to_add": [{ "volume_id": volume["id"], "host_id": host["id"] }] });
    let task = cluster.vms("PATCH", "blockmappings/bulk", &add).unwrap()["async_task"]["id"].clone();
    cluster.vms("DELETE", &format!("volumes/{}", volume["id"]), &Value::Null).unwrap();
    cluster.advance(Duration::from_secs(1)).unwrap();
    let task = cluster.vms("GET", &format!("vtasks/{task}"), &Value::Null).unwrap();
    assert_eq!(task["state"], "FAILED");
    assert!(task["messages"][0].as_str().unwrap().contains("is gone"), "{task}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_volume_moves_and_a_view_goes_with_its_volumes_only_by_force() {
    let (cluster, _, _) = start_with(frozen(), None).await;
    let view = json!({ "path": "/block", "policy_id": 1, "protocols": ["BLOCK"], "name": "sub", "create_dir": true });
    let view = call(&cluster, "POST", "views", &view);
    let volume = |name: &str| {
        call(&cluster, "POST", "volumes", &json!({ "name": name, "view_id": view["id"], "size": 1 }))
    };
    let (one, _) = (volume("one"), volume("two"));
    let path = format!("volumes/{}", one["id"]);
    let rename = |name: &str| json!({ "name": name });
    // A bucket below shows what happens to bytes.
    let user = cluster.provision("elsewhere", None).unwrap();
    let owner = cluster.vms("GET", &format!("users/{}", user.user_id), &Value::Null).unwrap()["name"].clone();
    let bucket = json!({ "path": "/block/one/b", "policy_id": 2, "protocols": ["S3"], "bucket": "inside",
        "bucket_owner": owner, "create_dir": true });
    call(&cluster, "POST", "views", &bucket);
    let s3 = S3::new(&cluster, &user.keys);
    s3.put("/inside/k", pattern(1, 1_000)).await.ok();
    for bad in ["two", "one/below"] {
        assert_eq!(refused(&cluster, "PATCH", &path, &rename(bad)), 400, "{bad}");
    }
    call(&cluster, "PATCH", &path, &rename("three"));
    let shown = cluster.vms("GET", &path, &Value::Null).unwrap();
    assert_eq!((&shown["name"], &shown["full_path"]), (&json!("three"), &json!("/block/three")));
    s3.get("/inside/k").await.is(404, "NoSuchKey");
    let moved = json!({ "path": "/block/three/b", "policy_id": 2, "protocols": ["S3"], "bucket": "moved",
        "bucket_owner": owner });
    call(&cluster, "POST", "views", &moved);
    assert_eq!(s3.get("/moved/k").await.ok().body, pattern(1, 1_000));
    let physical = cluster.vms("GET", "clusters/1", &Value::Null).unwrap()["physical_space_in_use"].clone();
    assert_eq!(physical, 1_000, "moved, not copied");
    volume("one");

    let host = call(&cluster, "POST", "blockhosts", &json!({ "name": "h", "tenant_id": 1, "nqn": "nqn.h" }));
    let add = json!({ "pairs_to_add": [{ "volume_id": one["id"], "host_id": host["id"] }] });
    call(&cluster, "PATCH", "blockmappings/bulk", &add);
    let of_view = format!("views/{}", view["id"]);
    let kept = cluster.vms("DELETE", &of_view, &Value::Null).unwrap_err();
    assert!(kept.status == 400 && kept.to_string().contains("force=true"), "{kept}");
    call(&cluster, "DELETE", &of_view, &json!({ "force": true }));
    for list in ["volumes", "blockmappings"] {
        assert_eq!(cluster.vms("GET", list, &Value::Null).unwrap(), json!([]), "{list}");
    }
    cluster.stop().await;
}
