//! What an event of a replication says: the image whose arrival it was, and, in its payload, the images that came.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Origin;
use super::record::{ImageLine, OriginLine};
use crate::identity::ImageIdentity;

/// An event: images of one set have been replicated to this bucket. It is the data of an [`crate::Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationEvent {
    /// The image whose arrival it was.
    pub image: ImageIdentity,
    /// When all of them were there, in seconds since the epoch by the target's clock.
    pub time: u64,
    /// How many images the payload has; at least one.
    pub images: u32,
}

/// An image in the payload of a [`ReplicationEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicatedImage {
    /// Who it is.
    pub identity: ImageIdentity,
    /// Bytes.
    pub size: u64,
    /// When it was created, seconds since the epoch by the media server's clock.
    pub created: u64,
    /// Bytes that the host keeps beside it.
    pub metadata_length: u64,
    /// The backup that it belongs to.
    pub origin: Origin,
}

#[derive(Serialize, Deserialize)]
struct EventLine {
    image: ImageLine,
    time: u64,
    images: u32,
}

#[derive(Serialize, Deserialize)]
struct Member {
    image: ImageLine,
    size: u64,
    created: u64,
    metadata_length: u64,
    origin: OriginLine,
}

impl ReplicationEvent {
    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        let line = EventLine { image: ImageLine::of(&self.image), time: self.time, images: self.images };
        serde_json::to_vec(&line).map_err(|error| error.to_string())
    }

    /// Reads the data of an event; the error says what is wrong with it.
    pub fn decode(data: &[u8]) -> Result<Self, String> {
        let line: EventLine = serde_json::from_slice(data).map_err(|error| error.to_string())?;
        let image = line.image.read().ok_or("the name of the image is malformed")?;
        Ok(Self { image, time: line.time, images: line.images })
    }
}

impl ReplicatedImage {
    pub(super) fn encode(images: &[Self]) -> Result<Bytes, String> {
        let members = images.iter().map(|image| Member {
            image: ImageLine::of(&image.identity),
            size: image.size,
            created: image.created,
            metadata_length: image.metadata_length,
            origin: OriginLine::of(&image.origin),
        });
        let members: Vec<_> = members.collect();
        serde_json::to_vec(&members).map(Bytes::from).map_err(|error| error.to_string())
    }

    /// Reads the payload of an event; the error says what is wrong with it.
    pub fn decode(payload: &[u8]) -> Result<Vec<Self>, String> {
        let members: Vec<Member> = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
        let images = members.iter().map(|member| {
            Some(Self {
                identity: member.image.read()?,
                size: member.size,
                created: member.created,
                metadata_length: member.metadata_length,
                origin: member.origin.read()?,
            })
        });
        images.collect::<Option<_>>().ok_or_else(|| "a name is malformed".to_owned())
    }
}
