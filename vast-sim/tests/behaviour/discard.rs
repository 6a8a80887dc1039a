//! A cluster that checks and counts what is written, and does not keep it.

use vast_sim::{Cluster, Config, Retention};

use crate::client::{pattern, start_with};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_counted_checked_and_forgotten() {
    for (retention, zeros) in [(Retention::Discard, false), (Retention::Zeros, true)] {
        let (cluster, _, s3) = start_with(Config { retention, ..Config::default() }, Some(1 << 20)).await;
        let data = pattern(3, 600_000);
        s3.put("/data/k", data.clone()).await.ok();
        let head = s3.head("/data/k").await.ok();
        assert_eq!(head.header("content-length"), "600000");
        assert_eq!(cluster.raw_state().bucket("data").unwrap().bytes, 600_000);
        // The quota counts them, checksums are checked.
        s3.put("/data/more", data.clone()).await.is(403, "QuotaExceeded");
        s3.send("PUT", "/data/sum", &[("x-amz-checksum-crc32", "AAAAAA==")], "x").await.is(400, "BadDigest");
        if zeros {
            assert_eq!(s3.get("/data/k").await.ok().body, vec![0; 600_000]);
            let range = s3.send("GET", "/data/k", &[("range", "bytes=10-19")], "").await.ok();
            assert_eq!(range.body, vec![0; 10]);
        } else {
            s3.get("/data/k").await.is(501, "NotImplemented");
        }
        s3.put("/data/empty", "").await.ok();
        s3.get("/data/empty").await.ok();
        cluster.stop().await;
    }
    let dir = tempfile::tempdir().unwrap();
    let both =
        Config { retention: Retention::Discard, data_dir: Some(dir.path().to_owned()), ..Config::default() };
    assert!(Cluster::start(both).await.unwrap_err().to_string().contains("retention"));
}
