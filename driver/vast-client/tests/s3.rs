//! The data path against scripted servers: what is sent, what is retried and where, and what an error says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is wrong")]

mod common;

use std::net::TcpListener;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::{
    Server, Step, answer, certificate, config, crc, environment, response, s3_error, s3_error_response,
    stored,
};
use vast_client::{
    ClientConfig, Condition, Delivery, Error, Operation, S3Bucket, Scheme, Severity, Thing, TlsConfig,
    VastClient,
};

fn client(config: &ClientConfig) -> VastClient {
    VastClient::new(config, &environment().0).unwrap()
}

fn bucket(servers: &[&Server]) -> (VastClient, S3Bucket) {
    let client = client(&config(None, servers));
    let bucket = client.bucket("lsu1");
    (client, bucket)
}

async fn put(bucket: &S3Bucket, data: &'static [u8]) -> Result<String, Error> {
    let put = bucket.put_object("k", vec![Bytes::from_static(data)], crc(data), &Condition::None, None).await;
    put.map(|output| output.etag)
}

fn object(data: &[u8]) -> Step {
    Step::Answer(response(200, &[("etag", "\"e1\"")], data))
}

#[tokio::test]
async fn a_put_is_signed_and_carries_its_checksum() {
    let server = Server::script(vec![stored()]).await;
    let (client, bucket) = bucket(&[&server]);
    let parts = vec![Bytes::from_static(b"hello "), Bytes::new(), Bytes::from_static(b"world")];
    let output =
        bucket.put_object("a b/%2F", parts, crc(b"hello world"), &Condition::Absent, None).await.unwrap();
    assert_eq!(output.etag, "\"e1\"");
    assert!(output.server_time.is_some());

    let request = &server.received()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/lsu1/a%20b/%252F"));
    assert_eq!(request.body, "hello world");
    assert_eq!(request.header("content-length"), "11");
    assert_eq!(request.header("if-none-match"), "*");
    assert_eq!(request.header("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_eq!(request.header("x-amz-checksum-crc32c"), "yZRlqg==");
    assert_eq!(request.header("host"), server.address.to_string());
    let authorization = request.header("authorization");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKTEST/"), "{authorization}");
    assert!(authorization.contains("/us-east-1/s3/aws4_request"), "{authorization}");

    let counters = client.counters();
    assert_eq!(counters.requests_of(Operation::PutObject), 1);
    assert_eq!((counters.bytes_up, counters.retries, counters.connections), (11, 0, 1));
}

#[tokio::test]
async fn requests_go_to_every_vip_in_turn_over_kept_connections() {
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(Server::start(|_| stored()).await);
    }
    let (client, bucket) = bucket(&servers.iter().collect::<Vec<_>>());
    for _ in 0..12 {
        put(&bucket, b"x").await.unwrap();
    }
    assert_eq!(servers.iter().map(Server::count).collect::<Vec<_>>(), [3, 3, 3, 3]);
    assert_eq!(client.counters().connections, 4);
    assert!(client.vips().iter().all(|vip| vip.requests == 3 && vip.idle == 1 && vip.in_flight == 0));
}

#[tokio::test]
async fn a_vip_that_refuses_connections_is_left_alone() {
    let server = Server::start(|_| stored()).await;
    // Bound and not listened on: nobody else gets the port, and connecting to it is refused.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = taken.local_addr().unwrap();
    drop(taken);
    let (environment, lines) = environment();
    let mut config = config(None, &[&server]);
    config.s3.endpoints.insert(0, dead.to_string().parse().unwrap());
    let client = VastClient::new(&config, &environment).unwrap();
    let bucket = client.bucket("lsu1");
    for _ in 0..6 {
        put(&bucket, b"x").await.unwrap();
    }
    assert_eq!(server.count(), 6);
    let vips = client.vips();
    assert!(vips[0].ejected && vips[0].failures == 1, "{vips:?}");
    assert!(lines.has(Severity::Warning, &format!("VIP {dead} is left alone")), "{}", lines.all());
}

#[tokio::test]
async fn a_silent_vip_is_left_for_another() {
    let silent = Server::start(|_| Step::Silent).await;
    let server = Server::start(|_| stored()).await;
    let (client, bucket) = bucket(&[&silent, &server]);
    put(&bucket, b"x").await.unwrap();
    put(&bucket, b"x").await.unwrap();
    assert_eq!((silent.count(), server.count()), (1, 2));
    assert!(client.vips()[0].ejected);
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_on_silent_servers() {
    let silent = Server::start(|_| Step::Silent).await;
    let mut config = config(None, &[&silent]);
    config.timeouts.total = Duration::from_millis(500);
    let bucket = client(&config).bucket("lsu1");
    let started = Instant::now();
    let error = put(&bucket, b"x").await.unwrap_err();
    let elapsed = started.elapsed();
    let Error::Timeout(detail) = error else { panic!("{error}") };
    assert_eq!(detail.delivery, Delivery::Unknown);
    assert!(elapsed >= Duration::from_millis(500) && elapsed < Duration::from_secs(10), "{elapsed:?}");
}

#[tokio::test]
async fn a_truncated_body_is_fetched_again() {
    let cut = Step::Truncated { announced: 10, response: response(200, &[("etag", "\"e1\"")], b"0123") };
    let server = Server::script(vec![cut, object(b"0123456789")]).await;
    let (client, bucket) = bucket(&[&server]);
    let got = bucket.get_object("k", None).await.unwrap();
    assert_eq!((got.data.as_ref(), got.info.size), (&b"0123456789"[..], 10));
    assert_eq!(client.counters().retries, 1);
}

#[tokio::test]
async fn a_truncated_body_is_never_data() {
    let cut = || Step::Truncated { announced: 10, response: response(200, &[("etag", "\"e1\"")], b"0123") };
    let server = Server::start(move |_| cut()).await;
    let (_, bucket) = bucket(&[&server]);
    let error = bucket.get_object("k", None).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable(detail) if detail.attempts == 8), "{error}");
}

fn partial(range: &str, data: &[u8]) -> Step {
    Step::Answer(response(206, &[("etag", "\"e1\""), ("content-range", range)], data))
}

#[tokio::test]
async fn a_wrong_range_is_fetched_elsewhere() {
    let wrong = Server::start(|_| partial("bytes 0-3/10", b"0123")).await;
    let right = Server::start(|_| partial("bytes 2-5/10", b"2345")).await;
    let (_, bucket) = bucket(&[&wrong, &right]);
    let got = bucket.get_object("k", Some(2..6)).await.unwrap();
    assert_eq!((got.data.as_ref(), got.info.size), (&b"2345"[..], 10));
    assert_eq!((wrong.count(), right.count()), (1, 1));
    assert_eq!(right.received()[0].header("range"), "bytes=2-5");
}

#[tokio::test]
async fn a_range_that_is_always_wrong_is_a_protocol_error() {
    let server = Server::start(|_| partial("bytes 2-4/10", b"234")).await;
    let (_, bucket) = bucket(&[&server]);
    let error = bucket.get_object("k", Some(2..6)).await.unwrap_err();
    assert!(matches!(&error, Error::Protocol(detail) if detail.why.contains("Content-Range")), "{error}");
}

#[tokio::test]
async fn a_range_past_the_end_and_an_empty_one_have_their_own_errors() {
    let server = Server::script(vec![s3_error(416, "InvalidRange")]).await;
    let (_, bucket) = bucket(&[&server]);
    assert!(matches!(bucket.get_object("k", Some(20..30)).await, Err(Error::Range(_))));
    assert!(matches!(bucket.get_object("k", Some(5..5)).await, Err(Error::Config(_))));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_reset_in_mid_upload_is_retried_with_the_same_bytes() {
    let rude = Server::start(|_| Step::Reset).await;
    let server = Server::start(|_| stored()).await;
    let (_, bucket) = bucket(&[&rude, &server]);
    let part = Bytes::from(vec![0x5a_u8; 4 << 20]);
    bucket.put_object("k", vec![part.clone(), part.clone()], 0, &Condition::None, None).await.unwrap();
    assert_eq!((rude.count(), server.count()), (1, 1));
    let body = &server.received()[0].body;
    assert!(body.len() == 8 << 20 && body.iter().all(|&byte| byte == 0x5a));
}

#[tokio::test]
async fn resets_without_end_leave_the_outcome_unknown() {
    let rude = Server::start(|_| Step::Reset).await;
    let (_, bucket) = bucket(&[&rude]);
    let error = put(&bucket, b"x").await.unwrap_err();
    let Error::Unreachable(detail) = &error else { panic!("{error}") };
    assert_eq!((detail.delivery, detail.attempts), (Delivery::Unknown, 8));
    assert_eq!(rude.count(), 8);
}

#[tokio::test]
async fn an_early_refusal_of_a_large_body_ends_in_success_once_the_server_takes_it() {
    let server = Server::script(vec![
        Step::Early(s3_error_response(503, "SlowDown")),
        Step::Early(s3_error_response(503, "SlowDown")),
        stored(),
    ])
    .await;
    let (_, bucket) = bucket(&[&server]);
    let part = Bytes::from(vec![1_u8; 16 << 20]);
    bucket.put_object("k", vec![part], 0, &Condition::None, None).await.unwrap();
    assert_eq!(server.received()[2].body.len(), 16 << 20);
}

#[tokio::test]
async fn slow_down_is_retried_and_then_reported() {
    let server = Server::script(vec![s3_error(503, "SlowDown"), s3_error(503, "SlowDown"), stored()]).await;
    let (client, bucket) = bucket(&[&server]);
    put(&bucket, b"x").await.unwrap();
    assert_eq!(client.counters().retries, 2);

    let server = Server::start(|_| s3_error(503, "SlowDown")).await;
    let (_, bucket) = self::bucket(&[&server]);
    let error = put(&bucket, b"x").await.unwrap_err();
    let Error::Unreachable(detail) = &error else { panic!("{error}") };
    assert_eq!(
        (detail.status, detail.code.as_deref(), detail.request_id.as_deref()),
        (Some(503), Some("SlowDown"), Some("r1"))
    );
    assert_eq!(server.count(), 8);
}

#[tokio::test]
async fn a_precondition_that_fails_is_final() {
    let server = Server::script(vec![s3_error(412, "PreconditionFailed")]).await;
    let (_, bucket) = bucket(&[&server]);
    let error =
        bucket.put_object("k", vec![], 0, &Condition::Matches("\"e0\"".into()), None).await.unwrap_err();
    assert!(matches!(&error, Error::Precondition(detail) if !detail.after_unknown), "{error}");
    assert_eq!(server.received()[0].header("if-match"), "\"e0\"");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_precondition_that_fails_after_a_reset_says_that_it_may_be_our_own_success() {
    let server = Server::script(vec![Step::Reset, s3_error(412, "PreconditionFailed")]).await;
    let (_, bucket) = bucket(&[&server]);
    let error = bucket.put_object("k", vec![], 0, &Condition::Absent, None).await.unwrap_err();
    assert!(matches!(&error, Error::Precondition(detail) if detail.after_unknown), "{error}");
}

#[tokio::test]
async fn the_servers_clock_is_taken_over_once() {
    let skewed = || {
        let mut response = s3_error_response(403, "RequestTimeTooSkewed");
        response.headers_mut().insert("date", "Wed, 21 Oct 2015 07:28:00 GMT".parse().unwrap());
        Step::Answer(response)
    };
    let server = Server::script(vec![skewed(), stored(), stored()]).await;
    let (_, bucket) = bucket(&[&server]);
    put(&bucket, b"x").await.unwrap();
    put(&bucket, b"x").await.unwrap();
    let dates: Vec<String> =
        server.received().iter().map(|r| r.header("x-amz-date")[..13].to_owned()).collect();
    assert!(!dates[0].starts_with("2015"), "{dates:?}");
    assert_eq!(dates[1..], ["20151021T0728", "20151021T0728"]);

    let server = Server::start(move |_| skewed()).await;
    let (_, bucket) = self::bucket(&[&server]);
    let error = put(&bucket, b"x").await.unwrap_err();
    assert!(matches!(&error, Error::Denied(detail) if detail.advice.contains("NTP")), "{error}");
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_full_quota_has_its_own_error_whatever_the_status() {
    for (status, code) in [(403, "QuotaExceeded"), (503, "InsufficientCapacity"), (507, "Whatever")] {
        let server = Server::start(move |_| s3_error(status, code)).await;
        let (_, bucket) = bucket(&[&server]);
        assert!(matches!(put(&bucket, b"x").await, Err(Error::NoSpace(_))), "{status} {code}");
        assert_eq!(server.count(), 1);
    }
    let server = Server::script(vec![s3_error(409, "VastFull")]).await;
    let mut config = config(None, &[&server]);
    config.s3.no_space_codes = vec!["VastFull".into()];
    assert!(matches!(put(&client(&config).bucket("b"), b"x").await, Err(Error::NoSpace(_))));
}

#[tokio::test]
async fn missing_things_and_missing_rights_are_told_apart() {
    let server = Server::script(vec![
        s3_error(404, "NoSuchKey"),
        s3_error(404, "NoSuchBucket"),
        answer(404, ""),
        answer(404, ""),
        answer(404, ""),
        s3_error(403, "InvalidAccessKeyId"),
        s3_error(501, "NotImplemented"),
    ])
    .await;
    let (_, bucket) = bucket(&[&server]);
    assert!(matches!(bucket.get_object("k", None).await, Err(Error::NotFound(Thing::Object, _))));
    assert!(matches!(bucket.get_object("k", None).await, Err(Error::NotFound(Thing::Bucket, _))));
    assert!(matches!(bucket.head_object("k").await, Err(Error::NotFound(Thing::Object, _))));
    assert!(matches!(bucket.head_bucket().await, Err(Error::NotFound(Thing::Bucket, _))));
    assert_eq!(bucket.delete_object("k").await, Ok(()));
    let error = bucket.head_object("k").await.unwrap_err();
    assert!(matches!(&error, Error::Denied(_)) && !error.to_string().contains(common::SECRET_KEY), "{error}");
    assert!(matches!(bucket.head_object("k").await, Err(Error::Unsupported(_))));
    assert_eq!(server.count(), 7);
}

#[tokio::test]
async fn many_objects_are_deleted_in_few_requests() {
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => answer(200, "<DeleteResult/>"),
        _ => answer(204, ""),
    })
    .await;
    let (client, bucket) = bucket(&[&server]);
    let mut keys: Vec<String> = (0..2500).map(|i| format!("k&{i}")).collect();
    keys.push("odd\u{1}key".into());
    bucket.delete_objects(&keys).await.unwrap();
    let counters = client.counters();
    assert_eq!(counters.requests_of(Operation::DeleteObjects), 3);
    assert_eq!(counters.requests_of(Operation::DeleteObject), 1);
    let request = &server.received()[2];
    let body = std::str::from_utf8(&request.body).unwrap();
    assert!(body.contains("<Key>k&amp;2499</Key>") && !body.contains("k&amp;1999"));
    assert!(!request.header("x-amz-checksum-crc32c").is_empty());
}

#[tokio::test]
async fn keys_that_are_not_deleted_are_tried_alone_or_reported() {
    let busy = "<DeleteResult><Error><Key>a</Key><Code>InternalError</Code></Error></DeleteResult>";
    let denied = "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
    let server = Server::script(vec![answer(200, busy), answer(204, ""), answer(200, denied)]).await;
    let (_, bucket) = bucket(&[&server]);
    let keys = ["a".to_owned(), "b".to_owned()];
    assert_eq!(bucket.delete_objects(&keys).await, Ok(()));
    let error = bucket.delete_objects(&keys).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(detail) if detail.what == "DELETE lsu1/b"), "{error}");
}

#[tokio::test]
async fn a_listing_goes_on_where_the_page_ended() {
    let page = |key: &str, more: &str| {
        answer(
            200,
            &format!(
                "<ListBucketResult>{more}<Contents><Key>{key}</Key><Size>1</Size></Contents></ListBucketResult>"
            ),
        )
    };
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t+1</NextContinuationToken>";
    let server =
        Server::script(vec![page("p/1", more), page("p/2", "<IsTruncated>false</IsTruncated>")]).await;
    let (_, bucket) = bucket(&[&server]);
    let first = bucket.list_objects("p/", None).await.unwrap();
    assert_eq!((first.objects[0].key.as_str(), first.next.as_deref()), ("p/1", Some("t+1")));
    let second = bucket.list_objects("p/", first.next.as_deref()).await.unwrap();
    assert_eq!((second.objects[0].key.as_str(), second.next), ("p/2", None));
    assert_eq!(server.received()[1].target, "/lsu1?list-type=2&prefix=p%2F&continuation-token=t%2B1");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closes_does_not_cost_an_attempt() {
    let server =
        Server::start(|request| if request.on_connection == 0 { stored() } else { Step::Reset }).await;
    let mut config = config(None, &[&server]);
    config.retry.attempts = 1;
    let client = client(&config);
    for _ in 0..3 {
        put(&client.bucket("lsu1"), b"x").await.unwrap();
    }
    assert_eq!(client.counters().connections, 3);
    assert!(!client.vips()[0].ejected);
}

#[tokio::test]
async fn an_object_larger_than_the_limit_is_refused_before_it_is_read() {
    let server = Server::start(|_| object(&[0; 2048])).await;
    let mut config = config(None, &[&server]);
    config.limits.object_bytes_max = 1024;
    let bucket = client(&config).bucket("lsu1");
    let error = bucket.get_object("k", None).await.unwrap_err();
    assert!(matches!(&error, Error::Protocol(detail) if detail.why.contains("1024")), "{error}");
    assert!(matches!(bucket.get_object("k", Some(0..1025)).await, Err(Error::Config(_))));
}

#[tokio::test]
async fn https_is_verified_by_name_and_authority() {
    let (tls, pem) = certificate();
    let server = Server::start_tls(tls, |_| stored()).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let mut config = config(None, &[]);
    config.s3.scheme = Scheme::Https;
    config.s3.endpoints = vec![format!("localhost:{}", server.address.port()).parse().unwrap()];
    config.s3.tls = TlsConfig { ca_files: vec![ca.clone()], ..TlsConfig::default() };
    let good = client(&config);
    put(&good.bucket("lsu1"), b"x").await.unwrap();
    assert_eq!(server.received()[0].header("host"), format!("localhost:{}", server.address.port()));

    config.s3.tls.server_name = Some("vast.example".into());
    let error = put(&client(&config).bucket("lsu1"), b"x").await.unwrap_err();
    assert!(matches!(&error, Error::Tls(detail) if detail.delivery == Delivery::NotSent), "{error}");

    let (_, other) = certificate();
    std::fs::write(&ca, other).unwrap();
    config.s3.tls.server_name = None;
    let error = put(&client(&config).bucket("lsu1"), b"x").await.unwrap_err();
    assert!(matches!(&error, Error::Tls(detail) if detail.advice.contains("CA file")), "{error}");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn many_tasks_share_the_vips_and_the_connections() {
    let servers = [Server::start(|_| stored()).await, Server::start(|_| stored()).await];
    let (client, bucket) = bucket(&[&servers[0], &servers[1]]);
    let order: Mutex<Vec<usize>> = Mutex::default();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let bucket = bucket.clone();
            tokio::spawn(async move { put(&bucket, b"x").await })
        })
        .collect();
    for (index, task) in tasks.into_iter().enumerate() {
        task.await.unwrap().unwrap();
        order.lock().unwrap().push(index);
    }
    assert_eq!(servers.iter().map(Server::count).sum::<usize>(), 32);
    assert_eq!(servers[0].count(), 16, "the load is even");
    let vips = client.vips();
    assert!(vips.iter().all(|vip| vip.in_flight == 0 && vip.idle <= 8), "{vips:?}");
}
