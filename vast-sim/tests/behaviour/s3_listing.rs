//! Listings over the wire; their order and paging have a model of their own next to the code.

use crate::client::{S3, start};

async fn keys(s3: &S3, query: &str) -> Vec<String> {
    s3.get(&format!("/data?list-type=2{query}")).await.ok().between("<Key>", "</Key>")
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_page_through_everything() {
    let (cluster, _, s3) = start().await;
    let mut expected: Vec<String> =
        (0..23).map(|n| format!("d{}/{n:02}", n % 3)).chain(["top".to_owned()]).collect();
    for key in &expected {
        s3.put(&format!("/data/{key}"), "x").await.ok();
    }
    expected.sort();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let reply = s3.get(&format!("/data?list-type=2&max-keys=5{token}")).await.ok();
        seen.extend(reply.between("<Key>", "</Key>"));
        match reply.between("<NextContinuationToken>", "</NextContinuationToken>").first() {
            Some(next) => token = format!("&continuation-token={next}"),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let reply = s3.get(&format!("/data?max-keys=4{marker}")).await.ok();
        seen.extend(reply.between("<Key>", "</Key>"));
        if reply.text().contains("<IsTruncated>false") {
            break;
        }
        marker = format!("&marker={}", seen.last().unwrap().replace('/', "%2F"));
    }
    assert_eq!(seen, expected);
    assert_eq!(
        keys(&s3, "&prefix=d1%2F&start-after=d1%2F07").await,
        ["d1/10", "d1/13", "d1/16", "d1/19", "d1/22"]
    );
    let rolled = s3.get("/data?list-type=2&delimiter=%2F").await.ok();
    assert_eq!(rolled.between("<CommonPrefixes><Prefix>", "</Prefix>"), ["d0/", "d1/", "d2/"]);
    assert_eq!(rolled.between("<Key>", "</Key>"), ["top"]);
    assert_eq!(rolled.between("<KeyCount>", "</KeyCount>"), ["4"]);
    s3.get("/data?list-type=2&continuation-token=%21").await.is(400, "InvalidArgument");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_survive_encoding() {
    let (cluster, _, s3) = start().await;
    for encoded in ["a%20b", "c%2Bd", "%C3%A9", "e%26f", "x%25y", "g///h"] {
        s3.put(&format!("/data/{encoded}"), encoded.to_owned()).await.ok();
        assert_eq!(s3.get(&format!("/data/{encoded}")).await.ok().body, encoded, "{encoded}");
    }
    let state = cluster.raw_state();
    let stored: Vec<_> = state.bucket("data").unwrap().objects.iter().map(|o| o.key.as_str()).collect();
    assert_eq!(stored, ["a b", "c+d", "e&f", "g///h", "x%y", "é"]);
    assert_eq!(
        keys(&s3, "&encoding-type=url").await,
        ["a%20b", "c%2Bd", "e%26f", "g///h", "x%25y", "%C3%A9"]
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_and_parts_are_listed_page_by_page() {
    let (cluster, _, s3) = start().await;
    let mut expected = Vec::new();
    for key in ["a", "a", "a", "d/1", "d/2", "e"] {
        expected.push((key.to_owned(), s3.create_upload(&format!("/data/{key}")).await));
    }
    expected.sort();
    for max in [1, 2, 4, 1000] {
        let (mut seen, mut marker) = (Vec::new(), String::new());
        loop {
            let page = s3.get(&format!("/data?uploads&max-uploads={max}{marker}")).await.ok();
            let ids = page.between("<UploadId>", "</UploadId>");
            assert!(ids.len() <= max);
            seen.extend(page.between("<Key>", "</Key>").into_iter().zip(ids));
            if page.text().contains("<IsTruncated>false") {
                break;
            }
            let next = |tag: &str| page.between(&format!("<{tag}>"), &format!("</{tag}>")).remove(0);
            marker = format!(
                "&key-marker={}&upload-id-marker={}",
                next("NextKeyMarker"),
                next("NextUploadIdMarker")
            );
        }
        assert_eq!(seen, expected, "pages of {max}");
    }
    let rolled = s3.get("/data?uploads&delimiter=/").await.ok();
    assert_eq!(rolled.between("<CommonPrefixes><Prefix>", "</Prefix>"), ["d/"]);
    assert_eq!(rolled.between("<Key>", "</Key>"), ["a", "a", "a", "e"]);
    let below = s3.get("/data?uploads&prefix=d/&delimiter=/").await.ok();
    assert_eq!(below.between("<Key>", "</Key>"), ["d/1", "d/2"]);
    let behind = s3.get("/data?uploads&key-marker=a").await.ok();
    assert_eq!(
        behind.between("<Key>", "</Key>"),
        ["d/1", "d/2", "e"],
        "a key alone stands for all its uploads"
    );

    let id = &expected[5].1;
    for number in [1, 3, 4, 9] {
        s3.part("/data/e", id, number, "x").await.ok();
    }
    let page = s3.get(&format!("/data/e?uploadId={id}&max-parts=2")).await.ok();
    assert_eq!(page.between("<PartNumber>", "</PartNumber>"), ["1", "3"]);
    assert_eq!(page.between("<NextPartNumberMarker>", "</NextPartNumberMarker>"), ["3"]);
    assert_eq!(page.between("<IsTruncated>", "</IsTruncated>"), ["true"]);
    let rest = s3.get(&format!("/data/e?uploadId={id}&max-parts=2&part-number-marker=3")).await.ok();
    assert_eq!(rest.between("<PartNumber>", "</PartNumber>"), ["4", "9"]);
    assert_eq!(rest.between("<IsTruncated>", "</IsTruncated>"), ["false"]);
    cluster.stop().await;
}
