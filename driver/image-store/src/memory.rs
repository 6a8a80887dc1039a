//! An object store in memory, for tests: behaves like S3, counts what it is asked, and fails on command.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::checksum::Running;
use crate::object_store::{Got, Listed, ObjectStore, Page, Payload, Precondition, Put, StoreError};

/// Kinds of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`ObjectStore::put`].
    Put,
    /// [`ObjectStore::get`].
    Get,
    /// [`ObjectStore::delete`].
    Delete,
    /// [`ObjectStore::delete_many`], one request per 1,000 keys.
    DeleteMany,
    /// [`ObjectStore::list`].
    List,
}

/// Requests and bytes since the store was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Put requests.
    pub puts: u64,
    /// Get requests.
    pub gets: u64,
    /// Delete requests for one object.
    pub deletes: u64,
    /// Delete requests for up to 1,000 objects.
    pub bulk_deletes: u64,
    /// List requests.
    pub lists: u64,
    /// Bytes put, whether accepted or not.
    pub bytes_in: u64,
    /// Bytes got.
    pub bytes_out: u64,
}

impl Counters {
    /// Requests of all kinds.
    pub fn requests(&self) -> u64 {
        self.puts + self.gets + self.deletes + self.bulk_deletes + self.lists
    }
}

/// What a scripted failure does.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The request is not carried out and fails.
    Refuse(StoreError),
    /// The request is carried out, and then fails nevertheless.
    LoseAnswer(StoreError),
    /// The data of a get comes with one bit wrong at this offset (modulo its length). Other requests are not affected.
    FlipByte(u64),
}

#[derive(Debug)]
struct Script {
    operation: Operation,
    prefix: String,
    /// Matching requests still to let pass.
    skip: u64,
    effect: Effect,
}

#[derive(Debug, Clone)]
struct Object {
    data: Bytes,
    etag: String,
    modified: u64,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    capacity: Option<u64>,
    used: u64,
    counters: Counters,
    scripts: Vec<Script>,
    unconditional: bool,
    ignores_conditions: bool,
    page_size: usize,
    writes: u64,
    now: u64,
}

/// A bucket in memory.
///
/// A put whose body does not match its checksum fails with [`StoreError::Protocol`]. Each request lets other tasks
/// run once, so that transfers in parallel really interleave. May be used from any thread.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

impl MemoryStore {
    /// An empty bucket without limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the capacity in bytes of data, or removes the limit. What is stored already stays.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// With `false`, puts with a precondition fail with [`StoreError::Unsupported`].
    pub fn set_conditional_writes(&self, offered: bool) {
        self.lock().unconditional = !offered;
    }

    /// With `true`, puts with a precondition are carried out whatever is there, as some older servers do.
    pub fn set_ignores_conditions(&self, ignored: bool) {
        self.lock().ignores_conditions = ignored;
    }

    /// Sets the most objects of a listing page, 1 to 1,000 (the default).
    pub fn set_page_size(&self, objects: usize) {
        self.lock().page_size = objects.clamp(1, 1000);
    }

    /// Sets the server's clock, in seconds since the epoch.
    pub fn set_time(&self, seconds: u64) {
        self.lock().now = seconds;
    }

    /// Makes a request have `effect`, once: the one after `skip` others of this kind on keys with this prefix.
    pub fn script(&self, operation: Operation, prefix: &str, skip: u64, effect: Effect) {
        self.lock().scripts.push(Script { operation, prefix: prefix.to_owned(), skip, effect });
    }

    /// Forgets scripted effects that have not happened; says how many.
    pub fn clear_scripts(&self) -> usize {
        std::mem::take(&mut self.lock().scripts).len()
    }

    /// Requests and bytes so far.
    pub fn counters(&self) -> Counters {
        self.lock().counters
    }

    /// Bytes of data held.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// All keys, in order, without counting as a request.
    pub fn keys(&self) -> BTreeSet<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// An object's data, without counting as a request.
    pub fn object(&self, key: &str) -> Option<Bytes> {
        self.lock().objects.get(key).map(|object| object.data.clone())
    }

    /// Replaces an object's data behind everyone's back; its entity tag stays. False if there is none.
    pub fn tamper(&self, key: &str, data: impl Into<Bytes>) -> bool {
        let mut inner = self.lock();
        let data = data.into();
        let Some(object) = inner.objects.get_mut(key) else { return false };
        let before = std::mem::replace(&mut object.data, data.clone());
        inner.used = inner.used - before.len() as u64 + data.len() as u64;
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The scripted effect of a request that is about to be carried out.
    fn effect(&mut self, operation: Operation, key: &str) -> Option<Effect> {
        let mut due = None;
        for (number, script) in self.scripts.iter_mut().enumerate() {
            if script.operation != operation || !key.starts_with(&script.prefix) {
                continue;
            }
            if script.skip == 0 {
                due = Some(number);
                break;
            }
            script.skip -= 1;
        }
        due.map(|number| self.scripts.remove(number).effect)
    }

    /// Runs a request with the scripted effect applied around it.
    fn run<T>(
        &mut self,
        operation: Operation,
        key: &str,
        request: impl FnOnce(&mut Self, Option<u64>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.effect(operation, key) {
            None => request(self, None),
            Some(Effect::FlipByte(at)) => request(self, Some(at)),
            Some(Effect::Refuse(error)) => Err(error),
            Some(Effect::LoseAnswer(error)) => request(self, None).and(Err(error)),
        }
    }

    fn put(&mut self, key: &str, body: &Payload, condition: &Precondition) -> Result<Put, StoreError> {
        if self.unconditional && *condition != Precondition::None {
            return Err(StoreError::Unsupported("conditional writes are switched off".to_owned()));
        }
        let there = self.objects.get(key);
        match condition {
            _ if self.ignores_conditions => {}
            Precondition::None => {}
            Precondition::Absent if there.is_none() => {}
            Precondition::Matches(etag) => match there {
                Some(object) if object.etag == *etag => {}
                Some(_) => return Err(StoreError::Precondition(key.to_owned())),
                None => return Err(StoreError::NotFound(key.to_owned())),
            },
            Precondition::Absent => return Err(StoreError::Precondition(key.to_owned())),
        }
        let mut crc = Running::new();
        for part in &body.parts {
            crc.update(part);
        }
        if crc.value() != body.crc32c {
            return Err(StoreError::Protocol(format!("{key}: the body does not match its checksum")));
        }
        let len: u64 = body.parts.iter().map(|part| part.len() as u64).sum();
        let used = self.used - there.map_or(0, |object| object.data.len() as u64) + len;
        if self.capacity.is_some_and(|capacity| used > capacity) {
            return Err(StoreError::NoSpace(format!("{key}: {used} bytes are more than the capacity")));
        }
        self.used = used;
        self.writes += 1;
        // Like the entity tags of S3, quotes included; unlike them never the same for the same content.
        let etag = format!("\"{:08x}-{}\"", crc.value(), self.writes);
        let object = Object { data: body.parts.concat().into(), etag: etag.clone(), modified: self.now };
        self.objects.insert(key.to_owned(), object);
        Ok(Put { etag })
    }

    fn get(&mut self, key: &str, range: Option<Range<u64>>, flip: Option<u64>) -> Result<Got, StoreError> {
        let object = self.objects.get(key).ok_or_else(|| StoreError::NotFound(key.to_owned()))?;
        let size = object.data.len();
        let mut data = object.data.clone();
        if let Some(range) = range {
            let clip = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(size);
            if clip(range.start) >= clip(range.end) {
                return Err(StoreError::Range(key.to_owned()));
            }
            data = data.slice(clip(range.start)..clip(range.end));
        }
        if let Some(at) = flip.and_then(|at| at.checked_rem(data.len() as u64)) {
            let mut bad = data.to_vec();
            // `at` is below the length.
            bad[usize::try_from(at).unwrap_or(0)] ^= 0x10;
            data = bad.into();
        }
        self.counters.bytes_out += data.len() as u64;
        Ok(Got { data, etag: object.etag.clone(), size: size as u64 })
    }

    fn remove(&mut self, key: &str) {
        if let Some(object) = self.objects.remove(key) {
            self.used -= object.data.len() as u64;
        }
    }

    fn list(&self, prefix: &str, next: Option<&str>) -> Page {
        let size = if self.page_size == 0 { 1000 } else { self.page_size };
        let after = |key: &str| next.is_none_or(|next| key > next);
        let mut found = self
            .objects
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| after(key));
        let objects: Vec<_> = found
            .by_ref()
            .take(size)
            .map(|(key, object)| Listed {
                key: key.clone(),
                size: object.data.len() as u64,
                modified: object.modified,
            })
            .collect();
        let more = found.next().is_some();
        let next = objects.last().filter(|_| more).map(|last| last.key.clone());
        Page { objects, next }
    }
}

impl ObjectStore for MemoryStore {
    async fn put(&self, key: &str, body: Payload, condition: Precondition) -> Result<Put, StoreError> {
        tokio::task::yield_now().await;
        let mut inner = self.lock();
        inner.counters.puts += 1;
        inner.counters.bytes_in += body.parts.iter().map(|part| part.len() as u64).sum::<u64>();
        inner.run(Operation::Put, key, |inner, _| inner.put(key, &body, &condition))
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Got, StoreError> {
        tokio::task::yield_now().await;
        let mut inner = self.lock();
        inner.counters.gets += 1;
        inner.run(Operation::Get, key, |inner, flip| inner.get(key, range, flip))
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let mut inner = self.lock();
        inner.counters.deletes += 1;
        inner.run(Operation::Delete, key, |inner, _| {
            inner.remove(key);
            Ok(())
        })
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        for keys in keys.chunks(1000) {
            tokio::task::yield_now().await;
            let mut inner = self.lock();
            inner.counters.bulk_deletes += 1;
            inner.run(Operation::DeleteMany, &keys[0], |inner, _| {
                for key in keys {
                    inner.remove(key);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, StoreError> {
        tokio::task::yield_now().await;
        let mut inner = self.lock();
        inner.counters.lists += 1;
        inner.run(Operation::List, prefix, |inner, _| Ok(inner.list(prefix, next)))
    }
}
