//! A restore job: bptm reads, tar creates the files.

use std::os::unix::net::UnixStream;

use super::course::{Conduct, Course};
use super::entry::catalogue_cause;
use super::owner::{Cause, Owner};
use super::selection::{Plan, plan};
use super::{Found, Work};
use crate::nbu::catalog::{CopyRecord, ImageRecord};
use crate::nbu::process::message::{
    ClientReport, FromClient, FromMover, MoverTask, Piece, RestoreOrder, ToClient, ToMover,
};
use crate::nbu::request::RestoreRequest;
use crate::nbu::result::Warning;
use crate::nbu::status::{code, status_text};

/// Runs a restore.
pub(super) fn run(owner: &mut Owner, request: &RestoreRequest) -> Result<(), Cause> {
    let found = Found::copy(owner, &request.backup_id, request.copy)?;
    let work = found.work(&request.storage_unit)?;
    let Found { catalog, image, copy } = found;
    let plan = plan(&catalog, &image, &request.selection).map_err(catalogue_cause)?;
    for path in &plan.missing {
        owner.warn(Warning { path: path.clone(), text: "the backup has no such file".into() });
    }
    if plan.extents.is_empty() {
        return Err(Cause::new(code::NO_ENTITY, "the backup has none of the selected files"));
    }
    let missing = plan.missing.len();
    let mut course = start(owner, request, &work, &image, &copy, plan)?;
    let mut conduct = Restore::default();
    let outcome = course.run(owner, &mut conduct);
    let client = course.client_report.take().unwrap_or_default();
    let result = &mut owner.result;
    result.files = client.files.max(conduct.files);
    result.images = copy.image_names();
    result.fragments.clone_from(&copy.fragments);
    result.kbytes = course.mover_report().map_or(0, |r| r.bytes.div_ceil(1024));
    result.bad_ranges = client.bad_ranges;
    outcome?;
    let status = match (client.status, missing) {
        (code::OK, 0) => return Ok(()),
        (code::OK, _) => code::NOT_ALL_RESTORED,
        (status, _) => status,
    };
    Err(Cause { status, text: status_text(status).to_owned(), sts: None })
}

fn start(
    owner: &mut Owner,
    request: &RestoreRequest,
    work: &Work,
    image: &ImageRecord,
    copy: &CopyRecord,
    plan: Plan,
) -> Result<Course, Cause> {
    let (tar_end, bptm_end) = UnixStream::pair().map_err(|e| Cause::new(code::SYSTEM_CALL, e))?;
    let total = plan.bytes();
    let pieces = plan.extents.iter().map(|extent| Piece { image: 0, extent: *extent }).collect();
    let task = MoverTask::Read { images: vec![image.stored(copy)], pieces, zeros: 0 };
    let mover = work.start(owner, "bptm", Some(bptm_end), task)?;
    let mut client = owner.start("tar", Some(tar_end))?;
    let order = ToClient::Restore(RestoreOrder {
        destination: (&*request.destination).into(),
        source: image.source.clone(),
        placements: plan.placements,
        timeout_ms: owner.installation.timeouts.client_read_timeout_ms,
    });
    client
        .give_order(&order)
        .map_err(|e| Cause::new(code::HANDSHAKE, format!("tar did not take its order: {e}")))?;
    Ok(Course::new(Some(client), mover, Some(total)))
}

#[derive(Debug, Default)]
struct Restore {
    files: u64,
}

impl Conduct for Restore {
    fn client_says(&mut self, _: &mut Owner, message: FromClient) -> Result<(), Cause> {
        match message {
            FromClient::Restored(files) => {
                self.files = files;
                Ok(())
            }
            other => Err(Cause::new(code::HANDSHAKE, format!("tar sent {other:?} out of turn"))),
        }
    }

    fn mover_says(&mut self, _: &mut Owner, message: FromMover) -> Result<Option<ToMover>, Cause> {
        Err(Cause::new(code::HANDSHAKE, format!("bptm sent {message:?} out of turn")))
    }

    fn client_ended(&mut self, _: usize, report: &ClientReport) -> Result<Option<ToMover>, Cause> {
        self.files = report.files;
        Ok(None)
    }

    fn files(&self) -> u64 {
        self.files
    }
}
