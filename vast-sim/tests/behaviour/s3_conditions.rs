//! Conditions on everything that writes: one that does not hold leaves all as it was.

use crate::client::{S3, completion, start};

/// One part, ready to be completed.
async fn upload(s3: &S3, path: &str, body: &str) -> (String, String) {
    let id = s3.create_upload(path).await;
    let etag = s3.part(path, &id, 1, body.to_owned()).await.ok().header("etag").to_owned();
    (id, etag)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_write_heeds_the_conditions_on_its_target() {
    let (cluster, _, s3) = start().await;
    s3.put("/data/source", "copied").await.ok();
    for way in ["copy", "rename", "complete", "put"] {
        let path = format!("/data/{way}");
        let write = |header: (&'static str, String)| {
            let (s3, path) = (s3.clone(), path.clone());
            async move {
                let condition = (header.0, header.1.as_str());
                let source = ("x-amz-copy-source", "/data/source");
                match way {
                    "put" => s3.send("PUT", &path, &[condition], "put").await,
                    "copy" => s3.send("PUT", &path, &[source, condition], "").await,
                    "rename" => {
                        s3.put("/data/moving", "moved").await.ok();
                        let moving = ("x-amz-copy-source", "/data/moving");
                        let replace = ("x-amz-copy-disposition", "replace");
                        s3.send("PUT", &path, &[moving, replace, condition], "").await
                    }
                    _ => {
                        let (id, etag) = upload(&s3, &path, "completed").await;
                        let to = format!("{path}?uploadId={id}");
                        s3.send("POST", &to, &[condition], completion(&[(1, &etag)])).await
                    }
                }
            }
        };
        write(("if-match", "\"x\"".to_owned())).await.is(404, "NoSuchKey");
        assert_eq!(s3.head(&path).await.status, 404, "{way}");
        write(("if-none-match", "*".to_owned())).await.ok();
        let there = s3.put(&path, "first").await.ok().header("etag").to_owned();
        write(("if-none-match", "*".to_owned())).await.is(412, "PreconditionFailed");
        write(("if-match", "\"x\"".to_owned())).await.is(412, "PreconditionFailed");
        write(("if-none-match", "\"x\"".to_owned())).await.is(501, "NotImplemented");
        assert_eq!(s3.get(&path).await.ok().body, "first", "{way}");
        write(("if-match", there)).await.ok();
        assert_ne!(s3.get(&path).await.ok().body, "first", "{way}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_heed_if_match() {
    let (cluster, _, s3) = start().await;
    let etag = s3.put("/data/k", "x").await.ok().header("etag").to_owned();
    let delete = |path: &'static str, condition: String| {
        let s3 = s3.clone();
        async move { s3.send("DELETE", path, &[("if-match", &condition)], "").await }
    };
    delete("/data/k", "\"x\"".to_owned()).await.is(412, "PreconditionFailed");
    delete("/data/none", "*".to_owned()).await.is(404, "NoSuchKey");
    s3.get("/data/k").await.ok();
    delete("/data/k", etag).await.ok();
    s3.get("/data/k").await.is(404, "NoSuchKey");
    cluster.stop().await;
}
