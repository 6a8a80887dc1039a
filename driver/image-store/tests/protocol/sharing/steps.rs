//! What each request of an include and of a delete does, and what comes next; `None` is the end.

use super::{Case, Deleting, Image, Including, ORIGIN, Release, Store, marker};

impl Case {
    /// One request of letting go of the segments.
    pub(super) fn release(&self, store: &mut Store, image: usize, at: Release) -> Option<Release> {
        match at {
            Release::Unmark => {
                store.markers.remove(&marker(image));
                Some(Release::LookForOthers)
            }
            Release::LookForOthers if self.look_for_others && !store.markers.is_empty() => None,
            Release::LookForOthers => Some(Release::List),
            Release::List if store.segments == 0 => None,
            Release::List => Some(Release::Free(store.segments)),
            Release::Free(listed) => {
                store.segments &= !listed;
                None
            }
        }
    }

    pub(super) fn include(
        &self,
        store: &mut Store,
        (image, source, segment): (usize, usize, u8),
        at: Including,
    ) -> Option<Including> {
        let fit = matches!(store.images[source], Image::Created(held) if held & (1 << segment) != 0);
        let own = marker(image);
        match at {
            // Nothing is held yet.
            Including::Look => Some(if fit { Including::Mark } else { Including::MarkDeleting }),
            Including::Mark => {
                store.markers.insert(own);
                Some(if self.check { Including::Check } else { Including::Commit })
            }
            Including::Check if fit => Some(Including::Commit),
            Including::Check => Some(Including::Release { fenced: false, at: Release::Unmark }),
            Including::Commit if store.images[image] == Image::Busy => {
                store.images[image] = Image::Created(1 << segment);
                None
            }
            Including::Commit => Some(Including::Fenced),
            Including::Fenced if store.images[image] != Image::Absent => Some(Including::FencedAgain),
            Including::Fenced | Including::FencedAgain => {
                Some(Including::Release { fenced: true, at: Release::Unmark })
            }
            Including::Release { fenced, at } => match self.release(store, image, at) {
                Some(at) => Some(Including::Release { fenced, at }),
                None if fenced => None,
                None => Some(Including::MarkDeleting),
            },
            Including::MarkDeleting if store.images[image] == Image::Busy => {
                store.images[image] = Image::Deleting(0);
                Some(Including::Remove)
            }
            Including::MarkDeleting => Some(Including::LookAgain),
            // Somebody else has written the very same.
            Including::LookAgain if store.images[image] != Image::Absent => Some(Including::Remove),
            Including::LookAgain => Some(Including::Reload),
            Including::Reload => None,
            Including::Remove => {
                store.images[image] = Image::Absent;
                None
            }
        }
    }

    /// What a delete of an image that is DELETING begins with; `None` if it never held anything.
    pub(super) fn release_of(image: usize, held: Image) -> Option<Release> {
        (held.holds() != 0 || image == ORIGIN).then_some(Release::Unmark)
    }

    pub(super) fn delete(&self, store: &mut Store, image: usize, at: Deleting) -> Option<Deleting> {
        let there = store.images[image];
        let released = |held| Some(Self::release_of(image, held).map_or(Deleting::Remove, Deleting::Release));
        match at {
            Deleting::Load => match there {
                Image::Absent => None,
                Image::Deleting(_) => released(there),
                Image::Created(_) if !self.mark_first => released(there),
                Image::Created(_) | Image::Busy => Some(Deleting::Mark { seen: there }),
            },
            Deleting::Mark { seen } if seen == there => {
                store.images[image] = Image::Deleting(there.holds());
                released(there)
            }
            Deleting::Mark { .. } => Some(Deleting::LookAgain),
            Deleting::LookAgain => match there {
                Image::Absent => Some(Deleting::Load),
                // Whoever gives up the image has written the very same.
                Image::Deleting(_) => released(there),
                Image::Created(_) | Image::Busy => Some(Deleting::ReadOther),
            },
            Deleting::ReadOther => Some(Deleting::Load),
            Deleting::Release(at) => {
                Some(self.release(store, image, at).map_or(Deleting::Remove, Deleting::Release))
            }
            Deleting::Remove => {
                store.images[image] = Image::Absent;
                None
            }
        }
    }
}
