//! bpdm: deletes images, after an expiration or when bptm died and could not, has the storage copy them, and reads the
//! headers of what is there.

mod copy;
mod events;
mod headers;
mod replicate;

use super::bptm::session::{Failure, Mover, image_id};
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
    let mut mover = Mover { name, link: inherited.link, order: *order };
    let mut report = MoverReport::default();
    let result = match task {
        MoverTask::Delete { images } => delete(&mut mover, images, &mut report),
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
    let mut first: Option<Failure> = None;
    for name in images {
        mover.check()?;
        let deleted = server.delete_image(&image_id(&mover.order, &name));
        match deleted {
            Ok(there) => {
                mover.pass_log(&plugin);
                let what = if there { "deleted" } else { "was not there:" };
                mover.log(4, format!("{what} {name}"));
                report.images.push(name);
            }
            Err(sts) => {
                let failure = mover.failed(Some(&plugin), sts);
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
