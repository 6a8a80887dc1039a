//! What each request of a sweep does, and what comes next.

use std::collections::BTreeSet;

use super::{Case, Found, Image, ORIGIN, Process, Store, Sweeping, Writer, marker};

impl Case {
    pub(super) fn sweep(&self, store: &mut Store, rounds: u8, at: Sweeping) -> Process {
        let to = |at| Process::Sweep { rounds, at };
        match at {
            // Whatever else there is has just been written.
            Sweeping::ListImages if matches!(store.images[ORIGIN], Image::Created(_)) => {
                to(Sweeping::ReadOld)
            }
            Sweeping::ListImages => to(Sweeping::GroupSegments),
            Sweeping::ReadOld => match store.images[ORIGIN] {
                Image::Deleting(_) => to(Self::finish(ORIGIN, store.images[ORIGIN], true)),
                _ => to(Sweeping::GroupSegments),
            },
            Sweeping::GroupSegments => to(Sweeping::GroupMarkers { segments: store.segments != 0 }),
            Sweeping::GroupMarkers { segments } if segments || !store.markers.is_empty() => {
                to(Sweeping::List)
            }
            Sweeping::GroupMarkers { .. } => Process::Ended,
            Sweeping::List => {
                let seen = store.markers.clone();
                to(next_of(Found { left: seen.clone(), seen, used: 0, stale: BTreeSet::new() }))
            }
            Sweeping::ReadMarker(found) if store.markers.contains(found.left.first().unwrap()) => {
                to(Sweeping::ReadImage(found))
            }
            Sweeping::ReadMarker(_) => again(rounds),
            Sweeping::ReadImage(mut found) => {
                let holder = found.left.pop_first().unwrap();
                let image = usize::from(holder);
                match store.images[image] {
                    Image::Absent if self.is_old(holder) => {
                        found.stale.insert(holder);
                        to(next_of(found))
                    }
                    // It may be of an image that is about to name it.
                    Image::Absent => Process::Ended,
                    Image::Busy if self.spare_busy => Process::Ended,
                    Image::Busy => to(next_of(found)),
                    Image::Created(held) => {
                        found.used |= held;
                        to(next_of(found))
                    }
                    there @ Image::Deleting(_) => to(Self::finish(image, there, false)),
                }
            }
            Sweeping::ListSegments(found) => {
                let unused = store.segments & !found.used;
                if unused == 0 && found.stale.is_empty() {
                    Process::Ended
                } else {
                    to(Sweeping::ListAgain(found, unused))
                }
            }
            Sweeping::ListAgain(found, _) if self.look_again && !store.markers.is_subset(&found.seen) => {
                again(rounds)
            }
            Sweeping::ListAgain(found, unused) if unused != 0 => to(Sweeping::Free(found, unused)),
            Sweeping::ListAgain(found, _) => drop_stale(rounds, found.stale),
            Sweeping::Free(found, unused) => {
                store.segments &= !unused;
                drop_stale(rounds, found.stale)
            }
            Sweeping::DropStale(mut stale) => {
                let holder = stale.pop_first().unwrap();
                if self.drop_stale {
                    store.markers.remove(&holder);
                }
                drop_stale(rounds, stale)
            }
            Sweeping::Finish { image, at: Some(at), first } => {
                let at = self.release(store, image, at);
                to(Sweeping::Finish { image, at, first })
            }
            Sweeping::Finish { image, at: None, first } => {
                store.images[image] = Image::Absent;
                if first { to(Sweeping::GroupSegments) } else { again(rounds) }
            }
        }
    }

    /// Whether a marker is more than a day old.
    fn is_old(&self, holder: Writer) -> bool {
        self.later || usize::from(holder) == ORIGIN || self.leftover.map(marker) == Some(holder)
    }

    fn finish(image: usize, held: Image, first: bool) -> Sweeping {
        Sweeping::Finish { image, at: Self::release_of(image, held), first }
    }
}

fn next_of(found: Found) -> Sweeping {
    if found.left.is_empty() { Sweeping::ListSegments(found) } else { Sweeping::ReadMarker(found) }
}

fn drop_stale(rounds: u8, stale: BTreeSet<Writer>) -> Process {
    if stale.is_empty() { Process::Ended } else { Process::Sweep { rounds, at: Sweeping::DropStale(stale) } }
}

fn again(rounds: u8) -> Process {
    if rounds > 1 { Process::Sweep { rounds: rounds - 1, at: Sweeping::List } } else { Process::Ended }
}
