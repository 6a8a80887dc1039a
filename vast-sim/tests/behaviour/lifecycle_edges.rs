//! Lifecycle rules where they end: other buckets, other keys, locked versions, limits of a configuration.

use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::Cluster;

use crate::client::{S3, start};
use crate::s3_versions::versioned;

const DAY: Duration = Duration::from_hours(24);

async fn put(s3: &S3, bucket: &str, rules: &str) -> String {
    let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    s3.send("PUT", &format!("/{bucket}?lifecycle"), &[], document).await.code()
}

fn rule(filter: &str, actions: &str) -> String {
    format!("<Rule><Status>Enabled</Status><Filter>{filter}</Filter>{actions}</Rule>")
}

fn keys(cluster: &Cluster, bucket: &str) -> Vec<String> {
    let state = cluster.raw_state();
    state.bucket(bucket).unwrap().objects.iter().map(|o| o.key.clone()).collect()
}

const ONE_DAY: &str = "<Expiration><Days>1</Days></Expiration>";
const OLD_VERSIONS: &str =
    "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";
const UPLOADS: &str = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
const MARKERS: &str = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_about_its_own_bucket_and_keys() {
    let (cluster, _, s3) = start().await;
    cluster.create_bucket("other", "data-owner").unwrap();
    for bucket in ["data", "other"] {
        s3.put(&format!("/{bucket}/old/k"), "x").await.ok();
        s3.create_upload(&format!("/{bucket}/old/u")).await;
        s3.create_upload(&format!("/{bucket}/new/u")).await;
    }
    assert_eq!(put(&s3, "data", &rule("<Prefix>old/</Prefix>", &format!("{ONE_DAY}{UPLOADS}"))).await, "");
    assert_eq!(put(&s3, "other", &rule("<Prefix>none/</Prefix>", ONE_DAY)).await, "");
    assert_eq!(s3.head("/other/old/k").await.ok().header("x-amz-expiration"), "");
    assert_eq!(s3.get("/other?lifecycle").await.ok().between("<Prefix>", "</Prefix>"), ["none/"]);
    cluster.advance(DAY * 3).unwrap();
    let uploads = |bucket: &str| cluster.raw_state().bucket(bucket).unwrap().uploads.len();
    assert_eq!((keys(&cluster, "data"), uploads("data")), (vec![], 1));
    assert_eq!((keys(&cluster, "other"), uploads("other")), (vec!["old/k".to_owned()], 2));
    // Taking one configuration away leaves the other.
    s3.delete("/data?lifecycle").await.ok();
    s3.get("/data?lifecycle").await.is(404, "NoSuchLifecycleConfiguration");
    s3.get("/other?lifecycle").await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_markers_go_only_when_everything_says_so() {
    let (cluster, _, s3) = start().await;
    versioned(&s3).await;
    for key in ["covered/k", "else/k"] {
        s3.put(&format!("/data/{key}"), "1").await.ok();
        s3.put(&format!("/data/{key}"), "2").await.ok();
    }
    // A marker alone, one that hides a version, and one that a rule about tags cannot be about.
    for key in ["covered/alone", "else/alone"] {
        let id = s3.put(&format!("/data/{key}"), "x").await.ok().header("x-amz-version-id").to_owned();
        s3.delete(&format!("/data/{key}")).await.ok();
        s3.delete(&format!("/data/{key}?versionId={id}")).await.ok();
    }
    s3.put("/data/covered/hidden", "x").await.ok();
    s3.delete("/data/covered/hidden").await.ok();
    let actions = format!(
        "{MARKERS}<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>"
    );
    let tagged = "<Tag><Key>a</Key><Value>b</Value></Tag>";
    let sized = "<ObjectSizeLessThan>100</ObjectSizeLessThan>";
    let rules = [
        rule("<Prefix>covered/</Prefix>", &actions),
        rule(tagged, MARKERS),
        rule(sized, MARKERS),
        rule("<ObjectSizeGreaterThan>0</ObjectSizeGreaterThan>", MARKERS),
    ];
    assert_eq!(put(&s3, "data", &rules.concat()).await, "");
    let listed = async || {
        let mut keys = s3.get("/data?versions").await.ok().between("<Key>", "</Key>");
        keys.sort_unstable(); // Markers and versions are two lists.
        keys
    };
    cluster.advance(DAY * 2).unwrap();
    let young =
        ["covered/hidden", "covered/hidden", "covered/k", "covered/k", "else/alone", "else/k", "else/k"];
    assert_eq!(listed().await, young);
    cluster.advance(DAY * 3).unwrap();
    // The hidden version has gone, and with it the reason for its marker.
    assert_eq!(listed().await, ["covered/k", "else/alone", "else/k", "else/k"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_does_not_keep_an_object_from_being_hidden() {
    let (cluster, _, s3) = start().await;
    versioned(&s3).await;
    let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
        <Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>9</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    s3.send("PUT", "/data?object-lock", &[], lock).await.ok();
    let id = s3.put("/data/k", "x").await.ok().header("x-amz-version-id").to_owned();
    assert_eq!(put(&s3, "data", &rule("", &format!("{ONE_DAY}{OLD_VERSIONS}"))).await, "");
    cluster.advance(DAY * 4).unwrap();
    s3.get("/data/k").await.is(404, "NoSuchKey");
    s3.get(&format!("/data/k?versionId={id}")).await.ok();
    cluster.advance(DAY * 9).unwrap();
    s3.get(&format!("/data/k?versionId={id}")).await.is(404, "NoSuchVersion");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_configuration() {
    let (cluster, provisioned, s3) = start().await;
    let named =
        |id: &str| format!("<Rule><ID>{id}</ID><Status>Disabled</Status><Filter></Filter>{ONE_DAY}</Rule>");
    let sizes = |greater: u32, less: u32| {
        let filter = format!(
            "<And><ObjectSizeGreaterThan>{greater}</ObjectSizeGreaterThan><ObjectSizeLessThan>{less}</ObjectSizeLessThan></And>"
        );
        rule(&filter, ONE_DAY)
    };
    let tag = "<Tag><Key>a</Key><Value>b</Value></Tag>";
    let many = |n: usize| (0..n).map(|k| named(&k.to_string())).collect::<String>();
    for (rules, code) in [
        (named(&"i".repeat(255)), ""),
        (named(&"i".repeat(256)), "InvalidArgument"),
        (sizes(5, 7), ""),
        (sizes(5, 6), "InvalidRequest"),
        (sizes(9, 2), "InvalidRequest"),
        (rule("", UPLOADS), ""),
        (rule(tag, UPLOADS), "InvalidRequest"),
        (rule("<ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>", UPLOADS), "InvalidRequest"),
        (rule("<ObjectSizeLessThan>9</ObjectSizeLessThan>", UPLOADS), "InvalidRequest"),
        (
            rule("", "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"),
            "NotImplemented",
        ),
        (
            rule(
                "",
                "<NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition>",
            ),
            "NotImplemented",
        ),
        (many(1001), "MalformedXML"),
        (many(1000), ""),
    ] {
        assert_eq!(put(&s3, "data", &rules).await, code, "{}", &rules[..rules.len().min(300)]);
    }
    assert_eq!(
        s3.get("/data?lifecycle").await.ok().text().matches("<Status>Disabled</Status>").count(),
        1000
    );

    // Two rules without a name have different ones; what is switched off and what is not can be told apart.
    let off = rule("", ONE_DAY).replace("Enabled", "Disabled");
    assert_eq!(put(&s3, "data", &format!("{}{off}", rule("", OLD_VERSIONS))).await, "");
    let shown = s3.get("/data?lifecycle").await.ok();
    let mut ids = shown.between("<ID>", "</ID>");
    ids.dedup();
    assert_eq!(ids.len(), 2);
    let mut states = shown.between("<Status>", "</Status>");
    states.sort();
    assert_eq!(states, ["Disabled", "Enabled"]);
    let row = json!({ "name": "by rest", "view_id": provisioned.view_id, "tags": { "a": "b" }, "max_size": 9, "expiration_days": 1 });
    s3.delete("/data?lifecycle").await.ok();
    cluster.create("s3lifecyclerules", &row).unwrap();
    let shown = s3.get("/data?lifecycle").await.ok().text();
    for part in ["<ObjectSizeLessThan>10</ObjectSizeLessThan>", "<Key>a</Key><Value>b</Value>"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("GreaterThan"), "{shown}");
    let rows = cluster.vms("GET", "s3lifecyclerules", &Value::Null).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    cluster.stop().await;
}
