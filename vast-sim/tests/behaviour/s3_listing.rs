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
