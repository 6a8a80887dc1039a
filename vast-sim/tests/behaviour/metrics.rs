//! Figures follow from what the cluster holds and did: every test changes something real and predicts the difference.

#![allow(clippy::float_cmp, reason = "figures are predicted exactly")]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use vast_sim::{Cluster, Config, Provisioned, SimClock};

use crate::client::{S3, Vms, pattern, start_with};

/// The machine's time at the end of a ten-second slot: a clock that stands still there makes rates exact.
pub(crate) fn frozen() -> Config {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let clock = SimClock::frozen_at(UNIX_EPOCH + Duration::from_secs(now / 10 * 10));
    Config { clock: Arc::new(clock), ..Config::default() }
}

async fn start() -> (Cluster, Provisioned, S3, Vms) {
    let (cluster, provisioned, s3) = start_with(frozen(), None).await;
    let vms = Vms::new(&cluster);
    (cluster, provisioned, s3, vms)
}

/// The value of a metric for one object in the last row about it.
fn metric(answer: &Value, id: u64, name: &str) -> Option<f64> {
    let column = answer["prop_list"].as_array().unwrap().iter().position(|p| p == name)?;
    let rows = answer["data"].as_array().unwrap();
    rows.iter().rev().find(|r| r[1] == id).and_then(|r| r[column].as_f64())
}

async fn ask(vms: &Vms, object_type: &str, names: &[&str], more: &str) -> Value {
    let list: Vec<String> = names.iter().map(|n| n.replace(',', "%2C")).collect();
    let list = list.join("&prop_list=");
    vms.get(&format!("/api/monitors/ad_hoc_query?object_type={object_type}&prop_list={list}{more}"))
        .await
        .ok()
        .json()
}

fn samples(text: &str, name: &str, label: &str) -> Vec<f64> {
    let of = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(label);
    text.lines().filter(of).map(|l| l.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn space_follows_every_write_and_delete_everywhere() {
    let (cluster, p, s3, vms) = start().await;
    let id = p.view_id;
    let seen = async || {
        let row = vms.get("/api/clusters/1/").await.ok().json();
        let names = ["Capacity,logical_space_in_use", "Capacity,physical_space_in_use", "Capacity,drr"];
        let asked = ask(&vms, "cluster", &names, "&time_frame=5m").await;
        let view = vms.get(&format!("/api/views/{id}/")).await.ok().json();
        let tree = vms.get("/api/capacity/?path=/data&tentant_id=77").await.ok().json();
        let text = vms.get("/api//prometheusmetrics/all").await.ok().text();
        assert_eq!(metric(&asked, 1, names[0]), row["logical_space_in_use"].as_f64());
        assert_eq!(metric(&asked, 1, names[1]), row["physical_space_in_use"].as_f64());
        assert_eq!(samples(&text, "vast_cluster_drr", ""), [row["drr"].as_f64().unwrap()]);
        let view_line = samples(&text, "vast_view_logical_capacity", "path=\"/data\"");
        assert_eq!(view_line, [view["logical_capacity"].as_f64().unwrap()]);
        let physical = row["physical_space_in_use"].as_u64().unwrap();
        (
            row["logical_space_in_use"].as_u64().unwrap(),
            physical,
            view["logical_capacity"].as_u64().unwrap(),
            tree,
        )
    };
    let (logical, physical, of_view, _) = seen().await;
    assert_eq!((logical, physical, of_view), (0, 0, 0));
    s3.put("/data/a/1", pattern(1, 3_000)).await.ok();
    s3.put("/data/b/2", pattern(2, 1_000)).await.ok();
    s3.send("PUT", "/data/c", &[("x-amz-copy-source", "/data/a/1")], "").await.ok();
    let (logical, physical, of_view, tree) = seen().await;
    // A copy is seen in full and shares its bytes.
    assert_eq!((logical, physical, of_view), (7_000, 4_000, 7_000));
    assert_eq!(tree["root_data"], json!([7_000, 7_000, 7_000]));
    let details = tree["details"].as_array().unwrap();
    assert_eq!((&details[0][0], &details[0][1]["data"][2]), (&json!("/data/a"), &json!(3_000)));
    assert_eq!((&details[1][0], &details[1][1]["data"][2]), (&json!("/data/b"), &json!(1_000)));
    s3.delete("/data/a/1").await.ok();
    let (logical, physical, of_view, _) = seen().await;
    assert_eq!((logical, physical, of_view), (4_000, 4_000, 4_000));
    assert_eq!(vms.get("/api/clusters/1/").await.json()["logical_inodes_in_use_num"], 2);
    vms.get("/api/capacity/?type=weight").await.is(400, "");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_and_totals_are_those_of_the_requests_made() {
    let (cluster, p, s3, vms) = start().await;
    let urls = cluster.s3_urls();
    for n in 0..3 {
        s3.on(&urls[0]).put(&format!("/data/{n}"), pattern(n, 2_000)).await.ok();
    }
    s3.on(&urls[1]).get("/data/0").await.ok();
    s3.on(&urls[1]).head("/data/0").await.ok();
    s3.on(&urls[1]).get("/data/none").await.is(404, "NoSuchKey");
    let proto = "ProtoMetrics,proto_name=S3Common,";
    let names =
        ["wr_bw", "rd_bw", "wr_iops", "rd_iops", "md_iops", "write_size__sum", "read_size__num_samples"]
            .map(|n| format!("{proto}{n}"));
    let refs: Vec<&str> = names.iter().map(String::as_str).collect();
    let asked = ask(&vms, "cluster", &refs, "&time_frame=1m").await;
    let values: Vec<f64> = refs.iter().map(|n| metric(&asked, 1, n).unwrap()).collect();
    assert_eq!(values, [100.0, 2_000.0 / 60.0, 0.05, 2.0 / 60.0, 1.0 / 60.0, 6_000.0, 2.0]);
    let idle = ask(&vms, "cluster", &["ProtoMetrics,proto_name=NFSCommon,wr_bw"], "&time_frame=1m").await;
    assert_eq!(metric(&idle, 1, "ProtoMetrics,proto_name=NFSCommon,wr_bw"), Some(0.0));

    let of = async |kind: &str, class: &str, id: u64| {
        let names = [format!("{class},write_bw__rate"), format!("{class},read_iops__sum")];
        let asked =
            ask(&vms, kind, &[&names[0], &names[1]], &format!("&time_frame=1m&object_ids={id}")).await;
        assert_eq!(asked["object_ids"], json!([id]));
        (metric(&asked, id, &names[0]).unwrap(), metric(&asked, id, &names[1]).unwrap())
    };
    assert_eq!(of("view", "ViewMetrics", p.view_id).await, (100.0, 2.0));
    assert_eq!(of("user", "UserMetrics", p.user_id).await, (100.0, 2.0));
    assert_eq!(of("tenant", "TenantMetrics", 1).await, (100.0, 2.0));
    assert_eq!(of("vippool", "VipMetrics", 1).await, (100.0, 2.0));
    let vips = vms.get("/api/vips/").await.json();
    let ip_of = |url: &str| url.split("//").nth(1).unwrap().split(':').next().unwrap().to_owned();
    let vip = |n: usize| {
        vips.as_array().unwrap().iter().find(|v| v["ip"] == ip_of(&urls[n]).as_str()).unwrap().clone()
    };
    assert_eq!(of("vip", "VipMetrics", vip(0)["id"].as_u64().unwrap()).await, (100.0, 0.0));
    assert_eq!(of("vip", "VipMetrics", vip(1)["id"].as_u64().unwrap()).await, (0.0, 2.0));
    let nodes = vms.get("/api/cnodes/").await.json();
    let node = nodes.as_array().unwrap().iter().find(|n| n["name"] == vip(0)["cnode"]).unwrap();
    assert_eq!(of("cnode", "ProtoMetrics,proto_name=ProtoAll", node["id"].as_u64().unwrap()).await.0, 100.0);

    let s3_names = ["S3Metrics,put_object__num_samples", "S3Metrics,get_object", "S3Metrics,cmd_errors"];
    let asked = ask(&vms, "cluster", &s3_names, "").await;
    assert_eq!(s3_names.map(|n| metric(&asked, 1, n).unwrap()), [3.0, 2.0, 1.0]);
    let text = vms.get("/api/prometheusmetrics/all").await.text();
    assert_eq!(samples(&text, "vast_cluster_metrics_S3Metrics_put_object_count", ""), [3.0]);
    assert_eq!(samples(&text, "vast_view_write_bw", "path=\"/data\""), [100.0]);
    let vip_label = format!("vip=\"{}\"", ip_of(&urls[0]));
    assert_eq!(samples(&text, "vast_vip_write_bw", &vip_label), [100.0]);
    assert_eq!(samples(&text, "vast_user_view_write_bw", "username=\"data-owner\""), [100.0]);
    let io = vms.get("/api/iodata/?time_frame=1m").await.ok().json();
    assert_eq!(
        [&io["data"][0]["view"], &io["data"][0]["write_bw"], &io["data"][0]["timestamp"]],
        [&json!("/data"), &json!(100.0), &io["timestamp"]]
    );
    let top = vms.get("/api/monitors/topn/?key=view&timestamp=&count=1").await;
    assert_eq!(top.status, 400, "an empty timestamp is none");
    let top = vms.get("/api/monitors/topn/?key=view&count=1").await.ok().json();
    assert_eq!(
        top["data"]["view"]["bw"][0],
        json!({ "title": "/data", "total": 800.0, "read": 200.0, "write": 600.0 })
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_lie_in_the_slots_in_which_things_happened() {
    let (cluster, _, s3, vms) = start().await;
    let name = "ProtoMetrics,proto_name=ProtoAll,wr_bw";
    s3.put("/data/a", pattern(1, 1_000)).await.ok();
    cluster.advance(Duration::from_secs(10)).unwrap();
    s3.put("/data/b", pattern(2, 3_000)).await.ok();
    cluster.advance(Duration::from_secs(20)).unwrap();
    let asked = ask(&vms, "cluster", &[name], "&time_frame=40s&granularity=seconds").await;
    let rates: Vec<f64> = asked["data"].as_array().unwrap().iter().map(|r| r[2].as_f64().unwrap()).collect();
    assert_eq!(rates, [100.0, 300.0, 0.0, 0.0]);
    let most = ask(&vms, "cluster", &[name], "&time_frame=40s&aggregation=max").await;
    assert_eq!(metric(&most, 1, name), Some(300.0));
    // After an idle day the minutes still know, and the last minute is quiet.
    cluster.advance(Duration::from_hours(24)).unwrap();
    let quiet = ask(&vms, "cluster", &[name], "&time_frame=1m").await;
    assert_eq!(metric(&quiet, 1, name), Some(0.0));
    let day = ask(&vms, "cluster", &[name], "&time_frame=2D").await;
    assert_eq!(metric(&day, 1, name), Some(4_000.0 / 172_800.0));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_frames_samples_and_aggregations_are_exact() {
    let (cluster, p, s3, vms) = start().await;
    // 1000, 3000, nothing, 2000 bytes in four slots of ten seconds.
    for (n, len) in [1_000, 3_000, 0, 2_000].into_iter().enumerate() {
        if n > 0 {
            cluster.advance(Duration::from_secs(10)).unwrap();
        }
        if len > 0 {
            s3.put(&format!("/data/{n}"), pattern(1, len)).await.ok();
        }
    }
    let name = "ViewMetrics,write_bw__rate";
    let rate = async |more: &str| {
        let answer = ask(&vms, "view", &[name], &format!("&object_ids={}{more}", p.view_id)).await;
        metric(&answer, p.view_id, name).unwrap()
    };
    for (frame, seconds) in [
        ("40s", 40.0),
        ("1m", 60.0),
        ("2h", 7_200.0),
        ("1D", 86_400.0),
        ("1W", 604_800.0),
        ("1M", 2_592_000.0),
    ] {
        assert_eq!(rate(&format!("&time_frame={frame}")).await, 6_000.0 / seconds, "{frame}");
    }
    for (function, expected) in
        [("avg", 150.0), ("min", 0.0), ("max", 300.0), ("sum", 600.0), ("stddev", 12_500_f64.sqrt())]
    {
        assert_eq!(rate(&format!("&time_frame=40s&aggregation={function}")).await, expected, "{function}");
    }
    let now: jiff::Timestamp = vast_sim::Clock::now(&*frozen().clock).try_into().unwrap();
    // The clock of the test began at most one slot before: ask by absolute times that hold either way.
    let (from, to) = (now - Duration::from_hours(1), now + Duration::from_hours(1));
    assert_eq!(rate(&format!("&from_time={from:.0}&to_time={to:.0}")).await, 6_000.0 / 7_200.0);
    for (granularity, width) in
        [("minutes", 300_000.0), ("hours", 3_600_000.0), ("days", 86_400_000.0), ("20s", 20_000.0)]
    {
        let more = format!("&time_frame=1h&granularity={granularity}&object_ids={}", p.view_id);
        let more = if granularity == "days" { more.replace("1h", "3D") } else { more };
        let answer = ask(&vms, "view", &[name], &more).await;
        let rows = answer["data"].as_array().unwrap();
        let bytes: f64 = rows.iter().map(|r| r[2].as_f64().unwrap() * width / 1_000.0).sum();
        assert_eq!(bytes.round(), 6_000.0, "{granularity}: {rows:?}");
        let stamps: Vec<&str> = rows.iter().map(|r| r[0].as_str().unwrap()).collect();
        assert!(stamps.is_sorted(), "{stamps:?}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_quotas_show_in_the_space_of_every_type() {
    let (cluster, p, s3, vms) = start().await;
    let quota = cluster.create_quota("/data/dir", 50_000).unwrap();
    s3.put("/data/dir/a", pattern(1, 5_000)).await.ok();
    s3.put("/data/b", pattern(2, 700)).await.ok();
    vms.post("/api/snapshots/", json!({ "name": "s", "path": "/data/" })).await.ok();
    s3.delete("/data/dir/a").await.ok();
    s3.put("/data/dir/c", pattern(3, 40)).await.ok();
    let of = async |kind: &str, id: u64, name: &str| metric(&ask(&vms, kind, &[name], "").await, id, name);
    assert_eq!(of("cluster", 1, "Capacity,logical_space_in_use").await, Some(740.0));
    assert_eq!(of("cluster", 1, "Capacity,physical_space_in_use").await, Some(5_740.0));
    assert_eq!(of("cluster", 1, "Capacity,drr").await, Some(740.0 / 5_740.0));
    assert_eq!(of("view", p.view_id, "ViewMetrics,logical_capacity").await, Some(740.0));
    assert_eq!(of("tenant", 1, "TenantMetrics,logical_capacity").await, Some(740.0));
    assert_eq!(of("quota", quota, "Capacity,logical_capacity").await, Some(40.0));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn space_is_told_as_it_was_at_every_time() {
    let config = frozen();
    let clock = Arc::clone(&config.clock);
    let (cluster, p, s3) = start_with(config, None).await;
    let vms = Vms::new(&cluster);
    let quota = cluster.create_quota("/data", 1 << 30).unwrap();
    let half = Duration::from_mins(30);
    let begin: jiff::Timestamp = vast_sim::Clock::now(&*clock).try_into().unwrap();
    s3.put("/data/a", pattern(1, 1_000)).await.ok();
    s3.send("PUT", "/data/b", &[("x-amz-copy-source", "/data/a")], "").await.ok();
    cluster.advance(half * 2).unwrap();
    s3.put("/data/c", pattern(2, 3_000)).await.ok();
    cluster.advance(half * 2).unwrap();
    s3.delete("/data/a").await.ok();
    s3.delete("/data/c").await.ok();
    cluster.advance(half).unwrap();
    let names = ["Capacity,logical_space_in_use", "Capacity,physical_space_in_use", "Capacity,drr"];
    let at = async |kind: &str, id: u64, names: &[&str], time: jiff::Timestamp| {
        let answer = ask(&vms, kind, names, &format!("&object_ids={id}&to_time={time}")).await;
        names.iter().map(|n| metric(&answer, id, n)).collect::<Vec<_>>()
    };
    assert_eq!(at("cluster", 1, &names, begin + half).await, [Some(2_000.0), Some(1_000.0), Some(2.0)]);
    assert_eq!(at("cluster", 1, &names, begin + half * 3).await, [Some(5_000.0), Some(4_000.0), Some(1.25)]);
    assert_eq!(at("cluster", 1, &names, begin + half * 5).await, [Some(1_000.0), Some(1_000.0), Some(1.0)]);
    assert_eq!(at("cluster", 1, &names, begin - half).await, [None, None, None], "nobody looked");
    for (kind, id, name) in [
        ("view", p.view_id, "ViewMetrics,logical_capacity"),
        ("quota", quota, "Capacity,logical_capacity"),
        ("tenant", 1, "TenantMetrics,logical_capacity"),
    ] {
        let mut seen = Vec::new();
        for n in [1, 3, 5] {
            seen.push(at(kind, id, &[name], begin + half * n).await[0]);
        }
        assert_eq!(seen, [Some(2_000.0), Some(5_000.0), Some(1_000.0)], "{kind}");
    }
    let answer = ask(&vms, "cluster", &names[..1], "&granularity=30m&time_frame=2h").await;
    let seen: Vec<f64> = answer["data"].as_array().unwrap().iter().filter_map(|r| r[2].as_f64()).collect();
    assert_eq!(seen.last(), Some(&1_000.0));
    assert!(seen.contains(&2_000.0) && seen.contains(&5_000.0), "{seen:?}");

    let io = async |query: &str| vms.get(&format!("/api/iodata/?{query}")).await.ok().json()["data"].clone();
    let window = format!("start_time={}&end_time={}", begin + half, begin + half * 3);
    let rows = io(&window).await;
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["write_bw"]), (1, &json!(3_000.0 / 3_600.0)));
    assert_eq!(io(&format!("{window}&protocol_filter=NFS")).await, json!([]));
    assert_eq!(io(&format!("{window}&limit=0")).await, json!([]));
    vms.get("/api/iodata/?start_time=2026-01-02T00:00:00Z&end_time=2026-01-01T00:00:00Z").await.is(400, "");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monitors_are_kept_questions_and_odd_questions_are_refused() {
    let (cluster, p, s3, vms) = start().await;
    s3.put("/data/a", pattern(1, 6_000)).await.ok();
    let body = json!({ "name": "writes", "object_type": "view", "time_frame": "1m",
        "prop_list": ["ViewMetrics,write_bw__rate"] });
    let monitor = vms.post("/api/monitors/", body.clone()).await.ok().json();
    let query = format!("/api/monitors/{}/query/", monitor["id"]);
    let answer = vms.get(&query).await.ok().json();
    assert_eq!(metric(&answer, p.view_id, "ViewMetrics,write_bw__rate"), Some(100.0));
    let longer = vms.get(&format!("{query}?time_frame=10m")).await.ok().json();
    assert_eq!(metric(&longer, p.view_id, "ViewMetrics,write_bw__rate"), Some(10.0));
    vms.post("/api/monitors/", body).await.is(400, "");
    for bad in [
        "",
        "?object_type=moon",
        "?object_type=cluster&time_frame=soon",
        "?object_type=cluster&prop_list=drr",
        "?object_type=cluster&granularity=often",
        "?object_type=cluster&aggregation=guess",
        "?object_type=cluster&from_time=2026-01-02T00:00:00Z&to_time=2026-01-01T00:00:00Z",
        "?object_type=cluster&time_frame=10Y&granularity=seconds",
    ] {
        assert_eq!(vms.get(&format!("/api/monitors/ad_hoc_query/{bad}")).await.status, 400, "{bad}");
    }
    // What nobody measures is a column of nulls; types without objects give no rows.
    let names = ["Hardware,component=node,cpu_temp", "Capacity,drr", "Capacity,dr"];
    let unknown = ask(&vms, "cluster", &names, "").await;
    let mut expected = vec!["timestamp", "object_id"];
    expected.extend(names);
    assert_eq!(unknown["prop_list"], json!(expected));
    assert_eq!(
        &unknown["data"][0].as_array().unwrap()[1..],
        &[json!(1), Value::Null, json!(1.0), Value::Null]
    );
    for kind in
        ["cnode", "dnode", "view", "nic", "cbox", "dbox", "fan", "psu", "ssd", "nvram", "replicationstream"]
    {
        let rows = ask(&vms, kind, &["Capacity,drr"], "").await;
        assert_eq!(
            rows["data"].as_array().unwrap().len(),
            rows["object_ids"].as_array().unwrap().len(),
            "{kind}"
        );
    }
    let catalogue = vms.get("/api/metrics/").await.ok().json();
    let catalogue = catalogue.as_array().unwrap();
    assert!(catalogue.iter().any(|m| m["fqn"] == "Capacity,drr" && m["class_name"] == "Capacity"));
    let shared = catalogue.iter().find(|m| m["fqn"] == "Capacity,logical_capacity").unwrap();
    assert_eq!((&shared["object_types"], &shared["units"]), (&json!(["quota"]), &json!("Bytes")));
    assert_eq!(
        vms.call("DELETE", &format!("/api/monitors/{}/", monitor["id"]), &Value::Null).await.status,
        204
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exposition_form_is_well_formed() {
    let (cluster, _, s3, vms) = start().await;
    s3.put("/data/a", "x").await.ok();
    cluster.create_quota("/data", 1_000).unwrap();
    let reply = vms.get("/api/prometheusmetrics/all").await.ok();
    assert!(reply.header("content-type").starts_with("text/plain"), "{}", reply.header("content-type"));
    let text = reply.text();
    let mut family = String::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(seen.insert(name.to_owned()), "{name} twice");
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            family = name.to_owned();
        } else if !line.starts_with("# HELP ") {
            let (name, rest) = line.split_once('{').unwrap();
            assert_eq!(name, family, "{line}");
            assert!(rest.starts_with("cluster=\"vast-sim\""), "{line}");
            let value = line.rsplit_once("} ").unwrap().1;
            assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
        }
    }
    for name in ["vast_quota_used_capacity", "vast_quota_hard_limit", "vast_quota_ok", "vast_cnode_active"] {
        assert!(seen.contains(name), "{name}");
    }
    for section in ["", "views", "vips", "quotas", "tenants", "users", "alarms", "devices", "nics"] {
        vms.get(&format!("/api/prometheusmetrics/{section}")).await.ok();
    }
    assert_eq!(vms.get("/api/prometheusmetrics/moons").await.status, 404);
    cluster.stop().await;
}
