//! nbrmms at the target of a replication: asks the storage for events, and deletes them once the import has what they told.

use ost_abi::STS_SRVC_EVENTS;

use crate::nbu::bptm::session::{Failure, Mover, not_offered};
use crate::nbu::plugin::{ListedImage, Plugin, Server};
use crate::nbu::process::message::{CatalogImage, FromMover};
use crate::nbu::status::Place;

/// Reads all events of the LSU and tells of each; none is deleted.
pub(super) fn poll(mover: &mut Mover) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let server = open(mover, &plugin)?;
    let lsu = mover.order.storage_unit.lsu.clone();
    let mut events = server.events(&lsu).map_err(|sts| mover.failed(Some(&plugin), sts))?;
    loop {
        mover.check()?;
        let next = events.next().map_err(|sts| mover.failed(Some(&plugin), sts))?;
        mover.pass_log(&plugin);
        let Some((number, images)) = next else { return Ok(()) };
        mover.log(4, format!("event {number} on LSU {lsu}: {} images", images.len()));
        let images =
            images.into_iter().map(|ListedImage { name, date, policy }| CatalogImage { name, date, policy });
        mover.link.send(&FromMover::Event { number, images: images.collect() })?;
    }
}

/// Deletes events.
pub(super) fn delete(mover: &mut Mover, numbers: &[u64]) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let server = open(mover, &plugin)?;
    let lsu = mover.order.storage_unit.lsu.clone();
    let mut events = server.events(&lsu).map_err(|sts| mover.failed(Some(&plugin), sts))?;
    for number in numbers {
        events.delete(*number).map_err(|sts| mover.failed(Some(&plugin), sts))?;
        mover.log(4, format!("deleted event {number} on LSU {lsu}"));
    }
    mover.pass_log(&plugin);
    Ok(())
}

fn open<'p>(mover: &mut Mover, plugin: &'p Plugin) -> Result<Server<'p>, Failure> {
    let (server, properties) = mover.open_with_properties(plugin)?;
    if properties.has(STS_SRVC_EVENTS) {
        return Ok(server);
    }
    Err(mover.failed(Some(plugin), not_offered(Place::Events, "stspi_open_evchannel")))
}
