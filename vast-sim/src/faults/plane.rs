//! The armed faults: which of them a request meets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use super::{Effect, Fault, FaultHit, FaultStatus, Plane};
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
}

/// The faults of a cluster. Callable from any thread; takes effect with the next request.
#[derive(Debug, Default)]
pub struct Faults {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    armed: BTreeMap<u64, FaultStatus>,
    log: VecDeque<FaultHit>,
}

impl Fault {
    fn matches(&self, request: &Request<'_>) -> bool {
        // Logging in needs no token.
        let applies = self.effect != Effect::TokenExpired || !request.operation.starts_with("POST token");
        applies
            && self.plane == request.plane
            && (self.operations.is_empty() || self.operations.iter().any(|o| o == request.operation))
            && self.bucket.as_ref().is_none_or(|b| b == request.bucket)
            && self.key_prefix.as_ref().is_none_or(|p| request.key.starts_with(p.as_str()))
            && self.vip.as_ref().is_none_or(|v| v == request.vip)
    }

    fn check(&self) -> Result<(), String> {
        if let Effect::Error { status, code, .. } = &self.effect {
            if !(400..=599).contains(status) {
                return Err(format!("effect.status {status} is not an error: 400 to 599 needed"));
            }
            if code.is_empty() || !code.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(format!("effect.code {code:?} is not an S3 error code"));
            }
        }
        if self.effect == Effect::TokenExpired && self.plane == Plane::S3 {
            return Err("effect token_expired exists only on the plane vms".to_owned());
        }
        if self.count == Some(0) {
            return Err("count 0 would never hit; leave it out for every request".to_owned());
        }
        Ok(())
    }
}

impl Faults {
    /// Arms a fault and gives its number.
    ///
    /// # Errors
    /// A text that says what is wrong with the fault.
    pub fn add(&self, fault: Fault) -> Result<u64, String> {
        fault.check()?;
        let mut inner = lock(&self.inner);
        if inner.armed.len() >= FAULT_LIMIT {
            return Err(format!("{FAULT_LIMIT} faults are armed already; remove some"));
        }
        inner.last_id += 1;
        let id = inner.last_id;
        inner.armed.insert(id, FaultStatus { id, seen: 0, hits: 0, fault });
        Ok(id)
    }

    /// Disarms a fault; false when there is none of that number.
    pub fn remove(&self, id: u64) -> bool {
        lock(&self.inner).armed.remove(&id).is_some()
    }

    /// Disarms all faults and forgets the log.
    pub fn clear(&self) {
        let mut inner = lock(&self.inner);
        inner.armed.clear();
        inner.log.clear();
    }

    /// All armed faults, used up ones included.
    pub fn list(&self) -> Vec<FaultStatus> {
        lock(&self.inner).armed.values().cloned().collect()
    }

    /// The latest hits, oldest first.
    pub fn log(&self) -> Vec<FaultHit> {
        lock(&self.inner).log.iter().cloned().collect()
    }

    /// The effects that this request meets, in the order in which their faults were armed.
    pub(crate) fn take(&self, request: &Request<'_>) -> Vec<Effect> {
        let mut inner = lock(&self.inner);
        if inner.armed.is_empty() {
            return Vec::new();
        }
        let mut hits = Vec::new();
        for status in inner.armed.values_mut().filter(|s| s.fault.matches(request)) {
            status.seen += 1;
            let left = status.fault.count.is_none_or(|c| status.hits < c);
            if status.seen > status.fault.skip && left {
                status.hits += 1;
                hits.push((status.id, status.fault.effect.clone()));
            }
        }
        for (fault_id, _) in &hits {
            if inner.log.len() == LOG_LIMIT {
                inner.log.pop_front();
            }
            inner.log.push_back(FaultHit {
                fault_id: *fault_id,
                operation: request.operation.to_owned(),
                bucket: request.bucket.to_owned(),
                key: request.key.to_owned(),
                vip: request.vip.to_owned(),
            });
        }
        hits.into_iter().map(|(_, effect)| effect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_the_requests_it_counts() {
        let faults = Faults::default();
        let slow = Effect::Error { status: 503, code: "SlowDown".to_owned(), message: String::new() };
        faults.add(Fault::s3(slow).on("PutObject").key_prefix("img/").skip(1).times(2)).unwrap();
        let put =
            |key| Request { plane: Plane::S3, operation: "PutObject", bucket: "b", key, vip: "127.0.0.11" };
        let hits: Vec<usize> =
            ["img/1", "doc", "img/2", "img/3", "img/4"].map(|k| faults.take(&put(k)).len()).into();
        assert_eq!(hits, [0, 0, 1, 1, 0]);
        assert_eq!(faults.list()[0].seen, 4);
        assert_eq!(faults.log().iter().map(|h| h.key.as_str()).collect::<Vec<_>>(), ["img/2", "img/3"]);
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        let faults = Faults::default();
        let ok = Effect::Error { status: 200, code: "Fine".to_owned(), message: String::new() };
        assert!(faults.add(Fault::s3(ok)).unwrap_err().contains("200"));
        assert!(faults.add(Fault::s3(Effect::TokenExpired)).is_err());
        assert!(faults.add(Fault::s3(Effect::AnswerLost).times(0)).is_err());
        assert_eq!(faults.list(), []);
    }
}
