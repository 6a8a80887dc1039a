//! The armed faults: which of them a request meets, which of them stand, and what they have done so far.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::filter::TASK;
use super::hit::{Hit, Met};
use super::{Effect, Fault, FaultHit, FaultStatus, Plane};
use crate::background::Job;
use crate::clock::Clock;
use crate::core::Core;
use crate::env::millis;
use crate::store::lock;

/// Hits remembered for reports.
const LOG_LIMIT: usize = 10_000;
/// Faults armed at a time.
const FAULT_LIMIT: usize = 1_000;

/// A request as faults see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) plane: Plane,
    pub(crate) operation: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) vip: &'a str,
    pub(crate) cnode: &'a str,
    pub(crate) request_id: &'a str,
}

impl<'a> Request<'a> {
    /// A VMS request, or a task by its name.
    pub(crate) fn vms(operation: &'a str) -> Self {
        Self { plane: Plane::Vms, operation, bucket: "", key: "", vip: "", cnode: "", request_id: "" }
    }
}

/// The line that all requests under one limit queue in.
#[derive(Debug, Default)]
pub(crate) struct Lane(Mutex<Option<std::time::SystemTime>>);

impl Lane {
    /// Books the time that `bytes` take; gives how long to wait until they are through. After a rest, `burst` bytes pass
    /// without waiting.
    pub(crate) fn book(&self, clock: &dyn Clock, bytes: u64, per_second: u64, burst: u64) -> Duration {
        let now = clock.now();
        let time = |n: u64| {
            Duration::from_nanos(n.saturating_mul(1_000_000_000).checked_div(per_second).unwrap_or(u64::MAX))
        };
        let takes = time(bytes);
        let mut free = lock(&self.0);
        let end = free.filter(|f| *f > now).unwrap_or(now) + takes;
        *free = Some(end);
        end.duration_since(now).unwrap_or_default().saturating_sub(time(burst))
    }
}

/// The faults of a cluster. Callable from any thread; takes effect with the next request.
pub struct Faults {
    shared: Arc<Shared>,
    /// Called after every change of what is armed.
    changed: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// What requests hold on to while they are under way.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Shared {
    /// Counts and logs that a fault did something.
    pub(super) fn hit(&self, about: FaultHit) {
        let now = millis(self.clock.now());
        let mut inner = lock(&self.inner);
        if let Some(armed) = inner.armed.get_mut(&about.fault_id) {
            armed.under_way = armed.under_way.saturating_sub(1);
            armed.status.hits += 1;
        }
        inner.log(FaultHit { time_ms: now, ..about });
    }

    /// A request that met a fault has passed it unharmed.
    pub(super) fn give_back(&self, fault_id: u64) {
        if let Some(armed) = lock(&self.inner).armed.get_mut(&fault_id) {
            armed.under_way = armed.under_way.saturating_sub(1);
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    armed: BTreeMap<u64, Armed>,
    hits: u64,
    log: VecDeque<FaultHit>,
}

#[derive(Debug)]
struct Armed {
    status: FaultStatus,
    /// Requests that it may still hit: they count against its `count`.
    under_way: u64,
    lane: Arc<Lane>,
}

impl Inner {
    fn log(&mut self, hit: FaultHit) {
        self.hits += 1;
        if self.log.len() == LOG_LIMIT {
            self.log.pop_front();
        }
        self.log.push_back(FaultHit { number: self.hits, ..hit });
    }
}

impl Faults {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { inner: Mutex::default(), clock }), changed: OnceLock::new() }
    }

    /// Says whom to tell about changes. Only the first is told.
    pub(crate) fn tell(&self, changed: impl Fn() + Send + Sync + 'static) {
        let _ = self.changed.set(Box::new(changed));
    }

    fn announce(&self) {
        if let Some(changed) = self.changed.get() {
            changed();
        }
    }

    /// Arms a fault and gives its number. What it does to addresses and nodes is done when this returns.
    ///
    /// # Errors
    /// A text that says what is wrong with the fault.
    pub fn add(&self, fault: Fault) -> Result<u64, String> {
        fault.check()?;
        let now = millis(self.shared.clock.now());
        let mut inner = lock(&self.shared.inner);
        if inner.armed.len() >= FAULT_LIMIT {
            return Err(format!("{FAULT_LIMIT} faults are armed already; remove some"));
        }
        inner.last_id += 1;
        let id = inner.last_id;
        let until_ms = fault.for_ms.map(|ms| now.saturating_add(ms));
        let status = FaultStatus { id, seen: 0, hits: 0, until_ms, fault };
        inner.armed.insert(id, Armed { status, under_way: 0, lane: Arc::default() });
        drop(inner);
        self.announce();
        Ok(id)
    }

    /// Disarms a fault; false when there is none of that number.
    pub fn remove(&self, id: u64) -> bool {
        let was_there = lock(&self.shared.inner).armed.remove(&id).is_some();
        if was_there {
            self.announce();
        }
        was_there
    }

    /// Disarms all faults. The log stays: it tells what they did.
    pub fn clear(&self) {
        lock(&self.shared.inner).armed.clear();
        self.announce();
    }

    /// Forgets all hits; what is armed stays so.
    pub fn clear_log(&self) {
        let mut inner = lock(&self.shared.inner);
        inner.log.clear();
        inner.hits = 0;
    }

    /// Forgets everything; numbers start again at 1.
    pub(crate) fn start_over(&self) {
        *lock(&self.shared.inner) = Inner::default();
        self.announce();
    }

    /// All armed faults, used up ones included.
    pub fn list(&self) -> Vec<FaultStatus> {
        lock(&self.shared.inner).armed.values().map(|a| a.status.clone()).collect()
    }

    /// The latest hits, oldest first.
    pub fn log(&self) -> Vec<FaultHit> {
        lock(&self.shared.inner).log.iter().cloned().collect()
    }

    /// How many hits there were since the start or the last [`Self::clear_log`], forgotten ones included.
    pub fn hits(&self) -> u64 {
        lock(&self.shared.inner).hits
    }

    /// Whether nothing is armed: most of the time.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.shared.inner).armed.is_empty()
    }

    /// Whether the task of this name shall fail, and what it says then. Faults know it as `TASK <name>`.
    pub(crate) fn fails_task(&self, name: &str) -> Option<String> {
        let met = self.take(&Request::vms(&format!("{TASK}{name}")));
        met.into_iter().find_map(|m| {
            let says = match m.effect {
                Effect::TaskFailed { message } if message.is_empty() => "failed on purpose".to_owned(),
                Effect::TaskFailed { message } => message,
                Effect::Error { code, message, .. } => {
                    Some(message).filter(|m| !m.is_empty()).unwrap_or(code)
                }
                _ => return None,
            };
            m.hit.happened();
            Some(says)
        })
    }

    /// The faults that this request meets, in the order in which they were armed.
    pub(crate) fn take(&self, request: &Request<'_>) -> Vec<Met> {
        let mut inner = lock(&self.shared.inner);
        if inner.armed.is_empty() {
            return Vec::new();
        }
        let now = millis(self.shared.clock.now());
        let mut met = Vec::new();
        for armed in inner.armed.values_mut() {
            let status = &mut armed.status;
            let over = status.until_ms.is_some_and(|until| until <= now);
            if over || !status.fault.matches(request) {
                continue;
            }
            status.seen += 1;
            let left = status.fault.count.is_none_or(|c| status.hits + armed.under_way < c);
            if status.seen > status.fault.skip && left && status.fault.is_picked(status.seen) {
                armed.under_way += 1;
                let about = FaultHit {
                    number: 0,
                    fault_id: status.id,
                    effect: status.fault.effect.name().to_owned(),
                    time_ms: now,
                    request_id: request.request_id.to_owned(),
                    operation: request.operation.to_owned(),
                    bucket: request.bucket.to_owned(),
                    key: request.key.to_owned(),
                    vip: request.vip.to_owned(),
                    cnode: request.cnode.to_owned(),
                };
                met.push(Met {
                    effect: status.fault.effect.clone(),
                    hit: Hit::new(Arc::clone(&self.shared), about),
                    number: status.seen,
                    seed: status.fault.seed,
                    lane: Arc::clone(&armed.lane),
                });
            }
        }
        met
    }

    /// The faults that stand now.
    pub(crate) fn standing(&self) -> Vec<(u64, Fault)> {
        let now = millis(self.shared.clock.now());
        let stands = |s: &FaultStatus| s.fault.effect.is_standing() && s.until_ms.is_none_or(|u| u > now);
        let inner = lock(&self.shared.inner);
        let standing = inner.armed.values().filter(|a| stands(&a.status));
        standing.map(|a| (a.status.id, a.status.fault.clone())).collect()
    }

    /// Notes what a standing fault did.
    pub(crate) fn did(&self, fault_id: u64, what: &str, vip: &str, cnode: &str) {
        let now = millis(self.shared.clock.now());
        let mut inner = lock(&self.shared.inner);
        let Some(armed) = inner.armed.get_mut(&fault_id) else { return };
        armed.status.seen += 1;
        armed.status.hits += 1;
        let effect = armed.status.fault.effect.name().to_owned();
        inner.log(FaultHit {
            number: 0,
            fault_id,
            effect,
            time_ms: now,
            request_id: String::new(),
            operation: what.to_owned(),
            bucket: String::new(),
            key: String::new(),
            vip: vip.to_owned(),
            cnode: cnode.to_owned(),
        });
    }
}

/// Disarms faults whose time is over.
pub(crate) struct Expiry;

impl Job for Expiry {
    fn name(&self) -> &'static str {
        "fault expiry"
    }

    fn next_due(&self, core: &Core) -> Option<u64> {
        lock(&core.faults.shared.inner).armed.values().filter_map(|a| a.status.until_ms).min()
    }

    fn run(&self, core: &Arc<Core>, at: u64) {
        lock(&core.faults.shared.inner).armed.retain(|_, a| a.status.until_ms.is_none_or(|until| until > at));
        core.faults.announce();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;

    fn faults() -> Faults {
        Faults::new(Arc::new(SimClock::frozen_at(std::time::UNIX_EPOCH)))
    }

    fn put(key: &str) -> Request<'_> {
        Request {
            plane: Plane::S3,
            operation: "PutObject",
            bucket: "b",
            key,
            vip: "127.0.0.11",
            cnode: "cnode-1",
            request_id: "R1",
        }
    }

    /// Lets every fault that a PUT meets happen; gives their numbers.
    fn hit(faults: &Faults, key: &str) -> Vec<u64> {
        let met = faults.take(&put(key));
        for m in &met {
            m.hit.happened();
        }
        met.iter().map(|m| m.hit.fault_id()).collect()
    }

    #[test]
    fn what_did_not_happen_is_not_counted_and_the_next_request_has_its_turn() {
        let faults = faults();
        faults.add(Fault::s3(Effect::AnswerLost).times(1)).unwrap();
        let met = faults.take(&put("a"));
        assert_eq!(met.len(), 1);
        assert_eq!(faults.take(&put("b")).len(), 0, "its turn is taken");
        drop(met);
        assert_eq!((faults.list()[0].hits, faults.hits()), (0, 0));
        let met = faults.take(&put("c"));
        met[0].hit.happened();
        met[0].hit.clone().happened();
        drop(met);
        assert_eq!((faults.list()[0].hits, faults.hits(), faults.list()[0].seen), (1, 1, 3));
        assert_eq!(faults.take(&put("d")).len(), 0);
        faults.clear();
        assert_eq!((faults.list(), faults.log()[0].key.as_str()), (Vec::new(), "c"));
        faults.clear_log();
        assert_eq!((faults.log(), faults.hits()), (Vec::new(), 0));
    }

    #[test]
    fn hits_the_requests_it_counts() {
        let faults = faults();
        let slow = Effect::Error { status: 503, code: "SlowDown".to_owned(), message: String::new() };
        faults.add(Fault::s3(slow).on("PutObject").key_prefix("img/").skip(1).times(2)).unwrap();
        let hits: Vec<usize> =
            ["img/1", "doc", "img/2", "img/3", "img/4"].map(|k| hit(&faults, k).len()).into();
        assert_eq!(hits, [0, 0, 1, 1, 0]);
        assert_eq!(faults.list()[0].seen, 4);
        assert_eq!(faults.log().iter().map(|h| h.key.as_str()).collect::<Vec<_>>(), ["img/2", "img/3"]);
        assert_eq!(faults.log()[1].number, 2);
        assert_eq!(faults.log()[1].request_id, "R1");
    }

    #[test]
    fn node_pattern_and_chance_narrow_it_down() {
        let faults = faults();
        faults.add(Fault::s3(Effect::AnswerLost).cnode("cnode-2")).unwrap();
        faults.add(Fault::s3(Effect::NoAnswer).key_glob("*.tmp")).unwrap();
        faults.add(Fault::s3(Effect::ResetAfterBody).with_probability(0.5, 11)).unwrap();
        let ids = |key: &str| hit(&faults, key);
        let met: Vec<Vec<u64>> = (0..40).map(|n| ids(if n % 2 == 0 { "a.tmp" } else { "a" })).collect();
        assert!(met.iter().enumerate().all(|(n, ids)| ids.contains(&2) == (n % 2 == 0) && !ids.contains(&1)));
        let by_chance = met.iter().filter(|ids| ids.contains(&3)).count();
        assert!((8..=32).contains(&by_chance), "{by_chance} of 40");
        assert_eq!(faults.hits(), 20 + by_chance as u64);
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let faults = faults();
        let refused = |fault: Fault, why: &str| {
            let error = faults.add(fault).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        let ok = Effect::Error { status: 200, code: "Fine".to_owned(), message: String::new() };
        refused(Fault::s3(ok), "200");
        refused(Fault::s3(Effect::TokenExpired), "only on the plane vms");
        refused(Fault::vms(Effect::KeyRevoked), "only on the plane s3");
        refused(Fault::s3(Effect::AnswerLost).times(0), "count 0");
        refused(Fault::s3(Effect::AnswerLost).with_probability(1.5, 0), "probability");
        refused(Fault::s3(Effect::CnodeDown), "needs cnode");
        refused(Fault::s3(Effect::VipRefused).on("PutObject"), "operations has no meaning");
        refused(Fault::vms(Effect::VmsOutage { how: super::super::Outage::Refused }), "for_ms");
        refused(Fault::s3(Effect::RemoveHeader { name: "e tag".to_owned() }), "header name");
        assert_eq!(faults.list(), []);
    }

    #[test]
    fn the_log_is_bounded_and_counts_all() {
        let faults = faults();
        faults.add(Fault::s3(Effect::AnswerLost)).unwrap();
        for _ in 0..LOG_LIMIT + 5 {
            hit(&faults, "k");
        }
        assert_eq!((faults.log().len(), faults.hits()), (LOG_LIMIT, LOG_LIMIT as u64 + 5));
        assert_eq!(faults.log()[0].number, 6);
    }
}
