//! Who may commit an image where the server has no conditional writes: a writer has a multipart upload of the manifest
//! open, and whoever opens one aborts all others.
//!
//! Leases are not modelled, crashes and lost answers are, as in [`crate::swap`].

use std::collections::BTreeSet;

use stateright::{Model, Property};

use crate::Rule;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Writer {
    Open,
    List,
    /// Others that it still has to abort.
    Abort(BTreeSet<u8>),
    Look,
    Complete,
    Resolve,
    Committed,
    Failed,
    Crashed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    uploads: BTreeSet<u8>,
    manifest: Option<u8>,
    writers: Vec<Writer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Step(usize),
    CompleteLost(usize, bool),
    Crash(usize),
}

/// So many writers under these rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    writers: usize,
    /// Others' uploads are aborted.
    abort_others: bool,
    /// After that the writer looks whether there is a manifest already.
    look_for_manifest: bool,
    /// The upload is opened before the others are listed, not after.
    open_first: bool,
}

pub(crate) const RULES: &[Rule<Case>] = &[
    ("others' uploads are aborted", |case| case.abort_others = false),
    ("a manifest is looked for", |case| case.look_for_manifest = false),
    ("the own upload is opened first", |case| case.open_first = false),
];

impl Case {
    pub(crate) fn new(writers: usize) -> Self {
        Self { writers, abort_others: true, look_for_manifest: true, open_first: true }
    }

    fn first(self) -> Writer {
        if self.open_first { Writer::Open } else { Writer::List }
    }

    fn complete(state: &mut State, own: u8) -> bool {
        let open = state.uploads.remove(&own);
        if open {
            state.manifest = Some(own);
        }
        open
    }
}

impl Model for Case {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![State { uploads: BTreeSet::new(), manifest: None, writers: vec![self.first(); self.writers] }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        for (n, writer) in state.writers.iter().enumerate() {
            match writer {
                Writer::Committed | Writer::Failed | Writer::Crashed => continue,
                Writer::Complete => actions.extend([Act::CompleteLost(n, true), Act::CompleteLost(n, false)]),
                _ => {}
            }
            actions.extend([Act::Step(n), Act::Crash(n)]);
        }
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut next = state.clone();
        let (Act::Step(n) | Act::CompleteLost(n, _) | Act::Crash(n)) = act;
        let own = u8::try_from(n).unwrap();
        let open_first = self.open_first;
        let after_aborts = || {
            if !open_first {
                Writer::Open
            } else if self.look_for_manifest {
                Writer::Look
            } else {
                Writer::Complete
            }
        };
        next.writers[n] = match (act, state.writers[n].clone()) {
            (Act::Crash(_), _) => Writer::Crashed,
            (Act::CompleteLost(_, arrived), _) => {
                if arrived {
                    Self::complete(&mut next, own);
                }
                Writer::Resolve
            }
            (_, Writer::Open) => {
                next.uploads.insert(own);
                if open_first {
                    Writer::List
                } else if self.look_for_manifest {
                    Writer::Look
                } else {
                    Writer::Complete
                }
            }
            (_, Writer::List) => {
                let others: BTreeSet<u8> = state.uploads.iter().copied().filter(|u| *u != own).collect();
                if others.is_empty() || !self.abort_others { after_aborts() } else { Writer::Abort(others) }
            }
            (_, Writer::Abort(mut others)) => {
                if let Some(other) = others.pop_first() {
                    next.uploads.remove(&other);
                }
                if others.is_empty() { after_aborts() } else { Writer::Abort(others) }
            }
            (_, Writer::Look) => {
                if state.manifest.is_none() {
                    Writer::Complete
                } else {
                    Writer::Failed
                }
            }
            (_, Writer::Complete) => {
                if Self::complete(&mut next, own) {
                    Writer::Committed
                } else {
                    Writer::Failed
                }
            }
            // The manifest names its writer.
            (_, Writer::Resolve) => {
                if state.manifest == Some(own) {
                    Writer::Committed
                } else {
                    Writer::Failed
                }
            }
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
                state
                    .writers
                    .iter()
                    .enumerate()
                    .all(|(n, writer)| *writer != Writer::Committed || state.manifest == u8::try_from(n).ok())
            }),
            Property::sometimes("one of three commits", |_, state: &State| {
                state.writers.contains(&Writer::Committed)
            }),
        ]
    }
}
