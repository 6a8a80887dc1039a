//! The steps of a sequence of calls, and the failures that are thrown in.

use image_store::Exclusivity;
use image_store::memory::{Effect, Operation};
use image_store::object_store::StoreError;
use proptest::prelude::*;

use super::{IMAGES, WRITERS_MAX};
use crate::support::Has;

/// One step. Numbers select among what is there, modulo its count, so that any sequence is legal.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Create(usize),
    OpenWrite(usize),
    Append(usize, usize),
    Flush(usize),
    Close(usize, bool),
    Abort(usize),
    /// The process dies: the writer is dropped.
    Vanish(usize),
    Delete(usize),
    Read(usize, Vec<(u64, usize)>),
    Properties(usize),
    List,
    /// A later request goes wrong.
    Fail(Operation, &'static str, u64, Failure),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Failure {
    Timeout,
    NoSpace,
    AnswerLost,
    /// A retry inside the store met its own success.
    RetryRefused,
    /// The same of a completion, or somebody else has ended the upload.
    UploadGone,
    WrongByte(u64),
}

impl Failure {
    pub(super) fn effect(self) -> Effect {
        let timeout = StoreError::Timeout("scripted".to_owned());
        match self {
            Self::Timeout => Effect::Refuse(timeout),
            Self::NoSpace => Effect::Refuse(StoreError::NoSpace("scripted".to_owned())),
            Self::AnswerLost => Effect::LoseAnswer(timeout),
            Self::RetryRefused => Effect::LoseAnswer(StoreError::Precondition("scripted".to_owned())),
            Self::UploadGone => Effect::LoseAnswer(StoreError::NoUpload("scripted".to_owned())),
            Self::WrongByte(at) => Effect::FlipByte(at),
        }
    }
}

pub(super) fn steps(has: Has) -> impl Strategy<Value = Vec<Step>> {
    let ranges = prop::collection::vec((0u64..1500, 0usize..400), 1..6);
    let put = (
        prop_oneof![Just("image/"), Just("segment/")],
        0u64..6,
        prop_oneof![
            Just(Failure::Timeout),
            Just(Failure::NoSpace),
            Just(Failure::AnswerLost),
            Just(Failure::RetryRefused)
        ],
    )
        .prop_map(|(prefix, skip, failure)| Step::Fail(Operation::Put, prefix, skip, failure));
    let other = (
        prop_oneof![
            Just((Operation::Get, "")),
            Just((Operation::Delete, "")),
            Just((Operation::DeleteMany, "")),
            Just((Operation::List, ""))
        ],
        0u64..3,
        prop_oneof![
            Just(Failure::Timeout),
            Just(Failure::AnswerLost),
            (0u64..500).prop_map(Failure::WrongByte)
        ],
    )
        .prop_map(|((operation, prefix), skip, failure)| Step::Fail(operation, prefix, skip, failure));
    let upload = (
        prop_oneof![
            Just(Operation::BeginUpload),
            Just(Operation::ListUploads),
            Just(Operation::AbortUpload),
            Just(Operation::Head),
            Just(Operation::UploadPart),
            Just(Operation::CompleteUpload)
        ],
        0u64..4,
        prop_oneof![
            Just(Failure::Timeout),
            Just(Failure::NoSpace),
            Just(Failure::AnswerLost),
            Just(Failure::UploadGone)
        ],
    )
        .prop_map(|(operation, skip, failure)| Step::Fail(operation, "image/", skip, failure));
    let uploads = if has.found() == Exclusivity::Uploads { 3 } else { 1 };
    let step = prop_oneof![
        4 => (0..IMAGES).prop_map(Step::Create),
        4 => (0..IMAGES).prop_map(Step::OpenWrite),
        12 => (0..WRITERS_MAX, prop_oneof![0usize..50, 0usize..600]).prop_map(|(w, len)| Step::Append(w, len)),
        3 => (0..WRITERS_MAX).prop_map(Step::Flush),
        6 => (0..WRITERS_MAX, any::<bool>()).prop_map(|(writer, complete)| Step::Close(writer, complete)),
        1 => (0..WRITERS_MAX).prop_map(Step::Abort),
        1 => (0..WRITERS_MAX).prop_map(Step::Vanish),
        2 => (0..IMAGES).prop_map(Step::Delete),
        4 => (0..IMAGES, ranges).prop_map(|(image, ranges)| Step::Read(image, ranges)),
        1 => (0..IMAGES).prop_map(Step::Properties),
        1 => Just(Step::List),
        2 => put,
        uploads => upload,
        1 => other,
    ];
    prop::collection::vec(step, 1..60)
}
