//! The crate starts no thread: names are resolved, TLS spoken, tokens renewed and requests retried on the one
//! thread that drives the runtime. A binary of its own, so that no other test's threads are counted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is wrong")]

mod common;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{Server, Step, answer, certificate, config, crc, stored};
use vast_client::{
    BoxFuture, Condition, Environment, Log, Resolver, Scheme, Severity, SystemResolver, TlsConfig, VastClient,
};

/// The threads of this process.
fn threads() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/proc/self/task").unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Looks at the threads whenever the client logs or resolves.
#[derive(Default)]
struct Watch {
    seen: Mutex<BTreeSet<String>>,
    looks: AtomicUsize,
}

impl Watch {
    fn look(&self) {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().unwrap().extend(threads());
    }
}

impl Log for Watch {
    fn log(&self, _: Severity, _: fmt::Arguments<'_>) {
        self.look();
    }
}

struct WatchedResolver(Arc<Watch>);

impl Resolver for WatchedResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let outcome = SystemResolver.resolve(host).await;
            self.0.look();
            outcome
        })
    }
}

#[test]
fn a_whole_session_runs_on_the_callers_thread() {
    let before = threads();
    let watch: Arc<Watch> = Arc::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(session(&watch));
    watch.look();
    assert!(watch.looks.load(Ordering::SeqCst) >= 6, "the watch has looked");
    assert_eq!(*watch.seen.lock().unwrap(), before);
}

async fn session(watch: &Arc<Watch>) {
    let (tls, _) = certificate();
    let calls = AtomicUsize::new(0);
    let vms = Server::start_tls(tls.clone(), move |request| match request.path() {
        "/api/token/" | "/api/token/refresh/" => answer(200, r#"{"access":"a","refresh":"r"}"#),
        _ if calls.fetch_add(1, Ordering::SeqCst) == 1 => answer(403, "Token is invalid or expired"),
        _ => answer(200, "[]"),
    })
    .await;
    let puts = AtomicUsize::new(0);
    let s3 = Server::start_tls(tls, move |_| match puts.fetch_add(1, Ordering::SeqCst) {
        1 => Step::Reset,
        2 => common::s3_error(503, "SlowDown"),
        _ => stored(),
    })
    .await;

    let mut config = config(Some(&vms), &[]);
    config.vms.endpoint = format!("localhost:{}", vms.address.port()).parse().unwrap();
    config.s3.scheme = Scheme::Https;
    config.s3.endpoints = vec![format!("localhost:{}", s3.address.port()).parse().unwrap()];
    config.s3.tls = TlsConfig { insecure_skip_verify: true, ..TlsConfig::default() };
    let mut environment = Environment::system().with_log(Arc::clone(watch) as Arc<dyn Log>);
    environment.resolver = Arc::new(WatchedResolver(Arc::clone(watch)));

    let client = VastClient::new(&config, &environment).unwrap();
    client.check().await.unwrap();
    for _ in 0..2 {
        client.lsus().await.unwrap();
    }
    let data = Bytes::from(vec![3_u8; 1 << 20]);
    for _ in 0..4 {
        let sum = crc(&data);
        client.bucket("lsu1").put_object("k", vec![data.clone()], sum, &Condition::None, None).await.unwrap();
    }
    let counters = client.counters();
    assert_eq!((counters.logins, counters.refreshes), (1, 1));
    assert!(counters.retries >= 2, "{counters:?}");
}
