//! Locks (WORM): complete images that nobody can delete before a time, kept by the object lock of the bucket.
//!
//! Everything that the image consists of is locked first, the state object last: the one write that says "locked" is
//! itself conditional and locked. So a lock that was interrupted is either not there or complete, and asking again
//! completes it. The rules are in `docs/image-protocol.md`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::{SEGMENTS, WriterId, segment_index, segment_key, writer_in};
use crate::manifest::{Manifest, Stored};
use crate::object_store::{ListedVersion, ObjectStore, Retention, RetentionMode, StoreError};
use crate::state::{Exchange, Loaded};
use crate::store::{ImageStore, Shared, unencodable};

/// Times that a lock starts over when the image changed under it.
const ATTEMPTS: usize = 4;

/// Segments that are being locked at once.
const AT_ONCE: usize = 16;

/// Which locks an LSU allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockRules {
    /// The shortest time from now on, in seconds.
    pub minimum: u64,
    /// The longest time from now on, in seconds; `None` is without limit.
    pub maximum: Option<u64>,
    /// How strictly. A lock in force, or one on a shared segment, that is stricter stays so.
    pub mode: RetentionMode,
}

impl<S: ObjectStore> ImageStore<S> {
    /// Locks a complete image until a time, in seconds since the epoch by the server's clock, or extends its lock.
    ///
    /// Success means that the image cannot be deleted before, and that the bucket keeps every object that it consists
    /// of until then, whoever else uses or used it. After an error or when dropped, the lock is either complete or not
    /// there: [`Self::properties`] tells. Locking again completes it.
    ///
    /// Requests: two, one for every version of every segment of the image, and one for 1,000 segments of each writer.
    ///
    /// [`ImageError::NoObjectLock`], [`ImageError::NotFound`], [`ImageError::NotComplete`]; [`ImageError::LockTooShort`]
    /// and [`ImageError::LockTooLong`] by the rules; [`ImageError::LockShortened`] if a lock in force ends later;
    /// [`ImageError::LockMode`] if a segment is kept in a laxer mode than asked for; [`ImageError::Corrupt`] if one is missing.
    pub async fn lock(&self, image: &ImageIdentity, until: u64, rules: LockRules) -> Result<(), ImageError> {
        self.shared().lock(image, until, rules, false).await
    }

    /// As [`Self::lock`], for an image whose lock is in force; [`ImageError::NotLocked`] otherwise.
    pub async fn extend_lock(
        &self,
        image: &ImageIdentity,
        until: u64,
        rules: LockRules,
    ) -> Result<(), ImageError> {
        self.shared().lock(image, until, rules, true).await
    }
}

/// Whether a lock may be, as far as that can be seen before anything is done.
fn check(there: &Loaded, until: u64, rules: LockRules, extend: bool) -> Result<(), ImageError> {
    let image = || there.manifest.identity.clone();
    if there.manifest.state != Stored::Created {
        return Err(ImageError::NotComplete { image: image() });
    }
    match there.lock() {
        Some(lock) if lock.until > until => {
            return Err(ImageError::LockShortened { image: image(), until, locked_until: lock.until });
        }
        // Asked for again: whether it could be asked for now for the first time does not matter.
        Some(lock) if lock.until == until => return Ok(()),
        None if extend => return Err(ImageError::NotLocked { image: image() }),
        _ => {}
    }
    let earliest = there.answered.saturating_add(rules.minimum.max(1));
    if until < earliest {
        return Err(ImageError::LockTooShort { image: image(), until, earliest });
    }
    match rules.maximum.map(|maximum| there.answered.saturating_add(maximum)) {
        Some(latest) if until > latest => Err(ImageError::LockTooLong { image: image(), until, latest }),
        _ => Ok(()),
    }
}

/// The segments that an image has any byte of: runs of indices, by writer, in order and apart from each other.
fn needed(manifest: &Manifest) -> BTreeMap<WriterId, Vec<Range<u32>>> {
    let mut needed: BTreeMap<WriterId, Vec<Range<u32>>> = BTreeMap::new();
    for extent in &manifest.extents {
        needed.entry(extent.series.writer).or_default().push(extent.first..extent.first + extent.count);
    }
    for runs in needed.values_mut() {
        runs.sort_unstable_by_key(|run| run.start);
        let mut apart: Vec<Range<u32>> = Vec::new();
        for run in runs.drain(..) {
            match apart.last_mut() {
                Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
                _ => apart.push(run),
            }
        }
        *runs = apart;
    }
    needed
}

fn contains(runs: &[Range<u32>], index: u32) -> bool {
    runs.get(runs.partition_point(|run| run.end <= index)).is_some_and(|run| run.contains(&index))
}

/// What the keys of all these segments begin with.
fn common_prefix(writer: WriterId, runs: &[Range<u32>]) -> String {
    let first = segment_key(writer, runs.first().map_or(0, |run| run.start));
    let last = segment_key(writer, runs.last().map_or(u32::MAX, |run| run.end - 1));
    first.chars().zip(last.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

/// Keeps one version of a segment, for at least as long and as strictly as asked for.
async fn keep<S: ObjectStore>(
    store: Arc<S>,
    segment: ListedVersion,
    retention: Retention,
) -> Result<(), (String, StoreError)> {
    let ListedVersion { key, version, latest, .. } = segment;
    let kept = async {
        let refused = match store.retain(&key, Some(&version), retention).await {
            Err(StoreError::Locked(why)) => why,
            ended => return ended,
        };
        if !latest {
            // A copy that nobody reads, and that is kept for some time already.
            return Ok(());
        }
        let Some(present) = store.head(&key).await?.retention else {
            return Err(StoreError::Locked(refused));
        };
        if present.mode < retention.mode {
            return Err(StoreError::Locked(refused));
        }
        if present.until >= retention.until {
            return Ok(());
        }
        // A lock of another image is stricter: it can be extended only as it is.
        let stricter = Retention { mode: present.mode, ..retention };
        match store.retain(&key, Some(&version), stricter).await {
            // Somebody has extended it further meanwhile.
            Err(StoreError::Locked(_)) if present.mode > retention.mode => Ok(()),
            ended => ended,
        }
    };
    kept.await.map_err(|error| (key.clone(), error))
}

fn missing(image: &ImageIdentity, key: String) -> ImageError {
    let problem = "the segment is missing, so that the image cannot be locked".to_owned();
    ImageError::Corrupt { image: image.clone(), key, problem }
}

fn not_kept(image: &ImageIdentity, key: String, error: StoreError) -> ImageError {
    match error {
        StoreError::NotFound(_) => missing(image, key),
        StoreError::Locked(reason) => ImageError::LockMode { image: image.clone(), key, reason },
        // A server that does not know the request has no object lock.
        StoreError::Unsupported(_) => ImageError::NoObjectLock { image: image.clone() },
        error => ImageError::from_store(image, "locking its segments", error),
    }
}

impl<S: ObjectStore> Shared<S> {
    async fn lock(
        &self,
        image: &ImageIdentity,
        until: u64,
        rules: LockRules,
        extend: bool,
    ) -> Result<(), ImageError> {
        if !self.object_lock(image).await? {
            return Err(ImageError::NoObjectLock { image: image.clone() });
        }
        for _ in 0..ATTEMPTS {
            let there = self.load(image).await?;
            check(&there, until, rules, extend)?;
            let present = there.lock();
            let mode = present.map_or(rules.mode, |lock| lock.mode.max(rules.mode));
            let retention = Retention { until, mode };
            for (writer, runs) in needed(&there.manifest) {
                self.keep_segments(image, writer, &runs, retention).await?;
            }
            if present == Some(retention) {
                return Ok(());
            }
            let Loaded { manifest, inline, seal, .. } = there;
            let locked = Manifest { locked_until: Some(until), ..manifest };
            let encoded = locked.encode(&inline).map_err(|problem| unencodable(image, problem))?;
            let exchanged = self.states.exchange(image, &encoded, Some(&seal), Some(retention)).await;
            match exchanged {
                Ok(Exchange::Done(_)) => return Ok(()),
                // Deleted, or locked by somebody else: look again.
                Ok(Exchange::Lost(_)) => {}
                Err(ImageError::Store { source: StoreError::Unsupported(_), .. }) => {
                    return Err(ImageError::NoObjectLock { image: image.clone() });
                }
                Err(error) => return Err(error),
            }
        }
        Err(ImageError::Busy { image: image.clone(), writer: "unknown".to_owned() })
    }

    /// Keeps every version of the segments of one writer that an image needs, and makes sure that all of them are there.
    async fn keep_segments(
        &self,
        image: &ImageIdentity,
        writer: WriterId,
        runs: &[Range<u32>],
        retention: Retention,
    ) -> Result<(), ImageError> {
        let prefix = common_prefix(writer, runs);
        let mut expected = runs.iter().flat_map(Range::clone);
        let mut keeping = JoinSet::new();
        let mut next = None;
        loop {
            let page = self.store.list_versions(&prefix, next).await;
            let page = page.map_err(|error| not_kept(image, prefix.clone(), error))?;
            for version in page.versions.into_iter().filter(|version| !version.delete_marker) {
                let index = writer_in(&version.key, SEGMENTS).and_then(|(_, rest)| segment_index(rest));
                let Some(index) = index.filter(|index| contains(runs, *index)) else { continue };
                if version.latest
                    && let Some(due) = expected.next().filter(|due| *due != index)
                {
                    return Err(missing(image, segment_key(writer, due)));
                }
                if keeping.len() >= AT_ONCE {
                    settle(image, keeping.join_next().await)?;
                }
                keeping.spawn(keep(Arc::clone(&self.store), version, retention));
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        while !keeping.is_empty() {
            settle(image, keeping.join_next().await)?;
        }
        expected.next().map_or(Ok(()), |due| Err(missing(image, segment_key(writer, due))))
    }
}

type Kept = Result<Result<(), (String, StoreError)>, tokio::task::JoinError>;

fn settle(image: &ImageIdentity, kept: Option<Kept>) -> Result<(), ImageError> {
    match kept {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err((key, error)))) => Err(not_kept(image, key, error)),
        Some(Err(_)) => Err(ImageError::Interrupted { image: image.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_contain_what_is_between_their_ends() {
        let runs = [2..4, 6..7];
        let found: Vec<u32> = (0..9).filter(|index| contains(&runs, *index)).collect();
        assert_eq!(found, [2, 3, 6]);
    }

    #[test]
    fn the_prefix_covers_the_segments_and_little_more() {
        let writer = WriterId([0xab; 16]);
        let own = format!("segment/{writer}/");
        let one = |run: Range<u32>| common_prefix(writer, std::slice::from_ref(&run));
        assert_eq!(one(3..4), format!("{own}00000003"));
        assert_eq!(common_prefix(writer, &[0x12..0x15, 0x17..0x20]), format!("{own}0000001"));
        assert_eq!(one(0..u32::MAX), own);
    }
}
