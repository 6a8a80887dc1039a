//! Failures on command: which request they hit, and what they do to it.

use super::operation::Operation;
use crate::object_store::StoreError;

/// What a scripted failure does.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The request is not carried out and fails.
    Refuse(StoreError),
    /// The request is carried out, and then fails nevertheless.
    LoseAnswer(StoreError),
    /// The data of a get comes with one bit wrong at this offset (modulo its length). Other requests are not affected.
    FlipByte(u64),
}

#[derive(Debug)]
struct Script {
    operation: Operation,
    prefix: String,
    /// Matching requests still to let pass.
    skip: u64,
    effect: Effect,
}

/// The failures that have not happened yet.
#[derive(Debug, Default)]
pub(super) struct Scripts(Vec<Script>);

impl Scripts {
    pub(super) fn add(&mut self, operation: Operation, prefix: &str, skip: u64, effect: Effect) {
        self.0.push(Script { operation, prefix: prefix.to_owned(), skip, effect });
    }

    /// Forgets them all; says how many.
    pub(super) fn clear(&mut self) -> usize {
        std::mem::take(&mut self.0).len()
    }

    /// The effect on a request that is about to be carried out.
    pub(super) fn effect(&mut self, operation: Operation, key: &str) -> Option<Effect> {
        let mut due = None;
        for (number, script) in self.0.iter_mut().enumerate() {
            if script.operation != operation || !key.starts_with(&script.prefix) {
                continue;
            }
            if script.skip == 0 {
                due = Some(number);
                break;
            }
            script.skip -= 1;
        }
        due.map(|number| self.0.remove(number).effect)
    }
}
