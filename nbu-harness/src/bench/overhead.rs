//! What the harness needs for itself: one stream of synthetic data into a plug-in that keeps nothing, beside what the
//! machine gives for each of its parts, measured in the same run.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use serde::Serialize;

use super::{BenchError, Options, median, to_f64};
use crate::data::{GenData, SyntheticStream};
use crate::engine::{Observer, SetupError};
use crate::nbu::{
    BackupRequest, HeaderOrder, Installation, JobControl, JobResult, ScheduleType, Source, StorageUnit,
    backup, widen,
};
use crate::shim;

/// Bytes that are made, copied, sent and read at once where a part is measured alone: what bpbkar sends at once, and the size
/// of bptm's buffers.
const PIECE: usize = 262_144;
/// Memory that is copied from and to: more than any cache holds.
const COPIED: usize = 64 << 20;
/// Files of the stream, in KiB.
const FILE_KIB: u64 = 1 << 16;

/// One round's figures, or the medians of all rounds. Rates are in bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parts {
    /// A plain copy from memory to memory by one thread.
    pub memcpy: f64,
    /// Making the data.
    pub generator: f64,
    /// A socket pair between two threads.
    pub socket: f64,
    /// The whole stream: bpbkar, socket, bptm's child, shared memory, bptm, plug-in.
    pub stream: f64,
    /// The stream's rate as a share of the copy's.
    pub ratio: f64,
    /// Share of the time in which bptm waited for data.
    pub bptm_waited: f64,
    /// Share of the time in which bptm's child waited for an empty buffer: the plug-in was too slow.
    pub child_waited: f64,
}

/// The whole measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overhead {
    /// Bytes of one round.
    pub bytes: u64,
    /// Rounds.
    pub rounds: usize,
    /// Threads that the machine runs at once: the stream is three busy processes.
    pub cpus: usize,
    /// Medians.
    pub parts: Parts,
    /// The part that holds the stream back.
    pub bottleneck: &'static str,
}

/// Measures the harness.
///
/// # Errors
/// When something could not be set up, or a job failed.
pub fn overhead(options: &Options, observer: &dyn Observer) -> Result<Overhead, BenchError> {
    let plugin = shim::discard(&options.exe)?;
    let dir = tempfile::Builder::new().prefix("nbu-overhead-").tempdir_in(&options.work_dir);
    let dir = dir.map_err(SetupError::io("make a directory in", &options.work_dir))?;
    let config = dir.path().join("no-configuration");
    let installation = Installation::new(options.exe.clone(), plugin, config, dir.path().join("netbackup"));
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        observer.note(&format!("overhead: round {round}"));
        rounds.push(measure(options, &installation, round as u64, observer)?);
    }
    let of = |value: fn(&Parts) -> f64| median(rounds.iter().map(value).collect());
    let parts = Parts {
        memcpy: of(|parts| parts.memcpy),
        generator: of(|parts| parts.generator),
        socket: of(|parts| parts.socket),
        stream: of(|parts| parts.stream),
        ratio: of(|parts| parts.ratio),
        bptm_waited: of(|parts| parts.bptm_waited),
        child_waited: of(|parts| parts.child_waited),
    };
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let bottleneck = bottleneck(&parts);
    Ok(Overhead { bytes: options.bytes, rounds: options.rounds, cpus, parts, bottleneck })
}

/// What holds the stream back: the plug-in's side when bptm's child waits more than bptm does, otherwise the slower of
/// generator and socket.
fn bottleneck(parts: &Parts) -> &'static str {
    if parts.child_waited > parts.bptm_waited {
        "bptm and the plug-in"
    } else if parts.generator < parts.socket {
        "the generator"
    } else {
        "the socket"
    }
}

fn measure(
    options: &Options,
    installation: &Installation,
    round: u64,
    observer: &dyn Observer,
) -> Result<Parts, BenchError> {
    let memcpy = copy(options.bytes);
    let generator = generate(options.bytes);
    let socket = send(options.bytes)?;
    let data = GenData {
        kb_size: FILE_KIB.min(options.bytes / 1024).max(1),
        max_files: (options.bytes / 1024 / FILE_KIB).max(1),
        percent_random: 0,
        ..GenData::with_seed(round)
    };
    let request = BackupRequest {
        job_id: round,
        client: "overhead".to_owned(),
        policy: "overhead".to_owned(),
        schedule: "full".to_owned(),
        schedule_type: ScheduleType::Full,
        stream: 1,
        backup_time: 1_700_000_000 + round,
        source: Source::Synthetic(data),
        storage_unit: StorageUnit::new("Discard:server", "user", "password", "nowhere"),
        header_order: HeaderOrder::Last,
        accelerator: None,
        checkpoint: None,
        resume: false,
        suspend: false,
        worm_seconds: None,
        abort_after: None,
        inline: None,
        multiplexed: None,
        collect_tir: false,
        earlier_tries: 0,
        retention_seconds: None,
    };
    let started = Instant::now();
    let result = backup(installation, &request, &mut |_| {
        if observer.interrupted() { JobControl::Cancel } else { JobControl::Continue }
    });
    let took = started.elapsed().as_secs_f64();
    if result.status != 0 {
        let (status, text) = (result.status, result.text);
        return Err(BenchError::Job { plugin: "libstspiDiscard.so".into(), what: "backup", status, text });
    }
    let stream = to_f64(data.total_bytes()) / took;
    let (bptm_waited, child_waited) = waited(&result, took);
    Ok(Parts { memcpy, generator, socket, stream, ratio: stream / memcpy, bptm_waited, child_waited })
}

fn waited(result: &JobResult, seconds: f64) -> (f64, f64) {
    let share = |ns: u64| to_f64(ns) / 1e9 / seconds;
    (share(result.waits.parent.waited_ns), share(result.waits.child.waited_ns))
}

/// Times something that is done to pieces until all bytes are done; the rate.
fn rate(bytes: u64, mut piece: impl FnMut(u64)) -> f64 {
    let pieces = (bytes / PIECE as u64).max(1);
    let started = Instant::now();
    (0..pieces).for_each(&mut piece);
    to_f64(pieces * PIECE as u64) / started.elapsed().as_secs_f64()
}

fn copy(bytes: u64) -> f64 {
    let from = vec![1u8; COPIED];
    // Not zeros: memory that was never written to is not there yet, and getting it is no copying.
    let mut to = vec![2u8; COPIED];
    let pieces = (COPIED / PIECE) as u64;
    rate(bytes, |n| {
        let at = usize::try_from(n % pieces).unwrap_or(0) * PIECE;
        to[at..at + PIECE].copy_from_slice(&from[at..at + PIECE]);
        std::hint::black_box(&mut to);
    })
}

fn generate(bytes: u64) -> f64 {
    let stream = SyntheticStream { percent_random: 0, ..SyntheticStream::new(1, u64::MAX) };
    let mut to = vec![0u8; PIECE];
    rate(bytes, |n| {
        stream.fill(n * PIECE as u64, &mut to);
        std::hint::black_box(&mut to);
    })
}

fn send(bytes: u64) -> Result<f64, BenchError> {
    let failed = |error: std::io::Error| BenchError::Control(format!("the socket pair: {error}"));
    let (mut ours, mut theirs) = UnixStream::pair().map_err(failed)?;
    widen(&ours);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut buffer = vec![0; PIECE];
            while theirs.read(&mut buffer)? > 0 {}
            Ok(())
        });
        let data = vec![1u8; PIECE];
        let mut sent = Ok(());
        let rate = rate(bytes, |_| {
            if sent.is_ok() {
                sent = ours.write_all(&data);
            }
        });
        drop(ours);
        let read = reader.join().unwrap_or_else(|_| Err(std::io::Error::other("the reader panicked")));
        sent.and(read).map(|()| rate).map_err(failed)
    })
}

/// For people.
pub fn overhead_text(figures: &Overhead) -> String {
    let parts = &figures.parts;
    let mut text = String::new();
    for (name, rate) in [
        ("plain memory copy", parts.memcpy),
        ("generator alone", parts.generator),
        ("socket alone", parts.socket),
        ("one stream", parts.stream),
    ] {
        let _ = writeln!(text, "{name:<18} {:6.2} GB/s  {:5.2} of the copy", rate / 1e9, rate / parts.memcpy);
    }
    let _ = write!(
        text,
        "bptm waited {:.0} % of the time for data, its child {:.0} % for empty buffers: {} is the bottleneck\n\
         median of {} rounds of {} MiB on {} CPUs, into a plug-in that keeps nothing",
        parts.bptm_waited * 100.0,
        parts.child_waited * 100.0,
        figures.bottleneck,
        figures.rounds,
        figures.bytes >> 20,
        figures.cpus
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottleneck_is_where_nobody_waits() {
        let parts = Parts {
            memcpy: 10.0,
            generator: 5.0,
            socket: 3.0,
            stream: 2.0,
            ratio: 0.2,
            bptm_waited: 0.5,
            child_waited: 0.1,
        };
        assert_eq!(bottleneck(&parts), "the socket");
        assert_eq!(bottleneck(&Parts { generator: 2.0, ..parts }), "the generator");
        assert_eq!(bottleneck(&Parts { child_waited: 0.6, ..parts }), "bptm and the plug-in");
    }
}
