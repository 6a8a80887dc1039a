//! `kill -9`, hundreds of times under load: everything that was acknowledged is there after each of them.
//!
//! Writers keep a model of what was acknowledged. A request that was cut off may have happened or not; which of the two
//! is read after the restart and holds from then on. `VAST_SIM_KILLS` and `VAST_SIM_SEED` change number and course.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use vast_sim::{KeyPair, RawState};

use crate::client::{Failure, Reply, S3, Vms, completion, pattern};
use crate::command::Served;

const KILLS: u64 = 220;
const WRITERS: u64 = 4;
/// Every so many restarts the server is killed while it starts.
const KILL_STARTS: u64 = 10;
const KEYS: u64 = 6;
const QUOTAS: u64 = 3;

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

/// What is under a name: seed and length of an object's bytes, or a quota's limit. None: nothing.
type Content = Option<(u64, usize)>;

/// What a writer knows about a name.
#[derive(Debug, Clone, Default)]
struct Known {
    acknowledged: Content,
    /// What a request without an answer may have made of it.
    uncertain: Option<Content>,
}

/// An upload that was opened and has its one part, and is to be completed another time.
#[derive(Debug, Clone)]
struct Open {
    path: String,
    id: String,
    etag: String,
    content: (u64, usize),
}

/// One writer's names, and what it knows about them.
#[derive(Debug, Clone)]
struct Writer {
    number: u64,
    dice: Dice,
    objects: BTreeMap<String, Known>,
    quotas: BTreeMap<String, Known>,
    open: Vec<Open>,
    /// An upload whose completion or abortion got no answer: it may be there or not.
    doubtful: Vec<String>,
    /// Versions in the bucket that keeps them: path with version id, and content.
    versions: Vec<(String, (u64, usize))>,
}

/// A connection to the running server for one writer.
#[derive(Debug, Clone)]
struct Clients {
    s3: S3,
    vms: Vms,
}

type Attempt = Result<(), Failure>;

/// The answer of a request that must not be refused while the server lives.
fn taken(reply: Reply) -> Reply {
    assert!(reply.status.is_success(), "{}: {}", reply.status, reply.text());
    reply
}

impl Writer {
    fn new(number: u64, seed: u64) -> Self {
        Self {
            number,
            dice: Dice(seed ^ (number << 32)),
            objects: BTreeMap::new(),
            quotas: BTreeMap::new(),
            open: Vec::new(),
            doubtful: Vec::new(),
            versions: Vec::new(),
        }
    }

    fn key(&mut self) -> String {
        format!("/data/w{}/{}", self.number, self.dice.below(KEYS))
    }

    fn fresh(&mut self) -> (u64, usize) {
        (self.dice.next(), usize::try_from(self.dice.below(20_000)).unwrap())
    }

    /// Works until the server is gone.
    async fn work(mut self, clients: Clients, done: Arc<AtomicU64>) -> Self {
        while self.step(&clients).await.is_ok() {
            done.fetch_add(1, Ordering::SeqCst);
        }
        self
    }

    async fn step(&mut self, clients: &Clients) -> Attempt {
        let path = self.key();
        match self.dice.below(15) {
            0..=3 => self.put(&clients.s3, &path).await,
            4..=5 => self.delete(&clients.s3, &path).await,
            6 => self.copy(&clients.s3, &path).await,
            7..=8 => self.begin(&clients.s3, path).await,
            9 => self.complete(&clients.s3).await,
            10 => self.abort(&clients.s3).await,
            11..=12 => self.add_version(&clients.s3).await,
            13 => self.remove_version(&clients.s3).await,
            _ => self.quota(&clients.vms).await,
        }
    }

    /// Sends a request that shall make `wanted` of an object.
    async fn change(&mut self, s3: &S3, path: &str, wanted: Content, ask: Ask<'_>) -> Attempt {
        let known = self.objects.entry(path.to_owned()).or_default();
        known.uncertain = Some(wanted);
        taken(s3.try_send(ask.method, &ask.path, &ask.headers, ask.body).await?);
        *known = Known { acknowledged: wanted, uncertain: None };
        Ok(())
    }

    async fn put(&mut self, s3: &S3, path: &str) -> Attempt {
        let (seed, len) = self.fresh();
        let ask = Ask { body: pattern(seed, len), ..Ask::new("PUT", path) };
        self.change(s3, path, Some((seed, len)), ask).await
    }

    async fn delete(&mut self, s3: &S3, path: &str) -> Attempt {
        self.change(s3, path, None, Ask::new("DELETE", path)).await
    }

    async fn copy(&mut self, s3: &S3, path: &str) -> Attempt {
        let held = self.objects.iter().filter(|(p, k)| k.acknowledged.is_some() && p.as_str() != path);
        let sources: Vec<(String, Content)> = held.map(|(p, k)| (p.clone(), k.acknowledged)).collect();
        if sources.is_empty() {
            return Ok(());
        }
        let at = usize::try_from(self.dice.below(sources.len() as u64)).unwrap();
        let (source, content) = sources[at].clone();
        let ask = Ask { headers: vec![("x-amz-copy-source", source.as_str())], ..Ask::new("PUT", path) };
        self.change(s3, path, content, ask).await
    }

    async fn begin(&mut self, s3: &S3, path: String) -> Attempt {
        if self.open.len() >= 3 {
            return Ok(());
        }
        let created = taken(s3.try_send("POST", &format!("{path}?uploads"), &[], Bytes::new()).await?);
        let id = created.between("<UploadId>", "</UploadId>").remove(0);
        let content = self.fresh();
        // Until its part is acknowledged the upload is of no use, but it is there.
        self.doubtful.push(id.clone());
        let part = format!("{path}?partNumber=1&uploadId={id}");
        let reply = taken(s3.try_send("PUT", &part, &[], pattern(content.0, content.1)).await?);
        self.doubtful.retain(|d| *d != id);
        self.open.push(Open { etag: reply.header("etag").to_owned(), path, id, content });
        Ok(())
    }

    async fn complete(&mut self, s3: &S3) -> Attempt {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.doubtful.push(open.id.clone());
        let body = completion(&[(1, &open.etag)]).into();
        let ask = Ask { body, ..Ask::new("POST", &format!("{}?uploadId={}", open.path, open.id)) };
        self.change(s3, &open.path, Some(open.content), ask).await?;
        self.doubtful.retain(|d| *d != open.id);
        Ok(())
    }

    async fn abort(&mut self, s3: &S3) -> Attempt {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.doubtful.push(open.id.clone());
        let path = format!("{}?uploadId={}", open.path, open.id);
        taken(s3.try_send("DELETE", &path, &[], Bytes::new()).await?);
        self.doubtful.retain(|d| *d != open.id);
        Ok(())
    }

    /// Writes a version beside those that are there.
    async fn add_version(&mut self, s3: &S3) -> Attempt {
        let path = format!("/kept/w{}/{}", self.number, self.dice.below(2));
        let (seed, len) = self.fresh();
        let reply = taken(s3.try_send("PUT", &path, &[], pattern(seed, len)).await?);
        let id = reply.header("x-amz-version-id");
        assert!(!id.is_empty(), "no version id: {:?}", reply.headers);
        self.versions.push((format!("{path}?versionId={id}"), (seed, len)));
        Ok(())
    }

    /// Removes a version for good; without an answer it may be there or not, and is forgotten.
    async fn remove_version(&mut self, s3: &S3) -> Attempt {
        if self.versions.len() < 3 {
            return Ok(());
        }
        let at = usize::try_from(self.dice.below(self.versions.len() as u64)).unwrap();
        let (path, _) = self.versions.swap_remove(at);
        taken(s3.try_send("DELETE", &path, &[], Bytes::new()).await?);
        Ok(())
    }

    /// Makes, changes or removes a quota.
    async fn quota(&mut self, vms: &Vms) -> Attempt {
        let name = format!("q{}-{}", self.number, self.dice.below(QUOTAS));
        let limit = (1 << 40) + self.dice.below(1 << 20);
        let removes = self.dice.below(4) == 0;
        let known = self.quotas.entry(name.clone()).or_default();
        let (method, path, body, wanted) = if known.acknowledged.is_none() {
            let body =
                json!({ "name": name, "path": format!("/{name}"), "hard_limit": limit, "create_dir": true });
            ("POST", "/api/quotas/".to_owned(), body, Some((limit, 0)))
        } else {
            let found = vms.try_send("GET", &format!("/api/quotas/?name={name}"), "").await?;
            let path = format!("/api/quotas/{}/", taken(found).json()[0]["id"]);
            if removes {
                ("DELETE", path, Value::Null, None)
            } else {
                ("PATCH", path, json!({ "hard_limit": limit }), Some((limit, 0)))
            }
        };
        known.uncertain = Some(wanted);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        taken(vms.try_send(method, &path, body).await?);
        *known = Known { acknowledged: wanted, uncertain: None };
        Ok(())
    }
}

/// An S3 request to be.
struct Ask<'a> {
    method: &'a str,
    path: String,
    headers: Vec<(&'a str, &'a str)>,
    body: Bytes,
}

impl<'a> Ask<'a> {
    fn new(method: &'a str, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }
}

impl Known {
    /// Takes what was found, if it may be.
    fn settle(&mut self, name: &str, found: &dyn Fn(Content) -> bool, what: &str) {
        let candidates = [Some(self.acknowledged), self.uncertain];
        let holds = candidates.into_iter().flatten().find(|c| found(*c));
        let holds = holds.unwrap_or_else(|| panic!("{name}: {what} is none of {self:?}"));
        *self = Self { acknowledged: holds, uncertain: None };
    }
}

impl Writer {
    /// Everything that was acknowledged is there; what was uncertain is found out.
    async fn verify(mut self, clients: Clients) -> Self {
        for (path, known) in &mut self.objects {
            let reply = clients.s3.get(path).await;
            let fits = |content: Content| match content {
                None => reply.status == 404,
                Some((seed, len)) => reply.status == 200 && reply.body == pattern(seed, len),
            };
            known.settle(path, &fits, &format!("{} with {} bytes", reply.status, reply.body.len()));
        }
        let rows = clients.vms.get("/api/quotas/").await.ok().json();
        for (name, known) in &mut self.quotas {
            let row = rows.as_array().unwrap().iter().find(|r| r["name"] == name.as_str());
            let limit = row.map(|r| r["hard_limit"].as_u64().unwrap());
            known.settle(name, &|c| c.map(|(limit, _)| limit) == limit, &format!("{limit:?}"));
        }
        for (path, (seed, len)) in &self.versions {
            let reply = clients.s3.get(path).await.ok();
            assert!(reply.body == pattern(*seed, *len), "{path}: {} bytes, not {len}", reply.body.len());
        }
        for open in &self.open {
            let parts = clients.s3.get(&format!("{}?uploadId={}", open.path, open.id)).await.ok();
            assert_eq!(parts.between("<Size>", "</Size>"), [open.content.1.to_string()], "{open:?}");
        }
        self
    }
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

async fn provision(vms: &Vms) -> KeyPair {
    let user = vms.post("/api/users/", json!({ "name": "u" })).await.ok().json()["id"].clone();
    let pair = vms.call("POST", &format!("/api/users/{user}/access_keys/"), &Value::Null).await.ok().json();
    let text = |f: &str| pair[f].as_str().unwrap().to_owned();
    for (bucket, versions) in [("data", false), ("kept", true)] {
        let view = json!({ "path": format!("/{bucket}"), "policy_id": 2, "protocols": ["S3"], "bucket": bucket,
            "bucket_owner": "u", "create_dir": true, "s3_versioning": versions });
        vms.post("/api/views/", view).await.ok();
    }
    KeyPair { access_key: text("access_key"), secret_key: text("secret_key") }
}

/// No more is stored than somebody knows of.
fn check_leftovers(state: &RawState, writers: &[Writer]) {
    let bucket = state.bucket("data").unwrap();
    let held: Vec<&str> = bucket.objects.iter().map(|o| o.key.as_str()).collect();
    let all = writers.iter().flat_map(|w| &w.objects);
    let expected = all.filter(|(_, k)| k.acknowledged.is_some()).count();
    assert_eq!(held.len(), expected, "{held:?}");
    let known = |id: &str| {
        writers.iter().any(|w| w.open.iter().any(|o| o.id == id) || w.doubtful.iter().any(|d| d == id))
    };
    // An upload whose id was never received is nobody's; of those each kill leaves one per writer at most.
    let strangers = bucket.uploads.iter().filter(|u| !known(&u.upload_id) && !u.parts.is_empty()).count();
    assert_eq!(strangers, 0, "{:?}", bucket.uploads);
}

async fn empty(s3: &S3, state: &RawState) {
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_hundreds_of_kills() {
    let (kills, seed) = (setting("VAST_SIM_KILLS", KILLS), setting("VAST_SIM_SEED", 2026));
    println!("VAST_SIM_KILLS={kills} VAST_SIM_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--data-dir", dir.path().to_str().unwrap(), "--min-part-size", "1"];
    let mut dice = Dice(seed);
    let mut keys = None;
    let mut writers: Vec<Writer> = (0..WRITERS).map(|n| Writer::new(n, seed)).collect();
    let (mut starts, mut acknowledged, mut longest) = (Duration::ZERO, 0, Duration::ZERO);
    for kill in 0..kills {
        if kill % KILL_STARTS == KILL_STARTS - 1 {
            let mut early = Served::spawn(&arguments);
            spin(Duration::from_micros(dice.below(60_000)));
            early.kill().unwrap();
            early.wait().unwrap();
            continue;
        }
        let begun = Instant::now();
        let mut served = Served::start(&arguments);
        (starts, longest) = (starts + begun.elapsed(), longest.max(begun.elapsed()));
        let vms = served.vms();
        if keys.is_none() {
            keys = Some(provision(&vms).await);
        }
        let s3 = S3 { url: served.url("s3"), keys: keys.clone().unwrap(), ca_pem: None, sign_payload: false };
        let clients = Clients { s3, vms };
        writers = together(writers.into_iter().map(|w| w.verify(clients.clone()))).await;
        check_leftovers(&state_of(&clients.vms).await, &writers);
        let done = Arc::new(AtomicU64::new(0));
        let wanted = dice.below(24);
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
    let clients = Clients {
        s3: S3 { url: served.url("s3"), keys: keys.unwrap(), ca_pem: None, sign_payload: false },
        vms: served.vms(),
    };
    writers = together(writers.into_iter().map(|w| w.verify(clients.clone()))).await;
    let state = state_of(&clients.vms).await;
    check_leftovers(&state, &writers);
    empty(&clients.s3, &state).await;
    drop(served);
    drop(Served::start(&arguments));
    let left: u64 = std::fs::read_dir(dir.path().join("blobs"))
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(left, 0, "no byte stays on the disk without an owner");
    let mean = starts / u32::try_from(kills - kills / KILL_STARTS).unwrap();
    println!(
        "{kills} kills, {acknowledged} acknowledged changes; start-up {mean:?} on average, {longest:?} at most"
    );
    assert!(acknowledged >= kills * 5, "too little was going on: {acknowledged} changes in {kills} rounds");
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
