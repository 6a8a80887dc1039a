//! The client against the simulated cluster: an S3 server and a VMS that this crate's authors did not script.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first thing that is wrong")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use vast_client::{
    CapacitySource, ClientConfig, Condition, Environment, Error, KeyPair, Operation, Retention,
    RetentionMode, RetentionRules, S3Config, Scheme, Thing, TlsConfig, VastClient, Versioning, VmsConfig,
};
use vast_sim::{Cluster, Config, Effect, Fault, Provisioned, VIP_POOL};

fn crc(data: &[u8]) -> u32 {
    u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, data)).unwrap()
}

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap()
}

fn config(cluster: &Cluster, backup: &Provisioned, scheme: Scheme) -> ClientConfig {
    let tls = TlsConfig { ca_files: vec![cluster.ca_path().to_owned()], ..TlsConfig::default() };
    let vms = VmsConfig {
        endpoint: cluster.vms_url().parse().unwrap(),
        user: "admin".into(),
        password: "123456".into(),
        tenant: None,
        tls: tls.clone(),
    };
    let mut s3 = S3Config::new(KeyPair::new(&backup.keys.access_key, backup.keys.secret_key.as_str()));
    s3.vip_pool = Some(VIP_POOL.into());
    s3.scheme = scheme;
    s3.tls = tls;
    s3.port = Some(match scheme {
        Scheme::Http => port(&cluster.s3_urls()[0]),
        Scheme::Https => port(&cluster.s3_tls_urls()[0]),
    });
    ClientConfig::new(vms, s3)
}

async fn start(scheme: Scheme) -> (Cluster, VastClient) {
    let cluster = Cluster::start(Config::default()).await.unwrap();
    let backup = cluster.provision("backup", Some(1 << 30)).unwrap();
    let client = VastClient::new(&config(&cluster, &backup, scheme), &Environment::system()).unwrap();
    (cluster, client)
}

#[tokio::test]
async fn login_lsus_and_their_capacity() {
    let (cluster, client) = start(Scheme::Http).await;
    client.check().await.unwrap();
    assert!(client.cluster().await.unwrap().version.starts_with("5.4."));
    let lsu = client.lsu("backup").await.unwrap();
    assert_eq!((lsu.capacity_bytes, lsu.used_bytes, lsu.free_bytes), (1 << 30, 0, 1 << 30));
    assert_eq!(lsu.capacity_source, CapacitySource::Quota(lsu.path.clone()));
    assert!(client.lsus().await.unwrap().contains(&lsu));

    let data = Bytes::from(vec![9_u8; 100_000]);
    let sum = crc(&data);
    client.bucket("backup").put_object("k", vec![data], sum, &Condition::None, None).await.unwrap();
    assert_eq!(client.lsu("backup").await.unwrap().used_bytes, 100_000);
    assert!(matches!(client.lsu("nope").await, Err(Error::NotFound(Thing::Lsu, _))));
    cluster.stop().await;
}

#[tokio::test]
async fn tokens_that_expire_and_tokens_that_are_revoked_are_renewed() {
    let (cluster, client) = start(Scheme::Http).await;
    client.lsus().await.unwrap();
    cluster.expire_access_tokens();
    client.lsus().await.unwrap();
    assert_eq!((client.counters().logins, client.counters().refreshes), (1, 1));
    cluster.revoke_tokens();
    client.lsus().await.unwrap();
    assert_eq!((client.counters().logins, client.counters().refreshes), (2, 1));
}

async fn objects_on_every_vip(scheme: Scheme) {
    let (cluster, client) = start(scheme).await;
    let bucket = client.bucket("backup");
    bucket.head_bucket().await.unwrap();
    let keys: Vec<String> = (0..8).map(|i| format!("dir/ob%2Fject {i}&<ü>")).collect();
    for (i, key) in keys.iter().enumerate() {
        let data = Bytes::from(vec![u8::try_from(i).unwrap(); 70_000]);
        let parts = vec![data.slice(..1), data.slice(1..65_000), data.slice(65_000..)];
        let put = bucket.put_object(key, parts, crc(&data), &Condition::Absent, None).await.unwrap();
        let got = bucket.get_object(key, None).await.unwrap();
        assert_eq!((&got.data, &got.info.etag, got.info.size), (&data, &put.etag, 70_000));
        let part = bucket.get_object(key, Some(69_990..80_000)).await.unwrap();
        assert_eq!((part.data.len(), part.info.size), (10, 70_000));
        let head = bucket.head_object(key).await.unwrap();
        assert_eq!((head.size, &head.etag), (70_000, &put.etag));
        assert!(head.modified.is_some() && head.server_time.is_some());
    }
    let page = bucket.list_objects("dir/", None).await.unwrap();
    assert_eq!(
        page.objects.iter().map(|object| &object.key).collect::<Vec<_>>(),
        keys.iter().collect::<Vec<_>>()
    );
    assert!(
        page.next.is_none() && page.objects.iter().all(|object| object.size == 70_000 && object.modified > 0)
    );

    let requests: BTreeMap<String, u64> =
        client.vips().iter().map(|vip| (vip.address.ip().to_string(), vip.requests)).collect();
    assert_eq!(requests.len(), 4);
    assert!(requests.values().max().unwrap() - requests.values().min().unwrap() <= 1, "{requests:?}");
    assert_eq!(client.counters().retries, 0);

    bucket.delete_object(&keys[0]).await.unwrap();
    bucket.delete_object(&keys[0]).await.unwrap();
    bucket.delete_objects(&keys).await.unwrap();
    assert_eq!(client.counters().requests_of(Operation::DeleteObjects), 1);
    assert!(cluster.raw_state().bucket("backup").unwrap().objects.is_empty());
}

#[tokio::test]
async fn objects_on_every_vip_in_the_clear() {
    objects_on_every_vip(Scheme::Http).await;
}

#[tokio::test]
async fn objects_on_every_vip_over_tls() {
    objects_on_every_vip(Scheme::Https).await;
}

#[tokio::test]
async fn conditions_checksums_ranges_and_rights_are_judged_by_the_server() {
    let (_cluster, client) = start(Scheme::Http).await;
    let bucket = client.bucket("backup");
    let put = async |data: &'static [u8], crc32c, condition: Condition| {
        bucket.put_object("k", vec![Bytes::from_static(data)], crc32c, &condition, None).await
    };
    let first = put(b"one", crc(b"one"), Condition::Absent).await.unwrap();
    assert!(matches!(put(b"two", crc(b"two"), Condition::Absent).await, Err(Error::Precondition(_))));
    put(b"two", crc(b"two"), Condition::Matches(first.etag.clone())).await.unwrap();
    let stale = put(b"three", crc(b"three"), Condition::Matches(first.etag)).await;
    assert!(matches!(&stale, Err(Error::Precondition(_))), "{stale:?}");
    assert!(put(b"four", crc(b"other"), Condition::None).await.is_err(), "a damaged body is refused");
    assert_eq!(bucket.get_object("k", None).await.unwrap().data, "two");

    assert!(matches!(bucket.get_object("k", Some(3..9)).await, Err(Error::Range(_))));
    assert!(matches!(bucket.get_object("nope", None).await, Err(Error::NotFound(Thing::Object, _))));
    assert!(matches!(bucket.head_object("nope").await, Err(Error::NotFound(Thing::Object, _))));
    let nowhere = client.bucket("nowhere");
    assert!(matches!(nowhere.head_bucket().await, Err(Error::NotFound(Thing::Bucket, _))));
    assert!(matches!(nowhere.list_objects("", None).await, Err(Error::NotFound(Thing::Bucket, _))));
}

#[tokio::test]
async fn a_listing_of_many_objects_has_pages() {
    let (_cluster, client) = start(Scheme::Http).await;
    let bucket = client.bucket("backup");
    for i in 0..1001 {
        bucket.put_object(&format!("o/{i:04}"), vec![], 0, &Condition::None, None).await.unwrap();
    }
    let first = bucket.list_objects("o/", None).await.unwrap();
    assert_eq!(first.objects.len(), 1000);
    let second = bucket.list_objects("o/", first.next.as_deref()).await.unwrap();
    assert_eq!((second.objects[0].key.as_str(), second.next), ("o/1000", None));
}

#[tokio::test]
async fn a_full_quota_and_a_wrong_key_have_their_own_errors() {
    let cluster = Cluster::start(Config::default()).await.unwrap();
    let backup = cluster.provision("small", Some(1000)).unwrap();
    let mut config = config(&cluster, &backup, Scheme::Http);
    config.timeouts.total = Duration::from_secs(20);
    let client = VastClient::new(&config, &Environment::system()).unwrap();
    let data = Bytes::from(vec![1_u8; 2000]);
    let sum = crc(&data);
    let error =
        client.bucket("small").put_object("k", vec![data], sum, &Condition::None, None).await.unwrap_err();
    assert!(matches!(&error, Error::NoSpace(detail) if detail.request_id.is_some()), "{error}");

    config.s3.keys = KeyPair::new(&backup.keys.access_key, "wrong");
    let error = VastClient::new(&config, &Environment::system())
        .unwrap()
        .bucket("small")
        .head_bucket()
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::Denied(_)), "{error}");
}

#[tokio::test]
async fn an_lsu_with_object_lock_says_for_how_long_and_keeps_its_word() {
    let (cluster, client) = start(Scheme::Http).await;
    let view = cluster.vms("GET", "views/?bucket=backup", &serde_json::Value::Null).unwrap();
    let rules = serde_json::json!({
        "s3_versioning": true, "locking": true, "s3_locks_retention_mode": "GOVERNANCE",
        "default_retention_period": "2d", "min_retention_period": "1h", "max_retention_period": "1y",
    });
    cluster.vms("PATCH", &format!("views/{}", view[0]["id"]), &rules).unwrap();
    let lsu = client.lsu("backup").await.unwrap();
    assert!(lsu.locking && lsu.versioning);
    let expected = RetentionRules {
        default_mode: Some(RetentionMode::Governance),
        default_seconds: Some(172_800),
        min_seconds: Some(3600),
        max_seconds: Some(31_536_000),
    };
    assert_eq!(lsu.retention, expected);

    let bucket = client.bucket("backup");
    assert_eq!(bucket.versioning().await, Ok(Versioning::Enabled));
    let configuration = bucket.lock_configuration().await.unwrap().unwrap();
    assert_eq!(configuration.default, Some((RetentionMode::Governance, 172_800)));
    let put = bucket.put_object("k", vec![], 0, &Condition::None, None).await.unwrap();
    let info = bucket.head_object("k").await.unwrap();
    assert_eq!(info.version, put.version);
    let retention = info.retention.unwrap();
    assert_eq!(bucket.retention("k", put.version.as_deref()).await, Ok(Some(retention)));
    assert_eq!(retention.mode, RetentionMode::Governance);
    let ahead = retention.until - info.server_time.unwrap();
    assert!((172_790..=172_800).contains(&ahead), "{ahead}");
    let doomed = [("k".to_owned(), put.version.unwrap())];
    assert!(matches!(bucket.delete_versions(&doomed).await, Err(Error::Locked(_))));
    let beyond = Retention { until: retention.until + 31_536_000, ..retention };
    assert!(matches!(bucket.put_retention("k", None, beyond).await, Err(Error::Protocol(_))));
    cluster.stop().await;
}

#[tokio::test]
async fn an_answer_lost_on_the_way_leaves_an_upload_or_its_object() {
    let (cluster, client) = start(Scheme::Http).await;
    let bucket = client.bucket("backup");
    let lost = |operation: &str| {
        cluster.faults().add(Fault::s3(Effect::AnswerLost).on(operation).times(1)).unwrap();
    };
    lost("CreateMultipartUpload");
    let upload = bucket.begin_upload("k", None).await.unwrap();
    let page = bucket.list_uploads("k", None).await.unwrap();
    assert_eq!(page.uploads.len(), 2, "the first one is left behind");
    for left in page.uploads.iter().filter(|left| left.upload != upload) {
        lost("AbortMultipartUpload");
        bucket.abort_upload("k", &left.upload).await.unwrap();
    }
    lost("UploadPart");
    let part = bucket.upload_part("k", &upload, 1, vec![Bytes::from_static(b"data")], crc(b"data")).await;
    lost("CompleteMultipartUpload");
    let done = bucket.complete_upload("k", &upload, &[part.unwrap()]).await;
    // The cluster remembers what it made; a server that does not would say that there is no such upload.
    assert!(matches!(&done, Ok(_) | Err(Error::NoUpload(_))), "{done:?}");
    assert_eq!(bucket.get_object("k", None).await.unwrap().data, "data");
    assert_eq!(bucket.list_uploads("", None).await.unwrap().uploads, []);
    cluster.stop().await;
}
