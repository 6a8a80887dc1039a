//! The conventions of VMS's REST API: methods, links, what is not served, the order of events and their definitions.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use vast_sim::{Cluster, Config};

use crate::client::Vms;

async fn start() -> (Cluster, Vms) {
    let cluster = Cluster::start(Config::default()).await.unwrap();
    let vms = Vms::new(&cluster);
    (cluster, vms)
}

#[tokio::test(flavor = "multi_thread")]
async fn links_keep_the_version_and_lead_somewhere() {
    let (cluster, vms) = start().await;
    for prefix in ["/api", "/api/v1", "/api/v5", "/api/latest"] {
        let first = vms.get(&format!("{prefix}/users/?page_size=2&name__contains=user")).await.ok().json();
        let next = first["next"].as_str().unwrap();
        let path = next.strip_prefix(&vms.url).unwrap_or_else(|| panic!("{next}"));
        assert!(path.starts_with(&format!("{prefix}/users/?")), "{next}");
        let second = vms.get(path).await.ok().json();
        assert_eq!((&second["count"], &second["results"][0]["id"]), (&json!(5), &json!(3)));
        let previous = second["previous"].as_str().unwrap();
        assert!(previous.starts_with(&format!("{}{prefix}/users/?", vms.url)), "{previous}");
    }
    let task = vms.call("PATCH", "/api/v5/clusters/1/", &json!({ "enable_trash": true })).await.ok().json();
    let url = task["async_task"]["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix(&vms.url).unwrap_or_else(|| panic!("{url}"));
    assert_eq!(vms.get(path).await.ok().json()["id"], task["async_task"]["id"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_are_those_of_vast() {
    let (cluster, vms) = start().await;
    let nothing = Value::Null;
    let head = vms.call("HEAD", "/api/views/", &nothing).await.ok();
    assert!(head.body.is_empty() && head.header("content-type").starts_with("application/json"));
    assert_eq!(vms.call("HEAD", "/api/views/99/", &nothing).await.status, 404);
    let options = vms.call("OPTIONS", "/api/views/1/", &nothing).await.ok();
    assert_eq!(options.header("allow"), "GET, PUT, PATCH, DELETE, HEAD, OPTIONS");
    assert_eq!(options.json()["name"], "View");
    let list = vms.call("OPTIONS", "/api/v5/quotas", &nothing).await.ok();
    assert_eq!(list.header("allow"), "GET, POST, HEAD, OPTIONS");
    assert_eq!(vms.with("").call("OPTIONS", "/api/quotas/", &nothing).await.status, 403);
    assert_eq!(vms.call("OPTIONS", "/api/nowhere/", &nothing).await.status, 404);
    assert_eq!(vms.call("OPTIONS", "/api/quotas/1/nowhere/", &nothing).await.status, 404);

    // PUT changes a view and nothing else.
    let put = vms.call("PUT", "/api/views/1/", &json!({ "path": "/exports", "alias": "/ex" })).await.ok();
    assert_eq!((&put.json()["alias"], &put.json()["policy_id"]), (&json!("/ex"), &json!(1)));
    let refused = vms.call("PUT", "/api/views/1/", &json!({ "alias": "/y" })).await;
    assert_eq!((refused.status.as_u16(), refused.json()["path"].is_array()), (400, true));
    for path in ["/api/users/1/", "/api/viewpolicies/1/", "/api/clusters/1/", "/api/quotas/"] {
        let refused = vms.call("PUT", path, &json!({ "name": "x" })).await;
        assert_eq!(refused.status, 405, "{path}");
        assert!(
            refused.header("allow").contains("GET") && !refused.header("allow").contains("PUT"),
            "{path}"
        );
    }
    assert_eq!(vms.with("").get("/api/token/").await.status, 405);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_simulated_says_so_and_what_is_not_there_is_not_found() {
    let (cluster, vms) = start().await;
    let status = async |method: &str, path: &str| vms.call(method, path, &json!({})).await.status.as_u16();
    assert_eq!(status("POST", "/api/clusters/wipe/").await, 501);
    assert_eq!(status("GET", "/api/clusters/wipe/").await, 405);
    assert_eq!(status("PATCH", "/api/clusters/1/upgrade/").await, 501);
    assert_eq!(status("PATCH", "/api/clusters/9/upgrade/").await, 404);
    assert_eq!(status("GET", "/api/clusters/1/nothing/").await, 404);
    assert_eq!(status("GET", "/api/users/nobody/").await, 404);
    assert_eq!(status("PUT", "/api/users/query/").await, 405);
    assert_eq!(status("GET", "/api/vtasks/1/retry/").await, 404);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_views_are_plain_absolute_paths() {
    let (cluster, vms) = start().await;
    let body = |path: &str| json!({ "path": path, "policy_id": 1, "create_dir": true });
    for bad in ["a", "", "/a/", "//", "//a", "/a//b", "/a/../b", "/..", "/a/.", "a/b"] {
        let refused = vms.post("/api/views/", body(bad)).await;
        assert_eq!((refused.status.as_u16(), refused.json()["path"].is_array()), (400, true), "{bad:?}");
    }
    let made = vms.post("/api/views/", body("/a b/ü..c")).await.ok().json();
    assert_eq!((&made["path"], &made["name"]), (&json!("/a b/ü..c"), &json!("/a b/ü..c")));
    assert_eq!(vms.get("/api/views/?path__endswith=%C3%BC..c").await.json().as_array().unwrap().len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_newest_first_and_are_what_their_definitions_make_of_them() {
    let (cluster, vms) = start().await;
    let names = async |query: &str| {
        let page = vms.get(&format!("/api/events/?object_type=Quota&{query}")).await.ok().json();
        let rows = page["results"].as_array().unwrap().clone();
        rows.iter().map(|e| e["object_name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for path in ["/one", "/two", "/three"] {
        let body = json!({ "name": path, "path": path, "create_dir": true });
        vms.post("/api/quotas/", body).await.ok();
        cluster.advance(Duration::from_secs(1)).unwrap();
    }
    assert_eq!(names("").await, ["/three", "/two", "/one"]);
    assert_eq!(names("ordering=timestamp").await, ["/one", "/two", "/three"]);
    assert_eq!(names("page_size=1&page=2").await, ["/two"]);

    let mine = "/api/eventdefinitions/?name=OBJECT_CREATED&object_type=Quota";
    let all = vms.get("/api/eventdefinitions/").await.ok().json();
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .any(|d| d["name"] == "QUOTA_HARD_EXCEEDED" && d["severity"] == "MAJOR")
    );
    let definition = vms.get(mine).await.ok().json()[0].clone();
    assert_eq!((&definition["enabled"], &definition["user_modified"]), (&json!(true), &json!(false)));
    let path = format!("/api/eventdefinitions/{}/", definition["id"]);
    vms.call("PATCH", &path, &json!({ "severity": "CRITICAL" })).await.ok();
    vms.post("/api/quotas/", json!({ "name": "/four", "path": "/four", "create_dir": true })).await.ok();
    let alarms = vms.get("/api/alarms/?object_type=Quota").await.ok().json();
    assert_eq!((&alarms[0]["severity"], &alarms[0]["object_name"]), (&json!("CRITICAL"), &json!("/four")));
    vms.call("PATCH", "/api/eventdefinitionconfigs/1/", &json!({ "critical_value": "INFO" })).await.ok();
    vms.post("/api/quotas/", json!({ "name": "/five", "path": "/five", "create_dir": true })).await.ok();
    assert_eq!(vms.get("/api/alarms/?object_name=/five").await.ok().json(), json!([]));
    assert_eq!(names("").await[0], "/five");
    vms.call("PATCH", &path, &json!({ "enabled": false })).await.ok();
    vms.post("/api/quotas/", json!({ "name": "/six", "path": "/six", "create_dir": true })).await.ok();
    assert_eq!(names("").await[0], "/five");
    let task = vms.call("PATCH", &format!("{path}test/"), &Value::Null).await.ok().json();
    assert_eq!(task["async_task"]["state"], "RUNNING");
    cluster.advance(Duration::from_secs(2)).unwrap();
    let page = vms.get("/api/events/?event_name=NOTIFIER_EVENT").await.ok().json();
    assert_eq!(page["results"][0]["metadata"]["tries"], "OBJECT_CREATED");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_values_are_taken_as_vms_takes_them() {
    let (cluster, vms) = start().await;
    // A form is as good as JSON, and a GET has no body that could be wrong.
    let form = "username=admin&password=123456";
    let address = vms.url.strip_prefix("https://").unwrap();
    let request = http::Request::builder()
        .method("POST")
        .uri("/api/token/")
        .header("host", address)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into())
        .unwrap();
    let pair = crate::client::exchange(&vms.url, Some(&vms.ca_pem), request).await.unwrap().ok().json();
    assert!(pair["access"].is_string() && pair["refresh"].is_string());
    vms.try_send("GET", "/api/views/1/", "garbage").await.unwrap().ok();
    assert_eq!(vms.try_send("POST", "/api/views/", "garbage").await.unwrap().status, 400);
    vms.in_tenant("").get("/api/views/").await.ok();

    for bad in ["/a/../b", "//a", "/a//b", "a", "/./a"] {
        let refused = vms.post("/api/quotas/", json!({ "name": "q", "path": bad, "create_dir": true })).await;
        assert_eq!((refused.status.as_u16(), refused.json()["path"].is_array()), (400, true), "{bad}");
    }
    for (kind, field) in [("users", "uid"), ("groups", "gid")] {
        for bad in [json!(-1), json!(1_u64 << 32)] {
            let refused = vms.post(&format!("/api/{kind}/"), json!({ "name": "x", field: bad })).await;
            assert_eq!(
                (refused.status.as_u16(), refused.json()[field].is_array()),
                (400, true),
                "{kind} {bad}"
            );
        }
    }
    for (body, field) in [
        (json!({ "name": "d", "vip": "here", "domain_suffix": "x.test" }), "vip"),
        (json!({ "name": "d", "vip": "10.0.0.1", "domain_suffix": "x.test", "port": 70_000 }), "port"),
    ] {
        let refused = vms.post("/api/dns/", body).await;
        assert_eq!((refused.status.as_u16(), refused.json()[field].is_array()), (400, true), "{field}");
    }
    for (ranges, bits, field) in [
        (json!([["127.0.77.1", 5]]), 24, "ip_ranges"),
        (json!([[]]), 24, "ip_ranges"),
        (json!([["127.0.77.1", "127.0.77.2"]]), 129, "subnet_cidr"),
    ] {
        let pool = json!({ "name": "p", "ip_ranges": ranges, "subnet_cidr": bits, "role": "PROTOCOLS" });
        let refused = vms.post("/api/vippools/", pool).await;
        assert_eq!((refused.status.as_u16(), refused.json()[field].is_array()), (400, true), "{field}");
    }
    // Everybody may change their own password, whatever else they may.
    let viewer = json!({ "username": "viewer", "password": "secret-1", "roles": [2] });
    vms.post("/api/managers/", viewer).await.ok();
    let basic = |password: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("viewer:{password}"));
        vms.with(format!("Basic {encoded}"))
    };
    basic("secret-1").call("PATCH", "/api/managers/password", &json!({ "password": "secret-2" })).await.ok();
    assert_eq!(basic("secret-1").get("/api/views/").await.status, 401);
    basic("secret-2").get("/api/views/").await.ok();
    cluster.stop().await;
}
