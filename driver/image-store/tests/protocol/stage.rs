//! The code on a store whose requests wait until they are told what becomes of them: processes are driven along a model,
//! one request at a time.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use image_store::memory::{MemoryStore, Operation};
use image_store::object_store::{
    BucketKind, Got, GroupPage, Head, ObjectStore, Page, Payload, Precondition, Put, Retention, StoreError,
    UploadPage, UploadsNext, VersionPage, VersionsNext,
};
use tokio::sync::oneshot;

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    /// The key, or the beginning of keys of a listing.
    pub(crate) key: String,
    /// Of requests that have one.
    pub(crate) upload: Option<String>,
}

/// What becomes of a request.
enum Verdict {
    /// It is carried out and answered.
    Answer,
    /// It is not carried out, and fails like this.
    Refuse(StoreError),
    /// It is not answered, and may be carried out later.
    Late,
}

/// A request that may still be carried out.
pub(crate) type Late = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct Desk {
    /// Requests wait only once the play has begun.
    staged: bool,
    waiting: Option<(Request, oneshot::Sender<Verdict>)>,
    late: Option<Late>,
    uploads: u8,
}

/// The store of one process.
pub(crate) struct Staged {
    memory: MemoryStore,
    desk: Arc<Mutex<Desk>>,
    /// The ids of the uploads that the process has begun, by their number.
    begun: Arc<Mutex<BTreeMap<u8, String>>>,
}

impl Staged {
    pub(crate) fn new(memory: &MemoryStore) -> Self {
        Self { memory: memory.clone(), desk: Arc::default(), begun: Arc::default() }
    }

    async fn request<T: Send, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
        &self,
        operation: Operation,
        key: &str,
        upload: Option<&str>,
        request: impl FnOnce(MemoryStore) -> F + Send,
    ) -> Result<T, StoreError> {
        let (sender, verdict) = oneshot::channel();
        let described = Request { operation, key: key.to_owned(), upload: upload.map(str::to_owned) };
        let staged = {
            let mut desk = self.desk.lock().unwrap();
            if desk.staged {
                assert!(desk.waiting.is_none(), "a process has two requests at once");
                desk.waiting = Some((described, sender));
            }
            desk.staged
        };
        let verdict = if staged { verdict.await.unwrap() } else { Verdict::Answer };
        match verdict {
            Verdict::Answer => request(self.memory.clone()).await,
            Verdict::Refuse(error) => Err(error),
            Verdict::Late => {
                let later = request(self.memory.clone());
                self.desk.lock().unwrap().late = Some(Box::pin(async move { drop(later.await) }));
                Err(StoreError::Timeout("staged".to_owned()))
            }
        }
    }
}

/// A process that is played.
pub(crate) struct Player<T> {
    desk: Arc<Mutex<Desk>>,
    begun: Arc<Mutex<BTreeMap<u8, String>>>,
    future: Option<Pin<Box<dyn Future<Output = T>>>>,
    /// Requests that are nothing to the model: they are carried out as soon as they come.
    passes: Box<dyn Fn(&Request) -> bool>,
    pub(crate) ended: Option<T>,
}

impl<T> Player<T> {
    /// Runs the process to its first request. What it did with its store before has not waited.
    pub(crate) fn new(
        store: &Staged,
        passes: impl Fn(&Request) -> bool + 'static,
        future: impl Future<Output = T> + 'static,
    ) -> Self {
        store.desk.lock().unwrap().staged = true;
        let (desk, begun) = (Arc::clone(&store.desk), Arc::clone(&store.begun));
        let mut player =
            Self { desk, begun, future: Some(Box::pin(future)), passes: Box::new(passes), ended: None };
        player.run();
        player
    }

    /// The request that it waits for.
    pub(crate) fn request(&self) -> Option<Request> {
        self.desk.lock().unwrap().waiting.as_ref().map(|(request, _)| request.clone())
    }

    /// The id of the upload that it began as the one of this number, from 1.
    pub(crate) fn upload(&self, number: u8) -> Option<String> {
        self.begun.lock().unwrap().get(&number).cloned()
    }

    /// Its request is carried out and answered.
    pub(crate) fn step(&mut self) {
        self.tell(Verdict::Answer);
    }

    /// Its request is not carried out, and fails like this.
    pub(crate) fn refuse(&mut self, error: StoreError) {
        self.tell(Verdict::Refuse(error));
    }

    /// Its request gets no answer. To be run if it is to be carried out.
    pub(crate) fn unanswered(&mut self) -> Late {
        let (_, sender) = self.desk.lock().unwrap().waiting.take().unwrap();
        drop(sender.send(Verdict::Late));
        self.poll();
        let late = self.desk.lock().unwrap().late.take().unwrap();
        self.run();
        late
    }

    /// The process dies.
    pub(crate) fn crash(&mut self) {
        self.future = None;
        self.desk.lock().unwrap().waiting = None;
    }

    fn tell(&mut self, verdict: Verdict) {
        let (_, sender) = self.desk.lock().unwrap().waiting.take().unwrap();
        drop(sender.send(verdict));
        self.run();
    }

    /// Goes on to the next request that matters, or to the end.
    fn run(&mut self) {
        for _ in 0..10_000 {
            let request = self.request();
            match request {
                Some(request) if !(self.passes)(&request) => return,
                Some(_) => {
                    let (_, sender) = self.desk.lock().unwrap().waiting.take().unwrap();
                    drop(sender.send(Verdict::Answer));
                }
                None if self.future.is_none() => return,
                None => {}
            }
            self.poll();
        }
        panic!("a process goes on without requests");
    }

    fn poll(&mut self) {
        let Some(future) = &mut self.future else { return };
        if let Poll::Ready(ended) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.ended = Some(ended);
            self.future = None;
        }
    }
}

/// Carries out a request that is late.
pub(crate) fn carry_out(mut late: Late) {
    for _ in 0..100 {
        if late.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
    }
    panic!("a request does not end");
}

/// Shows the walk that fails: its seed, its case, and whatever else there is to be seen.
pub(crate) struct Shown<C: Debug, W: Debug> {
    seed: u64,
    case: C,
    what: Option<W>,
}

impl<C: Debug, W: Debug> Shown<C, W> {
    pub(crate) fn new(seed: u64, case: C, what: W) -> Self {
        Self { seed, case, what: Some(what) }
    }

    /// It has not failed.
    pub(crate) fn passed(mut self) {
        self.what = None;
    }
}

impl<C: Debug, W: Debug> Drop for Shown<C, W> {
    fn drop(&mut self) {
        if let Some(what) = &self.what {
            eprintln!("PROTOCOL_SEED={} {:?}: {what:?}", self.seed, self.case);
        }
    }
}

/// A choice among so many, the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of these, each as often as its weight says; there has to be one.
    pub(crate) fn among<T: Copy>(&mut self, all: &[T], weight: impl Fn(&T) -> usize) -> T {
        let mut left = self.below(all.iter().map(&weight).sum());
        for one in all {
            match left.checked_sub(weight(one)) {
                Some(less) => left = less,
                None => return *one,
            }
        }
        all[0]
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % count as u64).unwrap()
    }
}

impl ObjectStore for Staged {
    fn bucket(&self) -> &str {
        self.memory.bucket()
    }

    async fn put(
        &self,
        key: &str,
        body: Payload,
        condition: Precondition,
        retention: Option<Retention>,
    ) -> Result<Put, StoreError> {
        let name = key.to_owned();
        let put = |memory: MemoryStore| async move { memory.put(&name, body, condition, retention).await };
        self.request(Operation::Put, key, None, put).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Got, StoreError> {
        let name = key.to_owned();
        let get = |memory: MemoryStore| async move { memory.get(&name, range).await };
        self.request(Operation::Get, key, None, get).await
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        let name = key.to_owned();
        let head = |memory: MemoryStore| async move { memory.head(&name).await };
        self.request(Operation::Head, key, None, head).await
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let name = key.to_owned();
        let delete = |memory: MemoryStore| async move { memory.delete(&name).await };
        self.request(Operation::Delete, key, None, delete).await
    }

    async fn delete_many(&self, keys: &[String]) -> Result<(), StoreError> {
        let names = keys.to_vec();
        let delete = |memory: MemoryStore| async move { memory.delete_many(&names).await };
        self.request(Operation::DeleteMany, &keys[0], None, delete).await
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, StoreError> {
        let (name, next) = (prefix.to_owned(), next.map(str::to_owned));
        let list = |memory: MemoryStore| async move { memory.list(&name, next.as_deref()).await };
        self.request(Operation::List, prefix, None, list).await
    }

    async fn list_groups(&self, prefix: &str, next: Option<&str>) -> Result<GroupPage, StoreError> {
        let (name, next) = (prefix.to_owned(), next.map(str::to_owned));
        let list = |memory: MemoryStore| async move { memory.list_groups(&name, next.as_deref()).await };
        self.request(Operation::ListGroups, prefix, None, list).await
    }

    async fn copy_from(&self, bucket: &str, source: &str, key: &str) -> Result<Put, StoreError> {
        self.memory.copy_from(bucket, source, key).await
    }

    async fn kind(&self) -> Result<BucketKind, StoreError> {
        self.memory.kind().await
    }

    async fn list_versions(
        &self,
        prefix: &str,
        next: Option<VersionsNext>,
    ) -> Result<VersionPage, StoreError> {
        self.memory.list_versions(prefix, next).await
    }

    async fn delete_versions(&self, versions: &[(String, String)]) -> Result<(), StoreError> {
        self.memory.delete_versions(versions).await
    }

    async fn retain(&self, key: &str, version: Option<&str>, retention: Retention) -> Result<(), StoreError> {
        self.memory.retain(key, version, retention).await
    }

    async fn begin_upload(&self, key: &str, retention: Option<Retention>) -> Result<String, StoreError> {
        let number = {
            let mut desk = self.desk.lock().unwrap();
            desk.uploads += u8::from(desk.staged);
            desk.uploads
        };
        let (name, begun) = (key.to_owned(), Arc::clone(&self.begun));
        let begin = move |memory: MemoryStore| async move {
            let upload = memory.begin_upload(&name, retention).await?;
            begun.lock().unwrap().insert(number, upload.clone());
            Ok(upload)
        };
        self.request(Operation::BeginUpload, key, None, begin).await
    }

    async fn list_uploads(&self, prefix: &str, next: Option<UploadsNext>) -> Result<UploadPage, StoreError> {
        let name = prefix.to_owned();
        let list = |memory: MemoryStore| async move { memory.list_uploads(&name, next).await };
        self.request(Operation::ListUploads, prefix, None, list).await
    }

    async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        let (name, id) = (key.to_owned(), upload.to_owned());
        let abort = |memory: MemoryStore| async move { memory.abort_upload(&name, &id).await };
        self.request(Operation::AbortUpload, key, Some(upload), abort).await
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: Payload,
    ) -> Result<String, StoreError> {
        let (name, id) = (key.to_owned(), upload.to_owned());
        let part =
            move |memory: MemoryStore| async move { memory.upload_part(&name, &id, number, body).await };
        self.request(Operation::UploadPart, key, Some(upload), part).await
    }

    async fn complete_upload(&self, key: &str, upload: &str, parts: &[String]) -> Result<Put, StoreError> {
        let (name, id, parts) = (key.to_owned(), upload.to_owned(), parts.to_vec());
        let complete =
            move |memory: MemoryStore| async move { memory.complete_upload(&name, &id, &parts).await };
        self.request(Operation::CompleteUpload, key, Some(upload), complete).await
    }
}
