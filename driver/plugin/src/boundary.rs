//! The boundary itself: every entry point runs inside [`guard`].
//!
//! Whatever happens below, a number comes back: a panic becomes `STS_EPLUGIN`, a failed call its code. The log lines
//! that a call caused are handed to the host before it returns, on the host's thread. A call that fails before it is
//! known whose it is (a closed handle, say) leaves its line for the next call of any session.

use std::cell::RefCell;
use std::ffi::c_int;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use ost_abi::STS_EOK;
use vast_client::Severity;

use crate::capability;
use crate::fault::Fault;
use crate::log::{LogQueue, Session};
use crate::panics;
use crate::plugin::Plugin;

/// What one call learns on its way: who listens to its log lines.
#[derive(Debug)]
pub(crate) struct Call {
    name: &'static str,
    session: RefCell<Session>,
    queue: RefCell<Option<Arc<LogQueue>>>,
}

impl Call {
    /// Name of the entry point.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// From here on the call's log lines go to this session.
    pub(crate) fn heard_by(&self, session: &Session, queue: &Arc<LogQueue>) {
        if let Ok(mut slot) = self.session.try_borrow_mut() {
            slot.clone_from(session);
        }
        if let Ok(mut slot) = self.queue.try_borrow_mut() {
            *slot = Some(Arc::clone(queue));
        }
    }

    /// As [`Call::heard_by`], before there is a server whose lines could wait.
    pub(crate) fn session(&self, session: &Session) {
        if let Ok(mut slot) = self.session.try_borrow_mut() {
            slot.clone_from(session);
        }
    }

    fn finish(self, plugin: &Plugin, result: Result<(), Fault>) -> c_int {
        let session = self.session.into_inner();
        if session.is_listening() {
            plugin.strays(|strays| strays.drain(&session));
        }
        if let Some(queue) = self.queue.into_inner() {
            queue.drain(&session);
        }
        let Err(fault) = result else { return STS_EOK };
        let severity = if fault.quiet { Severity::Debug } else { Severity::Error };
        let text = ost_abi::sts_error_text(fault.code);
        let line = format!("{}: {} ({}: {text})", self.name, fault.message, fault.code);
        if session.is_listening() {
            session.log(severity, &line);
        } else {
            plugin.stray(severity, &line);
        }
        fault.code
    }
}

/// Runs the body of an entry point and turns its outcome into a code. A call that this build has nothing behind does not
/// get as far as its arguments.
pub(crate) fn guard(
    plugin: &Plugin,
    name: &'static str,
    body: impl FnOnce(&Call) -> Result<(), Fault>,
) -> c_int {
    let body = |call: &Call| capability::in_this_build(name).and_then(|()| body(call));
    let call = Call { name, session: RefCell::new(Session::silent()), queue: RefCell::new(None) };
    let result = panic::catch_unwind(AssertUnwindSafe(|| body(&call)))
        .unwrap_or_else(|payload| Err(panics::fault(&*payload)));
    // The host's log function runs below; if that unwinds into us the process is the host's to end.
    call.finish(plugin, result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ost_abi::STS_EPLUGIN;

    #[test]
    fn a_panic_becomes_a_code() {
        let plugin = Plugin::new(crate::ThreadModel::Single);
        assert_eq!(guard(&plugin, "test", |_| panic!("on purpose")), STS_EPLUGIN);
        assert_eq!(guard(&plugin, "test", |_| panic::panic_any(7_u8)), STS_EPLUGIN);
        assert_eq!(
            guard(&plugin, "test", |_| Err(Fault::new(ost_abi::STS_ENOSPC, "full"))),
            ost_abi::STS_ENOSPC
        );
        assert_eq!(guard(&plugin, "test", |_| Ok(())), STS_EOK);
    }
}
