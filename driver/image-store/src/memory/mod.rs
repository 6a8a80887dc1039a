//! An object store in memory, for tests: behaves like S3, counts what it is asked, and fails on command.

mod bucket;
mod life;
mod list;
mod operation;
mod raw;
mod requests;
mod script;
mod upload;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

pub use operation::{Counters, Operation};
pub use raw::{Raw, RawUpload, RawVersion};
pub use script::Effect;

use crate::object_store::StoreError;
use bucket::{Bucket, Server};
use life::{Breath, Life, Pace};

/// The bucket of [`MemoryStore::new`].
const FIRST: &str = "memory";

/// Buckets with one clock.
#[derive(Debug, Default)]
struct Cluster {
    buckets: BTreeMap<String, Bucket>,
    server: Server,
}

/// A bucket in memory, alone in its cluster or with [others](Self::sibling).
///
/// A put whose body does not match its checksum fails with [`StoreError::Protocol`]. Each request lets other tasks
/// run once, so that transfers in parallel really interleave. May be used from any thread. Clones are the same
/// bucket.
///
/// Switches, limits, scripts and counters are the bucket's own; the clock is the cluster's, stands at 0 and moves
/// only when told to.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    cluster: Arc<Mutex<Cluster>>,
    name: Arc<str>,
    /// Of the process that this store belongs to, if it is to die.
    life: Option<Arc<Life>>,
    /// How fast the process is.
    pace: Option<Arc<Pace>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { cluster: Arc::default(), name: FIRST.into(), life: None, pace: None }.opened()
    }
}

impl MemoryStore {
    /// An empty bucket without limits, versions and locks, named `memory`, in a cluster of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another bucket of the same cluster, made like [`MemoryStore::new`] makes one unless it is there.
    #[must_use]
    pub fn sibling(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }.opened()
    }

    /// The same bucket as a process sees it that dies after `requests` further requests: none after that is ever answered.
    /// With `carried_out`, the next one still happens.
    #[must_use]
    pub fn mortal(&self, requests: u64, carried_out: bool) -> Self {
        Self { life: Some(Arc::new(Life::new(requests, carried_out))), ..self.clone() }
    }

    /// The same bucket as a process sees it that is as slow as the seed says: before each request, others get up to
    /// `turns_max` turns, sometimes many more. With several of them, every seed is another schedule.
    #[must_use]
    pub fn paced(&self, seed: u64, turns_max: u64) -> Self {
        Self { pace: Some(Arc::new(Pace::new(seed, turns_max))), ..self.clone() }
    }

    /// Completes when the process of [`MemoryStore::mortal`] has died; never for any other store.
    pub async fn died(&self) {
        match &self.life {
            Some(life) => life.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Makes the bucket keep versions from now on. As on a server, that cannot be taken back.
    pub fn set_versioned(&self) {
        self.with(|bucket, _| bucket.kind.versioned = true);
    }

    /// Gives the bucket object lock, and thereby versions. As on a server, that cannot be taken back.
    pub fn set_object_lock(&self) {
        self.with(|bucket, _| {
            bucket.kind.versioned = true;
            bucket.kind.object_lock = true;
        });
    }

    /// Locks every new version for this many seconds unless its writer asks for another retention. Takes effect in
    /// buckets with object lock.
    pub fn set_default_retention(&self, seconds: Option<u64>) {
        self.with(|bucket, _| bucket.default_retention = seconds);
    }

    /// Sets the capacity in bytes of data, or removes the limit. What is stored already stays.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.with(|bucket, _| bucket.capacity = bytes);
    }

    /// With `false`, puts with a precondition fail with [`StoreError::Unsupported`].
    pub fn set_conditional_writes(&self, offered: bool) {
        self.with(|bucket, _| bucket.lacks.conditions = !offered);
    }

    /// With `true`, puts with a precondition are carried out whatever is there, as some older servers do.
    pub fn set_ignores_conditions(&self, ignored: bool) {
        self.with(|bucket, _| bucket.lacks.heed = ignored);
    }

    /// With `false`, everything about multipart uploads fails with [`StoreError::Unsupported`].
    pub fn set_multipart(&self, offered: bool) {
        self.with(|bucket, _| bucket.lacks.multipart = !offered);
    }

    /// With `false`, listings of uploads show none.
    pub fn set_upload_listing(&self, offered: bool) {
        self.with(|bucket, _| bucket.lacks.upload_listing = !offered);
    }

    /// With `false`, uploads that are aborted can still be completed.
    pub fn set_aborts(&self, carried_out: bool) {
        self.with(|bucket, _| bucket.lacks.aborts = !carried_out);
    }

    /// With `false`, listings of versions fail with [`StoreError::Unsupported`].
    pub fn set_version_listing(&self, offered: bool) {
        self.with(|bucket, _| bucket.lacks.version_listing = !offered);
    }

    /// Sets the most entries of a listing page, 1 to 1,000 (the default).
    pub fn set_page_size(&self, entries: usize) {
        self.with(|bucket, _| bucket.page_size = entries.clamp(1, 1000));
    }

    /// Sets the clock of the whole cluster, in seconds since the epoch.
    pub fn set_time(&self, seconds: u64) {
        self.with(|_, server| server.now = seconds);
    }

    /// Moves the clock of the whole cluster on by this many seconds.
    pub fn advance(&self, seconds: u64) {
        self.with(|_, server| server.now = server.now.saturating_add(seconds));
    }

    /// The clock of the cluster, in seconds since the epoch.
    pub fn time(&self) -> u64 {
        self.with(|_, server| server.now)
    }

    /// Makes a request have `effect`, once: the one after `skip` others of this kind on keys with this prefix.
    pub fn script(&self, operation: Operation, prefix: &str, skip: u64, effect: Effect) {
        self.with(|bucket, _| bucket.scripts.add(operation, prefix, skip, effect));
    }

    /// Forgets scripted effects that have not happened; says how many.
    pub fn clear_scripts(&self) -> usize {
        self.with(|bucket, _| bucket.scripts.clear())
    }

    /// Requests and bytes so far.
    pub fn counters(&self) -> Counters {
        self.with(|bucket, _| bucket.counters)
    }

    /// Bytes of data held: of all versions, and of the parts of uploads.
    pub fn used(&self) -> u64 {
        self.with(|bucket, _| bucket.used())
    }

    /// The keys of all objects, in order, without counting as a request. What is hidden by a delete marker is not
    /// among them; [`MemoryStore::raw`] has everything.
    pub fn keys(&self) -> BTreeSet<String> {
        self.with(|bucket, _| bucket.versions.currents_from("").map(|(key, _)| key.to_owned()).collect())
    }

    /// An object's data, without counting as a request.
    pub fn object(&self, key: &str) -> Option<Bytes> {
        self.with(|bucket, _| bucket.versions.current(key).map(|(_, data)| data.clone()))
    }

    /// Replaces an object's data behind everyone's back; its entity tag stays. False if there is none.
    pub fn tamper(&self, key: &str, data: impl Into<Bytes>) -> bool {
        let data = data.into();
        self.with(|bucket, _| bucket.versions.tamper(key, data))
    }

    /// Everything that the bucket holds, without counting as a request.
    pub fn raw(&self) -> Raw {
        self.with(|bucket, _| Raw::of(bucket))
    }

    fn opened(self) -> Self {
        self.with(|_, _| ());
        self
    }

    fn with<T>(&self, act: impl FnOnce(&mut Bucket, &mut Server) -> T) -> T {
        self.with_cluster(|cluster| self.act(cluster, act))
    }

    fn act<T>(&self, cluster: &mut Cluster, act: impl FnOnce(&mut Bucket, &mut Server) -> T) -> T {
        act(cluster.buckets.entry(self.name.to_string()).or_default(), &mut cluster.server)
    }

    fn with_cluster<T>(&self, act: impl FnOnce(&mut Cluster) -> T) -> T {
        act(&mut self.cluster.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Carries a request out, with its scripted effect around it. `request` is told where to damage data.
    async fn run<T>(
        &self,
        operation: Operation,
        key: &str,
        request: impl FnOnce(&mut Bucket, &mut Server, Option<u64>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.run_in_cluster(operation, key, |cluster, flip| {
            self.act(cluster, |bucket, server| request(bucket, server, flip))
        })
        .await
    }

    /// Carries out a request that looks at more than this bucket.
    async fn run_in_cluster<T>(
        &self,
        operation: Operation,
        key: &str,
        request: impl FnOnce(&mut Cluster, Option<u64>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..self.pace.as_ref().map_or(1, |pace| pace.turns()) {
            tokio::task::yield_now().await;
        }
        let breath = self.life.as_ref().map_or(Breath::Lives, |life| life.draw());
        if breath == Breath::Dead {
            return std::future::pending().await;
        }
        let done = self.with_cluster(|cluster| {
            let effect = self.act(cluster, |bucket, _| {
                bucket.counters.count(operation);
                bucket.scripts.effect(operation, key)
            });
            match effect {
                None => request(cluster, None),
                Some(Effect::FlipByte(at)) => request(cluster, Some(at)),
                Some(Effect::Refuse(error)) => Err(error),
                Some(Effect::LoseAnswer(error)) => request(cluster, None).and(Err(error)),
            }
        });
        if breath == Breath::Last { std::future::pending().await } else { done }
    }
}
