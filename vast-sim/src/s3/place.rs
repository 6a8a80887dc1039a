//! Where a key of a bucket lies in the tenant's files.

use std::sync::Arc;

use s3s::{S3Result, s3_error};

use super::reply;
use crate::core::Core;
use crate::store::capacity::Delta;
use crate::store::frozen::is_in_snapshot;
use crate::store::object::{Bucket, Object, Upload};
use crate::store::registry::{flag, number};
use crate::store::state::State;
use crate::store::version::Entry;
use crate::vms::resources::folders::read_only_over;

/// Longest key in bytes.
const MAX_KEY: usize = 1024;

/// Refuses keys that no file can have. Empty segments (`a//b`) are let through whatever the view's policy says: such
/// objects are merely invisible to other protocols.
fn check_key(key: &str, special: bool) -> S3Result<()> {
    if key.len() > MAX_KEY {
        return Err(s3_error!(KeyTooLongError, "Your key is too long"));
    }
    if is_in_snapshot(key) {
        return Err(s3_error!(AccessDenied, "Snapshots are read-only."));
    }
    if !special && key.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(s3_error!(
            InvalidArgument,
            "The key has a segment that is \".\" or \"..\"; the view policy's s3_special_chars_support would allow it."
        ));
    }
    Ok(())
}

/// The file behind a bucket and a key.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) tenant: u64,
    pub(crate) path: String,
    /// Whether writes make versions.
    pub(crate) versioned: bool,
}

impl Place {
    pub(crate) fn new(state: &State, bucket: &Bucket, key: &str) -> Self {
        Self { tenant: bucket.tenant_id, path: bucket.path_of(key), versioned: state.is_versioned(bucket) }
    }

    /// As [`Self::new`], for a request that changes something: refuses keys that cannot be written.
    pub(crate) fn for_write(state: &State, bucket: &Bucket, key: &str) -> S3Result<Self> {
        let special = state
            .view_of(bucket)
            .and_then(|view| number(view, "policy_id"))
            .and_then(|policy| state.vms.row("viewpolicies", policy))
            .is_some_and(|policy| flag(policy, "s3_special_chars_support"));
        check_key(key, special)?;
        let place = Self::new(state, bucket, key);
        if is_in_snapshot(&bucket.path) {
            return Err(s3_error!(AccessDenied, "Snapshots are read-only."));
        }
        match read_only_over(state, place.tenant, &place.path) {
            Some(dir) => Err(s3_error!(AccessDenied, "{dir} is read-only.")),
            None => Ok(place),
        }
    }

    /// Refuses to replace what is locked: only where no version would keep it.
    pub(crate) fn check_replace(&self, state: &State, now: u64) -> S3Result<()> {
        match state.replaced(self.tenant, &self.path, self.versioned) {
            Some(object) => object.attributes.lock.check_delete(now, false),
            None => Ok(()),
        }
    }

    pub(crate) fn entry<'s>(&self, state: &'s State) -> Option<&'s Entry> {
        state.entry(self.tenant, &self.path)
    }

    /// The object that a plain read gets.
    pub(crate) fn current<'s>(&self, state: &'s State) -> Option<&'s Arc<Object>> {
        state.current(self.tenant, &self.path)
    }

    /// The open upload of that id.
    pub(crate) fn upload<'s>(&self, state: &'s State, id: &str) -> S3Result<&'s Upload> {
        state.files(self.tenant).upload(&self.path, id).ok_or_else(|| {
            s3_error!(
                NoSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                 aborted or completed."
            )
        })
    }

    /// Whether `added` bytes of an owner fit here, given what a write replaces and `freed` bytes of theirs beside that.
    pub(crate) fn check_fit(
        &self,
        core: &Core,
        state: &State,
        owner: &str,
        added: u64,
        freed: u64,
    ) -> S3Result<()> {
        let replaced = state.replaced(self.tenant, &self.path, self.versioned);
        let own = replaced.filter(|o| o.attributes.owner == owner);
        let delta = Delta {
            added,
            replaced: freed + replaced.map_or(0, |o| o.size),
            new_objects: u64::from(replaced.is_none()),
            owner,
            own_replaced: freed + own.map_or(0, |o| o.size),
            own_new_objects: u64::from(own.is_none()),
        };
        self.check(core, state, delta)
    }

    /// Whether a part of `size` bytes fits in place of the one of that number.
    pub(crate) fn check_part_fit(
        &self,
        core: &Core,
        state: &State,
        upload: &Upload,
        number: u16,
        size: u64,
    ) -> S3Result<()> {
        let replaced = upload.parts.get(&number).map_or(0, |p| p.size);
        let owner = upload.attributes.owner.as_str();
        let delta = Delta { added: size, replaced, owner, own_replaced: replaced, ..Delta::default() };
        self.check(core, state, delta)
    }

    fn check(&self, core: &Core, state: &State, delta: Delta<'_>) -> S3Result<()> {
        state
            .check_fit(self.tenant, &self.path, delta, core.config.capacity)
            .map_err(|f| reply::full(core, &f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_no_file_can_have_are_refused() {
        let code = |key: &str, special| check_key(key, special).map_err(|e| e.code().as_str().to_owned());
        for fine in ["a", "a//b", "/a", "a/", ".a", "a/..b", "...", &"k".repeat(1024)] {
            assert_eq!(code(fine, false), Ok(()), "{fine}");
        }
        for dots in [".", "..", "a/./b", "../a", "a/.."] {
            assert_eq!(code(dots, false), Err("InvalidArgument".to_owned()), "{dots}");
            assert_eq!(code(dots, true), Ok(()), "{dots}");
        }
        assert_eq!(code("d/.snapshot/s/k", true), Err("AccessDenied".to_owned()));
        assert_eq!(code(&"k".repeat(1025), true), Err("KeyTooLongError".to_owned()));
    }
}
