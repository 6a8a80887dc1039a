//! Operations of this process: copies that go on in the background, one task each, until their end or the process's.
//!
//! What they do is in the image store; here is who runs them. In the library with threads a task advances by itself, in
//! the one without while the host waits for it or calls something else. Whatever happens to this process, another one
//! that waits for the operation goes on with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use image_store::object_store::StoreError;
use image_store::{ImageError, ImageStore, Operations, Outcome, Place, Route, S3Store, Surroundings};
use ost_abi::{STS_EABORT, STS_EAGAIN, STS_EBUSY, STS_ENOENT, STS_EPLUGIN};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::cluster::{Cluster, Images};
use crate::config::ConfigFile;
use crate::fault::Fault;
use crate::plugin::{Engine, poisoned};
use crate::runtime::Driver;
use crate::status::{client_fault, image_fault};

/// How long one call waits for an operation. The host asks again.
const SLICE: Duration = Duration::from_secs(1);

/// Storage server and number of an operation.
type Key = (String, u64);

type Task = JoinHandle<Result<Outcome, ImageError>>;

/// The operations that run in this process.
#[derive(Debug, Default)]
pub(crate) struct Replication(Mutex<HashMap<Key, Arc<Running>>>);

#[derive(Debug)]
struct Running {
    stop: Arc<AtomicBool>,
    /// Locked by the thread that waits for it; gone once it has ended.
    task: Mutex<Option<Task>>,
}

/// What an operation of one source has around it.
struct Around {
    engine: Arc<Engine>,
    source: Arc<Cluster>,
    /// Sessions with targets, kept while the operation runs.
    targets: Mutex<HashMap<String, Arc<Cluster>>>,
    stop: Arc<AtomicBool>,
}

impl Around {
    fn new(engine: &Arc<Engine>, source: &Arc<Cluster>) -> Self {
        Self {
            engine: Arc::clone(engine),
            source: Arc::clone(source),
            targets: Mutex::default(),
            stop: Arc::default(),
        }
    }

    fn cluster(&self, server: &str) -> Result<Arc<Cluster>, Fault> {
        let mut targets = self.targets.lock().map_err(|_| poisoned())?;
        if let Some(cluster) = targets.get(server) {
            return Ok(Arc::clone(cluster));
        }
        let cluster = match self.engine.clusters.open(server) {
            Some(cluster) => cluster,
            None => target(&self.engine, server)?,
        };
        targets.insert(server.to_owned(), Arc::clone(&cluster));
        Ok(cluster)
    }
}

/// A session with a server that the host has not opened, by the credentials in the configuration file. Sends no request.
fn target(engine: &Engine, server: &str) -> Result<Arc<Cluster>, Fault> {
    let path = &engine.config_path;
    let file = ConfigFile::load(path)?;
    let section = file.server(path, server)?;
    let own = section.own_credentials(path)?;
    let (user, password) = own.unwrap_or_else(|| (String::new(), vast_client::Secret::new("")));
    let config = section.client_config(path, &user, password.expose())?;
    engine.clusters.get(server, section, file.memory, &user, password.expose(), &config, engine.driver()?)
}

fn unusable(fault: Fault) -> ImageError {
    ImageError::Config { problem: fault.message }
}

impl Surroundings<S3Store> for Around {
    fn open(&self, place: &Place) -> Result<(ImageStore<S3Store>, Route), ImageError> {
        if place.server == self.source.name {
            return Ok((self.source.images(&place.lsu).map_err(unusable)?, Route::SameCluster));
        }
        let cluster = self.cluster(&place.server).map_err(unusable)?;
        Ok((cluster.images(&place.lsu).map_err(unusable)?, Route::OtherCluster))
    }

    async fn sources(&self) -> Result<Vec<ImageStore<S3Store>>, ImageError> {
        let failed =
            |source| ImageError::Store { during: "looking for the LSUs of an image set".to_owned(), source };
        let lsus = self.source.client.lsus().await.map_err(|error| failed(StoreError::from(error)))?;
        lsus.into_iter().map(|lsu| self.source.images(&lsu.name).map_err(unusable)).collect()
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Acquire)
    }
}

impl Replication {
    /// Goes on with an operation in the background, unless it runs already.
    pub(crate) fn start(
        &self,
        engine: &Arc<Engine>,
        source: &Arc<Cluster>,
        operations: Operations<S3Store>,
        number: u64,
    ) -> Result<(), Fault> {
        let mut running = self.0.lock().map_err(|_| poisoned())?;
        running.entry((source.name.clone(), number)).or_insert_with(|| {
            let around = Around::new(engine, source);
            let stop = Arc::clone(&around.stop);
            let task = source.driver.spawn(async move { operations.run(number, &around).await });
            Arc::new(Running { stop, task: Mutex::new(Some(task)) })
        });
        Ok(())
    }

    fn running(&self, key: &Key) -> Result<Option<Arc<Running>>, Fault> {
        Ok(self.0.lock().map_err(|_| poisoned())?.get(key).cloned())
    }

    /// How an operation ended, waiting a little for that: `STS_EBUSY` while it has not. An error ends the task, and the next
    /// call starts another one.
    pub(crate) fn wait(&self, engine: &Arc<Engine>, source: &Arc<Cluster>, number: u64) -> Result<(), Fault> {
        let key = (source.name.clone(), number);
        let running = if let Some(running) = self.running(&key)? {
            running
        } else {
            let operations = find(source, number)?;
            match source.run(operations.outcome(number))?.map_err(|e| image_fault(&e))? {
                Some(outcome) => return ended(number, outcome),
                None => self.start(engine, source, operations, number)?,
            }
            self.running(&key)?.ok_or_else(|| busy(number))?
        };
        let mut task = match running.task.try_lock() {
            Ok(task) => task,
            Err(TryLockError::WouldBlock) => return Err(busy(number)),
            Err(TryLockError::Poisoned(_)) => return Err(poisoned()),
        };
        let Some(one) = &mut *task else { return Err(busy(number)) };
        let joined = source.run(within_a_slice(one))?.ok_or_else(|| busy(number))?;
        *task = None;
        self.0.lock().map_err(|_| poisoned())?.remove(&key);
        let cut_off = |_| Fault::new(STS_EPLUGIN, format_args!("operation {number}: its task was cut off"));
        match joined.map_err(cut_off)? {
            Ok(outcome) => ended(number, outcome),
            Err(error @ ImageError::Busy { .. }) => Err(Fault::quiet(STS_EBUSY, error)),
            Err(error) => Err(image_fault(&error)),
        }
    }

    /// Cancels an operation, wherever it runs.
    pub(crate) fn cancel(
        &self,
        engine: &Arc<Engine>,
        source: &Arc<Cluster>,
        number: u64,
    ) -> Result<(), Fault> {
        let key = (source.name.clone(), number);
        if let Some(running) = self.running(&key)? {
            running.stop.store(true, Ordering::Release);
            if let Ok(mut task) = running.task.try_lock()
                && let Some(one) = &mut *task
            {
                // How it ended does not matter: what is left of its target is removed below.
                let _ = source.run(one)?;
                *task = None;
            }
            self.0.lock().map_err(|_| poisoned())?.remove(&key);
        }
        let around = Around::new(engine, source);
        let operations = find(source, number)?;
        source.run(operations.cancel(number, &around))?.map_err(|e| image_fault(&e))
    }

    /// Lets every operation be for whoever waits for it next.
    pub(crate) fn stop(&self, driver: &Driver, patience: Duration) {
        let Ok(mut map) = self.0.lock() else { return };
        let running: Vec<_> = map.drain().map(|(_, running)| running).collect();
        drop(map);
        for one in &running {
            one.stop.store(true, Ordering::Release);
        }
        for one in &running {
            let Ok(mut task) = one.task.try_lock() else { continue };
            if let Some(mut task) = task.take()
                && driver.run(patience, &mut task).is_err()
            {
                task.abort();
                driver.turn();
            }
        }
    }
}

/// What a task came to, if it ends within a slice.
async fn within_a_slice(task: &mut Task) -> Option<Result<Result<Outcome, ImageError>, JoinError>> {
    let end = Instant::now() + SLICE;
    let joined = timeout_at(end, task).await.ok()?;
    if let Ok(Err(ImageError::Busy { .. })) = joined {
        // Another operation of this process may be what it met; without threads that one advances only in here.
        sleep_until(end).await;
    }
    Some(joined)
}

fn busy(number: u64) -> Fault {
    Fault::quiet(STS_EBUSY, format_args!("operation {number} is running"))
}

fn ended(number: u64, outcome: Outcome) -> Result<(), Fault> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Cancelled => Err(Fault::new(STS_EABORT, format_args!("operation {number} was cancelled"))),
        Outcome::Stopped => Err(Fault::quiet(STS_EAGAIN, format_args!("operation {number} was stopped"))),
    }
}

/// Where an operation is: the number says in which few of the LSUs it can be.
fn find(source: &Arc<Cluster>, number: u64) -> Result<Operations<S3Store>, Fault> {
    let lsus = source.run(source.client.lsus())?.map_err(|e| client_fault(&e))?;
    for lsu in lsus {
        let images: Images = source.images(&lsu.name)?;
        let operations = images.operations();
        if !operations.may_have(number) {
            continue;
        }
        match source.run(operations.request(number))? {
            Ok(_) => return Ok(operations),
            Err(ImageError::NoOperation { .. }) => {}
            Err(error) => return Err(image_fault(&error)),
        }
    }
    Err(Fault::quiet(STS_ENOENT, format_args!("there is no operation {number} on {}", source.name)))
}
