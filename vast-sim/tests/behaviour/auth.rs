//! Who may send a request: every kind of signature, in every addressing style, judged by the cluster's clock.

use std::time::Duration;

use serde_json::json;
use vast_sim::{Config, KeyPair, SignatureRules, SignatureV2};

use crate::client::{start, start_with};
use crate::signing::Signer;

#[tokio::test]
async fn header_signatures_with_every_kind_of_payload() {
    let (cluster, data, _) = start().await;
    let signer = Signer::new(&cluster, &data.keys);
    signer.header("PUT", "/data/unsigned", b"one").await.ok();
    signer.header_and_payload("PUT", "/data/signed", b"two", b"two").await.ok();
    signer.header_and_payload("PUT", "/data/bad", b"two", b"wto").await.is(400, "XAmzContentSHA256Mismatch");
    signer.chunks("/data/chunks", &[b"three ", b"and four"], None, false).await.ok();
    signer.chunks("/data/trailer", &[b"123456789"], Some("y/Q5Jg=="), false).await.ok();
    signer.chunks("/data/bad", &[b"three"], None, true).await.is(403, "SignatureDoesNotMatch");
    signer.chunks("/data/bad", &[b"123456789"], Some("AAAAAA=="), false).await.is(400, "BadDigest");
    let unsigned_trailer = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "9"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let framed = b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
    // The signer has no name for this payload; the one of an unsigned request stands in.
    let kind =
        [&unsigned_trailer[..], &[("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")]].concat();
    signer.bare("PUT", "/data/anonymous", &kind, framed).await.is(403, "AccessDenied");

    for (key, body) in
        [("unsigned", "one"), ("signed", "two"), ("chunks", "three and four"), ("trailer", "123456789")]
    {
        assert_eq!(signer.header("GET", &format!("/data/{key}"), b"").await.ok().text(), body);
    }
    signer.header("GET", "/data/bad", b"").await.is(404, "NoSuchKey");

    // Chunks are verified whatever path and region were signed, and in any number.
    let elsewhere = Signer { region: "Upper_Case 1", ..signer.clone() };
    for (odd, usual) in [("a%2Fb", "a/b"), ("caf%c3%a9", "caf%C3%A9"), ("a=b@c!(d)", "a%3Db%40c%21%28d%29")] {
        let path = format!("/data/{odd}");
        for signer in [&signer, &elsewhere] {
            signer.chunks(&path, &[b"1234", b"56789"], Some("y/Q5Jg=="), false).await.ok();
            signer.chunks(&path, &[b"12", b"3", b"456789"], None, false).await.ok();
            assert_eq!(signer.header("GET", &format!("/data/{usual}"), b"").await.ok().text(), "123456789");
            signer.chunks(&path, &[b"three"], None, true).await.is(403, "SignatureDoesNotMatch");
            signer.chunks(&path, &[b"9"], Some("y/Q5Jg=="), true).await.is(403, "SignatureDoesNotMatch");
        }
    }
    let head = signer.header("HEAD", "/data/chunks", b"").await.ok();
    assert_eq!((head.header("content-length"), head.header("content-encoding")), ("14", ""));
    signer.chunks("/data/bad", &[], None, false).await.ok();
    signer.header("DELETE", "/data/bad", b"").await.ok();

    let other = KeyPair { secret_key: "not the secret".to_owned(), ..data.keys.clone() };
    let forger = Signer::new(&cluster, &other);
    forger.header("GET", "/data/signed", b"").await.is(403, "SignatureDoesNotMatch");
    forger.bare("GET", "/data/signed", &[], b"").await.is(403, "AccessDenied");
    // Regions are names like any other.
    elsewhere.header("GET", "/data/signed", b"").await.ok();
    forger
        .bare("GET", "/data/signed", &[("authorization", "Basic eA==")], b"")
        .await
        .is(400, "InvalidArgument");
}

#[tokio::test]
async fn names_verify_in_both_spellings_of_their_path() {
    let (cluster, data, _) = start().await;
    let signer = Signer::new(&cluster, &data.keys);
    // Path as sent, and the same object in the usual spelling.
    for (odd, usual) in [
        ("a%2Fb", "a/b"),
        ("plain%2Dname", "plain-name"),
        ("caf%c3%a9", "caf%C3%A9"),
        ("a=b@c!(d)", "a%3Db%40c%21%28d%29"),
        ("percent%252F", "percent%252F"),
        ("plus+and%20space", "plus%2Band%20space"),
    ] {
        signer.header("PUT", &format!("/data/{odd}"), odd.as_bytes()).await.ok();
        let signed = signer.header_and_payload("PUT", &format!("/data/{odd}"), b"x", b"y").await;
        signed.is(400, "XAmzContentSHA256Mismatch");
        assert_eq!(signer.header("GET", &format!("/data/{usual}"), b"").await.ok().text(), odd);
        let url = signer.presign("GET", &format!("/data/{odd}"), Duration::from_mins(1));
        assert_eq!(signer.bare("GET", &url, &[], b"").await.ok().text(), odd);
    }
}

#[tokio::test]
async fn the_host_may_name_the_bucket() {
    let (cluster, data, s3) = start().await;
    let signer = Signer::new(&cluster, &data.keys).host("data.s3.vast-sim.test:8080");
    signer.header("PUT", "/dir/key", b"x").await.ok();
    assert_eq!(s3.get("/data/dir/key").await.ok().text(), "x");
    assert!(signer.header("GET", "/?list-type=2", b"").await.ok().text().contains("<Key>dir/key</Key>"));
    let url = signer.presign("GET", "/dir/key", Duration::from_mins(1));
    assert_eq!(signer.bare("GET", &url, &[], b"").await.ok().text(), "x");
    signer.v2("GET", "/dir/key", "/data/dir/key", b"").await.ok();
    // The pool's own name, a name that nobody gave the cluster and an address are path style.
    for host in ["s3.vast-sim.test", "backup.example", "localhost", "127.0.0.11"] {
        let signer = signer.host(host);
        assert_eq!(signer.header("GET", "/data/dir/key", b"").await.ok().text(), "x", "{host}");
    }
    // Faults and counters see the bucket.
    assert_eq!(cluster.counters().operation("ListObjectsV2").requests, 1);

    let dns = json!({ "name": "dns", "vip": "10.0.0.1", "domain_suffix": "corp.example" });
    if cluster.create("dns", &dns).is_ok() {
        let signer = signer.host("data.s3.vast-sim.test.corp.example");
        assert_eq!(signer.header("GET", "/dir/key", b"").await.ok().text(), "x");
    }
}

#[tokio::test]
async fn presigned_requests_end_with_their_time() {
    let (cluster, data, _) = start().await;
    let signer = Signer::new(&cluster, &data.keys);
    let put = signer.presign("PUT", "/data/k?x-id=PutObject", Duration::from_mins(10));
    signer.bare("PUT", &put, &[], b"presigned").await.ok();
    let get = signer.presign("GET", "/data/k", Duration::from_mins(10));
    assert_eq!(signer.bare("GET", &get, &[], b"").await.ok().text(), "presigned");
    // For one method and one object only.
    signer.bare("DELETE", &get, &[], b"").await.is(403, "SignatureDoesNotMatch");
    signer.bare("GET", &get.replace("/data/k", "/data/l"), &[], b"").await.is(403, "SignatureDoesNotMatch");
    let typed = signer.presign("GET", "/data/k?response-content-type=text%2Fx", Duration::from_mins(10));
    assert_eq!(signer.bare("GET", &typed, &[], b"").await.ok().header("content-type"), "text/x");
    signer
        .bare("GET", &get.replace("X-Amz-Expires=600", "X-Amz-Expires=700000"), &[], b"")
        .await
        .is(400, "AuthorizationQueryParametersError");
    let v2 = signer.presign_v2("GET", "/data/k", Duration::from_mins(10));
    assert_eq!(signer.bare("GET", &v2, &[], b"").await.ok().text(), "presigned");

    cluster.advance(Duration::from_mins(11)).unwrap();
    signer.bare("GET", &get, &[], b"").await.is(403, "AccessDenied");
    signer.bare("GET", &v2, &[], b"").await.is(403, "AccessDenied");
}

#[tokio::test]
async fn headers_that_a_signer_moved_into_the_query_count() {
    let (cluster, data, s3) = start().await;
    let signer = Signer::new(&cluster, &data.keys);
    let put = signer.presign("PUT", "/data/k?x-amz-meta-from=query", Duration::from_mins(1));
    signer.bare("PUT", &put, &[], b"x").await.ok();
    assert_eq!(s3.head("/data/k").await.ok().header("x-amz-meta-from"), "query");
}

#[tokio::test]
async fn dates_are_judged_by_the_clusters_clock() {
    let (cluster, data, _) = start().await;
    let signer = Signer::new(&cluster, &data.keys);
    let (early, late) = (signer.time - Duration::from_mins(20), signer.time + Duration::from_mins(20));
    let refused = signer.at(early).header("PUT", "/data/k", b"x").await.is(403, "RequestTimeTooSkewed");
    let max = refused.between("<MaxAllowedSkewMilliseconds>", "</MaxAllowedSkewMilliseconds>");
    assert_eq!(max, ["900000"]);
    let times = ["RequestTime", "ServerTime"].map(|n| refused.between(&format!("<{n}>"), &format!("</{n}>")));
    assert!(times[0].len() == 1 && times[0] < times[1], "{}", refused.text());
    signer.at(late).header("PUT", "/data/k", b"x").await.is(403, "RequestTimeTooSkewed");
    signer.at(late).v2("PUT", "/data/k", "/data/k", b"x").await.is(403, "RequestTimeTooSkewed");
    signer.at(signer.time - Duration::from_mins(14)).header("PUT", "/data/k", b"x").await.ok();

    // Clients that keep real time go on working after a jump of the cluster's.
    cluster.advance(Duration::from_hours(24)).unwrap();
    signer.header("GET", "/data/k", b"").await.ok();
    signer.at(signer.time + Duration::from_hours(24)).header("GET", "/data/k", b"").await.ok();
    signer
        .at(signer.time + Duration::from_hours(12))
        .header("GET", "/data/k", b"")
        .await
        .is(403, "RequestTimeTooSkewed");
}

#[tokio::test]
async fn rules_for_dates_are_settings() {
    let strict = SignatureRules { forgive_advances: false, ..SignatureRules::default() };
    let (cluster, data, _) = start_with(Config { signatures: strict, ..Config::default() }, None).await;
    cluster.advance(Duration::from_hours(24)).unwrap();
    let signer = Signer::new(&cluster, &data.keys);
    signer.header("GET", "/data/k", b"").await.is(403, "RequestTimeTooSkewed");
    signer
        .at(signer.time + Duration::from_hours(24))
        .header("GET", "/data/k", b"")
        .await
        .is(404, "NoSuchKey");

    let lenient = SignatureRules { max_skew: None, ..SignatureRules::default() };
    let (cluster, data, _) = start_with(Config { signatures: lenient, ..Config::default() }, None).await;
    let signer = Signer::new(&cluster, &data.keys);
    let years = Duration::from_hours(24 * 4000);
    signer.at(signer.time - years).header("GET", "/data/k", b"").await.is(404, "NoSuchKey");
    let old = signer.at(signer.time - years).presign("GET", "/data/k", Duration::from_secs(1));
    signer.bare("GET", &old, &[], b"").await.is(404, "NoSuchKey");
}

#[tokio::test]
async fn version_2_signatures_are_a_setting() {
    let (cluster, data, s3) = start().await;
    let signer = Signer::new(&cluster, &data.keys);
    signer.v2("PUT", "/data/k", "/data/k", b"old client").await.ok();
    let head = s3.head("/data/k").await.ok();
    assert_eq!((head.header("content-type"), head.header("x-amz-meta-a")), ("text/plain", "b"));
    signer.v2("GET", "/data/k?acl&x=1", "/data/k", b"").await.is(403, "SignatureDoesNotMatch");
    signer.v2("GET", "/data/k", "/data/other", b"").await.is(403, "SignatureDoesNotMatch");
    assert_eq!(signer.v2("GET", "/data/k", "/data/k", b"").await.ok().text(), "old client");
    // Some signers end the path of a bucket with a slash that the request does not have.
    signer.v2("GET", "/data?list-type=2", "/data/", b"").await.ok();
    signer.v2("GET", "/data?list-type=2", "/data", b"").await.ok();

    let off = SignatureRules { v2: SignatureV2::Refuse, ..SignatureRules::default() };
    let (cluster, data, _) = start_with(Config { signatures: off, ..Config::default() }, None).await;
    let signer = Signer::new(&cluster, &data.keys);
    signer.v2("PUT", "/data/k", "/data/k", b"x").await.is(400, "InvalidRequest");
    signer.header("PUT", "/data/k", b"x").await.ok();
}

#[tokio::test]
async fn the_clusters_row_may_decide_about_version_2() {
    let (cluster, data, _) = start().await;
    let signer = Signer::new(&cluster, &data.keys);
    signer.v2("PUT", "/data/k", "/data/k", b"x").await.ok();
    for (enabled, status) in [(false, 400), (true, 200)] {
        cluster.vms("PATCH", "clusters/1", &json!({ "s3_enable_v2_authentication": enabled })).unwrap();
        // Changing a cluster is a task, which takes a moment.
        cluster.advance(Duration::from_secs(10)).unwrap();
        assert_eq!(signer.v2("PUT", "/data/k", "/data/k", b"x").await.status, status);
    }
}

#[tokio::test]
async fn errors_say_what_aws_says() {
    let (_cluster, _, s3) = start().await;
    let error = s3.get("/data/no%20such%3Ckey").await.is(404, "NoSuchKey");
    assert_eq!(error.between("<Resource>", "</Resource>"), ["/data/no such&lt;key"]);
    assert_eq!(error.between("<RequestId>", "</RequestId>"), [error.header("x-amz-request-id")]);
    assert_eq!(error.between("<HostId>", "</HostId>"), [error.header("x-amz-id-2")]);
    assert_ne!(error.header("x-amz-request-id"), "");
    let head = s3.head("/data/no").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (404, 0));
}
