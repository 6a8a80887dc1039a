//! Beginning an operation, and what is known of one: facts are written and looked up here and nowhere else.

use std::collections::BTreeSet;

use super::record::{
    Fact, fact_key, member_key, operation_prefix, parse_fact_key, parse_member_key, request_key, set_prefix,
};
use super::{OPERATION_NAME_BYTES_MAX, Operations, Origin, Outcome, Request};
use crate::checksum::crc32c;
use crate::environment::Notice;
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::layout::WriterId;
use crate::manifest::Stored;
use crate::object_store::{ObjectStore, Payload, Precondition, StoreError};

/// Bits of a number that come from the bucket's name: who has only the number looks into few buckets.
const TAG_BITS: u32 = 16;
/// Numbers tried for a name before giving up.
const ATTEMPTS: u64 = 16;

/// An operation as it is in the bucket.
pub(super) struct Known {
    pub(super) number: u64,
    /// Of the request: facts are its own.
    id: WriterId,
    pub(super) request: Request,
    pub(super) facts: BTreeSet<Fact>,
}

impl Known {
    pub(super) fn has(&self, fact: Fact) -> bool {
        self.facts.contains(&fact)
    }

    /// Every target has the image.
    pub(super) fn is_copied(&self) -> bool {
        (0..self.request.places.len()).all(|place| self.has(Fact::Copied(place)))
    }

    fn is_told(&self) -> bool {
        (0..self.request.places.len()).all(|place| self.has(Fact::Told(place)))
    }

    /// How it ended; `None` while it has not.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        if self.is_copied() && (!self.request.triggers || self.is_told()) {
            Some(Outcome::Done)
        } else {
            self.has(Fact::Cancelled).then_some(Outcome::Cancelled)
        }
    }
}

pub(super) fn failed(during: &str) -> impl Fn(StoreError) -> ImageError {
    move |source| ImageError::Store { during: during.to_owned(), source }
}

impl<S: ObjectStore> Operations<S> {
    /// Begins an operation and gives its number, which is never 0; [`Self::run`] goes on with it.
    ///
    /// Four requests. When it fails, the operation may be there, and nobody knows of it.
    ///
    /// [`ImageError::NotFound`] and [`ImageError::NotComplete`] of the source; [`ImageError::Config`] for a request that
    /// makes no sense.
    pub async fn begin(&self, request: &Request) -> Result<u64, ImageError> {
        check(request)?;
        let source = self.shared().load(&request.source).await?;
        if source.manifest.state != Stored::Created {
            return Err(ImageError::NotComplete { image: request.source.clone() });
        }
        let id = WriterId::fresh(&*self.shared().environment.entropy);
        let object = request.encode(id).map_err(|problem| ImageError::Config { problem })?;
        let (number, known) = self.number(request.name.as_deref()).await?;
        if known {
            return Ok(number);
        }
        // Whoever looks for the members of the set passes over one whose request is not there yet.
        if let Some(origin) = request.origin.as_ref().filter(|_| request.in_event) {
            self.put(&member_key(origin, number), Payload::default()).await?;
        }
        let crc32c = crc32c(&object);
        self.put(&request_key(number), Payload { parts: vec![object], crc32c }).await?;
        Ok(number)
    }

    /// False if no operation of that number can be in this bucket. Sends no request.
    pub fn may_have(&self, number: u64) -> bool {
        number >> (u64::BITS - TAG_BITS) == self.tag()
    }

    fn tag(&self) -> u64 {
        let hash = blake3::hash(self.shared().store.bucket().as_bytes());
        u64::from(u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]))
    }

    /// A number that nothing has, or that of the operation of this name, with true.
    async fn number(&self, name: Option<&[u8]>) -> Result<(u64, bool), ImageError> {
        let numbered = |low: [u8; 8]| u64::from_be_bytes(low) >> TAG_BITS;
        let first = match name {
            None => {
                let mut low = [0; 8];
                self.shared().environment.entropy.fill(&mut low);
                numbered(low)
            }
            Some(name) => {
                let hash = blake3::hash(name);
                numbered(std::array::from_fn(|at| hash.as_bytes()[at]))
            }
        };
        let high = self.tag() << (u64::BITS - TAG_BITS);
        for next in 0..ATTEMPTS {
            let low = (first + next) & (u64::MAX >> TAG_BITS);
            let number = high | low;
            // 0 is no number of an operation.
            if number == 0 {
                continue;
            }
            match self.read(number).await? {
                None => return Ok((number, false)),
                Some((there, _)) if name.is_some() && there.name.as_deref() == name => {
                    return Ok((number, true));
                }
                Some(_) => {}
            }
        }
        Err(ImageError::Config { problem: "no number is left for an operation of this name".to_owned() })
    }

    async fn put(&self, key: &str, payload: Payload) -> Result<(), ImageError> {
        let put = self.shared().store.put(key, payload, Precondition::None, None).await;
        put.map(drop).map_err(failed("writing what is known of an operation"))
    }

    /// Writes a fact down. Doing it twice is the same as once.
    pub(super) async fn record(&self, operation: &mut Known, fact: Fact) -> Result<(), ImageError> {
        self.put(&fact_key(operation.number, operation.id, fact), Payload::default()).await?;
        operation.facts.insert(fact);
        Ok(())
    }

    pub(super) async fn load(&self, number: u64) -> Result<Known, ImageError> {
        let (request, id) = self.read(number).await?.ok_or(ImageError::NoOperation { number })?;
        let mut facts = BTreeSet::new();
        let mut next = None;
        loop {
            let page = self.shared().store.list(&operation_prefix(number), next.as_deref()).await;
            let page = page.map_err(failed("looking what is known of an operation"))?;
            let there = page.objects.iter().filter_map(|object| parse_fact_key(number, &object.key));
            facts.extend(there.filter(|(of, _)| *of == id).map(|(_, fact)| fact));
            next = page.next;
            if next.is_none() {
                return Ok(Known { number, id, request, facts });
            }
        }
    }

    /// What was asked for, with its id.
    pub(super) async fn read(&self, number: u64) -> Result<Option<(Request, WriterId)>, ImageError> {
        let shared = self.shared();
        let key = request_key(number);
        let mut again = 0;
        loop {
            let got = match shared.store.get(&key, None).await {
                Ok(got) => got,
                Err(StoreError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(failed("reading an operation")(error)),
            };
            match Request::decode(&got.data) {
                Ok(request) => return Ok(Some(request)),
                Err(problem) if again >= shared.config.reads_again => {
                    return Err(ImageError::Corrupt { image: ImageIdentity::unknown(&key), key, problem });
                }
                Err(what) => {
                    again += 1;
                    shared.environment.notices.notice(Notice::ReadAgain { key: key.clone(), what });
                }
            }
        }
    }

    /// Whether it was cancelled. One request.
    pub(super) async fn is_cancelled(&self, operation: &Known) -> Result<bool, ImageError> {
        let key = fact_key(operation.number, operation.id, Fact::Cancelled);
        match self.shared().store.head(&key).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(failed("looking whether an operation was cancelled")(error)),
        }
    }

    /// The operations of an image set that are in this bucket and in its event.
    pub(super) async fn members(&self, origin: &Origin) -> Result<Vec<u64>, ImageError> {
        let mut members = Vec::new();
        let mut next = None;
        loop {
            let page = self.shared().store.list(&set_prefix(origin), next.as_deref()).await;
            let page = page.map_err(failed("looking for the images of a set"))?;
            members.extend(page.objects.iter().filter_map(|object| parse_member_key(&object.key)));
            next = page.next;
            if next.is_none() {
                return Ok(members);
            }
        }
    }
}

fn check(request: &Request) -> Result<(), ImageError> {
    request.source.check()?;
    request.target.check()?;
    let mut places: Vec<_> = request.places.iter().collect();
    places.sort_unstable();
    places.dedup();
    let problem = if places.is_empty() {
        "an operation needs a target"
    } else if places.len() < request.places.len() {
        "a target is named twice"
    } else if request.origin.is_none() && (request.in_event || request.triggers) {
        "an event needs to know which backup its images belong to"
    } else if request.name.as_ref().is_some_and(|name| name.len() > OPERATION_NAME_BYTES_MAX) {
        "the name of the operation is too long"
    } else {
        return Ok(());
    };
    Err(ImageError::Config { problem: problem.to_owned() })
}
