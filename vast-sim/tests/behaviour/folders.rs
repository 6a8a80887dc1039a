//! Directories by path.

use serde_json::{Value, json};
use vast_sim::Config;

use crate::client::{Vms, start_with};

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_made_changed_looked_at_and_removed() {
    let (cluster, _, s3) = start_with(Config::default(), None).await;
    let vms = Vms::new(&cluster);
    let call = async |method: &str, what: &str, body: Value| {
        vms.call(method, &format!("/api/folders/{what}/"), &body).await
    };
    call("POST", "create_folder", json!({ "path": "/data/in", "user": "data-owner" })).await.ok();
    assert_eq!(call("POST", "create_folder", json!({ "path": "/data/in" })).await.status, 400);
    s3.put("/data/in/a", "x").await.ok();
    s3.put("/data/in/deep/b", "xy").await.ok();
    let stat = call("POST", "stat_path", json!({ "path": "/data/in", "tenant_id": 1 })).await.ok().json();
    assert_eq!(
        (&stat["is_directory"], &stat["children"], &stat["owning_user"]),
        (&json!(true), &json!(2), &json!("data-owner"))
    );
    call("PATCH", "modify_folder", json!({ "path": "/data/in", "group": "staff" })).await.ok();
    let stat = call("POST", "stat_path", json!({ "path": "/data/in", "tenant_id": 1 })).await.json();
    assert_eq!((&stat["owning_group"], &stat["owning_user"]), (&json!("staff"), &json!("data-owner")));
    let file = call("POST", "stat_path", json!({ "path": "/data/in/a", "tenant_id": 1 })).await.json();
    assert_eq!(file["is_directory"], false);

    // Removing goes through the trash, which a cluster may not have.
    let refused = call("DELETE", "delete_folder", json!({ "path": "/data/in" })).await;
    assert!(
        [400, 503].contains(&refused.status.as_u16()) && refused.text().contains("trash folder disabled")
    );
    vms.call("PATCH", "/api/clusters/1/", &json!({ "enable_trash": true })).await.ok();
    cluster.advance(std::time::Duration::from_secs(10)).unwrap();
    call("DELETE", "delete_folder", json!({ "path": "/data/in" })).await.ok();
    s3.get("/data/in/deep/b").await.is(404, "NoSuchKey");
    let missing = call("DELETE", "delete_folder", json!({ "path": "/data/in" })).await;
    assert!(missing.status == 400 && missing.text().contains("no such directory"), "{}", missing.text());
    for (method, what) in [("POST", "stat_path"), ("PATCH", "modify_folder"), ("POST", "read_only")] {
        let reply = call(method, what, json!({ "path": "/data/none", "tenant_id": 1 })).await;
        assert!(
            reply.status == 400 && reply.text().contains("no such directory"),
            "{what}: {}",
            reply.text()
        );
    }
    for bad in [
        json!({}),
        json!({ "path": "relative" }),
        json!({ "path": "/" }),
        json!({ "path": "/a/../b" }),
        json!({ "path": "/a", "tenant_id": 9 }),
    ] {
        assert_eq!(call("POST", "create_folder", bad.clone()).await.status, 400, "{bad}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_folder_refuses_every_change() {
    let (cluster, _, s3) = start_with(Config::default(), None).await;
    let vms = Vms::new(&cluster);
    s3.put("/data/ro/a", "x").await.ok();
    let body = json!({ "path": "/data/ro", "tenant_id": 1 });
    assert_eq!(vms.post("/api/folders/read_only/", body.clone()).await.status, 201);
    let state = vms.get("/api/folders/read_only/?path=/data/ro&tenant_id=1").await.ok().json();
    assert_eq!(state, json!({ "root_path": "/data/ro", "state": "READ_ONLY" }));
    s3.put("/data/ro/b", "x").await.is(403, "AccessDenied");
    s3.delete("/data/ro/a").await.is(403, "AccessDenied");
    s3.send("POST", "/data/ro/c?uploads", &[], "").await.is(403, "AccessDenied");
    s3.send("PUT", "/data/ro/d", &[("x-amz-copy-source", "/data/ro/a")], "").await.is(403, "AccessDenied");
    s3.get("/data/ro/a").await.ok();
    s3.put("/data/rot", "x").await.ok();
    assert_eq!(vms.call("DELETE", "/api/folders/read_only/", &body).await.status, 204);
    s3.put("/data/ro/b", "x").await.ok();
    assert_eq!(vms.call("DELETE", "/api/folders/read_only/", &body).await.status, 404);
    cluster.stop().await;
}
