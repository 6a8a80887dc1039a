//! Who may change a state object where the server has no conditional writes: whoever wants to, begins a multipart upload
//! of it, ends all others, looks, and completes his own.
//!
//! Each step of a process is one request to the store, atomic and visible at once. Leases are not modelled: everybody may
//! take the image over at any time. A process may crash before any request; and a request may stay without an answer and
//! be carried out at any later time, or never. `replay.rs` runs the code along this model.

mod replay;
mod steps;

use std::collections::BTreeSet;

use stateright::{Model, Property};

use crate::Rule;

/// What a state object says, which is also its entity tag: nobody writes the same twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Object {
    writer: u8,
    says: Says,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Says {
    Pending,
    Created,
    Deleting,
}

/// An upload: whose, and its how manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Upload {
    owner: u8,
    number: u8,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Job {
    /// Has created the image, and completes it.
    Own,
    /// Creates the image, and completes it.
    Create,
    /// Takes the image over, and completes it.
    TakeOver,
    Delete,
    /// The same in a bucket that has no room for saying that it is being deleted.
    DeleteInFullBucket,
}

/// Why an upload is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Why {
    /// Somebody else has ended it.
    Ended,
    /// The object is not what was expected.
    Other,
    /// There was no answer.
    Unknown,
    NoRoom,
}

/// The next request of a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum At {
    /// Reads the object.
    Load,
    Begin,
    List,
    /// Others that it still has to end.
    Abort(Vec<Upload>),
    Look,
    Send,
    Complete,
    Withdraw(Why),
    /// Looks before it tries again.
    Wait,
    /// Reads the object to see whether it is what was to be written; after a request without an answer, what else it may be
    /// means nothing.
    Resolve {
        unknown: bool,
    },
    /// It is another one: reads it once more.
    ReadOther {
        unknown: bool,
    },
    Remove,
    /// In a full bucket: looks whether the object is unchanged, removes it, ends all uploads, looks again.
    LookUnchanged,
    RemoveUnchanged,
    ListAll,
    AbortAll(Vec<Upload>),
    LookGone,
    End(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    /// Told its caller that the image is complete.
    Committed,
    /// Told its caller that the image is deleted.
    Deleted,
    /// Told its caller that it did not succeed.
    Failed,
    Crashed,
    /// Would go on; nobody looks at that.
    Left,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    job: Job,
    at: At,
    /// Of the swap in progress.
    expected: Option<Object>,
    says: Says,
    uploads: u8,
    round: u8,
    attempt: u8,
}

/// A request without an answer that may still be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Late {
    Begin(Upload),
    Abort(Upload),
    Complete(Upload, Option<Object>, Says),
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    object: Option<Object>,
    /// In the order in which they began.
    uploads: Vec<Upload>,
    late: BTreeSet<Late>,
    processes: Vec<Process>,
    lates: u8,
    /// What was expected by the swaps that were carried out.
    replaced: Vec<Option<Object>>,
    /// One of them replaced something else.
    wrong: bool,
    /// The image was deleted.
    deleted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Step(usize),
    /// The next request gets no answer.
    Unanswered(usize),
    CarryOut(Late),
    Crash(usize),
}

/// Who does what at the same time, and by which rules.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) jobs: Vec<Job>,
    /// Most requests that stay without an answer.
    lates: u8,
    /// Others' uploads are ended.
    abort_others: bool,
    /// What ends them is answered before anything else is done.
    await_aborts: bool,
    /// The object is looked at.
    look: bool,
    /// That is after the others were listed.
    list_first: bool,
    /// The own upload begins before the others are listed.
    begin_first: bool,
    /// After a request without an answer the object is read before anything is said.
    read_back: bool,
    /// Who has removed the object in a full bucket ends all uploads.
    end_uploads: bool,
}

const RULES_OF_SWAPS: &[Rule<Case>] = &[
    ("others' uploads are ended", |case| case.abort_others = false),
    ("an abort is awaited", |case| case.await_aborts = false),
    ("the object is looked at", |case| case.look = false),
    ("the look comes after the listing", |case| case.list_first = false),
    ("the own upload begins first", |case| case.begin_first = false),
    ("lost answers are resolved", |case| case.read_back = false),
];
const RULES_OF_REMOVALS: &[Rule<Case>] =
    &[("a removal in a full bucket ends all uploads", |case| case.end_uploads = false)];

/// Rounds that the model looks at; the code has more.
const ROUNDS: u8 = 2;
/// Times that the model looks at a delete beginning anew.
const ATTEMPTS: u8 = 2;

/// The cases that are checked, and the rules that they show to be needed.
pub(crate) fn cases() -> Vec<(Case, &'static [Rule<Case>])> {
    use Job::{Create, Delete, DeleteInFullBucket, Own, TakeOver};
    vec![
        (Case::new(&[Own, TakeOver], 2), RULES_OF_SWAPS),
        (Case::new(&[Own, TakeOver, TakeOver], 0), RULES_OF_SWAPS.split_at(5).0),
        (Case::new(&[Create, Create], 2), RULES_OF_SWAPS),
        (Case::new(&[Create, TakeOver, Delete], 0), &[]),
        (Case::new(&[Own, TakeOver, Delete], 0), &[]),
        (Case::new(&[Own, Delete], 2), &[]),
        (Case::new(&[Own, DeleteInFullBucket], 2), RULES_OF_REMOVALS),
        (Case::new(&[Own, TakeOver, DeleteInFullBucket], 0), RULES_OF_REMOVALS),
    ]
}

impl Case {
    fn new(jobs: &[Job], lates: u8) -> Self {
        Self {
            jobs: jobs.to_vec(),
            lates,
            abort_others: true,
            await_aborts: true,
            look: true,
            list_first: true,
            begin_first: true,
            read_back: true,
            end_uploads: true,
        }
    }
}

impl Model for Case {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let processes: Vec<_> = (0..).zip(&self.jobs).map(|(n, job)| Process::new(n, *job)).collect();
        let owner = self.jobs.iter().position(|job| *job == Job::Own);
        let object = owner.map(|owner| Object { writer: u8::try_from(owner).unwrap(), says: Says::Pending });
        let mut state = State {
            object,
            uploads: Vec::new(),
            late: BTreeSet::new(),
            processes,
            lates: 0,
            replaced: Vec::new(),
            wrong: false,
            deleted: false,
        };
        for process in &mut state.processes {
            if process.at == At::Begin {
                process.at = self.start();
                process.uploads = 1;
            }
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Act>) {
        for n in (0..state.processes.len()).filter(|n| !state.processes[*n].has_ended()) {
            actions.extend([Act::Step(n), Act::Crash(n)]);
            if state.lates < self.lates {
                actions.push(Act::Unanswered(n));
            }
        }
        actions.extend(state.late.iter().copied().map(Act::CarryOut));
    }

    fn next_state(&self, state: &State, act: Act) -> Option<State> {
        let mut next = state.clone();
        match act {
            Act::Step(n) => self.step(&mut next, n),
            Act::Unanswered(n) => Self::unanswered(&mut next, n),
            Act::Crash(n) => next.processes[n].at = At::End(End::Crashed),
            Act::CarryOut(late) => {
                next.late.remove(&late);
                match late {
                    Late::Begin(upload) => next.uploads.push(upload),
                    Late::Abort(upload) => next.abort(upload),
                    Late::Complete(upload, expected, says) => drop(next.complete(upload, expected, says)),
                    Late::Remove => next.remove(),
                }
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let full = |case: &Case| case.jobs.contains(&Job::DeleteInFullBucket);
        let mut properties = vec![
            Property::always("at most one commits", |_, state: &State| state.committed().count() <= 1),
            Property::always("a commit that was told stays until it is deleted", |_, state: &State| {
                state.committed().all(|committed| state.object == Some(committed) || state.deleted)
            }),
            Property::sometimes("somebody commits", |_, state: &State| state.committed().count() > 0),
            Property::sometimes("nobody commits", |_, state: &State| {
                state.processes.iter().all(Process::has_ended) && state.committed().count() == 0
            }),
        ];
        if full(self) {
            properties.push(Property::always("what was removed is not brought back", |_, state: &State| {
                !state.processes.iter().any(|process| process.at == At::End(End::Deleted))
                    || state.object.is_none()
            }));
        } else {
            // Nothing but a delete of what is being deleted removes anything.
            properties
                .push(Property::always("a swap replaces what it expected", |_, state: &State| !state.wrong));
            properties.push(Property::always(
                "of two swaps with the same expectation at most one succeeds",
                |_, state: &State| {
                    let expected = |at: usize| &state.replaced[at + 1..];
                    state.deleted
                        || (0..state.replaced.len()).all(|at| !expected(at).contains(&state.replaced[at]))
                },
            ));
        }
        properties
    }
}
