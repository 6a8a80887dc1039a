//! S3 against a plain map: any sequence of puts, gets, deletes, copies, renames, all with and without conditions, and
//! listings by pages and delimiters, over plain and odd keys, behaves as the map does.

use std::collections::BTreeMap;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use vast_sim::{BlockingCluster, Config, EtagMode};

use crate::client::{S3, pattern};
use crate::random;

/// Keys that paths, queries, listings and XML each have their own trouble with.
const ODD: &[&str] =
    &["a//b", "a/", "b+c", "b%2Fc", "a b", "é/ü", "a/<x>&y", "q?r=1#s", "\u{1F600}", "~a*b'c(d)!"];

#[derive(Debug, Clone)]
enum Step {
    Put(String, u64, usize),
    PutNew(String, u64),
    /// With the ETag that the object has, or another one.
    PutIf(String, u64, bool),
    Get(String, Option<(usize, usize)>),
    Delete(String),
    DeleteIf(String, bool),
    Copy(String, String),
    CopyNew(String, String),
    Rename(String, String),
    List(String, &'static str, usize),
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[ab]/[0-3]", 1 => proptest::sample::select(ODD).prop_map(str::to_owned)]
}

fn step() -> impl Strategy<Value = Step> {
    let delimiter = || proptest::sample::select(&["", "/", "+", "/é"][..]);
    prop_oneof![
        3 => (key(), any::<u64>(), 0usize..200_000).prop_map(|(k, s, n)| Step::Put(k, s, n)),
        1 => (key(), any::<u64>()).prop_map(|(k, s)| Step::PutNew(k, s)),
        1 => (key(), any::<u64>(), any::<bool>()).prop_map(|(k, s, r)| Step::PutIf(k, s, r)),
        2 => (key(), proptest::option::of((0usize..1000, 0usize..100_000))).prop_map(|(k, r)| Step::Get(k, r)),
        2 => key().prop_map(Step::Delete),
        1 => (key(), any::<bool>()).prop_map(|(k, r)| Step::DeleteIf(k, r)),
        1 => (key(), key()).prop_map(|(a, b)| Step::Copy(a, b)),
        1 => (key(), key()).prop_map(|(a, b)| Step::CopyNew(a, b)),
        1 => (key(), key()).prop_map(|(a, b)| Step::Rename(a, b)),
        2 => ("([ab]/?)?", delimiter(), 1usize..5).prop_map(|(p, d, n)| Step::List(p, d, n)),
    ]
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What a listing by pages shows, keys and common prefixes each in order.
async fn listed(
    s3: &S3,
    bucket: &str,
    prefix: &str,
    delimiter: &str,
    max: usize,
) -> (Vec<String>, Vec<String>) {
    let decoded = |texts: Vec<String>| -> Vec<String> {
        texts.iter().map(|t| percent_decode_str(t).decode_utf8().unwrap().into_owned()).collect()
    };
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    let mut token = String::new();
    loop {
        let path = format!(
            "/{bucket}?list-type=2&encoding-type=url&prefix={}&delimiter={}&max-keys={max}{token}",
            encoded(prefix),
            encoded(delimiter)
        );
        let page = s3.get(&path).await.ok();
        let (some, rolled) =
            (page.between("<Key>", "</Key>"), page.between("<CommonPrefixes><Prefix>", "</Prefix>"));
        assert!(some.len() + rolled.len() <= max);
        keys.extend(decoded(some));
        prefixes.extend(decoded(rolled));
        match page.between("<NextContinuationToken>", "</NextContinuationToken>").first() {
            Some(next) => token = format!("&continuation-token={next}"),
            None => return (keys, prefixes),
        }
    }
}

/// The same by the rules, as plainly as possible.
fn expected(model: &BTreeMap<String, Bytes>, prefix: &str, delimiter: &str) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    for key in model.keys().filter(|k| k.starts_with(prefix)) {
        match key[prefix.len()..].find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => prefixes.push(key[..prefix.len() + at + delimiter.len()].to_owned()),
            None => keys.push(key.clone()),
        }
    }
    prefixes.dedup();
    (keys, prefixes)
}

fn etag(data: &Bytes, opaque: bool, stored: &str) -> String {
    use md5::Digest as _;
    if opaque {
        return stored.to_owned();
    }
    let hex = md5::Md5::digest(data).iter().fold(String::new(), |hex, b| format!("{hex}{b:02x}"));
    format!("\"{hex}\"")
}

/// Puts one bucket of a cluster through steps beside the model.
struct Both<'s> {
    s3: &'s S3,
    bucket: String,
    opaque: bool,
    model: BTreeMap<String, Bytes>,
}

impl Both<'_> {
    fn at(&self, key: &str) -> String {
        format!("/{}/{}", self.bucket, encoded(key))
    }

    /// The ETag of the object, or another one; 404, 412 or nothing is what a condition on it gives.
    async fn condition(&self, key: &str, right: bool) -> (String, Option<(u16, &'static str)>) {
        let Some(data) = self.model.get(key) else {
            return ("\"none\"".to_owned(), Some((404, "NoSuchKey")));
        };
        let head = self.s3.head(&self.at(key)).await;
        let has = etag(data, self.opaque, head.header("etag"));
        assert_eq!(head.header("etag"), has, "{key}");
        if right { (has, None) } else { ("\"other\"".to_owned(), Some((412, "PreconditionFailed"))) }
    }

    async fn copies(&mut self, from: String, to: String, more: &[(&str, &str)]) {
        let source = self.at(&from);
        let headers = [&[("x-amz-copy-source", source.as_str())], more].concat();
        let reply = self.s3.send("PUT", &self.at(&to), &headers, Bytes::new()).await;
        let only_new = more.iter().any(|(name, _)| *name == "if-none-match");
        let renames = more.iter().any(|(name, _)| *name == "x-amz-copy-disposition");
        match self.model.get(&from).cloned() {
            None => drop(reply.is(404, "NoSuchKey")),
            Some(_) if from == to => drop(reply.is(400, "InvalidRequest")),
            Some(_) if only_new && self.model.contains_key(&to) => {
                drop(reply.is(412, "PreconditionFailed"));
            }
            Some(data) => {
                reply.ok();
                self.model.insert(to, data);
                if renames {
                    self.model.remove(&from);
                }
            }
        }
    }

    async fn take(&mut self, step: Step) {
        let s3 = self.s3;
        match step {
            Step::Put(key, seed, len) => {
                let data = pattern(seed, len);
                s3.put(&self.at(&key), data.clone()).await.ok();
                self.model.insert(key, data);
            }
            Step::PutNew(key, seed) => {
                let data = pattern(seed, 10);
                let reply = s3.send("PUT", &self.at(&key), &[("if-none-match", "*")], data.clone()).await;
                assert_eq!(reply.status == 200, !self.model.contains_key(&key), "{key}: {}", reply.status);
                self.model.entry(key).or_insert(data);
            }
            Step::PutIf(key, seed, right) => {
                let (etag, refused) = self.condition(&key, right).await;
                let data = pattern(seed, 20);
                let reply = s3.send("PUT", &self.at(&key), &[("if-match", &etag)], data.clone()).await;
                if let Some((status, code)) = refused {
                    reply.is(status, code);
                } else {
                    reply.ok();
                    self.model.insert(key, data);
                }
            }
            Step::Get(key, range) => {
                let header = range.map(|(from, len)| format!("bytes={from}-{}", from + len));
                let headers: Vec<(&str, &str)> = header.iter().map(|h| ("range", h.as_str())).collect();
                let reply = s3.send("GET", &self.at(&key), &headers, Bytes::new()).await;
                match (self.model.get(&key), range) {
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
                assert_eq!(s3.delete(&self.at(&key)).await.status, 204);
                self.model.remove(&key);
            }
            Step::DeleteIf(key, right) => {
                let (etag, refused) = self.condition(&key, right).await;
                let reply = s3.send("DELETE", &self.at(&key), &[("if-match", &etag)], Bytes::new()).await;
                if let Some((status, code)) = refused {
                    reply.is(status, code);
                } else {
                    reply.ok();
                    self.model.remove(&key);
                }
            }
            Step::Copy(from, to) => self.copies(from, to, &[]).await,
            Step::CopyNew(from, to) => self.copies(from, to, &[("if-none-match", "*")]).await,
            Step::Rename(from, to) => {
                self.copies(from, to, &[("x-amz-copy-disposition", "replace")]).await;
            }
            Step::List(prefix, delimiter, max) => {
                let seen = listed(s3, &self.bucket, &prefix, delimiter, max).await;
                assert_eq!(seen, expected(&self.model, &prefix, delimiter), "{prefix:?} {delimiter:?}");
            }
        }
    }
}

async fn check(s3: &S3, bucket: &str, opaque: bool, steps: Vec<Step>) -> BTreeMap<String, Bytes> {
    let mut both = Both { s3, bucket: bucket.to_owned(), opaque, model: BTreeMap::new() };
    for step in steps {
        both.take(step).await;
    }
    both.model
}

fn against_the_model(config: Config, cases: u32) {
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let opaque = config.etag == EtagMode::Opaque;
    let cluster = BlockingCluster::start(config, 1).unwrap();
    let counter = std::cell::Cell::new(0);
    let run = TestRunner::new(random::cases(cases)).run(&proptest::collection::vec(step(), 1..40), |steps| {
        let number = counter.replace(counter.get() + 1);
        let bucket = format!("bucket-{number}");
        let provisioned = cluster.provision(&bucket, None).unwrap();
        let s3 = S3::new(&cluster, &provisioned.keys);
        let model = client.block_on(check(&s3, &bucket, opaque, steps));
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
