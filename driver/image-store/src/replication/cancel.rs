//! Cancelling an operation: first the fact, then what is there of its targets.
//!
//! Whoever runs it puts the beginning of the target first and looks for the fact then, so one of the two sees the other.

use super::record::Fact;
use super::{Operations, Outcome, Surroundings};
use crate::error::ImageError;
use crate::object_store::ObjectStore;

impl<S: ObjectStore> Operations<S> {
    /// Cancels an operation: when it returns, nothing is left of a target that was not complete, and none will be. What
    /// is complete stays, as an image like any other, and so does an operation that has ended.
    ///
    /// It may be called again after an error. Whoever runs the operation meanwhile finds out and stops; an event whose
    /// images are all there may still come.
    ///
    /// [`ImageError::NoOperation`] if there is none of that number.
    pub async fn cancel(&self, number: u64, around: &impl Surroundings<S>) -> Result<(), ImageError> {
        let mut operation = self.load(number).await?;
        if operation.outcome() == Some(Outcome::Done) {
            return Ok(());
        }
        if !operation.has(Fact::Cancelled) {
            self.record(&mut operation, Fact::Cancelled).await?;
        }
        let (source, name) = (operation.request.source.clone(), operation.request.target.clone());
        for (at, place) in operation.request.places.clone().iter().enumerate() {
            if operation.has(Fact::Copied(at)) {
                continue;
            }
            let (target, _) = around.open(place)?;
            if self.images.discard_copy(&source, &target, &name).await? {
                // It was complete before anybody could stop it.
                self.record(&mut operation, Fact::Copied(at)).await?;
            }
        }
        Ok(())
    }
}
