//! What the cluster did: requests and bytes per VIP and operation.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::store::lock;

/// Requests of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCounters {
    /// Requests that arrived, faulted ones included.
    pub requests: u64,
    /// Requests that got an answer of 400 or above, or none at all.
    pub errors: u64,
    /// Request body bytes taken.
    pub bytes_in: u64,
    /// Answer body bytes sent.
    pub bytes_out: u64,
}

/// One VIP's share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipCounters {
    /// Connections accepted, plain and TLS.
    pub connections: u64,
    /// Bytes received from sockets, headers and TLS framing included.
    pub wire_in: u64,
    /// Bytes sent to sockets, headers and TLS framing included.
    pub wire_out: u64,
    /// By operation (`PutObject`, ...; `Other` for those without a name here).
    pub operations: BTreeMap<String, OperationCounters>,
}

/// Everything counted since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By VIP address, without port.
    pub vips: BTreeMap<String, VipCounters>,
    /// VMS requests by method and resource (`GET views`).
    pub vms: BTreeMap<String, OperationCounters>,
    /// S3 requests answered `NotImplemented`.
    pub s3_not_implemented: u64,
}

impl Counters {
    /// One operation over all VIPs.
    pub fn operation(&self, name: &str) -> OperationCounters {
        let of_vip = |v: &VipCounters| v.operations.get(name).copied().unwrap_or_default();
        self.vips.values().map(of_vip).fold(OperationCounters::default(), OperationCounters::plus)
    }

    /// All S3 operations over all VIPs.
    pub fn s3_total(&self) -> OperationCounters {
        let all = self.vips.values().flat_map(|v| v.operations.values().copied());
        all.fold(OperationCounters::default(), OperationCounters::plus)
    }
}

impl OperationCounters {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            errors: self.errors + other.errors,
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_out: self.bytes_out + other.bytes_out,
        }
    }
}

/// The live counters behind [`Counters`].
#[derive(Debug)]
pub(crate) struct Counting {
    vips: Mutex<BTreeMap<IpAddr, Arc<VipCounting>>>,
    vms: Mutex<BTreeMap<String, OperationCounters>>,
    not_implemented: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct VipCounting {
    connections: AtomicU64,
    /// Connections that are open now.
    open: AtomicU64,
    pub(crate) wire_in: AtomicU64,
    pub(crate) wire_out: AtomicU64,
    operations: Mutex<BTreeMap<&'static str, Arc<OperationCounting>>>,
}

#[derive(Debug, Default)]
pub(crate) struct OperationCounting {
    requests: AtomicU64,
    errors: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl OperationCounting {
    pub(crate) fn failed(&self) {
        add(&self.errors, 1);
    }
}

impl VipCounting {
    pub(crate) fn connected(&self) {
        add(&self.connections, 1);
        add(&self.open, 1);
    }

    pub(crate) fn disconnected(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a request and gives the counters for the rest of it.
    pub(crate) fn request(&self, operation: &'static str) -> Arc<OperationCounting> {
        let counting = Arc::clone(lock(&self.operations).entry(operation).or_default());
        add(&counting.requests, 1);
        counting
    }

    fn snapshot(&self) -> VipCounters {
        let one = |c: &OperationCounting| OperationCounters {
            requests: read(&c.requests),
            errors: read(&c.errors),
            bytes_in: read(&c.bytes_in),
            bytes_out: read(&c.bytes_out),
        };
        VipCounters {
            connections: read(&self.connections),
            wire_in: read(&self.wire_in),
            wire_out: read(&self.wire_out),
            operations: lock(&self.operations).iter().map(|(n, c)| ((*n).to_owned(), one(c))).collect(),
        }
    }

    fn reset(&self) {
        for counter in [&self.connections, &self.wire_in, &self.wire_out] {
            counter.store(0, Ordering::Relaxed);
        }
        lock(&self.operations).clear();
    }
}

impl Counting {
    pub(crate) fn new(vips: &[IpAddr]) -> Self {
        Self {
            vips: Mutex::new(vips.iter().map(|ip| (*ip, Arc::default())).collect()),
            vms: Mutex::default(),
            not_implemented: AtomicU64::new(0),
        }
    }

    pub(crate) fn vip(&self, ip: IpAddr) -> Arc<VipCounting> {
        Arc::clone(lock(&self.vips).entry(ip).or_default())
    }

    /// Connections that are open now, over all VIPs.
    pub(crate) fn open_connections(&self) -> u64 {
        lock(&self.vips).values().map(|v| read(&v.open)).sum()
    }

    pub(crate) fn vms_request(&self, operation: &str, failed: bool) {
        let mut vms = lock(&self.vms);
        let counters = vms.entry(operation.to_owned()).or_default();
        counters.requests += 1;
        counters.errors += u64::from(failed);
    }

    pub(crate) fn not_implemented(&self) {
        add(&self.not_implemented, 1);
    }

    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            vips: lock(&self.vips).iter().map(|(ip, c)| (ip.to_string(), c.snapshot())).collect(),
            vms: lock(&self.vms).clone(),
            s3_not_implemented: read(&self.not_implemented),
        }
    }

    pub(crate) fn reset(&self) {
        lock(&self.vips).values().for_each(|v| v.reset());
        lock(&self.vms).clear();
        self.not_implemented.store(0, Ordering::Relaxed);
    }
}
