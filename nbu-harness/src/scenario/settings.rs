//! The keys of `nbu`: NetBackup's own settings, exactly as they may be written.

use super::domain::{Attempts, AttributeSource, GlobalAttributes, SetUp};
use super::lifecycle::SlpParameters;
use super::values::{ByteSize, Milliseconds};
use crate::nbu::ForkPoint;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// NetBackup's own settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Nbu {
    /// Shared-memory buffers of bptm.
    pub(super) buffers: Buffers,
    /// When bptm forks its child.
    pub(super) fork: ForkPoint,
    pub(super) timeouts: TimeoutsFile,
    pub(super) clock_start: Option<u64>,
    #[schemars(with = "Option<Attempts>")]
    pub(super) schedule_attempts: Option<Spanned<Attempts>>,
    pub(super) job_retry_delay: Option<Milliseconds>,
    pub(super) incomplete_to_done: Option<Milliseconds>,
    pub(super) job_silence: Option<Milliseconds>,
    pub(super) max_jobs_per_client: Option<u32>,
    #[schemars(with = "Option<Milliseconds>")]
    pub(super) disk_polling: Option<Spanned<Milliseconds>>,
    /// Time between two image cleanups; default 12h.
    #[schemars(with = "Option<Milliseconds>")]
    pub(super) image_cleanup_interval: Option<Spanned<Milliseconds>>,
    /// Whether image cleanup leaves a backup that later incremental ones need; default true.
    pub(super) image_expiry_dependency_check: Option<bool>,
    /// Parameters of storage lifecycle policies.
    #[schemars(with = "Option<SlpParameters>")]
    pub(super) slp: Option<Spanned<SlpParameters>>,
    /// How the primary gets to know its storage: told directly (default), or by NetBackup's commands.
    #[schemars(with = "Option<SetUp>")]
    pub(super) set_up: Option<Spanned<SetUp>>,
    /// Whose word counts for what a storage server can do, with `set_up: commands`: what was recorded last (default), or
    /// the plug-in's alone.
    #[schemars(with = "Option<AttributeSource>")]
    pub(super) attributes: Option<Spanned<AttributeSource>>,
}

impl Nbu {
    /// Global attributes, every default in its place.
    pub(super) fn globals(&self) -> GlobalAttributes {
        let default = GlobalAttributes::default();
        GlobalAttributes {
            clock_start: self.clock_start.unwrap_or(default.clock_start),
            schedule_attempts: self
                .schedule_attempts
                .as_ref()
                .map_or(default.schedule_attempts, |attempts| attempts.value),
            job_retry_delay: self.job_retry_delay.unwrap_or(default.job_retry_delay),
            incomplete_to_done: self.incomplete_to_done.unwrap_or(default.incomplete_to_done),
            job_silence: self.job_silence.unwrap_or(default.job_silence),
            max_jobs_per_client: self.max_jobs_per_client.unwrap_or(default.max_jobs_per_client),
            disk_polling: self.disk_polling.as_ref().map(|interval| interval.value),
            image_cleanup_interval: self
                .image_cleanup_interval
                .as_ref()
                .map_or(default.image_cleanup_interval, |interval| interval.value),
            image_expiry_dependency_check: self
                .image_expiry_dependency_check
                .unwrap_or(default.image_expiry_dependency_check),
            slp: self.slp.as_ref().map_or(default.slp, |given| given.value.clone()),
            set_up: self.set_up.as_ref().map_or(default.set_up, |set_up| set_up.value),
            attributes: self.attributes.as_ref().map_or(default.attributes, |given| given.value),
        }
    }

    /// Whether NetBackup's commands set the storage up.
    pub(super) fn by_commands(&self) -> bool {
        self.set_up.as_ref().is_some_and(|set_up| set_up.value == SetUp::Commands)
    }
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TimeoutsFile {
    #[schemars(with = "Option<Milliseconds>")]
    pub(super) client_read: Option<Spanned<Milliseconds>>,
    #[schemars(with = "Option<Milliseconds>")]
    pub(super) client_connect: Option<Spanned<Milliseconds>>,
    #[schemars(with = "Option<Milliseconds>")]
    pub(super) stop: Option<Spanned<Milliseconds>>,
}

/// NetBackup's files for bptm's buffers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Buffers {
    /// Bytes of one buffer, 1024 to 64 MiB, in whole KiB; default 262144.
    #[serde(rename = "SIZE_DATA_BUFFERS_DISK")]
    #[schemars(with = "Option<ByteSize>")]
    pub(super) size: Option<Spanned<ByteSize>>,
    /// Buffers of one job, 1 to 65536; default 30.
    #[serde(rename = "NUMBER_DATA_BUFFERS_DISK")]
    #[schemars(with = "Option<u32>", range(min = 1, max = 65536))]
    pub(super) number: Option<Spanned<u32>>,
    /// Unit in which the parent's waiting is counted; default 15ms.
    #[schemars(with = "Option<Milliseconds>")]
    pub(super) parent_delay: Option<Spanned<Milliseconds>>,
    /// Unit in which the child's waiting is counted; default 10ms.
    #[schemars(with = "Option<Milliseconds>")]
    pub(super) child_delay: Option<Spanned<Milliseconds>>,
}
