//! What the sweep does with events: deleted ones go after a while, and payloads that no event names.

use std::collections::BTreeSet;

use super::failed;
use super::record::parse_payload_key;
use crate::error::ImageError;
use crate::layout::PAYLOADS;
use crate::object_store::ObjectStore;
use crate::removal;
use crate::store::Shared;
use crate::sweep::SweepReport;

impl<S: ObjectStore> Shared<S> {
    pub(crate) async fn sweep_events(&self, report: &mut SweepReport) -> Result<(), ImageError> {
        let is_old = |modified: u64| report.began.saturating_sub(modified) > self.sweep_after();
        let mut doomed = Vec::new();
        let mut next = None;
        // Before the events, so that whoever named its payload by now is among them.
        loop {
            let page = self.store.list(PAYLOADS, next.as_deref()).await.map_err(failed("sweeping events"))?;
            let old = page.objects.into_iter().filter(|object| is_old(object.modified));
            doomed.extend(old.filter_map(|object| Some((parse_payload_key(&object.key)?, object.key))));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let mut entries = self.events().await?;
        if !doomed.is_empty() {
            let mut named = BTreeSet::new();
            for entry in entries.iter().filter(|entry| !entry.deleted) {
                match self.event(&entry.key).await {
                    Ok(record) => named.extend(record.and_then(|record| record.payload())),
                    // Nobody knows what it names: all stay.
                    Err(ImageError::Corrupt { .. }) => {
                        doomed.clear();
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            doomed.retain(|(id, _)| !named.contains(id));
        }
        // The last one stays: the next number is one more.
        entries.pop();
        let deleted = entries.into_iter().filter(|entry| entry.deleted && is_old(entry.modified));
        let keys: Vec<String> =
            deleted.map(|entry| entry.key).chain(doomed.into_iter().map(|(_, key)| key)).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let versioned = self.versioned().await.map_err(failed("sweeping events"))?;
        for key in keys {
            removal::remove_key(&*self.store, &key, versioned).await.map_err(failed("sweeping events"))?;
            report.events += 1;
        }
        Ok(())
    }
}
