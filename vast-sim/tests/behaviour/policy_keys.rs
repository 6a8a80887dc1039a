//! What policies can look at: every condition key, met and not met, and the facts of a caller beside policies.

use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::{Cluster, Provisioned};

use crate::client::{S3, start};
use crate::signing::Signer;

/// One statement for anybody on the bucket `data` and its keys.
fn statement(effect: &str, actions: &str, condition: &Value) -> Value {
    json!({ "Effect": effect, "Principal": "*", "Action": actions, "Condition": condition,
        "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"] })
}

async fn set(owner: &S3, statements: &Value) {
    let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    assert_eq!(owner.send("PUT", "/data?policy", &[], policy).await.ok().status, 204);
}

/// Lets anybody do that under a condition.
async fn allow(owner: &S3, actions: &str, condition: Value) {
    set(owner, &json!([statement("Allow", actions, &condition)])).await;
}

fn patch_view(cluster: &Cluster, data: &Provisioned, fields: &Value) {
    cluster.vms("PATCH", &format!("views/{}", data.view_id), fields).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_tags() {
    let (cluster, _, owner) = start().await;
    let anna = S3::new(&cluster, &cluster.create_user("anna").unwrap().1);
    owner.send("PUT", "/data/a", &[("x-amz-tagging", "dept=a&size=b")], "x").await.ok();
    // Another tag has the value that is asked for.
    owner.send("PUT", "/data/b", &[("x-amz-tagging", "dept=b&size=a")], "x").await.ok();
    owner.put("/data/none", "x").await.ok();
    allow(&owner, "s3:GetObject", json!({ "StringEquals": { "s3:ExistingObjectTag/dept": "a" } })).await;
    anna.get("/data/a").await.ok();
    anna.get("/data/b").await.is(403, "AccessDenied");
    anna.get("/data/none").await.is(403, "AccessDenied");

    allow(&owner, "s3:PutObject*", json!({ "StringEquals": { "s3:RequestObjectTag/dept": "a" } })).await;
    let put = async |tags: &str| anna.send("PUT", "/data/new", &[("x-amz-tagging", tags)], "x").await;
    put("dept=a&size=b").await.ok();
    put("dept=b&size=a").await.is(403, "AccessDenied");
    anna.put("/data/new", "x").await.is(403, "AccessDenied");

    let only = json!({ "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": ["dept", "size"] } });
    allow(&owner, "s3:PutObject*", only).await;
    put("dept=a&size=b").await.ok();
    put("dept=a&colour=b").await.is(403, "AccessDenied");
    let some = json!({ "ForAnyValue:StringEquals": { "s3:RequestObjectTagKeys": "dept" } });
    allow(&owner, "s3:PutObject*", some).await;
    put("dept=a&size=b").await.ok();
    put("size=b").await.is(403, "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_headers_and_parameters() {
    let (cluster, _, owner) = start().await;
    let anna = S3::new(&cluster, &cluster.create_user("anna").unwrap().1);
    owner.put("/data/k", "x").await.ok();
    for (key, value, path, with, without) in [
        ("aws:UserAgent", "probe/*", "/data/k", ("user-agent", "probe/2"), ("user-agent", "other")),
        ("aws:Referer", "http://a/*", "/data/k", ("referer", "http://a/b"), ("referer", "http://b/")),
        // Only those of S3's own headers are keys.
        ("s3:x-amz-probe", "yes", "/data/k", ("x-amz-probe", "yes"), ("x-amz-probe", "no")),
    ] {
        allow(&owner, "s3:GetObject", json!({ "StringLike": { (key): value } })).await;
        anna.send("GET", path, &[with], "").await.ok();
        anna.send("GET", path, &[without], "").await.is(403, "AccessDenied");
        anna.get(path).await.is(403, "AccessDenied");
    }
    allow(&owner, "s3:GetObject", json!({ "StringLike": { "s3:range": "*" } })).await;
    anna.send("GET", "/data/k", &[("range", "bytes=0-0")], "").await.is(403, "AccessDenied");

    for (operator, key, value, with, without) in [
        ("StringEquals", "s3:delimiter", "/", "/data?delimiter=%2F", "/data?delimiter=-"),
        ("NumericLessThanEquals", "s3:max-keys", "10", "/data?max-keys=10", "/data?max-keys=11"),
        ("StringEquals", "s3:VersionId", "null", "/data/k?versionId=null", "/data/k"),
    ] {
        allow(&owner, "s3:*", json!({ (operator): { (key): value } })).await;
        anna.get(with).await.ok();
        anna.get(without).await.is(403, "AccessDenied");
    }
    // The bucket has no lock, which only those learn who may ask.
    for (key, name, right, wrong) in [
        ("s3:object-lock-mode", "x-amz-object-lock-mode", "GOVERNANCE", "COMPLIANCE"),
        ("s3:object-lock-legal-hold", "x-amz-object-lock-legal-hold", "ON", "OFF"),
    ] {
        allow(&owner, "s3:PutObject*", json!({ "StringEquals": { (key): right } })).await;
        let until = ("x-amz-object-lock-retain-until-date", "2040-01-01T00:00:00Z");
        let put = async |value| {
            let all = [(name, value), until];
            let headers = if name.ends_with("mode") { &all[..] } else { &all[..1] };
            anna.send("PUT", "/data/new", headers, "x").await
        };
        assert_eq!(put(right).await.status, 400, "{key}");
        put(wrong).await.is(403, "AccessDenied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_caller_the_moment_and_the_signature() {
    let (cluster, data, owner) = start().await;
    let (_, keys) = cluster.create_user("anna").unwrap();
    let anna = Signer::new(&cluster, &keys);
    owner.put("/data/k", "x").await.ok();
    patch_view(&cluster, &data, &json!({ "allow_s3_anonymous_access": true }));
    let cluster_settings = json!({ "s3_enable_v2_authentication": true });
    cluster.vms("PATCH", "clusters/1", &cluster_settings).unwrap();
    let minutes = Duration::from_mins(5);
    let (v4, v2) = (anna.presign("GET", "/data/k", minutes), anna.presign_v2("GET", "/data/k", minutes));
    for (key, value, expected) in [
        ("aws:PrincipalType", "User", [true, true, true, true, false]),
        ("aws:PrincipalType", "Anonymous", [false, false, false, false, true]),
        ("aws:username", "anna", [true, true, true, true, false]),
        ("s3:authType", "REST-HEADER", [true, true, false, false, false]),
        ("s3:authType", "REST-QUERY-STRING", [false, false, true, true, false]),
        ("s3:signatureversion", "AWS4-HMAC-SHA256", [true, false, true, false, false]),
        ("s3:signatureversion", "AWS", [false, true, false, true, false]),
    ] {
        allow(&owner, "s3:GetObject", json!({ "StringEquals": { (key): value } })).await;
        let may = [
            anna.header("GET", "/data/k", b"").await,
            anna.v2("GET", "/data/k", "/data/k", b"").await,
            anna.bare("GET", &v4, &[], b"").await,
            anna.bare("GET", &v2, &[], b"").await,
            anna.bare("GET", "/data/k", &[], b"").await,
        ];
        assert_eq!(may.map(|reply| reply.status == 200), expected, "{key} {value}");
    }

    let now = jiff::Timestamp::now().as_second();
    for (operator, second, may) in [
        ("NumericLessThan", now + 3600, true),
        ("NumericGreaterThan", now + 3600, false),
        ("DateLessThan", now + 3600, true),
        ("DateGreaterThan", now + 3600, false),
    ] {
        let condition = json!({ (operator): { "aws:EpochTime": second.to_string() } });
        allow(&owner, "s3:GetObject", condition).await;
        assert_eq!(anna.header("GET", "/data/k", b"").await.status == 200, may, "{operator}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_delete_a_bucket_and_see_it() {
    let (cluster, data, owner) = start().await;
    let (id, keys) = cluster.create_user("anna").unwrap();
    let anna = S3::new(&cluster, &keys);
    let user = |fields: Value| cluster.vms("PATCH", &format!("users/{id}"), &fields).unwrap();
    let sees = async || anna.get("/").await.ok().between("<Name>", "</Name>");

    // An owner deletes where the user may delete buckets at all.
    user(json!({ "allow_create_bucket": true, "allow_delete_bucket": false }));
    anna.put("/annas", "").await.ok();
    assert_eq!(sees().await, ["annas"]);
    anna.delete("/annas").await.is(403, "AccessDenied");
    user(json!({ "allow_delete_bucket": true }));
    anna.delete("/annas").await.ok();
    // That is no leave to delete what others own.
    anna.delete("/data").await.is(403, "AccessDenied");
    assert_eq!(sees().await, Vec::<String>::new());
    user(json!({ "allow_create_bucket": false }));
    anna.put("/annas", "").await.is(403, "AccessDenied");

    // A view's policy shows a bucket to users and groups by name, also by a pattern.
    let group = json!({ "name": "ops", "gid": 700, "local_provider_id": 1 });
    cluster.create("groups", &group).unwrap();
    user(json!({ "gids": [700] }));
    for (k, (field, names, seen)) in [
        ("s3_visibility", json!(["anna"]), true),
        ("s3_visibility", json!(["b*", "an*"]), true),
        ("s3_visibility", json!(["berta", "ops"]), false),
        ("s3_visibility_groups", json!(["ops"]), true),
        ("s3_visibility_groups", json!(["anna"]), false),
    ]
    .into_iter()
    .enumerate()
    {
        let policy = json!({ "name": format!("p{k}"), "flavor": "S3_NATIVE", (field): names });
        let policy = cluster.create("viewpolicies", &policy).unwrap()["id"].clone();
        patch_view(&cluster, &data, &json!({ "policy_id": policy }));
        assert_eq!(sees().await == ["data"], seen, "{field} {names}");
        anna.get("/data").await.is(403, "AccessDenied");
    }
    user(json!({ "s3_superuser": true }));
    assert_eq!(sees().await, ["data"]);
    owner.delete("/data").await.is(403, "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_an_object_where_lists_count() {
    let (cluster, data, owner) = start().await;
    let (_, keys) = cluster.create_user("anna").unwrap();
    let anna = S3::new(&cluster, &keys);
    let nobody = Signer::new(&cluster, &keys);
    owner.send("PUT", "/data?acl", &[("x-amz-acl", "public-read-write")], "").await.ok();
    anna.put("/data/annas", "x").await.ok();
    anna.get("/data/annas").await.ok();
    anna.send("PUT", "/data/annas?tagging", &[], "<Tagging><TagSet></TagSet></Tagging>").await.ok();
    // What belongs to the bucket does not belong to her.
    anna.get("/data?versioning").await.is(403, "AccessDenied");
    // Nobody's object has no owner who comes back.
    patch_view(&cluster, &data, &json!({ "allow_s3_anonymous_access": true }));
    nobody.bare("PUT", "/data/nobodys", &[], b"x").await.ok();
    nobody.bare("GET", "/data/nobodys", &[], b"").await.is(403, "AccessDenied");

    let enforced = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
    owner.send("PUT", "/data?acl", &[("x-amz-acl", "private")], "").await.ok();
    anna.get("/data/annas").await.ok();
    owner.send("PUT", "/data?ownershipControls", &[], enforced).await.ok();
    anna.get("/data/annas").await.is(403, "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_flavors_are_read_by_everybody_whom_the_view_admits() {
    let (cluster, data, owner) = start().await;
    let (_, keys) = cluster.create_user("anna").unwrap();
    let (anna, nobody) = (S3::new(&cluster, &keys), Signer::new(&cluster, &keys));
    owner.put("/data/k", "x").await.ok();
    let policy = json!({ "name": "mixed", "flavor": "NFS" });
    let policy = cluster.create("viewpolicies", &policy).unwrap()["id"].clone();
    patch_view(&cluster, &data, &json!({ "policy_id": policy }));
    nobody.bare("GET", "/data/k", &[], b"").await.is(403, "AccessDenied");
    // Either name of the switch.
    for name in ["allow_s3_anonymous_access", "allow_anonymous_access"] {
        patch_view(&cluster, &data, &json!({ (name): true }));
        assert_eq!(nobody.bare("GET", "/data/k", &[], b"").await.ok().text(), "x", "{name}");
        nobody.bare("PUT", "/data/l", &[], b"y").await.is(403, "AccessDenied");
        nobody.bare("GET", "/data?policy", &[], b"").await.is(403, "AccessDenied");
        patch_view(&cluster, &data, &json!({ (name): false }));
        nobody.bare("GET", "/data/k", &[], b"").await.is(403, "AccessDenied");
    }
    anna.get("/data/k").await.is(403, "AccessDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_a_tenant_takes() {
    let (cluster, _, owner) = start().await;
    owner.put("/data/k", "x").await.ok();
    let id = cluster.vms("GET", "tenants", &Value::Null).unwrap()[0]["id"].clone();
    for (ranges, takes) in [
        (json!([["10.0.0.1", "10.0.0.9"]]), false),
        (json!([["10.0.0.1", "10.0.0.9"], ["127.0.0.0", "127.0.0.255"]]), true),
        (json!([]), true),
    ] {
        cluster.vms("PATCH", &format!("tenants/{id}"), &json!({ "client_ip_ranges": ranges })).unwrap();
        assert_eq!(owner.get("/data/k").await.status == 200, takes, "{ranges}");
        assert_eq!(owner.get("/").await.status == 200, takes, "{ranges}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_for_everybody_is_public_unless_it_is_bound_or_denies() {
    let (_cluster, _, owner) = start().await;
    let bound = json!({ "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
    let free = |mut statement: Value| {
        statement.as_object_mut().unwrap().remove("Condition");
        statement
    };
    let mut not = free(statement("Allow", "s3:GetObject", &Value::Null));
    let all = not.as_object_mut().unwrap().remove("Principal").unwrap();
    not["NotPrincipal"] = all;
    for (statement, public) in [
        (free(statement("Allow", "s3:GetObject", &Value::Null)), "true"),
        (statement("Allow", "s3:GetObject", &bound), "false"),
        (free(statement("Deny", "s3:GetObject", &Value::Null)), "false"),
        (not, "false"),
    ] {
        set(&owner, &json!([statement])).await;
        let status = owner.get("/data?policyStatus").await.ok();
        assert_eq!(status.between("<IsPublic>", "</IsPublic>"), [public], "{statement}");
    }
}
