//! The versions of one object name.

use std::fmt;
use std::sync::Arc;

use super::object::Object;

/// Which version of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum VersionId {
    /// Written while versioning was off; at most one per object.
    Null,
    /// Written under versioning. The number's upper half ascends with time.
    Numbered(u128),
}

impl VersionId {
    /// The id of the `order`-th write. The lower half only makes it look like nothing that could be counted up.
    pub(super) fn of_order(order: u64) -> Self {
        // The finalizer of SplitMix64: any mixing will do.
        let mut mixed = order.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self::Numbered((u128::from(order) << 64) | u128::from(mixed ^ (mixed >> 31)))
    }

    /// Reads the form that clients see; none for what cannot be a version id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Null);
        }
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(lower_hex) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(Self::Numbered)
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Numbered(n) => write!(f, "{n:032x}"),
        }
    }
}

/// An object, or the mark that it was deleted.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Object(Arc<Object>),
    DeleteMarker {
        /// Milliseconds since 1970.
        modified: u64,
        /// Who deleted it.
        owner: String,
    },
}

/// One version.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) id: VersionId,
    /// Ascends with every write of the whole state.
    pub(crate) order: u64,
    pub(crate) content: Content,
}

impl Version {
    pub(crate) fn object(&self) -> Option<&Arc<Object>> {
        match &self.content {
            Content::Object(object) => Some(object),
            Content::DeleteMarker { .. } => None,
        }
    }

    pub(crate) fn modified(&self) -> u64 {
        match &self.content {
            Content::Object(object) => object.modified,
            Content::DeleteMarker { modified, .. } => *modified,
        }
    }

    pub(crate) fn owner(&self) -> &str {
        match &self.content {
            Content::Object(object) => &object.attributes.owner,
            Content::DeleteMarker { owner, .. } => owner,
        }
    }
}

/// All versions of one object name; never empty while it is stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    /// The newest last.
    versions: Vec<Version>,
}

impl Entry {
    /// The newest version.
    pub(crate) fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The object that a plain read gets.
    pub(crate) fn current(&self) -> Option<&Arc<Object>> {
        self.newest()?.object()
    }

    pub(crate) fn get(&self, id: VersionId) -> Option<&Version> {
        self.versions.iter().rev().find(|v| v.id == id)
    }

    /// Whether this is one object that was never versioned.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&self.versions[..], [v] if v.id == VersionId::Null && v.object().is_some())
    }

    /// Newest first.
    pub(crate) fn versions(&self) -> impl DoubleEndedIterator<Item = &Version> + ExactSizeIterator {
        self.versions.iter().rev()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    pub(super) fn push(&mut self, version: Version) {
        self.versions.push(version);
        // Only while loading do versions arrive in another order.
        if let [.., before, last] = &self.versions[..]
            && before.order > last.order
        {
            self.versions.sort_by_key(|v| v.order);
        }
    }

    pub(super) fn take(&mut self, id: VersionId) -> Option<Version> {
        let at = self.versions.iter().rposition(|v| v.id == id)?;
        Some(self.versions.remove(at))
    }

    pub(super) fn get_mut(&mut self, id: VersionId) -> Option<&mut Version> {
        self.versions.iter_mut().rev().find(|v| v.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        for id in [VersionId::Null, VersionId::of_order(1), VersionId::of_order(u64::MAX)] {
            assert_eq!(VersionId::parse(&id.to_string()), Some(id));
        }
        assert!(VersionId::of_order(2) > VersionId::of_order(1));
        for bad in ["", "Null", "0", "0123456789ABCDEF0123456789abcdef", "+123456789abcdef0123456789abcde"] {
            assert_eq!(VersionId::parse(bad), None, "{bad}");
        }
    }
}
