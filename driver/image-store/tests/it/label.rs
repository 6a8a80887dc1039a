//! The label of a bucket.

use std::sync::Arc;

use image_store::memory::MemoryStore;
use image_store::{ImageError, ImageStore};

use crate::support::{block_on, environment, small};

#[test]
fn a_label_is_the_last_one_that_was_set_and_leaves_nothing_when_it_goes() {
    for versioned in [false, true] {
        block_on(async {
            let memory = Arc::new(MemoryStore::new());
            if versioned {
                memory.set_versioned();
            }
            let images = ImageStore::new(Arc::clone(&memory), small(), environment().0).unwrap();
            assert_eq!(images.label().await.unwrap(), b"");
            images.set_label(b"").await.unwrap();
            for label in [&b"gold"[..], b"two words \xff", b"gold"] {
                images.set_label(label).await.unwrap();
                assert_eq!(images.label().await.unwrap(), label);
                assert_eq!(memory.raw().hidden().count(), 0, "an earlier label is still there");
            }
            assert!(memory.tamper("label", &b"{\"label\":\"lead\"}\n"[..]));
            let damaged = images.label().await;
            assert!(matches!(damaged, Err(ImageError::Corrupt { .. })), "{damaged:?}");
            images.set_label(b"silver").await.unwrap();
            assert_eq!(images.label().await.unwrap(), b"silver");
            images.set_label(b"").await.unwrap();
            assert!(memory.raw().is_empty(), "{:?}", memory.keys());
        });
    }
}
