//! The lease of a writer: any of its calls renews it when it is due.

use std::time::Duration;

use super::{Phase, Writer};
use crate::error::ImageError;
use crate::manifest::Manifest;
use crate::object_store::ObjectStore;
use crate::state::Exchange;
use crate::store::unencodable;

/// The part of a lease after which it is renewed: one renewal may fail, or be late, and there is time for another.
const DUE_AFTER: u32 = 3;

impl<S: ObjectStore> Writer<S> {
    /// Whether so much of the lease has passed that [`Self::renew_if_due`] would renew it. Sends nothing.
    pub fn lease_is_due(&self) -> bool {
        let due = Duration::from_secs(u64::from(self.manifest.lease_seconds)) / DUE_AFTER;
        let now = self.shared.environment.clock.now();
        // A clock that went back says nothing about how much time has passed.
        matches!(self.phase, Phase::Open)
            && now.duration_since(self.renewed).map_or(true, |passed| passed >= due)
    }

    /// Renews the lease if it is due: one request then, none otherwise. What the state object says of the image stays.
    ///
    /// [`ImageError::Fenced`] if the image was deleted or taken over meanwhile.
    pub async fn renew_if_due(&mut self) -> Result<(), ImageError> {
        self.check()?;
        if !self.lease_is_due() {
            return Ok(());
        }
        let (saved, inline) = &self.saved;
        let renewed = Manifest { renewal: saved.renewal + 1, ..saved.clone() };
        let image = &self.manifest.identity;
        let encoded = renewed.encode(inline).map_err(|problem| unencodable(image, problem))?;
        match self.shared.states.exchange(image, &encoded, Some(&self.seal), None).await {
            Ok(Exchange::Done(seal)) => {
                self.seal = seal;
                self.renewed = self.shared.environment.clock.now();
                self.manifest.renewal = renewed.renewal;
                self.saved.0 = renewed;
                Ok(())
            }
            Ok(Exchange::Lost(there)) => Err(self.fenced(there).await),
            // Not renewed, but not lost either: the next call tries again.
            Err(ImageError::Store { .. } | ImageError::NoSpace { .. } | ImageError::Contended { .. }) => {
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }
}
