//! What a caught panic says: its text and its place, for the host's log and not for the host's standard error.

use std::any::Any;
use std::cell::Cell;
use std::panic;

use ost_abi::STS_EPLUGIN;

use crate::fault::Fault;

thread_local! {
    /// Where the last panic of this thread happened; the payload alone does not say.
    static PANICKED_AT: Cell<Option<String>> = const { Cell::new(None) };
}

/// Remembers where a panic happens instead of printing it. The hook is this library's own: the host has another
/// copy of the standard library, or none.
pub(crate) fn install_hook() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
        let _ = PANICKED_AT.try_with(|p| p.set(Some(place)));
    }));
}

/// The failure that a caught panic is.
pub(crate) fn fault(payload: &(dyn Any + Send)) -> Fault {
    let text = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned());
    let place = PANICKED_AT.try_with(Cell::take).ok().flatten().unwrap_or_else(|| "unknown place".to_owned());
    let message = format!("internal error at {place}: {text}; the handle is closed, please report this");
    Fault::new(STS_EPLUGIN, message)
}
