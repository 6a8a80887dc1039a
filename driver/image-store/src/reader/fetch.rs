//! Getting verified bytes of one segment: read, check, read again, give up.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::environment::Notice;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::segment_key;
use crate::manifest::Stored;
use crate::object_store::{ObjectStore, StoreError};
use crate::segment::{Shape, Table};
use crate::state::Seal;
use crate::store::Shared;

/// Bytes that match their checksums, and the table they were checked against.
pub(crate) type Verified = (Bytes, Arc<Table>);

/// Reads segments of one image.
pub(crate) struct Fetcher<S> {
    shared: Arc<Shared<S>>,
    image: Arc<ImageIdentity>,
    /// Of the state object that the segments were taken from.
    seal: Seal,
}

impl<S> Clone for Fetcher<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), image: Arc::clone(&self.image), seal: self.seal.clone() }
    }
}

/// Why one attempt failed.
enum Attempt {
    /// What was read is not what was written; another VIP may give the right bytes.
    Mismatch(String),
    Failed(ImageError),
}

impl<S: ObjectStore> Fetcher<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>, image: ImageIdentity, seal: Seal) -> Self {
        Self { shared, image: Arc::new(image), seal }
    }

    /// The bytes `range` of the segment's data; it must begin at a block and end at a block or at the end.
    ///
    /// Without a table one request more, unless the range goes to the end of the data: then the table comes along.
    pub(crate) async fn fetch(
        &self,
        shape: Shape,
        range: Range<u64>,
        table: Option<Arc<Table>>,
    ) -> Result<Verified, ImageError> {
        let key = segment_key(shape.series.writer, shape.index);
        let mut again = 0;
        loop {
            match self.attempt(&key, shape, range.clone(), table.clone()).await {
                Ok(verified) => return Ok(verified),
                Err(Attempt::Failed(error)) => return Err(error),
                Err(Attempt::Mismatch(what)) if again < self.shared.config.reads_again => {
                    again += 1;
                    self.shared.environment.notices.notice(Notice::ReadAgain { key: key.clone(), what });
                }
                Err(Attempt::Mismatch(problem)) => return Err(self.corrupt(&key, problem)),
            }
        }
    }

    async fn attempt(
        &self,
        key: &str,
        shape: Shape,
        range: Range<u64>,
        table: Option<Arc<Table>>,
    ) -> Result<Verified, Attempt> {
        let (data, table) = match table {
            Some(table) => (self.get(key, range.clone()).await?, table),
            None if range.end == shape.data_len => {
                let both = self.get(key, range.start..shape.object_len()).await?;
                let split = both.len() - usize::try_from(shape.footer_len()).unwrap_or(both.len());
                let table = shape.parse_footer(&both[split..]).map_err(Attempt::Mismatch)?;
                (both.slice(..split), Arc::new(table))
            }
            None => {
                let footer = self.get(key, shape.data_len..shape.object_len()).await?;
                let table = shape.parse_footer(&footer).map_err(Attempt::Mismatch)?;
                (self.get(key, range.clone()).await?, Arc::new(table))
            }
        };
        table.check(range.start / u64::from(shape.series.block_size), &data).map_err(Attempt::Mismatch)?;
        Ok((data, table))
    }

    /// Exactly these bytes of the object.
    async fn get(&self, key: &str, range: Range<u64>) -> Result<Bytes, Attempt> {
        let expected = range.end - range.start;
        match self.shared.store.get(key, Some(range.clone())).await {
            Ok(got) if got.data.len() as u64 == expected => Ok(got.data),
            Ok(got) => Err(Attempt::Mismatch(format!(
                "bytes {} to {} were asked for, {} bytes came",
                range.start,
                range.end,
                got.data.len()
            ))),
            Err(StoreError::NotFound(_)) => Err(Attempt::Failed(self.missing(key).await)),
            Err(StoreError::Range(_)) => {
                Err(Attempt::Mismatch(format!("the object has no byte {}", range.start)))
            }
            Err(error) => {
                Err(Attempt::Failed(ImageError::from_store(&self.image, &format!("reading {key}"), error)))
            }
        }
    }

    /// A segment is not there: the image was deleted or laid out anew while it was read, or it is damaged.
    pub(crate) async fn missing(&self, key: &str) -> ImageError {
        match self.shared.states.load(&self.image).await {
            Ok(Some(there)) if there.manifest.state != Stored::Deleting && there.seal != self.seal => {
                ImageError::Moved { image: (*self.image).clone() }
            }
            Ok(Some(there)) if there.manifest.state != Stored::Deleting => {
                self.corrupt(key, "the object is missing".to_owned())
            }
            Ok(_) => ImageError::NotFound { image: (*self.image).clone() },
            Err(error) => error,
        }
    }

    pub(crate) fn corrupt(&self, key: &str, problem: String) -> ImageError {
        ImageError::Corrupt { image: (*self.image).clone(), key: key.to_owned(), problem }
    }
}
