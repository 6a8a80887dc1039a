//! Checks of storage lifecycle policies: what the primary asks of the plug-in without anybody's order.

use super::{Check, whole};

pub(super) const CHECKS: &[Check] = &[
    whole(
        "SLP-001",
        "lifecycle",
        "NBU-SLP-001",
        true,
        "A storage lifecycle policy duplicates what was backed up",
        "one job makes the copies of several backups, and they restore byte-identical when the first ones are gone",
    )
    .claimed("copy_image"),
    whole(
        "SLP-002",
        "lifecycle",
        "NBU-SLP-002",
        false,
        "A copy of a storage lifecycle policy fails, and is tried again",
        "three times soon and then later, leaving nothing each time; the image cannot be expired before (1573)",
    )
    .claimed("copy_image"),
    // Needs events and image_set and replication_properties too.
    whole(
        "SLP-003",
        "lifecycle",
        "NBU-SLP-003",
        true,
        "Storage lifecycle policies of two domains replicate, import and copy",
        "events carry the policy's name, and every copy of the target restores byte-identical",
    )
    .claimed("async_copy"),
    whole(
        "SLP-004",
        "lifecycle",
        "NBU-SLP-004",
        true,
        "The primary is killed before a copy is made and while it is",
        "exactly one copy comes, what was left of the other is no obstacle",
    )
    .claimed("copy_image"),
    // Needs events and image_set and replication_properties too.
    whole(
        "SLP-005",
        "lifecycle",
        "NBU-SLP-005",
        false,
        "A target domain that has not the storage lifecycle policy that an event names",
        "the import ends with 1532, and the event stays until the domain can use it",
    )
    .claimed("async_copy"),
    whole(
        "EXP-003",
        "expire",
        "NBU-EXP-002",
        false,
        "Copies of a storage lifecycle policy expire one by one",
        "each as its operation says, and what is left of the backup restores byte-identical",
    )
    .claimed("copy_image"),
];
