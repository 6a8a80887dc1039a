//! The management session against a scripted VMS: tokens, refusals, paging, LSUs and VIP lists.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is wrong")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::{PASSWORD, Received, Server, Step, answer, certificate, config, environment, response, stored};
use vast_client::{
    CapacitySource, ClientConfig, Condition, Error, Operation, Severity, Thing, TlsConfig, VastClient,
};

/// A VMS that takes one token at a time and knows one LSU.
#[derive(Default)]
struct Vms {
    /// Tokens given out so far; only the last one is taken.
    issued: AtomicUsize,
    /// The next call finds its token stale.
    expire: AtomicBool,
    /// Refresh tokens are not taken any more.
    refuse_refresh: AtomicBool,
    /// No token is good.
    refuse_all: AtomicBool,
    down: AtomicBool,
    vip: std::sync::Mutex<String>,
}

impl Vms {
    async fn start(self: &Arc<Self>) -> Server {
        let (tls, _) = certificate();
        let vms = Arc::clone(self);
        Server::start_tls(tls, move |request| vms.step(request)).await
    }

    fn step(&self, request: &Received) -> Step {
        if self.down.load(Ordering::SeqCst) {
            return Step::Reset;
        }
        match request.path() {
            "/api/token/refresh/" if self.refuse_refresh.load(Ordering::SeqCst) => answer(401, "{}"),
            "/api/token/" | "/api/token/refresh/" => self.tokens(),
            path => {
                let good = format!("Bearer access-{}", self.issued.load(Ordering::SeqCst));
                let stale =
                    self.expire.swap(false, Ordering::SeqCst) || self.refuse_all.load(Ordering::SeqCst);
                if stale || request.header("authorization") != good {
                    return answer(
                        403,
                        r#"{"detail":"Token is invalid or expired","code":"token_not_valid"}"#,
                    );
                }
                self.resource(path.strip_prefix("/api/v5/").unwrap_or("?"))
            }
        }
    }

    fn tokens(&self) -> Step {
        let n = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        answer(200, &format!(r#"{{"access":"access-{n}","refresh":"refresh-{n}"}}"#))
    }

    fn resource(&self, name: &str) -> Step {
        let ip = self.vip.lock().unwrap().clone();
        let body = match name {
            "clusters/" => r#"[{"name":"c1","state":"ONLINE","sw_version":"5.4.1","logical_space":1000,"free_logical_space":400}]"#.into(),
            "views/" => r#"[{"path":"/b/lsu1","bucket":"lsu1","protocols":["S3"],"tenant_id":1,"logical_capacity":7,"physical_capacity":3},
                {"path":"/n","bucket":null,"protocols":["NFS"]}]"#.into(),
            "quotas/" => r#"[{"path":"/b","tenant_id":1,"hard_limit":100,"used_capacity":40}]"#.into(),
            "vippools/" => r#"[{"id":1,"name":"main","ip_ranges":[]},{"id":2,"name":"other"}]"#.into(),
            "vips/" => format!(r#"[{{"ip":"{ip}","vippool":"main"}},{{"ip":"10.9.9.9","vippool":"other"}}]"#),
            _ => return answer(404, r#"{"detail":"Not found."}"#),
        };
        answer(200, &body)
    }
}

fn client(config: &ClientConfig) -> VastClient {
    VastClient::new(config, &environment().0).unwrap()
}

async fn start() -> (Arc<Vms>, Server, VastClient) {
    let vms: Arc<Vms> = Arc::default();
    let server = vms.start().await;
    let client = client(&config(Some(&server), &[]));
    (vms, server, client)
}

fn targets(server: &Server) -> Vec<String> {
    server.received().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
}

#[tokio::test]
async fn the_first_call_logs_in_and_an_lsu_has_its_capacity() {
    let (_, server, client) = start().await;
    assert_eq!(server.count(), 0, "making a client sends nothing");
    let lsu = client.lsu("lsu1").await.unwrap();
    assert_eq!(
        (lsu.capacity_bytes, lsu.used_bytes, lsu.free_bytes, lsu.physical_used_bytes),
        (100, 40, 60, 3)
    );
    assert_eq!(lsu.capacity_source, CapacitySource::Quota("/b".into()));
    assert_eq!(
        targets(&server),
        [
            "POST /api/token/",
            "GET /api/v5/views/?bucket=lsu1",
            "GET /api/v5/quotas/",
            "GET /api/v5/clusters/"
        ]
    );
    let login = &server.received()[0];
    let body: serde_json::Value = serde_json::from_slice(&login.body).unwrap();
    assert_eq!(body, serde_json::json!({"username": "admin", "password": PASSWORD}));
    assert_eq!(client.lsus().await.unwrap(), [lsu]);
    assert_eq!(client.cluster().await.unwrap().version, "5.4.1");
    let counters = client.counters();
    assert_eq!((counters.logins, counters.refreshes, counters.connections), (1, 0, 1));
    assert_eq!(counters.requests_of(Operation::Vms), 8);
}

#[tokio::test]
async fn an_unknown_lsu_is_not_found() {
    let (_, _, client) = start().await;
    let error = client.lsu("nope").await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(Thing::Lsu, detail) if detail.what == "LSU nope"), "{error}");
}

#[tokio::test]
async fn many_tasks_cause_one_login_and_one_refresh() {
    let (vms, server, client) = start().await;
    for round in 0..2 {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.lsus().await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().unwrap().len(), 1);
        }
        let counters = client.counters();
        assert_eq!((counters.logins, counters.refreshes), (1, round));
        // Every token that is out now is stale.
        vms.issued.fetch_add(1, Ordering::SeqCst);
    }
    assert_eq!(targets(&server).iter().filter(|target| target.contains("token")).count(), 2);
}

#[tokio::test]
async fn a_refresh_replaces_both_tokens() {
    let (vms, server, client) = start().await;
    for _ in 0..3 {
        client.cluster().await.unwrap();
        vms.expire.store(true, Ordering::SeqCst);
    }
    let refreshed: Vec<Bytes> =
        server.received().into_iter().filter(|r| r.target == "/api/token/refresh/").map(|r| r.body).collect();
    assert_eq!(refreshed, [r#"{"refresh":"refresh-1"}"#, r#"{"refresh":"refresh-2"}"#]);
    assert_eq!((client.counters().logins, client.counters().refreshes), (1, 2));
}

#[tokio::test]
async fn a_refused_refresh_leads_to_a_new_login() {
    let (vms, server, client) = start().await;
    client.cluster().await.unwrap();
    vms.expire.store(true, Ordering::SeqCst);
    vms.refuse_refresh.store(true, Ordering::SeqCst);
    client.cluster().await.unwrap();
    assert_eq!(
        targets(&server)[2..],
        ["GET /api/v5/clusters/", "POST /api/token/refresh/", "POST /api/token/", "GET /api/v5/clusters/"]
    );
}

#[tokio::test]
async fn tokens_that_are_never_taken_do_not_loop() {
    let (vms, server, client) = start().await;
    vms.refuse_all.store(true, Ordering::SeqCst);
    let error = client.cluster().await.unwrap_err();
    assert!(matches!(&error, Error::Auth(_)), "{error}");
    assert_eq!(targets(&server).iter().filter(|target| target.starts_with("GET")).count(), 3);
}

#[tokio::test]
async fn a_missing_right_is_reported_at_once() {
    let (tls, _) = certificate();
    let server = Server::start_tls(tls, |request| match request.path() {
        "/api/token/" => answer(200, r#"{"access":"a","refresh":"r"}"#),
        _ => answer(403, r#"{"detail":"You do not have permission","code":"permission_denied"}"#),
    })
    .await;
    let error = client(&config(Some(&server), &[])).cluster().await.unwrap_err();
    assert!(matches!(&error, Error::Denied(detail) if detail.advice.contains("role")), "{error}");
    assert_eq!(server.count(), 2, "no new token was asked for");
}

#[tokio::test]
async fn a_wrong_password_is_told_without_telling_it() {
    let (tls, _) = certificate();
    let server = Server::start_tls(tls, |_| {
        answer(401, &format!(r#"{{"detail":"No active account found with {PASSWORD}"}}"#))
    })
    .await;
    let client = client(&config(Some(&server), &[]));
    let error = client.check().await.unwrap_err();
    assert!(matches!(&error, Error::Auth(detail) if detail.status == Some(401)), "{error}");
    let shown = format!("{error} {error:?} {client:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_body_that_echoes_the_password_is_redacted() {
    let (tls, _) = certificate();
    let server = Server::start_tls(tls, |request| match request.path() {
        "/api/token/" => answer(200, r#"{"access":"t0ken","refresh":"r"}"#),
        _ => answer(400, &format!("bad request by {PASSWORD} with t0ken")),
    })
    .await;
    let error = client(&config(Some(&server), &[])).cluster().await.unwrap_err();
    let Error::Protocol(detail) = &error else { panic!("{error}") };
    assert_eq!(detail.why, "VMS answered bad request by *** with ***");
    assert_eq!(detail.what, "GET /api/v5/clusters/");
}

#[tokio::test]
async fn pages_are_followed_on_the_same_server_and_the_prefix_falls_back() {
    let (tls, _) = certificate();
    let server = Server::start_tls(tls, |request| match request.target.as_str() {
        "/api/token/" => answer(200, r#"{"access":"a","refresh":"r"}"#),
        "/api/latest/views/" => answer(
            200,
            r#"{"count":2,"previous":null,"next":"https://elsewhere.example/api/latest/views/?page=2",
                "results":[{"path":"/b","bucket":"b","protocols":["S3"]}]}"#,
        ),
        "/api/latest/views/?page=2" => answer(
            200,
            r#"{"count":2,"next":null,"results":[{"path":"/a","bucket":"a","protocols":["S3"]}]}"#,
        ),
        "/api/latest/quotas/" | "/api/latest/clusters/" => answer(200, "[]"),
        _ => answer(404, "{}"),
    })
    .await;
    let client = client(&config(Some(&server), &[]));
    let names: Vec<String> = client.lsus().await.unwrap().into_iter().map(|lsu| lsu.name).collect();
    assert_eq!(names, ["a", "b"]);
    client.lsus().await.unwrap();
    let missed = targets(&server).iter().filter(|target| target.contains("/v5/")).count();
    assert_eq!(missed, 1, "the prefix that works is remembered");
}

#[tokio::test]
async fn reads_are_repeated_when_the_connection_breaks_or_vms_is_busy() {
    let (tls, _) = certificate();
    let calls = AtomicUsize::new(0);
    let server = Server::start_tls(tls, move |request| match request.path() {
        "/api/token/" => answer(200, r#"{"access":"a","refresh":"r"}"#),
        _ => match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Step::Reset,
            1 => answer(503, "busy"),
            2 => Step::Truncated { announced: 100, response: response(200, &[], b"[{") },
            _ => answer(200, r#"[{"name":"c1","sw_version":"5.4.0"}]"#),
        },
    })
    .await;
    let client = client(&config(Some(&server), &[]));
    assert_eq!(client.cluster().await.unwrap().name, "c1");
    assert!(client.counters().retries >= 3);
}

#[tokio::test]
async fn a_vms_that_is_down_silent_or_no_vms_is_told_as_such() {
    let error = client(&config(None, &[])).check().await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable(detail) if detail.what == "POST /api/token/"), "{error}");

    let (tls, _) = certificate();
    let silent = Server::start_tls(tls, |_| Step::Silent).await;
    let mut patience = config(Some(&silent), &[]);
    patience.timeouts.total = Duration::from_millis(400);
    let error = client(&patience).check().await.unwrap_err();
    assert!(matches!(&error, Error::Timeout(_)), "{error}");

    let (tls, _) = certificate();
    let other = Server::start_tls(tls, |_| answer(200, "<html>welcome</html>")).await;
    let error = client(&config(Some(&other), &[])).check().await.unwrap_err();
    assert!(matches!(&error, Error::Protocol(detail) if detail.advice.contains("VMS")), "{error}");

    let plain = Server::start(|_| answer(200, "x")).await;
    let error = client(&config(Some(&plain), &[])).check().await.unwrap_err();
    assert!(matches!(&error, Error::Tls(_)), "{error}");
}

#[tokio::test]
async fn the_certificate_is_verified_unless_told_otherwise_and_that_is_logged() {
    let (tls, pem) = certificate();
    let server = Server::start_tls(tls, |_| answer(200, r#"{"access":"a","refresh":"r"}"#)).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let mut config = config(Some(&server), &[]);

    let (environment, lines) = environment();
    VastClient::new(&config, &environment).unwrap().check().await.unwrap();
    assert!(lines.has(Severity::Warning, "not verified"), "{}", lines.all());

    config.vms.tls = TlsConfig { ca_files: vec![ca], ..TlsConfig::default() };
    let (environment, lines) = common::environment();
    VastClient::new(&config, &environment).unwrap().check().await.unwrap();
    assert!(!lines.has(Severity::Warning, ""), "{}", lines.all());

    config.vms.tls.server_name = Some("vms.example".into());
    let error = client(&config).check().await.unwrap_err();
    assert!(matches!(&error, Error::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_tenants_manager_says_so_on_every_call() {
    let (_, server, _) = start().await;
    let mut config = config(Some(&server), &[]);
    config.vms.tenant = Some("backup".into());
    client(&config).cluster().await.unwrap();
    assert!(server.received().iter().all(|request| request.header("x-tenant-name") == "backup"));
}

/// A client whose VIPs come from the pool `main`, which leads to `s3`.
async fn pooled(s3: &Server, pool: &str) -> (Arc<Vms>, Server, ClientConfig) {
    let vms: Arc<Vms> = Arc::default();
    *vms.vip.lock().unwrap() = s3.address.ip().to_string();
    let server = vms.start().await;
    let mut config = config(Some(&server), &[]);
    config.s3.endpoints.clear();
    config.s3.vip_pool = Some(pool.into());
    config.s3.port = Some(s3.address.port());
    (vms, server, config)
}

async fn put(client: &VastClient) -> Result<(), Error> {
    client.bucket("lsu1").put_object("k", vec![], 0, &Condition::None, None).await.map(|_| ())
}

#[tokio::test]
async fn vips_come_from_the_pool_and_outlive_vms() {
    let s3 = Server::start(|_| stored()).await;
    let (vms, server, mut config) = pooled(&s3, "main").await;
    config.limits.vip_list_age_max = Duration::ZERO;
    let client = client(&config);
    client.check().await.unwrap();
    assert_eq!(client.vips().iter().map(|vip| vip.address).collect::<Vec<_>>(), [s3.address]);
    assert!(
        targets(&server).contains(&"GET /api/v5/vips/?vippool__name=main".to_owned()),
        "{:?}",
        targets(&server)
    );
    vms.down.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        put(&client).await.unwrap();
    }
    assert_eq!(s3.count(), 5);
}

#[tokio::test]
async fn the_list_is_read_again_when_every_vip_fails() {
    let s3 = Server::start(|_| stored()).await;
    let (vms, server, mut config) = pooled(&s3, "main").await;
    // Nothing listens there: the VIP that VMS names at first refuses connections.
    *vms.vip.lock().unwrap() = "127.0.0.77".into();
    config.retry.eject = Duration::from_millis(50);
    config.retry.backoff = Duration::from_millis(40);
    config.retry.backoff_max = Duration::from_millis(40);
    let client = client(&config);
    client.check().await.unwrap();
    *vms.vip.lock().unwrap() = s3.address.ip().to_string();
    put(&client).await.unwrap();
    assert_eq!(client.vips().iter().map(|vip| vip.address).collect::<Vec<_>>(), [s3.address]);
    let readings = targets(&server).iter().filter(|target| target.contains("/vips/")).count();
    assert_eq!(readings, 2, "not once per failure");
}

#[tokio::test]
async fn an_unknown_pool_is_not_found_and_endpoints_stand_in_for_vms() {
    let s3 = Server::start(|_| stored()).await;
    let (vms, _server, mut config) = pooled(&s3, "nope").await;
    let error = client(&config).check().await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(Thing::VipPool, _)), "{error}");

    config.s3.vip_pool = Some("main".into());
    config.s3.endpoints = vec![s3.endpoint()];
    vms.down.store(true, Ordering::SeqCst);
    let (environment, lines) = environment();
    let client = VastClient::new(&config, &environment).unwrap();
    put(&client).await.unwrap();
    assert!(lines.has(Severity::Warning, "using the configured S3 endpoints"), "{}", lines.all());
}
