//! Forms that browsers post.

use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use vast_sim::{Cluster, Config, KeyPair, SignatureRules, SignatureV2};

use crate::client::{Reply, start, start_with};
use crate::signing::Signer;

/// A form that is being filled in.
#[derive(Debug, Clone)]
struct Form {
    signer: Signer,
    keys: KeyPair,
    fields: Vec<(String, String)>,
    file: (String, Vec<u8>),
}

impl Form {
    fn new(cluster: &Cluster, keys: &KeyPair) -> Self {
        let file = ("C:\\tmp\\photo.jpg".to_owned(), b"123456789".to_vec());
        Self { signer: Signer::new(cluster, keys), keys: keys.clone(), fields: Vec::new(), file }
    }

    fn with(&self, name: &str, value: &str) -> Self {
        let mut form = self.clone();
        form.fields.retain(|(n, _)| n != name);
        form.fields.push((name.to_owned(), value.to_owned()));
        form
    }

    /// Signed by version 4, with a policy of these conditions beside those for the signature.
    fn signed(&self, conditions: &[Value], expires: SystemTime) -> Self {
        let date =
            jiff::Timestamp::try_from(self.signer.time).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string();
        let credential = format!("{}/{}/anywhere-1/s3/aws4_request", self.keys.access_key, &date[..8]);
        let fields = [
            ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", credential.as_str()),
            ("x-amz-date", date.as_str()),
        ];
        let mut conditions = conditions.to_vec();
        conditions.extend(fields.iter().map(|(name, value)| json!({ *name: value })));
        let policy = policy(&conditions, expires);
        let key = v4::generate_signing_key(&self.keys.secret_key, self.signer.time, "anywhere-1", "s3");
        let signature = v4::calculate_signature(key, policy.as_bytes());
        let form = fields.iter().fold(self.clone(), |form, (name, value)| form.with(name, value));
        form.with("policy", &policy).with("x-amz-signature", &signature)
    }

    /// The same by version 2.
    fn signed_v2(&self, conditions: &[Value], expires: SystemTime) -> Self {
        let policy = policy(conditions, expires);
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(self.keys.secret_key.as_bytes()).unwrap();
        mac.update(policy.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let form = self.with("AWSAccessKeyId", &self.keys.access_key);
        form.with("policy", &policy).with("signature", &signature)
    }

    async fn post(&self, path: &str) -> Reply {
        let mut body = Vec::new();
        for (name, value) in &self.fields {
            let part =
                format!("--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(part.into_bytes());
        }
        let (name, content) = &self.file;
        let head = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: image/jpeg\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend(content);
        // Browsers send their buttons, too; what is behind the file counts for nothing.
        let button =
            "\r\n--limit\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\nUpload\r\n--limit--\r\n";
        body.extend(button.as_bytes());
        let kind = [("content-type", "multipart/form-data; boundary=limit")];
        self.signer.bare("POST", path, &kind, &body).await
    }
}

fn policy(conditions: &[Value], expires: SystemTime) -> String {
    let expires = jiff::Timestamp::try_from(expires).unwrap().to_string();
    STANDARD.encode(json!({ "expiration": expires, "conditions": conditions }).to_string())
}

fn in_an_hour() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

fn usual() -> Vec<Value> {
    vec![json!({ "bucket": "data" }), json!(["starts-with", "$key", "img/"])]
}

#[tokio::test]
async fn a_form_puts_its_file_with_all_that_it_says() {
    let (cluster, data, s3) = start().await;
    let form = Form::new(&cluster, &data.keys).with("key", "img/${filename}");
    let tags = "<Tagging><TagSet><Tag><Key>a b</Key><Value>c+d=e</Value></Tag></TagSet></Tagging>";
    let mut conditions = usual();
    for field in ["x-amz-meta-from", "tagging", "cache-control", "success_action_status", "content-type"] {
        conditions.push(json!(["starts-with", format!("${field}"), ""]));
    }
    let full = form.with("x-amz-meta-from", "a form").with("tagging", tags).with("Cache-Control", "no-store");
    let taken = full.signed(&conditions, in_an_hour()).post("/data").await;
    assert_eq!((taken.status.as_u16(), taken.text().as_str()), (204, ""));
    assert_eq!(taken.header("etag"), "\"25f9e794323b453885f5181f1b624d0b\"");
    let location = format!("{}/data/img/photo.jpg", cluster.s3_urls()[0]);
    assert_eq!(taken.header("location"), location);
    let got = s3.get("/data/img/photo.jpg").await.ok();
    assert_eq!((got.text().as_str(), got.header("x-amz-meta-from")), ("123456789", "a form"));
    assert_eq!((got.header("cache-control"), got.header("content-type")), ("no-store", "image/jpeg"));
    let tagged = s3.get("/data/img/photo.jpg?tagging").await.ok();
    assert!(tagged.text().contains("<Key>a b</Key><Value>c+d=e</Value>"), "{}", tagged.text());
    assert_eq!(cluster.counters().operation("PostObject").requests, 1);

    // The answer is as the form wants it.
    let answered = async |status: &str| {
        let form = form.with("success_action_status", status).with("content-type", "text/own");
        form.signed(&conditions, in_an_hour()).post("/data").await
    };
    assert_eq!(answered("200").await.status, 200);
    assert_eq!(answered("418").await.status, 204);
    let created = answered("201").await;
    assert_eq!((created.status.as_u16(), created.header("content-type")), (201, "application/xml"));
    assert_eq!(created.between("<Location>", "</Location>"), [location]);
    assert_eq!(created.between("<Key>", "</Key>"), ["img/photo.jpg"]);
    assert_eq!(created.between("<ETag>", "</ETag>"), ["&quot;25f9e794323b453885f5181f1b624d0b&quot;"]);
    assert_eq!(s3.head("/data/img/photo.jpg").await.ok().header("content-type"), "text/own");
    conditions.push(json!(["eq", "$success_action_redirect", "https://shop.example/done?a=1"]));
    let redirected = form.with("success_action_redirect", "https://shop.example/done?a=1");
    let redirected = redirected.signed(&conditions, in_an_hour()).post("/data").await;
    assert_eq!(redirected.status, 303);
    let to = "https://shop.example/done?a=1&bucket=data&key=img%2Fphoto.jpg&etag=%2225f9e794323b453885f5181f1b624d0b%22";
    assert_eq!(redirected.header("location"), to);

    // The host may name the bucket.
    let mut hosted = form.signed(&usual(), in_an_hour());
    hosted.signer = hosted.signer.host("data.s3.vast-sim.test");
    let taken = hosted.post("/").await;
    assert_eq!(
        (taken.status.as_u16(), taken.header("location")),
        (204, "http://data.s3.vast-sim.test/img/photo.jpg")
    );
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_refused() {
    let (cluster, data, s3) = start().await;
    let form = Form::new(&cluster, &data.keys).with("key", "img/a");
    let refused = async |form: &Form, conditions: &[Value], status: u16, code: &str, why: &str| {
        let reply = form.signed(conditions, in_an_hour()).post("/data").await.is(status, code);
        assert!(reply.text().contains(why), "{}", reply.text());
    };
    refused(&form.with("key", "doc/a"), &usual(), 403, "AccessDenied", "Policy Condition failed").await;
    refused(&form, &[json!({ "bucket": "other" }), json!({ "key": "img/a" })], 403, "AccessDenied", "bucket")
        .await;
    refused(&form.with("acl", "private"), &usual(), 403, "AccessDenied", "Extra input fields: acl").await;
    refused(&form, &[json!(["contains", "$key", "a"])], 400, "InvalidPolicyDocument", "Invalid condition")
        .await;
    let length =
        |least: u64, most: u64| [usual(), vec![json!(["content-length-range", least, most])]].concat();
    refused(&form, &length(10, 20), 400, "EntityTooSmall", "<MinSizeAllowed>10<").await;
    refused(&form, &length(0, 8), 400, "EntityTooLarge", "<MaxSizeAllowed>8<").await;
    refused(&form.with("key", ""), &usual(), 400, "InvalidArgument", "greater than 0").await;
    let ignored = form.with("x-ignore-me", "1").signed(&length(9, 9), in_an_hour());
    assert_eq!(ignored.post("/data").await.status, 204);
    s3.delete("/data/img/a").await.ok();

    // By the cluster's clock, not the machine's.
    let good = form.signed(&usual(), in_an_hour());
    good.clone().with("policy", "e30=").post("/data").await.is(403, "SignatureDoesNotMatch");
    good.clone().with("x-amz-signature", "zz").post("/data").await.is(403, "SignatureDoesNotMatch");
    good.with("x-amz-credential", "X/20260101/r/s3/aws4_request")
        .post("/data")
        .await
        .is(403, "InvalidAccessKeyId");
    cluster.advance(Duration::from_hours(2)).unwrap();
    let late = good.post("/data").await.is(403, "AccessDenied");
    assert!(late.text().contains("Policy expired"), "{}", late.text());
    s3.get("/data/img/a").await.is(404, "NoSuchKey");

    // Without any signature: nobody, who may not.
    Form::new(&cluster, &data.keys).with("key", "img/a").post("/data").await.is(403, "AccessDenied");
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    good.signer.bare("POST", "/data", &kind, b"key=a").await.is(412, "PreconditionFailed");
    let cut = [("content-type", "multipart/form-data; boundary=limit")];
    good.signer.bare("POST", "/data", &cut, b"--limit\r\nContent-Dis").await.is(400, "IncompleteBody");
}

#[tokio::test]
async fn version_2_forms_follow_the_same_switch_as_other_requests() {
    let (cluster, data, s3) = start().await;
    let form = Form::new(&cluster, &data.keys).with("key", "img/a");
    let good = form.signed_v2(&usual(), in_an_hour());
    assert_eq!(good.post("/data").await.status, 204);
    assert_eq!(s3.get("/data/img/a").await.ok().text(), "123456789");
    good.with("signature", "AAAA").post("/data").await.is(403, "SignatureDoesNotMatch");
    let past = SystemTime::now() - Duration::from_secs(1);
    form.signed_v2(&usual(), past).post("/data").await.is(403, "AccessDenied");

    let off = SignatureRules { v2: SignatureV2::Refuse, ..SignatureRules::default() };
    let (cluster, data, _) = start_with(Config { signatures: off, ..Config::default() }, None).await;
    let form = Form::new(&cluster, &data.keys).with("key", "img/a");
    form.signed_v2(&usual(), in_an_hour()).post("/data").await.is(400, "InvalidRequest");
    assert_eq!(form.signed(&usual(), in_an_hour()).post("/data").await.status, 204);
}
