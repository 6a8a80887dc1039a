//! Makes one recorded call: its arguments are rebuilt, and handles and data come from this replay.

#![allow(unsafe_code, reason = "calls through the plug-in's C interface")]

use super::argument::{Argument, integer};
use super::process::Order;
use nbu_trace::{Call, Value, pattern};
#[allow(clippy::wildcard_imports, reason = "the entry points name their types without a path")]
use ost_abi::*;
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the calls of a process share.
pub(super) struct Context {
    /// Recorded numbers of handles and the handles of this replay.
    handles: Mutex<HashMap<u64, usize>>,
    /// Images by the recorded number of their handle.
    images: Mutex<HashMap<u64, String>>,
    written: BTreeSet<String>,
    pub(super) user: Option<String>,
    pub(super) password: String,
}

impl Context {
    pub(super) fn new(order: &Order) -> Self {
        Self {
            handles: Mutex::default(),
            images: Mutex::default(),
            written: order.written.clone(),
            user: order.user.clone(),
            password: order.password.clone(),
        }
    }

    /// The handle for a recorded number; null if this replay has none.
    pub(super) fn handle<T>(&self, number: &Value) -> *mut T {
        let Value::Handle(number) = number else { return std::ptr::null_mut() };
        let address = lock(&self.handles).get(number).copied().unwrap_or(0);
        std::ptr::with_exposed_provenance_mut(address)
    }

    /// Whether this replay has every handle that the call had in the recording.
    pub(super) fn has_handles(&self, call: &Call) -> bool {
        let handles = lock(&self.handles);
        let has = |value: &Value| match value {
            // 0: a handle that nobody had given out.
            Value::Handle(number) => *number == 0 || handles.contains_key(number),
            _ => true,
        };
        call.arguments.iter().all(|value| match value {
            Value::Fields(fields) => fields.iter().all(has),
            value => has(value),
        })
    }

    /// A handle that was given out.
    pub(super) fn gave<T>(&self, number: &Value, handle: *mut T) {
        if let Value::Handle(number) = number {
            lock(&self.handles).insert(*number, handle.expose_provenance());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What arguments of one call have to know of each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Bytes to move, where the call moves some.
    pub(super) length: Option<u64>,
    /// Where they begin.
    pub(super) offset: u64,
    /// Structures that there is room for.
    pub(super) capacity: u64,
    /// Bytes that were moved.
    pub(super) moved: Cell<u64>,
}

/// What a call gave.
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) took: Duration,
    pub(super) checked_bytes: u64,
    pub(super) wrong_data: Option<String>,
}

macro_rules! make {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $ty:ty),*);)+) => {
        /// Why a call cannot be made as it was recorded; a sentence.
        #[allow(unused_variables, reason = "there is a call without arguments")]
        pub(super) fn refusal(entry: &str, call: &Call) -> Option<String> {
            let why: Option<String> = match entry {
                $(stringify!($name) => {
                    let shared = shared(&[$(stringify!($arg)),*], call);
                    let whys: &[Option<String>] = &[$(<$ty as Argument>::too_much(&shared)),*];
                    whys.iter().flatten().next().cloned()
                })+
                _ => Some("this interface does not know it".to_owned()),
            };
            why.map(|why| format!("the trace has a call {entry} that cannot be made: {why}"))
        }

        /// Makes a call that is not refused; none if the interface has no such entry point.
        #[allow(unused_mut, unused_variables, reason = "there is a call without arguments")]
        pub(super) fn make(api: &Api, entry: &str, call: &Call, context: &Context) -> Option<Answer> {
            match entry {
                $(stringify!($name) => {
                    let names: &[&str] = &[$(stringify!($arg)),*];
                    let shared = shared(names, call);
                    let mut values = call.arguments.iter().chain(std::iter::repeat(&Value::Nothing));
                    $(let mut $arg = <$ty as Argument>::place(next(&mut values), &shared, context);)*
                    let started = Instant::now();
                    // SAFETY: every pointer is null or to a place that outlives the call and is what the prototype says;
                    // handles are those that this library gave out.
                    let code = unsafe { (api.$name)($(<$ty as Argument>::pass(&mut $arg)),*) };
                    let took = started.elapsed();
                    let mut answer = Answer { code, took, checked_bytes: 0, wrong_data: None };
                    if code == STS_EOK {
                        let mut results = call.results.iter().chain(std::iter::repeat(&Value::Nothing));
                        $(<$ty as Argument>::took(&$arg, next(&mut results), &shared, context);)*
                        let places: &[(&str, Option<&[u8]>)] =
                            &[$((stringify!($arg), <$ty as Argument>::bytes(&$arg))),*];
                        after(stringify!($name), places, call, &shared, context, &mut answer);
                    }
                    Some(answer)
                })+
                _ => None,
            }
        }
    };
}

for_each_entry_point!(make);

fn next<'v>(values: &mut impl Iterator<Item = &'v Value>) -> &'v Value {
    values.next().unwrap_or(&Value::Nothing)
}

fn shared(names: &[&str], call: &Call) -> Shared {
    // As the plug-in gets them.
    let number = |name: &str| {
        let index = names.iter().position(|known| *known == name)?;
        integer(call.arguments.get(index)?).map(|number| u64::try_from(number).unwrap_or(u64::MAX))
    };
    Shared {
        length: number("length"),
        offset: number("offset").unwrap_or(0),
        capacity: number("capacity").unwrap_or(1),
        moved: Cell::new(0),
    }
}

/// After a call that succeeded: remembers which image a handle is of, and checks what was read.
fn after(
    entry: &str,
    places: &[(&str, Option<&[u8]>)],
    call: &Call,
    shared: &Shared,
    context: &Context,
    answer: &mut Answer,
) {
    match entry {
        "stspi_create_image" | "stspi_open_image" => {
            let name = call.arguments.get(1).and_then(|image| image.field(1).as_text());
            if let (Some(Value::Handle(number)), Some(name)) = (call.results.get(3), name) {
                lock(&context.images).insert(*number, name);
            }
        }
        "stspi_read_image" => {
            let Some(Value::Handle(number)) = call.arguments.first() else { return };
            let name = lock(&context.images).get(number).cloned();
            let Some(name) = name.filter(|name| context.written.contains(name)) else { return };
            let buffer = places.iter().find_map(|(name, bytes)| bytes.filter(|_| *name == "buffer"));
            let length = usize::try_from(shared.moved.get()).unwrap_or(usize::MAX);
            let Some(read) = buffer.and_then(|buffer| buffer.get(..length)) else {
                answer.wrong_data = Some(format!("{name}: {length} bytes were read into a smaller buffer"));
                return;
            };
            answer.checked_bytes = read.len() as u64;
            if let Some(at) = pattern::first_difference(read, shared.offset) {
                let at = shared.offset + at as u64;
                answer.wrong_data = Some(format!("{name}: the byte at {at} is not the one that was written"));
            }
        }
        _ => {}
    }
}

/// The names in a call's arguments, for people.
pub(super) fn about(arguments: &[Value], context: &Context) -> String {
    let mut names = Vec::new();
    for argument in arguments {
        match argument {
            Value::Text(_) => names.extend(argument.as_text()),
            Value::Fields(fields) => names.extend(fields.iter().filter_map(Value::as_text)),
            Value::Handle(number) => names.extend(lock(&context.images).get(number).cloned()),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: Vec<Value>) -> Call {
        let (thread, entry, start_ns, duration_ns, code) = (1, 0, 0, 0, 0);
        Call { thread, entry, start_ns, duration_ns, code, arguments, results: Vec::new() }
    }

    #[test]
    fn a_call_for_which_there_is_no_room_is_refused_and_one_without_a_buffer_is_not() {
        let gib = 1 << 30;
        let nothing = || Value::Nothing;
        let number = Value::Number;
        let read = |length| refusal("stspi_read_image", &call(vec![nothing(), nothing(), length, number(0)]));
        assert_eq!(read(number(gib)), None);
        assert_eq!(read(nothing()), None);
        let said = read(number(gib + 1)).unwrap();
        assert!(said.contains("stspi_read_image") && said.contains("1073741825 bytes"), "{said}");
        assert!(read(Value::Signed(-1)).is_some(), "the plug-in would get the largest number");
        let arguments = || vec![nothing(), nothing(), nothing(), number(2 * gib), number(0)];
        assert!(refusal("stspi_write_image", &call(arguments())).is_some());
        assert!(
            refusal("stspi_write_image_meta", &call(vec![nothing(), nothing(), number(2 * gib)])).is_some()
        );
        let payload = |capacity| {
            refusal("stspi_get_event_payload", &call(vec![nothing(), number(1), nothing(), capacity]))
        };
        assert_eq!(payload(number(65_536)), None);
        assert!(payload(number(65_537)).unwrap().contains("65537 structures"));
        let include = vec![nothing(), nothing(), nothing(), number(0), number(900 * gib), number(0)];
        assert_eq!(refusal("stspi_include_in_image", &call(include)), None, "no data is moved");
        assert!(refusal("stspi_other", &call(Vec::new())).is_some());
    }
}
