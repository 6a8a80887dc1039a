//! Running an operation: the copies one after another, then, for the one that triggers it, the event.

use std::collections::BTreeMap;

use super::event::{ReplicatedImage, ReplicationEvent};
use super::facts::Known;
use super::record::Fact;
use super::{Operations, Origin, Outcome, Place, Surroundings};
use crate::copy::{CopyOptions, CopyStatus, Route};
use crate::error::ImageError;
use crate::identity::ImageIdentity;
use crate::object_store::ObjectStore;
use crate::store::{ImageStore, info};

/// An image of a set at a target, before it is asked about.
struct Member {
    place: Place,
    image: ImageIdentity,
    origin: Origin,
}

impl<S: ObjectStore> Operations<S> {
    /// Goes on with an operation until it has ended or is to stop. Any number of processes may do so at once.
    ///
    /// An error ends this run and not the operation: run again, it goes on where it was. [`ImageError::Busy`] says that
    /// somebody else is copying, or was until a lease ago. [`ImageError::NoOperation`] if there is none of that number.
    pub async fn run(&self, number: u64, around: &impl Surroundings<S>) -> Result<Outcome, ImageError> {
        let mut operation = self.load(number).await?;
        if let Some(outcome) = operation.outcome() {
            return Ok(outcome);
        }
        match self.copy(&mut operation, around).await? {
            Outcome::Done if operation.request.triggers => self.tell(operation, around).await,
            outcome => Ok(outcome),
        }
    }

    /// Copies the image to every target that has not got it.
    async fn copy(
        &self,
        operation: &mut Known,
        around: &impl Surroundings<S>,
    ) -> Result<Outcome, ImageError> {
        for (at, place) in operation.request.places.clone().iter().enumerate() {
            if operation.has(Fact::Copied(at)) {
                continue;
            }
            match self.copy_to(operation, around.open(place)?, around).await? {
                Outcome::Done => self.record(operation, Fact::Copied(at)).await?,
                outcome => return Ok(outcome),
            }
        }
        Ok(Outcome::Done)
    }

    async fn copy_to(
        &self,
        operation: &Known,
        (target, route): (ImageStore<S>, Route),
        around: &impl Surroundings<S>,
    ) -> Result<Outcome, ImageError> {
        let (source, name) = (&operation.request.source, &operation.request.target);
        if self.is_cancelled(operation).await? {
            return Ok(Outcome::Cancelled);
        }
        let options = CopyOptions { route, copier: None };
        let mut copy = match self.images.begin_copy(source, &target, name, options).await {
            Ok(copy) => copy,
            // Deleted since it was copied, and before that was written down.
            Err(ImageError::NotFound { .. }) if target.is_copy_of(name, source).await? => {
                return Ok(Outcome::Done);
            }
            Err(error) => return Err(error),
        };
        // Only now would whoever cancels it find the target.
        if !copy.is_done() && self.is_cancelled(operation).await? {
            copy.abort().await?;
            return Ok(Outcome::Cancelled);
        }
        loop {
            let stops = !around.goes_on() && !copy.is_done();
            let step = if stops { copy.suspend().await.map(|()| None) } else { copy.step().await.map(Some) };
            match step {
                Ok(Some(CopyStatus::More)) => {}
                Ok(Some(CopyStatus::Done)) => return Ok(Outcome::Done),
                Ok(None) => return Ok(Outcome::Stopped),
                Err(ImageError::Fenced { .. }) if self.is_cancelled(operation).await? => {
                    return Ok(Outcome::Cancelled);
                }
                // Who took it over goes on with it.
                Err(ImageError::Fenced { image }) => {
                    return Err(ImageError::Busy { image, writer: "another copier".to_owned() });
                }
                Err(error) => {
                    // If this fails too, the lease will run out.
                    let _ = copy.suspend().await;
                    return Err(error);
                }
            }
        }
    }

    /// Tells every target, once all images of the set that are in the event are there.
    async fn tell(&self, mut operation: Known, around: &impl Surroundings<S>) -> Result<Outcome, ImageError> {
        let Some(origin) = operation.request.origin.clone() else { return Ok(Outcome::Done) };
        let mut members = Vec::new();
        for store in around.sources().await? {
            let operations = store.operations();
            for number in operations.members(&origin).await? {
                let mut member = match operations.load(number).await {
                    Ok(member) => member,
                    // It was begun by somebody who died over it, or ended long ago.
                    Err(ImageError::NoOperation { .. }) => continue,
                    Err(error) => return Err(error),
                };
                if member.outcome() == Some(Outcome::Cancelled) {
                    continue;
                }
                // Nobody else may be waiting for it.
                match operations.copy(&mut member, around).await? {
                    Outcome::Done => members.extend(at_targets(&member)),
                    Outcome::Cancelled => {}
                    Outcome::Stopped => return Ok(Outcome::Stopped),
                }
            }
        }
        if members.is_empty() {
            members.extend(at_targets(&operation));
        }
        for (at, place) in operation.request.places.clone().iter().enumerate() {
            if operation.has(Fact::Told(at)) {
                continue;
            }
            if self.is_cancelled(&operation).await? {
                return Ok(Outcome::Cancelled);
            }
            let came = members.iter().filter(|member| member.place.server == place.server);
            self.append(&operation.request.target, place, came, around).await?;
            self.record(&mut operation, Fact::Told(at)).await?;
        }
        Ok(Outcome::Done)
    }

    /// Appends the event of one target.
    async fn append(
        &self,
        trigger: &ImageIdentity,
        place: &Place,
        members: impl Iterator<Item = &Member>,
        around: &impl Surroundings<S>,
    ) -> Result<(), ImageError> {
        let mut images = BTreeMap::new();
        let mut time = 0;
        for member in members {
            let (store, _) = around.open(&member.place)?;
            let there = match store.shared().load(&member.image).await {
                Ok(there) => there,
                // Whoever deleted it there need not be told that it came.
                Err(ImageError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            time = time.max(there.answered);
            let found = info(&there);
            let image = ReplicatedImage {
                identity: found.identity,
                size: found.size,
                created: found.created,
                metadata_length: found.metadata_length,
                origin: member.origin.clone(),
            };
            images.insert(member.image.clone(), image);
        }
        if images.is_empty() {
            return Ok(());
        }
        let images: Vec<_> = images.into_values().collect();
        let count = u32::try_from(images.len()).unwrap_or(u32::MAX);
        let event = ReplicationEvent { image: trigger.clone(), time, images: count };
        let encoded = event.encode().and_then(|data| Ok((data, ReplicatedImage::encode(&images)?)));
        let (data, payload) = encoded.map_err(|problem| ImageError::Config { problem })?;
        let (target, _) = around.open(place)?;
        target.events().append(&data, &payload).await?;
        Ok(())
    }
}

/// Where the image of an operation is when it is done.
fn at_targets(operation: &Known) -> impl Iterator<Item = Member> {
    let request = &operation.request;
    request.places.iter().map(|place| Member {
        place: place.clone(),
        image: request.target.clone(),
        origin: request.origin.clone().unwrap_or_default(),
    })
}
