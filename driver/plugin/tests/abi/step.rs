//! One call of a random sequence, before it is known what it meets.

use proptest::prelude::*;

/// Where an access goes, relative to what is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// At the end.
    End,
    /// At a part of it, in 1/65536.
    Part(u16),
    /// So many bytes behind the end.
    Behind(u64),
}

impl Place {
    pub(super) fn of(self, size: u64) -> u64 {
        match self {
            Self::End => size,
            Self::Part(part) => (size * u64::from(part)) >> 16,
            Self::Behind(by) => size.saturating_add(by),
        }
    }
}

/// A handle that is none of those open.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wrong {
    Null,
    Closed,
    Forged(u8),
    Server,
    OtherThread,
}

/// Which of the handles or images that fit: mostly one with which the call can succeed, sometimes any.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pick(pub(super) u8);

impl Pick {
    /// One of `fitting`, or of all of them.
    pub(super) fn of(self, fitting: &[usize], all: &[usize]) -> Option<usize> {
        let from = if fitting.is_empty() || self.0 >= 224 { all } else { fitting };
        from.get(usize::from(self.0) % from.len().max(1)).copied()
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Create(Pick),
    OpenRead(Pick),
    OpenWrite(Pick),
    Write(Pick, u64, Place),
    Include(Pick, Pick, Place, Place, Place),
    Copy(Pick, Pick),
    CopyExtent(Pick, Pick, Place, Place, Place),
    Read(Pick, Place, usize),
    Flush(Pick),
    Close(Pick, bool),
    WriteMeta(Pick, Place, usize),
    ReadMeta(Pick, Place, usize),
    Properties(Pick),
    PropertiesByName(Pick),
    Delete(Pick),
    List,
    Misuse(Pick, Wrong, u8),
    CloseServer,
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        2 => Just(Place::End),
        3 => any::<u16>().prop_map(Place::Part),
        1 => prop_oneof![Just(1), Just(512), Just(u64::MAX)].prop_map(Place::Behind),
    ]
}

/// Mostly the only right one for a write.
fn next() -> impl Strategy<Value = Place> {
    prop_oneof![15 => Just(Place::End), 1 => place()]
}

fn pick() -> impl Strategy<Value = Pick> {
    any::<u8>().prop_map(Pick)
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let blocks = prop_oneof![4 => 1..64_u64, 2 => 100..400_u64, 1 => 9000..9100_u64];
    let wrong = prop_oneof![
        Just(Wrong::Null),
        Just(Wrong::Closed),
        (0..64_u8).prop_map(Wrong::Forged),
        Just(Wrong::Server),
        Just(Wrong::OtherThread),
    ];
    let meta = prop_oneof![1..200_usize, Just(65_536)];
    let reads = prop_oneof![0..3000_usize, Just(300_000)];
    prop_oneof![
        5 => pick().prop_map(Step::Create),
        4 => pick().prop_map(Step::OpenRead),
        4 => pick().prop_map(Step::OpenWrite),
        8 => (pick(), blocks, next()).prop_map(|(p, blocks, at)| Step::Write(p, blocks, at)),
        10 => (pick(), pick(), place(), place(), next())
            .prop_map(|(p, source, from, to, at)| Step::Include(p, source, from, to, at)),
        3 => (pick(), pick()).prop_map(|(source, target)| Step::Copy(source, target)),
        12 => (pick(), pick(), place(), place(), next())
            .prop_map(|(p, source, from, to, at)| Step::CopyExtent(p, source, from, to, at)),
        8 => (pick(), place(), reads).prop_map(|(p, at, length)| Step::Read(p, at, length)),
        3 => pick().prop_map(Step::Flush),
        8 => (pick(), prop::bool::weighted(0.6)).prop_map(|(p, complete)| Step::Close(p, complete)),
        3 => (pick(), place(), meta).prop_map(|(p, at, length)| Step::WriteMeta(p, at, length)),
        3 => (pick(), place(), 0..300_usize).prop_map(|(p, at, length)| Step::ReadMeta(p, at, length)),
        2 => pick().prop_map(Step::Properties),
        3 => pick().prop_map(Step::PropertiesByName),
        4 => pick().prop_map(Step::Delete),
        1 => Just(Step::List),
        2 => (pick(), wrong, 0..8_u8).prop_map(|(p, wrong, call)| Step::Misuse(p, wrong, call)),
        1 => Just(Step::CloseServer),
    ]
}
