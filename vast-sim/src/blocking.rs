//! A cluster for programs without a tokio runtime: it brings its own.

use std::ops::Deref;

use crate::cluster::Cluster;
use crate::config::Config;
use crate::error::StartError;

/// A [`Cluster`] on threads of its own. Use it like one; must not be started or dropped inside a tokio runtime.
#[derive(Debug)]
pub struct BlockingCluster {
    cluster: Option<Cluster>,
    runtime: tokio::runtime::Runtime,
}

impl BlockingCluster {
    /// Starts a cluster with `threads` worker threads (at least one).
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start(config: Config, threads: usize) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("vast-sim")
            .enable_all()
            .build()?;
        let cluster = runtime.block_on(Cluster::start(config))?;
        Ok(Self { cluster: Some(cluster), runtime })
    }

    /// Stops as [`Cluster::stop`] does. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}

impl Deref for BlockingCluster {
    type Target = Cluster;

    #[allow(clippy::expect_used, reason = "taken only by drop, after which nobody can call this")]
    fn deref(&self) -> &Cluster {
        self.cluster.as_ref().expect("present until dropped")
    }
}

impl Drop for BlockingCluster {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            self.runtime.block_on(cluster.stop());
        }
    }
}
