//! What the sweep does with operations: those that have ended go after a while, and those that nobody went on with.

use super::Outcome;
use super::facts::failed;
use super::record::{operation_prefix, parse_member_key, parse_operation_key};
use crate::error::ImageError;
use crate::layout::{OPERATION_SETS, OPERATIONS};
use crate::object_store::{ObjectStore, StoreError};
use crate::removal;
use crate::store::ImageStore;
use crate::sweep::SweepReport;

/// How long an operation that has not ended is kept after something was last heard of it, in seconds: 30 days.
const UNFINISHED_SECONDS: u64 = 30 * 24 * 60 * 60;

impl<S: ObjectStore> ImageStore<S> {
    pub(crate) async fn sweep_operations(&self, report: &mut SweepReport) -> Result<(), ImageError> {
        let mut next = None;
        // The operation that is being listed, and when something was last heard of it.
        let mut listed: Option<(u64, u64)> = None;
        loop {
            let page = self.shared().store.list(OPERATIONS, next.as_deref()).await;
            let page = page.map_err(failed("sweeping operations"))?;
            for object in page.objects {
                let Some(number) = parse_operation_key(&object.key) else { continue };
                match &mut listed {
                    Some((same, heard)) if *same == number => *heard = (*heard).max(object.modified),
                    _ => {
                        if let Some(before) = listed.replace((number, object.modified)) {
                            self.sweep_operation(before, report).await?;
                        }
                    }
                }
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        if let Some(last) = listed {
            self.sweep_operation(last, report).await?;
        }
        self.sweep_members(report).await
    }

    async fn sweep_operation(
        &self,
        (number, heard): (u64, u64),
        report: &mut SweepReport,
    ) -> Result<(), ImageError> {
        let age = report.began.saturating_sub(heard);
        if age <= self.shared().sweep_after() {
            return Ok(());
        }
        let ended = match self.operations().outcome(number).await {
            Ok(outcome) => matches!(outcome, Some(Outcome::Done | Outcome::Cancelled)),
            // What is left of an operation whose removal was interrupted.
            Err(ImageError::NoOperation { .. }) => true,
            Err(ImageError::Corrupt { .. }) => false,
            Err(error) => return Err(error),
        };
        if !ended && age <= UNFINISHED_SECONDS {
            return Ok(());
        }
        let (shared, prefix) = (self.shared(), operation_prefix(number));
        let removed = async {
            let versioned = shared.versioned().await?;
            // The request first: without it the operation is not known any more, whatever else is there.
            removal::remove_key(&*shared.store, &super::record::request_key(number), versioned).await?;
            removal::remove_where(&*shared.store, &prefix, versioned, |_| true).await
        };
        removed.await.map_err(failed("sweeping operations"))?;
        report.operations += 1;
        Ok(())
    }

    /// Removes what names an operation that is not there, or never came to be.
    async fn sweep_members(&self, report: &SweepReport) -> Result<(), ImageError> {
        let shared = self.shared();
        let mut next = None;
        loop {
            let page = shared.store.list(OPERATION_SETS, next.as_deref()).await;
            let page = page.map_err(failed("sweeping operations"))?;
            for object in page.objects {
                let Some(number) = parse_member_key(&object.key) else { continue };
                if report.began.saturating_sub(object.modified) <= shared.sweep_after() {
                    continue;
                }
                match shared.store.head(&super::record::request_key(number)).await {
                    Ok(_) => {}
                    Err(StoreError::NotFound(_)) => {
                        let versioned = shared.versioned().await.map_err(failed("sweeping operations"))?;
                        let removed = removal::remove_key(&*shared.store, &object.key, versioned).await;
                        removed.map_err(failed("sweeping operations"))?;
                    }
                    Err(error) => return Err(failed("sweeping operations")(error)),
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }
}
