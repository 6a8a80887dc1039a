//! `nbdevquery`: storage servers, disk pools and disk volumes.
//!
//! The long forms and the short lines of pools and volumes are seen in public output. Not verified: the short line of a
//! storage server, the labels of `-listdp -U`, and the last six numbers of a volume's short line, of which the
//! first four are taken for the mounts and streams of the long form here.

use super::options::{Given, Opt, Verb, flag, optional};
use super::{CommandError, Context};
use crate::emm::{Database, DiskPool, DiskVolume, State, StorageServer};
use ost_abi::{STS_LSUF_REP_SOURCE, STS_LSUF_REP_TARGET, STS_LSUF_WORM};
use std::fmt::Write;

const SERVERS: &[Opt] =
    &[optional("-storage_server", "NAME"), optional("-stype", "TYPE"), flag("-l"), flag("-u"), flag("-U")];
const POOLS: &[Opt] =
    &[optional("-dp", "POOL"), optional("-stype", "TYPE"), flag("-l"), flag("-u"), flag("-U")];
const VOLUMES: &[Opt] = &[
    optional("-dp", "POOL"),
    optional("-dv", "VOLUME"),
    optional("-stype", "TYPE"),
    flag("-l"),
    flag("-u"),
    flag("-U"),
];

pub(super) const VERBS: &[Verb] = &[
    Verb { name: "-liststs", options: SERVERS, run: servers },
    Verb { name: "-listdp", options: POOLS, run: pools },
    Verb { name: "-listdv", options: VOLUMES, run: volumes },
];

/// Flags of a volume beside its states, and the `STS_LSUF_*` that each stands for. The names are not verified.
const VOLUME_FLAGS: &[(&str, u64)] = &[
    ("ReplicationSource", STS_LSUF_REP_SOURCE),
    ("ReplicationTarget", STS_LSUF_REP_TARGET),
    ("WORM", STS_LSUF_WORM),
];

/// Lines of label and value, the labels padded to one width.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, label: &str, value: impl std::fmt::Display) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "{label:<20}: {value}");
    }

    fn lines<V: std::fmt::Display>(&mut self, label: &str, values: impl IntoIterator<Item = V>) {
        for value in values {
            self.line(label, value);
        }
    }
}

/// Bytes as gibibytes with two places, rounded down; what is not known is 0.
fn gib(bytes: Option<u64>) -> String {
    let hundredths = (u128::from(bytes.unwrap_or(0)) * 100) >> 30;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// 1 for up.
fn status(state: State) -> u8 {
    u8::from(state == State::Up)
}

fn long(given: &Given) -> bool {
    given.has("-U") || given.has("-u")
}

fn is(given: &Given, option: &str, value: &str) -> bool {
    given.value(option).is_none_or(|wanted| wanted == value)
}

fn database(context: &Context) -> Result<Database, CommandError> {
    context.existing()?;
    Ok(context.emm()?.read()?)
}

fn servers(context: &Context, given: &Given) -> Result<String, CommandError> {
    let database = database(context)?;
    if let (Some(name), Some(stype)) = (given.value("-storage_server"), given.value("-stype")) {
        database.storage_server(&crate::emm::server_key(stype, name))?;
    }
    let found = database.storage_servers().iter().filter(|server| {
        is(given, "-storage_server", &server.name) && is(given, "-stype", &server.server_type)
    });
    Ok(found.map(if long(given) { server_long } else { server_short }).collect())
}

fn server_short(server: &StorageServer) -> String {
    format!("V7.5 {} {} {}\n", server.name, server.server_type, server.storage_type.number())
}

fn server_long(server: &StorageServer) -> String {
    let mut lines = Lines::default();
    lines.line("Storage Server", &server.name);
    lines.line("Storage Server Type", &server.server_type);
    lines.line("Storage Type", server.storage_type);
    lines.line("State", server.states.effective());
    // States come behind the first flag, as in the output that is known.
    let (first, rest) = server.flags.split_at(server.flags.len().min(1));
    lines.lines("Flag", first);
    lines.lines("Flag", server.states.flags());
    lines.lines("Flag", rest);
    lines.0 + "\n"
}

/// The pools that are asked for, each with the type of its storage server.
fn asked_pools<'d>(
    database: &'d Database,
    given: &Given,
) -> Result<Vec<(&'d DiskPool, &'d StorageServer)>, CommandError> {
    if let Some(name) = given.value("-dp") {
        database.disk_pool(name)?;
    }
    let mut pools = Vec::new();
    for pool in database.disk_pools().iter().filter(|pool| is(given, "-dp", &pool.name)) {
        let server = database.storage_server(&pool.storage_server)?;
        if is(given, "-stype", &server.server_type) {
            pools.push((pool, server));
        }
    }
    Ok(pools)
}

fn pools(context: &Context, given: &Given) -> Result<String, CommandError> {
    let database = database(context)?;
    let pools = asked_pools(&database, given)?;
    let print = if long(given) { pool_long } else { pool_short };
    Ok(pools.into_iter().map(|(pool, server)| print(pool, server)).collect())
}

fn capacity(pool: &DiskPool) -> Option<u64> {
    let known = pool.volumes.iter().filter_map(|volume| volume.report.capacity);
    known.reduce(u64::saturating_add)
}

/// Name, status, raw and usable size in GiB, volumes, high and low water mark, I/O streams, storage server.
fn pool_short(pool: &DiskPool, server: &StorageServer) -> String {
    let size = gib(capacity(pool));
    format!(
        "V7.5 {} {} {size} {size} {} {} {} {} {}\n",
        pool.name,
        status(pool.states.effective()),
        pool.volumes.len(),
        pool.high_water_mark,
        pool.low_water_mark,
        pool.max_io_streams,
        server.name
    )
}

fn pool_long(pool: &DiskPool, server: &StorageServer) -> String {
    let mut lines = Lines::default();
    lines.line("Disk Pool Name", &pool.name);
    lines.line("Disk Pool Id", &pool.name);
    lines.line("Disk Type", &server.server_type);
    lines.line("Status", pool.states.effective());
    lines.lines("Flag", &pool.flags);
    lines.lines("Flag", pool.states.flags());
    lines.line("Raw Size (GB)", gib(capacity(pool)));
    lines.line("Usable Size (GB)", gib(capacity(pool)));
    lines.line("Num Volumes", pool.volumes.len());
    lines.line("High Watermark", pool.high_water_mark);
    lines.line("Low Watermark", pool.low_water_mark);
    lines.line("Max IO Streams", pool.max_io_streams);
    lines.line("Comment", &pool.comment);
    lines.line("Storage Server", format_args!("{} ({})", server.name, server.states.effective()));
    lines.0 + "\n"
}

fn volumes(context: &Context, given: &Given) -> Result<String, CommandError> {
    let database = database(context)?;
    let print = if long(given) { volume_long } else { volume_short };
    let mut text = String::new();
    for (pool, server) in asked_pools(&database, given)? {
        let wanted = pool.volumes.iter().filter(|volume| is(given, "-dv", &volume.report.name));
        text.extend(wanted.map(|volume| print(pool, server, volume)));
    }
    Ok(text)
}

/// Pool, type, volume, media id, total and free size in GiB, percent used, status, and six numbers: mounts for reading
/// and writing, streams for reading and writing, the volume's flags, and 0.
fn volume_short(pool: &DiskPool, server: &StorageServer, volume: &DiskVolume) -> String {
    let report = &volume.report;
    format!(
        "V_5_ {} {} {} {} {} {} {} {} 0 1 0 0 {} 0\n",
        pool.name,
        server.server_type,
        report.name,
        volume.media_id,
        gib(report.capacity),
        gib(report.free()),
        report.percent_used().unwrap_or(0),
        status(volume.states.effective()),
        report.lsu_flags
    )
}

fn volume_long(pool: &DiskPool, server: &StorageServer, volume: &DiskVolume) -> String {
    let report = &volume.report;
    let has = |flag: u64| u8::from(report.lsu_flags & flag != 0);
    let mut lines = Lines::default();
    lines.line("Disk Pool Name", &pool.name);
    lines.line("Disk Type", &server.server_type);
    lines.line("Disk Volume Name", &report.name);
    lines.line("Disk Media ID", &volume.media_id);
    lines.line("Total Capacity (GB)", gib(report.capacity));
    lines.line("Free Space (GB)", gib(report.free()));
    lines.line("Use%", report.percent_used().unwrap_or(0));
    lines.line("Status", volume.states.effective());
    lines.line("Flag", "ReadOnWrite");
    lines.lines("Flag", volume.states.flags());
    lines.lines("Flag", VOLUME_FLAGS.iter().filter(|(_, flag)| has(*flag) == 1).map(|(name, _)| name));
    lines.line("Num Read Mounts", 0);
    lines.line("Num Write Mounts", 1);
    lines.line("Cur Read Streams", 0);
    lines.line("Cur Write Streams", 0);
    lines.line("Num Repl Sources", has(STS_LSUF_REP_TARGET));
    lines.line("Num Repl Targets", has(STS_LSUF_REP_SOURCE));
    lines.line("WORM Lock Min Time", report.worm_min.unwrap_or(0));
    lines.line("WORM Lock Max Time", report.worm_max.unwrap_or(0));
    lines.0 + "\n"
}

#[cfg(test)]
mod tests {
    use super::gib;

    #[test]
    fn sizes_are_rounded_down_to_hundredths_of_a_gib() {
        let texts = [None, Some(1 << 30), Some((1 << 30) - 1), Some(u64::MAX)].map(gib);
        assert_eq!(texts, ["0.00", "1.00", "0.99", "17179869183.99"]);
    }
}
