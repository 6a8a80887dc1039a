//! S3 against a plain map: any sequence of puts, gets, deletes, copies and listings behaves as the map does.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vast_sim::{BlockingCluster, Config, EtagMode};

use crate::client::{S3, pattern};
use crate::random;

#[derive(Debug, Clone)]
enum Step {
    Put(String, u64, usize),
    PutNew(String, u64),
    Get(String, Option<(usize, usize)>),
    Delete(String),
    Copy(String, String),
    List(String, usize),
}

fn key() -> impl Strategy<Value = String> {
    "[ab]/[0-3]"
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (key(), any::<u64>(), 0usize..200_000).prop_map(|(k, s, n)| Step::Put(k, s, n)),
        (key(), any::<u64>()).prop_map(|(k, s)| Step::PutNew(k, s)),
        (key(), proptest::option::of((0usize..1000, 0usize..100_000))).prop_map(|(k, r)| Step::Get(k, r)),
        key().prop_map(Step::Delete),
        (key(), key()).prop_map(|(a, b)| Step::Copy(a, b)),
        ("[ab]?", 1usize..5).prop_map(|(p, n)| Step::List(p, n)),
    ]
}

async fn check(s3: &S3, bucket: &str, steps: Vec<Step>) -> BTreeMap<String, Bytes> {
    let mut model: BTreeMap<String, Bytes> = BTreeMap::new();
    let at = |key: &str| format!("/{bucket}/{key}");
    for step in steps {
        match step {
            Step::Put(key, seed, len) => {
                let data = pattern(seed, len);
                s3.put(&at(&key), data.clone()).await.ok();
                model.insert(key, data);
            }
            Step::PutNew(key, seed) => {
                let data = pattern(seed, 10);
                let reply = s3.send("PUT", &at(&key), &[("if-none-match", "*")], data.clone()).await;
                assert_eq!(reply.status == 200, !model.contains_key(&key), "{key}: {}", reply.status);
                model.entry(key).or_insert(data);
            }
            Step::Get(key, range) => {
                let header = range.map(|(from, len)| format!("bytes={from}-{}", from + len));
                let headers: Vec<(&str, &str)> = header.iter().map(|h| ("range", h.as_str())).collect();
                let reply = s3.send("GET", &at(&key), &headers, Bytes::new()).await;
                match (model.get(&key), range) {
                    (None, _) => drop(reply.is(404, "NoSuchKey")),
                    (Some(data), None) => assert_eq!(reply.ok().body, data),
                    (Some(data), Some((from, _))) if from >= data.len() => {
                        drop(reply.is(416, "InvalidRange"));
                    }
                    (Some(data), Some((from, len))) => {
                        assert_eq!(reply.ok().body, data.slice(from..data.len().min(from + len + 1)));
                    }
                }
            }
            Step::Delete(key) => {
                assert_eq!(s3.delete(&at(&key)).await.status, 204);
                model.remove(&key);
            }
            Step::Copy(from, to) => {
                let source = at(&from);
                let reply = s3.send("PUT", &at(&to), &[("x-amz-copy-source", &source)], Bytes::new()).await;
                match model.get(&from).cloned() {
                    None => drop(reply.is(404, "NoSuchKey")),
                    Some(_) if from == to => drop(reply.is(400, "InvalidRequest")),
                    Some(data) => {
                        reply.ok();
                        model.insert(to, data);
                    }
                }
            }
            Step::List(prefix, max) => {
                let reply =
                    s3.get(&format!("/{bucket}?list-type=2&prefix={prefix}&max-keys={max}")).await.ok();
                let expected: Vec<&String> =
                    model.keys().filter(|k| k.starts_with(&prefix)).take(max).collect();
                assert_eq!(reply.between("<Key>", "</Key>").iter().collect::<Vec<_>>(), expected);
            }
        }
    }
    model
}

fn against_the_model(config: Config, cases: u32) {
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = BlockingCluster::start(config, 1).unwrap();
    let counter = std::cell::Cell::new(0);
    let run = TestRunner::new(random::cases(cases)).run(&proptest::collection::vec(step(), 1..40), |steps| {
        let number = counter.replace(counter.get() + 1);
        let bucket = format!("bucket-{number}");
        let provisioned = cluster.provision(&bucket, None).unwrap();
        let s3 = S3::new(&cluster, &provisioned.keys);
        let model = client.block_on(check(&s3, &bucket, steps));
        let state = cluster.raw_state();
        let raw = state.bucket(&bucket).unwrap();
        let stored: Vec<(String, u64)> = raw.objects.iter().map(|o| (o.key.clone(), o.size)).collect();
        prop_assert_eq!(stored, model.iter().map(|(k, d)| (k.clone(), d.len() as u64)).collect::<Vec<_>>());
        prop_assert_eq!(raw.bytes, model.values().map(|d| d.len() as u64).sum::<u64>());
        Ok(())
    });
    run.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn memory_behaves_like_a_map() {
    against_the_model(Config::default(), 40);
}

#[test]
fn files_behave_like_a_map() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        Config { data_dir: Some(dir.path().to_owned()), etag: EtagMode::Opaque, ..Config::default() };
    against_the_model(config, 8);
}
