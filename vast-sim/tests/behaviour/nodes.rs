//! CNodes and VIPs: who serves what, and what clients see when that changes.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vast_sim::{Effect, Fault, Outage, VipState};

use crate::client::{Vms, start};

/// CNode of every VIP, by VMS.
async fn places(vms: &Vms) -> Vec<String> {
    let rows = vms.get("/api/vips/").await.ok().json();
    rows.as_array().unwrap().iter().map(|r| r["cnode"].as_str().unwrap_or("none").to_owned()).collect()
}

fn authority(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

/// A connection that has had one request answered and is kept.
async fn kept(url: &str) -> TcpStream {
    let mut stream = TcpStream::connect(authority(url)).await.unwrap();
    stream.write_all(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 4096];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    stream
}

/// What a kept connection comes to: `end` or `reset`.
async fn fate(mut stream: TcpStream) -> &'static str {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest));
    match read.await.expect("the connection neither ends nor is reset") {
        Ok(_) => "end",
        Err(_) => "reset",
    }
}

/// Connects until that fails, as it must soon.
async fn refused(url: &str) {
    let refusing = async {
        while TcpStream::connect(authority(url)).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refusing).await.expect("still connects");
}

/// Connects until that works, as it must soon.
async fn accepted(url: &str) {
    let accepting = async {
        while TcpStream::connect(authority(url)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), accepting).await.expect("still refuses");
}

#[tokio::test(flavor = "multi_thread")]
async fn vips_leave_a_dead_node_at_once_and_come_home() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    let urls = cluster.s3_urls();
    assert_eq!(places(&vms).await, ["cnode-1", "cnode-2", "cnode-1", "cnode-2"]);
    s3.on(&urls[1]).put("/data/k", "before").await.ok();
    let (stays, falls) = (kept(&urls[0]).await, kept(&urls[1]).await);

    let id = cluster.faults().add(Fault::s3(Effect::CnodeDown).cnode("cnode-2")).unwrap();
    assert_eq!(fate(falls).await, "reset");
    assert_eq!(places(&vms).await, ["cnode-1"; 4]);
    let nodes = vms.get("/api/cnodes/").await.ok().json();
    assert_eq!((&nodes[0]["state"], &nodes[1]["state"]), (&json!("ACTIVE"), &json!("FAILED")));
    // The address answers from its new place, with everything that was there.
    assert_eq!(s3.on(&urls[1]).get("/data/k").await.ok().body, "before");
    let log = cluster.faults().log();
    let moved: Vec<(u64, &str, &str)> =
        log.iter().map(|h| (h.fault_id, h.vip.as_str(), h.operation.as_str())).collect();
    let what = "VIP moved from cnode-2 to cnode-1";
    assert_eq!(moved, [(id, "127.0.0.12", what), (id, "127.0.0.14", what)]);

    cluster.faults().remove(id);
    assert_eq!(places(&vms).await, ["cnode-1", "cnode-2", "cnode-1", "cnode-2"]);
    assert_eq!(vms.get("/api/cnodes/2/").await.ok().json()["state"], "ACTIVE");
    s3.on(&urls[1]).put("/data/k", "after").await.ok();
    drop(stays);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_node_is_left_politely_and_without_any_node_nothing_answers() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    let urls = cluster.s3_urls();
    let (stays, ends) = (kept(&urls[0]).await, kept(&urls[1]).await);
    vms.call("PATCH", "/api/cnodes/2/", &json!({ "enabled": false })).await.ok();
    assert_eq!(fate(ends).await, "end");
    assert_eq!(places(&vms).await, ["cnode-1"; 4]);
    assert_eq!(vms.get("/api/cnodes/2/").await.ok().json()["state"], "INACTIVE");
    let pool = vms.get("/api/vippools/1/").await.ok().json();
    assert_eq!(pool["active_cnode_ids"], json!([1]));

    vms.call("PATCH", "/api/cnodes/1/", &json!({ "power_off": true })).await.ok();
    assert_eq!(fate(stays).await, "reset");
    assert_eq!(places(&vms).await, ["none"; 4]);
    for url in &urls {
        refused(url).await;
    }
    assert!(cluster.vips().iter().all(|v| v.state == VipState::Homeless));
    vms.call("PATCH", "/api/cnodes/1/", &json!({ "power_on": true })).await.ok();
    vms.call("PATCH", "/api/cnodes/2/", &json!({ "enabled": true })).await.ok();
    assert_eq!(places(&vms).await, ["cnode-1", "cnode-2", "cnode-1", "cnode-2"]);
    for url in &urls {
        accepted(url).await;
    }
    s3.on(&urls[3]).put("/data/k", "x").await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_open_and_close_addresses() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    let port = authority(&cluster.s3_urls()[0]).rsplit_once(':').unwrap().1.to_owned();
    let fresh = format!("http://127.0.7.2:{port}");
    let pool = json!({ "name": "second", "ip_ranges": [["127.0.7.1", "127.0.7.3"]], "cnode_ids": [2] });
    let pool = vms.post("/api/vippools/", pool).await.ok().json();
    let rows = vms.get("/api/vips/?vippool__name=second").await.ok().json();
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert!(rows.as_array().unwrap().iter().all(|r| r["cnode"] == "cnode-2"), "{rows}");
    s3.on(&fresh).put("/data/k", "over the new address").await.ok();
    assert_eq!(s3.get("/data/k").await.ok().body, "over the new address");
    assert!(cluster.counters().vips["127.0.7.2"].operations.contains_key("PutObject"));
    // Certificates name the new address as well.
    let secure = cluster.s3_tls_urls().into_iter().find(|u| u.contains("127.0.7.3")).unwrap();
    let mut over_tls = s3.on(&secure);
    over_tls.ca_pem = Some(cluster.ca_pem().to_owned());
    over_tls.get("/data/k").await.ok();

    let taken = json!({ "name": "third", "ip_ranges": [["127.0.7.3", "127.0.7.9"]] });
    let refusal = vms.post("/api/vippools/", taken).await;
    assert_eq!(refusal.status, 400);
    assert!(refusal.text().contains("127.0.7.3 belongs to VIP pool second"), "{}", refusal.text());
    let path = format!("/api/vippools/{}/", pool["id"]);
    vms.call("PATCH", &path, &json!({ "ip_ranges": [["127.0.7.1", "127.0.7.1"]] })).await.ok();
    refused(&fresh).await;
    assert_eq!(cluster.vips().len(), 5);
    // Addresses that are not this machine's exist in VMS only.
    vms.post("/api/vippools/", json!({ "name": "far", "start_ip": "10.9.9.1", "end_ip": "10.9.9.2" }))
        .await
        .ok();
    let far: Vec<_> = cluster.vips().into_iter().filter(|v| v.pool == "far").collect();
    assert!(far.len() == 2 && far.iter().all(|v| v.state == VipState::OnPaper), "{far:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vips_refuse_fall_silent_and_move_by_fault() {
    let (cluster, _, s3) = start().await;
    let urls = cluster.s3_urls();
    let id = cluster.faults().add(Fault::s3(Effect::VipRefused).vip("127.0.0.12")).unwrap();
    refused(&urls[1]).await;
    s3.put("/data/k", "the others serve").await.ok();
    cluster.faults().remove(id);
    accepted(&urls[1]).await;

    let before = kept(&urls[2]).await;
    let id = cluster.faults().add(Fault::s3(Effect::VipSilent).vip("127.0.0.13")).unwrap();
    let hush = s3.on(&urls[2]);
    let waiting = tokio::spawn(async move { hush.get("/data/k").await });
    while cluster.faults().log().iter().filter(|h| h.fault_id == id).count() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    s3.get("/data/k").await.ok();
    cluster.faults().remove(id);
    // What was held goes on.
    waiting.await.unwrap().ok();
    drop(before);

    let falls = kept(&urls[0]).await;
    cluster.faults().add(Fault::s3(Effect::VipMoved { to: "cnode-2".to_owned() }).vip("127.0.0.11")).unwrap();
    assert_eq!(fate(falls).await, "reset");
    assert_eq!(cluster.vips()[0].cnode, "cnode-2");
    s3.get("/data/k").await.ok();
    cluster.faults().clear();
    assert_eq!(cluster.vips()[0].cnode, "cnode-1");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn management_and_data_path_fail_apart() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    let id = cluster.faults().add(Fault::vms(Effect::VmsOutage { how: Outage::Reset })).unwrap();
    vms.try_send("GET", "/api/views/", "").await.unwrap_err();
    s3.put("/data/k", "x").await.ok();
    // The simulator's own paths go on.
    let path = format!("/sim/v1/faults/{id}");
    assert_eq!(vms.call("DELETE", &path, &serde_json::Value::Null).await.status, 204);
    vms.get("/api/views/").await.ok();

    let outage = Fault::vms(Effect::VmsOutage { how: Outage::Refused }).lasting(Duration::from_hours(1));
    cluster.faults().add(outage).unwrap();
    refused(&cluster.vms_url()).await;
    s3.get("/data/k").await.ok();
    cluster.advance(Duration::from_hours(1)).unwrap();
    accepted(&cluster.vms_url()).await;
    assert_eq!(cluster.faults().list(), []);

    cluster.faults().add(Fault::s3(Effect::VipRefused)).unwrap();
    for url in cluster.s3_urls() {
        refused(&url).await;
    }
    vms.get("/api/views/").await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_vip_is_told_all_know_at_once() {
    let (cluster, _, s3) = start().await;
    let vips: Vec<_> = cluster.s3_urls().iter().map(|url| s3.on(url)).collect();
    for round in 0..40 {
        let (writer, body) = (&vips[round % 4], format!("round {round}"));
        writer.put("/data/k", body.clone()).await.ok();
        for reader in &vips {
            assert_eq!(reader.get("/data/k").await.ok().text(), body);
        }
        writer.delete("/data/k").await.ok();
        for reader in &vips {
            reader.get("/data/k").await.is(404, "NoSuchKey");
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_of_later_pools_have_certificates_and_so_do_their_buckets() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    s3.put("/data/k", "x").await.ok();
    let shake = async |name: &str| {
        let stream = TcpStream::connect(authority(&cluster.s3_tls_urls()[0])).await.unwrap();
        let server = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        crate::client::tls(cluster.ca_pem()).unwrap().connect(server, stream).await.map(drop)
    };
    let late = ["late.example", "data.late.example", "dotted.bucket.late.example"];
    for name in ["localhost", "data.localhost", "a.b.localhost", "s3.vast-sim.test", "data.s3.vast-sim.test"]
    {
        shake(name).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    for name in late {
        assert!(shake(name).await.unwrap_err().to_string().contains("not valid for name"), "{name}");
    }
    let pool =
        json!({ "name": "late", "ip_ranges": [["127.0.7.7", "127.0.7.7"]], "domain_name": "late.example" });
    vms.post("/api/vippools/", pool).await.ok();
    for name in late {
        shake(name).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    shake("elsewhere.example").await.unwrap_err();
    // The name leads to the bucket as well.
    let secure = cluster.s3_tls_urls().into_iter().find(|u| u.contains("127.0.7.7")).unwrap();
    assert!(s3.get("/data/k").await.ok().text() == "x" && secure.starts_with("https"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_die_and_drain_under_load_without_losing_what_was_acknowledged() {
    let (cluster, _, s3) = start().await;
    let urls = cluster.s3_urls();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = |number: usize| {
        let (s3, stop) = (s3.on(&urls[number % urls.len()]), std::sync::Arc::clone(&stop));
        async move {
            // Key and body of what was acknowledged; how many requests failed.
            let (mut kept, mut failed) = (Vec::new(), 0);
            for round in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let (path, body) =
                    (format!("/data/{number}/{round}"), format!("{number} {round}").repeat(5_000));
                match s3.try_send("PUT", &path, &[], body.clone()).await {
                    Ok(reply) => {
                        reply.ok();
                        kept.push((path, body));
                    }
                    Err(_) => failed += 1,
                }
            }
            (kept, failed)
        }
    };
    let writers: Vec<_> = (0..8).map(|n| tokio::spawn(writer(n))).collect();
    let puts = || cluster.counters().operation("PutObject").requests;
    let mut polite = 0;
    for round in 0..12 {
        let effect = if round % 2 == 0 { Effect::CnodeDown } else { Effect::CnodeDrained };
        let node = format!("cnode-{}", 1 + round / 2 % 2);
        let before = puts();
        while puts() < before + 40 {
            tokio::task::yield_now().await;
        }
        let errors = cluster.counters().operation("PutObject").errors;
        let id = cluster.faults().add(Fault::s3(effect.clone()).cnode(&node)).unwrap();
        assert!(cluster.vips().iter().all(|v| v.cnode != node && v.state == VipState::Serving));
        let moved = puts();
        while puts() < moved + 40 {
            tokio::task::yield_now().await;
        }
        if effect == Effect::CnodeDrained {
            polite += cluster.counters().operation("PutObject").errors - errors;
        }
        cluster.faults().remove(id);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut acknowledged = 0;
    for writer in writers {
        for (path, body) in writer.await.unwrap().0 {
            assert_eq!(s3.get(&path).await.ok().text(), body, "{path} was acknowledged");
            acknowledged += 1;
        }
    }
    assert!(acknowledged > 400, "{acknowledged}");
    assert_eq!(polite, 0, "a drain ends no request that is under way");
    assert_eq!(
        cluster.faults().log().iter().filter(|h| h.operation.starts_with("VIP moved")).count(),
        12 * 2
    );
    cluster.stop().await;
}
