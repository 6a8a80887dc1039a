//! Indestructible object mode: what is written stays for as many days as the view says, whoever asks.

use std::time::Duration;

use serde_json::json;

use crate::client::{Vms, start};

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_an_indestructible_view_stay_for_its_days() {
    let (cluster, _, s3) = start().await;
    let vms = Vms::new(&cluster);
    let view = |more: serde_json::Value| {
        let mut view = json!({ "path": "/safe", "policy_id": 2, "protocols": ["S3"], "bucket": "safe",
            "bucket_owner": "data-owner", "create_dir": true, "is_indestructible_object_enabled": true,
            "indestructible_object_duration": 2 });
        view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        view
    };
    for bad in [
        json!({ "indestructible_object_duration": 0 }),
        json!({ "indestructible_object_duration": 401 }),
        json!({ "s3_versioning": true }),
        json!({ "protocols": ["S3", "NFS"] }),
    ] {
        assert_eq!(vms.post("/api/views/", view(bad.clone())).await.status, 400, "{bad}");
    }
    let made = vms.post("/api/views/", view(json!({}))).await.ok().json();
    let path = format!("/api/views/{}/", made["id"]);
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    s3.send("PUT", "/safe?versioning", &[], enabled).await.is(409, "InvalidBucketState");

    s3.put("/safe/k", "kept").await.ok();
    s3.put("/safe/k", "other").await.is(403, "AccessDenied");
    s3.delete("/safe/k").await.is(403, "AccessDenied");
    let bypass = [("x-amz-bypass-governance-retention", "true")];
    s3.send("DELETE", "/safe/k", &bypass, "").await.is(403, "AccessDenied");
    let rename = [("x-amz-copy-source", "/safe/k"), ("x-amz-copy-disposition", "replace")];
    s3.send("PUT", "/data/k", &rename, "").await.is(403, "AccessDenied");
    assert_eq!(s3.get("/safe/k").await.ok().body, "kept");
    // Nothing that clients know as a lock.
    assert_eq!(s3.head("/safe/k").await.header("x-amz-object-lock-mode"), "");

    // The mode can be made stricter, not weaker, and neither view nor bucket can go.
    vms.call("PATCH", &path, &json!({ "indestructible_object_duration": 3 })).await.ok();
    for weaker in
        [json!({ "indestructible_object_duration": 2 }), json!({ "is_indestructible_object_enabled": false })]
    {
        assert_eq!(vms.call("PATCH", &path, &weaker).await.status, 400);
    }
    assert_eq!(vms.call("DELETE", &format!("{path}?force=true"), &json!(null)).await.status, 400);

    // What was written under two days is free after two, what is written under three is not.
    s3.put("/safe/later", "kept").await.ok();
    cluster.advance(Duration::from_hours(49)).unwrap();
    s3.delete("/safe/later").await.is(403, "AccessDenied");
    s3.put("/safe/k", "other").await.ok();
    cluster.advance(Duration::from_hours(24)).unwrap();
    s3.delete("/safe/later").await.ok();
    cluster.advance(Duration::from_hours(49)).unwrap();
    s3.delete("/safe/k").await.ok();

    s3.delete("/safe").await.is(403, "AccessDenied");
    let password = json!({ "indestructibility_passwd": "default" });
    let token = vms.call("PATCH", "/api/indestructibility/1/generate_token/", &password).await.ok().json();
    let challenge = json!({ "challenge_token": token["token"] });
    vms.call("PATCH", "/api/indestructibility/1/unlock/", &challenge).await.ok();
    s3.put("/safe/last", "kept").await.ok();
    assert_eq!(vms.call("DELETE", &format!("{path}?force=true"), &json!(null)).await.status, 400);
    vms.call("PATCH", &path, &json!({ "is_indestructible_object_enabled": false })).await.ok();
    cluster.stop().await;
}
