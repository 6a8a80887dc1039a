//! Rules at their very edge: the last moment that counts and the first that does not, on a clock that stands.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use vast_sim::{Cluster, Config, KeyPair, SignatureRules, SignatureV2, SimClock};

use crate::client::{S3, start_with};
use crate::signing::Signer;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// A clock that stands at a whole second.
fn standing() -> (Config, SystemTime) {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let signatures = SignatureRules { forgive_advances: false, ..SignatureRules::default() };
    (Config { clock: Arc::new(SimClock::frozen_at(now)), signatures, ..Config::default() }, now)
}

#[tokio::test]
async fn a_signed_date_counts_to_the_second() {
    let (config, now) = standing();
    let (cluster, data, _) = start_with(config, None).await;
    let signer = Signer::new(&cluster, &data.keys);
    let quarter = Duration::from_mins(15);
    for (time, code) in [
        (now - quarter, "NoSuchKey"),
        (now + quarter, "NoSuchKey"),
        (now - quarter - SECOND, "RequestTimeTooSkewed"),
        (now + quarter + SECOND, "RequestTimeTooSkewed"),
    ] {
        assert_eq!(signer.at(time).header("GET", "/data/k", b"").await.code(), code);
        assert_eq!(signer.at(time).v2("GET", "/data/k", "/data/k", b"").await.code(), code);
    }
}

#[tokio::test]
async fn a_presigned_request_holds_through_its_last_second() {
    let (config, now) = standing();
    let (cluster, data, _) = start_with(config, None).await;
    let signer = Signer::new(&cluster, &data.keys).at(now);
    let minute = Duration::from_mins(1);
    let (v4, v2) = (signer.presign("GET", "/data/k", minute), signer.presign_v2("GET", "/data/k", minute));
    // A signer whose clock is ahead signs for later.
    let ahead = |by| signer.at(now + by).presign("GET", "/data/k", minute);
    signer.bare("GET", &ahead(Duration::from_mins(15)), &[], b"").await.is(404, "NoSuchKey");
    signer.bare("GET", &ahead(Duration::from_mins(16)), &[], b"").await.is(403, "RequestTimeTooSkewed");
    // The longest life is a week.
    let long = signer.presign("GET", "/data/k", DAY * 7);
    signer.bare("GET", &long, &[], b"").await.is(404, "NoSuchKey");
    let longer = long.replace("X-Amz-Expires=604800", "X-Amz-Expires=604801");
    assert_ne!(longer, long);
    signer.bare("GET", &longer, &[], b"").await.is(400, "AuthorizationQueryParametersError");

    cluster.advance(minute).unwrap();
    signer.bare("GET", &v4, &[], b"").await.is(404, "NoSuchKey");
    signer.bare("GET", &v2, &[], b"").await.is(404, "NoSuchKey");
    cluster.advance(SECOND).unwrap();
    signer.bare("GET", &v4, &[], b"").await.is(403, "AccessDenied");
    signer.bare("GET", &v2, &[], b"").await.is(403, "AccessDenied");
}

#[tokio::test]
async fn presigned_requests_of_version_2_are_verified_and_can_be_refused() {
    let (cluster, data, _) = start_with(Config::default(), None).await;
    let minute = Duration::from_mins(1);
    let forged = KeyPair { secret_key: "another secret".to_owned(), ..data.keys.clone() };
    let forger = Signer::new(&cluster, &forged);
    let url = forger.presign_v2("GET", "/data/k", minute);
    forger.bare("GET", &url, &[], b"").await.is(403, "SignatureDoesNotMatch");
    // A parameter of that name alone is no signature.
    forger.bare("GET", "/data/k?Signature=x", &[], b"").await.is(403, "AccessDenied");
    forger.bare("GET", "/data/k?AWSAccessKeyId=x", &[], b"").await.is(403, "AccessDenied");

    let off = SignatureRules { v2: SignatureV2::Refuse, ..SignatureRules::default() };
    let (cluster, data, _) = start_with(Config { signatures: off, ..Config::default() }, None).await;
    let signer = Signer::new(&cluster, &data.keys);
    let url = signer.presign_v2("GET", "/data/k", minute);
    signer.bare("GET", &url, &[], b"").await.is(400, "InvalidRequest");
}

/// A bucket `worm` with locks, and a client of its owner.
fn worm(cluster: &Cluster, keys: &KeyPair, fields: &Value) -> (u64, S3) {
    let mut view = json!({ "path": "/w", "policy_id": 2, "protocols": ["S3"], "bucket": "worm",
        "bucket_owner": "data-owner", "create_dir": true, "locking": true, "s3_versioning": true });
    view.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let id = cluster.create("views", &view).unwrap()["id"].as_u64().unwrap();
    (id, S3::new(cluster, keys))
}

fn stamp(time: SystemTime) -> String {
    format!("{:.0}", jiff::Timestamp::try_from(time).unwrap())
}

#[tokio::test]
async fn a_retention_lies_within_the_limits_of_its_view() {
    let (config, now) = standing();
    let (cluster, data, _) = start_with(config, None).await;
    let limits = json!({ "min_retention_period": "2h", "max_retention_period": "3d" });
    let (_, s3) = worm(&cluster, &data.keys, &limits);
    for (until, code) in [
        (Duration::from_hours(2), ""),
        (Duration::from_secs(2 * 3600 - 1), "InvalidArgument"),
        (DAY * 3, ""),
        (DAY * 3 + SECOND, "InvalidArgument"),
    ] {
        let until = stamp(now + until);
        let lock = [
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-object-lock-retain-until-date", until.as_str()),
        ];
        assert_eq!(s3.send("PUT", "/worm/k", &lock, "x").await.code(), code, "{until}");
    }
}

#[tokio::test]
async fn a_retention_ends_after_now_and_may_be_said_again() {
    let (config, now) = standing();
    let (cluster, data, _) = start_with(config, None).await;
    let (_, s3) = worm(&cluster, &data.keys, &json!({}));
    s3.put("/worm/k", "x").await.ok();
    let set = async |until: SystemTime, headers: &[(&str, &str)]| {
        let until = stamp(until);
        let retention = format!(
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        );
        s3.send("PUT", "/worm/k?retention", headers, retention).await
    };
    set(now, &[]).await.is(400, "InvalidArgument");
    set(now + DAY, &[]).await.ok();
    set(now + DAY, &[]).await.ok();
    set(now + DAY - SECOND, &[]).await.is(403, "AccessDenied");
    // A hold set together with the object.
    s3.send("PUT", "/worm/held", &[("x-amz-object-lock-legal-hold", "ON")], "x").await.ok();
    assert_eq!(s3.head("/worm/held").await.header("x-amz-object-lock-legal-hold"), "ON");

    // Lifting takes the header and the permission.
    let keys = cluster.create_user("anna").unwrap().1;
    let anna = S3::new(&cluster, &keys);
    let allow = |actions: Value| {
        json!({ "Statement": [{ "Effect": "Allow", "Principal": "*", "Action": actions,
            "Resource": ["arn:aws:s3:::worm", "arn:aws:s3:::worm/*"] }] })
    };
    let version = s3.head("/worm/k").await.header("x-amz-version-id").to_owned();
    let at = format!("/worm/k?versionId={version}");
    let lift = [("x-amz-bypass-governance-retention", "true")];
    let without = allow(json!(["s3:DeleteObject*", "s3:Get*", "s3:PutObject*"]));
    s3.send("PUT", "/worm?policy", &[], without.to_string()).await.ok();
    anna.send("DELETE", &at, &lift, "").await.is(403, "AccessDenied");
    s3.send("PUT", "/worm?policy", &[], allow(json!("s3:*")).to_string()).await.ok();
    anna.send("DELETE", &at, &[("x-amz-bypass-governance-retention", "false")], "")
        .await
        .is(403, "AccessDenied");
    anna.send("DELETE", &at, &lift, "").await.ok();
}

#[tokio::test]
async fn a_default_retention_is_shown_as_it_was_set() {
    let (cluster, data, _) = start_with(Config::default(), None).await;
    let (view, s3) = worm(&cluster, &data.keys, &json!({}));
    let set = async |period: &str| {
        let document = format!(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
             <Mode>GOVERNANCE</Mode>{period}</DefaultRetention></Rule></ObjectLockConfiguration>"
        );
        s3.send("PUT", "/worm?object-lock", &[], document).await
    };
    let shown = async || {
        let text = s3.get("/worm?object-lock").await.ok().text();
        let from = text.find("<DefaultRetention>").unwrap();
        text[from..].replace("<Mode>GOVERNANCE</Mode>", "").replace("<DefaultRetention>", "")
    };
    for period in ["<Days>1</Days>", "<Years>2</Years>", "<Days>365</Days>", "<Days>366</Days>"] {
        set(period).await.ok();
        assert!(shown().await.starts_with(&format!("{period}</")), "{period}: {}", shown().await);
    }
    set("<Days>0</Days>").await.is(400, "InvalidArgument");
    set("<Years>-1</Years>").await.is(400, "InvalidArgument");
    set("<Days>1</Days><Years>1</Years>").await.is(400, "MalformedXML");
    // Periods of a view that S3 has no words for are rounded up.
    for (period, days) in [("36h", 2), ("24h", 1), ("10m", 1)] {
        let fields = json!({ "default_retention_period": period });
        cluster.vms("PATCH", &format!("views/{view}"), &fields).unwrap();
        assert!(shown().await.starts_with(&format!("<Days>{days}</Days></")), "{period}");
    }
}

#[tokio::test]
async fn what_was_not_modified_says_which_version_it_is() {
    let (_cluster, _, s3) = start_with(Config::default(), None).await;
    s3.put("/data/k", "x").await.ok();
    let head = s3.head("/data/k").await.ok();
    let (etag, modified) = (head.header("etag"), head.header("last-modified"));
    for condition in [("if-none-match", etag), ("if-modified-since", modified)] {
        let reply = s3.send("GET", "/data/k", &[condition], "").await;
        assert_eq!((reply.status.as_u16(), reply.header("etag")), (304, etag), "{condition:?}");
        let copy = [("x-amz-copy-source", "data/k"), ("x-amz-copy-source-if-none-match", etag)];
        s3.send("PUT", "/data/l", &copy, "").await.is(412, "PreconditionFailed");
    }
    s3.send("GET", "/data/k", &[("if-unmodified-since", modified)], "").await.ok();
}
