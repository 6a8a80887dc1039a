//! Multipart uploads.

use std::fmt::Write as _;

use vast_sim::{Config, FeaturesOff};

use crate::client::{pattern, start, start_with};

const MIN: usize = 5 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn parts_become_one_object() {
    let (cluster, _, s3) = start().await;
    let id = s3.create_upload("/data/big").await;
    let (one, two) = (pattern(1, MIN), pattern(2, 1234));
    // In any order, one of them twice, one of them never used.
    let e2 = s3.part("/data/big", &id, 2, two.clone()).await.ok().header("etag").to_owned();
    s3.part("/data/big", &id, 1, pattern(9, 99)).await.ok();
    let e1 = s3.part("/data/big", &id, 1, one.clone()).await.ok().header("etag").to_owned();
    s3.part("/data/big", &id, 7, pattern(7, 7)).await.ok();
    s3.get("/data/big").await.is(404, "NoSuchKey");

    let listed = s3.get(&format!("/data/big?uploadId={id}")).await.ok();
    assert_eq!(listed.between("<PartNumber>", "</PartNumber>"), ["1", "2", "7"]);
    assert_eq!(listed.between("<Size>", "</Size>"), [MIN.to_string(), "1234".to_owned(), "7".to_owned()]);
    let page = s3.get(&format!("/data/big?uploadId={id}&max-parts=1&part-number-marker=1")).await.ok();
    assert_eq!(page.between("<PartNumber>", "</PartNumber>"), ["2"]);
    assert_eq!(page.between("<IsTruncated>", "</IsTruncated>"), ["true"]);
    // Who asks for nothing would ask for ever if more were to come.
    let nothing = s3.get(&format!("/data/big?uploadId={id}&max-parts=0")).await.ok();
    assert_eq!(nothing.between("<IsTruncated>", "</IsTruncated>"), ["false"]);
    assert!(!nothing.text().contains("<PartNumber>"), "{}", nothing.text());
    assert_eq!(
        s3.get("/data?uploads").await.ok().between("<UploadId>", "</UploadId>"),
        std::slice::from_ref(&id)
    );
    assert_eq!(cluster.raw_state().bucket("data").unwrap().bytes, (MIN + 1234 + 7) as u64);

    let complete = |parts: Vec<(u32, String)>| {
        let (s3, id) = (s3.clone(), id.clone());
        async move {
            let parts: Vec<(u32, &str)> = parts.iter().map(|(n, e)| (*n, e.as_str())).collect();
            s3.complete("/data/big", &id, &parts).await
        }
    };
    complete(vec![(2, e2.clone()), (1, e1.clone())]).await.is(400, "InvalidPartOrder");
    complete(vec![(1, e2.clone())]).await.is(400, "InvalidPart");
    complete(vec![(3, e2.clone())]).await.is(400, "InvalidPart");
    complete(vec![(2, e2.clone()), (7, String::new())]).await.is(400, "InvalidPart");
    let done = complete(vec![(1, e1), (2, e2)]).await.ok();
    assert!(done.text().contains("-2"), "{}", done.text());
    complete(vec![]).await.is(400, "MalformedXML");

    let got = s3.get("/data/big").await.ok();
    assert_eq!(got.body, [one, two.clone()].concat());
    assert!(got.header("etag").ends_with("-2\""));
    assert_eq!(s3.get("/data/big?partNumber=2").await.ok().body, two);
    let state = cluster.raw_state();
    let bucket = state.bucket("data").unwrap();
    assert_eq!((bucket.uploads.len(), bucket.bytes), (0, (MIN + 1234) as u64));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_is_sent_again_gets_the_same_answer() {
    let off = |how: &str| serde_json::from_value(serde_json::json!({ "repeated_completion": how })).unwrap();
    assert!(Config { features_off: off("refused"), ..Config::default() }.check().is_err());
    for (features_off, again) in [(FeaturesOff::default(), 200), (off("ignored"), 404)] {
        let (cluster, _, s3) = start_with(Config { features_off, ..Config::default() }, None).await;
        let id = s3.create_upload("/data/k").await;
        let part = s3.part("/data/k", &id, 3, "x").await.ok().header("etag").to_owned();
        let first = s3.complete("/data/k", &id, &[(3, &part)]).await.ok();
        let second = s3.complete("/data/k", &id, &[(3, &part)]).await;
        assert_eq!(second.status.as_u16(), again);
        if again == 200 {
            assert_eq!(second.text(), first.text());
            // The upload is gone nevertheless, and another object in its place ends it.
            s3.part("/data/k", &id, 1, "x").await.is(404, "NoSuchUpload");
            s3.delete(&format!("/data/k?uploadId={id}")).await.is(404, "NoSuchUpload");
        }
        s3.put("/data/k", "other").await.ok();
        s3.complete("/data/k", &id, &[(3, &part)]).await.is(404, "NoSuchUpload");
        cluster.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_keep_their_numbers() {
    let (cluster, _, s3) = start_with(Config { min_part_size: 1, ..Config::default() }, None).await;
    let created =
        s3.send("POST", "/data/k?uploads", &[("x-amz-checksum-algorithm", "CRC32C")], "").await.ok();
    let id = created.between("<UploadId>", "</UploadId>").remove(0);
    let mut xml = String::new();
    for (number, body) in [(2, "two"), (5, "five"), (9, "nine")] {
        let part = s3.part("/data/k", &id, number, body).await.ok();
        write!(
            xml,
            "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag><ChecksumCRC32C>{}</ChecksumCRC32C></Part>",
            part.header("etag").replace('"', "&quot;"),
            part.header("x-amz-checksum-crc32c")
        )
        .unwrap();
    }
    let whole = format!("<CompleteMultipartUpload>{xml}</CompleteMultipartUpload>");
    let done = s3.send("POST", &format!("/data/k?uploadId={id}"), &[], whole).await.ok();
    assert!(done.between("<ChecksumCRC32C>", "</ChecksumCRC32C>")[0].ends_with("-3"), "{}", done.text());
    let part = s3.get("/data/k?partNumber=5").await.ok();
    assert_eq!((part.body.as_ref(), part.header("x-amz-mp-parts-count")), (&b"five"[..], "3"));
    assert_eq!(part.header("content-range"), "bytes 3-6/11");
    s3.get("/data/k?partNumber=3").await.is(416, "InvalidPartNumber");
    let headers = [("x-amz-object-attributes", "ObjectParts"), ("x-amz-max-parts", "2")];
    let page = s3.send("GET", "/data/k?attributes", &headers, "").await.ok();
    assert_eq!(page.between("<PartNumber>", "</PartNumber>"), ["2", "5"]);
    assert_eq!(page.between("<NextPartNumberMarker>", "</NextPartNumberMarker>"), ["5"]);
    assert_eq!(page.between("<IsTruncated>", "</IsTruncated>"), ["true"]);
    let headers = [("x-amz-object-attributes", "ObjectParts"), ("x-amz-part-number-marker", "5")];
    let page = s3.send("GET", "/data/k?attributes", &headers, "").await.ok();
    assert_eq!(page.between("<PartNumber>", "</PartNumber>"), ["9"]);
    assert_eq!(page.between("<IsTruncated>", "</IsTruncated>"), ["false"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_of_parts_must_fit_those_of_the_upload() {
    let (cluster, _, s3) = start().await;
    let created =
        s3.send("POST", "/data/k?uploads", &[("x-amz-checksum-algorithm", "SHA256")], "").await.ok();
    let id = created.between("<UploadId>", "</UploadId>").remove(0);
    let part = format!("/data/k?uploadId={id}&partNumber=1");
    let crc = [("x-amz-checksum-crc32", "y/Q5Jg==")];
    s3.send("PUT", &part, &crc, "123456789").await.is(400, "InvalidRequest");
    let stored = s3.send("PUT", &part, &[], "123456789").await.ok();
    assert_eq!(stored.header("x-amz-checksum-sha256"), "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=");
    let etag = stored.header("etag").to_owned();
    let missing = s3.complete("/data/k", &id, &[(1, &etag)]).await.is(400, "InvalidRequest");
    assert!(missing.text().contains("It was missing for part 1"), "{}", missing.text());
    let kind = [("x-amz-checksum-type", "FULL_OBJECT")];
    let xml = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>\
         <ChecksumSHA256>FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=</ChecksumSHA256></Part></CompleteMultipartUpload>"
    );
    let to = format!("/data/k?uploadId={id}");
    s3.send("POST", &to, &kind, xml.clone()).await.is(400, "InvalidRequest");
    s3.send("POST", &to, &crc, xml.clone()).await.is(400, "InvalidRequest");
    s3.send("POST", &to, &[], xml).await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_parts_and_aborts() {
    let (cluster, _, s3) = start().await;
    let id = s3.create_upload("/data/k").await;
    let e1 = s3.part("/data/k", &id, 1, "small").await.ok().header("etag").to_owned();
    let e2 = s3.part("/data/k", &id, 2, "last").await.ok().header("etag").to_owned();
    s3.complete("/data/k", &id, &[(1, &e1), (2, &e2)]).await.is(400, "EntityTooSmall");
    s3.part("/data/k", &id, 0, "x").await.is(400, "InvalidArgument");
    s3.part("/data/k", &id, 10_001, "x").await.is(400, "InvalidArgument");
    assert_eq!(s3.delete(&format!("/data/k?uploadId={id}")).await.status, 204);
    s3.part("/data/k", &id, 3, "late").await.is(404, "NoSuchUpload");
    s3.delete(&format!("/data/k?uploadId={id}")).await.is(404, "NoSuchUpload");
    let state = cluster.raw_state();
    let bucket = state.bucket("data").unwrap();
    assert_eq!((bucket.objects.len(), bucket.uploads.len(), bucket.bytes), (0, 0, 0));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_is_conditional_and_exclusive() {
    let config = Config { min_part_size: 1, ..Config::default() };
    let (cluster, _, s3) = start_with(config, None).await;
    let mut uploads = Vec::new();
    for n in 0..4 {
        let id = s3.create_upload("/data/lock").await;
        let etag = s3.part("/data/lock", &id, 1, format!("writer {n}")).await.ok().header("etag").to_owned();
        uploads.push((id, etag));
    }
    let tasks = uploads.into_iter().map(|(id, etag)| {
        let s3 = s3.clone();
        tokio::spawn(async move {
            let xml = crate::client::completion(&[(1, &etag)]);
            s3.send("POST", &format!("/data/lock?uploadId={id}"), &[("if-none-match", "*")], xml)
                .await
                .status
                .as_u16()
        })
    });
    let mut statuses = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412]);
    assert_eq!(cluster.raw_state().bucket("data").unwrap().uploads.len(), 3, "the losers stay open");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_copied_by_range() {
    let config = Config { min_part_size: 1, ..Config::default() };
    let (cluster, _, s3) = start_with(config, None).await;
    let data = pattern(5, 300_000);
    s3.put("/data/src", data.clone()).await.ok();
    let id = s3.create_upload("/data/dst").await;
    let path = |n: u32| format!("/data/dst?partNumber={n}&uploadId={id}");
    let copy = |range: &'static str| [("x-amz-copy-source", "/data/src"), ("x-amz-copy-source-range", range)];
    let mut etags = Vec::new();
    for (n, range) in [(1, "bytes=100000-299999"), (2, "bytes=0-99999")] {
        let reply = s3.send("PUT", &path(n), &copy(range), "").await.ok();
        etags.push(reply.between("<ETag>", "</ETag>").remove(0).replace("&quot;", "\""));
    }
    s3.send("PUT", &path(3), &copy("bytes=0-300000"), "").await.is(400, "InvalidArgument");
    s3.send("PUT", &path(3), &copy("bytes=5-"), "").await.is(400, "InvalidArgument");
    s3.complete("/data/dst", &id, &[(1, &etags[0]), (2, &etags[1])]).await.ok();
    s3.delete("/data/src").await.ok();
    assert_eq!(s3.get("/data/dst").await.ok().body, [&data[100_000..], &data[..100_000]].concat());
    let ranged = s3.send("GET", "/data/dst", &[("range", "bytes=199990-200009")], "").await.ok();
    assert_eq!(ranged.body, [&data[299_990..], &data[..10]].concat());
    cluster.stop().await;
}
