//! bpdm in phase 1 of an import: lists the images of the LSU and reads the header of every backup there.

use std::collections::BTreeMap;

use crate::nbu::bptm::header::{BackupHeader, HEADER_SIZE};
use crate::nbu::bptm::session::{Failure, Mover};
use crate::nbu::catalog::{CopyRecord, FragmentRecord};
use crate::nbu::plugin::{ImageId, ListedImage, Plugin, Server};
use crate::nbu::process::message::{FoundCopy, FromMover};
use crate::nbu::request::HeaderOrder;
use crate::nbu::status::code;

/// Images of one copy of a backup.
#[derive(Debug, Default)]
struct Images {
    header: Option<ListedImage>,
    /// The catalogue entry of a copy that was replicated.
    catalog: Option<ListedImage>,
    /// True image restore information.
    tir: Option<ListedImage>,
    /// By number.
    fragments: BTreeMap<u32, ListedImage>,
}

/// What an image is of a backup, by its name `<backup id>_C<copy>_<part>`.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Header,
    Catalog,
    Tir,
    Fragment(u32),
}

/// Backup id, copy number and part of an image; `None` for a name that is none of NetBackup's.
fn parse(name: &str) -> Option<(&str, u32, Part)> {
    let (rest, part) = name.rsplit_once('_')?;
    let (id, copy) = rest.rsplit_once("_C")?;
    let part = match part.strip_prefix('F') {
        Some(number) => Part::Fragment(number.parse().ok()?),
        None if part == "HDR" => Part::Header,
        None if part == "IM" => Part::Catalog,
        None if part == "TIR" => Part::Tir,
        None => return None,
    };
    Some((id, copy.parse().ok()?, part))
}

/// Reads all headers, and tells bpbrm of each backup.
pub(super) fn read_headers(mover: &mut Mover) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    mover.check_lsu(&plugin, &server)?;
    let lsu = mover.order.storage_unit.lsu.clone();
    let listed = server.images(&lsu).map_err(|sts| mover.failed(Some(&plugin), sts))?;
    mover.pass_log(&plugin);
    mover.log(4, format!("{} images on LSU {lsu}", listed.len()));
    let mut copies: BTreeMap<(String, u32), Images> = BTreeMap::new();
    for image in listed {
        let Some((id, copy, part)) = parse(&image.name) else {
            mover.log(8, format!("{} is no image of a backup", image.name));
            continue;
        };
        let images = copies.entry((id.to_owned(), copy)).or_default();
        match part {
            Part::Header => images.header = Some(image),
            Part::Catalog => images.catalog = Some(image),
            Part::Tir => images.tir = Some(image),
            Part::Fragment(number) => {
                images.fragments.insert(number, image);
            }
        }
    }
    for ((id, copy), images) in copies {
        mover.check()?;
        let found = Reading { plugin: &plugin, server: &server, lsu: &lsu }.copy(mover, &id, copy, &images);
        let message = match found {
            Ok(found) => FromMover::Found(Box::new(found)),
            Err(failure) => {
                let name = format!("copy {copy} of {id}");
                mover.log(16, format!("{name}: {}", failure.text));
                FromMover::Unreadable { name, status: failure.status, why: failure.text }
            }
        };
        mover.link.send(&message)?;
    }
    mover.pass_log(&plugin);
    Ok(())
}

struct Reading<'s> {
    plugin: &'s Plugin,
    server: &'s Server<'s>,
    lsu: &'s str,
}

impl Reading<'_> {
    fn copy(&self, mover: &mut Mover, id: &str, copy: u32, images: &Images) -> Result<FoundCopy, Failure> {
        let Some(listed) = &images.header else {
            return Err(Failure::new(code::MEDIA_HEADER, "there are fragments and no header"));
        };
        let header = self.header(mover, listed)?;
        if header.backup_id != id {
            let what = format!("{} is the header of {}", listed.name, header.backup_id);
            return Err(Failure::new(code::BACKUP_HEADER, what));
        }
        let (mut fragments, mut bytes) = (Vec::new(), 0);
        for (expected, (number, image)) in (1..).zip(&images.fragments) {
            let size = self
                .server
                .image_size(&self.id(image))
                .map_err(|sts| mover.failed(Some(self.plugin), sts))?;
            let (Some(size), true) = (size, *number == expected) else {
                return Err(Failure::new(code::INCONSISTENT, format!("fragment {expected} is missing")));
            };
            fragments.push(FragmentRecord {
                number: *number,
                name: image.name.clone(),
                offset: bytes,
                bytes: size,
            });
            bytes += size;
        }
        // A header that was written first knows neither.
        let count = header.fragments.is_none_or(|count| count as usize == fragments.len());
        if !count || header.stream_bytes.is_some_and(|expected| expected != bytes) || fragments.is_empty() {
            let what =
                format!("{} fragments with {bytes} bytes are not what the header says", fragments.len());
            return Err(Failure::new(code::INCONSISTENT, what));
        }
        let header_order = match header.fragments {
            Some(_) => HeaderOrder::Last,
            None => HeaderOrder::First,
        };
        Ok(FoundCopy {
            backup_id: header.backup_id,
            client: header.client,
            policy: listed.policy.clone(),
            schedule: header.schedule,
            schedule_type: header.schedule_type,
            stream: header.stream,
            backup_time: header.backup_time,
            stream_bytes: bytes,
            source: header.source,
            copy: CopyRecord {
                number: copy,
                storage_server: mover.order.storage_unit.server.clone(),
                lsu: self.lsu.to_owned(),
                buffer_size: header.block_size,
                header: listed.name.clone(),
                header_order,
                fragments,
                tir: images.tir.as_ref().map(|image| image.name.clone()),
                catalog_image: images.catalog.as_ref().map(|image| image.name.clone()),
                unlock_time: None,
                lock_wanted: None,
                lifecycle_operation: None,
                expires: None,
            },
        })
    }

    fn header(&self, mover: &mut Mover, listed: &ListedImage) -> Result<BackupHeader, Failure> {
        let mut bytes = [0; HEADER_SIZE];
        let read = self.server.open_image(&self.id(listed)).and_then(|mut image| {
            let count = image.read(&mut bytes, 0)?;
            image.close()?;
            Ok(count)
        });
        let count = read.map_err(|sts| {
            let failure = mover.failed(Some(self.plugin), sts);
            Failure { sts: failure.sts, ..Failure::new(code::MEDIA_HEADER, failure.text) }
        })?;
        BackupHeader::decode(&bytes[..count])
            .map_err(|e| Failure::new(code::BACKUP_HEADER, format!("{}: {e}", listed.name)))
    }

    fn id<'a>(&'a self, image: &'a ListedImage) -> ImageId<'a> {
        ImageId { lsu: self.lsu, name: &image.name, date: image.date, policy: &image.policy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_taken_apart_from_behind() {
        let id = "my_C2_client_1588173008";
        assert_eq!(parse("my_C2_client_1588173008_C1_F12"), Some((id, 1, Part::Fragment(12))));
        assert_eq!(parse("my_C2_client_1588173008_C2_HDR"), Some((id, 2, Part::Header)));
        assert_eq!(parse("my_C2_client_1588173008_C1_IM"), Some((id, 1, Part::Catalog)));
        assert_eq!(parse("my_C2_client_1588173008_C1_TIR"), Some((id, 1, Part::Tir)));
        for foreign in ["", "BEOST_SInf.img", "a_1_C1_MAP", "a_1_Cx_F1", "a_1_C1_Fx"] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }
}
