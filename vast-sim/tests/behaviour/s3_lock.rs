//! Object lock: what may not be deleted is not deleted, until the cluster's clock says so.

use std::time::Duration;

use serde_json::json;
use vast_sim::{Cluster, Config};

use crate::client::{S3, start};
use crate::s3_versions::versioned;

const LOCKED: &str = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
    <Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>2</Days></DefaultRetention></Rule></ObjectLockConfiguration>";

const DAY: Duration = Duration::from_hours(24);

/// A time ahead on the cluster's clock, as the protocol writes it. Only for clusters whose clock was not advanced.
fn ahead(by: Duration) -> String {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::try_from(by).unwrap();
    format!("{at:.0}")
}

fn retention(mode: &str, until: &str) -> String {
    format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>")
}

async fn version(s3: &S3, key: &str, headers: &[(&str, &str)]) -> String {
    s3.send("PUT", &format!("/data/{key}"), headers, "x").await.ok().header("x-amz-version-id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_retention_holds_until_its_time() {
    let (cluster, provisioned, s3) = start().await;
    s3.get("/data?object-lock").await.is(404, "ObjectLockConfigurationNotFoundError");
    s3.send("PUT", "/data?object-lock", &[], LOCKED).await.is(409, "InvalidBucketState");
    s3.put("/data/old", "x").await.ok();
    let asks = [("x-amz-object-lock-legal-hold", "ON")];
    s3.send("PUT", "/data/no", &asks, "x").await.is(400, "InvalidRequest");
    versioned(&s3).await;
    s3.send("PUT", "/data?object-lock", &[], LOCKED).await.ok();
    let shown = s3.get("/data?object-lock").await.ok().text();
    assert!(shown.contains("<Mode>GOVERNANCE</Mode>") && shown.contains("<Days>2</Days>"), "{shown}");
    let view = cluster.vms("GET", &format!("views/{}", provisioned.view_id), &json!(null)).unwrap();
    assert_eq!(
        (&view["locking"], &view["s3_locks_retention_mode"], &view["default_retention_period"]),
        (&json!(true), &json!("GOVERNANCE"), &json!("2d"))
    );

    let id = version(&s3, "k", &[]).await;
    let at = format!("/data/k?versionId={id}");
    let head = s3.head("/data/k").await;
    assert_eq!(head.header("x-amz-object-lock-mode"), "GOVERNANCE");
    assert!(!head.header("x-amz-object-lock-retain-until-date").is_empty());
    s3.delete(&at).await.is(403, "AccessDenied");
    assert_eq!(s3.delete("/data/k").await.status, 204, "a delete marker hides, it destroys nothing");
    let many = format!("<Delete><Object><Key>k</Key><VersionId>{id}</VersionId></Object></Delete>");
    let reply = s3.send("POST", "/data?delete", &[], many).await.ok();
    assert_eq!(reply.between("<Code>", "</Code>"), ["AccessDenied"]);
    assert_eq!(s3.get(&at).await.ok().text(), "x");
    s3.delete("/data/old?versionId=null").await.ok();
    s3.get("/data/old").await.is(404, "NoSuchKey");
    let rename = [("x-amz-copy-source", at.as_str()), ("x-amz-copy-disposition", "replace")];
    s3.send("PUT", "/data/r", &rename, "").await.is(403, "AccessDenied");

    cluster.advance(DAY).unwrap();
    s3.delete(&at).await.is(403, "AccessDenied");
    cluster.advance(DAY).unwrap();
    s3.delete(&at).await.ok();
    s3.get(&at).await.is(404, "NoSuchVersion");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn governance_can_be_lifted_and_compliance_cannot() {
    let (cluster, _, s3) = start().await;
    versioned(&s3).await;
    let plain =
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
    s3.send("PUT", "/data?object-lock", &[], plain).await.ok();
    let (near, far) = (ahead(DAY), ahead(DAY * 10));
    let lift = [("x-amz-bypass-governance-retention", "true")];

    let lock =
        [("x-amz-object-lock-mode", "GOVERNANCE"), ("x-amz-object-lock-retain-until-date", far.as_str())];
    let governed = version(&s3, "g", &lock).await;
    let at = |key: &str, id: &str| format!("/data/{key}?versionId={id}");
    let rule = |key: &str, id: &str| format!("/data/{key}?retention&versionId={id}");
    let put = |path: String, headers: Vec<(&'static str, &'static str)>, body: String| {
        let s3 = s3.clone();
        async move { s3.send("PUT", &path, &headers, body).await }
    };
    put(rule("g", &governed), vec![], retention("GOVERNANCE", &near)).await.is(403, "AccessDenied");
    put(rule("g", &governed), lift.to_vec(), retention("GOVERNANCE", &near)).await.ok();
    s3.delete(&at("g", &governed)).await.is(403, "AccessDenied");
    s3.send("DELETE", &at("g", &governed), &lift, "").await.ok();

    let lock =
        [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", near.as_str())];
    let kept = version(&s3, "c", &lock).await;
    s3.send("DELETE", &at("c", &kept), &lift, "").await.is(403, "AccessDenied");
    put(rule("c", &kept), lift.to_vec(), "<Retention></Retention>".into()).await.is(403, "AccessDenied");
    put(rule("c", &kept), lift.to_vec(), retention("GOVERNANCE", &far)).await.is(403, "AccessDenied");
    put(rule("c", &kept), vec![], retention("COMPLIANCE", &far)).await.ok();
    assert!(s3.get(&rule("c", &kept)).await.ok().text().contains("<Mode>COMPLIANCE</Mode>"));
    put(rule("c", &kept), lift.to_vec(), retention("COMPLIANCE", &near)).await.is(403, "AccessDenied");
    put(rule("c", &kept), vec![], retention("SOMETIMES", &far)).await.is(400, "InvalidArgument");
    let past = "2001-01-01T00:00:00Z";
    put(rule("c", &kept), vec![], retention("COMPLIANCE", past)).await.is(400, "InvalidArgument");
    let half = [("x-amz-object-lock-mode", "COMPLIANCE")];
    s3.send("PUT", "/data/h", &half, "x").await.is(400, "InvalidArgument");
    cluster.advance(DAY * 11).unwrap();
    s3.delete(&at("c", &kept)).await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legal_hold_has_no_end() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/plain", "x").await.ok();
    s3.get("/data/plain?legal-hold").await.is(400, "InvalidRequest");
    versioned(&s3).await;
    s3.send("PUT", "/data?object-lock", &[], LOCKED).await.ok();
    let id = version(&s3, "k", &[]).await;
    s3.get("/data/k?legal-hold").await.is(404, "NoSuchObjectLockConfiguration");
    s3.get("/data/plain?retention").await.is(404, "NoSuchObjectLockConfiguration");
    let hold = |status: &str| format!("<LegalHold><Status>{status}</Status></LegalHold>");
    s3.send("PUT", "/data/k?legal-hold", &[], hold("MAYBE")).await.is(400, "MalformedXML");
    s3.send("PUT", "/data/k?legal-hold", &[], hold("ON")).await.ok();
    assert_eq!(s3.head("/data/k").await.header("x-amz-object-lock-legal-hold"), "ON");
    cluster.advance(DAY * 1000).unwrap();
    let at = format!("/data/k?versionId={id}");
    let lift = [("x-amz-bypass-governance-retention", "true")];
    s3.send("DELETE", &at, &lift, "").await.is(403, "AccessDenied");
    s3.send("PUT", "/data/k?legal-hold", &[], hold("OFF")).await.ok();
    assert!(s3.get("/data/k?legal-hold").await.ok().text().contains("<Status>OFF</Status>"));
    s3.delete(&at).await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_come_with_uploads_and_copies_and_within_the_views_limits() {
    let config = Config { min_part_size: 1, ..Config::default() };
    let (cluster, _, _) = crate::client::start_with(config, None).await;
    let view = json!({ "path": "/w", "policy_id": 2, "protocols": ["S3"], "bucket": "worm", "bucket_owner": "data-owner", "create_dir": true,
        "locking": true, "s3_versioning": true, "min_retention_period": "2h", "max_retention_period": "3d" });
    cluster.create("views", &view).unwrap();
    let keys = cluster.create_keys(cluster_user(&cluster)).unwrap();
    let s3 = S3::new(&cluster, &keys);
    let put = |until: String| {
        let s3 = s3.clone();
        async move {
            let lock = [
                ("x-amz-object-lock-mode", "COMPLIANCE"),
                ("x-amz-object-lock-retain-until-date", until.as_str()),
            ];
            s3.send("PUT", "/worm/k", &lock, "x").await
        }
    };
    put(ahead(Duration::from_hours(1))).await.is(400, "InvalidArgument");
    put(ahead(DAY * 4)).await.is(400, "InvalidArgument");
    put(ahead(DAY)).await.ok();
    let until = ahead(DAY);
    let lock =
        [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", until.as_str())];
    let created = s3.send("POST", "/worm/m?uploads", &lock, "").await.ok();
    let id = created.between("<UploadId>", "</UploadId>").remove(0);
    let etag = s3.part("/worm/m", &id, 1, "part").await.ok().header("etag").to_owned();
    let done = s3.complete("/worm/m", &id, &[(1, &etag)]).await.ok();
    let version = done.header("x-amz-version-id").to_owned();
    s3.delete(&format!("/worm/m?versionId={version}")).await.is(403, "AccessDenied");
    // A copy does not inherit the lock.
    let copy = s3.send("PUT", "/worm/c", &[("x-amz-copy-source", "/worm/m")], "").await.ok();
    let version = copy.header("x-amz-version-id").to_owned();
    s3.delete(&format!("/worm/c?versionId={version}")).await.ok();
    cluster.stop().await;
}

fn cluster_user(cluster: &Cluster) -> u64 {
    let users = cluster.vms("GET", "users", &serde_json::Value::Null).unwrap();
    let owner = users.as_array().unwrap().iter().find(|u| u["name"] == "data-owner").unwrap();
    owner["id"].as_u64().unwrap()
}
