//! How fast one writer takes bytes, against the same bytes copied and summed in the same run.
//!
//! `cargo run --release -p image-store --example append_rate -- [GIB]`

#![allow(clippy::cast_precision_loss, reason = "figures are printed with two digits")]

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use image_store::object_store::{
    BucketKind, Got, GroupPage, Head, ObjectStore, Page, Payload, Precondition, Put, Retention, StoreError,
    UploadPage, UploadsNext, VersionPage, VersionsNext,
};
use image_store::{
    AppendOutcome, Clock, Close, Entropy, Environment, ImageIdentity, ImageStore, Silent, StoreConfig,
};

/// Accepts everything and keeps nothing.
struct Discard;

impl ObjectStore for Discard {
    fn bucket(&self) -> &'static str {
        "discard"
    }

    async fn put(
        &self,
        _key: &str,
        _body: Payload,
        _condition: Precondition,
        _retention: Option<Retention>,
    ) -> Result<Put, StoreError> {
        Ok(Put { etag: String::new(), version: None })
    }

    async fn get(&self, key: &str, _range: Option<Range<u64>>) -> Result<Got, StoreError> {
        Err(StoreError::NotFound(key.to_owned()))
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        Err(StoreError::NotFound(key.to_owned()))
    }

    async fn delete(&self, _key: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn delete_many(&self, _keys: &[String]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list(&self, _prefix: &str, _next: Option<&str>) -> Result<Page, StoreError> {
        Ok(Page::default())
    }

    async fn list_groups(&self, _prefix: &str, _next: Option<&str>) -> Result<GroupPage, StoreError> {
        Err(unused())
    }

    async fn copy_from(
        &self,
        _source_bucket: &str,
        _source_key: &str,
        _key: &str,
    ) -> Result<Put, StoreError> {
        Err(unused())
    }

    async fn kind(&self) -> Result<BucketKind, StoreError> {
        Ok(BucketKind::default())
    }

    async fn list_versions(
        &self,
        _prefix: &str,
        _next: Option<VersionsNext>,
    ) -> Result<VersionPage, StoreError> {
        Err(unused())
    }

    async fn delete_versions(&self, _versions: &[(String, String)]) -> Result<(), StoreError> {
        Err(unused())
    }

    async fn retain(
        &self,
        _key: &str,
        _version: Option<&str>,
        _retention: Retention,
    ) -> Result<(), StoreError> {
        Err(unused())
    }

    async fn begin_upload(&self, _key: &str, _retention: Option<Retention>) -> Result<String, StoreError> {
        Err(unused())
    }

    async fn list_uploads(
        &self,
        _prefix: &str,
        _next: Option<UploadsNext>,
    ) -> Result<UploadPage, StoreError> {
        Err(unused())
    }

    async fn abort_upload(&self, _key: &str, _upload: &str) -> Result<(), StoreError> {
        Err(unused())
    }

    async fn upload_part(
        &self,
        _key: &str,
        _upload: &str,
        _number: u32,
        _body: Payload,
    ) -> Result<String, StoreError> {
        Err(unused())
    }

    async fn complete_upload(&self, _key: &str, _upload: &str, _parts: &[String]) -> Result<Put, StoreError> {
        Err(unused())
    }
}

fn unused() -> StoreError {
    StoreError::Unsupported("nothing is kept".to_owned())
}

struct Zero;

impl Clock for Zero {
    fn now(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH
    }
}

impl Entropy for Zero {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

const BUFFER: usize = 256 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let gib: u64 = std::env::args().nth(1).map_or(Ok(8), |text| text.parse())?;
    let total = gib << 30;
    // NetBackup's ring of shared-memory buffers: 30 of 256 KiB.
    let ring: Vec<Vec<u8>> = (0..30u8).map(|number| vec![number; BUFFER]).collect();
    for round in 1..=3 {
        let floor = floor(&ring, total);
        let (written, crossings) = append(&ring, total)?;
        println!(
            "round {round}: copy and CRC alone {floor:.2} GB/s, writer {written:.2} GB/s, ratio {:.2}, {:.1} runtime \
             crossings per GiB",
            written / floor,
            crossings as f64 / gib as f64,
        );
    }
    Ok(())
}

/// Copies into segment-sized buffers in turn and sums each buffer, the least any writer has to do.
fn floor(ring: &[Vec<u8>], total: u64) -> f64 {
    let mut segments = vec![vec![0u8; 16 << 20]; 4];
    let (mut done, mut crc) = (0u64, 0);
    let start = Instant::now();
    for (number, buffer) in ring.iter().cycle().enumerate() {
        if done >= total {
            break;
        }
        let segment = number / 64 % segments.len();
        let at = number % 64 * BUFFER;
        segments[segment][at..at + BUFFER].copy_from_slice(buffer);
        crc ^= crc_fast::crc32_iscsi(&segments[segment][at..at + BUFFER]);
        done += BUFFER as u64;
    }
    std::hint::black_box((crc, &segments));
    done as f64 / 1e9 / start.elapsed().as_secs_f64()
}

fn append(ring: &[Vec<u8>], total: u64) -> Result<(f64, u64), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let environment =
        Environment { clock: Arc::new(Zero), entropy: Arc::new(Zero), notices: Arc::new(Silent) };
    let images = ImageStore::new(Arc::new(Discard), StoreConfig::default(), environment)?;
    let image = ImageIdentity::new("rate", 0, "")?;
    let start = Instant::now();
    let mut writer = runtime.block_on(images.create(&image))?;
    let mut crossings = 0;
    for buffer in ring.iter().cycle() {
        if writer.size() >= total {
            break;
        }
        let mut rest = &buffer[..];
        while let AppendOutcome::NeedsIo { consumed } = writer.try_append(writer.size(), rest)? {
            rest = &rest[consumed..];
            crossings += 1;
            runtime.block_on(writer.make_room())?;
        }
    }
    let size = writer.size();
    runtime.block_on(writer.close(Close::Complete))?;
    Ok((size as f64 / 1e9 / start.elapsed().as_secs_f64(), crossings))
}
