//! Versions: made, read, listed, deleted, and never lost.

use serde_json::{Value, json};
use vast_sim::{Cluster, Config};

use crate::client::{Reply, S3, start, start_with};

pub(crate) const VERSIONING: &str =
    "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

fn id_of(reply: Reply) -> String {
    reply.ok().header("x-amz-version-id").to_owned()
}

pub(crate) async fn versioned(s3: &S3) {
    s3.send("PUT", "/data?versioning", &[], VERSIONING).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn versioning_goes_on_and_stays_on() {
    let (cluster, provisioned, s3) = start().await;
    assert!(!s3.get("/data?versioning").await.ok().text().contains("Status"));
    let suspended = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    s3.send("PUT", "/data?versioning", &[], suspended).await.is(409, "InvalidBucketState");
    let empty = "<VersioningConfiguration></VersioningConfiguration>";
    s3.send("PUT", "/data?versioning", &[], empty).await.is(400, "IllegalVersioningConfigurationException");
    versioned(&s3).await;
    assert!(s3.get("/data?versioning").await.ok().text().contains("<Status>Enabled</Status>"));
    s3.send("PUT", "/data?versioning", &[], suspended).await.is(409, "InvalidBucketState");
    let view = format!("views/{}", provisioned.view_id);
    assert_eq!(cluster.vms("GET", &view, &Value::Null).unwrap()["s3_versioning"], true);
    let off = cluster.vms("PATCH", &view, &json!({ "s3_versioning": false })).unwrap_err();
    assert_eq!(off.status, 400);

    let (user, view) = (
        "data-owner",
        json!({ "path": "/v", "policy_id": 2, "protocols": ["S3"], "bucket": "vvv",
        "bucket_owner": "data-owner", "create_dir": true, "s3_versioning": true }),
    );
    assert!(cluster.create("views", &view).is_ok(), "{user}");
    assert!(s3.get("/vvv?versioning").await.ok().text().contains("<Status>Enabled</Status>"));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_kept_and_every_deletion_can_be_undone() {
    let (cluster, provisioned, s3) = start().await;
    let plain = s3.put("/data/k", "before").await.ok();
    assert_eq!(plain.header("x-amz-version-id"), "");
    versioned(&s3).await;
    let one = id_of(s3.put("/data/k", "one").await);
    let two = id_of(s3.put("/data/k", "two").await);
    assert!(one != two && one.len() == 32);
    let now = s3.get("/data/k").await.ok();
    assert_eq!((now.text().as_str(), now.header("x-amz-version-id")), ("two", two.as_str()));
    let at = |id: &str| format!("/data/k?versionId={id}");
    assert_eq!(s3.get(&at(&one)).await.ok().text(), "one");
    let null = s3.get(&at("null")).await.ok();
    assert_eq!((null.text().as_str(), null.header("x-amz-version-id")), ("before", "null"));
    s3.get(&at("nonsense")).await.is(400, "InvalidArgument");
    s3.get(&at("")).await.is(400, "InvalidArgument");
    s3.get(&at(&"0".repeat(32))).await.is(404, "NoSuchVersion");

    let gone = s3.delete("/data/k").await.ok();
    let marker = gone.header("x-amz-version-id").to_owned();
    assert_eq!((gone.status.as_u16(), gone.header("x-amz-delete-marker")), (204, "true"));
    let hidden = s3.get("/data/k").await.is(404, "NoSuchKey");
    assert_eq!(
        (hidden.header("x-amz-delete-marker"), hidden.header("x-amz-version-id")),
        ("true", marker.as_str())
    );
    let head = s3.head("/data/k").await;
    assert_eq!((head.status.as_u16(), head.header("x-amz-delete-marker")), (404, "true"));
    let direct = s3.get(&at(&marker)).await.is(405, "MethodNotAllowed");
    assert_eq!((direct.header("x-amz-delete-marker"), direct.header("allow")), ("true", "DELETE"));
    assert_eq!(s3.get(&at(&two)).await.ok().text(), "two");
    // A marker is no object: a conditional create succeeds, and its deletion brings the object back.
    let undone = s3.delete(&at(&marker)).await.ok();
    assert_eq!(
        (undone.header("x-amz-delete-marker"), undone.header("x-amz-version-id")),
        ("true", marker.as_str())
    );
    assert_eq!(s3.get("/data/k").await.ok().text(), "two");
    s3.send("PUT", "/data/k", &[("if-none-match", "*")], "x").await.is(412, "PreconditionFailed");
    let removed = s3.delete(&at(&two)).await.ok();
    assert_eq!(
        (removed.header("x-amz-version-id"), removed.header("x-amz-delete-marker")),
        (two.as_str(), "")
    );
    assert_eq!(s3.get("/data/k").await.ok().text(), "one");
    assert_eq!(s3.delete(&at(&two)).await.status, 204, "gone already");

    let copy = [("x-amz-copy-source", "/data/k?versionId=null")];
    let copied = s3.send("PUT", "/data/c", &copy, "").await.ok();
    assert_eq!(copied.header("x-amz-copy-source-version-id"), "null");
    assert_eq!(copied.header("x-amz-version-id").len(), 32);
    assert_eq!(s3.get("/data/c").await.ok().text(), "before");
    let rights = json!({ "allow_delete_bucket": true });
    cluster.vms("PATCH", &format!("users/{}", provisioned.user_id), &rights).unwrap();
    s3.delete("/data").await.is(409, "BucketNotEmpty");
    let usage = cluster.raw_state().bucket("data").unwrap().bytes;
    assert_eq!(usage, 6 + 3 + 6, "before, one, and the copy");
    let raw = cluster.raw_state();
    let shown: Vec<_> =
        raw.bucket("data").unwrap().versions.iter().map(|v| (v.key.as_str(), v.size, v.is_latest)).collect();
    assert_eq!(shown, [("c", Some(6), true), ("k", Some(3), true), ("k", Some(6), false)]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_deleted_with_their_versions() {
    let (cluster, _, s3) = start().await;
    versioned(&s3).await;
    let id = id_of(s3.put("/data/a", "1").await);
    s3.put("/data/a", "2").await.ok();
    s3.put("/data/b", "3").await.ok();
    let xml = format!(
        "<Delete><Object><Key>a</Key><VersionId>{id}</VersionId></Object><Object><Key>b</Key></Object>\
         <Object><Key>c</Key><VersionId>bad</VersionId></Object></Delete>"
    );
    let reply = s3.send("POST", "/data?delete", &[], xml).await.ok();
    assert_eq!(reply.between("<Deleted>", "</Deleted>").len(), 2, "{}", reply.text());
    assert_eq!(reply.between("<VersionId>", "</VersionId>"), [id.as_str(), "bad"]);
    assert_eq!(reply.between("<DeleteMarker>", "</DeleteMarker>"), ["true"]);
    assert_eq!(reply.between("<DeleteMarkerVersionId>", "</DeleteMarkerVersionId>")[0].len(), 32);
    assert_eq!(reply.between("<Code>", "</Code>"), ["InvalidArgument"]);
    assert_eq!(s3.get("/data/a").await.ok().text(), "2");
    s3.get("/data/b").await.is(404, "NoSuchKey");
    cluster.stop().await;
}

/// Key, version and whether it is a marker of every line of a version listing, page by page.
async fn listed(s3: &S3, query: &str, max: usize) -> (Vec<(String, String)>, Vec<String>) {
    let (mut lines, mut prefixes) = (Vec::new(), Vec::new());
    let mut marker = String::new();
    loop {
        let reply = s3.get(&format!("/data?versions&max-keys={max}{query}{marker}")).await.ok();
        let (keys, ids) = (reply.between("<Key>", "</Key>"), reply.between("<VersionId>", "</VersionId>"));
        assert_eq!(keys.len(), ids.len());
        let common: Vec<String> = reply
            .between("<CommonPrefixes>", "</CommonPrefixes>")
            .iter()
            .map(|p| p.replace("<Prefix>", "").replace("</Prefix>", ""))
            .collect();
        assert!(keys.len() + common.len() <= max);
        lines.extend(keys.into_iter().zip(ids));
        prefixes.extend(common);
        if reply.between("<IsTruncated>", "</IsTruncated>") == ["false"] {
            break;
        }
        marker = format!("&key-marker={}", reply.between("<NextKeyMarker>", "</NextKeyMarker>").remove(0));
        if let Some(id) = reply.between("<NextVersionIdMarker>", "</NextVersionIdMarker>").first() {
            marker.push_str("&version-id-marker=");
            marker.push_str(id);
        }
    }
    lines.sort();
    (lines, prefixes)
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_name_every_version_once_whatever_the_page() {
    let (cluster, _, s3) = start().await;
    let mut expected = Vec::new();
    s3.put("/data/a", "0").await.ok();
    expected.push(("a".to_owned(), "null".to_owned()));
    versioned(&s3).await;
    for key in ["a", "a", "b", "d/1", "d/2", "e"] {
        expected.push((key.to_owned(), id_of(s3.put(&format!("/data/{key}"), key).await)));
    }
    for key in ["a", "never", "d/1"] {
        expected.push((key.to_owned(), id_of(s3.delete(&format!("/data/{key}")).await)));
    }
    expected.sort();
    for max in [1, 2, 3, 1000] {
        assert_eq!(listed(&s3, "", max).await, (expected.clone(), vec![]), "pages of {max}");
        let (lines, prefixes) = listed(&s3, "&delimiter=/", max).await;
        assert_eq!(prefixes, ["d/"]);
        let flat: Vec<_> = expected.iter().filter(|(k, _)| !k.starts_with("d/")).cloned().collect();
        assert_eq!(lines, flat);
        let (lines, _) = listed(&s3, "&prefix=d/", max).await;
        assert_eq!(lines.len(), 3);
    }
    let whole = s3.get("/data?versions").await.ok();
    assert_eq!(whole.between("<DeleteMarker>", "</DeleteMarker>").len(), 3);
    let latest = whole.between("<IsLatest>", "</IsLatest>").iter().filter(|l| *l == "true").count();
    assert_eq!(latest, 6, "one per name");
    s3.get("/data?versions&version-id-marker=null").await.is(400, "InvalidArgument");
    s3.get("/data?versions&key-marker=a&version-id-marker=").await.is(400, "InvalidArgument");
    assert_eq!(s3.get("/data").await.ok().between("<Key>", "</Key>"), ["b", "d/2", "e"]);
    assert_eq!(s3.get("/data?list-type=2&delimiter=/").await.ok().between("<Key>", "</Key>"), ["b", "e"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_moves_everything_in_one_step() {
    let (cluster, provisioned, s3) = start().await;
    let headers = [("x-amz-meta-m", "1"), ("x-amz-tagging", "t=1"), ("content-type", "a/b")];
    let etag = s3.send("PUT", "/data/from", &headers, "body").await.ok().header("etag").to_owned();
    s3.put("/data/to", "old").await.ok();
    let rename = |from: &'static str| [("x-amz-copy-source", from), ("x-amz-copy-disposition", "replace")];
    s3.send("PUT", "/data/to", &rename("/data/from"), "").await.ok();
    s3.get("/data/from").await.is(404, "NoSuchKey");
    let got = s3.get("/data/to").await.ok();
    assert_eq!(
        (got.text().as_str(), got.header("etag"), got.header("x-amz-meta-m")),
        ("body", etag.as_str(), "1")
    );
    assert_eq!((got.header("content-type"), got.header("x-amz-tagging-count")), ("a/b", "1"));
    assert_eq!(cluster.raw_state().bucket("data").unwrap().bytes, 4);
    s3.send("PUT", "/data/to", &rename("/data/to"), "").await.is(400, "InvalidRequest");
    s3.send("PUT", "/data/x", &rename("/data/none"), "").await.is(404, "NoSuchKey");
    for with in [
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-acl", "private"),
        ("x-amz-grant-read", "id=someone"),
    ] {
        let [a, b] = rename("/data/to");
        s3.send("PUT", "/data/x", &[a, b, with], "").await.is(400, "InvalidRequest");
    }
    let odd = [("x-amz-copy-source", "/data/to"), ("x-amz-copy-disposition", "merge")];
    s3.send("PUT", "/data/x", &odd, "").await.is(400, "InvalidArgument");
    let other = [
        ("x-amz-copy-source", "/data/to"),
        ("x-amz-copy-disposition", "replace"),
        ("x-amz-copy-source-if-match", "\"no\""),
    ];
    s3.send("PUT", "/data/x", &other, "").await.is(412, "PreconditionFailed");

    versioned(&s3).await;
    s3.put("/data/to", "newer").await.ok();
    s3.send("PUT", "/data/moved", &rename("/data/to"), "").await.ok();
    s3.get("/data/to").await.is(404, "NoSuchKey");
    assert_eq!(s3.get("/data/to?versionId=null").await.ok().text(), "body", "older versions stay");
    assert_eq!(s3.get("/data/moved").await.ok().text(), "newer");
    assert_eq!(provisioned.path, "/data");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_outlive_a_restart_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data_dir: Some(dir.path().to_owned()), ..Config::default() };
    let (cluster, provisioned, s3) = start_with(config.clone(), None).await;
    s3.put("/data/k", "null").await.ok();
    versioned(&s3).await;
    let mut ids = Vec::new();
    for n in 0..12 {
        ids.push(id_of(s3.put("/data/k", n.to_string()).await));
    }
    let marker = id_of(s3.delete("/data/k").await);
    s3.send(
        "PUT",
        "/data/k?tagging&versionId=null",
        &[],
        "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    )
    .await
    .ok();
    let before = s3.get("/data?versions").await.ok().text();
    cluster.stop().await;
    let cluster = Cluster::start(config).await.unwrap();
    let s3 = S3::new(&cluster, &provisioned.keys);
    assert_eq!(s3.get("/data?versions").await.ok().text(), before);
    s3.get("/data/k").await.is(404, "NoSuchKey");
    s3.delete(&format!("/data/k?versionId={marker}")).await.ok();
    assert_eq!(s3.get("/data/k").await.ok().text(), "11");
    assert!(s3.get("/data/k?tagging&versionId=null").await.ok().text().contains("<Value>b</Value>"));
    let next = id_of(s3.put("/data/k", "12").await);
    assert!(!ids.contains(&next) && next != marker);
    cluster.stop().await;
}
