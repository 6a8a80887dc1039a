//! What handles stand for, and the table of the calling thread.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::rc::Rc;
use std::sync::Arc;

use image_store::s3::S3Store;
use image_store::{EventLog, EventPosition, ImageCopy, ImageIdentity, ImagePager, Reader, Writer};
use ost_abi::{STS_EACCESS, STS_EPLUGIN};

use crate::boundary::Call;
use crate::capability::Capabilities;
use crate::cluster::Cluster;
use crate::config::ServerSection;
use crate::fault::Fault;
use crate::handles::{Kind, Table};
use crate::log::Session;
use crate::status::image_fault;

/// An open server. Images and lists opened through it hold a reference, which is how `close_server` knows of them.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) session: Session,
    /// One line about the cluster.
    pub(crate) description: String,
    /// What the configuration file said when it was opened.
    pub(crate) section: ServerSection,
    /// What it offers.
    pub(crate) capabilities: Capabilities,
    /// The server that this one was opened through as a target; it is busy meanwhile.
    pub(crate) _source: Option<Rc<Server>>,
}

impl Server {
    /// From here on the call's log lines go to this server's session; `STS_ENOTSUP` if the server lacks what the call
    /// needs.
    pub(crate) fn admit(&self, call: &Call) -> Result<(), Fault> {
        call.heard_by(&self.session, &self.cluster.log);
        self.capabilities.require_for(call.name())
    }
}

/// An enumeration of LSUs: the names, read when it was opened.
#[derive(Debug)]
pub(crate) struct LsuList {
    pub(crate) server: Rc<Server>,
    pub(crate) names: VecDeque<String>,
}

/// An open image.
pub(crate) struct Image {
    pub(crate) server: Rc<Server>,
    /// The LSU that it is in.
    pub(crate) lsu: String,
    pub(crate) access: Access,
}

impl Image {
    /// The writer, or `STS_EACCESS` for an image that is open for reading.
    pub(crate) fn writer(&mut self) -> Result<(&Cluster, &mut Writer<S3Store>), Fault> {
        match &mut self.access {
            Access::Write(writer) => Ok((&self.server.cluster, writer)),
            Access::Read(_) => Err(Fault::new(STS_EACCESS, "the image is open for reading")),
        }
    }

    /// Renews the lease of a writer when it is due. Most calls find that it is not, and send nothing.
    fn stay(&mut self) -> Result<(), Fault> {
        match self.writer() {
            Ok((cluster, writer)) if writer.lease_is_due() => {
                let renewed = cluster.run(writer.renew_if_due()).inspect_err(|_| writer.interrupt())?;
                renewed.map_err(|e| image_fault(&e))
            }
            _ => Ok(()),
        }
    }
}

/// How an image is open.
pub(crate) enum Access {
    Write(Box<Writer<S3Store>>),
    Read(Box<Reader<S3Store>>),
}

/// An enumeration of images: one page at a time.
pub(crate) struct ImageList {
    pub(crate) server: Rc<Server>,
    pub(crate) pager: ImagePager<S3Store>,
    pub(crate) page: VecDeque<ImageIdentity>,
    pub(crate) finished: bool,
}

/// A copy in progress.
pub(crate) struct Copying {
    pub(crate) copy: ImageCopy<S3Store>,
    /// Where the image comes from.
    pub(crate) from: Rc<Server>,
    /// Where it goes; busy meanwhile.
    pub(crate) _to: Rc<Server>,
}

/// An event channel: the log of an LSU, and what was read of it.
pub(crate) struct Channel {
    pub(crate) server: Rc<Server>,
    pub(crate) lsu: String,
    pub(crate) log: EventLog<S3Store>,
    /// Of the last event that the host got.
    pub(crate) position: EventPosition,
}

/// Any of them.
pub(crate) enum Object {
    Server(Rc<Server>),
    LsuList(Box<LsuList>),
    Image(Box<Image>),
    ImageList(Box<ImageList>),
    Copy(Box<Copying>),
    EventChannel(Box<Channel>),
}

thread_local! {
    static HANDLES: Table<Object> = Table::new();
}

/// The calling thread's handles.
pub(crate) fn with_table<R>(body: impl FnOnce(&Table<Object>) -> Result<R, Fault>) -> Result<R, Fault> {
    HANDLES
        .try_with(body)
        .unwrap_or_else(|_| Err(Fault::new(STS_EPLUGIN, "called while the thread was ending")))
}

fn mismatch(code: c_int) -> Fault {
    Fault::new(code, "a handle's kind and object disagree")
}

/// A server handle: the server, with the call's log lines going to its session.
pub(crate) fn server(call: &Call, raw: u64) -> Result<Rc<Server>, Fault> {
    with_table(|table| {
        table.with(raw, Kind::Server, |object| match object {
            Object::Server(server) => {
                server.admit(call)?;
                Ok(Rc::clone(server))
            }
            _ => Err(mismatch(STS_EPLUGIN)),
        })
    })
}

/// Runs `body` on the image of a handle. A writer that calls keeps its image, whatever it calls.
pub(crate) fn image<R>(
    call: &Call,
    raw: u64,
    body: impl FnOnce(&mut Image) -> Result<R, Fault>,
) -> Result<R, Fault> {
    with(call, raw, |image: &mut Image| {
        image.stay()?;
        body(image)
    })
}

/// Checks the handle of an image that is about to be closed: that renews no lease, and cannot fail for want of one.
pub(crate) fn closing_image(call: &Call, raw: u64) -> Result<(), Fault> {
    with(call, raw, |_: &mut Image| Ok(()))
}

/// What a handle of one kind stands for, as long as it was opened through a server.
pub(crate) trait Opened: Sized {
    /// The kind of its handles.
    const KIND: Kind;

    /// It, unless the object is another one.
    fn of(object: &mut Object) -> Option<&mut Self>;

    /// The server whose session hears of its calls.
    fn server(&self) -> &Server;
}

impl Opened for Image {
    const KIND: Kind = Kind::Image;

    fn of(object: &mut Object) -> Option<&mut Self> {
        if let Object::Image(image) = object { Some(image) } else { None }
    }

    fn server(&self) -> &Server {
        &self.server
    }
}

impl Opened for Copying {
    const KIND: Kind = Kind::Copy;

    fn of(object: &mut Object) -> Option<&mut Self> {
        if let Object::Copy(copying) = object { Some(copying) } else { None }
    }

    fn server(&self) -> &Server {
        &self.from
    }
}

impl Opened for Channel {
    const KIND: Kind = Kind::EventChannel;

    fn of(object: &mut Object) -> Option<&mut Self> {
        if let Object::EventChannel(channel) = object { Some(channel) } else { None }
    }

    fn server(&self) -> &Server {
        &self.server
    }
}

/// Runs `body` on what a handle stands for.
pub(crate) fn with<T: Opened, R>(
    call: &Call,
    raw: u64,
    body: impl FnOnce(&mut T) -> Result<R, Fault>,
) -> Result<R, Fault> {
    with_table(|table| {
        table.with(raw, T::KIND, |object| {
            let opened = T::of(object).ok_or_else(|| mismatch(STS_EPLUGIN))?;
            opened.server().admit(call)?;
            body(opened)
        })
    })
}
