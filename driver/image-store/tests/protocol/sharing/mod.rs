//! The protocol by which images share segments: include, delete and sweep, checked exhaustively for small cases.
//!
//! Each step of a process is one request to the store, atomic and visible at once. A process may crash before any
//! step. Requests about anything but the images, the segments of one writer and the markers on these are left out.
//! `replay.rs` runs the code along this model.

mod replay;
mod steps;
mod sweep;

use std::collections::BTreeSet;

use stateright::{Model, Property};

use crate::Rule;

/// Who wrote a segment, or holds one by a marker: one number for each writer.
type Writer = u8;
/// A set of the segments of writer 0, as bits.
type Segments = u8;

const ORIGIN: usize = 0;
const SEGMENTS: u8 = 2;
const ALL: Segments = (1 << SEGMENTS) - 1;
/// Times that the model looks at a sweep beginning anew; the code has more.
const ROUNDS: u8 = 2;

/// The state object of an image. An image's writer has the image's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Image {
    Absent,
    /// Being written; what it includes is not in it yet.
    Busy,
    Created(Segments),
    Deleting(Segments),
}

impl Image {
    fn holds(self) -> Segments {
        match self {
            Image::Created(held) | Image::Deleting(held) => held,
            Image::Absent | Image::Busy => 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Process {
    Include { image: usize, source: usize, segment: u8, at: Including },
    Delete { image: usize, at: Deleting },
    Sweep { rounds: u8, at: Sweeping },
    Ended,
}

/// Letting go of the segments: takes the image's marker back, and removes them if that was the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Release {
    Unmark,
    LookForOthers,
    List,
    Free(Segments),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Including {
    /// Looks at the source, without which there is nothing to be marked.
    Look,
    Mark,
    Check,
    Commit,
    /// The image was deleted meanwhile: looks at it, twice if there is one.
    Fenced,
    FencedAgain,
    /// Not possible, or fenced: the segments are let go.
    Release {
        fenced: bool,
        at: Release,
    },
    /// Gives the image up.
    MarkDeleting,
    /// Somebody else has deleted it.
    LookAgain,
    Reload,
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Deleting {
    Load,
    Mark {
        seen: Image,
    },
    /// It has changed: looks what it is now, twice if it is another one.
    LookAgain,
    ReadOther,
    Release(Release),
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Sweeping {
    ListImages,
    /// Of those that have not changed for long.
    ReadOld,
    GroupSegments,
    GroupMarkers {
        segments: bool,
    },
    List,
    ReadMarker(Found),
    ReadImage(Found),
    ListSegments(Found),
    ListAgain(Found, Segments),
    Free(Found, Segments),
    DropStale(BTreeSet<Writer>),
    /// Ends an interrupted delete, and goes on with the groups, or looks anew.
    Finish {
        image: usize,
        at: Option<Release>,
        first: bool,
    },
}

/// What a sweep knows of the holders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Found {
    /// Markers seen.
    seen: BTreeSet<Writer>,
    /// Of these still to be looked at.
    left: BTreeSet<Writer>,
    /// Segments found in use.
    used: Segments,
    /// Markers that are of no use.
    stale: BTreeSet<Writer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    images: Vec<Image>,
    /// Segments of writer 0 that are there.
    segments: Segments,
    /// Markers: who holds segments of writer 0.
    markers: BTreeSet<Writer>,
    processes: Vec<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Step(usize),
    Crash(usize),
}

/// A small case: who does what at the same time, and by which rules.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Image that includes, source, segment.
    includes: Vec<(usize, usize, u8)>,
    deletes: Vec<usize>,
    sweeps: usize,
    /// A marker whose image is gone. Its number is below that of any image that includes.
    leftover: Option<usize>,
    /// Everything has been as it is for more than a day.
    later: bool,
    /// The source is looked at after the marker was put.
    check: bool,
    /// A deleter makes its image unfit as a source before it looks for markers of others.
    mark_first: bool,
    /// A deleter looks for other markers at all.
    look_for_others: bool,
    /// The sweep looks at the markers again after it has read the images.
    look_again: bool,
    /// The sweep leaves alone what an image that is being written may include.
    spare_busy: bool,
    /// The sweep removes markers whose image is gone.
    drop_stale: bool,
}

pub(crate) const RULES: &[Rule<Case>] = &[
    ("the source is looked at after the marker was put", |case| case.check = false),
    ("an image is unfit as a source before it is freed", |case| case.mark_first = false),
    ("a deleter looks for other holders", |case| case.look_for_others = false),
    ("the sweep looks again", |case| case.look_again = false),
    ("the sweep spares what a busy image may include", |case| case.spare_busy = false),
    ("markers that nobody needs are removed", |case| case.drop_stale = false),
];

fn marker(image: usize) -> Writer {
    u8::try_from(image).unwrap()
}

impl Store {
    /// What the images need.
    fn needed(&self) -> Segments {
        self.images
            .iter()
            .map(|image| if let Image::Created(held) = image { *held } else { 0 })
            .fold(0, |a, b| a | b)
    }

    fn has_ended(&self) -> bool {
        self.processes.iter().all(|process| *process == Process::Ended)
    }
}

impl Case {
    fn new(name: &'static str, includes: &[(usize, usize, u8)], deletes: &[usize], sweeps: usize) -> Self {
        Self {
            name,
            includes: includes.to_vec(),
            deletes: deletes.to_vec(),
            sweeps,
            leftover: None,
            later: false,
            check: true,
            mark_first: true,
            look_for_others: true,
            look_again: true,
            spare_busy: true,
            drop_stale: true,
        }
    }

    /// What is left when all processes have ended, leases have run out (unfinished images are given up, unfinished
    /// deletes are finished), and a sweep has gone over it.
    fn settled(&self, mut store: Store) -> Store {
        for image in &mut store.images {
            if matches!(image, Image::Busy | Image::Deleting(_)) {
                *image = Image::Absent;
            }
        }
        let later = Self { later: true, ..self.clone() };
        store.processes = vec![Process::Sweep { rounds: ROUNDS, at: Sweeping::List }];
        while !store.has_ended() {
            later.step(&mut store, 0);
        }
        store
    }

    fn step(&self, store: &mut Store, number: usize) {
        let next = match store.processes[number].clone() {
            Process::Include { image, source, segment, at } => {
                let at = self.include(store, (image, source, segment), at);
                at.map_or(Process::Ended, |at| Process::Include { image, source, segment, at })
            }
            Process::Delete { image, at } => {
                let at = self.delete(store, image, at);
                at.map_or(Process::Ended, |at| Process::Delete { image, at })
            }
            Process::Sweep { rounds, at } => self.sweep(store, rounds, at),
            Process::Ended => Process::Ended,
        };
        store.processes[number] = next;
    }
}

/// The cases that are checked, and the rules that they show to be needed.
pub(crate) fn cases() -> Vec<(Case, &'static [Rule<Case>])> {
    let chain = [(1, ORIGIN, 0), (2, 1, 0)];
    let fork = [(1, ORIGIN, 0), (2, ORIGIN, 1)];
    vec![
        (
            Case::new("a chain, both sources deleted, and a sweep", &chain, &[ORIGIN, 1], 1),
            RULES.split_at(5).0,
        ),
        (Case::new("two from one that is deleted, and a sweep", &fork, &[ORIGIN], 1), RULES.split_at(3).0),
        (
            Case {
                leftover: Some(1),
                ..Case::new("one, its source deleted, two sweeps", &[(2, ORIGIN, 0)], &[ORIGIN], 2)
            },
            RULES.split_at(5).1,
        ),
        (
            Case {
                leftover: Some(1),
                ..Case::new("one, deleted with its source", &[(2, ORIGIN, 0)], &[ORIGIN, 2], 1)
            },
            RULES.split_at(5).1,
        ),
    ]
}

impl Model for Case {
    type State = Store;
    type Action = Act;

    fn init_states(&self) -> Vec<Store> {
        let mut images = vec![Image::Created(ALL)];
        let mut markers = BTreeSet::from([marker(ORIGIN)]);
        for image in self.includes.iter().map(|(image, ..)| *image).chain(self.leftover) {
            images.resize(images.len().max(image + 1), Image::Absent);
        }
        let mut processes = Vec::new();
        for (image, source, segment) in self.includes.iter().copied() {
            images[image] = Image::Busy;
            processes.push(Process::Include { image, source, segment, at: Including::Look });
        }
        for image in self.deletes.iter().copied() {
            processes.push(Process::Delete { image, at: Deleting::Load });
        }
        for _ in 0..self.sweeps {
            processes.push(Process::Sweep { rounds: ROUNDS, at: Sweeping::ListImages });
        }
        markers.extend(self.leftover.map(marker));
        vec![Store { images, segments: ALL, markers, processes }]
    }

    fn actions(&self, store: &Store, actions: &mut Vec<Act>) {
        for (number, process) in store.processes.iter().enumerate() {
            if *process != Process::Ended {
                actions.push(Act::Step(number));
                actions.push(Act::Crash(number));
            }
        }
    }

    fn next_state(&self, store: &Store, act: Act) -> Option<Store> {
        let mut next = store.clone();
        match act {
            Act::Step(number) => self.step(&mut next, number),
            Act::Crash(number) => next.processes[number] = Process::Ended,
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a complete image has its segments", |_, store: &Store| {
                store.needed() & !store.segments == 0
            }),
            Property::always("a held segment has a marker", |_, store: &Store| {
                store.images.iter().enumerate().all(|(n, image)| {
                    !matches!(image, Image::Created(_)) || store.markers.contains(&marker(n))
                })
            }),
            Property::always("nothing else is left in the end", |case: &Self, store: &Store| {
                !store.has_ended() || {
                    let end = case.settled(store.clone());
                    let holders = (0..end.images.len()).filter(|n| end.images[*n].holds() != 0).map(marker);
                    end.segments == end.needed() && end.markers == holders.collect()
                }
            }),
            Property::sometimes("an image outlives its source", |_, store: &Store| {
                store.images[ORIGIN] == Image::Absent && store.needed() != 0
            }),
        ]
    }
}
