//! Faults that take time or touch bodies, on both planes, and what the log says of those that did nothing. Time is a
//! frozen clock that the tests drive.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinHandle;
use vast_sim::{Clock as _, Cluster, Config, Effect, Fault, Side, SimClock};

use crate::client::{Reply, S3, Vms, pattern, start, start_with};

const FAULT: &str = "x-vast-sim-fault";

fn seconds(reply: &Reply) -> i64 {
    jiff::fmt::rfc2822::parse(reply.header("date")).unwrap().timestamp().as_second()
}

/// A cluster whose time stands still until somebody moves it.
struct Still {
    cluster: Cluster,
    s3: S3,
    clock: Arc<SimClock>,
}

impl Still {
    async fn start() -> Self {
        let clock = Arc::new(SimClock::frozen_at(SystemTime::now()));
        let config = Config { clock: clock.clone(), ..Config::default() };
        let (cluster, _, s3) = start_with(config, None).await;
        Self { cluster, s3, clock }
    }

    fn send(&self, method: &'static str, path: &'static str, body: impl Into<Bytes>) -> JoinHandle<Reply> {
        let (s3, body) = (self.s3.clone(), body.into());
        tokio::spawn(async move { s3.send(method, path, &[], body).await.ok() })
    }

    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Lets time pass until all are answered; gives how much that took at most.
    async fn pass(&self, tasks: &[&JoinHandle<Reply>]) -> Duration {
        let start = self.now();
        while tasks.iter().any(|t| !t.is_finished()) {
            self.cluster.advance(Duration::from_secs(1)).unwrap();
            tokio::task::yield_now().await;
        }
        self.now().duration_since(start).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_differs_from_request_to_request() {
    let still = Still::start().await;
    let latency = Effect::Latency { millis: 100_000, jitter_millis: 50_000 };
    still.cluster.faults().add(Fault::s3(latency).on("PutObject")).unwrap();
    let mut waits = Vec::new();
    for _ in 0..5 {
        let start = jiff::Timestamp::try_from(still.now()).unwrap().as_second();
        let put = still.send("PUT", "/data/k", "x");
        still.pass(&[&put]).await;
        let answer = put.await.unwrap();
        assert_eq!(answer.header(FAULT), "1");
        waits.push(seconds(&answer) - start);
    }
    assert!(waits.iter().all(|w| *w >= 50), "{waits:?}");
    assert!(waits.iter().any(|w| *w != waits[0]), "{waits:?}");
    assert_eq!(still.cluster.faults().hits(), 5);
    still.s3.head("/data/k").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_line_is_shared_and_holds_both_directions() {
    let still = Still::start().await;
    let narrow = |side| Fault::s3(Effect::Bandwidth { side, bytes_per_second: 1_000 });
    let id = still.cluster.faults().add(narrow(Side::Request)).unwrap();
    let start = jiff::Timestamp::try_from(still.now()).unwrap().as_second();
    let (one, two) = (
        still.send("PUT", "/data/one", pattern(1, 50_000)),
        still.send("PUT", "/data/two", pattern(2, 50_000)),
    );
    still.pass(&[&one, &two]).await;
    let last = seconds(&one.await.unwrap()).max(seconds(&two.await.unwrap()));
    assert!(last - start >= 99, "{} s for 100 000 bytes at 1 000 each second", last - start);
    assert_eq!(still.cluster.faults().list()[0].hits, 2);
    still.cluster.faults().remove(id);

    still.cluster.faults().add(narrow(Side::Answer)).unwrap();
    let (one, two) = (still.send("GET", "/data/one", ""), still.send("GET", "/data/two", ""));
    let took = still.pass(&[&one, &two]).await;
    assert!(took >= Duration::from_secs(99), "{took:?}");
    assert_eq!(one.await.unwrap().body, pattern(1, 50_000));
    assert_eq!(two.await.unwrap().header(FAULT), "2");
    // What has no body passes at once, and is not hit.
    let before = still.cluster.faults().hits();
    still.s3.head("/data/one").await.ok();
    assert_eq!(still.cluster.faults().hits(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_stands_still_at_its_offset() {
    let still = Still::start().await;
    let stall = |millis| Effect::Stall { side: Side::Request, offset: 50_000, millis };
    still.cluster.faults().add(Fault::s3(stall(Some(60_000))).times(1)).unwrap();
    // Too short to get there: the next one has its turn.
    still.s3.put("/data/short", pattern(1, 50_000)).await.ok();
    assert_eq!(still.cluster.faults().hits(), 0);
    let start = jiff::Timestamp::try_from(still.now()).unwrap().as_second();
    let put = still.send("PUT", "/data/k", pattern(1, 100_000));
    still.pass(&[&put]).await;
    assert!(seconds(&put.await.unwrap()) - start >= 59);
    assert_eq!(still.s3.get("/data/k").await.ok().body, pattern(1, 100_000));

    let id = still.cluster.faults().add(Fault::s3(stall(None)).times(1)).unwrap();
    let put = still.send("PUT", "/data/never", pattern(1, 100_000));
    while still.cluster.faults().log().iter().all(|h| h.fault_id != id) {
        tokio::task::yield_now().await;
    }
    still.cluster.advance(Duration::from_hours(24)).unwrap();
    assert!(!put.is_finished() && still.cluster.counters().operation("PutObject").errors == 0);
    put.abort();
    still.s3.get("/data/never").await.is(404, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_vms_suffer_as_well() {
    let (cluster, ..) = start().await;
    let vms = Vms::new(&cluster);
    let once = |effect: Effect| {
        cluster.faults().clear();
        cluster.faults().add(Fault::vms(effect).times(1)).unwrap()
    };
    let whole = vms.get("/api/views/").await.ok();
    let id = once(Effect::CorruptBody { offset: 40 });
    let bad = vms.get("/api/views/").await.ok();
    assert_eq!(bad.header(FAULT), id.to_string());
    assert_eq!((0..whole.body.len()).filter(|i| bad.body[*i] != whole.body[*i]).collect::<Vec<_>>(), [40]);

    let user = json!({ "name": "somebody" }).to_string();
    let post = || vms.try_send("POST", "/api/users/", user.clone());
    for effect in [Effect::CorruptRequest { offset: 0 }, Effect::Truncate { side: Side::Request, offset: 10 }]
    {
        let id = once(effect.clone());
        let refused = post().await.unwrap();
        assert_eq!((refused.status.as_u16(), refused.header(FAULT)), (400, id.to_string().as_str()));
        assert!(refused.text().contains("JSON parse error"), "{effect:?}: {}", refused.text());
    }
    once(Effect::ResetAt { side: Side::Request, offset: 5 });
    let error = post().await.unwrap_err();
    assert!(format!("{error:?}").contains("ConnectionReset"), "{error:?}");
    assert_eq!(vms.get("/api/users/?name=somebody").await.json(), json!([]));
    post().await.unwrap().ok();

    once(Effect::SetHeader { name: "date".to_owned(), value: "never".to_owned() });
    assert_eq!(vms.get("/api/views/").await.ok().header("date"), "never");
    once(Effect::RemoveHeader { name: "content-type".to_owned() });
    assert_eq!(vms.get("/api/views/").await.ok().header("content-type"), "");
    let hits: Vec<String> = cluster.faults().log().iter().map(|h| h.operation.clone()).collect();
    assert_eq!(hits, ["GET views", "POST users", "POST users", "POST users", "GET views", "GET views"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vms_waits_on_the_clock_too() {
    let still = Still::start().await;
    let vms = Vms::new(&still.cluster);
    for effect in [
        Effect::Delay { millis: 90_000 },
        Effect::Stall { side: Side::Request, offset: 4, millis: Some(90_000) },
        Effect::Bandwidth { side: Side::Request, bytes_per_second: 1 },
        Effect::Stall { side: Side::Answer, offset: 4, millis: Some(90_000) },
        Effect::Bandwidth { side: Side::Answer, bytes_per_second: 1 },
    ] {
        still.cluster.faults().add(Fault::vms(effect.clone()).on("PATCH quotas").times(1)).unwrap();
        let vms = vms.clone();
        let patch = tokio::spawn(async move {
            let padded = format!("{:<100}", json!({ "name": "q" }).to_string());
            vms.try_send("PATCH", "/api/quotas/99/", padded).await.unwrap()
        });
        let took = still.pass(&[&patch]).await;
        assert_eq!(patch.await.unwrap().status, 404);
        // The answer has 23 bytes.
        let least = if matches!(effect, Effect::Bandwidth { side: Side::Answer, .. }) { 22 } else { 90 };
        assert!(took >= Duration::from_secs(least), "{effect:?}: {took:?}");
    }
    assert_eq!(still.cluster.faults().hits(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_happened_is_logged() {
    let (cluster, _, s3) = start().await;
    let error = Effect::Error { status: 500, code: "InternalError".to_owned(), message: String::new() };
    let faults = [
        Fault::s3(Effect::CorruptRequest { offset: 1 }).times(1),
        Fault::s3(error).times(1),
        Fault::s3(Effect::SetHeader { name: "x-extra".to_owned(), value: "1".to_owned() }).times(1),
        Fault::s3(Effect::AnswerLost).times(1),
    ];
    for fault in faults {
        cluster.faults().add(fault.on("PutObject")).unwrap();
    }
    // The second one ends the request: no body was read, nothing behind it came to pass.
    assert_eq!(s3.put("/data/k", "abc").await.is(500, "InternalError").header(FAULT), "2");
    let logged = || cluster.faults().log().iter().map(|h| h.fault_id).collect::<Vec<_>>();
    assert_eq!(logged(), [2]);
    // The others have their turn with the next request.
    s3.try_send("PUT", "/data/k", &[], "abc").await.unwrap_err();
    assert_eq!(logged(), [2, 1, 4]);
    assert_eq!(s3.put("/data/l", "abc").await.ok().header(FAULT), "3");
    assert_eq!(s3.get("/data/k").await.ok().body, "aBc");
    assert_eq!(cluster.faults().list().iter().map(|f| f.hits).collect::<Vec<_>>(), [1; 4]);

    // Behind the end of the body there is nothing to spoil.
    cluster.faults().clear();
    // What is not there cannot be taken away.
    let id = cluster
        .faults()
        .add(Fault::s3(Effect::RemoveHeader { name: "x-amz-none".to_owned() }).times(1))
        .unwrap();
    assert_eq!((s3.get("/data/k").await.ok().header(FAULT), cluster.faults().hits()), ("", 4));
    cluster.faults().remove(id);
    cluster.faults().add(Fault::s3(Effect::CorruptBody { offset: 3 }).times(1)).unwrap();
    assert_eq!(s3.get("/data/k").await.ok().header(FAULT), "");
    assert_eq!(cluster.faults().hits(), 4);
    s3.put("/data/long", "abcd").await.ok();
    assert_eq!(s3.get("/data/long").await.ok().body, "abcD");
    assert_eq!((cluster.faults().hits(), cluster.faults().log().len()), (5, 5));
    cluster.stop().await;
}
