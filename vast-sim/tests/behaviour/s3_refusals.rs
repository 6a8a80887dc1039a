//! What the cluster does not do, and what it says then: nothing is taken for something else, every error explains itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::client::{Reply, S3, start};

async fn send(s3: &S3, method: &str, path: &str) -> Reply {
    s3.send(method, path, &[], if method == "PUT" { "<x/>" } else { "" }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sub_resources_that_nobody_knows_are_not_taken_for_the_thing_itself() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/k", "untouched").await.ok();
    let mut counted = 0;
    for (method, path) in [
        ("PUT", "/data/k?encryption"),
        ("PUT", "/data/k?renameObject"),
        ("PUT", "/data/k?annotation&annotationName=a"),
        ("PUT", "/data/k?newThing"),
        ("PUT", "/data/k?newThing="),
        ("DELETE", "/data/k?newThing"),
        ("GET", "/data/k?newThing"),
        ("POST", "/data/k?restore"),
        ("POST", "/data/k?select&select-type=2"),
        ("GET", "/data?abac"),
        ("PUT", "/data?abac"),
        ("PUT", "/data?newThing"),
        ("GET", "/data?metadataConfiguration"),
        ("DELETE", "/data?metadataConfiguration"),
        ("DELETE", "/data?website"),
        ("GET", "/data?events"),
        ("GET", "/data?session"),
        ("GET", "/?x-id=ListDirectoryBuckets"),
    ] {
        let reply = send(&s3, method, path).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (501, "NotImplemented"),
            "{method} {path}"
        );
        counted += 1;
        assert_eq!(cluster.counters().s3_not_implemented, counted, "{method} {path}");
    }
    assert_eq!(s3.get("/data/k").await.ok().body, "untouched");
    assert_eq!(cluster.raw_state().bucket("data").unwrap().objects.len(), 1);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_parameters_that_do_not_go_together() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/k", "untouched").await.ok();
    for (method, path, allowed) in [
        ("PATCH", "/data/k", "GET, HEAD, PUT, DELETE"),
        ("POST", "/data/k", "GET, HEAD, PUT, DELETE"),
        ("PUT", "/data/k?attributes", "GET"),
        ("DELETE", "/data?versioning", "GET, PUT"),
        ("DELETE", "/", "GET"),
    ] {
        let reply = send(&s3, method, path).await.is(405, "MethodNotAllowed");
        assert_eq!(reply.header("allow"), allowed, "{method} {path}");
        assert_eq!(reply.between("<Method>", "</Method>"), [method]);
    }
    for (method, path, argument) in [
        ("PUT", "/data/k?uploadId=u", "partNumber"),
        ("PUT", "/data/k?partNumber=1", "partNumber"),
        ("PUT", "/data/k?versionId=null", "versionId"),
        ("PUT", "/data/k?acl&tagging", "ResourceType"),
        ("GET", "/data?list-type=3", "list-type"),
    ] {
        let reply = send(&s3, method, path).await.is(400, "InvalidArgument");
        assert_eq!(reply.between("<ArgumentName>", "</ArgumentName>"), [argument], "{method} {path}");
    }
    assert_eq!(s3.get("/data/k").await.ok().body, "untouched");
    // What SDKs and people add, and what means nothing to AWS either.
    for fine in [
        "/data/k?x-id=GetObject",
        "/data/k?anything=1",
        "/data/k?prefix=",
        "/data/k?response-content-type=a%2Fb",
        "/data?prefix=&delimiter=&max-keys=7&x-id=ListObjects",
        "/data?versions&prefix=",
    ] {
        s3.get(fine).await.ok();
    }
    let typed = s3.get("/data/k?response-content-type=a%2Fb").await;
    assert_eq!(typed.header("content-type"), "a/b");
    s3.put("/data/other?x-id=PutObject", "x").await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_a_message_and_the_elements_that_aws_adds() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/k", "12345").await.ok();
    let id = s3.create_upload("/data/u").await;
    s3.delete(&format!("/data/u?uploadId={id}")).await.ok();
    let none = "0123456789abcdef0123456789abcdef";
    let long = format!("/data/{}", "k".repeat(1025));
    let gone = format!("/data/u?uploadId={id}&partNumber=1");
    let version = format!("/data/k?versionId={none}");
    let range = [("range", "bytes=9-10")];
    let wrong = [("if-match", "\"x\"")];
    for (method, path, headers, code, elements) in [
        ("GET", "/data/a%26b", &[][..], "NoSuchKey", &[("Key", "a&amp;b")][..]),
        ("GET", "/nowhere/k", &[], "NoSuchBucket", &[("BucketName", "nowhere")]),
        ("GET", &version, &[], "NoSuchVersion", &[("Key", "k"), ("VersionId", none)]),
        ("PUT", &gone, &[], "NoSuchUpload", &[("UploadId", &id)]),
        ("GET", "/data?policy", &[], "NoSuchBucketPolicy", &[("BucketName", "data")]),
        ("GET", "/UPPER/k", &[], "InvalidBucketName", &[("BucketName", "UPPER")]),
        ("PUT", &long, &[], "KeyTooLongError", &[]),
        ("PUT", "/data?versioning", &[], "MalformedXML", &[]),
        (
            "GET",
            "/data/k",
            &range,
            "InvalidRange",
            &[("RangeRequested", "bytes=9-10"), ("ActualObjectSize", "5")],
        ),
        ("GET", "/data/k", &wrong, "PreconditionFailed", &[("Condition", "If-Match")]),
        (
            "GET",
            "/data/k?partNumber=2",
            &[],
            "InvalidPartNumber",
            &[("PartNumberRequested", "2"), ("ActualPartCount", "1")],
        ),
    ] {
        let reply = s3.send(method, path, headers, if method == "PUT" { "<x/>" } else { "" }).await;
        assert_eq!(reply.code(), code, "{method} {path}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/xml", "{code}");
        let message = reply.between("<Message>", "</Message>");
        assert!(message.len() == 1 && message[0].len() > 10, "{code}: {}", reply.text());
        for (name, value) in elements {
            let found = reply.between(&format!("<{name}>"), &format!("</{name}>"));
            assert_eq!(found, [*value], "{code} {name}: {}", reply.text());
        }
        assert_eq!(reply.between("<RequestId>", "</RequestId>"), [reply.header("x-amz-request-id")]);
    }
    let source = [("x-amz-copy-source", "/data/none")];
    let copy = s3.send("PUT", "/data/target", &source, "").await.is(404, "NoSuchKey");
    assert_eq!(copy.between("<Key>", "</Key>"), ["none"]);
    let upload = s3.create_upload("/data/u").await;
    let etag = s3.part("/data/u", &upload, 1, "small").await.ok().header("etag").to_owned();
    let last = s3.part("/data/u", &upload, 2, "last").await.ok().header("etag").to_owned();
    let small = s3.complete("/data/u", &upload, &[(1, &etag), (2, &last)]).await.is(400, "EntityTooSmall");
    assert_eq!(small.between("<ProposedSize>", "</ProposedSize>"), ["5"]);
    assert_eq!(small.between("<MinSizeAllowed>", "</MinSizeAllowed>"), ["5242880"]);
    assert_eq!(small.between("<PartNumber>", "</PartNumber>"), ["1"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_compared_with_their_digests() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/k", "x").await.ok();
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let keys = "<Delete><Object><Key>k</Key></Object></Delete>";
    for (method, path, document) in
        [("PUT", "/data?tagging", tags), ("PUT", "/data/k?tagging", tags), ("POST", "/data?delete", keys)]
    {
        let md5 = STANDARD.encode(<md5::Md5 as md5::Digest>::digest(document));
        let other = STANDARD.encode(<md5::Md5 as md5::Digest>::digest("other"));
        let sha = STANDARD.encode(<sha2::Sha256 as sha2::Digest>::digest(document));
        for (name, value, code) in [
            ("content-md5", other.as_str(), "BadDigest"),
            ("content-md5", "short", "InvalidDigest"),
            ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
            ("x-amz-checksum-sha256", &md5, "BadDigest"),
            ("content-md5", &md5, ""),
            ("x-amz-checksum-sha256", &sha, ""),
        ] {
            let reply = s3.send(method, path, &[(name, value)], document).await;
            assert_eq!(reply.code(), code, "{method} {path} {name}: {}", reply.text());
            assert_eq!(reply.status.is_success(), code.is_empty());
        }
    }
    // Who has no key learns nothing of digests.
    let mut wrong = s3.clone();
    wrong.keys.secret_key.push('x');
    let bad = [("content-md5", "short")];
    wrong.send("PUT", "/data?tagging", &bad, tags).await.is(403, "SignatureDoesNotMatch");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_somebody_else_is_not_used() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/k", "x").await.ok();
    let (right, wrong) = ("data-owner", "111122223333");
    let expected = "x-amz-expected-bucket-owner";
    s3.send("GET", "/data/k", &[(expected, right)], "").await.ok();
    for (method, path) in [("GET", "/data/k"), ("PUT", "/data/k"), ("DELETE", "/data/k"), ("GET", "/data")] {
        s3.send(method, path, &[(expected, wrong)], "").await.is(403, "AccessDenied");
    }
    let copy = |owner: &'static str| {
        let s3 = s3.clone();
        async move {
            let headers = [("x-amz-copy-source", "/data/k"), ("x-amz-source-expected-bucket-owner", owner)];
            s3.send("PUT", "/data/copy", &headers, "").await
        }
    };
    copy(wrong).await.is(403, "AccessDenied");
    copy(right).await.ok();
    assert_eq!(s3.get("/data/k").await.ok().body, "x");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_told_what_should_have_been_signed() {
    let (cluster, _, s3) = start().await;
    let mut wrong = s3.clone();
    wrong.keys.secret_key.push('x');
    let path = "/data/k?x-id=GetObject";
    let request = wrong.request("GET", path, &[], Bytes::new());
    let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
    let reply =
        crate::client::exchange(&wrong.url, None, request).await.unwrap().is(403, "SignatureDoesNotMatch");
    let one = |name: &str| reply.between(&format!("<{name}>"), &format!("</{name}>")).remove(0);
    assert_eq!(one("AWSAccessKeyId"), wrong.keys.access_key);
    assert!(authorization.ends_with(&format!("Signature={}", one("SignatureProvided"))));
    assert!(one("Message").starts_with("The request signature we calculated does not match"));
    // With the right secret, what the refusal says makes the signature that the cluster expects.
    let canonical = one("CanonicalRequest");
    assert!(canonical.starts_with("GET\n/data/k\nx-id=GetObject\nhost:"), "{canonical}");
    let hash = hex(&<sha2::Sha256 as sha2::Digest>::digest(canonical.as_bytes()));
    assert!(one("StringToSign").ends_with(&hash), "{}", reply.text());
    let bytes: Vec<String> = one("StringToSign").bytes().map(|b| format!("{b:02x}")).collect();
    assert_eq!(one("StringToSignBytes"), bytes.join(" "));
    wrong.keys.access_key = "NOBODY".to_owned();
    let stranger = wrong.get("/data/k").await.is(403, "InvalidAccessKeyId");
    assert_eq!(stranger.between("<AWSAccessKeyId>", "</AWSAccessKeyId>"), ["NOBODY"]);
    cluster.stop().await;
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, b| {
        write!(text, "{b:02x}").unwrap();
        text
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn how_an_object_is_kept_is_not_for_the_client_to_choose() {
    let (cluster, _, s3) = start().await;
    let put = |name: &'static str, value: String| {
        let s3 = s3.clone();
        async move { s3.send("PUT", "/data/k", &[(name, &value)], "x").await }
    };
    put("x-amz-storage-class", "STANDARD_IA".to_owned()).await.ok();
    put("x-amz-storage-class", "PAPER".to_owned()).await.is(400, "InvalidStorageClass");
    put("x-amz-meta-m", "v".repeat(2047)).await.ok();
    put("x-amz-meta-m", "v".repeat(2048)).await.is(400, "MetadataTooLarge");
    let sse = "x-amz-server-side-encryption";
    assert_eq!(s3.head("/data/k").await.header(sse), "");
    let kept = put(sse, "AES256".to_owned()).await.ok();
    let copy = s3.send("PUT", "/data/c", &[("x-amz-copy-source", "/data/k"), (sse, "AES256")], "").await.ok();
    for answer in [kept, copy, s3.get("/data/k").await, s3.head("/data/c").await] {
        assert_eq!(answer.header(sse), "AES256");
    }
    put(sse, "aws:kms".to_owned()).await.is(501, "NotImplemented");
    put("x-amz-server-side-encryption-customer-algorithm", "AES256".to_owned())
        .await
        .is(501, "NotImplemented");
    put(sse, "ROT13".to_owned()).await.is(400, "InvalidArgument");
    put("x-amz-website-redirect-location", "/x".to_owned()).await.is(501, "NotImplemented");
    // A checksum that the cluster cannot compute must not look verified.
    put("x-amz-checksum-sha512", "AAAA".to_owned()).await.is(501, "NotImplemented");
    cluster.stop().await;
}
