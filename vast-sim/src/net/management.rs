//! The listener of the management side, which faults can take away alone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::conn::Ending;
use super::listen::{self, Orders, Post};
use super::network::Listener;
use super::vips::BIND_AGAIN;
use crate::core::Core;
use crate::error::StartError;
use crate::faults::{Effect, Outage};
use crate::s3::host::domains_of;
use crate::store::lock;
use crate::tls::Tls;
use crate::vms;

/// The management listener.
#[derive(Default)]
pub(crate) struct Management(Mutex<Option<Inner>>);

struct Inner {
    runtime: Handle,
    tls: Arc<Tls>,
    app: Router,
    address: SocketAddr,
    /// None while it is closed by a fault.
    orders: Option<watch::Sender<Orders>>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Management {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Management").finish_non_exhaustive()
    }
}

/// Serves VMS on a listener.
pub(crate) fn start(
    core: &Arc<Core>,
    listener: Box<dyn Listener>,
    address: SocketAddr,
    tls: &Arc<Tls>,
) -> Result<(), StartError> {
    let mut inner = Inner {
        runtime: Handle::current(),
        tls: Arc::clone(tls),
        app: vms::app(core),
        address,
        orders: None,
        tasks: Vec::new(),
    };
    inner.open(core, listener)?;
    *lock(&core.management.0) = Some(inner);
    Ok(())
}

/// Closes or opens the listener as the standing faults say.
pub(crate) fn follow(core: &Arc<Core>) {
    let outage = Effect::VmsOutage { how: Outage::Refused };
    let fault = core.faults.standing().into_iter().find(|(_, f)| f.effect == outage).map(|(id, _)| id);
    let mut guard = lock(&core.management.0);
    let Some(inner) = guard.as_mut() else { return };
    match fault {
        Some(fault) if inner.close(true) => core.faults.did(fault, "VMS closed", "", ""),
        None if inner.orders.is_none() => {
            let _runtime = inner.runtime.enter();
            let opened = listen::bind(&*core.config.network, inner.address);
            if opened.and_then(|listener| inner.open(core, listener)).is_err() {
                let again = Arc::downgrade(core);
                inner.runtime.spawn(async move {
                    // The old listener is on its way out; nothing announces that it is gone.
                    tokio::time::sleep(BIND_AGAIN).await;
                    if let Some(core) = again.upgrade() {
                        follow(&core);
                    }
                });
            }
        }
        _ => {}
    }
}

impl Inner {
    fn open(&mut self, core: &Arc<Core>, listener: Box<dyn Listener>) -> Result<(), StartError> {
        let (orders, receiver) = watch::channel(Orders::default());
        let tls = self.tls.acceptor(self.address.ip(), domains_of(core))?;
        let (core, app) = (Arc::clone(core), self.app.clone());
        let post = Post {
            tls: Some(tls),
            counting: Arc::default(),
            orders: receiver,
            swallowed: Arc::new(|_| {}),
            service: move |request: Request<Incoming>, ending: Ending| {
                vms::serve(Arc::clone(&core), app.clone(), request, ending)
            },
        };
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(self.runtime.spawn(listen::serve(listener, post)));
        self.orders = Some(orders);
        Ok(())
    }

    fn close(&mut self, abrupt: bool) -> bool {
        let Some(orders) = self.orders.take() else { return false };
        orders.send_modify(|o| {
            o.open = false;
            o.resets += u64::from(abrupt);
            o.drains += 1;
        });
        true
    }
}

impl Management {
    /// Closes the listener; requests in flight may finish. Gives what to wait for.
    pub(crate) fn stop(&self) -> Vec<JoinHandle<()>> {
        let Some(mut inner) = lock(&self.0).take() else { return Vec::new() };
        inner.close(false);
        inner.tasks
    }
}
