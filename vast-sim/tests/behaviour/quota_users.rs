//! Quotas of users: what one user may keep below a path, whatever the others have there.

use serde_json::{Value, json};
use vast_sim::{Cluster, Config};

use crate::client::{S3, Vms, pattern, start_with};

/// A user who may write into the bucket `data`.
fn writer(cluster: &Cluster, name: &str) -> S3 {
    let (id, keys) = cluster.create_user(name).unwrap();
    cluster.vms("PATCH", &format!("users/{id}"), &json!({ "s3_superuser": true })).unwrap();
    S3::new(cluster, &keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_limit_holds_for_every_way_of_writing_and_for_nobody_else() {
    let config = Config { min_part_size: 1, ..Config::default() };
    let (cluster, _, owner) = start_with(config, Some(1_000_000)).await;
    let vms = Vms::new(&cluster);
    let ann = writer(&cluster, "ann");
    ann.put("/data/old", pattern(1, 3_000)).await.ok();
    let quota = json!({ "user_quotas": [{ "name": "ann", "hard_limit": 10_000 }] });
    let shown = vms.call("PATCH", "/api/quotas/1/", &quota).await.ok().json();
    let entry = &shown["user_quotas"][0];
    assert_eq!((&shown["is_user_quota"], &entry["used_capacity"]), (&json!(true), &json!(3_000)));

    ann.put("/data/a", pattern(2, 7_001)).await.is(403, "QuotaExceeded");
    ann.put("/data/a", pattern(2, 3_000)).await.ok();
    owner.put("/data/others", pattern(3, 50_000)).await.ok();
    ann.send("PUT", "/data/b", &[("x-amz-copy-source", "/data/others")], "").await.is(403, "QuotaExceeded");
    // What somebody else has gives no room; what is one's own does.
    ann.put("/data/others", pattern(4, 4_001)).await.is(403, "QuotaExceeded");
    ann.put("/data/a", pattern(5, 7_000)).await.ok();
    ann.put("/data/a", pattern(5, 1_000)).await.ok();
    let id = ann.create_upload("/data/m").await;
    let etag = ann.part("/data/m", &id, 1, pattern(6, 6_000)).await.ok().header("etag").to_owned();
    ann.part("/data/m", &id, 2, "x").await.is(403, "QuotaExceeded");
    ann.complete("/data/m", &id, &[(1, &etag)]).await.ok();
    ann.put("/data/more", "x").await.is(403, "QuotaExceeded");
    owner.put("/data/mine", pattern(7, 100)).await.ok();

    let shown = vms.get("/api/quotas/1/").await.ok().json();
    assert_eq!((&shown["num_blocked_users"], &shown["num_exceeded_users"]), (&json!(1), &json!(1)));
    assert_eq!((&shown["state"], &shown["used_capacity"]), (&json!("OK"), &json!(60_100)));
    let list = vms.get("/api/userquotas/").await.ok().json();
    let row = &list["results"][0];
    assert_eq!(
        (&row["name"], &row["path"], &row["state"]),
        (&json!("ann"), &json!("/data"), &json!("HARD_EXCEEDED"))
    );
    assert_eq!(
        (&row["used_capacity"], &row["used_inodes"], &row["percent_capacity"]),
        (&json!(10_000), &json!(3), &json!(100))
    );

    // Deleted by whomever, it is the writer who gets room; overwritten, it is the new writer's.
    owner.delete("/data/old").await.ok();
    owner.put("/data/a", pattern(8, 10)).await.ok();
    ann.put("/data/more", pattern(9, 4_000)).await.ok();
    ann.put("/data/still", "x").await.is(403, "QuotaExceeded");
    let off = json!({ "is_user_quota": false });
    vms.call("PATCH", "/api/quotas/1/", &off).await.ok();
    ann.put("/data/still", "x").await.ok();
    vms.call("PATCH", "/api/quotas/1/", &json!({ "is_user_quota": true })).await.ok();
    ann.put("/data/again", "x").await.is(403, "QuotaExceeded");
    vms.call("PATCH", "/api/quotas/1/", &json!({ "user_quotas": [] })).await.ok();
    ann.put("/data/again", "x").await.ok();
    assert_eq!(vms.get("/api/userquotas/").await.ok().json()["count"], 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_quotas_are_made_by_themselves_and_others_have_the_default() {
    let (cluster, _, _) = start_with(Config::default(), Some(1_000_000)).await;
    let vms = Vms::new(&cluster);
    let (ann, bob) = (writer(&cluster, "ann"), writer(&cluster, "bob"));
    let body = json!({ "name": "ann", "quota_id": 1, "hard_limit_inodes": 2 });
    let made = vms.post("/api/userquotas/", body.clone()).await.ok().json();
    vms.post("/api/userquotas/", body).await.is(400, "");
    let bad = json!({ "name": "bob", "quota_id": 1, "soft_limit": 2, "hard_limit": 1 });
    vms.post("/api/userquotas/", bad).await.is(400, "");
    let default = json!({ "default_user_quota": { "hard_limit": 1_000 } });
    vms.call("PATCH", "/api/quotas/1/", &default).await.ok();

    ann.put("/data/a", pattern(1, 2_000)).await.ok();
    ann.put("/data/b", "").await.ok();
    ann.put("/data/c", "").await.is(403, "QuotaExceeded");
    bob.put("/data/d", pattern(1, 1_000)).await.ok();
    bob.put("/data/e", "x").await.is(403, "QuotaExceeded");
    let shown = vms.get("/api/quotas/1/").await.ok().json();
    assert_eq!(shown["num_blocked_users"], 2);
    assert_eq!(shown["user_quotas"][0]["state"], "INODE_HARD_EXCEEDED");

    let path = format!("/api/userquotas/{}/", made["id"]);
    vms.call("PATCH", &path, &json!({ "hard_limit_inodes": 3 })).await.ok();
    ann.put("/data/c", "").await.ok();
    assert_eq!(vms.call("DELETE", &path, &Value::Null).await.status, 204);
    // Now the default holds, which is exceeded already.
    ann.put("/data/f", "x").await.is(403, "QuotaExceeded");
    vms.post("/api/userquotas/", json!({ "name": "ann", "quota_id": 1, "hard_limit": 9_000 })).await.ok();
    assert_eq!(vms.call("DELETE", "/api/quotas/1/", &Value::Null).await.status, 204);
    assert_eq!(vms.get("/api/userquotas/").await.ok().json()["count"], 0);
    bob.put("/data/e", "x").await.ok();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_soft_limit_becomes_hard_when_grace_is_over() {
    let (cluster, _, owner) = start_with(crate::metrics::frozen(), Some(1_000_000)).await;
    let vms = Vms::new(&cluster);
    let ann = writer(&cluster, "ann");
    let quota = json!({ "user_quotas": [{ "name": "ann", "soft_limit": 1_000, "grace_period": "1h" }] });
    vms.call("PATCH", "/api/quotas/1/", &quota).await.ok();
    let shown = async || {
        let quota = vms.get("/api/quotas/1/").await.ok().json();
        let state = quota["user_quotas"][0]["state"].as_str().unwrap().to_owned();
        (state, quota["num_exceeded_users"].as_u64().unwrap(), quota["num_blocked_users"].as_u64().unwrap())
    };
    let advance = |seconds| cluster.advance(std::time::Duration::from_secs(seconds)).unwrap();
    ann.put("/data/a", pattern(1, 1_500)).await.ok();
    advance(1);
    assert_eq!(shown().await, ("SOFT_EXCEEDED".to_owned(), 1, 0));
    advance(3_000);
    ann.put("/data/b", "x").await.ok();
    advance(600);
    assert_eq!(shown().await, ("GRACE_EXPIRED".to_owned(), 1, 1));
    ann.put("/data/c", "x").await.is(403, "QuotaExceeded");
    owner.put("/data/d", "x").await.ok();
    ann.delete("/data/a").await.ok();
    advance(1);
    assert_eq!(shown().await, ("OK".to_owned(), 0, 0));
    ann.put("/data/c", "x").await.ok();
    cluster.stop().await;
}
