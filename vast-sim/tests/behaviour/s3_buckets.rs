//! The list of buckets, page by page.

use crate::client::start;

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_listed_in_order_and_by_pages() {
    let (cluster, provisioned, s3) = start().await;
    let owner = serde_json::json!({ "allow_create_bucket": true });
    cluster.vms("PATCH", &format!("users/{}", provisioned.user_id), &owner).unwrap();
    for name in ["zebra", "log-2", "log-1", "log-3", "apple"] {
        s3.put(&format!("/{name}"), "").await.ok();
    }
    let names = |reply: &crate::client::Reply| reply.between("<Name>", "</Name>");
    let all = s3.get("/").await.ok();
    assert_eq!(names(&all), ["apple", "data", "log-1", "log-2", "log-3", "zebra"]);
    assert_eq!(all.between("<ContinuationToken>", "</ContinuationToken>").len(), 0);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = s3.get(&format!("/?max-buckets=2&prefix=log-{token}")).await.ok();
        assert!(names(&page).len() <= 2);
        assert_eq!(page.between("<Prefix>", "</Prefix>"), ["log-"]);
        seen.extend(names(&page));
        match page.between("<ContinuationToken>", "</ContinuationToken>").first() {
            Some(next) => token = format!("&continuation-token={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["log-1", "log-2", "log-3"]);
    assert_eq!(names(&s3.get("/?bucket-region=elsewhere").await.ok()).len(), 0);
    for bad in ["/?max-buckets=0", "/?max-buckets=10001", "/?continuation-token=!"] {
        s3.get(bad).await.is(400, "InvalidArgument");
    }
    cluster.stop().await;
}
