//! The protocol by which images share segments: include, delete and sweep, checked exhaustively for small cases.
//!
//! Each step of a process is one request to the store, atomic and visible at once. A process may crash before any
//! step.

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

/// The state object of an image. An image's writer has the image's number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Image {
    Absent,
    /// Being written; what it includes is not in it yet.
    Busy,
    Created(Segments),
    Deleting(Segments),
}

impl Image {
    fn holds(&self) -> Segments {
        match self {
            Image::Created(held) | Image::Deleting(held) => *held,
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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Including {
    Mark,
    Check,
    Commit,
    /// Not possible: the image is given up.
    Unmark,
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Deleting {
    Mark,
    Unmark,
    Look,
    Free(Segments),
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Sweeping {
    List,
    /// Markers seen; of these still to be looked at; segments found in use; markers found stale.
    Read {
        seen: BTreeSet<Writer>,
        left: BTreeSet<Writer>,
        used: Segments,
        stale: BTreeSet<Writer>,
    },
    ListAgain {
        seen: BTreeSet<Writer>,
        used: Segments,
        stale: BTreeSet<Writer>,
    },
    Clean {
        stale: BTreeSet<Writer>,
        free: Segments,
    },
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

/// A small case: who does what at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Image that includes, source, segment.
    includes: Vec<(usize, usize, u8)>,
    deletes: Vec<usize>,
    sweeps: u8,
    /// The source is looked at after the marker was put, not before.
    marker_first: bool,
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
    ("the marker comes before the look at the source", |case| case.marker_first = false),
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
}

impl Case {
    /// An image includes from the origin and another from that one, while both sources are deleted and a sweep runs.
    pub(crate) fn chain() -> Self {
        Self {
            includes: vec![(1, ORIGIN, 0), (2, 1, 0)],
            deletes: vec![ORIGIN, 1],
            sweeps: 1,
            marker_first: true,
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
        store.processes = vec![Process::Sweep { rounds: 1, at: Sweeping::List }];
        while store.processes[0] != Process::Ended {
            self.step(&mut store, 0);
        }
        store
    }

    fn step(&self, store: &mut Store, number: usize) {
        let next = match store.processes[number].clone() {
            Process::Include { image, source, segment, at } => {
                self.include(store, image, source, segment, at)
            }
            Process::Delete { image, at } => self.delete(store, image, at),
            Process::Sweep { rounds, at } => self.sweep(store, rounds, at),
            Process::Ended => Process::Ended,
        };
        store.processes[number] = next;
    }

    fn include(&self, store: &mut Store, image: usize, source: usize, segment: u8, at: Including) -> Process {
        let fit = matches!(store.images[source], Image::Created(held) if held & (1 << segment) != 0);
        let own = marker(image);
        let to = |at| Process::Include { image, source, segment, at };
        match at {
            Including::Mark if self.marker_first => {
                store.markers.insert(own);
                to(Including::Check)
            }
            Including::Check if self.marker_first => {
                to(if fit { Including::Commit } else { Including::Unmark })
            }
            // The wrong way round.
            Including::Mark => {
                if fit {
                    to(Including::Check)
                } else {
                    to(Including::Remove)
                }
            }
            Including::Check => {
                store.markers.insert(own);
                to(Including::Commit)
            }
            Including::Commit => {
                if store.images[image] == Image::Busy {
                    store.images[image] = Image::Created(1 << segment);
                    Process::Ended
                } else {
                    to(Including::Unmark)
                }
            }
            Including::Unmark => {
                store.markers.remove(&own);
                to(Including::Remove)
            }
            Including::Remove => {
                if store.images[image] == Image::Busy {
                    store.images[image] = Image::Absent;
                }
                Process::Ended
            }
        }
    }

    fn delete(&self, store: &mut Store, image: usize, at: Deleting) -> Process {
        let to = |at| Process::Delete { image, at };
        match at {
            Deleting::Mark => match store.images[image] {
                Image::Created(held) if self.mark_first => {
                    store.images[image] = Image::Deleting(held);
                    to(Deleting::Unmark)
                }
                Image::Created(_) | Image::Deleting(_) => to(Deleting::Unmark),
                Image::Absent | Image::Busy => Process::Ended,
            },
            Deleting::Unmark => {
                store.markers.remove(&marker(image));
                to(Deleting::Look)
            }
            Deleting::Look => {
                let free = store.markers.is_empty() || !self.look_for_others;
                to(if free { Deleting::Free(ALL) } else { Deleting::Remove })
            }
            Deleting::Free(0) => to(Deleting::Remove),
            Deleting::Free(left) => {
                let one = left & left.wrapping_neg();
                store.segments &= !one;
                to(if left == one { Deleting::Remove } else { Deleting::Free(left & !one) })
            }
            Deleting::Remove => {
                if store.images[image] != Image::Busy {
                    store.images[image] = Image::Absent;
                }
                Process::Ended
            }
        }
    }

    fn sweep(&self, store: &mut Store, rounds: u8, at: Sweeping) -> Process {
        let to = |at| Process::Sweep { rounds, at };
        let again = || {
            if rounds > 1 {
                Process::Sweep { rounds: rounds - 1, at: Sweeping::List }
            } else {
                Process::Ended
            }
        };
        match at {
            Sweeping::List => {
                let seen = store.markers.clone();
                to(Sweeping::Read { left: seen.clone(), seen, used: 0, stale: BTreeSet::new() })
            }
            Sweeping::Read { seen, mut left, mut used, mut stale } => {
                if let Some(writer) = left.pop_first() {
                    match store.images[writer as usize] {
                        Image::Absent => {
                            stale.insert(writer);
                        }
                        Image::Busy if self.spare_busy => used = ALL,
                        Image::Busy => {}
                        Image::Created(held) | Image::Deleting(held) => used |= held,
                    }
                }
                if left.is_empty() {
                    to(Sweeping::ListAgain { seen, used, stale })
                } else {
                    to(Sweeping::Read { seen, left, used, stale })
                }
            }
            Sweeping::ListAgain { seen, used, stale } => {
                if self.look_again && !store.markers.is_subset(&seen) {
                    return again();
                }
                to(Sweeping::Clean { stale, free: ALL & !used })
            }
            Sweeping::Clean { mut stale, free } => {
                if free != 0 {
                    let one = free & free.wrapping_neg();
                    store.segments &= !one;
                    return to(Sweeping::Clean { stale, free: free & !one });
                }
                if let Some(writer) = stale.pop_first() {
                    if self.drop_stale {
                        store.markers.remove(&writer);
                    }
                    return to(Sweeping::Clean { stale, free });
                }
                again()
            }
        }
    }
}

impl Model for Case {
    type State = Store;
    type Action = Act;

    fn init_states(&self) -> Vec<Store> {
        let mut images = vec![Image::Created(ALL)];
        let markers = BTreeSet::from([marker(ORIGIN)]);
        for (image, _, _) in &self.includes {
            images.resize(images.len().max(image + 1), Image::Absent);
            images[*image] = Image::Busy;
        }
        let mut processes = Vec::new();
        for (image, source, segment) in self.includes.iter().copied() {
            processes.push(Process::Include { image, source, segment, at: Including::Mark });
        }
        for image in self.deletes.iter().copied() {
            processes.push(Process::Delete { image, at: Deleting::Mark });
        }
        if self.sweeps > 0 {
            processes.push(Process::Sweep { rounds: self.sweeps, at: Sweeping::List });
        }
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
            Property::always("nothing else is left in the end", |case, store: &Store| {
                let ended = store.processes.iter().all(|process| *process == Process::Ended);
                !ended || {
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
