//! `kill -9`, hundreds of times under load: everything that was acknowledged is there after each of them.
//!
//! Writers keep a model of what was acknowledged. A request that was cut off may have happened or not; which of the two
//! is read after the restart and holds from then on. A kill counts when work was acknowledged since the start before it
//! and all writers were at work; beside those the server is killed while it starts. `VAST_SIM_KILLS` and `VAST_SIM_SEED`
//! change number and course.

mod facts;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use facts::Rows;
use serde_json::{Value, json};
use vast_sim::{KeyPair, RawState};
use writer::Writer;

use crate::client::{Failure, Reply, S3, Vms};
use crate::command::Served;

/// Kills under load.
const KILLS: u64 = 220;
const WRITERS: u64 = 4;
/// After every so many of them the server is also killed while it starts.
const KILL_STARTS: u64 = 10;
const KEYS: u64 = 6;
/// What each writer's locked object holds.
const LOCKED: &str = "locked";

/// SplitMix64: small, seeded, and not the simulator's own.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A connection to the running server for one writer.
#[derive(Debug, Clone)]
struct Clients {
    s3: S3,
    vms: Vms,
    user_id: u64,
}

type Attempt = Result<(), Failure>;

/// The answer of a request that must not be refused while the server lives.
fn taken(reply: Reply) -> Reply {
    assert!(reply.status.is_success(), "{}: {}", reply.status, reply.text());
    reply
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().expect("a number"))
}

/// Passes time without giving the processor up: a moment inside the work, not a wait for it.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// The user that all writers are, and the buckets.
async fn provision(vms: &Vms) -> (u64, KeyPair) {
    let user = vms.post("/api/users/", json!({ "name": "u" })).await.ok().json()["id"].as_u64().unwrap();
    let pair = vms.call("POST", &format!("/api/users/{user}/access_keys/"), &Value::Null).await.ok().json();
    let text = |f: &str| pair[f].as_str().unwrap().to_owned();
    let documents = (0..WRITERS).map(|n| format!("doc{n}"));
    for bucket in ["data", "kept", "locked"].map(str::to_owned).into_iter().chain(documents) {
        let view = json!({ "path": format!("/{bucket}"), "policy_id": 2, "protocols": ["S3"], "bucket": bucket,
            "bucket_owner": "u", "create_dir": true, "s3_versioning": bucket == "kept" || bucket == "locked",
            "locking": bucket == "locked" });
        vms.post("/api/views/", view).await.ok();
    }
    (user, KeyPair { access_key: text("access_key"), secret_key: text("secret_key") })
}

/// No more is stored than somebody knows of.
fn check_leftovers(state: &RawState, writers: &[Writer]) {
    let bucket = state.bucket("data").unwrap();
    let held: Vec<&str> = bucket.objects.iter().map(|o| o.key.as_str()).collect();
    assert_eq!(held.len(), writers.iter().map(Writer::held).sum::<usize>(), "{held:?}");
    // An upload whose id was never received is nobody's; of those each kill leaves one per writer at most.
    let known = |id: &str| writers.iter().any(|w| w.knows_upload(id));
    let strangers = bucket.uploads.iter().filter(|u| !known(&u.upload_id) && !u.parts.is_empty()).count();
    assert_eq!(strangers, 0, "{:?}", bucket.uploads);
}

/// Removes everything but the locked objects.
async fn empty(clients: &Clients, state: &RawState) {
    let s3 = &clients.s3;
    for snapshot in Rows::fetch(&clients.vms).await.ids("snapshots") {
        clients.vms.call("DELETE", &format!("/api/snapshots/{snapshot}/"), &Value::Null).await.ok();
    }
    let bucket = state.bucket("data").unwrap();
    for object in &bucket.objects {
        s3.delete(&format!("/data/{}", object.key)).await.ok();
    }
    for upload in &bucket.uploads {
        let path = format!("/data/{}?uploadId={}", upload.key, upload.upload_id);
        s3.delete(&path).await.ok();
    }
    loop {
        let listed = s3.get("/kept?versions").await.ok();
        let (keys, ids) = (listed.between("<Key>", "</Key>"), listed.between("<VersionId>", "</VersionId>"));
        if keys.is_empty() {
            break;
        }
        for (key, id) in keys.iter().zip(&ids) {
            s3.delete(&format!("/kept/{key}?versionId={id}")).await.ok();
        }
    }
}

async fn state_of(vms: &Vms) -> RawState {
    serde_json::from_value(vms.get("/sim/v1/state").await.ok().json()).unwrap()
}

/// Clients of a running server; the first time there is a user and buckets to be made.
async fn clients_of(served: &Served, user: &mut Option<(u64, KeyPair)>) -> Clients {
    let vms = served.vms();
    let is_new = user.is_none();
    if is_new {
        *user = Some(provision(&vms).await);
    }
    let (user_id, keys) = user.clone().unwrap();
    let s3 = S3 { url: served.url("s3"), keys, ca_pem: None, sign_payload: false };
    for n in (0..WRITERS).filter(|_| is_new) {
        s3.put(&format!("/locked/w{n}"), LOCKED).await.ok();
    }
    Clients { s3, vms, user_id }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_hundreds_of_kills() {
    let (kills, seed) = (setting("VAST_SIM_KILLS", KILLS), setting("VAST_SIM_SEED", 2026));
    println!("VAST_SIM_KILLS={kills} VAST_SIM_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--min-part-size", "1", "--task-duration", "0.02", "--tasks-kept", "1000000"];
    let arguments = [&["--data-dir", dir.path().to_str().unwrap()], &flags[..]].concat();
    let mut dice = Dice(seed);
    let mut user = None;
    let mut writers: Vec<Writer> = (0..WRITERS).map(|n| Writer::new(n, seed)).collect();
    let (mut starts, mut acknowledged, mut longest) = (Duration::ZERO, 0, Duration::ZERO);
    for kill in 0..kills {
        if kill % KILL_STARTS == KILL_STARTS - 1 {
            let mut early = Served::spawn(&arguments);
            spin(Duration::from_micros(dice.below(60_000)));
            early.kill().unwrap();
            early.wait().unwrap();
        }
        let begun = Instant::now();
        let mut served = Served::start(&arguments);
        (starts, longest) = (starts + begun.elapsed(), longest.max(begun.elapsed()));
        let clients = clients_of(&served, &mut user).await;
        writers = verified(writers, &clients).await;
        check_leftovers(&state_of(&clients.vms).await, &writers);
        let done = Arc::new(AtomicU64::new(0));
        let wanted = 1 + dice.below(24);
        let working = together(writers.into_iter().map(|w| w.work(clients.clone(), Arc::clone(&done))));
        let killing = async {
            while done.load(Ordering::SeqCst) < wanted {
                tokio::task::yield_now().await;
            }
            spin(Duration::from_micros(dice.below(3_000)));
            served.child.kill().unwrap();
            served.child.wait().unwrap();
        };
        (writers, ()) = tokio::join!(working, killing);
        acknowledged += done.load(Ordering::SeqCst);
    }
    let served = Served::start(&arguments);
    let clients = clients_of(&served, &mut user).await;
    writers = verified(writers, &clients).await;
    let state = state_of(&clients.vms).await;
    check_leftovers(&state, &writers);
    empty(&clients, &state).await;
    drop(served);
    drop(Served::start(&arguments));
    let left: u64 = std::fs::read_dir(dir.path().join("blobs"))
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(left, WRITERS * LOCKED.len() as u64, "no byte stays on the disk without an owner");
    let mean = starts / u32::try_from(kills).unwrap();
    println!(
        "{kills} kills under load and {} of starts, {acknowledged} acknowledged changes; start-up {mean:?} on average, \
         {longest:?} at most",
        kills / KILL_STARTS
    );
    assert!(acknowledged >= kills * 5, "too little was going on: {acknowledged} changes in {kills} rounds");
}

async fn verified(writers: Vec<Writer>, clients: &Clients) -> Vec<Writer> {
    let rows = Arc::new(Rows::fetch(&clients.vms).await);
    together(writers.into_iter().map(|w| w.verify(clients.clone(), Arc::clone(&rows)))).await
}

/// All of them at the same time, in order.
async fn together(all: impl Iterator<Item = impl Future<Output = Writer> + Send + 'static>) -> Vec<Writer> {
    let running: Vec<_> = all.map(tokio::spawn).collect();
    let mut out = Vec::new();
    for one in running {
        out.push(one.await.unwrap());
    }
    out
}
