//! The data path: VIPs on CNodes, and the listeners of each. Follows what VMS and the standing faults say: listeners open
//! and close, VIPs move, connections end politely or not.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use s3s::service::S3Service;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::conn::Ending;
use super::listen::{self, Orders, Post};
use super::network::Listener;
use super::nodes::{self, Picture};
use super::placement::{Health, Seat};
use super::s3_edge::S3Edge;
use crate::core::Core;
use crate::error::StartError;
use crate::faults::Effect;
use crate::s3::host::domains_of;
use crate::store::lock;
use crate::tls::Tls;

/// How long to wait before listening again on an address whose old listener is still going.
pub(super) const BIND_AGAIN: Duration = Duration::from_millis(5);
/// How often to try.
const BIND_ATTEMPTS: u32 = 400;

/// How a VIP stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VipState {
    /// Serves.
    Serving,
    /// Takes connections and says nothing.
    Silent,
    /// Nothing listens, by a fault.
    Refused,
    /// No CNode can serve it.
    Homeless,
    /// Its pool is disabled.
    Disabled,
    /// An address that this simulator does not listen on: it exists in VMS only.
    OnPaper,
}

/// A VIP as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VipStatus {
    /// Its address.
    pub ip: IpAddr,
    /// Name of its pool.
    pub pool: String,
    /// Name of the CNode that serves it; empty when none does.
    pub cnode: String,
    /// How it stands.
    pub state: VipState,
}

/// The listeners of all VIPs.
#[derive(Default)]
pub(crate) struct DataPath {
    /// One change at a time.
    turn: Mutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    stage: Option<Stage>,
    posts: BTreeMap<IpAddr, VipPost>,
    status: Vec<VipStatus>,
    tasks: Vec<JoinHandle<()>>,
    bind_attempts: u32,
}

/// What new listeners need.
#[derive(Clone)]
struct Stage {
    runtime: Handle,
    service: S3Service,
    tls: Arc<Tls>,
    port: u16,
    tls_port: u16,
}

/// The listeners of one VIP.
struct VipPost {
    orders: watch::Sender<Orders>,
    address: SocketAddr,
    tls_address: SocketAddr,
}

impl std::fmt::Debug for DataPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataPath").field("vips", &lock(&self.inner).status).finish_non_exhaustive()
    }
}

/// Opens the data path: all VIPs of all pools, on one port each for plain and TLS.
pub(crate) fn start(core: &Arc<Core>, service: S3Service, tls: &Arc<Tls>) -> Result<(), StartError> {
    let _turn = lock(&core.data_path.turn);
    let picture = nodes::look(core);
    let seats = picture.seats();
    nodes::record(core, &picture, &seats);
    let ips: Vec<IpAddr> = picture.wanted.iter().map(|w| w.ip).filter(|ip| can_listen(core, *ip)).collect();
    let network = &*core.config.network;
    let plain = listen::bind_all(network, &ips, core.config.s3_port)?;
    let secure = listen::bind_all(network, &ips, core.config.s3_tls_port)?;
    let port = |all: &[Box<dyn Listener>], asked: u16| {
        all.first().map_or(Ok(asked), |l| l.local_addr().map(|a| a.port()))
    };
    let stage = Stage {
        runtime: Handle::current(),
        service,
        tls: Arc::clone(tls),
        port: port(&plain, core.config.s3_port)?,
        tls_port: port(&secure, core.config.s3_tls_port)?,
    };
    let mut inner = lock(&core.data_path.inner);
    for ((ip, plain), secure) in ips.into_iter().zip(plain).zip(secure) {
        inner.open(core, &stage, ip, plain, secure)?;
    }
    inner.stage = Some(stage);
    inner.status = statuses(core, &picture, &seats);
    Ok(())
}

/// Whether this simulator may listen on an address: outside loopback only where it was told to.
fn can_listen(core: &Core, ip: IpAddr) -> bool {
    ip.is_loopback() || core.config.vips.contains(&ip) || core.config.vips.iter().any(|v| !v.is_loopback())
}

fn statuses(core: &Core, picture: &Picture, seats: &BTreeMap<IpAddr, Seat>) -> Vec<VipStatus> {
    let state = |ip: IpAddr, seat: &Seat| {
        if !picture.open_pools.contains(&seat.pool) {
            return VipState::Disabled;
        }
        if seat.node.is_none() {
            return VipState::Homeless;
        }
        if !can_listen(core, ip) {
            return VipState::OnPaper;
        }
        match picture.conditions.get(&ip) {
            Some((_, Effect::VipRefused)) => VipState::Refused,
            Some((_, Effect::VipSilent)) => VipState::Silent,
            _ => VipState::Serving,
        }
    };
    let status = |w: &super::placement::Wanted| {
        let seat = &seats[&w.ip];
        VipStatus {
            ip: w.ip,
            pool: picture.pool_names.get(&w.pool).cloned().unwrap_or_default(),
            cnode: picture.name(seat.node),
            state: state(w.ip, seat),
        }
    };
    picture.wanted.iter().map(status).collect()
}

/// Makes the listeners, and the rows of VIPs and nodes, what VMS and the faults say they are. Called after every change
/// of either; cheap when nothing changed.
pub(crate) fn follow(core: &Arc<Core>) {
    let _turn = lock(&core.data_path.turn);
    let Some(stage) = lock(&core.data_path.inner).stage.clone() else { return };
    let picture = nodes::look(core);
    let seats = picture.seats();
    let moves: Vec<IpAddr> = picture
        .before
        .iter()
        .filter(|(ip, before)| seats.get(*ip).is_none_or(|now| now.node != before.node))
        .map(|(ip, _)| *ip)
        .collect();
    if !moves.is_empty() {
        // What was served so far stays with the node that served it.
        core.metrics.cut(core);
    }
    nodes::record(core, &picture, &seats);
    let statuses = statuses(core, &picture, &seats);
    let _runtime = stage.runtime.enter();
    let mut inner = lock(&core.data_path.inner);
    inner.apply(core, &stage, &picture, &statuses);
    for ip in moves {
        let from = picture.before[&ip].node;
        let left = picture.node(from);
        let abrupt = picture.moved_by_fault(ip).is_some() || left.is_none_or(|n| n.health == Health::Failed);
        inner.leave(ip, abrupt);
        let fault = picture.moved_by_fault(ip).or(left.and_then(|n| n.fault));
        if let Some(fault) = fault {
            let to = seats.get(&ip).and_then(|s| s.node);
            let what = format!("VIP moved from {} to {}", picture.name(from), picture.name(to));
            core.faults.did(fault, &what, &ip.to_string(), &picture.name(to));
        }
    }
    inner.status = statuses;
}

impl Inner {
    /// Opens, closes and orders the listeners so that they are as `statuses` say.
    fn apply(&mut self, core: &Arc<Core>, stage: &Stage, picture: &Picture, statuses: &[VipStatus]) {
        let gone: Vec<IpAddr> =
            self.posts.keys().filter(|ip| statuses.iter().all(|s| s.ip != **ip)).copied().collect();
        for ip in gone {
            self.close(ip, false);
        }
        let mut failed = false;
        for status in statuses {
            let condition = picture.conditions.get(&status.ip).map(|(fault, _)| *fault);
            match status.state {
                VipState::Serving | VipState::Silent => {
                    failed |= !self.ensure_open(core, stage, status.ip);
                    let silent = condition.filter(|_| status.state == VipState::Silent);
                    if let Some(post) = self.posts.get(&status.ip) {
                        post.orders.send_if_modified(|o| std::mem::replace(&mut o.silent, silent) != silent);
                    }
                }
                VipState::Refused => {
                    if self.close(status.ip, true)
                        && let Some(fault) = condition
                    {
                        core.faults.did(fault, "VIP closed", &status.ip.to_string(), &status.cnode);
                    }
                }
                VipState::Homeless => {
                    self.close(status.ip, true);
                }
                VipState::Disabled | VipState::OnPaper => {
                    self.close(status.ip, false);
                }
            }
        }
        self.bind_attempts = if failed { self.bind_attempts + 1 } else { 0 };
        if failed && self.bind_attempts < BIND_ATTEMPTS {
            let core = Arc::downgrade(core);
            stage.runtime.spawn(async move {
                // The old listener is on its way out; nothing announces that it is gone.
                tokio::time::sleep(BIND_AGAIN).await;
                if let Some(core) = core.upgrade() {
                    follow(&core);
                }
            });
        }
    }

    fn ensure_open(&mut self, core: &Arc<Core>, stage: &Stage, ip: IpAddr) -> bool {
        if self.posts.contains_key(&ip) {
            return true;
        }
        let network = &*core.config.network;
        let both = listen::bind(network, SocketAddr::new(ip, stage.port)).and_then(|plain| {
            let secure = listen::bind(network, SocketAddr::new(ip, stage.tls_port))?;
            self.open(core, stage, ip, plain, secure)
        });
        if let Err(error) = &both {
            tracing::debug!(%error, %ip, "cannot listen yet");
        }
        both.is_ok()
    }

    fn open(
        &mut self,
        core: &Arc<Core>,
        stage: &Stage,
        ip: IpAddr,
        plain: Box<dyn Listener>,
        secure: Box<dyn Listener>,
    ) -> Result<(), StartError> {
        let (address, tls_address) = (plain.local_addr()?, secure.local_addr()?);
        let acceptor = stage.tls.acceptor(ip, domains_of(core))?;
        let (orders, receiver) = watch::channel(Orders::default());
        for (listener, tls) in [(plain, None), (secure, Some(acceptor))] {
            let edge = S3Edge::new(Arc::clone(core), stage.service.clone(), ip);
            let told = Arc::clone(core);
            let post = Post {
                tls,
                counting: core.counting.vip(ip),
                orders: receiver.clone(),
                swallowed: Arc::new(move |fault| {
                    let cnode = told.data_path.cnode(ip);
                    told.faults.did(fault, "connection swallowed", &ip.to_string(), &cnode);
                }),
                service: move |request: Request<Incoming>, ending: Ending| {
                    edge.clone().serve(request, ending)
                },
            };
            self.tasks.retain(|task| !task.is_finished());
            self.tasks.push(stage.runtime.spawn(listen::serve(listener, post)));
        }
        self.posts.insert(ip, VipPost { orders, address, tls_address });
        Ok(())
    }

    /// Closes a VIP; its connections are reset, or end after the request in flight. False when it was closed already.
    fn close(&mut self, ip: IpAddr, abrupt: bool) -> bool {
        let Some(post) = self.posts.remove(&ip) else { return false };
        post.orders.send_modify(|o| {
            o.open = false;
            o.resets += u64::from(abrupt);
            o.drains += 1;
        });
        true
    }

    /// Ends the connections that a VIP had on the node it has left.
    fn leave(&self, ip: IpAddr, abrupt: bool) {
        if let Some(post) = self.posts.get(&ip) {
            post.orders.send_modify(|o| {
                o.resets += u64::from(abrupt);
                o.drains += u64::from(!abrupt);
            });
        }
    }
}

impl DataPath {
    /// Name of the CNode that serves a VIP now; empty when none does.
    pub(crate) fn cnode(&self, ip: IpAddr) -> String {
        let inner = lock(&self.inner);
        inner.status.iter().find(|s| s.ip == ip).map(|s| s.cnode.clone()).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Vec<VipStatus> {
        lock(&self.inner).status.clone()
    }

    /// Where the VIPs listen that do or could, in the order of their pools: plain, or TLS.
    pub(crate) fn addresses(&self, tls: bool) -> Vec<SocketAddr> {
        let inner = lock(&self.inner);
        let Some(stage) = &inner.stage else { return Vec::new() };
        let port = if tls { stage.tls_port } else { stage.port };
        let address = |status: &VipStatus| match inner.posts.get(&status.ip) {
            Some(post) if tls => post.tls_address,
            Some(post) => post.address,
            None => SocketAddr::new(status.ip, port),
        };
        inner.status.iter().filter(|s| s.state != VipState::OnPaper).map(address).collect()
    }

    /// Closes everything; requests in flight may finish. Gives what to wait for.
    pub(crate) fn stop(&self) -> Vec<JoinHandle<()>> {
        let mut inner = lock(&self.inner);
        inner.stage = None;
        let ips: Vec<IpAddr> = inner.posts.keys().copied().collect();
        for ip in ips {
            inner.close(ip, false);
        }
        std::mem::take(&mut inner.tasks)
    }
}
