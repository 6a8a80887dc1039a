//! Who may commit an image where the server has conditional writes: every change of the state object is a
//! compare-and-swap.
//!
//! Leases are not modelled: every writer may think at any time that the one before it is dead, which is the worst that
//! leases and clocks can do. A writer may crash before any step, and the answer to its commit may be lost.

use stateright::{Model, Property};

use crate::Rule;

/// The state object. Its tag is a fresh one with every write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Object {
    tag: u8,
    writer: u8,
    complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Writer {
    /// Looks at the object.
    Look,
    /// Wants to own it, which it saw with this tag.
    Own(u8),
    /// Owns it, as far as it knows; may save `flushes` times more.
    Write {
        tag: u8,
        flushes: u8,
    },
    /// Does not know whether its commit arrived.
    Resolve,
    /// Told its caller that the image is complete.
    Committed,
    /// Told its caller that it is not.
    Failed,
    Crashed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    object: Object,
    next_tag: u8,
    writers: Vec<Writer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Look(usize),
    Own(usize),
    Flush(usize),
    Commit(usize),
    /// The commit is carried out, or not, and its answer is lost.
    CommitLost(usize, bool),
    Resolve(usize),
    Crash(usize),
}

/// So many writers under these rules. The first one has created the image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    writers: usize,
    /// Changes are conditional on the entity tag that the writer saw last.
    conditional: bool,
    /// Nobody takes over what is complete.
    complete_is_final: bool,
    /// After a lost answer the object is read back before anything is said.
    read_back: bool,
}

pub(crate) const RULES: &[Rule<Case>] = &[
    ("changes are conditional", |case| case.conditional = false),
    ("complete is final", |case| case.complete_is_final = false),
    ("lost answers are resolved", |case| case.read_back = false),
];

impl Case {
    pub(crate) fn new(writers: usize) -> Self {
        Self { writers, conditional: true, complete_is_final: true, read_back: true }
    }

    fn put(&self, state: &mut State, seen: u8, writer: usize, complete: bool) -> Option<u8> {
        if self.conditional && state.object.tag != seen {
            return None;
        }
        let tag = state.next_tag;
        state.next_tag += 1;
        state.object = Object { tag, writer: u8::try_from(writer).unwrap(), complete };
        Some(tag)
    }
}

impl Model for Case {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        // Writer 0 has created the image.
        let mut writers = vec![Writer::Look; self.writers];
        writers[0] = Writer::Write { tag: 0, flushes: 1 };
        vec![State { object: Object { tag: 0, writer: 0, complete: false }, next_tag: 1, writers }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        for (n, writer) in state.writers.iter().enumerate() {
            match writer {
                Writer::Look => actions.push(Act::Look(n)),
                Writer::Own(_) => actions.push(Act::Own(n)),
                Writer::Write { flushes, .. } => {
                    if *flushes > 0 {
                        actions.push(Act::Flush(n));
                    }
                    actions.extend([Act::Commit(n), Act::CommitLost(n, true), Act::CommitLost(n, false)]);
                }
                Writer::Resolve => actions.push(Act::Resolve(n)),
                Writer::Committed | Writer::Failed | Writer::Crashed => continue,
            }
            actions.push(Act::Crash(n));
        }
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut next = state.clone();
        let (Act::Look(n)
        | Act::Own(n)
        | Act::Flush(n)
        | Act::Commit(n)
        | Act::CommitLost(n, _)
        | Act::Resolve(n)
        | Act::Crash(n)) = act;
        let own = |tag: Option<u8>, flushes| tag.map_or(Writer::Failed, |tag| Writer::Write { tag, flushes });
        next.writers[n] = match (act, &state.writers[n]) {
            (Act::Look(_), _) if state.object.complete && self.complete_is_final => Writer::Failed,
            (Act::Look(_), _) => Writer::Own(state.object.tag),
            (Act::Own(_), Writer::Own(seen)) => own(self.put(&mut next, *seen, n, false), 1),
            (Act::Flush(_), Writer::Write { tag, flushes }) => {
                own(self.put(&mut next, *tag, n, false), flushes - 1)
            }
            (Act::Commit(_), Writer::Write { tag, .. }) => {
                if self.put(&mut next, *tag, n, true).is_some() {
                    Writer::Committed
                } else {
                    Writer::Failed
                }
            }
            (Act::CommitLost(_, arrived), Writer::Write { tag, .. }) => {
                if arrived {
                    self.put(&mut next, *tag, n, true);
                }
                // Without reading back, a writer could only guess.
                if self.read_back { Writer::Resolve } else { Writer::Committed }
            }
            (Act::Resolve(_), _) => {
                let there = &state.object;
                let mine = there.complete && usize::from(there.writer) == n;
                if mine { Writer::Committed } else { Writer::Failed }
            }
            (Act::Crash(_), _) => Writer::Crashed,
            _ => return None,
        };
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("at most one commits", |_, state: &State| {
                state.writers.iter().filter(|w| **w == Writer::Committed).count() <= 1
            }),
            Property::always("what was said to be complete is there", |_, state: &State| {
                state.writers.iter().enumerate().all(|(n, writer)| {
                    *writer != Writer::Committed
                        || (state.object.complete && usize::from(state.object.writer) == n)
                })
            }),
            Property::sometimes("a successor commits", |_, state: &State| {
                state.writers[1..].contains(&Writer::Committed)
            }),
        ]
    }
}
