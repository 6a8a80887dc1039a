//! bpdm: deletes images, after an expiration or when bptm died and could not, and what earlier tries of a backup left; has
//! the storage copy them, and reads the headers of what is there.

mod copy;
mod events;
mod headers;
mod replicate;

use super::bptm::session::{Failure, Mover, image_id};
use super::plugin::{ImageId, ListedImage, Plugin, Server};
use super::process::Inherited;
use super::process::message::{MoverReport, MoverTask, ToMover};
use super::status::code;

/// Runs the process; returns its exit code.
pub(crate) fn run(inherited: Inherited) -> i32 {
    run_as("bpdm", inherited)
}

/// Runs nbrmms, the process that watches the storage: here it asks for events.
pub(crate) fn run_as_nbrmms(inherited: Inherited) -> i32 {
    run_as("nbrmms", inherited)
}

fn run_as(name: &'static str, mut inherited: Inherited) -> i32 {
    let Some(ToMover::Order(mut order)) = inherited.order() else { return code::HANDSHAKE };
    let task = std::mem::replace(&mut order.task, MoverTask::Delete { images: Vec::new() });
    let mut mover = Mover::new(name, inherited.link, *order);
    let mut report = MoverReport::default();
    let result = match task {
        MoverTask::Delete { images } => delete(&mut mover, images, &mut report),
        MoverTask::Discard { keep, copy } => discard(&mut mover, &keep, copy, &mut report),
        MoverTask::Replicate(task) => replicate::replicate_backup(&mut mover, &task, &mut report),
        MoverTask::ReadCatalogImages { images } => replicate::read_catalog_images(&mut mover, &images),
        MoverTask::PollEvents => events::poll(&mut mover),
        MoverTask::DeleteEvents { numbers } => events::delete(&mut mover, &numbers),
        MoverTask::Lock { images, until } => lock(&mut mover, &images, until),
        MoverTask::ReadHeaders => headers::read_headers(&mut mover),
        MoverTask::Copy(task) => copy::copy_backup(&mut mover, &task, &mut report),
        _ => Err(Failure::new(code::INVALID_PARAMETER, "this task is bptm's")),
    };
    super::bptm::finish(mover, report, result)
}

/// Deletes every image of the backup, or of one copy of it, that is there, complete or not, and is not to be kept.
fn discard(
    mover: &mut Mover,
    keep: &[String],
    copy: Option<u32>,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    let of_copy = copy.map(|number| format!("C{number}_")).unwrap_or_default();
    let (prefix, date) = (format!("{}_{of_copy}", mover.order.backup_id), mover.order.backup_time);
    let listed = server.images(&mover.order.storage_unit.lsu);
    let mut images = listed.map_err(|sts| mover.failed(Some(&plugin), sts))?;
    images
        .retain(|image| image.date == date && image.name.starts_with(&prefix) && !keep.contains(&image.name));
    mover.log(4, format!("{} images are left of earlier tries", images.len()));
    // As the listing names them: the job may be a cleanup, which does not know the policy.
    delete_all(mover, &plugin, &server, images, report)
}

/// Locks images whose lock was refused before.
fn lock(mover: &mut Mover, images: &[String], until: u64) -> Result<(), Failure> {
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    for name in images {
        let locked = server.lock_image(&image_id(&mover.order, name), until);
        locked.map_err(|sts| mover.failed(Some(&plugin), sts))?;
    }
    mover.pass_log(&plugin);
    mover.log(4, format!("{} images are locked until {until}", images.len()));
    Ok(())
}

/// Deletes every image it can; 1 when some could not be deleted.
fn delete(mover: &mut Mover, images: Vec<String>, report: &mut MoverReport) -> Result<(), Failure> {
    report.left_behind.clone_from(&images);
    let plugin = mover.load()?;
    let server = mover.open(&plugin)?;
    report.left_behind.clear();
    let (date, policy) = (mover.order.backup_time, mover.order.policy.clone());
    let images = images.into_iter().map(|name| ListedImage { name, date, policy: policy.clone() }).collect();
    delete_all(mover, &plugin, &server, images, report)
}

fn delete_all(
    mover: &mut Mover,
    plugin: &Plugin,
    server: &Server<'_>,
    images: Vec<ListedImage>,
    report: &mut MoverReport,
) -> Result<(), Failure> {
    let lsu = mover.order.storage_unit.lsu.clone();
    let mut first: Option<Failure> = None;
    for ListedImage { name, date, policy } in images {
        mover.check()?;
        let deleted = server.delete_image(&ImageId { lsu: &lsu, name: &name, date, policy: &policy });
        match deleted {
            Ok(there) => {
                mover.pass_log(plugin);
                let what = if there { "deleted" } else { "was not there:" };
                mover.log(4, format!("{what} {name}"));
                report.images.push(name);
            }
            Err(sts) => {
                let failure = mover.failed(Some(plugin), sts);
                if failure.sts.as_ref().is_some_and(|sts| sts.code == ost_abi::STS_EWORMLOCKED) {
                    mover.info(format!(
                        "Failed to delete WORM locked image {name}: error {}",
                        ost_abi::STS_EWORMLOCKED
                    ));
                } else {
                    mover.log(16, format!("Failed to delete image {name}: {}", failure.text));
                }
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
