//! The same image store on a simulated VAST cluster, over HTTP.

use std::collections::BTreeSet;
use std::sync::Arc;

use image_store::{Close, Exclusivity, ImageError, ImageStore, ObjectStore as _, S3Store};
use vast_client::{ClientConfig, Endpoint, KeyPair, S3Config, Scheme, TlsConfig, VastClient, VmsConfig};
use vast_sim::{BlockingCluster, Config, Effect, Fault, Feature, FeaturesOff, Switch};

use crate::support::{bytes, environment, identity, read_image, small, write_image};

const BUCKET: &str = "backup";

fn endpoint(url: &str) -> Endpoint {
    url.parse().unwrap()
}

/// A cluster with one LSU, and a store on it.
fn cluster(quota: Option<u64>) -> (BlockingCluster, S3Store) {
    let cluster = BlockingCluster::start(Config::default(), 2).unwrap();
    let provisioned = cluster.provision(BUCKET, quota).unwrap();
    let store = store(&cluster, BUCKET, &provisioned.keys);
    (cluster, store)
}

/// A cluster with one LSU whose view has these fields set, and a store on it.
pub(crate) fn cluster_with(fields: &serde_json::Value) -> (BlockingCluster, S3Store) {
    let cluster = BlockingCluster::start(Config::default(), 2).unwrap();
    let provisioned = cluster.provision(BUCKET, None).unwrap();
    cluster.vms("PATCH", &format!("views/{}", provisioned.view_id), fields).unwrap();
    let store = store(&cluster, BUCKET, &provisioned.keys);
    (cluster, store)
}

/// A store on a further bucket of the same owner.
pub(crate) fn further_bucket(cluster: &BlockingCluster, bucket: &str) -> S3Store {
    let owner = format!("{BUCKET}-owner");
    cluster.create_bucket(bucket, &owner).unwrap();
    let users = cluster.vms("GET", &format!("users/?name={owner}"), &serde_json::Value::Null).unwrap();
    let keys = cluster.create_keys(users[0]["id"].as_u64().unwrap()).unwrap();
    store(cluster, bucket, &keys)
}

fn store(cluster: &BlockingCluster, bucket: &str, keys: &vast_sim::KeyPair) -> S3Store {
    let keys = KeyPair::new(&keys.access_key, keys.secret_key.as_str());
    let vms = VmsConfig {
        endpoint: endpoint(&cluster.vms_url()),
        user: "admin".to_owned(),
        password: "123456".into(),
        tenant: None,
        tls: TlsConfig::default(),
    };
    let mut s3 = S3Config::new(keys);
    s3.endpoints = cluster.s3_urls().iter().map(|url| endpoint(url)).collect();
    s3.scheme = Scheme::Http;
    s3.vip_pool = None;
    let client = VastClient::new(&ClientConfig::new(vms, s3), &vast_client::Environment::system()).unwrap();
    let store = S3Store::new(client.bucket(bucket));
    assert_eq!(store.bucket(), bucket);
    store
}

fn images(store: &S3Store) -> ImageStore<S3Store> {
    ImageStore::new(Arc::new(store.clone()), small(), environment().0).unwrap()
}

/// Runs what needs the network.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn keys(cluster: &BlockingCluster) -> BTreeSet<String> {
    let state = cluster.raw_state();
    let bucket = state.bucket(BUCKET).unwrap();
    assert!(bucket.uploads.is_empty());
    bucket.objects.iter().map(|object| object.key.clone()).collect()
}

#[test]
fn images_live_and_die_on_a_cluster() {
    let (cluster, store) = cluster(None);
    block_on(async {
        let images = images(&store);
        let (image, content) = (identity("a/b \u{e9}"), bytes(1, 0, 3000));
        let mut writer = images.create(&image).await.unwrap();
        writer.append(0, &content[..1000]).await.unwrap();
        writer.close(Close::Incomplete).await.unwrap();
        let mut writer = images.open_write(&image).await.unwrap();
        writer.append(1000, &content[1000..]).await.unwrap();
        writer.close(Close::Complete).await.unwrap();
        write_image(&images, &identity("small"), b"small").await;
        assert_eq!(read_image(&images, &image).await, content);
        assert_eq!(read_image(&images, &identity("small")).await, b"small");
        assert!(matches!(images.create(&image).await, Err(ImageError::Exists { .. })));
        let listed = images.list().next_page().await.unwrap().unwrap();
        assert_eq!(listed.len(), 2);
        assert_eq!(images.exclusivity().await.unwrap(), Exclusivity::Conditions);

        let mut aborted = images.create(&identity("aborted")).await.unwrap();
        aborted.append(0, &content).await.unwrap();
        aborted.abort().await.unwrap();
        let mut fenced = images.create(&identity("fenced")).await.unwrap();
        fenced.append(0, &content).await.unwrap();
        images.delete(&identity("fenced")).await.unwrap();
        assert!(matches!(fenced.close(Close::Complete).await, Err(ImageError::Fenced { .. })));
        images.delete(&image).await.unwrap();
        images.delete(&identity("small")).await.unwrap();
        assert!(matches!(images.delete(&image).await, Err(ImageError::NotFound { .. })));
    });
    assert!(keys(&cluster).is_empty(), "{:?}", keys(&cluster));
}

#[test]
fn an_answer_lost_between_cluster_and_client_is_resolved() {
    let (cluster, store) = cluster(None);
    block_on(async {
        let images = images(&store);
        for skip in 0..2 {
            let image = identity(&format!("lost-{skip}"));
            let fault =
                Fault::s3(Effect::AnswerLost).on("PutObject").key_prefix("image/").skip(skip).times(1);
            cluster.faults().add(fault).unwrap();
            write_image(&images, &image, &bytes(1, 0, 500)).await;
            assert_eq!(
                cluster.faults().log().len(),
                1 + usize::try_from(skip).unwrap(),
                "the answer was lost"
            );
            assert_eq!(read_image(&images, &image).await, bytes(1, 0, 500));
            images.delete(&image).await.unwrap();
        }
    });
    assert!(keys(&cluster).is_empty());
}

#[test]
fn a_byte_changed_on_the_wire_is_read_again() {
    let (cluster, store) = cluster(None);
    block_on(async {
        let images = images(&store);
        write_image(&images, &identity("a"), &bytes(1, 0, 500)).await;
        let fault =
            Fault::s3(Effect::CorruptBody { offset: 10 }).on("GetObject").key_prefix("segment/").times(1);
        cluster.faults().add(fault).unwrap();
        assert_eq!(read_image(&images, &identity("a")).await, bytes(1, 0, 500));
        assert_eq!(cluster.faults().log().len(), 1);
    });
}

#[test]
fn an_lsu_that_fills_up_says_so_and_keeps_no_orphans() {
    let (cluster, store) = cluster(Some(4000));
    block_on(async {
        let images = images(&store);
        let mut writer = images.create(&identity("a")).await.unwrap();
        let mut error = None;
        while error.is_none() && writer.size() < 100_000 {
            let at = writer.size();
            error = writer.append(at, &bytes(1, at, 100)).await.err();
        }
        assert!(matches!(error, Some(ImageError::NoSpace { .. })), "{error:?}");
        writer.abort().await.unwrap();
    });
    assert!(keys(&cluster).is_empty(), "{:?}", keys(&cluster));
}

/// The same without conditional writes: multipart uploads keep writers apart.
#[test]
fn writers_exclude_each_other_on_a_cluster_without_conditional_writes() {
    for how in [Switch::Refused, Switch::Ignored] {
        let (cluster, store) = cluster(None);
        let mut off = FeaturesOff::default();
        off.switch_off(Feature::ConditionalWrites, how).unwrap();
        cluster.set_features_off(off).unwrap();
        block_on(async {
            // One source of randomness: two processes never have the same ids.
            let environment = environment().0;
            let process = || ImageStore::new(Arc::new(store.clone()), small(), environment.clone()).unwrap();
            let (first, second) = (process(), process());
            for images in [&first, &second] {
                assert_eq!(images.exclusivity().await.unwrap(), Exclusivity::Uploads);
            }
            let (image, content) = (identity("a/b \u{e9}"), bytes(1, 0, 3000));
            let mut writer = first.create(&image).await.unwrap();
            assert!(matches!(second.create(&image).await, Err(ImageError::Busy { .. })));
            writer.append(0, &content[..1000]).await.unwrap();
            writer.close(Close::Incomplete).await.unwrap();
            let (one, other) = tokio::join!(first.open_write(&image), second.open_write(&image));
            let mut owners: Vec<_> = [one, other].into_iter().filter_map(Result::ok).collect();
            assert!(owners.len() <= 1);
            if owners.is_empty() {
                owners.push(first.open_write(&image).await.unwrap());
            }
            owners[0].append(1000, &content[1000..]).await.unwrap();
            owners[0].close(Close::Complete).await.unwrap();
            assert_eq!(read_image(&second, &image).await, content);
            let race = identity("race");
            let creates = tokio::join!(first.create(&race), second.create(&race), first.create(&race));
            let won = [creates.0, creates.1, creates.2].into_iter().flatten().count();
            assert!(won <= 1, "{won}");
            let _ = first.delete(&race).await;
            // An answer that is lost on the wire.
            let fault =
                Fault::s3(Effect::AnswerLost).on("CompleteMultipartUpload").key_prefix("image/").times(1);
            cluster.faults().add(fault).unwrap();
            write_image(&second, &identity("lost"), b"small").await;
            assert_eq!(cluster.faults().log().len(), 1, "the answer was lost");
            assert_eq!(read_image(&first, &identity("lost")).await, b"small");

            let mut fenced = first.create(&identity("fenced")).await.unwrap();
            fenced.append(0, &content).await.unwrap();
            second.delete(&identity("fenced")).await.unwrap();
            assert!(matches!(fenced.close(Close::Complete).await, Err(ImageError::Fenced { .. })));
            first.delete(&image).await.unwrap();
            first.delete(&identity("lost")).await.unwrap();
        });
        assert!(keys(&cluster).is_empty(), "{:?}", keys(&cluster));
    }
}
