//! What bptm and bpdm share: the order, the control connection, the open storage server, log lines, and how a failure
//! becomes a status.

use std::time::Duration;

use crate::nbu::held::{Footprint, Held};
use crate::nbu::install::Timeouts;
use crate::nbu::plugin::{ImageId, ImageWriter, Plugin, Server, ServerProperties, Session};
use crate::nbu::process::link::{Link, LinkError};
use crate::nbu::process::message::{FromMover, MoverOrder, MoverReport, ToMover};
use crate::nbu::result::{StsFailure, WaitDelay, Warning};
use crate::nbu::status::{Place, code, map_error, status_text};

use super::ring::{Counted, RingError};

/// How often progress is reported at most.
pub(super) const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Why bptm or bpdm gives up.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: i32,
    pub(crate) text: String,
    pub(crate) sts: Option<StsFailure>,
    /// Whether the job's images may be another's by now.
    pub(crate) superseded: bool,
}

impl Failure {
    pub(crate) fn new(status: i32, what: impl std::fmt::Display) -> Self {
        Self { status, text: format!("{}: {what}", status_text(status)), sts: None, superseded: false }
    }

    /// bpbrm has lost nbjm, or this process has lost bpbrm: what it made may be made again elsewhere.
    pub(crate) fn superseded() -> Self {
        Self { superseded: true, ..Self::new(code::CONNECTION_BROKEN, "nobody follows this job any more") }
    }

    /// The operator's cancel, or bpbrm's order to give up.
    pub(crate) fn aborted() -> Self {
        Self::new(code::CANCELLED, "bpbrm ended the job")
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let status = match error {
            LinkError::TimedOut { .. } => code::TIMED_OUT,
            _ => code::CONNECTION_BROKEN,
        };
        Self::new(status, error)
    }
}

impl From<RingError<Self>> for Failure {
    fn from(error: RingError<Self>) -> Self {
        match error {
            RingError::TimedOut => Self::new(code::TIMED_OUT, "no buffer moved between bptm and its child"),
            RingError::ConsumerGone => {
                Self::new(code::SOCKET_WRITE, "the receiving side of the stream has gone")
            }
            RingError::Stopped(failure) => failure,
        }
    }
}

/// The running bptm or bpdm, as far as it is not the plug-in.
#[derive(Debug)]
pub(crate) struct Mover {
    pub(crate) name: &'static str,
    pub(crate) link: Link,
    pub(crate) order: MoverOrder,
    /// What this process held before it loaded the plug-in; none before that.
    before: Option<Held>,
}

impl Mover {
    pub(crate) const fn new(name: &'static str, link: Link, order: MoverOrder) -> Self {
        Self { name, link, order, before: None }
    }

    /// What is left of the plug-in in this process, to be asked after `stspi_terminate`; none when it was never loaded.
    pub(crate) fn footprint(&mut self) -> Option<Footprint> {
        let footprint = Held::more_than(self.before.as_ref()?);
        let Footprint { descriptors_before, descriptors_after, threads_before, threads_after, .. } =
            footprint;
        self.log(
            4,
            format!(
                "after stspi_terminate: {descriptors_after} descriptors, {threads_after} threads; before the load: \
                 {descriptors_before}, {threads_before}"
            ),
        );
        Some(footprint)
    }

    /// Timeouts of the job.
    pub(crate) const fn timeouts(&self) -> &Timeouts {
        &self.order.installation.timeouts
    }

    /// Writes a line into the log. A broken connection is noticed elsewhere, where something can be done about it.
    pub(crate) fn log(&mut self, severity: i32, text: impl std::fmt::Display) {
        let line = format!("<{severity}> {}", self.line(&text));
        let _ = self.link.send(&FromMover::Log(line));
    }

    /// Writes a line into the job details as NetBackup shows it there.
    pub(crate) fn info(&mut self, text: impl std::fmt::Display) {
        let line = format!("Info {} (pid={}) {text}", self.name, std::process::id());
        let _ = self.link.send(&FromMover::Log(line));
    }

    /// A line as the log has it, without the severity: `jobid:process:pid:server: text`.
    fn line(&self, text: &dyn std::fmt::Display) -> String {
        let server = &self.order.storage_unit.server;
        format!("{}:{}:{}:{server}: {text}", self.order.job_id, self.name, std::process::id())
    }

    /// Hands on what the plug-in has logged.
    pub(crate) fn pass_log(&mut self, plugin: &Plugin) {
        for (severity, text) in plugin.take_log() {
            self.log(severity, text);
        }
    }

    /// Fails if bpbrm wants an end, or has gone.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.link.poll::<ToMover>()? {
            Some(ToMover::Abort) => Err(Failure::aborted()),
            Some(ToMover::Leave) => Err(Failure::superseded()),
            Some(_) => Err(Failure::new(code::HANDSHAKE, "bpbrm sent a message out of turn")),
            None if self.link.is_closed() => Err(Failure::superseded()),
            None => Ok(()),
        }
    }

    /// Whether what this process has made may be deleted: bpbrm says so, as long as nbjm follows it.
    pub(crate) fn may_delete(&mut self) -> bool {
        let timeout = self.timeouts().stop();
        self.link.send(&FromMover::Failing).is_ok()
            && matches!(self.link.receive(timeout), Ok(Some(ToMover::Abort)))
    }

    /// Waits for bpbrm's answer.
    pub(crate) fn answer(&mut self, timeout: Duration) -> Result<ToMover, Failure> {
        match self.link.receive(timeout)? {
            Some(ToMover::Abort) => Err(Failure::aborted()),
            Some(ToMover::Leave) | None => Err(Failure::superseded()),
            Some(answer) => Ok(answer),
        }
    }

    /// Turns a plug-in error into a failure and logs both.
    pub(crate) fn failed(&mut self, plugin: Option<&Plugin>, sts: StsFailure) -> Failure {
        if let Some(plugin) = plugin {
            self.pass_log(plugin);
        }
        let mapped = map_error(&self.order.installation.status_rules, sts.place, sts.code);
        let image = if sts.image.is_empty() { String::new() } else { format!(" of {}", sts.image) };
        let what = format!("{}{image} failed: error {}: {}", sts.call, sts.code, sts.text);
        self.log(32, &what);
        if !mapped.known {
            let text = format!("error {} is in no table, status {} is a guess", sts.code, mapped.status);
            self.log(8, &text);
            let _ = self.link.send(&FromMover::Warning(Warning { path: Vec::new()[..].into(), text }));
        }
        Failure { sts: Some(sts), ..Failure::new(mapped.status, what) }
    }

    /// After a failure: deletes what this process created, last first, if that is still the job's. What cannot be
    /// deleted is left behind.
    pub(crate) fn discard(
        &mut self,
        plugin: &Plugin,
        server: &Server<'_>,
        failure: &Failure,
        report: &mut MoverReport,
    ) {
        report.fragments.clear();
        if failure.superseded || !self.may_delete() {
            self.log(8, "nobody follows this job any more: what it made is left as it is");
            report.left_behind = std::mem::take(&mut report.images);
            return;
        }
        for name in std::mem::take(&mut report.images).into_iter().rev() {
            match server.delete_image(&image_id(&self.order, &name)) {
                Ok(_) => self.log(4, format!("deleted {name} after status {}", failure.status)),
                Err(sts) => {
                    self.complain(plugin, &sts);
                    report.left_behind.push(name);
                }
            }
        }
    }

    /// Logs an error that changes nothing about how the job ends.
    pub(crate) fn complain(&mut self, plugin: &Plugin, sts: &StsFailure) {
        self.pass_log(plugin);
        self.log(16, format!("{} of {} failed: error {}: {}", sts.call, sts.image, sts.code, sts.text));
    }

    /// Creates an image of the job's backup. bpbrm is told beforehand: if this process dies in the call, bpbrm has to
    /// assume that the image exists.
    pub(crate) fn create<'s>(
        &mut self,
        plugin: &Plugin,
        server: &'s Server<'_>,
        name: &str,
        pending: bool,
        report: &mut MoverReport,
    ) -> Result<ImageWriter<'s>, Failure> {
        self.link.send(&FromMover::Creating(name.to_owned()))?;
        match server.create_image(&image_id(&self.order, name), pending) {
            Ok(image) => {
                report.images.push(name.to_owned());
                self.pass_log(plugin);
                self.log(2, format!("created image {name}"));
                Ok(image)
            }
            Err(sts) => Err(self.failed(Some(plugin), sts)),
        }
    }

    /// Loads the plug-in.
    pub(crate) fn load(&mut self) -> Result<Plugin, Failure> {
        let path = self.order.installation.plugin.clone();
        let before = Held::now();
        match Plugin::load(&path) {
            Ok(plugin) => {
                self.before = Some(before);
                self.log(2, format!("loaded {}: {}", path.display(), plugin.description()));
                Ok(plugin)
            }
            Err(error) => {
                self.log(32, &error);
                let rules = &self.order.installation.status_rules;
                let status = map_error(rules, Place::Load, ost_abi::STS_EPLUGIN).status;
                Err(Failure::new(status, error))
            }
        }
    }

    /// Opens the storage server and asks for its properties.
    pub(crate) fn open<'p>(&mut self, plugin: &'p Plugin) -> Result<Server<'p>, Failure> {
        self.open_with_properties(plugin).map(|(server, _)| server)
    }

    /// The same, with what the server can do.
    pub(crate) fn open_with_properties<'p>(
        &mut self,
        plugin: &'p Plugin,
    ) -> Result<(Server<'p>, ServerProperties), Failure> {
        let unit = self.order.storage_unit.clone();
        let session = Session {
            application: self.name,
            job_id: self.order.job_id,
            server: &unit.server,
            user: &unit.user,
            password: &unit.password,
        };
        let opened = plugin.open_server(&session).and_then(|server| {
            let properties = server.properties()?;
            Ok((server, properties))
        });
        match opened {
            Ok((server, mut properties)) => {
                self.log(4, format!("opened storage server {}", properties.description));
                let lost = unit.capabilities.as_deref().map(|recorded| properties.limit(recorded));
                if let Some(lost) = lost.filter(|lost| !lost.is_empty()) {
                    let lost = lost.join(", ");
                    self.log(
                        4,
                        format!(
                            "not recorded of the storage server, so not used: {lost} (nbdevconfig -updatests)"
                        ),
                    );
                }
                self.pass_log(plugin);
                Ok((server, properties))
            }
            Err(sts) => Err(self.failed(Some(plugin), sts)),
        }
    }

    /// Asks for the LSU: it must exist. Returns the bytes left, where known.
    pub(crate) fn check_lsu(&mut self, plugin: &Plugin, server: &Server<'_>) -> Result<Option<u64>, Failure> {
        let lsu = self.order.storage_unit.lsu.clone();
        match server.lsu_space(&lsu) {
            Ok(space) => {
                let figure = |f: Option<u64>| f.map_or("unknown".to_owned(), |bytes| bytes.to_string());
                self.log(
                    4,
                    format!(
                        "LSU {lsu}: capacity {} bytes, used {}",
                        figure(space.capacity),
                        figure(space.used)
                    ),
                );
                self.pass_log(plugin);
                Ok(space.free())
            }
            Err(sts) if sts.code == ost_abi::STS_ENOENT => {
                self.log(16, format!("the storage server has no LSU {lsu:?}"));
                let mut failure = self.failed(Some(plugin), sts);
                failure.text = format!("{} (the storage server has no LSU {lsu:?})", failure.text);
                Err(failure)
            }
            Err(sts) => Err(self.failed(Some(plugin), sts)),
        }
    }
}

/// The failure of a call that is not made, since the server does not offer it. Its text tells it from a call that the
/// plug-in refused.
pub(crate) fn not_offered(place: Place, call: &str) -> StsFailure {
    let code = ost_abi::STS_ENOTSUP;
    let text = format!("{}, and the storage server does not offer it", ost_abi::sts_error_text(code));
    StsFailure { place, call: call.to_owned(), image: String::new(), code, text }
}

/// The identity of one of the job's images.
pub(crate) fn image_id<'a>(order: &'a MoverOrder, name: &'a str) -> ImageId<'a> {
    ImageId { lsu: &order.storage_unit.lsu, name, date: order.backup_time, policy: &order.policy }
}

/// Counted waits as NetBackup prints them.
pub(crate) const fn wait_delay(counted: Counted, delay_ms: u32) -> WaitDelay {
    let quantum = if delay_ms == 0 { 1 } else { delay_ms as u64 } * 1_000_000;
    WaitDelay { waits: counted.waits, delays: counted.waited_ns / quantum, waited_ns: counted.waited_ns }
}
