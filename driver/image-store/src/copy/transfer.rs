//! Bringing one segment over.

use std::collections::HashMap;
use std::sync::Arc;

use super::Route;
use super::plan::Job;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{SEGMENTS, WriterId, segment_index, writer_in, writer_prefix};
use crate::object_store::{ObjectStore, Precondition, StoreError};
use crate::reader::fetch::Fetcher;
use crate::store::Shared;

/// The two ends of a copy.
pub(super) struct Link<S> {
    pub(super) source: Arc<Shared<S>>,
    pub(super) target: Arc<Shared<S>>,
    /// Reads segments of the source.
    pub(super) fetcher: Fetcher<S>,
    pub(super) route: Route,
    /// The image that is being made.
    pub(super) image: ImageIdentity,
}

impl<S: ObjectStore> Link<S> {
    /// Copies one segment.
    pub(super) async fn transfer(&self, job: Job) -> Result<(), ImageError> {
        let (from, to) = (job.source_key(), job.target_key());
        let put = match self.route {
            Route::SameCluster => {
                match self.target.store.copy_from(self.source.store.bucket(), &from, &to).await {
                    Err(StoreError::NotFound(_)) => return Err(self.fetcher.missing(&from).await),
                    copied => copied,
                }
            }
            Route::OtherCluster => {
                let (data, table) = self.fetcher.fetch(job.shape, 0..job.shape.data_len, None).await?;
                let payload = job.shape.payload(data, &table);
                self.target.store.put(&to, payload, Precondition::None, None).await
            }
        };
        put.map(drop)
            .map_err(|error| ImageError::from_store(&self.image, &format!("copying {from} to {to}"), error))
    }

    /// The sizes of the segments that the target has of a writer.
    pub(super) async fn there(&self, writer: WriterId) -> Result<HashMap<u32, u64>, ImageError> {
        let prefix = writer_prefix(writer);
        let mut sizes = HashMap::new();
        let mut next = None;
        loop {
            let page = self.target.store.list(&prefix, next.as_deref()).await.map_err(|error| {
                ImageError::from_store(&self.image, "looking what is copied already", error)
            })?;
            sizes.extend(page.objects.into_iter().filter_map(|object| {
                let (_, rest) = writer_in(&object.key, SEGMENTS)?;
                Some((segment_index(rest)?, object.size))
            }));
            next = page.next;
            if next.is_none() {
                return Ok(sizes);
            }
        }
    }
}
