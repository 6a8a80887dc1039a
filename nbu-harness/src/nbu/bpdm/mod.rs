//! bpdm: deletes images, after an expiration or when bptm died and could not, and what earlier tries of a backup left; and
//! has the storage copy them.

mod copy;

use super::bptm::session::{Failure, Mover, image_id};
use super::plugin::{Plugin, Server};
use super::process::Inherited;
use super::process::message::{MoverReport, MoverTask, ToMover};
use super::status::code;

/// Runs the process; returns its exit code.
pub(crate) fn run(mut inherited: Inherited) -> i32 {
    let Some(ToMover::Order(mut order)) = inherited.order() else { return code::HANDSHAKE };
    let task = std::mem::replace(&mut order.task, MoverTask::Delete { images: Vec::new() });
    let mut mover = Mover::new("bpdm", inherited.link, *order);
    let mut report = MoverReport::default();
    let result = match task {
        MoverTask::Delete { images } => delete(&mut mover, images, &mut report),
        MoverTask::Discard => discard(&mut mover, &mut report),
        MoverTask::Copy(task) => copy::copy_backup(&mut mover, &task, &mut report),
        _ => Err(Failure::new(code::INVALID_PARAMETER, "this task is bptm's")),
    };
    super::bptm::finish(mover, report, result)
}

/// Deletes every image of the backup that is there, complete or not.
fn discard(mover: &mut Mover, report: &mut MoverReport) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    let (prefix, date) = (format!("{}_", mover.order.backup_id), mover.order.backup_time);
    let listed = server.images(&mover.order.storage_unit.lsu, &|image| {
        image.date == date && image.name.starts_with(&prefix)
    });
    let images = listed.map_err(|sts| mover.failed(Some(&plugin), sts))?;
    mover.log(4, format!("{} images are left of earlier tries", images.len()));
    delete_all(mover, &plugin, &server, images.into_iter().map(|image| image.name).collect(), report)
}

/// Deletes every image it can; 1 when some could not be deleted.
fn delete(mover: &mut Mover, images: Vec<String>, report: &mut MoverReport) -> Result<(), Failure> {
    report.left_behind.clone_from(&images);
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    report.left_behind.clear();
    delete_all(mover, &plugin, &server, images, report)
}

fn delete_all(
    mover: &mut Mover,
    plugin: &Plugin,
    server: &Server<'_>,
    images: Vec<String>,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let mut first: Option<Failure> = None;
    for name in images {
        mover.check()?;
        let deleted = server.delete_image(&image_id(&mover.order, &name));
        match deleted {
            Ok(there) => {
                mover.pass_log(plugin);
                let what = if there { "deleted" } else { "was not there:" };
                mover.log(4, format!("{what} {name}"));
                report.images.push(name);
            }
            Err(sts) => {
                let failure = mover.failed(Some(plugin), sts);
                mover.log(16, format!("Failed to delete image {name}: {}", failure.text));
                report.left_behind.push(name);
                first.get_or_insert(failure);
            }
        }
    }
    match first {
        None => Ok(()),
        Some(failure) => Err(Failure { status: code::PARTIAL, ..failure }),
    }
}
