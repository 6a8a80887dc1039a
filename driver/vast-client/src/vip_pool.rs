//! The pool of VIPs: which address the next request goes to, and the connections kept open to it.
//!
//! A VAST cluster spreads load by VIP: one connection, one VIP, one CNode. So balancing is this client's work.
//! Requests go to the VIP with the fewest requests under way; among equals, to every VIP in turn. A VIP that does not
//! connect or stalls is left alone for a while that doubles with every failure, then tried with one request at a
//! time until one succeeds. When all are left alone, the one whose time ends first is tried all the same. The lock
//! is held only to look and to note, never across a wait.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Limits, RetryPolicy};
use crate::net::link::Link;
use crate::retry::Verdict;

/// An address of the data path, and the name it was found under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VipAddress {
    pub(crate) address: SocketAddr,
    /// For the certificate and the Host header: a host name, or the address itself.
    pub(crate) host: Arc<str>,
}

/// One VIP's state, for reports and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VipStatus {
    /// Where it listens.
    pub address: SocketAddr,
    /// Requests sent to it.
    pub requests: u64,
    /// Requests that failed on it without a usable answer.
    pub failures: u64,
    /// Requests under way.
    pub in_flight: u32,
    /// Connections kept open without a request.
    pub idle: usize,
    /// It is left alone for now.
    pub ejected: bool,
}

#[derive(Debug)]
struct Vip {
    at: VipAddress,
    idle: Vec<(Link, Instant)>,
    in_flight: u32,
    /// Failures in a row that made it suspect or dead.
    strikes: u32,
    /// Times in a row that it was ejected.
    ejections: u32,
    ejected_until: Option<Instant>,
    requests: u64,
    failures: u64,
}

impl Vip {
    fn new(at: VipAddress) -> Self {
        Self {
            at,
            idle: Vec::new(),
            in_flight: 0,
            strikes: 0,
            ejections: 0,
            ejected_until: None,
            requests: 0,
            failures: 0,
        }
    }

    /// Not left alone, and not on trial with a request already under way.
    fn is_available(&self, now: Instant) -> bool {
        match self.ejected_until {
            None => true,
            Some(until) => until <= now && self.in_flight == 0,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    vips: Vec<Vip>,
    /// Where the round among equals goes on.
    cursor: usize,
    listed_at: Option<Instant>,
}

/// The VIPs of one data path, or the addresses of VMS.
#[derive(Debug)]
pub(crate) struct VipPool {
    state: Mutex<State>,
    eject: Duration,
    eject_max: Duration,
    idle_max: usize,
    idle_for_max: Duration,
}

/// Whether a pick found a healthy VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It is available.
    Good,
    /// Every VIP is left alone for now; this is the least bad.
    Desperate,
}

impl VipPool {
    pub(crate) fn new(retry: &RetryPolicy, limits: &Limits) -> Self {
        Self {
            state: Mutex::default(),
            eject: retry.eject,
            eject_max: retry.eject_max,
            idle_max: limits.idle_per_vip_max,
            idle_for_max: limits.idle_for_max,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not make every later request fail: the state is valid between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a new list; VIPs that are still in it keep their state and connections.
    pub(crate) fn replace(&self, list: Vec<VipAddress>) {
        let mut state = self.state();
        let mut old = std::mem::take(&mut state.vips);
        for at in list {
            if state.vips.iter().any(|vip| vip.at.address == at.address) {
                continue;
            }
            let kept = old.iter().position(|vip| vip.at == at).map(|index| old.swap_remove(index));
            state.vips.push(kept.unwrap_or_else(|| Vip::new(at)));
        }
        state.listed_at = Some(Instant::now());
    }

    /// Counts the present list as fresh, after an attempt to replace it failed.
    pub(crate) fn postpone(&self) {
        self.state().listed_at = Some(Instant::now());
    }

    /// How old the list is; `None` when there is none.
    pub(crate) fn age(&self) -> Option<Duration> {
        let state = self.state();
        if state.vips.is_empty() { None } else { state.listed_at.map(|at| at.elapsed()) }
    }

    /// Chooses the VIP for a request, away from those in `avoid` if possible.
    pub(crate) fn pick(self: &Arc<Self>, avoid: &[SocketAddr]) -> Option<(Lease, Health)> {
        let now = Instant::now();
        let mut state = self.state();
        let (index, health) = choose(&state, avoid, now)?;
        state.cursor = index + 1;
        let vip = &mut state.vips[index];
        vip.in_flight += 1;
        vip.requests += 1;
        Some((Lease { pool: Arc::clone(self), at: vip.at.clone() }, health))
    }

    /// Every VIP is left alone for now, or there is none.
    pub(crate) fn is_desperate(&self) -> bool {
        let now = Instant::now();
        !self.state().vips.iter().any(|vip| vip.is_available(now))
    }

    /// All VIPs as they are now.
    pub(crate) fn status(&self) -> Vec<VipStatus> {
        let now = Instant::now();
        let state = self.state();
        state
            .vips
            .iter()
            .map(|vip| VipStatus {
                address: vip.at.address,
                requests: vip.requests,
                failures: vip.failures,
                in_flight: vip.in_flight,
                idle: vip.idle.len(),
                ejected: vip.ejected_until.is_some_and(|until| until > now),
            })
            .collect()
    }
}

/// The available VIP with the fewest requests under way, beginning at the cursor: among those not to be avoided,
/// then among all; then the one whose time alone ends first.
fn choose(state: &State, avoid: &[SocketAddr], now: Instant) -> Option<(usize, Health)> {
    let count = state.vips.len();
    let round = || (0..count).map(|step| (state.cursor + step) % count);
    let available = |&index: &usize| state.vips[index].is_available(now);
    let wanted = |index: &usize| !avoid.contains(&state.vips[*index].at.address);
    let load = |index: &usize| state.vips[*index].in_flight;
    // A single VIP that answered with an error is asked again, and that is not desperate.
    let good = round().filter(available).filter(wanted).min_by_key(load);
    if let Some(index) = good.or_else(|| round().filter(available).min_by_key(load)) {
        return Some((index, Health::Good));
    }
    let until = |index: &usize| state.vips[*index].ejected_until;
    let other = round().filter(wanted).min_by_key(until);
    other.or_else(|| round().min_by_key(until)).map(|index| (index, Health::Desperate))
}

/// A request's place on a VIP; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<VipPool>,
    at: VipAddress,
}

impl Lease {
    pub(crate) fn at(&self) -> &VipAddress {
        &self.at
    }

    /// A connection kept from an earlier request, the most recently used one.
    pub(crate) fn idle(&self) -> Option<Link> {
        let mut stale = Vec::new();
        let found = self.with(|vip| {
            while let Some((link, since)) = vip.idle.pop() {
                if link.is_reusable() && since.elapsed() < self.pool.idle_for_max {
                    return Some(link);
                }
                stale.push(link);
            }
            None
        });
        found.flatten()
    }

    /// Keeps a connection for a later request, if it can be used and there is room.
    pub(crate) fn keep(&self, link: Link) {
        if !link.is_reusable() {
            return;
        }
        self.with(|vip| {
            if vip.idle.len() < self.pool.idle_max {
                vip.idle.push((link, Instant::now()));
            }
        });
    }

    /// Notes what the attempt said about the VIP; true when that ejects it.
    pub(crate) fn report(&self, verdict: Verdict, answered: bool) -> bool {
        let (eject, eject_max) = (self.pool.eject, self.pool.eject_max);
        let ejected = self.with(|vip| {
            if answered {
                vip.strikes = 0;
                vip.ejections = 0;
                vip.ejected_until = None;
                return false;
            }
            vip.failures += 1;
            match verdict {
                Verdict::Healthy => return false,
                Verdict::Suspect => vip.strikes += 1,
                Verdict::Dead => vip.strikes += 2,
            }
            if vip.strikes < 2 {
                return false;
            }
            let wait = eject.saturating_mul(1 << vip.ejections.min(16)).min(eject_max);
            vip.ejections += 1;
            vip.ejected_until = Some(Instant::now() + wait);
            vip.idle.clear();
            true
        });
        ejected.unwrap_or(false)
    }

    /// Runs on the VIP's state, unless the VIP has left the list.
    fn with<T>(&self, work: impl FnOnce(&mut Vip) -> T) -> Option<T> {
        let mut state = self.pool.state();
        state.vips.iter_mut().find(|vip| vip.at == self.at).map(work)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.with(|vip| vip.in_flight = vip.in_flight.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vip(last: u8) -> VipAddress {
        let address = SocketAddr::from(([10, 0, 0, last], 80));
        VipAddress { address, host: address.ip().to_string().into() }
    }

    fn pool(count: u8) -> Arc<VipPool> {
        let pool = Arc::new(VipPool::new(&RetryPolicy::default(), &Limits::default()));
        pool.replace((1..=count).map(vip).collect());
        pool
    }

    fn last(lease: &Lease) -> u8 {
        let SocketAddr::V4(v4) = lease.at().address else { unreachable!() };
        v4.ip().octets()[3]
    }

    fn pick(pool: &Arc<VipPool>, avoid: &[u8]) -> (Lease, Health) {
        let avoid: Vec<SocketAddr> = avoid.iter().map(|&l| vip(l).address).collect();
        pool.pick(&avoid).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_vip_in_turn_when_all_are_equal() {
        let pool = pool(4);
        let order: Vec<u8> = (0..8).map(|_| last(&pick(&pool, &[]).0)).collect();
        assert_eq!(order, [1, 2, 3, 4, 1, 2, 3, 4]);
        assert!(pool.status().iter().all(|vip| vip.requests == 2 && vip.in_flight == 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_busy_one_first() {
        let pool = pool(3);
        let held: Vec<Lease> = (0..3).map(|_| pick(&pool, &[]).0).collect();
        drop(held.into_iter().nth(1));
        // All were given back but none is busy now; make 1 and 3 busy again.
        let _one = pick(&pool, &[2, 3]);
        let _three = pick(&pool, &[1, 2]);
        assert_eq!(last(&pick(&pool, &[]).0), 2);
        assert_eq!(last(&pick(&pool, &[]).0), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_vip_is_left_alone_longer_every_time() {
        let pool = pool(2);
        for wait in [2, 4, 8, 16, 32, 60, 60] {
            let (lease, health) = pick(&pool, &[2]);
            assert_eq!((last(&lease), health), (1, Health::Good));
            assert!(lease.report(Verdict::Dead, false));
            drop(lease);
            tokio::time::advance(Duration::from_millis(wait * 1000 - 1)).await;
            assert_eq!(last(&pick(&pool, &[]).0), 2, "after {wait} s less 1 ms");
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let (lease, _) = pick(&pool, &[2]);
        lease.report(Verdict::Healthy, true);
        drop(lease);
        let (lease, _) = pick(&pool, &[2]);
        assert!(lease.report(Verdict::Dead, false));
        drop(lease);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(pick(&pool, &[2]).1, Health::Good, "success starts the count anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_vip_on_trial_gets_one_request_at_a_time() {
        let pool = pool(2);
        pick(&pool, &[2]).0.report(Verdict::Dead, false);
        tokio::time::advance(Duration::from_secs(3)).await;
        let _busy: Vec<_> = (0..5).map(|_| pick(&pool, &[1])).collect();
        let (trial, _) = pick(&pool, &[]);
        assert_eq!(last(&trial), 1);
        assert_eq!(last(&pick(&pool, &[]).0), 2, "although it has more under way");
        trial.report(Verdict::Healthy, true);
        assert_eq!(last(&pick(&pool, &[]).0), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn two_suspicions_in_a_row_are_one_death() {
        let pool = pool(2);
        let (lease, _) = pick(&pool, &[2]);
        assert!(!lease.report(Verdict::Suspect, false));
        assert!(!lease.report(Verdict::Healthy, true));
        assert!(!lease.report(Verdict::Suspect, false));
        assert!(lease.report(Verdict::Suspect, false));
        assert!(pool.status()[0].ejected && !pool.status()[1].ejected);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_are_dead_the_first_to_come_back_is_tried() {
        let pool = pool(2);
        pick(&pool, &[2]).0.report(Verdict::Dead, false);
        tokio::time::advance(Duration::from_secs(1)).await;
        pick(&pool, &[1]).0.report(Verdict::Dead, false);
        let (lease, health) = pick(&pool, &[]);
        assert_eq!((last(&lease), health), (1, Health::Desperate));
        assert!(Arc::new(VipPool::new(&RetryPolicy::default(), &Limits::default())).pick(&[]).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn avoiding_the_only_vip_is_not_possible() {
        let pool = pool(1);
        assert_eq!(pick(&pool, &[1]).1, Health::Good);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_list_keeps_the_state_of_those_that_stay() {
        let pool = pool(2);
        let (gone, _) = pick(&pool, &[2]);
        let (kept, _) = pick(&pool, &[1]);
        pool.replace(vec![vip(2), vip(3), vip(3)]);
        let status = pool.status();
        assert_eq!(status.iter().map(|v| (v.requests, v.in_flight)).collect::<Vec<_>>(), [(1, 1), (0, 0)]);
        drop((gone, kept));
        assert!(pool.status().iter().all(|v| v.in_flight == 0));
        assert_eq!(pool.age(), Some(Duration::ZERO));
    }
}
