//! S3 with versions and locks against a plain model: any sequence of writes, copies, renames, uploads, deletions, locks
//! and days leaves the versions that the model says, in the order that it says, and lists them page by page.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;
use vast_sim::{BlockingCluster, Config, EtagMode};

use crate::client::{Reply, S3, pattern};
use crate::random;

#[derive(Debug, Clone)]
enum Step {
    /// Hours that the version is locked for, compliance or governance.
    Put(String, u64, usize, Option<(u64, bool)>),
    Create(String, u64),
    Multipart(String, u64, Vec<u16>),
    Copy(String, Option<usize>, String),
    Rename(String, String),
    Delete(String),
    DeleteVersion(String, usize, bool),
    Hold(String, usize, bool),
    Extend(String, usize, u64),
    Tag(String, usize, u8),
    Read(String, usize),
    Hours(u64),
    List(String, bool, usize),
}

/// One version as the model knows it; no data for a delete marker.
#[derive(Debug, Clone, PartialEq)]
struct Version {
    id: String,
    data: Option<Bytes>,
    /// The model's hour at which it is free, and whether that is final.
    locked: Option<(u64, bool)>,
    held: bool,
    tag: Option<u8>,
}

impl Version {
    fn may_go(&self, hour: u64, bypass: bool) -> bool {
        let locked = self.locked.is_some_and(|(until, compliance)| until >= hour && (compliance || !bypass));
        !locked && !self.held
    }
}

/// Oldest first.
type Model = BTreeMap<String, Vec<Version>>;

fn key() -> impl Strategy<Value = String> {
    "[ab](/[ab])?"
}

fn step() -> impl Strategy<Value = Step> {
    let lock = || proptest::option::weighted(0.3, (1u64..60, any::<bool>()));
    prop_oneof![
        4 => (key(), any::<u64>(), 0usize..3000, lock()).prop_map(|(k, s, n, l)| Step::Put(k, s, n, l)),
        1 => (key(), any::<u64>()).prop_map(|(k, s)| Step::Create(k, s)),
        1 => (key(), any::<u64>(), proptest::collection::btree_set(1u16..6, 1..4))
            .prop_map(|(k, s, p)| Step::Multipart(k, s, p.into_iter().collect())),
        2 => (key(), proptest::option::of(0usize..4), key()).prop_map(|(a, v, b)| Step::Copy(a, v, b)),
        2 => (key(), key()).prop_map(|(a, b)| Step::Rename(a, b)),
        3 => key().prop_map(Step::Delete),
        3 => (key(), 0usize..4, any::<bool>()).prop_map(|(k, v, b)| Step::DeleteVersion(k, v, b)),
        1 => (key(), 0usize..4, any::<bool>()).prop_map(|(k, v, on)| Step::Hold(k, v, on)),
        1 => (key(), 0usize..4, 1u64..60).prop_map(|(k, v, h)| Step::Extend(k, v, h)),
        1 => (key(), 0usize..4, any::<u8>()).prop_map(|(k, v, t)| Step::Tag(k, v, t)),
        2 => (key(), 0usize..4).prop_map(|(k, v)| Step::Read(k, v)),
        1 => (1u64..40).prop_map(Step::Hours),
        2 => ("[ab]?/?", any::<bool>(), 1usize..4).prop_map(|(p, d, n)| Step::List(p, d, n)),
    ]
}

struct World<'c> {
    cluster: &'c BlockingCluster,
    s3: S3,
    bucket: String,
    /// Hours that passed on the cluster's clock beyond the machine's.
    hour: &'c Cell<u64>,
    model: Model,
}

impl World<'_> {
    fn at(&self, key: &str) -> String {
        format!("/{}/{key}", self.bucket)
    }

    fn version_at(&self, key: &str, id: &str) -> String {
        format!("/{}/{key}?versionId={id}", self.bucket)
    }

    /// The time half an hour behind an hour of the model, so that no test hangs on the minutes that it takes.
    fn stamp(hour: u64) -> String {
        let at = SystemTime::now() + Duration::from_hours(hour) + Duration::from_mins(30);
        format!("{:.0}", jiff::Timestamp::try_from(at).unwrap())
    }

    fn current(&self, key: &str) -> Option<&Version> {
        self.model.get(key)?.last().filter(|v| v.data.is_some())
    }

    /// The `n`-th version of a key, counted from the newest.
    fn nth(&self, key: &str, n: usize) -> Option<&Version> {
        self.model.get(key)?.iter().rev().nth(n)
    }

    fn change(&mut self, key: &str, id: &str, change: impl FnOnce(&mut Version)) {
        let version = self.model.get_mut(key).unwrap().iter_mut().find(|v| v.id == id).unwrap();
        change(version);
    }

    fn push(
        &mut self,
        key: &str,
        reply: Reply,
        data: Option<Bytes>,
        locked: Option<(u64, bool)>,
        tag: Option<u8>,
    ) {
        let id = reply.ok().header("x-amz-version-id").to_owned();
        assert_eq!(id.len(), 32);
        self.model.entry(key.to_owned()).or_default().push(Version { id, data, locked, held: false, tag });
    }

    fn drop_version(&mut self, key: &str, id: &str) {
        let versions = self.model.get_mut(key).unwrap();
        versions.retain(|v| v.id != id);
        if versions.is_empty() {
            self.model.remove(key);
        }
    }

    async fn write(&mut self, step: Step) {
        match step {
            Step::Put(key, seed, len, lock) => {
                let data = pattern(seed, len);
                let locked = lock.map(|(hours, compliance)| (self.hour.get() + hours, compliance));
                let until = locked.map(|(hour, _)| Self::stamp(hour));
                let mode = if lock.is_some_and(|l| l.1) { "COMPLIANCE" } else { "GOVERNANCE" };
                let headers: Vec<(&str, &str)> = until.as_deref().map_or(Vec::new(), |until| {
                    vec![("x-amz-object-lock-mode", mode), ("x-amz-object-lock-retain-until-date", until)]
                });
                let reply = self.s3.send("PUT", &self.at(&key), &headers, data.clone()).await;
                self.push(&key, reply, Some(data), locked, None);
            }
            Step::Create(key, seed) => {
                let data = pattern(seed, 10);
                let reply =
                    self.s3.send("PUT", &self.at(&key), &[("if-none-match", "*")], data.clone()).await;
                if self.current(&key).is_some() {
                    reply.is(412, "PreconditionFailed");
                } else {
                    self.push(&key, reply, Some(data), None, None);
                }
            }
            Step::Multipart(key, seed, numbers) => {
                let path = self.at(&key);
                let id = self.s3.create_upload(&path).await;
                let mut whole = Vec::new();
                let mut etags = Vec::new();
                for number in numbers {
                    let part = pattern(seed ^ u64::from(number), 100 + usize::from(number));
                    let reply = self.s3.part(&path, &id, number.into(), part.clone()).await.ok();
                    etags.push((u32::from(number), reply.header("etag").to_owned()));
                    whole.extend_from_slice(&part);
                }
                let parts: Vec<(u32, &str)> = etags.iter().map(|(n, e)| (*n, e.as_str())).collect();
                let reply = self.s3.complete(&path, &id, &parts).await;
                self.push(&key, reply, Some(whole.into()), None, None);
            }
            Step::Hours(hours) => {
                self.hour.set(self.hour.get() + hours);
                self.cluster.advance(Duration::from_hours(hours)).unwrap();
            }
            _ => self.rearrange(step).await,
        }
    }

    async fn rearrange(&mut self, step: Step) {
        let hour = self.hour.get();
        match step {
            Step::Copy(from, version, to) => {
                let source = match version {
                    None => self.current(&from).cloned(),
                    Some(n) => self.nth(&from, n).cloned(),
                };
                let path = match (&source, version) {
                    (Some(source), Some(_)) => self.version_at(&from, &source.id),
                    _ => self.at(&from),
                };
                let reply = self.s3.send("PUT", &self.at(&to), &[("x-amz-copy-source", &path)], "").await;
                match source {
                    None if version.is_some() && self.current(&from).is_some() => {
                        // There is no such version; the plain copy that was asked for instead goes its own way.
                        let source = self.current(&from).cloned().unwrap();
                        self.copied(&from, &to, reply, source, false);
                    }
                    None => drop(reply.is(404, "NoSuchKey")),
                    Some(source) => self.copied(&from, &to, reply, source, version.is_some()),
                }
            }
            Step::Rename(from, to) => {
                let path = self.at(&from);
                let headers = [("x-amz-copy-source", path.as_str()), ("x-amz-copy-disposition", "replace")];
                let reply = self.s3.send("PUT", &self.at(&to), &headers, "").await;
                match self.current(&from).cloned() {
                    None => drop(reply.is(404, "NoSuchKey")),
                    Some(_) if from == to => drop(reply.is(400, "InvalidRequest")),
                    Some(source) if !source.may_go(hour, false) => drop(reply.is(403, "AccessDenied")),
                    Some(source) => {
                        self.push(&to, reply, source.data, source.locked, source.tag);
                        self.drop_version(&from, &source.id);
                        self.hidden_by_rename(&from).await;
                    }
                }
            }
            Step::Delete(key) => {
                let reply = self.s3.delete(&self.at(&key)).await;
                assert_eq!(reply.header("x-amz-delete-marker"), "true");
                self.push(&key, reply, None, None, None);
            }
            Step::DeleteVersion(key, n, bypass) => {
                let Some(version) = self.nth(&key, n).cloned() else { return };
                let lift = [("x-amz-bypass-governance-retention", "true")];
                let headers = if bypass { &lift[..] } else { &[] };
                let reply = self.s3.send("DELETE", &self.version_at(&key, &version.id), headers, "").await;
                if version.may_go(hour, bypass) {
                    assert_eq!(reply.ok().header("x-amz-version-id"), version.id);
                    self.drop_version(&key, &version.id);
                } else {
                    reply.is(403, "AccessDenied");
                }
            }
            _ => self.mark(step).await,
        }
    }

    fn copied(&mut self, from: &str, to: &str, reply: Reply, source: Version, by_version: bool) {
        match source.data {
            None => drop(reply.is(405, "MethodNotAllowed")),
            Some(_) if from == to && !by_version => drop(reply.is(400, "InvalidRequest")),
            Some(data) => self.push(to, reply, Some(data), None, source.tag),
        }
    }

    /// A rename hides the older versions of its source behind a delete marker.
    async fn hidden_by_rename(&mut self, key: &str) {
        if self.current(key).is_some() {
            let listed = self.listed(key, false, 1000).await.0;
            let newest = listed.iter().find(|(k, _)| k == key).unwrap().1.clone();
            let marker = Version { id: newest, data: None, locked: None, held: false, tag: None };
            self.model.get_mut(key).unwrap().push(marker);
        }
    }

    async fn mark(&mut self, step: Step) {
        let hour = self.hour.get();
        match step {
            Step::Hold(key, n, on) => {
                let Some(version) = self.nth(&key, n).cloned() else { return };
                let body =
                    format!("<LegalHold><Status>{}</Status></LegalHold>", if on { "ON" } else { "OFF" });
                let path = format!("{}&legal-hold", self.version_at(&key, &version.id));
                let reply = self.s3.send("PUT", &path, &[], body).await;
                if version.data.is_none() {
                    reply.is(405, "MethodNotAllowed");
                } else {
                    reply.ok();
                    self.change(&key, &version.id, |v| v.held = on);
                }
            }
            Step::Extend(key, n, hours) => {
                let Some(version) = self.nth(&key, n).cloned() else { return };
                let until = hour + hours;
                let body = format!(
                    "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>",
                    Self::stamp(until)
                );
                let path = format!("{}&retention", self.version_at(&key, &version.id));
                let reply = self.s3.send("PUT", &path, &[], body).await;
                let refused = version
                    .locked
                    .is_some_and(|(old, compliance)| old >= hour && (!compliance || until < old));
                if version.data.is_none() {
                    reply.is(405, "MethodNotAllowed");
                } else if version
                    .locked
                    .is_some_and(|(old, compliance)| compliance && old == until && old >= hour)
                {
                    // Seconds decide whether that is an extension; either answer leaves the same hour.
                    assert!(reply.status == 200 || reply.status == 403);
                } else if refused {
                    reply.is(403, "AccessDenied");
                } else {
                    reply.ok();
                    self.change(&key, &version.id, |v| v.locked = Some((until, true)));
                }
            }
            Step::Tag(key, n, tag) => {
                let Some(version) = self.nth(&key, n).cloned() else { return };
                let body = format!(
                    "<Tagging><TagSet><Tag><Key>t</Key><Value>{tag}</Value></Tag></TagSet></Tagging>"
                );
                let path = format!("{}&tagging", self.version_at(&key, &version.id));
                let reply = self.s3.send("PUT", &path, &[], body).await;
                if version.data.is_none() {
                    reply.is(405, "MethodNotAllowed");
                } else {
                    reply.ok();
                    self.change(&key, &version.id, |v| v.tag = Some(tag));
                }
            }
            Step::Read(key, n) => self.read(&key, n).await,
            Step::List(prefix, delimited, max) => self.list(&prefix, delimited, max).await,
            other => panic!("{other:?} is carried out elsewhere"),
        }
    }

    async fn read(&self, key: &str, n: usize) {
        let plain = self.s3.get(&self.at(key)).await;
        match self.current(key) {
            None => drop(plain.is(404, "NoSuchKey")),
            Some(version) => {
                let plain = plain.ok();
                assert_eq!(
                    (&plain.body, plain.header("x-amz-version-id")),
                    (version.data.as_ref().unwrap(), version.id.as_str())
                );
                assert_eq!(plain.header("x-amz-tagging-count") == "1", version.tag.is_some());
            }
        }
        if let Some(version) = self.nth(key, n) {
            let reply = self.s3.get(&self.version_at(key, &version.id)).await;
            match &version.data {
                None => drop(reply.is(405, "MethodNotAllowed")),
                Some(data) => assert_eq!(&reply.ok().body, data),
            }
        }
    }

    /// Keys and version ids, and common prefixes, of all pages of a version listing.
    async fn listed(
        &self,
        prefix: &str,
        delimited: bool,
        max: usize,
    ) -> (Vec<(String, String)>, Vec<String>) {
        let (mut lines, mut prefixes) = (Vec::new(), Vec::new());
        let delimiter = if delimited { "&delimiter=/" } else { "" };
        let mut marker = String::new();
        loop {
            let path = format!("/{}?versions&prefix={prefix}&max-keys={max}{delimiter}{marker}", self.bucket);
            let reply = self.s3.get(&path).await.ok();
            let one = |text: &str, tag: &str| {
                let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
                text.split_once(&open).unwrap().1.split_once(&close).unwrap().0.to_owned()
            };
            let mut page: Vec<(String, String)> = Vec::new();
            for kind in ["Version", "DeleteMarker"] {
                for entry in reply.between(&format!("<{kind}><"), &format!("</{kind}>")) {
                    let entry = format!("<{entry}");
                    page.push((one(&entry, "Key"), one(&entry, "VersionId")));
                }
            }
            let common = reply.between("<CommonPrefixes><Prefix>", "</Prefix>");
            assert!(page.len() + common.len() <= max, "{}", reply.text());
            lines.extend(page);
            prefixes.extend(common);
            if reply.text().contains("<IsTruncated>false") {
                break;
            }
            marker =
                format!("&key-marker={}", reply.between("<NextKeyMarker>", "</NextKeyMarker>").remove(0));
            if let Some(id) = reply.between("<NextVersionIdMarker>", "</NextVersionIdMarker>").first() {
                marker.push_str("&version-id-marker=");
                marker.push_str(id);
            }
        }
        // By name, newest first, as the numbers of versions go down.
        lines.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        (lines, prefixes)
    }

    async fn list(&self, prefix: &str, delimited: bool, max: usize) {
        let roll = |key: &str| -> Option<String> {
            let at = key[prefix.len()..].find('/').filter(|_| delimited)?;
            Some(key[..=prefix.len() + at].to_owned())
        };
        let (mut lines, mut prefixes) = (Vec::new(), Vec::new());
        let (mut objects, mut object_prefixes) = (Vec::new(), Vec::new());
        for (key, versions) in self.model.iter().filter(|(k, _)| k.starts_with(prefix)) {
            if let Some(common) = roll(key) {
                prefixes.push(common.clone());
                object_prefixes.extend(self.current(key).map(|_| common));
            } else {
                lines.extend(versions.iter().rev().map(|v| (key.clone(), v.id.clone())));
                objects.extend(self.current(key).map(|_| key.clone()));
            }
        }
        prefixes.dedup();
        object_prefixes.dedup();
        assert_eq!(self.listed(prefix, delimited, max).await, (lines, prefixes));

        let delimiter = if delimited { "&delimiter=/" } else { "" };
        let (mut seen, mut seen_prefixes) = (Vec::new(), Vec::new());
        let mut token = String::new();
        loop {
            let path =
                format!("/{}?list-type=2&prefix={prefix}&max-keys={max}{delimiter}{token}", self.bucket);
            let reply = self.s3.get(&path).await.ok();
            seen.extend(reply.between("<Key>", "</Key>"));
            seen_prefixes.extend(reply.between("<CommonPrefixes><Prefix>", "</Prefix>"));
            match reply.between("<NextContinuationToken>", "</NextContinuationToken>").first() {
                Some(next) => token = format!("&continuation-token={next}"),
                None => break,
            }
        }
        assert_eq!((seen, seen_prefixes), (objects, object_prefixes));
    }
}

async fn check(world: &mut World<'_>, steps: Vec<Step>) {
    for step in steps {
        world.write(step).await;
    }
    world.list("", false, 3).await;
}

fn against_the_model(config: Config, cases: u32) {
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = BlockingCluster::start(config, 1).unwrap();
    let (user, keys) = cluster.create_user("someone").unwrap();
    assert!(user > 0);
    let (counter, hour) = (Cell::new(0), Cell::new(0));
    let run = TestRunner::new(random::cases(cases)).run(&proptest::collection::vec(step(), 1..40), |steps| {
        let bucket = format!("bucket-{}", counter.replace(counter.get() + 1));
        let view = json!({ "path": format!("/{bucket}"), "policy_id": 2, "protocols": ["S3"], "bucket": bucket,
            "bucket_owner": "someone", "create_dir": true, "s3_versioning": true, "locking": true });
        cluster.create("views", &view).unwrap();
        let s3 = S3::new(&cluster, &keys);
        let mut world = World { cluster: &cluster, s3, bucket, hour: &hour, model: Model::new() };
        client.block_on(check(&mut world, steps));
        let state = cluster.raw_state();
        let raw = state.bucket(&world.bucket).unwrap();
        let data = |v: &Version| v.data.as_ref().map_or(0, |d| d.len() as u64);
        let bytes: u64 = world.model.values().flatten().map(data).sum();
        prop_assert_eq!((raw.bytes, raw.uploads.len()), (bytes, 0));
        Ok(())
    });
    run.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn memory_keeps_versions_as_the_model_does() {
    against_the_model(Config { min_part_size: 1, ..Config::default() }, 60);
}

#[test]
fn files_keep_versions_as_the_model_does() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = Some(dir.path().to_owned());
    let config = Config { data_dir, min_part_size: 1, etag: EtagMode::Opaque, ..Config::default() };
    against_the_model(config, 8);
}
