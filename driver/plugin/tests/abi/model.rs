//! What an LSU is: images by name, each a vector of bytes, and what open handles see of them.

use std::collections::BTreeMap;

use ost_abi::{
    STS_EACCESS, STS_EBUSY, STS_EEXIST, STS_EFENCED, STS_ENOENT, STS_EOFFSET, STS_II_BUSY_WRITE,
    STS_II_IMAGE_CREATED, STS_II_IMAGE_PENDING, STS_MAX_IMAGE_META, STS_O_READ,
};

use super::Outcome;

/// An image, as far as it is durable.
#[derive(Debug, Clone)]
struct Stored {
    data: Vec<u8>,
    meta: Vec<u8>,
    complete: bool,
    /// The open that has it for writing.
    writer: Option<u64>,
    /// The create it came from.
    created_by: u64,
    /// The image that it is a copy of, and the create that one came from.
    copy_of: Option<(usize, u64)>,
}

/// What properties tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) status: u32,
    pub(crate) size: u64,
    pub(crate) meta: u64,
}

impl Stored {
    fn properties(&self) -> Properties {
        let state = if self.complete { STS_II_IMAGE_CREATED } else { STS_II_IMAGE_PENDING };
        let busy = if self.writer.is_some() { STS_II_BUSY_WRITE } else { 0 };
        Properties { status: state | busy, size: self.data.len() as u64, meta: self.meta.len() as u64 }
    }
}

/// An image open for writing.
#[derive(Debug)]
pub(crate) struct Writer {
    image: usize,
    id: u64,
    data: Vec<u8>,
    meta: Vec<u8>,
    unsaved: bool,
    fenced: bool,
    /// Complete images as they were at the first include from them.
    sources: BTreeMap<usize, Vec<u8>>,
}

/// An open handle.
#[derive(Debug)]
pub(crate) enum Open {
    Writer(Box<Writer>),
    Reader(Box<Reader>),
}

/// An image open for reading, as it was then.
#[derive(Debug)]
pub(crate) struct Reader {
    image: usize,
    seen: Stored,
}

/// The LSU.
#[derive(Debug, Default)]
pub(crate) struct Model {
    images: BTreeMap<usize, Stored>,
    opens: u64,
}

impl Model {
    pub(crate) fn create(&mut self, image: usize) -> Outcome<Open> {
        match self.images.get(&image) {
            Some(there) if there.writer.is_some() => return Err(STS_EBUSY),
            Some(_) => return Err(STS_EEXIST),
            None => {}
        }
        self.opens += 1;
        let id = self.opens;
        let (data, meta) = (Vec::new(), Vec::new());
        let stored = Stored { data, meta, complete: false, writer: Some(id), created_by: id, copy_of: None };
        self.images.insert(image, stored.clone());
        Ok(Self::writer(image, id, stored))
    }

    fn writer(image: usize, id: u64, stored: Stored) -> Open {
        let Stored { data, meta, .. } = stored;
        let sources = BTreeMap::new();
        let writer = Writer { image, id, data, meta, unsaved: false, fenced: false, sources };
        Open::Writer(Box::new(writer))
    }

    pub(crate) fn open(&mut self, image: usize, mode: u32) -> Outcome<Open> {
        let there = self.images.get_mut(&image).ok_or(STS_ENOENT)?;
        if mode == STS_O_READ {
            return Ok(Open::Reader(Box::new(Reader { image, seen: there.clone() })));
        }
        if there.complete {
            return Err(STS_EACCESS);
        }
        if there.writer.is_some() {
            return Err(STS_EBUSY);
        }
        self.opens += 1;
        there.writer = Some(self.opens);
        Ok(Self::writer(image, self.opens, there.clone()))
    }

    pub(crate) fn copy(&mut self, source: usize, target: usize) -> Outcome<()> {
        let from = self.images.get(&source).ok_or(STS_ENOENT)?;
        if !from.complete {
            return Err(STS_EACCESS);
        }
        let copy_of = Some((source, from.created_by));
        match self.images.get(&target) {
            Some(there) if there.writer.is_some() => return Err(STS_EBUSY),
            Some(there) if there.complete && there.copy_of == copy_of => return Ok(()),
            Some(_) => return Err(STS_EEXIST),
            None => {}
        }
        self.opens += 1;
        let copy = Stored { created_by: self.opens, copy_of, ..from.clone() };
        self.images.insert(target, copy);
        Ok(())
    }

    pub(crate) fn delete(&mut self, image: usize) -> Outcome<()> {
        self.images.remove(&image).map(drop).ok_or(STS_ENOENT)
    }

    pub(crate) fn properties(&self, image: usize) -> Outcome<Properties> {
        self.images.get(&image).map(Stored::properties).ok_or(STS_ENOENT)
    }

    /// The images there are.
    pub(crate) fn names(&self) -> Vec<usize> {
        self.images.keys().copied().collect()
    }

    /// Those that are complete.
    pub(crate) fn complete(&self) -> Vec<usize> {
        self.images_that(|there| there.complete)
    }

    /// Those that can be opened for writing.
    pub(crate) fn to_be_continued(&self) -> Vec<usize> {
        self.images_that(|there| !there.complete && there.writer.is_none())
    }

    fn images_that(&self, fits: impl Fn(&Stored) -> bool) -> Vec<usize> {
        self.images.iter().filter(|(_, there)| fits(there)).map(|(image, _)| *image).collect()
    }

    /// Size of an image, 0 if there is none.
    pub(crate) fn size(&self, image: usize) -> u64 {
        self.images.get(&image).map_or(0, |there| there.data.len() as u64)
    }

    /// Makes what a writer has the image's own, unless the image is not that writer's any more.
    fn save(&mut self, writer: &mut Writer, complete: bool, stays: bool) -> Outcome<()> {
        let there = self.images.get_mut(&writer.image).filter(|there| there.writer == Some(writer.id));
        let Some(there) = there.filter(|_| !writer.fenced) else {
            writer.fenced = true;
            return Err(STS_EFENCED);
        };
        there.data.clone_from(&writer.data);
        there.meta.clone_from(&writer.meta);
        there.complete = complete;
        there.writer = stays.then_some(writer.id);
        writer.unsaved = false;
        Ok(())
    }

    pub(crate) fn flush(&mut self, open: &mut Open) -> Outcome<()> {
        let writer = writer_of(open)?;
        if writer.fenced {
            return Err(STS_EFENCED);
        }
        if writer.unsaved { self.save(writer, false, true) } else { Ok(()) }
    }

    pub(crate) fn close(&mut self, mut open: Open, complete: bool) -> Outcome<()> {
        match writer_of(&mut open) {
            Ok(writer) => self.save(writer, complete, false),
            Err(_) => Ok(()),
        }
    }

    pub(crate) fn include(
        &self,
        open: &mut Open,
        source: usize,
        (from, length): (u64, u64),
        offset: u64,
    ) -> Outcome<u64> {
        let writer = writer_of(open)?;
        if writer.fenced {
            return Err(STS_EFENCED);
        }
        if offset != writer.data.len() as u64 {
            return Err(STS_EOFFSET);
        }
        let looked_at = if let Some(looked_at) = writer.sources.get(&source) {
            looked_at.clone()
        } else {
            let there = self.images.get(&source).ok_or(STS_ENOENT)?;
            if !there.complete {
                return Err(STS_EACCESS);
            }
            there.data.clone()
        };
        let range = range(&looked_at, from, length).ok_or(STS_EOFFSET)?.to_vec();
        writer.data.extend(range);
        writer.unsaved = true;
        writer.sources.insert(source, looked_at);
        Ok(length)
    }

    pub(crate) fn copy_extent(
        open: &mut Open,
        source: &Open,
        (from, length): (u64, u64),
        offset: u64,
    ) -> Outcome<u64> {
        let Open::Reader(source) = source else { return Err(STS_EACCESS) };
        let writer = writer_of(open)?;
        if !source.seen.complete {
            return Err(STS_EACCESS);
        }
        if writer.fenced {
            return Err(STS_EFENCED);
        }
        if offset != writer.data.len() as u64 {
            return Err(STS_EOFFSET);
        }
        let range = range(&source.seen.data, from, length).ok_or(STS_EOFFSET)?;
        writer.data.extend_from_slice(range);
        writer.unsaved = true;
        writer.sources.entry(source.image).or_insert_with(|| source.seen.data.clone());
        Ok(length)
    }

    /// Whether the image that a reader sees is still there: if not, its segments may be gone.
    pub(crate) fn is_there(&self, open: &Open) -> bool {
        match open {
            Open::Reader(reader) => {
                self.images.get(&reader.image).is_some_and(|there| there.created_by == reader.seen.created_by)
            }
            Open::Writer(_) => true,
        }
    }
}

fn range(data: &[u8], from: u64, length: u64) -> Option<&[u8]> {
    let from = usize::try_from(from).ok()?;
    data.get(from..from.checked_add(usize::try_from(length).ok()?)?)
}

/// What there is of a range.
fn rest(data: &[u8], from: u64, length: usize) -> Vec<u8> {
    let rest = usize::try_from(from).ok().and_then(|from| data.get(from..)).unwrap_or_default();
    rest[..rest.len().min(length)].to_vec()
}

fn writer_of(open: &mut Open) -> Outcome<&mut Writer> {
    match open {
        Open::Writer(writer) => Ok(writer),
        Open::Reader(_) => Err(STS_EACCESS),
    }
}

impl Open {
    /// Whether it is open for writing.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::Writer(_))
    }

    /// Bytes of the image, as the handle sees it.
    pub(crate) fn size(&self) -> u64 {
        self.properties().size
    }

    pub(crate) fn properties(&self) -> Properties {
        match self {
            Self::Reader(reader) => reader.seen.properties(),
            Self::Writer(writer) => Properties {
                status: STS_II_IMAGE_PENDING | STS_II_BUSY_WRITE,
                size: writer.data.len() as u64,
                meta: writer.meta.len() as u64,
            },
        }
    }

    pub(crate) fn write(&mut self, data: &[u8], offset: u64) -> Outcome<u64> {
        let writer = writer_of(self)?;
        if writer.fenced {
            return Err(STS_EFENCED);
        }
        if offset != writer.data.len() as u64 {
            return Err(STS_EOFFSET);
        }
        writer.data.extend_from_slice(data);
        writer.unsaved = true;
        Ok(data.len() as u64)
    }

    pub(crate) fn read(&self, length: usize, offset: u64) -> Outcome<Vec<u8>> {
        match self {
            Self::Reader(reader) => Ok(rest(&reader.seen.data, offset, length)),
            Self::Writer(_) => Err(STS_EACCESS),
        }
    }

    pub(crate) fn write_meta(&mut self, data: &[u8], offset: u64) -> Outcome<u64> {
        let writer = writer_of(self)?;
        let length = writer.meta.len() as u64;
        if offset > length {
            return Err(STS_EOFFSET);
        }
        if offset + data.len() as u64 > STS_MAX_IMAGE_META {
            return Err(ost_abi::STS_EINVAL);
        }
        if writer.fenced {
            return Err(STS_EFENCED);
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = (from + data.len()).min(writer.meta.len());
        writer.meta.splice(from..end, data.iter().copied());
        writer.unsaved = true;
        Ok(data.len() as u64)
    }

    pub(crate) fn read_meta(&self, length: usize, offset: u64) -> Vec<u8> {
        let meta = match self {
            Self::Reader(reader) => &reader.seen.meta,
            Self::Writer(writer) => &writer.meta,
        };
        rest(meta, offset, length)
    }
}
