//! One writer: what it does until the server is gone, and what it finds afterwards.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::facts::{Fact, Kind, Rows};
use super::{Attempt, Clients, Dice, KEYS, taken};
use crate::client::{S3, completion, pattern};

/// What is under a name: seed and length of an object's bytes. None: nothing.
type Content = Option<(u64, usize)>;

/// What a writer knows about a name; none says that nothing is there.
#[derive(Debug, Clone)]
struct Known<T> {
    acknowledged: Option<T>,
    /// What a request without an answer may have made of it; empty when every request was answered.
    uncertain: Vec<Option<T>>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { acknowledged: None, uncertain: Vec::new() }
    }
}

impl<T: Clone + Debug> Known<T> {
    /// Takes what was found, if it may be.
    fn settle(&mut self, name: &str, found: impl Fn(&Option<T>) -> bool, what: &str) {
        let mut candidates = std::iter::once(&self.acknowledged).chain(&self.uncertain);
        let holds = candidates.find(|c| found(c)).cloned();
        let holds = holds.unwrap_or_else(|| panic!("{name}: {what} is none of {self:?}"));
        *self = Self { acknowledged: holds, uncertain: Vec::new() };
    }
}

/// An upload that was opened and has its one part, and is to be completed another time.
#[derive(Debug, Clone)]
struct Open {
    path: String,
    id: String,
    etag: String,
    content: (u64, usize),
}

/// One writer's names, and what it knows about them.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    number: u64,
    dice: Dice,
    objects: BTreeMap<String, Known<(u64, usize)>>,
    /// Everything that is not bytes.
    facts: BTreeMap<Fact, Known<String>>,
    /// Tasks that were announced.
    tasks: Vec<u64>,
    /// Of each snapshot: a key, and what was under it when the snapshot was made.
    frozen: BTreeMap<Fact, (String, (u64, usize))>,
    /// Numbers for names that are used once.
    fresh_names: u64,
    open: Vec<Open>,
    /// An upload whose completion or abortion got no answer: it may be there or not.
    doubtful: Vec<String>,
    /// Versions in the bucket that keeps them, by path with version id.
    versions: BTreeMap<String, Known<(u64, usize)>>,
}

impl Writer {
    pub(super) fn new(number: u64, seed: u64) -> Self {
        Self {
            number,
            dice: Dice(seed ^ (number << 32)),
            objects: BTreeMap::new(),
            facts: BTreeMap::new(),
            tasks: Vec::new(),
            frozen: BTreeMap::new(),
            fresh_names: 0,
            open: Vec::new(),
            doubtful: Vec::new(),
            versions: BTreeMap::new(),
        }
    }

    fn key(&mut self) -> String {
        format!("/data/w{}/{}", self.number, self.dice.below(KEYS))
    }

    fn fresh(&mut self) -> (u64, usize) {
        (self.dice.next(), usize::try_from(self.dice.below(20_000)).unwrap())
    }

    /// Works until the server is gone.
    pub(super) async fn work(mut self, clients: Clients, done: Arc<AtomicU64>) -> Self {
        while self.step(&clients).await.is_ok() {
            done.fetch_add(1, Ordering::SeqCst);
        }
        self
    }

    async fn step(&mut self, clients: &Clients) -> Attempt {
        let path = self.key();
        match self.dice.below(30) {
            0..=4 => self.put(&clients.s3, &path).await,
            5..=6 => self.delete(&clients.s3, &path).await,
            7 => self.copy(&clients.s3, &path).await,
            8..=9 => self.begin(&clients.s3, path).await,
            10 => self.complete(&clients.s3).await,
            11 => self.abort(&clients.s3).await,
            12..=13 => self.add_version(&clients.s3).await,
            14 => self.remove_version(&clients.s3).await,
            15 => self.mark_deleted(&clients.s3).await,
            _ => self.fact(clients).await,
        }
    }

    /// Sends a request that shall make `wanted` of an object.
    async fn change(&mut self, s3: &S3, path: &str, wanted: Content, ask: Ask<'_>) -> Attempt {
        let known = self.objects.entry(path.to_owned()).or_default();
        known.uncertain = vec![wanted];
        taken(s3.try_send(ask.method, &ask.path, &ask.headers, ask.body).await?);
        *known = Known { acknowledged: wanted, uncertain: Vec::new() };
        Ok(())
    }

    async fn put(&mut self, s3: &S3, path: &str) -> Attempt {
        let (seed, len) = self.fresh();
        let ask = Ask { body: pattern(seed, len), ..Ask::new("PUT", path) };
        self.change(s3, path, Some((seed, len)), ask).await
    }

    async fn delete(&mut self, s3: &S3, path: &str) -> Attempt {
        self.change(s3, path, None, Ask::new("DELETE", path)).await
    }

    async fn copy(&mut self, s3: &S3, path: &str) -> Attempt {
        let held = self.objects.iter().filter(|(p, k)| k.acknowledged.is_some() && p.as_str() != path);
        let sources: Vec<(String, Content)> = held.map(|(p, k)| (p.clone(), k.acknowledged)).collect();
        if sources.is_empty() {
            return Ok(());
        }
        let at = usize::try_from(self.dice.below(sources.len() as u64)).unwrap();
        let (source, content) = sources[at].clone();
        let ask = Ask { headers: vec![("x-amz-copy-source", source.as_str())], ..Ask::new("PUT", path) };
        self.change(s3, path, content, ask).await
    }

    async fn begin(&mut self, s3: &S3, path: String) -> Attempt {
        if self.open.len() >= 3 {
            return Ok(());
        }
        let created = taken(s3.try_send("POST", &format!("{path}?uploads"), &[], Bytes::new()).await?);
        let id = created.between("<UploadId>", "</UploadId>").remove(0);
        let content = self.fresh();
        // Until its part is acknowledged the upload is of no use, but it is there.
        self.doubtful.push(id.clone());
        let part = format!("{path}?partNumber=1&uploadId={id}");
        let reply = taken(s3.try_send("PUT", &part, &[], pattern(content.0, content.1)).await?);
        self.doubtful.retain(|d| *d != id);
        self.open.push(Open { etag: reply.header("etag").to_owned(), path, id, content });
        Ok(())
    }

    async fn complete(&mut self, s3: &S3) -> Attempt {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.doubtful.push(open.id.clone());
        let body = completion(&[(1, &open.etag)]).into();
        let ask = Ask { body, ..Ask::new("POST", &format!("{}?uploadId={}", open.path, open.id)) };
        self.change(s3, &open.path, Some(open.content), ask).await?;
        self.doubtful.retain(|d| *d != open.id);
        Ok(())
    }

    async fn abort(&mut self, s3: &S3) -> Attempt {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.doubtful.push(open.id.clone());
        let path = format!("{}?uploadId={}", open.path, open.id);
        taken(s3.try_send("DELETE", &path, &[], Bytes::new()).await?);
        self.doubtful.retain(|d| *d != open.id);
        Ok(())
    }

    /// Writes a version beside those that are there.
    async fn add_version(&mut self, s3: &S3) -> Attempt {
        let path = format!("/kept/w{}/{}", self.number, self.dice.below(2));
        let (seed, len) = self.fresh();
        let reply = taken(s3.try_send("PUT", &path, &[], pattern(seed, len)).await?);
        let id = reply.header("x-amz-version-id");
        assert!(!id.is_empty(), "no version id: {:?}", reply.headers);
        let known = Known { acknowledged: Some((seed, len)), uncertain: Vec::new() };
        self.versions.insert(format!("{path}?versionId={id}"), known);
        Ok(())
    }

    /// Removes a version for good.
    async fn remove_version(&mut self, s3: &S3) -> Attempt {
        let there: Vec<String> =
            self.versions.iter().filter(|(_, k)| k.acknowledged.is_some()).map(|(p, _)| p.clone()).collect();
        if there.len() < 3 {
            return Ok(());
        }
        let path = &there[self.pick(there.len())];
        let known = self.versions.entry(path.clone()).or_default();
        known.uncertain = vec![None];
        taken(s3.try_send("DELETE", path, &[], Bytes::new()).await?);
        *known = Known::default();
        Ok(())
    }

    /// Puts a delete marker before the versions of a key.
    async fn mark_deleted(&mut self, s3: &S3) -> Attempt {
        let path = format!("/kept/w{}/{}", self.number, self.dice.below(2));
        let reply = taken(s3.try_send("DELETE", &path, &[], Bytes::new()).await?);
        assert_eq!(reply.header("x-amz-delete-marker"), "true", "{:?}", reply.headers);
        let name = format!("{path}?versionId={}", reply.header("x-amz-version-id"));
        let known = Known { acknowledged: Some("marker".to_owned()), uncertain: Vec::new() };
        self.facts.insert(Fact { kind: Kind::DeleteMarker, name }, known);
        Ok(())
    }

    fn pick(&mut self, among: usize) -> usize {
        usize::try_from(self.dice.below(among as u64)).unwrap()
    }

    /// Makes, changes or removes something that is not bytes.
    async fn fact(&mut self, clients: &Clients) -> Attempt {
        let kind = Kind::ALL[self.pick(Kind::ALL.len())];
        let Some(fact) = self.choose(kind) else { return Ok(()) };
        let before = self.facts.get(&fact).and_then(|k| k.acknowledged.clone());
        let removes = before.is_some() && kind.can_go() && (!kind.can_change() || self.dice.below(3) == 0);
        let wanted = if removes {
            None
        } else if before.is_none() || kind.can_change() {
            Some(kind.fresh(self.number, &mut self.dice, before.as_deref()))
        } else {
            return Ok(());
        };
        if kind == Kind::Snapshot && !removes {
            let held = self.objects.iter().filter_map(|(p, k)| Some((p.clone(), k.acknowledged?)));
            let held: Vec<(String, (u64, usize))> = held.collect();
            if held.is_empty() {
                return Ok(()); // Nothing there to be frozen.
            }
            let sample = held[self.pick(held.len())].clone();
            self.frozen.insert(fact.clone(), sample);
        }
        let known = self.facts.entry(fact.clone()).or_default();
        known.uncertain = vec![wanted.clone()];
        let reply = fact.set(clients, self.number, before.is_some(), wanted.as_deref()).await?;
        let reply = taken(reply);
        *known = Known { acknowledged: wanted, uncertain: Vec::new() };
        if kind == Kind::Tenant && removes {
            self.tasks.push(reply.json()["async_task"]["id"].as_u64().unwrap());
        }
        Ok(())
    }

    /// What of a kind to do something with.
    fn choose(&mut self, kind: Kind) -> Option<Fact> {
        let name = match kind {
            Kind::DeleteMarker => {
                let markers: Vec<Fact> = self.there(kind).cloned().collect();
                return (markers.len() >= 3).then(|| markers[self.pick(markers.len())].clone());
            }
            // A tenant's name may be in use until its deletion has been carried out.
            Kind::Tenant => {
                let there: Vec<Fact> = self.there(kind).cloned().collect();
                if there.len() >= 2 {
                    return Some(there[self.pick(there.len())].clone());
                }
                self.fresh_names += 1;
                format!("t{}-{}", self.number, self.fresh_names)
            }
            _ => kind.name(self.number, self.dice.below(2)),
        };
        Some(Fact { kind, name })
    }

    fn there(&self, kind: Kind) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(move |(f, k)| f.kind == kind && k.acknowledged.is_some()).map(|(f, _)| f)
    }

    /// Everything that was acknowledged is there; what was uncertain is found out.
    pub(super) async fn verify(mut self, clients: Clients, rows: Arc<Rows>) -> Self {
        for (path, known) in self.objects.iter_mut().chain(&mut self.versions) {
            let reply = clients.s3.get(path).await;
            let fits = |content: &Content| match *content {
                None => reply.status == 404,
                Some((seed, len)) => reply.status == 200 && reply.body == pattern(seed, len),
            };
            known.settle(path, fits, &format!("{} with {} bytes", reply.status, reply.body.len()));
        }
        self.versions.retain(|_, known| known.acknowledged.is_some());
        for (fact, known) in &mut self.facts {
            if fact.kind == Kind::Key {
                let secrets =
                    std::iter::once(&known.acknowledged).chain(&known.uncertain).flatten().cloned().collect();
                let works = fact.works(&clients, secrets).await;
                known.settle(&fact.name, |c| *c == works, &format!("{works:?}"));
                continue;
            }
            let found = fact.read(&clients, &rows).await;
            known.settle(&fact.name, |c| *c == found, &format!("{found:?}"));
            if let (Some((path, (seed, len))), Some(_)) = (self.frozen.get(fact), &found) {
                let (dir, key) = path.rsplit_once('/').unwrap();
                let reply = clients.s3.get(&format!("{dir}/.snapshot/{}/{key}", fact.name)).await.ok();
                assert!(
                    reply.body == pattern(*seed, *len),
                    "{} of {}: {} bytes",
                    path,
                    fact.name,
                    reply.body.len()
                );
            }
        }
        for task in &self.tasks {
            assert!(rows.has_task(*task), "task {task} is gone");
        }
        for open in &self.open {
            let parts = clients.s3.get(&format!("{}?uploadId={}", open.path, open.id)).await.ok();
            assert_eq!(parts.between("<Size>", "</Size>"), [open.content.1.to_string()], "{open:?}");
        }
        self
    }

    /// Keys of the objects that are there.
    pub(super) fn held(&self) -> usize {
        self.objects.values().filter(|known| known.acknowledged.is_some()).count()
    }

    /// Whether this writer opened an upload.
    pub(super) fn knows_upload(&self, id: &str) -> bool {
        self.open.iter().any(|o| o.id == id) || self.doubtful.iter().any(|d| d == id)
    }
}

/// An S3 request to be.
struct Ask<'a> {
    method: &'a str,
    path: String,
    headers: Vec<(&'a str, &'a str)>,
    body: Bytes,
}

impl<'a> Ask<'a> {
    fn new(method: &'a str, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }
}
