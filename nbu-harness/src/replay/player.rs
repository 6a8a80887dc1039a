//! Plays the calls of one process: a thread for each recorded one, and the order between them kept.

use super::call::{self, Context};
use super::process::Order;
use super::report::{Difference, LIST, Played};
use super::{pace, wait_for};
use crate::nbu::Library;
use nbu_trace::{Begun, Call, Trace};
use ost_abi::Api;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many calls of each thread have ended.
type Ended = BTreeMap<u64, usize>;

/// A call and what has to have happened before it begins.
#[derive(Debug, PartialEq, Eq)]
struct Turn<'t> {
    call: &'t Call,
    /// Its number in the trace, from 1.
    number: usize,
    /// For other threads: how many of their calls had ended when this one began.
    after: Ended,
}

/// The calls of each thread in order.
fn queues(calls: &[Call]) -> BTreeMap<u64, Vec<Turn<'_>>> {
    let mut queues: BTreeMap<u64, Vec<Turn<'_>>> = BTreeMap::new();
    for (index, call) in calls.iter().enumerate() {
        let turn = Turn { call, number: index + 1, after: Ended::new() };
        queues.entry(call.thread).or_default().push(turn);
    }
    // Calls of one thread do not overlap, so their ends are in order as their beginnings are.
    let ends: BTreeMap<u64, Vec<(u64, usize)>> = queues
        .iter()
        .map(|(thread, queue)| {
            (*thread, queue.iter().map(|turn| (turn.call.end_ns(), turn.number)).collect())
        })
        .collect();
    for (thread, queue) in &mut queues {
        for turn in queue {
            let began = turn.call.start_ns;
            let others = ends.iter().filter(|(other, _)| *other != thread);
            let before = others.map(|(other, ends)| {
                // Never for one that comes later in the trace: whatever times a trace has, no two wait for each other.
                let in_time = ends.partition_point(|(end, _)| *end <= began);
                let in_trace = ends.partition_point(|(_, number)| *number < turn.number);
                (*other, in_time.min(in_trace))
            });
            turn.after = before.filter(|(_, count)| *count > 0).collect();
        }
    }
    queues
}

/// Plays a trace. The error is a sentence.
pub(super) fn play(order: &Order, trace: &Trace) -> Result<Played, String> {
    let library = Library::open(&order.plugin).map_err(|error| error.to_string())?;
    let context = Context::new(order);
    let process = format!("{} {}", trace.header.process, trace.header.pid);
    let first = trace.calls.iter().map(|call| call.start_ns).min().unwrap_or(0);
    let started = Instant::now();
    let queues = queues(&trace.calls);
    let api = library.api();
    let parts = in_order(&queues, |turn, played: &mut Played| {
        pace(started, order.timing.due(Duration::from_nanos(turn.call.start_ns - first)));
        one(api, trace, turn, &context, &process, played)
    });
    let name = |call: &Begun| {
        let about = call::about(&call.arguments, &context);
        format!("{} {about}", trace.header.entry_point(call.entry)).trim_end().to_owned()
    };
    let unfinished = trace.unfinished.iter().map(name).collect();
    let mut whole = Played { process, unfinished, cut_bytes: trace.cut_bytes, ..Played::default() };
    for part in parts {
        whole.join(part?);
    }
    whole.differences.sort_by_key(|difference| difference.call);
    Ok(whole)
}

/// Lets each thread make its calls when it is their turn. The first error ends its thread, and nobody waits for it.
fn in_order<T: Default + Send>(
    queues: &BTreeMap<u64, Vec<Turn<'_>>>,
    make: impl Fn(&Turn<'_>, &mut T) -> Result<(), String> + Sync,
) -> Vec<Result<T, String>> {
    let ended = (Mutex::new(Ended::new()), Condvar::new());
    std::thread::scope(|scope| {
        let threads: Vec<_> = queues
            .iter()
            .map(|(thread, queue)| {
                let (ended, make) = (&ended, &make);
                scope.spawn(move || {
                    let progress = Progress { ended, thread: *thread };
                    let mut part = T::default();
                    for turn in queue {
                        wait_for(ended, |ended| reached(ended, &turn.after));
                        make(turn, &mut part)?;
                        progress.add(1);
                    }
                    Ok(part)
                })
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<T, String>>| {
            thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned()))
        };
        threads.into_iter().map(join).collect()
    })
}

/// How far a thread is. At its end, also by an error or a panic, it counts as further than any call is waited for.
struct Progress<'a> {
    ended: &'a (Mutex<Ended>, Condvar),
    thread: u64,
}

impl Progress<'_> {
    fn add(&self, calls: usize) {
        let mut ended = self.ended.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = ended.entry(self.thread).or_default();
        *count = count.saturating_add(calls);
        drop(ended);
        self.ended.1.notify_all();
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.add(usize::MAX);
    }
}

fn reached(ended: &Ended, wanted: &Ended) -> bool {
    wanted.iter().all(|(thread, count)| ended.get(thread).is_some_and(|reached| reached >= count))
}

/// Makes one call and notes what came of it.
fn one(
    api: &Api,
    trace: &Trace,
    turn: &Turn<'_>,
    context: &Context,
    process: &str,
    played: &mut Played,
) -> Result<(), String> {
    let entry = trace.entry(turn.call);
    if let Some(why) = call::refusal(entry, turn.call) {
        return Err(why);
    }
    if !context.has_handles(turn.call) {
        played.not_made += 1;
        return Ok(());
    }
    let answer = call::make(api, entry, turn.call, context)
        .ok_or_else(|| format!("the trace has a call {entry}, which this interface does not know"))?;
    played.calls += 1;
    let took = u64::try_from(answer.took.as_nanos()).unwrap_or(u64::MAX);
    played.times.entry(entry.to_owned()).or_default().add(turn.call.duration_ns, took);
    played.checked_bytes += answer.checked_bytes;
    if played.wrong_reads.len() < LIST {
        played.wrong_reads.extend(answer.wrong_data);
    }
    if answer.code != turn.call.code {
        played.different += 1;
        if played.differences.len() < LIST {
            played.differences.push(Difference {
                process: process.to_owned(),
                thread: turn.call.thread,
                call: turn.number,
                entry: entry.to_owned(),
                about: call::about(&turn.call.arguments, context),
                recorded: turn.call.code,
                replayed: answer.code,
            });
        }
    }
    Ok(())
}

impl Played {
    /// Adds what another thread played.
    fn join(&mut self, mut other: Self) {
        self.calls += other.calls;
        self.different += other.different;
        self.not_made += other.not_made;
        self.differences.append(&mut other.differences);
        self.checked_bytes += other.checked_bytes;
        self.wrong_reads.append(&mut other.wrong_reads);
        for (name, times) in other.times {
            self.times.entry(name).or_default().join(&times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(thread: u64, start_ns: u64, duration_ns: u64) -> Call {
        let (arguments, results) = (Vec::new(), Vec::new());
        Call { thread, entry: 0, start_ns, duration_ns, code: 0, arguments, results }
    }

    #[test]
    fn a_call_waits_for_those_of_other_threads_that_had_ended_before_it_began() {
        // In the order of their ends, as a trace has them.
        let calls = [call(1, 0, 10), call(2, 5, 10), call(1, 12, 8), call(2, 20, 5), call(3, 2, 40)];
        let queues = queues(&calls);
        let after = |thread: u64, index: usize| {
            let turn: &Turn<'_> = &queues[&thread][index];
            turn.after.iter().map(|(thread, count)| (*thread, *count)).collect::<Vec<_>>()
        };
        assert_eq!(after(1, 0), []);
        assert_eq!(after(2, 0), [], "thread 1's first call was still running");
        assert_eq!(after(1, 1), [], "thread 2's first call was still running");
        assert_eq!(after(2, 1), [(1, 2)], "both calls of thread 1 had ended, the last at this very moment");
        assert_eq!(after(3, 0), []);
        assert!(!reached(&Ended::from([(1, 1)]), &Ended::from([(1, 2)])));
        assert!(reached(&Ended::from([(1, 2)]), &Ended::from([(1, 2)])));
    }

    #[test]
    fn calls_of_no_length_at_the_same_moment_do_not_wait_for_each_other() {
        let calls = [call(1, 10, 0), call(2, 10, 0), call(1, 10, 0)];
        let parts = in_order(&queues(&calls), |turn, numbers: &mut Vec<usize>| {
            numbers.push(turn.number);
            Ok(())
        });
        assert_eq!(parts, [Ok(vec![1, 3]), Ok(vec![2])]);
    }

    #[test]
    fn nobody_waits_for_a_thread_that_failed_or_panicked() {
        let calls = [call(1, 0, 10), call(1, 20, 10), call(2, 40, 10)];
        for panics in [false, true] {
            let parts = in_order(&queues(&calls), |turn, made: &mut usize| {
                assert!(!panics || turn.call.thread == 2, "this one panics");
                *made += 1;
                if turn.call.thread == 1 { Err("this one fails".to_owned()) } else { Ok(()) }
            });
            let error = if panics { "a thread panicked" } else { "this one fails" };
            assert_eq!(parts, [Err(error.to_owned()), Ok(1)]);
        }
    }
}
