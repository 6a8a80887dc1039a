//! Sweeping the segments of one writer: what images need of them stays.

use std::collections::BTreeSet;

use super::usage::Usage;
use super::{SweepReport, failed};
use crate::error::ImageError;
use crate::holders::{Mark, Marker};
use crate::identity::ImageIdentity;
use crate::layout::{SEGMENTS, WriterId, segment_index, writer_in, writer_prefix};
use crate::manifest::Stored;
use crate::object_store::{ObjectStore, StoreError};
use crate::removal;
use crate::segment::{Series, Shape};
use crate::store::Shared;

/// Times that a writer is looked at again because its holders changed meanwhile.
const ATTEMPTS: usize = 8;

/// What the holders of a writer's segments say.
enum Needs {
    /// Exactly this; and these markers are of no use.
    Known { usage: Usage, block_sizes: BTreeSet<u32>, stale: Vec<WriterId> },
    /// An image that is being written may include any of them.
    Anything,
    /// Something changed: look again.
    Changed,
}

/// A segment as listed.
struct Listed {
    key: String,
    index: u32,
    size: u64,
}

impl<S: ObjectStore> Shared<S> {
    pub(super) async fn sweep_writer(
        &self,
        writer: WriterId,
        report: &mut SweepReport,
    ) -> Result<(), ImageError> {
        report.writers += 1;
        for _ in 0..ATTEMPTS {
            let marks = self.marks(writer).await.map_err(failed)?;
            let (usage, block_sizes, stale) = match self.needs(writer, &marks, report).await? {
                Needs::Known { usage, block_sizes, stale } => (usage, block_sizes, stale),
                Needs::Anything => break,
                Needs::Changed => continue,
            };
            let (used, unused): (Vec<_>, Vec<_>) = self
                .segments_of(writer)
                .await
                .map_err(failed)?
                .into_iter()
                .partition(|segment| usage.uses(segment.index));
            if !unused.is_empty() || !stale.is_empty() {
                // Whoever holds them by now, and did not when the images were read, may need what looked unused.
                let again = self.holders(writer).await.map_err(failed)?;
                if again.iter().any(|holder| marks.iter().all(|mark| mark.holder != *holder)) {
                    continue;
                }
                self.free(writer, &unused, report).await.map_err(failed)?;
                for holder in stale {
                    let unmarked = self.unmark(writer, holder).await;
                    report.markers += u64::from(removal::unless_locked(unmarked).map_err(failed)?);
                }
            }
            account(&used, &usage, &block_sizes, report);
            return Ok(());
        }
        report.spared += 1;
        Ok(())
    }

    /// Asks the images of all holders what they need.
    async fn needs(
        &self,
        writer: WriterId,
        marks: &[Mark],
        report: &mut SweepReport,
    ) -> Result<Needs, ImageError> {
        let (mut usage, mut block_sizes, mut stale) = (Usage::default(), BTreeSet::new(), Vec::new());
        let mut asked = BTreeSet::new();
        for Mark { holder, made } in marks {
            let key = match self.marker(writer, *holder).await.map_err(failed)? {
                Marker::Names(key) => key,
                Marker::Copier(silent_for) if silent_for > self.sweep_after() => {
                    stale.push(*holder);
                    continue;
                }
                Marker::Copier(_) | Marker::Damaged => return Ok(Needs::Anything),
                Marker::Gone => return Ok(Needs::Changed),
            };
            let there = self.states.load_key(&ImageIdentity::unknown(&key), &key).await?;
            let there = there.filter(|there| there.manifest.holders.contains(holder));
            let mut needed = Vec::new();
            if let Some(there) = there {
                let writes = there.manifest.busy && there.manifest.writer == *holder;
                // A copy that is not complete has no extents yet.
                let copies = there.manifest.state == Stored::Pending
                    && there.manifest.copied.as_ref().is_some_and(|copied| copied.writes_as(writer));
                let manifest = there.manifest.clone();
                if self.sweep_image(there, report).await? {
                    return Ok(Needs::Changed);
                }
                if writes || copies {
                    return Ok(Needs::Anything);
                }
                needed = manifest.extents;
                needed.retain(|extent| extent.series.writer == writer);
            }
            if needed.is_empty() {
                // Of no use, unless an image that is being laid out anew is about to name it.
                if report.began.saturating_sub(*made) <= self.sweep_after() {
                    return Ok(Needs::Anything);
                }
                stale.push(*holder);
            } else if asked.insert(key) {
                for extent in needed {
                    usage.add(&extent);
                    block_sizes.insert(extent.series.block_size);
                }
            }
        }
        usage.settle();
        Ok(Needs::Known { usage, block_sizes, stale })
    }

    async fn segments_of(&self, writer: WriterId) -> Result<Vec<Listed>, StoreError> {
        let prefix = writer_prefix(writer);
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let page = self.store.list(&prefix, next.as_deref()).await?;
            found.extend(page.objects.into_iter().filter_map(|object| {
                let index = writer_in(&object.key, SEGMENTS).and_then(|(_, rest)| segment_index(rest))?;
                Some(Listed { index, size: object.size, key: object.key })
            }));
            next = page.next;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    async fn free(
        &self,
        writer: WriterId,
        unused: &[Listed],
        report: &mut SweepReport,
    ) -> Result<(), StoreError> {
        if !self.versioned().await? {
            let keys: Vec<String> = unused.iter().map(|segment| segment.key.clone()).collect();
            if !keys.is_empty() {
                self.store.delete_many(&keys).await?;
            }
            report.freed_segments += unused.len() as u64;
            report.freed_bytes += unused.iter().map(|segment| segment.size).sum::<u64>();
            return Ok(());
        }
        let doomed: BTreeSet<&str> = unused.iter().map(|segment| segment.key.as_str()).collect();
        let prefix = writer_prefix(writer);
        let versions = removal::versions(&*self.store, &prefix, |v| doomed.contains(v.key.as_str()));
        for version in versions.await? {
            let removed = removal::remove_versions(&*self.store, std::slice::from_ref(&version)).await;
            if removal::unless_locked(removed)? {
                report.freed_segments += u64::from(version.latest);
                report.freed_bytes += version.size;
            } else {
                report.kept_by_lock += 1;
            }
        }
        Ok(())
    }
}

/// Adds up what is left.
fn account(used: &[Listed], usage: &Usage, block_sizes: &BTreeSet<u32>, report: &mut SweepReport) {
    for segment in used {
        report.segments += 1;
        report.stored_bytes += segment.size;
        // All segments of a writer have one block size; the footer's size follows from it and the object's.
        let data_len = block_sizes.first().map_or(segment.size, |block| data_len(segment.size, *block));
        let live = usage.live(segment.index, data_len);
        report.live_bytes += live;
        report.dead_bytes += data_len.saturating_sub(live);
    }
}

/// Bytes of data in a segment object of this size.
fn data_len(object_len: u64, block_size: u32) -> u64 {
    let series = Series { writer: WriterId([0; 16]), origin: WriterId([0; 16]), block_size };
    let fits = |data_len: u64| Shape { series, index: 0, data_len }.object_len();
    // The object grows with its data: the answer is where it reaches the size.
    let (mut low, mut high) = (0, object_len);
    while low < high {
        let middle = low.midpoint(high);
        if fits(middle) < object_len { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_segment_follows_from_its_size() {
        let series = Series { writer: WriterId([0; 16]), origin: WriterId([0; 16]), block_size: 16 };
        for len in [1, 15, 16, 17, 1000] {
            assert_eq!(data_len(Shape { series, index: 0, data_len: len }.object_len(), 16), len);
        }
    }
}
