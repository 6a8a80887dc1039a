//! Tags, attributes, conditions and checksums: what belongs to an object beside its bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use vast_sim::Config;

use crate::client::{S3, completion, exchange, start, start_with};

fn tagging(pairs: &[(&str, &str)]) -> String {
    let tag = |(k, v): &(&str, &str)| format!("<Tag><Key>{k}</Key><Value>{v}</Value></Tag>");
    format!("<Tagging><TagSet>{}</TagSet></Tagging>", pairs.iter().map(tag).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_kept_copied_and_limited() {
    let (cluster, _, s3) = start().await;
    let headers = [("x-amz-tagging", "project=blue%20sky&empty=")];
    s3.send("PUT", "/data/k", &headers, "x").await.ok();
    let tags = s3.get("/data/k?tagging").await.ok();
    assert_eq!(tags.between("<Key>", "</Key>"), ["empty", "project"]);
    assert_eq!(tags.between("<Value>", "</Value>"), ["", "blue sky"]);
    assert_eq!(s3.get("/data/k").await.ok().header("x-amz-tagging-count"), "2");
    s3.send("PUT", "/data/c", &[("x-amz-copy-source", "/data/k")], "").await.ok();
    assert_eq!(s3.get("/data/c?tagging").await.ok().between("<Key>", "</Key>").len(), 2);
    let replace = [
        ("x-amz-copy-source", "/data/k"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-tagging", "only=this"),
    ];
    s3.send("PUT", "/data/r", &replace, "").await.ok();
    assert_eq!(s3.get("/data/r?tagging").await.ok().between("<Key>", "</Key>"), ["only"]);

    s3.send("PUT", "/data/k?tagging", &[], tagging(&[("new", "1")])).await.ok();
    assert_eq!(s3.get("/data/k?tagging").await.ok().between("<Key>", "</Key>"), ["new"]);
    s3.send("PUT", "/data/k?tagging", &[], tagging(&[("a", "1"), ("a", "2")])).await.is(400, "InvalidTag");
    let names: Vec<String> = (0..11).map(|n| format!("k{n}")).collect();
    let eleven: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "v")).collect();
    s3.send("PUT", "/data/k?tagging", &[], tagging(&eleven)).await.is(400, "BadRequest");
    s3.send("PUT", "/data/no", &[("x-amz-tagging", "a=1&a=2")], "x").await.is(400, "InvalidTag");
    s3.get("/data/no").await.is(404, "NoSuchKey");
    assert_eq!(s3.delete("/data/k?tagging").await.status, 204);
    assert_eq!(s3.get("/data/k?tagging").await.ok().between("<Key>", "</Key>").len(), 0);
    assert_eq!(s3.head("/data/k").await.header("x-amz-tagging-count"), "");
    s3.get("/data/none?tagging").await.is(404, "NoSuchKey");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_name_what_was_asked_for() {
    let config = Config { min_part_size: 1, ..Config::default() };
    let (cluster, _, s3) = start_with(config, None).await;
    let created =
        s3.send("POST", "/data/m?uploads", &[("x-amz-checksum-algorithm", "SHA256")], "").await.ok();
    let id = created.between("<UploadId>", "</UploadId>").remove(0);
    let sums = ["one", "two"].map(|p| STANDARD.encode(Sha256::digest(p)));
    let mut etags = Vec::new();
    for (n, part) in [(1, "one"), (2, "two")] {
        let sum = [("x-amz-checksum-sha256", sums[n - 1].as_str())];
        let path = format!("/data/m?partNumber={n}&uploadId={id}");
        etags.push(s3.send("PUT", &path, &sum, part).await.ok().header("etag").to_owned());
    }
    let with_sums = |sums: [&String; 2]| {
        let plain = completion(&[(1, &etags[0]), (2, &etags[1])]);
        let mut sums = sums.iter();
        plain.split_inclusive("</ETag>").fold(String::new(), |xml, piece| {
            let sum = sums.next().filter(|_| piece.ends_with("</ETag>"));
            let sum = sum.map(|s| format!("<ChecksumSHA256>{s}</ChecksumSHA256>"));
            xml + piece + &sum.unwrap_or_default()
        })
    };
    let to = format!("/data/m?uploadId={id}");
    s3.send("POST", &to, &[], with_sums([&sums[0], &sums[0]])).await.is(400, "InvalidPart");
    s3.send("POST", &to, &[], with_sums([&sums[0], &sums[1]])).await.ok();

    let all = [("x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize")];
    let reply = s3.send("GET", "/data/m?attributes", &all, "").await.ok();
    let composite = {
        let raw: Vec<u8> = ["one", "two"].iter().flat_map(Sha256::digest).collect();
        format!("{}-2", STANDARD.encode(Sha256::digest(raw)))
    };
    assert!(reply.text().contains(&composite), "{}", reply.text());
    // Here, and only here, without quotes.
    let etag = s3.head("/data/m").await.header("etag").trim_matches('"').to_owned();
    assert_eq!(reply.between("<ETag>", "</ETag>"), [etag]);
    assert_eq!(reply.between("<ObjectSize>", "</ObjectSize>"), ["6"]);
    assert_eq!(reply.between("<ChecksumType>", "</ChecksumType>"), ["COMPOSITE"]);
    assert_eq!(reply.between("<PartsCount>", "</PartsCount>"), ["2"]);
    assert_eq!(reply.between("<Size>", "</Size>"), ["3", "3"]);
    let paged = [("x-amz-object-attributes", "ObjectParts"), ("x-amz-max-parts", "1")];
    let reply = s3.send("GET", "/data/m?attributes", &paged, "").await.ok();
    assert_eq!(reply.between("<NextPartNumberMarker>", "</NextPartNumberMarker>"), ["1"]);
    assert_eq!(reply.between("<IsTruncated>", "</IsTruncated>"), ["true"]);
    assert!(!reply.text().contains("<ObjectSize>"));
    let odd = [("x-amz-object-attributes", "Colour")];
    s3.send("GET", "/data/m?attributes", &odd, "").await.is(400, "InvalidArgument");

    let second = s3.get("/data/m?partNumber=2").await.ok();
    assert_eq!((second.status.as_u16(), second.text().as_str()), (206, "two"));
    assert_eq!((second.header("content-range"), second.header("x-amz-mp-parts-count")), ("bytes 3-5/6", "2"));
    s3.get("/data/m?partNumber=3").await.is(416, "InvalidPartNumber");
    let both = [("range", "bytes=0-1")];
    s3.send("GET", "/data/m?partNumber=1", &both, "").await.is(400, "InvalidRequest");
    // A copy is one object again, with a checksum of the whole.
    let copy = s3.send("PUT", "/data/c", &[("x-amz-copy-source", "/data/m")], "").await.ok();
    assert!(copy.text().contains(&STANDARD.encode(Sha256::digest("onetwo"))), "{}", copy.text());
    let asked = [("x-amz-copy-source", "/data/m"), ("x-amz-checksum-algorithm", "CRC32")];
    let copy = s3.send("PUT", "/data/c", &asked, "").await.ok();
    assert!(copy.text().contains("<ChecksumCRC32>"), "{}", copy.text());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_etags_depend_on_the_release() {
    for (version, status) in [("5.4.3.1.2", 400), ("5.4.4.1.2", 304)] {
        let config = Config { sw_version: version.to_owned(), ..Config::default() };
        let (cluster, _, s3) = start_with(config, None).await;
        let etag = s3.put("/data/k", "x").await.ok().header("etag").to_owned();
        let weak = format!("W/{etag}");
        let reply = s3.send("GET", "/data/k", &[("if-none-match", &weak)], "").await;
        assert_eq!(reply.status, status, "{version}");
        let strong = s3.send("GET", "/data/k", &[("if-none-match", &etag)], "").await;
        assert_eq!(strong.status, 304);
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_can_be_dressed_up_and_deletions_conditional() {
    let (cluster, _, s3) = start().await;
    let etag =
        s3.send("PUT", "/data/k", &[("cache-control", "no-cache")], "x").await.ok().header("etag").to_owned();
    let query = "response-content-type=a/b&response-cache-control=c&response-content-disposition=d&\
        response-content-encoding=e&response-content-language=f&response-expires=Thu,%2001%20Dec%202044%2016:00:00%20GMT";
    let dressed = s3.get(&format!("/data/k?{query}")).await.ok();
    for (name, value) in [
        ("content-type", "a/b"),
        ("cache-control", "c"),
        ("content-disposition", "d"),
        ("content-encoding", "e"),
        ("content-language", "f"),
        ("expires", "Thu, 01 Dec 2044 16:00:00 GMT"),
    ] {
        assert_eq!(dressed.header(name), value);
    }
    assert_eq!(s3.get("/data/k").await.ok().header("cache-control"), "no-cache");
    s3.send("DELETE", "/data/k", &[("if-match", "\"no\"")], "").await.is(412, "PreconditionFailed");
    let one = "<Delete><Object><Key>k</Key><ETag>\"no\"</ETag></Object></Delete>";
    let reply = s3.send("POST", "/data?delete", &[], one).await.ok();
    assert_eq!(reply.between("<Code>", "</Code>"), ["PreconditionFailed"]);
    assert_eq!(s3.send("DELETE", "/data/k", &[("if-match", &etag)], "").await.status, 204);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_what_was_signed_is_refused() {
    let (cluster, _, s3) = start().await;
    let signed = S3 { sign_payload: true, ..s3.clone() };
    signed.send("PUT", "/data/k", &[], "fine").await.ok();
    let (parts, _) = signed.request("PUT", "/data/bad", &[], "what was signed".into()).into_parts();
    let other = http_body_util::Full::new("what was sent..".into());
    let answer = exchange(&s3.url, None, http::Request::from_parts(parts, other)).await.unwrap();
    answer.is(400, "XAmzContentSHA256Mismatch");
    s3.get("/data/bad").await.is(404, "NoSuchKey");
    cluster.stop().await;
}
