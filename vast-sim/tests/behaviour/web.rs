//! The page at the root: who may see it, and that its figures are the cluster's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::Value;
use vast_sim::{Cluster, Config, Effect, Fault};

use crate::client::{Vms, pattern, start};

fn anybody(cluster: &Cluster) -> Vms {
    Vms::new(cluster).with("")
}

async fn figures(cluster: &Cluster) -> Value {
    anybody(cluster).get("/sim/v1/overview").await.ok().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_brings_everything_it_needs() {
    let (cluster, _, _) = start().await;
    let vms = anybody(&cluster);
    let page = vms.get("/").await.ok();
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("style="), "{text}");
    for (path, kind) in [("/sim/page.js", "text/javascript"), ("/sim/page.css", "text/css")] {
        assert!(text.contains(path));
        assert!(vms.get(path).await.ok().header("content-type").starts_with(kind));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_what_the_cluster_holds_and_did() {
    let (cluster, provisioned, s3) = start().await;
    cluster.create_quota("/data", 1 << 20).unwrap();
    let before = figures(&cluster).await;
    s3.put("/data/a", pattern(1, 1000)).await.ok();
    s3.put("/data/b", pattern(2, 500)).await.ok();
    let id = s3.create_upload("/data/m").await;
    s3.part("/data/m", &id, 1, pattern(3, 7000)).await.ok();
    s3.get("/data/a").await.ok();
    s3.get("/data/none").await.is(404, "NoSuchKey");
    let fault =
        cluster.faults().add(Fault::s3(Effect::Delay { millis: 1 }).on("HeadObject").times(3)).unwrap();
    s3.head("/data/a").await.ok();
    let after = figures(&cluster).await;
    let grew = |pointer: &str| {
        after.pointer(pointer).unwrap().as_u64().unwrap() - before.pointer(pointer).unwrap().as_u64().unwrap()
    };
    assert_eq!(grew("/totals/s3_requests"), 7);
    assert_eq!(grew("/totals/s3_errors"), 1);
    assert_eq!(grew("/totals/objects"), 2);
    assert_eq!(grew("/totals/bytes_in"), 1000 + 500 + 7000);
    assert_eq!(grew("/capacity/used"), 1000 + 500 + 7000);
    let sum = after["capacity"]["used"].as_u64().unwrap() + after["capacity"]["free"].as_u64().unwrap();
    assert_eq!(after["capacity"]["total"], sum);
    assert_eq!((grew("/vips/0/requests"), grew("/vips/1/requests")), (7, 0), "the client uses the first VIP");
    assert_eq!(
        (&after["vips"][0]["state"], &after["vips"][0]["cnode"]),
        (&"serving".into(), &"cnode-1".into())
    );
    let views = after["views"].as_array().unwrap();
    let view = views.iter().find(|v| v["id"] == provisioned.view_id).unwrap();
    assert_eq!(view["path"], "/data");
    assert_eq!((&view["bytes"], &view["objects"], &view["uploads"]), (&8500.into(), &2.into(), &1.into()));
    assert_eq!(view["quota"], 1 << 20);
    let upload = &after["uploads"][0];
    assert_eq!(
        (&upload["path"], &upload["bytes"], &upload["parts"]),
        (&"/data/m".into(), &7000.into(), &1.into())
    );
    assert_eq!(after["faults"][0]["id"], fault);
    assert_eq!(after["faults"][0]["hits"], 1);
    assert_eq!(after["faults"][0]["effect"], "delay millis=1");
    let scope = after["faults"][0]["scope"].as_str().unwrap();
    assert!(scope.contains("operations=HeadObject") && scope.contains("count=3"), "{scope}");
    cluster.faults().clear();
    s3.send("DELETE", &format!("/data/m?uploadId={id}"), &[], "").await.ok();
    let last = figures(&cluster).await;
    assert_eq!((&last["faults_total"], &last["uploads_total"]), (&0.into(), &0.into()));
    assert_eq!(
        last["capacity"]["used"].as_u64().unwrap() + 7000,
        after["capacity"]["used"].as_u64().unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_and_under_foreign_names_the_password_is_asked_for() {
    let listen = SocketAddr::from((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
    let open = Cluster::start(Config { vms_listen: listen, ..Config::default() }).await.unwrap();
    for path in ["/", "/sim/page.js", "/sim/v1/overview"] {
        let refused = anybody(&open).get(path).await;
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.header("www-authenticate").starts_with("Basic"), "{path}");
        Vms::new(&open).get(path).await.ok();
    }
    let (closed, _, _) = start().await;
    let rebound = anybody(&closed).get_as("evil.example:8443", "/sim/v1/overview").await;
    assert_eq!(rebound.status, 401, "a name that somebody pointed at this machine");
    anybody(&closed).get_as("localhost:8443", "/sim/v1/overview").await.ok();
}
