//! Who may do what: policies of users and buckets, lists, hosts, tenants, and requests without a signature.

use bytes::Bytes;
use serde_json::{Value, json};
use vast_sim::{Cluster, Provisioned};

use crate::client::{S3, start};
use crate::signing::Signer;

/// A second user of the cluster.
fn user(cluster: &Cluster, name: &str) -> (u64, S3) {
    let (id, keys) = cluster.create_user(name).unwrap();
    (id, S3::new(cluster, &keys))
}

fn bucket_policy(
    effect: &str,
    principal: &Value,
    actions: &Value,
    resource: &str,
    condition: &Value,
) -> String {
    let mut statement = json!({ "Effect": effect, "Principal": principal, "Action": actions,
        "Resource": [format!("arn:aws:s3:::{resource}"), format!("arn:aws:s3:::{resource}/*")] });
    if !condition.is_null() {
        statement["Condition"] = condition.clone();
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

async fn set_policy(owner: &S3, policy: String) {
    assert_eq!(owner.send("PUT", "/data?policy", &[], policy).await.ok().status, 204);
}

fn patch_view(cluster: &Cluster, data: &Provisioned, fields: &Value) {
    cluster.vms("PATCH", &format!("views/{}", data.view_id), fields).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_policies_allow_and_deny() {
    let (cluster, _, owner) = start().await;
    let (_, anna) = user(&cluster, "anna");
    owner.put("/data/k", "x").await.ok();
    owner.get("/data?policy").await.is(404, "NoSuchBucketPolicy");
    anna.get("/data/k").await.is(403, "AccessDenied");

    let principal = json!({ "AWS": "arn:aws:iam::123456789012:user/anna" });
    let policy =
        bucket_policy("Allow", &principal, &json!(["s3:GetObject", "s3:ListBucket"]), "data", &Value::Null);
    set_policy(&owner, policy.clone()).await;
    assert_eq!(owner.get("/data?policy").await.ok().text(), policy);
    let status = owner.get("/data?policyStatus").await.ok();
    assert_eq!(status.between("<IsPublic>", "</IsPublic>"), ["false"]);
    anna.get("/data/k").await.ok();
    anna.get("/data?list-type=2").await.ok();
    assert!(anna.get("/").await.ok().text().contains("<Name>data</Name>"));
    anna.put("/data/k", "y").await.is(403, "AccessDenied");
    anna.delete("/data/k").await.is(403, "AccessDenied");
    anna.get("/data?policy").await.is(403, "AccessDenied");

    // A denial binds the owner too, but not about the policy itself.
    set_policy(&owner, bucket_policy("Deny", &json!("*"), &json!("s3:*"), "data", &Value::Null)).await;
    owner.get("/data/k").await.is(403, "AccessDenied");
    anna.get("/data/k").await.is(403, "AccessDenied");
    owner.send("DELETE", "/data?policy", &[], "").await.ok();
    owner.get("/data/k").await.ok();

    let malformed = bucket_policy("Allow", &principal, &json!("s3:*"), "other", &Value::Null);
    owner.send("PUT", "/data?policy", &[], malformed).await.is(400, "MalformedPolicy");
    owner.send("PUT", "/data?policy", &[], "{").await.is(400, "MalformedPolicy");
    for unknown in ["s3:GetObjekt", "s3:Fetch*", "s3:"] {
        let actions = json!(["s3:GetObject", unknown]);
        let policy = bucket_policy("Allow", &principal, &actions, "data", &Value::Null);
        owner.send("PUT", "/data?policy", &[], policy).await.is(400, "MalformedPolicy");
    }
    let actions = json!(["s3:getobject", "s3:PutAccelerateConfiguration", "s3:*Acl", "*"]);
    set_policy(&owner, bucket_policy("Allow", &principal, &actions, "data", &Value::Null)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_look_at_the_request() {
    let (cluster, _, owner) = start().await;
    let (_, anna) = user(&cluster, "anna");
    let all = json!("*");
    let list = |condition: Value| bucket_policy("Allow", &all, &json!("s3:ListBucket"), "data", &condition);
    set_policy(&owner, list(json!({ "StringLike": { "s3:prefix": "home/${aws:username}/*" } }))).await;
    anna.get("/data?list-type=2&prefix=home%2Fanna%2F").await.ok();
    anna.get("/data?list-type=2&prefix=home%2Fberta%2F").await.is(403, "AccessDenied");
    anna.get("/data?list-type=2").await.is(403, "AccessDenied");

    // Clients come from 127.0.0.0/8, in the clear or not.
    set_policy(&owner, list(json!({ "IpAddress": { "aws:SourceIp": "127.0.0.0/8" } }))).await;
    anna.get("/data").await.ok();
    set_policy(&owner, list(json!({ "NotIpAddress": { "aws:SourceIp": "127.0.0.0/8" } }))).await;
    anna.get("/data").await.is(403, "AccessDenied");
    set_policy(&owner, list(json!({ "Bool": { "aws:SecureTransport": "true" } }))).await;
    anna.get("/data").await.is(403, "AccessDenied");
    let secure = S3 { ca_pem: Some(cluster.ca_pem().to_owned()), ..anna.on(&cluster.s3_tls_urls()[1]) };
    secure.get("/data").await.ok();

    // Until a moment on the cluster's clock.
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    set_policy(&owner, list(json!({ "DateLessThan": { "aws:CurrentTime": tomorrow.to_string() } }))).await;
    anna.get("/data").await.ok();
    cluster.advance(std::time::Duration::from_hours(25)).unwrap();
    anna.get("/data").await.is(403, "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_policies_of_users_and_groups() {
    let (cluster, _, owner) = start().await;
    owner.put("/data/k", "x").await.ok();
    let (id, anna) = user(&cluster, "anna");
    let policy = |name: &str, statement: Value| {
        let text = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        cluster.create("s3policies", &json!({ "name": name, "policy": text })).unwrap()["id"].clone()
    };
    let read =
        policy("read", json!({ "Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::data/*" }));
    let make = policy("make", json!({ "Effect": "Allow", "Action": "s3:CreateBucket", "Resource": "*" }));
    let never = policy("never", json!({ "Effect": "Deny", "Action": "s3:GetObject", "Resource": "*" }));
    let patch = |path: String, fields: Value| cluster.vms("PATCH", &path, &fields).unwrap();

    patch(format!("users/{id}"), json!({ "s3_policies_ids": [read, make] }));
    anna.get("/data/k").await.ok();
    anna.put("/data/k", "").await.is(403, "AccessDenied");
    anna.put("/annas", "").await.ok();
    let shown = cluster.vms("GET", &format!("s3policies/{read}"), &Value::Null).unwrap();
    assert_eq!(shown["users"], json!(["anna"]));

    // The group's policy denies, and that wins.
    let group = json!({ "name": "ops", "gid": 700, "local_provider_id": 1, "s3_policies_ids": [never] });
    cluster.create("groups", &group).unwrap();
    patch(format!("users/{id}"), json!({ "gids": [700] }));
    anna.get("/data/k").await.is(403, "AccessDenied");
    patch(format!("s3policies/{never}"), json!({ "enabled": false }));
    anna.get("/data/k").await.ok();
    // Also over a superuser.
    patch(format!("s3policies/{never}"), json!({ "enabled": true }));
    patch(format!("users/{id}"), json!({ "s3_superuser": true }));
    anna.get("/data/k").await.is(403, "AccessDenied");
    anna.put("/data/k2", "").await.ok();

    let refused = cluster.create("s3policies", &json!({ "name": "bad", "policy": "{}" })).unwrap_err();
    assert_eq!(refused.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_buckets_and_objects() {
    let (cluster, _, owner) = start().await;
    let (_, anna) = user(&cluster, "anna");
    owner.put("/data/k", "x").await.ok();
    let acl = owner.get("/data?acl").await.ok();
    assert_eq!(acl.between("<Permission>", "</Permission>"), ["FULL_CONTROL"]);
    anna.get("/data?acl").await.is(403, "AccessDenied");

    // One object for everybody who signs.
    owner.send("PUT", "/data/k?acl", &[("x-amz-acl", "authenticated-read")], "").await.ok();
    anna.get("/data/k").await.ok();
    anna.put("/data/k", "").await.is(403, "AccessDenied");
    let shown = owner.get("/data/k?acl").await.ok();
    assert_eq!(shown.between("<Permission>", "</Permission>"), ["FULL_CONTROL", "READ"]);
    // The bucket for anna, by name.
    owner.send("PUT", "/data?acl", &[("x-amz-grant-write", "id=\"anna\"")], "").await.ok();
    anna.put("/data/annas", "y").await.ok();
    anna.get("/data/annas").await.ok();
    anna.get("/data?list-type=2").await.is(403, "AccessDenied");
    // By a document.
    let document = "<AccessControlPolicy><Owner><ID>data-owner</ID></Owner><AccessControlList><Grant>\
        <Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"><ID>anna</ID></Grantee>\
        <Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>";
    owner.send("PUT", "/data?acl", &[], document).await.ok();
    anna.get("/data?list-type=2").await.ok();
    anna.put("/data/annas", "y").await.is(403, "AccessDenied");

    // Where only the bucket's owner owns, lists do not count.
    let enforced = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
    owner.get("/data?ownershipControls").await.is(404, "OwnershipControlsNotFoundError");
    owner.send("PUT", "/data?ownershipControls", &[], enforced).await.ok();
    anna.get("/data/k").await.is(403, "AccessDenied");
    owner
        .send("PUT", "/data?acl", &[("x-amz-acl", "public-read")], "")
        .await
        .is(400, "AccessControlListNotSupported");
    owner.send("DELETE", "/data?ownershipControls", &[], "").await.ok();
    anna.get("/data/k").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_requests_where_the_view_admits_them() {
    let (cluster, data, owner) = start().await;
    let nobody = Signer::new(&cluster, &data.keys);
    owner.put("/data/k", "x").await.ok();
    owner.send("PUT", "/data/k?acl", &[("x-amz-acl", "public-read")], "").await.ok();
    nobody.bare("GET", "/data/k", &[], b"").await.is(403, "AccessDenied");
    patch_view(&cluster, &data, &json!({ "allow_s3_anonymous_access": true }));
    assert_eq!(nobody.bare("GET", "/data/k", &[], b"").await.ok().text(), "x");
    nobody.bare("PUT", "/data/l", &[], b"y").await.is(403, "AccessDenied");
    nobody.bare("GET", "/data", &[], b"").await.is(403, "AccessDenied");
    nobody.bare("GET", "/", &[], b"").await.is(403, "AccessDenied");
    nobody.bare("GET", "/no-such-bucket", &[], b"").await.is(403, "AccessDenied");

    // A drop box for everybody, also for clients that frame their bodies.
    let drop = bucket_policy("Allow", &json!("*"), &json!("s3:PutObject"), "data", &Value::Null);
    set_policy(&owner, drop).await;
    nobody.bare("PUT", "/data/l", &[], b"y").await.ok();
    let framed = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "9"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ];
    let body = b"9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
    nobody.bare("PUT", "/data/framed", &framed, body).await.ok();
    assert_eq!(owner.get("/data/framed").await.ok().text(), "123456789");
    let wrong = b"9\r\n123456788\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
    nobody.bare("PUT", "/data/framed", &framed, wrong).await.is(400, "BadDigest");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_of_the_views_policy() {
    let (cluster, data, owner) = start().await;
    owner.put("/data/k", "x").await.ok();
    let policy = |name: &str, write: &[&str], read: &[&str]| {
        let body =
            json!({ "name": name, "flavor": "S3_NATIVE", "s3_read_write": write, "s3_read_only": read });
        cluster.create("viewpolicies", &body).unwrap()["id"].clone()
    };
    for (name, write, read, reads, writes) in [
        ("all", &["*"][..], &[][..], true, true),
        ("elsewhere", &["10.0.0.0/8"], &[], false, false),
        ("read", &["10.0.0.0/8"], &["127.0.0.1-127.0.0.99"], true, false),
        ("one", &["127.0.0.1", "127.0.0.11"], &["*"], true, true),
    ] {
        patch_view(&cluster, &data, &json!({ "policy_id": policy(name, write, read) }));
        assert_eq!(owner.get("/data/k").await.status.is_success(), reads, "{name}");
        assert_eq!(owner.put("/data/k", "x").await.status.is_success(), writes, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_see_their_tenant_only() {
    let (cluster, _, owner) = start().await;
    owner.put("/data/k", "x").await.ok();
    let tenant = cluster.create("tenants", &json!({ "name": "second" })).unwrap()["id"].clone();
    let (id, _) = cluster.create_user("anna").unwrap();
    cluster.vms("PATCH", &format!("users/{id}"), &json!({ "s3_superuser": true })).unwrap();
    let keys =
        cluster.vms("POST", &format!("users/{id}/access_keys"), &json!({ "tenant_id": tenant })).unwrap();
    let text = |f: &str| keys[f].as_str().unwrap().to_owned();
    let anna = S3 {
        keys: vast_sim::KeyPair { access_key: text("access_key"), secret_key: text("secret_key") },
        ..owner.clone()
    };
    anna.get("/data/k").await.is(404, "NoSuchBucket");
    assert!(!anna.get("/").await.ok().text().contains("<Name>data</Name>"));
    anna.put("/annas", "").await.ok();
    owner.get("/annas").await.is(404, "NoSuchBucket");
    anna.send("PUT", "/annas/copy", &[("x-amz-copy-source", "data/k")], "").await.is(404, "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_a_copy_and_a_multi_delete_is_judged() {
    let (cluster, _, owner) = start().await;
    let (id, anna) = user(&cluster, "anna");
    cluster.vms("PATCH", &format!("users/{id}"), &json!({ "allow_create_bucket": true })).unwrap();
    anna.put("/annas", "").await.ok();
    for key in ["/data/mine/a", "/data/yours/b"] {
        owner.put(key, "x").await.ok();
    }
    anna.send("PUT", "/annas/stolen", &[("x-amz-copy-source", "/data/mine/a")], "")
        .await
        .is(403, "AccessDenied");
    let statement = json!({ "Effect": "Allow", "Principal": "*", "Action": ["s3:DeleteObject", "s3:GetObject"],
        "Resource": "arn:aws:s3:::data/yours/*" });
    set_policy(&owner, json!({ "Statement": statement }).to_string()).await;
    anna.send("PUT", "/annas/given", &[("x-amz-copy-source", "/data/yours/b")], "").await.ok();
    let delete = "<Delete><Object><Key>mine/a</Key></Object><Object><Key>yours/b</Key></Object></Delete>";
    let reply = anna.send("POST", "/data?delete", &[], delete).await.ok();
    assert_eq!(reply.between("<Code>", "</Code>"), ["AccessDenied"]);
    owner.get("/data/mine/a").await.ok();
    owner.get("/data/yours/b").await.is(404, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_kept_and_given_back() {
    let (cluster, _, owner) = start().await;
    let cors = "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>";
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    let block = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>";
    let sse = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    for (name, document, absent, element, value) in [
        ("cors", cors, "NoSuchCORSConfiguration", "AllowedMethod", "GET"),
        ("tagging", tags, "NoSuchTagSet", "Value", "1"),
        ("publicAccessBlock", block, "NoSuchPublicAccessBlockConfiguration", "BlockPublicAcls", "true"),
        ("encryption", sse, "ServerSideEncryptionConfigurationNotFoundError", "SSEAlgorithm", "AES256"),
    ] {
        let path = format!("/data?{name}");
        owner.get(&path).await.is(404, absent);
        owner.send("PUT", &path, &[], document).await.ok();
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        assert_eq!(owner.get(&path).await.ok().between(&open, &close), [value], "{name}");
        assert_eq!(owner.send("DELETE", &path, &[], Bytes::new()).await.ok().status, 204);
        owner.get(&path).await.is(404, absent);
    }
    let payment = owner.get("/data?requestPayment").await.ok();
    assert_eq!(payment.between("<Payer>", "</Payer>"), ["BucketOwner"]);
    owner.get("/data?logging").await.ok();
    owner.get("/data?notification").await.ok();
    let twice = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>a</Key><Value>2</Value></Tag></TagSet></Tagging>";
    owner.send("PUT", "/data?tagging", &[], twice).await.is(400, "InvalidTag");

    // What there is not is said, and counted.
    let before = cluster.counters().s3_not_implemented;
    owner.get("/data?website").await.is(501, "NotImplemented");
    owner.get("/data?replication").await.is(501, "NotImplemented");
    assert_eq!(cluster.counters().s3_not_implemented, before + 2);
    assert_eq!(cluster.counters().operation("GetBucketReplication").requests, 1);
}
