//! Lifecycle rules run by the cluster's clock, from either side.

use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::Cluster;

use crate::client::{S3, start};
use crate::s3_versions::versioned;

const DAY: Duration = Duration::from_hours(24);

fn configuration(rules: &str) -> String {
    format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>")
}

async fn put(s3: &S3, rules: &str) {
    s3.send("PUT", "/data?lifecycle", &[], configuration(rules)).await.ok();
}

fn keys(cluster: &Cluster) -> Vec<String> {
    let state = cluster.raw_state();
    state.bucket("data").unwrap().objects.iter().map(|o| o.key.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_expire_by_age_and_filter() {
    let (cluster, _, s3) = start().await;
    let tagged = [("x-amz-tagging", "keep=no")];
    s3.put("/data/logs/a", "12345").await.ok();
    s3.put("/data/logs/big", vec![0; 5000]).await.ok();
    s3.send("PUT", "/data/tagged", &tagged, "x").await.ok();
    s3.put("/data/other", "x").await.ok();
    put(
        &s3,
        "<Rule><ID>small logs</ID><Status>Enabled</Status><Filter><And><Prefix>logs/</Prefix>\
         <ObjectSizeLessThan>1000</ObjectSizeLessThan></And></Filter><Expiration><Days>3</Days></Expiration></Rule>\
         <Rule><ID>tags</ID><Status>Enabled</Status><Filter><Tag><Key>keep</Key><Value>no</Value></Tag></Filter>\
         <Expiration><Days>1</Days></Expiration></Rule>\
         <Rule><ID>off</ID><Status>Disabled</Status><Filter><Prefix></Prefix></Filter>\
         <Expiration><Days>1</Days></Expiration></Rule>",
    )
    .await;
    let header = s3.head("/data/logs/a").await.header("x-amz-expiration").to_owned();
    assert!(
        header.starts_with("expiry-date=\"") && header.ends_with("00:00:00 GMT\", rule-id=\"small logs\""),
        "{header}"
    );
    assert_eq!(s3.head("/data/logs/big").await.header("x-amz-expiration"), "");
    let written = s3.put("/data/logs/b", "x").await.ok();
    assert_eq!(written.header("x-amz-expiration"), header);
    cluster.advance(DAY * 2).unwrap();
    assert_eq!(keys(&cluster), ["logs/a", "logs/b", "logs/big", "other"], "tags go first");
    cluster.advance(DAY * 2).unwrap();
    assert_eq!(keys(&cluster), ["logs/big", "other"]);
    cluster.advance(DAY * 300).unwrap();
    assert_eq!(keys(&cluster), ["logs/big", "other"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_markers_and_uploads_are_cleaned_up() {
    let (cluster, _, s3) = start().await;
    versioned(&s3).await;
    for n in 0..4 {
        s3.put("/data/k", n.to_string()).await.ok();
    }
    s3.put("/data/gone", "x").await.ok();
    let only = s3.put("/data/hidden", "x").await.ok().header("x-amz-version-id").to_owned();
    s3.delete("/data/hidden").await.ok();
    s3.delete(&format!("/data/hidden?versionId={only}")).await.ok();
    s3.create_upload("/data/upload").await;
    let rules = "<Rule><ID>all</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
        <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>\
        <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>\
        <NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>\
        <AbortIncompleteMultipartUpload><DaysAfterInitiation>5</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
        <Rule><ID>gone</ID><Status>Enabled</Status><Filter><Prefix>gone</Prefix></Filter>\
        <Expiration><Days>1</Days></Expiration></Rule>";
    put(&s3, rules).await;
    cluster.advance(DAY * 2).unwrap();
    let versions = |text: String, key: &str| text.matches(&format!("<Key>{key}</Key>")).count();
    let listing = s3.get("/data?versions").await.ok().text();
    assert_eq!(versions(listing.clone(), "k"), 3, "the current one and two noncurrent ones");
    assert_eq!(versions(listing.clone(), "hidden"), 0, "its marker hid nothing");
    assert_eq!(versions(listing, "gone"), 2, "expired: the version is behind a marker");
    s3.get("/data/gone").await.is(404, "NoSuchKey");
    assert_eq!(cluster.raw_state().bucket("data").unwrap().uploads.len(), 1);
    cluster.advance(DAY * 4).unwrap();
    assert_eq!(cluster.raw_state().bucket("data").unwrap().uploads.len(), 0);
    assert_eq!(s3.get("/data/k").await.ok().text(), "3");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_versions_are_spared_until_they_are_free() {
    let (cluster, _, s3) = start().await;
    versioned(&s3).await;
    let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
        <Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>10</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    s3.send("PUT", "/data?object-lock", &[], lock).await.ok();
    let id = s3.put("/data/k", "1").await.ok().header("x-amz-version-id").to_owned();
    s3.put("/data/k", "2").await.ok();
    put(
        &s3,
        "<Rule><Status>Enabled</Status><Filter></Filter><NoncurrentVersionExpiration>\
         <NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule>",
    )
    .await;
    cluster.advance(DAY * 9).unwrap();
    let at = format!("/data/k?versionId={id}");
    s3.get(&at).await.ok();
    cluster.advance(DAY * 2).unwrap();
    s3.get(&at).await.is(404, "NoSuchVersion");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_the_same_over_rest_and_s3() {
    let (cluster, provisioned, s3) = start().await;
    s3.get("/data?lifecycle").await.is(404, "NoSuchLifecycleConfiguration");
    s3.put("/data/k", "x").await.ok();
    let rule = json!({ "name": "by rest", "view_id": provisioned.view_id, "prefix": "k", "enabled": true, "expiration_days": 2, "min_size": 1 });
    cluster.create("s3lifecyclerules", &rule).unwrap();
    let shown = s3.get("/data?lifecycle").await.ok().text();
    for part in [
        "<ID>by rest</ID>",
        "<Prefix>k</Prefix>",
        "<Days>2</Days>",
        "<ObjectSizeGreaterThan>0</ObjectSizeGreaterThan>",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let rules = "<Rule><ID>a</ID><Status>Enabled</Status><Filter><And><Prefix>x/</Prefix><Tag><Key>t</Key><Value>1</Value></Tag>\
        <ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></And></Filter><Expiration><Date>2040-01-01T00:00:00Z</Date></Expiration></Rule>";
    put(&s3, rules).await;
    let rows = cluster.vms("GET", "s3lifecyclerules", &Value::Null).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1, "a configuration replaces all rules");
    assert_eq!(
        (&rows[0]["name"], &rows[0]["min_size"], &rows[0]["tags"]),
        (&json!("a"), &json!(10), &json!({ "t": "1" }))
    );
    let shown = s3.get("/data?lifecycle").await.ok().text();
    assert!(
        shown.contains("<Date>2040-01-01T00:00:00") && shown.contains("<ObjectSizeGreaterThan>9<"),
        "{shown}"
    );
    s3.delete("/data?lifecycle").await.ok();
    s3.get("/data?lifecycle").await.is(404, "NoSuchLifecycleConfiguration");

    let refused = |rule: &'static str, code: &'static str| {
        let s3 = s3.clone();
        async move {
            let reply = s3.send("PUT", "/data?lifecycle", &[], configuration(rule)).await;
            assert_eq!(reply.code(), code, "{}", reply.text());
        }
    };
    refused("", "MalformedXML").await;
    refused("<Rule><Status>Enabled</Status><Filter></Filter></Rule>", "InvalidRequest").await;
    refused(
        "<Rule><Status>Maybe</Status><Filter></Filter><Expiration><Days>1</Days></Expiration></Rule>",
        "MalformedXML",
    )
    .await;
    refused(
        "<Rule><Status>Enabled</Status><Filter></Filter><Expiration><Days>0</Days></Expiration></Rule>",
        "InvalidArgument",
    )
    .await;
    refused("<Rule><Status>Enabled</Status><Filter></Filter><Expiration><Date>2040-01-01T01:00:00Z</Date></Expiration></Rule>", "InvalidArgument").await;
    refused("<Rule><Status>Enabled</Status><Filter></Filter><Expiration><Days>1</Days><Date>2040-01-01T00:00:00Z</Date></Expiration></Rule>", "MalformedXML").await;
    let twice = "<Rule><ID>a</ID><Status>Enabled</Status><Filter></Filter><Expiration><Days>1</Days></Expiration></Rule>\
        <Rule><ID>a</ID><Status>Enabled</Status><Filter></Filter><Expiration><Days>2</Days></Expiration></Rule>";
    refused(twice, "InvalidArgument").await;
    cluster.advance(DAY * 30).unwrap();
    assert_eq!(keys(&cluster), ["k"], "what was refused does nothing");
    cluster.stop().await;
}
