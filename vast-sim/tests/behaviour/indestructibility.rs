//! The lock in front of what is indestructible: tokens, unlocking, passwords, all by the cluster's clock.

use std::time::Duration;

use serde_json::{Value, json};
use vast_sim::Cluster;

use crate::client::{S3, start_with};
use crate::metrics::frozen;

struct Site {
    cluster: Cluster,
    s3: S3,
}

async fn start() -> Site {
    let (cluster, _, s3) = start_with(frozen(), None).await;
    Site { cluster, s3 }
}

impl Site {
    fn row(&self) -> Value {
        let all = self.cluster.vms("GET", "indestructibility", &Value::Null).unwrap();
        all.as_array().map_or(all.clone(), |rows| rows[0].clone())
    }

    fn patch(&self, action: &str, body: &Value) -> Result<Value, u16> {
        self.cluster.vms("PATCH", &format!("indestructibility/1{action}"), body).map_err(|e| e.status)
    }

    fn token(&self, password: &str) -> Result<Value, u16> {
        let body = json!({ "indestructibility_passwd": password });
        self.patch("/generate_token", &body).map(|row| row["token"].clone())
    }

    fn unlock(&self, token: &Value) -> Result<Value, u16> {
        self.patch("/unlock", &json!({ "challenge_token": token }))
    }

    fn advance(&self, time: Duration) {
        self.cluster.advance(time).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indestructible_snapshot_goes_only_while_unlocked() {
    let site = start().await;
    site.s3.put("/data/a", "x").await.ok();
    let sure = json!({ "name": "sure", "path": "/data/", "indestructible": true });
    let sure = site.cluster.create("snapshots", &sure).unwrap();
    let path = format!("snapshots/{}", sure["id"]);
    let delete = || site.cluster.vms("DELETE", &path, &Value::Null).map_err(|e| e.status);
    assert_eq!((site.row()["is_locked"].clone(), delete()), (json!(true), Err(403)));
    assert_eq!(site.token("wrong"), Err(400));
    let token = site.token("default").unwrap();
    assert_eq!(site.unlock(&json!("guess")), Err(400));
    // A token lives for an hour, and so does what it opens.
    site.advance(Duration::from_mins(61));
    assert_eq!(site.unlock(&token), Err(400));
    let token = site.token("default").unwrap();
    let open = site.unlock(&token).unwrap();
    assert_eq!((&open["is_locked"], open["unlock_system_time"].is_string()), (&json!(false), true));
    assert_eq!(site.unlock(&token), Err(400), "a token works once");
    assert!(!site.row().to_string().contains(token.as_str().unwrap()), "the token is told once");
    site.advance(Duration::from_mins(61));
    assert_eq!((site.row()["is_locked"].clone(), delete()), (json!(true), Err(403)));
    site.unlock(&site.token("default").unwrap()).unwrap();
    delete().unwrap();
    site.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indestructible_policies_and_expiry_are_guarded_too() {
    let site = start().await;
    site.s3.put("/data/a", "x").await.ok();
    let at = |hours: u64| {
        let time: jiff::Timestamp = vast_sim::Clock::now(&*frozen().clock).try_into().unwrap();
        (time + Duration::from_hours(hours)).to_string()
    };
    let sure = json!({ "name": "sure", "path": "/data/", "indestructible": true, "expiration_time": at(10) });
    let sure = site.cluster.create("snapshots", &sure).unwrap();
    let policy = json!({ "name": "p", "clone_type": "LOCAL", "prefix": "p", "indestructible": true });
    let policy = site.cluster.create("protectionpolicies", &policy).unwrap();
    let snapshot = format!("snapshots/{}", sure["id"]);
    let policy = format!("protectionpolicies/{}", policy["id"]);
    let status = |method: &str, path: &str, body: &Value| {
        site.cluster.vms(method, path, body).map_or_else(|e| e.status, |_| 200)
    };
    // Shorter, off, other, gone: each needs the lock open; longer does not.
    let guarded = [
        ("PATCH", &snapshot, json!({ "expiration_time": at(5) })),
        ("PATCH", &snapshot, json!({ "indestructible": false })),
        ("PATCH", &policy, json!({ "prefix": "q" })),
        ("PATCH", &policy, json!({ "indestructible": false })),
        ("DELETE", &policy, Value::Null),
    ];
    for (method, path, body) in &guarded {
        let refused = status(method, path, body);
        assert!([400, 403].contains(&refused), "{method} {path} {body}: {refused}");
    }
    assert_eq!(status("PATCH", &snapshot, &json!({ "expiration_time": at(20) })), 200);
    site.unlock(&site.token("default").unwrap()).unwrap();
    for (method, path, body) in &guarded {
        assert_eq!(status(method, path, body), 200, "{method} {path} {body}");
    }
    site.cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_changed_while_open_and_reset_after_its_delay() {
    let site = start().await;
    let change = |old: &str, new: &str| {
        site.patch("", &json!({ "indestructibility_passwd": old, "new_indestructibility_passwd": new }))
    };
    assert_eq!(change("default", "much better"), Err(400), "locked");
    site.unlock(&site.token("default").unwrap()).unwrap();
    assert_eq!(change("wrong", "much better"), Err(400));
    assert_eq!(change("default", "short"), Err(400));
    assert_eq!(site.patch("", &json!({ "passwd_delay": "soon" })), Err(400));
    site.patch("", &json!({ "passwd_delay": "2h" })).unwrap();
    let changed = change("default", "much better").unwrap();
    assert!(!changed.to_string().contains("much better"), "{changed}");
    assert_eq!(site.token("default"), Err(400));
    site.token("much better").unwrap();
    let reset = site.patch("/reset_passwd", &Value::Null).unwrap();
    assert!(reset["passwd_delay_eta"].is_string(), "{reset}");
    site.advance(Duration::from_mins(119));
    assert_eq!(site.token("default"), Err(400), "not yet");
    site.advance(Duration::from_mins(2));
    site.token("default").unwrap();
    assert_eq!(site.token("much better"), Err(400));
    site.cluster.stop().await;
}
