//! Bytes to and from one server: TLS, one HTTP/1 connection, one exchange on it, and the clock over it.

pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod dial;
pub(crate) mod link;
pub(crate) mod meter;
pub(crate) mod resolve;
pub(crate) mod tls;

use crate::error::{Delivery, Detail, Error};

/// What went wrong between us and one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection: refused, unreachable, or not within the connect timeout.
    Connect,
    /// TLS cannot be agreed on, or the certificate is not accepted.
    Tls,
    /// A connection kept from an earlier request was closed by the server.
    Stale,
    /// The connection broke while the request was under way.
    Reset,
    /// No byte moved for the stall timeout.
    Stall,
    /// The call's own deadline passed.
    Deadline,
    /// The answer's body ended early.
    Truncated,
    /// The answer is larger than its limit.
    TooLarge,
    /// The answer makes no sense.
    Garbled,
}

/// A failed exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetError {
    pub(crate) fault: Fault,
    pub(crate) delivery: Delivery,
    pub(crate) why: String,
}

impl NetError {
    pub(crate) fn new(fault: Fault, delivery: Delivery, why: impl Into<String>) -> Self {
        Self { fault, delivery, why: why.into() }
    }
}

/// The text of an error and of everything behind it.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    text
}

/// The error for a call that ended without a usable answer.
pub(crate) fn net_error(fault: Fault, spent: bool, detail: Detail) -> Error {
    let error: (fn(Box<Detail>) -> Error, &'static str) = match fault {
        Fault::Tls => {
            (Error::Tls, "give the cluster's CA file, or the name in its certificate as the server name")
        }
        Fault::Deadline | Fault::Stall => (Error::Timeout, "check the network and the cluster's health"),
        _ if spent => (Error::Timeout, "check the network and the cluster's health"),
        Fault::Garbled | Fault::TooLarge => (Error::Protocol, "check that this address is the cluster's"),
        Fault::Connect | Fault::Stale | Fault::Reset | Fault::Truncated => {
            (Error::Unreachable, "check the network, the address and the cluster's health")
        }
    };
    error.0(Box::new(detail.advice(error.1)))
}
