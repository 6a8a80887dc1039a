//! Where every figure about requests comes from: what was asked of the cluster, a VIP, a node, a view, a tenant, a user
//! or by one operation, in total and over time on the cluster's clock.
//!
//! Requests only add to live numbers. Ten-second slots are cut from those by a background job, or at once when somebody
//! asks, so that a figure is never older than the question.

pub(crate) mod levels;
pub(crate) mod series;
pub(crate) mod tally;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::background::Job;
use crate::clock::Clock;
use crate::core::Core;
use crate::counters::{OperationCounting, add};
use crate::env::millis;
use crate::qos::OnTheWay;
use crate::store::lock;
use crate::store::registry::{Row, number, text};
use crate::store::state::State;
use levels::{Level, Levels};
use series::{SLOT, Series};
use tally::{Class, Count, LiveTally, Tally};

/// How a cluster watches itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitoring {
    /// How old the usage that quotas show may be: figures are brought up to date once in this time. Zero shows what is
    /// stored at the moment of the question. Limits are always enforced exactly.
    pub quota_lag: Duration,
    /// Most events, and most alarms, that are kept; the oldest go first.
    pub events_kept: usize,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { quota_lag: Duration::ZERO, events_kept: 10_000 }
    }
}

/// What numbers are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Cluster,
    Vip(IpAddr),
    CNode(u64),
    View(u64),
    Tenant(u64),
    User(u64),
    Quota(u64),
    /// What a user did in a view.
    UserView(u64, u64),
    /// An S3 operation, over all VIPs.
    Operation(&'static str),
    /// Everything beyond [`MAX_SUBJECTS`].
    Rest,
}

/// Shortest time between two looks at all quotas, in milliseconds.
const REVIEW_EVERY: u64 = 1_000;

/// Most subjects with numbers of their own; what comes later is counted together.
const MAX_SUBJECTS: usize = 4096;

/// The numbers of one subject.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    live: LiveTally,
    past: Mutex<Past>,
}

#[derive(Debug, Default)]
struct Past {
    /// The live numbers when the last slot was cut.
    seen: Tally,
    series: Series,
}

impl Meter {
    /// Puts what came since the last time into the slot at `slot`.
    fn cut(&self, slot: u64) -> Tally {
        let mut past = lock(&self.past);
        let now = self.live.read();
        let change = now.since(&past.seen);
        if !change.is_zero() {
            past.series.add(slot, &change);
            past.seen = now;
        }
        change
    }

    /// Everything since the start.
    pub(crate) fn total(&self) -> Tally {
        self.live.read()
    }

    /// See [`Series::sum`].
    pub(crate) fn sum(&self, from: u64, to: u64) -> Tally {
        lock(&self.past).series.sum(from, to)
    }

    /// See [`Series::slots`].
    pub(crate) fn slots(&self, from: u64, to: u64, width: u64) -> Vec<(u64, Tally)> {
        lock(&self.past).series.slots(from, to, width)
    }
}

/// All numbers of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    subjects: Mutex<HashMap<Subject, Arc<Meter>>>,
    /// Space over time, of the cluster and of what has a path.
    space: Mutex<HashMap<Subject, Levels>>,
    activity: Arc<Activity>,
}

/// When the next slot ends; zero while nothing happened since the last one.
#[derive(Debug, Default)]
struct Activity {
    due: AtomicU64,
    /// When quotas are to be looked at next; zero as above.
    review: AtomicU64,
    /// Milliseconds between two such looks; zero stands for a second.
    review_every: AtomicU64,
}

/// A slot ends with the millisecond that is a multiple of its width.
pub(crate) fn slot_end(now: u64) -> u64 {
    now.div_ceil(SLOT) * SLOT
}

impl Activity {
    fn touch(&self, clock: &dyn Clock) {
        if self.due.load(Ordering::Relaxed) == 0 {
            let now = millis(clock.now());
            let end = slot_end(now);
            // Whoever comes first knows best.
            let _ = self.due.compare_exchange(0, end, Ordering::Relaxed, Ordering::Relaxed);
        }
        if self.review.load(Ordering::Relaxed) == 0 {
            let every = self.review_every.load(Ordering::Relaxed).max(REVIEW_EVERY);
            let at = millis(clock.now()).div_ceil(every) * every;
            let _ = self.review.compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Metrics {
    /// Figures of quotas may be as old as that.
    pub(crate) fn lagging(settings: &Monitoring) -> Self {
        let metrics = Self::default();
        let every = u64::try_from(settings.quota_lag.as_millis()).unwrap_or(u64::MAX);
        metrics.activity.review_every.store(every, Ordering::Relaxed);
        metrics
    }

    /// Something may have changed what is stored, beside a counted request.
    pub(crate) fn touch(&self, core: &Core) {
        self.activity.touch(&*core.config.clock);
    }

    /// When quotas are to be looked at, because something was written since the last time.
    pub(crate) fn review_due(&self) -> Option<u64> {
        Some(self.activity.review.load(Ordering::Relaxed)).filter(|due| *due > 0)
    }

    /// Quotas are being looked at.
    pub(crate) fn reviewed(&self) {
        self.activity.review.store(0, Ordering::Relaxed);
    }

    /// The numbers of a subject, made when there are none.
    pub(crate) fn meter(&self, subject: Subject) -> Arc<Meter> {
        let mut subjects = lock(&self.subjects);
        if let Some(meter) = subjects.get(&subject) {
            return Arc::clone(meter);
        }
        let subject = if subjects.len() < MAX_SUBJECTS { subject } else { Subject::Rest };
        Arc::clone(subjects.entry(subject).or_default())
    }

    /// The numbers of a subject that had any.
    pub(crate) fn known(&self, subject: Subject) -> Option<Arc<Meter>> {
        lock(&self.subjects).get(&subject).cloned()
    }

    /// Every user's part in every view.
    pub(crate) fn user_views(&self) -> Vec<(u64, u64, Arc<Meter>)> {
        let pair = |(subject, meter): (&Subject, &Arc<Meter>)| match subject {
            Subject::UserView(user, view) => Some((*user, *view, Arc::clone(meter))),
            _ => None,
        };
        let mut pairs: Vec<_> = lock(&self.subjects).iter().filter_map(pair).collect();
        pairs.sort_by_key(|(user, view, _)| (*view, *user));
        pairs
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        lock(&self.subjects).clear();
        lock(&self.space).clear();
        self.activity.due.store(0, Ordering::Relaxed);
        self.activity.review.store(0, Ordering::Relaxed);
    }

    /// Cuts a slot now: what was counted since the last one is over and done with. Called before a VIP moves, too, so
    /// that its past stays with the node that served it.
    pub(crate) fn cut(&self, core: &Core) {
        let now = core.now_ms();
        core.store.read(|state| self.cut_in(state, now));
    }

    /// [`Self::cut`] for those who hold the state.
    pub(crate) fn cut_in(&self, state: &State, now: u64) {
        self.note_space(state, now);
        let due = self.activity.due.swap(0, Ordering::Relaxed);
        let slot = if (1..=now).contains(&due) { due } else { slot_end(now) }.saturating_sub(SLOT);
        let host = |(_, row): (u64, &Row)| Some((text(row, "ip").to_owned(), number(row, "_cnode_id")?));
        let hosts: HashMap<String, u64> = state.vms.rows("vips").filter_map(host).collect();
        let meters: Vec<(Subject, Arc<Meter>)> =
            lock(&self.subjects).iter().map(|(s, m)| (*s, Arc::clone(m))).collect();
        for (subject, meter) in meters {
            if matches!(subject, Subject::CNode(_)) {
                continue;
            }
            let change = meter.cut(slot);
            if let Subject::Vip(ip) = subject
                && !change.is_zero()
                && let Some(node) = hosts.get(&ip.to_string())
            {
                let node = self.meter(Subject::CNode(*node));
                node.live.add_all(&change);
                node.cut(slot);
            }
        }
    }

    /// Notes how much space everything takes now.
    fn note_space(&self, state: &State, now: u64) {
        let mut space = lock(&self.space);
        let tenant = |row: &Row| number(row, "tenant_id").unwrap_or(1);
        let usage = |tenant, path: &str| {
            let bytes = state.usage(tenant, path).bytes;
            Level { logical: bytes, physical: bytes }
        };
        let cluster = Level { logical: state.cluster_usage().bytes, physical: state.physical_bytes() };
        space.entry(Subject::Cluster).or_default().note(now, cluster);
        for (id, row) in state.vms.rows("views") {
            space.entry(Subject::View(id)).or_default().note(now, usage(tenant(row), text(row, "path")));
        }
        for (id, row) in state.vms.rows("quotas") {
            space.entry(Subject::Quota(id)).or_default().note(now, usage(tenant(row), text(row, "path")));
        }
        for (id, _) in state.vms.rows("tenants") {
            space.entry(Subject::Tenant(id)).or_default().note(now, usage(id, "/"));
        }
        space.retain(|subject, _| match subject {
            Subject::View(id) => state.vms.row("views", *id).is_some(),
            Subject::Quota(id) => state.vms.row("quotas", *id).is_some(),
            Subject::Tenant(id) => state.vms.row("tenants", *id).is_some(),
            _ => true,
        });
    }

    /// How much space a subject took at a time; none when that is not known any more, or was not yet.
    pub(crate) fn space_at(&self, subject: Subject, time: u64) -> Option<Level> {
        lock(&self.space).get(&subject)?.at(time)
    }

    /// Counts a request that arrived.
    pub(crate) fn request(
        &self,
        core: &Core,
        vip: IpAddr,
        counting: Arc<OperationCounting>,
        what: (&'static str, Class, Option<u64>),
    ) -> Arc<RequestMeter> {
        let (operation, class, view) = what;
        let mut meters = vec![
            self.meter(Subject::Cluster),
            self.meter(Subject::Vip(vip)),
            self.meter(Subject::Operation(operation)),
        ];
        meters.extend(view.map(|id| self.meter(Subject::View(id))));
        for meter in &meters {
            meter.live.add(class.requests(), 1);
        }
        let clock = Arc::clone(&core.config.clock);
        self.activity.touch(&*clock);
        Arc::new(RequestMeter {
            counting,
            class,
            meters,
            view,
            caller: OnceLock::new(),
            activity: Arc::clone(&self.activity),
            started: clock.now(),
            clock,
            failed: AtomicBool::new(false),
            waited: AtomicU64::new(0),
            places: OnceLock::new(),
        })
    }
}

/// Counts one request on its way.
#[derive(Debug)]
pub(crate) struct RequestMeter {
    counting: Arc<OperationCounting>,
    class: Class,
    meters: Vec<Arc<Meter>>,
    view: Option<u64>,
    /// The user, the tenant, and the user in this view, known once the signature has been checked.
    caller: OnceLock<Vec<Arc<Meter>>>,
    activity: Arc<Activity>,
    clock: Arc<dyn Clock>,
    started: std::time::SystemTime,
    failed: AtomicBool,
    /// Microseconds spent waiting before the caller was known.
    waited: AtomicU64,
    places: OnceLock<Vec<OnTheWay>>,
}

impl RequestMeter {
    fn add(&self, count: Count, n: u64) {
        for meter in self.meters.iter().chain(self.caller.get().into_iter().flatten()) {
            meter.live.add(count, n);
        }
    }

    /// Says who is asking.
    pub(crate) fn by(&self, metrics: &Metrics, user_id: u64, tenant_id: u64) {
        let mut meters =
            vec![metrics.meter(Subject::User(user_id)), metrics.meter(Subject::Tenant(tenant_id))];
        meters.extend(self.view.map(|view| metrics.meter(Subject::UserView(user_id, view))));
        let waited = self.waited.load(Ordering::Relaxed);
        for meter in &meters {
            meter.live.add(self.class.requests(), 1);
            meter.live.add(Count::QosWaitMicros, waited);
        }
        let _ = self.caller.set(meters);
    }

    /// Bytes of the request's body arrived.
    pub(crate) fn took(&self, n: u64) {
        add(&self.counting.bytes_in, n);
        if self.class == Class::Write {
            self.add(Count::WriteBytes, n);
        }
    }

    /// Bytes of the answer's body are on their way.
    pub(crate) fn sent(&self, n: u64) {
        add(&self.counting.bytes_out, n);
        if self.class == Class::Read && !self.failed.load(Ordering::Relaxed) {
            self.add(Count::ReadBytes, n);
        }
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// Keeps the request's place among those on the way until it is over.
    pub(crate) fn hold(&self, places: Vec<OnTheWay>) {
        let _ = self.places.set(places);
    }

    /// The request waited for its share of a limit.
    pub(crate) fn waited(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(micros, Ordering::Relaxed);
        self.add(Count::QosWaitMicros, micros);
    }

    /// A limit refused the request.
    pub(crate) fn refused(&self) {
        self.add(Count::QosRefused, 1);
    }

    /// The request is answered with an error, or will not be answered.
    pub(crate) fn failed(&self) {
        self.counting.failed();
        if !self.failed.swap(true, Ordering::Relaxed) {
            self.add(Count::Errors, 1);
        }
    }

    /// The head of the answer is ready.
    pub(crate) fn answered(&self) {
        let took = self.clock.now().duration_since(self.started).unwrap_or_default();
        self.add(self.class.micros(), u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.activity.touch(&*self.clock);
    }
}

impl Drop for RequestMeter {
    fn drop(&mut self) {
        // What a long body added since the last slot.
        self.activity.touch(&*self.clock);
    }
}

/// Cuts slots while there is anything to count.
pub(crate) struct Slots;

impl Job for Slots {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn next_due(&self, core: &Core) -> Option<u64> {
        Some(core.metrics.activity.due.load(Ordering::Relaxed)).filter(|due| *due > 0)
    }

    fn run(&self, core: &Arc<Core>, _: u64) {
        core.metrics.cut(core);
    }
}
