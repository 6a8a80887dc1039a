//! Objects over S3: what goes in comes out, under every condition that S3 knows.

use crate::client::{S3, pattern, start};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::Digest as _;
use vast_sim::{Config, EtagMode};

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_in_comes_out_on_every_vip_plain_and_tls() {
    let (cluster, _, s3) = start().await;
    let data = pattern(1, 3_000_000);
    let put = s3.send(
        "PUT",
        "/data/dir/one%20two.bin",
        &[("x-amz-meta-job", "42"), ("content-type", "a/b")],
        data.clone(),
    );
    let put = put.await.ok();
    let md5 = md5::Md5::digest(&data);
    let hex = md5.iter().fold(String::new(), |hex, b| format!("{hex}{b:02x}"));
    assert_eq!(put.header("etag"), format!("\"{hex}\""));
    let secure = S3 { ca_pem: Some(cluster.ca_pem().to_owned()), ..s3.clone() };
    for url in cluster.s3_urls().iter().chain(&cluster.s3_tls_urls()) {
        let got = secure.on(url).get("/data/dir/one%20two.bin").await.ok();
        assert_eq!(got.body, data, "{url}");
        assert_eq!((got.header("x-amz-meta-job"), got.header("content-type")), ("42", "a/b"));
    }
    let head = s3.head("/data/dir/one%20two.bin").await.ok();
    assert_eq!((head.header("content-length"), head.header("etag")), ("3000000", put.header("etag")));
    assert!(head.body.is_empty());
    s3.delete("/data/dir/one%20two.bin").await.ok();
    let refusal = s3.get("/data/dir/one%20two.bin").await.is(404, "NoSuchKey").body.len() as u64;
    s3.delete("/data/dir/one%20two.bin").await.ok();
    let counters = cluster.counters();
    assert_eq!(counters.operation("GetObject").requests, 9);
    assert!(counters.vips.values().all(|v| v.operations["GetObject"].requests >= 2));
    assert_eq!(counters.operation("GetObject").bytes_out, 8 * 3_000_000 + refusal);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges() {
    let (cluster, _, s3) = start().await;
    let data = pattern(2, 700_000);
    s3.put("/data/k", data.clone()).await.ok();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=65535-65537", 65_535, 65_538),
        ("bytes=699999-", 699_999, 700_000),
        ("bytes=-5", 699_995, 700_000),
        ("bytes=-9999999", 0, 700_000),
        ("bytes=100-9999999", 100, 700_000),
    ] {
        let got = s3.send("GET", "/data/k", &[("range", range)], Bytes::new()).await.ok();
        assert_eq!(got.status, 206, "{range}");
        assert_eq!(got.body, data.slice(from..to), "{range}");
        assert_eq!(got.header("content-range"), format!("bytes {from}-{}/700000", to - 1));
        let head = s3.send("HEAD", "/data/k", &[("range", range)], Bytes::new()).await;
        assert_eq!((head.status.as_u16(), head.header("content-range")), (206, got.header("content-range")));
        assert_eq!(head.header("content-length"), (to - from).to_string());
    }
    // A range that is meant for another state of the object gets the whole.
    let head = s3.head("/data/k").await;
    for (condition, status) in [
        (head.header("etag"), 206),
        (head.header("last-modified"), 206),
        ("\"other\"", 200),
        ("W/\"x\"", 200),
    ] {
        let headers = [("range", "bytes=0-1"), ("if-range", condition)];
        let got = s3.send("GET", "/data/k", &headers, Bytes::new()).await.ok();
        assert_eq!(got.status, status, "{condition}");
    }
    s3.put("/data/empty", "").await.ok();
    for range in ["bytes=0-0", "bytes=-1"] {
        s3.send("GET", "/data/empty", &[("range", range)], Bytes::new()).await.is(416, "InvalidRange");
    }
    // An object that was written in one go is its own first part.
    for method in ["GET", "HEAD"] {
        let part = s3.send(method, "/data/k?partNumber=1", &[], Bytes::new()).await;
        assert_eq!((part.status.as_u16(), part.header("content-range")), (206, "bytes 0-699999/700000"));
        assert_eq!(part.header("x-amz-mp-parts-count"), "");
    }
    let bad =
        s3.send("GET", "/data/k", &[("range", "bytes=700000-")], Bytes::new()).await.is(416, "InvalidRange");
    assert_eq!(bad.header("content-range"), "bytes */700000");
    for odd in ["bytes=0-1,5-6", "bytes=5-2", "bytes=", "lines=1-2"] {
        let whole = s3.send("GET", "/data/k", &[("range", odd)], Bytes::new()).await.ok();
        assert_eq!((whole.status.as_u16(), whole.body.len()), (200, data.len()), "{odd}");
    }
    let mut stranger = s3.clone();
    stranger.keys.secret_key = "wrong".to_owned();
    let odd = [("range", "bytes=0-1,5-6")];
    stranger.send("GET", "/data/k", &odd, Bytes::new()).await.is(403, "SignatureDoesNotMatch");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditional_writes_and_reads() {
    let (cluster, _, s3) = start().await;
    let send = |method: &'static str, header: (&'static str, String), body: &'static str| {
        let s3 = s3.clone();
        async move { s3.send(method, "/data/k", &[(header.0, &header.1)], body).await }
    };
    send("PUT", ("if-match", "\"x\"".to_owned()), "no").await.is(404, "NoSuchKey");
    let first = send("PUT", ("if-none-match", "*".to_owned()), "one").await.ok();
    send("PUT", ("if-none-match", "*".to_owned()), "two").await.is(412, "PreconditionFailed");
    assert_eq!(s3.get("/data/k").await.body, "one");
    let etag = first.header("etag").to_owned();
    let second = send("PUT", ("if-match", etag.clone()), "three").await.ok();
    send("PUT", ("if-match", etag.clone()), "four").await.is(412, "PreconditionFailed");
    assert_eq!(s3.get("/data/k").await.body, "three");
    let etag = second.header("etag").to_owned();
    assert_eq!(send("GET", ("if-none-match", etag.clone()), "").await.status, 304);
    send("GET", ("if-match", "\"other\"".to_owned()), "").await.is(412, "PreconditionFailed");
    assert_eq!(send("GET", ("if-match", etag), "").await.ok().body, "three");
    let future = "Fri, 01 Jan 2100 00:00:00 GMT".to_owned();
    let past = "Fri, 01 Jan 1999 00:00:00 GMT".to_owned();
    assert_eq!(send("GET", ("if-modified-since", future.clone()), "").await.status, 304);
    assert_eq!(send("GET", ("if-modified-since", past.clone()), "").await.status, 200);
    send("GET", ("if-unmodified-since", past), "").await.is(412, "PreconditionFailed");
    assert_eq!(send("GET", ("if-unmodified-since", future), "").await.status, 200);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_many_writers_creates() {
    let (cluster, _, s3) = start().await;
    let writers = (0..16).map(|n| {
        let s3 = s3.on(&cluster.s3_urls()[n % 4]);
        tokio::spawn(async move {
            s3.send("PUT", "/data/lock", &[("if-none-match", "*")], format!("{n}")).await.status
        })
    });
    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap().as_u16() {
            200 => won += 1,
            412 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
    cluster.stop().await;
}

/// Published check values of "123456789", and one that is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn declared_checksums_are_compared() {
    let (cluster, _, s3) = start().await;
    let body = "123456789";
    let crc = |hex: u32| STANDARD.encode(hex.to_be_bytes());
    let wrong = crc(1);
    for (name, right) in [
        ("content-md5", STANDARD.encode(md5::Md5::digest(body))),
        ("x-amz-checksum-crc32", crc(0xcbf4_3926)),
        ("x-amz-checksum-crc32c", crc(0xe306_9283)),
        ("x-amz-checksum-crc64nvme", STANDARD.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes())),
        ("x-amz-checksum-sha1", STANDARD.encode(sha1::Sha1::digest(body))),
        ("x-amz-checksum-sha256", STANDARD.encode(sha2::Sha256::digest(body))),
    ] {
        let path = format!("/data/{name}");
        s3.send("PUT", &path, &[(name, &right)], body).await.ok();
        let head = s3.send("HEAD", &path, &[("x-amz-checksum-mode", "ENABLED")], "").await.ok();
        if name != "content-md5" {
            assert_eq!(head.header(name), right);
        }
        let bad = if name == "content-md5" { STANDARD.encode(md5::Md5::digest("x")) } else { wrong.clone() };
        s3.send("PUT", &format!("{path}-bad"), &[(name, &bad)], body).await.is(400, "BadDigest");
    }
    let state = cluster.raw_state();
    assert!(state.bucket("data").unwrap().objects.iter().all(|o| !o.key.ends_with("-bad")), "{state:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_checked() {
    let (cluster, provisioned, s3) = start().await;
    s3.put("/data/k", "x").await.ok();
    let mut wrong = s3.clone();
    wrong.keys.secret_key.push('x');
    wrong.get("/data/k").await.is(403, "SignatureDoesNotMatch");
    wrong.keys.access_key = "NOBODY".to_owned();
    wrong.get("/data/k").await.is(403, "InvalidAccessKeyId");
    // A signed payload that is not the one that arrives.
    let signing = S3 { sign_payload: true, ..s3.clone() };
    signing.put("/data/signed", "right").await.ok();
    // A disabled key stops working, an enabled one works again.
    let id = provisioned.user_id;
    let key = |on: bool| serde_json::json!({ "access_key": s3.keys.access_key, "enabled": on });
    cluster.vms("PATCH", &format!("users/{id}/access_keys"), &key(false)).unwrap();
    s3.get("/data/k").await.is(403, "InvalidAccessKeyId");
    cluster.vms("PATCH", &format!("users/{id}/access_keys"), &key(true)).unwrap();
    s3.get("/data/k").await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_belong_to_their_owners() {
    let (cluster, _, owner) = start().await;
    owner.put("/data/k", "x").await.ok();
    let (id, keys) = cluster.create_user("other").unwrap();
    let other = S3 { keys, ..owner.clone() };
    for (method, path) in [("GET", "/data/k"), ("PUT", "/data/k"), ("DELETE", "/data/k"), ("GET", "/data")] {
        other.send(method, path, &[], "").await.is(403, "AccessDenied");
    }
    assert!(!other.get("/").await.ok().text().contains("<Name>data</Name>"));
    assert!(owner.get("/").await.ok().text().contains("<Name>data</Name>"));
    other.put("/fresh", "").await.is(403, "AccessDenied");
    cluster
        .vms("PATCH", &format!("users/{id}"), &serde_json::json!({ "allow_create_bucket": true }))
        .unwrap();
    other.put("/fresh", "").await.ok();
    other.put("/fresh", "").await.is(409, "BucketAlreadyOwnedByYou");
    owner.put("/fresh", "").await.is(409, "BucketAlreadyExists");
    let views = cluster.vms("GET", "views", &serde_json::Value::Null).unwrap();
    assert!(views.as_array().unwrap().iter().any(|v| v["bucket"] == "fresh" && v["path"] == "/fresh"));
    cluster.vms("PATCH", &format!("users/{id}"), &serde_json::json!({ "s3_superuser": true })).unwrap();
    assert_eq!(other.get("/data/k").await.ok().body, "x");
    other.delete("/data").await.is(409, "BucketNotEmpty");
    other.delete("/data/k").await.ok();
    other.delete("/data").await.ok();
    owner.head("/data").await;
    owner.get("/data").await.is(404, "NoSuchBucket");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_share_and_stay_apart() {
    let (cluster, _, s3) = start().await;
    let data = pattern(3, 400_000);
    s3.send("PUT", "/data/a", &[("x-amz-meta-m", "1")], data.clone()).await.ok();
    let copy = s3.send("PUT", "/data/b", &[("x-amz-copy-source", "/data/a")], "").await.ok();
    assert!(copy.text().contains("CopyObjectResult"));
    s3.delete("/data/a").await.ok();
    let got = s3.get("/data/b").await.ok();
    assert_eq!((&got.body, got.header("x-amz-meta-m")), (&data, "1"));
    s3.send("PUT", "/data/c", &[("x-amz-copy-source", "/data/none")], "").await.is(404, "NoSuchKey");
    s3.send("PUT", "/data/b", &[("x-amz-copy-source", "/data/b")], "").await.is(400, "InvalidRequest");
    let kept = [("x-amz-copy-source", "/data/b"), ("x-amz-server-side-encryption", "AES256")];
    s3.send("PUT", "/data/b", &kept, "").await.ok();
    assert_eq!(s3.head("/data/b").await.header("x-amz-server-side-encryption"), "AES256");
    let replaced =
        [("x-amz-copy-source", "/data/b"), ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-m", "2")];
    s3.send("PUT", "/data/b", &replaced, "").await.ok();
    let got = s3.get("/data/b").await.ok();
    assert_eq!((&got.body, got.header("x-amz-meta-m")), (&data, "2"));
    let rename = [("x-amz-copy-source", "/data/b"), ("x-amz-copy-disposition", "replace")];
    s3.send("PUT", "/data/r", &rename, "").await.ok();
    s3.get("/data/b").await.is(404, "NoSuchKey");
    assert_eq!(s3.get("/data/r").await.ok().body, data);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_go_in_one_request() {
    let (cluster, _, s3) = start().await;
    for key in ["a", "b", "c"] {
        s3.put(&format!("/data/{key}"), key).await.ok();
    }
    let xml = "<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object><Object><Key>c</Key></Object></Delete>";
    let md5 = STANDARD.encode(md5::Md5::digest(xml));
    let reply = s3.send("POST", "/data?delete", &[("content-md5", &md5)], xml).await.ok();
    assert_eq!(reply.between("<Key>", "</Key>"), ["a", "none", "c"]);
    let state = cluster.raw_state();
    let left: Vec<_> = state.bucket("data").unwrap().objects.iter().map(|o| o.key.clone()).collect();
    assert_eq!(left, ["b"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opaque_etags_differ_for_equal_content() {
    let config = Config { etag: EtagMode::Opaque, ..Config::default() };
    let (cluster, _, s3) = crate::client::start_with(config, None).await;
    let one = s3.put("/data/a", "same").await.ok().header("etag").to_owned();
    let two = s3.put("/data/b", "same").await.ok().header("etag").to_owned();
    assert_ne!(one, two);
    assert_eq!(s3.head("/data/a").await.header("etag"), one);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_says_so_and_is_counted() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/k", "x").await.ok();
    s3.get("/data?replication").await.is(501, "NotImplemented");
    s3.get("/data/k?torrent").await.is(501, "NotImplemented");
    s3.send("PUT", "/data/t", &[("x-amz-server-side-encryption", "aws:kms")], "x")
        .await
        .is(501, "NotImplemented");
    assert_eq!(cluster.counters().s3_not_implemented, 3);
    assert_eq!(cluster.raw_state().bucket("data").unwrap().objects.len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_expiry_may_be_any_text() {
    let (cluster, _, s3) = start().await;
    for text in ["0", "-1", "never", "2030-01-01T00:00:00Z"] {
        s3.send("PUT", "/data/k", &[("expires", text)], text.to_owned()).await.ok();
        assert_eq!(s3.get("/data/k").await.ok().text(), text);
        s3.send("POST", "/data/m?uploads", &[("expires", text)], "").await.ok();
        let copied =
            [("x-amz-copy-source", "/data/k"), ("x-amz-metadata-directive", "REPLACE"), ("expires", text)];
        s3.send("PUT", "/data/copy", &copied, "").await.ok();
        let forged =
            S3 { keys: vast_sim::KeyPair { secret_key: "no".to_owned(), ..s3.keys.clone() }, ..s3.clone() };
        forged.send("PUT", "/data/k", &[("expires", text)], "").await.is(403, "SignatureDoesNotMatch");
    }
    let date = "Tue, 01 Jan 2030 00:00:00 GMT";
    s3.send("PUT", "/data/k", &[("expires", date)], "").await.ok();
    assert_eq!(s3.head("/data/k").await.ok().header("expires"), date);
    cluster.stop().await;
}
