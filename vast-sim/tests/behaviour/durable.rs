//! Durable mode: what was acknowledged survives a restart and `kill -9` at any moment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde_json::{Value, json};
use vast_sim::{Cluster, Config, KeyPair, RawState};

use crate::client::{S3, pattern, start_with};
use crate::command::Served;

fn config(dir: &Path) -> Config {
    Config { data_dir: Some(dir.to_owned()), min_part_size: 1, ..Config::default() }
}

fn blob_bytes(dir: &Path) -> u64 {
    std::fs::read_dir(dir.join("blobs")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, provisioned, s3) = start_with(config(dir.path()), Some(1 << 30)).await;
    let ca = cluster.ca_pem().to_owned();
    let data = pattern(1, 3_000_000);
    s3.send("PUT", "/data/k", &[("x-amz-meta-m", "1"), ("content-type", "a/b")], data.clone()).await.ok();
    s3.send("PUT", "/data/copy", &[("x-amz-copy-source", "/data/k")], "").await.ok();
    s3.put("/data/gone", pattern(2, 1000)).await.ok();
    s3.delete("/data/gone").await.ok();
    s3.put("/data/over", pattern(2, 500_000)).await.ok();
    s3.put("/data/over", pattern(3, 100)).await.ok();
    let id = s3.create_upload("/data/m").await;
    let part = s3.part("/data/m", &id, 1, pattern(4, 50_000)).await.ok().header("etag").to_owned();
    let views = cluster.vms("GET", "views", &Value::Null).unwrap();
    let state = cluster.raw_state();
    cluster.stop().await;
    assert_eq!(
        blob_bytes(dir.path()),
        3_000_000 + 100 + 50_000,
        "shared once, replaced and deleted bytes gone"
    );

    std::fs::write(dir.path().join("blobs/00000000000000ff.part"), "cut short").unwrap();
    let cluster = Cluster::start(config(dir.path())).await.unwrap();
    assert_eq!(cluster.ca_pem(), ca);
    assert_eq!(cluster.raw_state(), state);
    assert_eq!(blob_bytes(dir.path()), 3_000_000 + 100 + 50_000, "leavings are swept");
    let again = cluster.vms("GET", "views", &Value::Null).unwrap();
    assert_eq!(
        (&again[0]["guid"], &again[0]["logical_capacity"]),
        (&views[0]["guid"], &views[0]["logical_capacity"])
    );
    let s3 = S3::new(&cluster, &provisioned.keys);
    let got = s3.get("/data/k").await.ok();
    assert_eq!((&got.body, got.header("x-amz-meta-m"), got.header("content-type")), (&data, "1", "a/b"));
    s3.delete("/data/k").await.ok();
    assert_eq!(s3.get("/data/copy").await.ok().body, data, "the copy keeps the bytes");
    s3.complete("/data/m", &id, &[(1, &part)]).await.ok();
    assert_eq!(s3.get("/data/m").await.ok().body, pattern(4, 50_000));
    assert_eq!(cluster.create("users", &json!({ "name": "later" })).unwrap()["id"], 2);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_used_by_one_cluster_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (cluster, _, s3) = start_with(config(dir.path()), None).await;
    s3.put("/data/k", "x").await.ok();
    let second = Cluster::start(config(dir.path())).await.unwrap_err();
    assert!(second.to_string().contains("cannot open the database"), "{second}");
    cluster.stop().await;
    for blob in std::fs::read_dir(dir.path().join("blobs")).unwrap() {
        std::fs::write(blob.unwrap().path(), "longer").unwrap();
    }
    let damaged = Cluster::start(config(dir.path())).await.unwrap_err();
    assert!(damaged.to_string().contains("has 6 bytes, metadata says 1"), "{damaged}");
}

/// Seed and length of an object; none for an absent one.
type Content = Option<(u64, usize)>;

/// What a writer knows about a key: the last acknowledged content (none: absent), and what an unanswered request may
/// have made of it.
#[derive(Debug, Clone, Default)]
struct Known {
    acknowledged: Content,
    uncertain: Option<Content>,
}

/// Writes, overwrites, deletes and completes uploads on its own keys until the server dies.
async fn write_until_death(
    s3: S3,
    writer: u64,
    round: u64,
    done: Arc<AtomicU64>,
    mut known: BTreeMap<String, Known>,
) -> BTreeMap<String, Known> {
    for n in 0.. {
        let seed = writer * 1_000_003 + round * 1009 + n;
        let key = format!("w{writer}/{}", seed % 7);
        let len = usize::try_from(seed * 7919 % 60_000).unwrap();
        let path = format!("/data/{key}");
        let entry = known.entry(key).or_default();
        let wanted = (!seed.is_multiple_of(5)).then_some((seed, len));
        entry.uncertain = Some(wanted);
        let answer = match (wanted, seed % 3) {
            (None, _) => s3.try_send("DELETE", &path, &[], Bytes::new()).await,
            (Some(_), 0) => multipart(&s3, &path, pattern(seed, len)).await,
            (Some(_), _) => s3.try_send("PUT", &path, &[], pattern(seed, len)).await,
        };
        match answer {
            Ok(reply) if reply.status.is_success() => {
                *entry = Known { acknowledged: wanted, uncertain: None };
                done.fetch_add(1, Ordering::SeqCst);
            }
            // The server stops between requests when it is killed; nothing else may go wrong.
            Ok(reply) => panic!("{}: {}", reply.status, reply.text()),
            Err(_) => return known,
        }
    }
    known
}

async fn multipart(s3: &S3, path: &str, data: Bytes) -> Result<crate::client::Reply, crate::client::Failure> {
    let created = s3.try_send("POST", &format!("{path}?uploads"), &[], Bytes::new()).await?.ok();
    let id = created.between("<UploadId>", "</UploadId>").remove(0);
    let half = data.len() / 2;
    let mut etags = Vec::new();
    for (number, part) in [(1, data.slice(..half)), (2, data.slice(half..))] {
        let part_path = format!("{path}?partNumber={number}&uploadId={id}");
        etags.push((number, s3.try_send("PUT", &part_path, &[], part).await?.ok().header("etag").to_owned()));
    }
    let parts: Vec<(u32, &str)> = etags.iter().map(|(n, e)| (*n, e.as_str())).collect();
    s3.try_send("POST", &format!("{path}?uploadId={id}"), &[], crate::client::completion(&parts)).await
}

async fn verify(s3: &S3, known: &mut BTreeMap<String, Known>) {
    for (key, entry) in known {
        let reply = s3.get(&format!("/data/{key}")).await;
        let fits = |content: Option<(u64, usize)>| match content {
            None => reply.status == 404,
            Some((seed, len)) => reply.status == 200 && reply.body == pattern(seed, len),
        };
        let candidates = [Some(entry.acknowledged), entry.uncertain];
        let found = candidates.into_iter().flatten().find(|c| fits(*c));
        let found = found.unwrap_or_else(|| {
            panic!("{key}: {} with {} bytes is none of {entry:?}", reply.status, reply.body.len())
        });
        *entry = Known { acknowledged: found, uncertain: None };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    const ROUNDS: u64 = 8;
    const WRITERS: u64 = 4;
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().to_str().unwrap();
    let mut keys: Option<KeyPair> = None;
    let mut known: Vec<BTreeMap<String, Known>> = vec![BTreeMap::new(); usize::try_from(WRITERS).unwrap()];
    for round in 0..=ROUNDS {
        let mut served = Served::start(&["--data-dir", data_dir, "--min-part-size", "1"]);
        let vms = served.vms();
        if keys.is_none() {
            vms.post("/api/users/", json!({ "name": "u" })).await.ok();
            let pair = vms.call("POST", "/api/users/1/access_keys/", &Value::Null).await.ok().json();
            let text = |f: &str| pair[f].as_str().unwrap().to_owned();
            keys = Some(KeyPair { access_key: text("access_key"), secret_key: text("secret_key") });
            let view = json!({ "path": "/data", "policy_id": 2, "protocols": ["S3"], "bucket": "data", "bucket_owner": "u" });
            vms.post("/api/views/", view).await.ok();
        }
        let s3 = S3 { url: served.url("s3"), keys: keys.clone().unwrap(), ca_pem: None, sign_payload: false };
        for map in &mut known {
            verify(&s3, map).await;
        }
        let state: RawState = serde_json::from_value(vms.get("/sim/v1/state").await.ok().json()).unwrap();
        let bucket = state.bucket("data").unwrap();
        assert_eq!(blob_bytes(dir.path()), bucket.bytes, "no byte on the disk is without an owner");
        let expected = known.iter().flat_map(BTreeMap::values).filter(|k| k.acknowledged.is_some()).count();
        assert_eq!(bucket.objects.len(), expected);
        if round == ROUNDS {
            break;
        }
        let done = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|w| {
                let map = std::mem::take(&mut known[usize::try_from(w).unwrap()]);
                tokio::spawn(write_until_death(s3.clone(), w, round, Arc::clone(&done), map))
            })
            .collect();
        // Another moment of the work every round.
        while done.load(Ordering::SeqCst) < 10 + round * 7 {
            assert!(writers.iter().all(|w| !w.is_finished()), "a writer gave up before the kill");
            tokio::task::yield_now().await;
        }
        served.child.kill().unwrap();
        served.child.wait().unwrap();
        for (map, writer) in known.iter_mut().zip(writers) {
            *map = writer.await.unwrap();
        }
    }
}
