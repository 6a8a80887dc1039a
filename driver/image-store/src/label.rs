//! What an administrator calls a bucket.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::checksum::crc32c;
use crate::environment::Notice;
use crate::error::ImageError;
use crate::identity::{ImageIdentity, escape, unescape};
use crate::layout::LABEL;
use crate::manifest::signed;
use crate::object_store::{ObjectStore, Payload, Precondition, StoreError};
use crate::removal;
use crate::store::ImageStore;

/// The only member of the line.
#[derive(Serialize, Deserialize)]
struct Line {
    label: String,
}

fn failed(during: &str) -> impl Fn(StoreError) -> ImageError {
    move |source| ImageError::Store { during: during.to_owned(), source }
}

impl<S: ObjectStore> ImageStore<S> {
    /// What [`Self::set_label`] set last, bytes of no encoding; empty if nothing. One request.
    ///
    /// [`ImageError::Corrupt`] if it is damaged; setting it again mends that.
    pub async fn label(&self) -> Result<Vec<u8>, ImageError> {
        let shared = self.shared();
        let mut again = 0;
        loop {
            let got = match shared.store.get(LABEL, None).await {
                Ok(got) => got,
                Err(StoreError::NotFound(_)) => return Ok(Vec::new()),
                Err(error) => return Err(failed("reading the label")(error)),
            };
            let problem = match read(&got.data) {
                Ok(label) => return Ok(label),
                Err(problem) => problem,
            };
            if again >= shared.config.reads_again {
                let key = LABEL.to_owned();
                return Err(ImageError::Corrupt { image: ImageIdentity::unknown(LABEL), key, problem });
            }
            again += 1;
            shared.environment.notices.notice(Notice::ReadAgain { key: LABEL.to_owned(), what: problem });
        }
    }

    /// Labels the bucket, in place of any label that it had; an empty one takes it away. The last of several wins.
    pub async fn set_label(&self, label: &[u8]) -> Result<(), ImageError> {
        let shared = self.shared();
        let versioned = shared.versioned().await.map_err(failed("writing the label"))?;
        if label.is_empty() {
            let removed = removal::remove_key(&*shared.store, LABEL, versioned).await;
            return removed.map_err(failed("removing the label"));
        }
        let line = signed::sign(&Line { label: escape(label) });
        let line = Bytes::from(line.map_err(|problem| ImageError::Config { problem })?);
        let payload = Payload { crc32c: crc32c(&line), parts: vec![line] };
        let put = shared.store.put(LABEL, payload, Precondition::None, None).await;
        put.map_err(failed("writing the label"))?;
        if versioned {
            let earlier =
                removal::versions(&*shared.store, LABEL, |version| version.key == LABEL && !version.latest);
            let earlier = earlier.await.map_err(failed("removing earlier labels"))?;
            let removed = removal::remove_versions(&*shared.store, &earlier).await;
            removal::unless_locked(removed).map_err(failed("removing earlier labels"))?;
        }
        Ok(())
    }
}

fn read(object: &Bytes) -> Result<Vec<u8>, String> {
    let (line, _) = signed::split(object)?;
    let line: Line = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
    unescape(&line.label).ok_or_else(|| "the label is not written as it should be".to_owned())
}
