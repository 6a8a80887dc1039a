//! The object stores, against the common checks.

use image_store::conformance::check;
use image_store::memory::MemoryStore;

use crate::support::block_on;

#[test]
fn the_store_in_memory_conforms() {
    let store = MemoryStore::new();
    assert_eq!(block_on(check(&store)), []);
}

#[test]
fn the_store_in_memory_conforms_without_conditional_writes_and_with_short_pages() {
    let store = MemoryStore::new();
    store.set_conditional_writes(false);
    store.set_page_size(7);
    assert_eq!(block_on(check(&store)), []);
}

#[test]
fn a_store_that_loses_an_object_does_not_conform() {
    use image_store::memory::{Effect, Operation};
    use image_store::object_store::StoreError;

    let store = MemoryStore::new();
    let lost = Effect::LoseAnswer(StoreError::Timeout("scripted".to_owned()));
    store.script(Operation::Put, "conformance/object", 0, lost);
    assert_ne!(block_on(check(&store)), []);
}
