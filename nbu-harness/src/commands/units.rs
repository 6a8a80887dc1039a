//! `bpstuadd`, `bpsturep`, `bpstudel` and `bpstulist`: storage units and their groups. How groups are written, `-group`
//! with `-stunits` and `-sm`, is from memory of the documentation and not verified.

use super::options::{Given, Opt, Verb, flag, needed, optional, several};
use super::{CommandError, Context};
use crate::emm::{Selection, StorageUnit, StorageUnitGroup, UnitValues};
use std::fmt::Write;

/// What a new unit and a changed one can be given.
macro_rules! values {
    ($pool:expr) => {
        &[
            needed("-label", "LABEL"),
            $pool,
            optional("-host", "MEDIA_SERVER"),
            several("-hostlist", "MEDIA_SERVER"),
            flag("-nodevhost"),
            optional("-cj", "JOBS"),
            optional("-mfs", "MIB"),
            optional("-odo", "0|1"),
        ]
    };
}

const NEW: &[Opt] = values!(needed("-dp", "POOL"));
const CHANGED: &[Opt] = values!(optional("-dp", "POOL"));

pub(super) const ADD: &[Verb] = &[
    Verb {
        name: "-group",
        options: &[needed("-group", "NAME"), several("-stunits", "LABEL"), optional("-sm", "1|2|3|4")],
        run: add_group,
    },
    Verb { name: "", options: NEW, run: add },
];
pub(super) const REPLACE: &[Verb] = &[Verb { name: "", options: CHANGED, run: replace }];
pub(super) const DELETE: &[Verb] = &[
    Verb { name: "-group", options: &[needed("-group", "NAME")], run: delete_group },
    Verb { name: "", options: &[needed("-label", "LABEL")], run: delete },
];
pub(super) const LIST: &[Verb] = &[
    Verb { name: "-group", options: &[needed("-group", "NAME")], run: list_groups },
    Verb { name: "-go", options: &[], run: list_groups },
    Verb { name: "", options: &[optional("-label", "LABEL"), flag("-l"), flag("-L"), flag("-U")], run: list },
];

fn values(given: &Given) -> Result<UnitValues, CommandError> {
    let hosts = match (given.value("-host"), given.values("-hostlist"), given.has("-nodevhost")) {
        (None, [], false) => None,
        (None, [], true) => Some(Vec::new()),
        (Some(host), [], false) => Some(vec![host.to_owned()]),
        (None, hosts, false) => Some(hosts.to_vec()),
        _ => return Err(CommandError::usage("give one of -host, -hostlist and -nodevhost".into())),
    };
    let on_demand_only = match given.value("-odo") {
        None => None,
        Some("0") => Some(false),
        Some("1") => Some(true),
        Some(other) => return Err(CommandError::usage(format!("-odo {other}: it is 0 or 1"))),
    };
    Ok(UnitValues {
        pool: given.value("-dp").map(str::to_owned),
        media_servers: hosts,
        max_concurrent_jobs: given.number("-cj")?,
        max_fragment_mb: given.number("-mfs")?,
        on_demand_only,
    })
}

fn add(context: &Context, given: &Given) -> Result<String, CommandError> {
    let (emm, values) = (context.emm()?, values(given)?);
    let (label, settings) = (given.need("-label")?, emm.settings()?);
    emm.change(|database, _| database.add_storage_unit(label, &values, &settings))?;
    Ok(String::new())
}

fn replace(context: &Context, given: &Given) -> Result<String, CommandError> {
    let (label, values) = (given.need("-label")?, values(given)?);
    context.emm()?.change(|database, _| database.update_storage_unit(label, &values))?;
    Ok(String::new())
}

fn delete(context: &Context, given: &Given) -> Result<String, CommandError> {
    let label = given.need("-label")?;
    context.emm()?.change(|database, _| database.remove_storage_unit(label))?;
    Ok(String::new())
}

fn add_group(context: &Context, given: &Given) -> Result<String, CommandError> {
    let number = given.number::<usize>("-sm")?.unwrap_or(1);
    let selection =
        number.checked_sub(1).and_then(|at| Selection::ALL.get(at)).copied().ok_or_else(|| {
            let all: Vec<_> =
                (1..).zip(Selection::ALL).map(|(n, one)| format!("{n} ({})", one.words())).collect();
            CommandError::usage(format!("-sm {number}: it is one of {}", all.join(", ")))
        })?;
    let group = StorageUnitGroup {
        name: given.need("-group")?.to_owned(),
        units: given.values("-stunits").to_vec(),
        selection,
    };
    context.emm()?.change(|database, _| database.add_storage_unit_group(group))?;
    Ok(String::new())
}

fn delete_group(context: &Context, given: &Given) -> Result<String, CommandError> {
    let name = given.need("-group")?;
    context.emm()?.change(|database, _| database.remove_storage_unit_group(name))?;
    Ok(String::new())
}

/// A line for each group: name, selection and units. The layout is this program's own.
fn list_groups(context: &Context, given: &Given) -> Result<String, CommandError> {
    context.existing()?;
    let database = context.emm()?.read()?;
    let line = |group: &StorageUnitGroup| {
        format!("{} ({}): {}\n", group.name, group.selection.words(), group.units.join(" "))
    };
    match given.value("-group") {
        Some(name) => Ok(line(database.storage_unit_group(name)?)),
        None => Ok(database.storage_unit_groups().iter().map(line).collect()),
    }
}

fn list(context: &Context, given: &Given) -> Result<String, CommandError> {
    context.existing()?;
    let database = context.emm()?.read()?;
    let print = if given.has("-L") || given.has("-U") { people } else { short };
    match given.value("-label") {
        Some(label) => Ok(print(database.storage_unit(label)?)),
        None => Ok(database.storage_units().iter().map(print).collect()),
    }
}

/// `bpstulist -l`: label, type (0: disk), host, robot type, robot number, density, concurrent jobs, initial
/// multiplexing, path, on demand only, most multiplexing, fragment size in MiB, NDMP host, throttle, disk type (6:
/// pool), disk flags, high and low water mark (the pool's, so 0), root file system allowed, pool, hosts, and a number.
///
/// The row is seen in public output; the meanings of the fields behind the fragment size are inferred, and the last
/// number, 515527 in that output, is not understood and 0 here.
fn short(unit: &StorageUnit) -> String {
    let host = unit.media_servers.first().map_or("_STU_NO_DEV_HOST_", String::as_str);
    let hosts =
        if unit.media_servers.is_empty() { "*NULL*".to_owned() } else { unit.media_servers.join(",") };
    format!(
        "{} 0 {host} 0 -1 -1 {} 0 \"*NULL*\" {} 1 {} *NULL* 0 6 0 0 0 0 {} {hosts} 0\n",
        unit.label,
        unit.max_concurrent_jobs,
        u8::from(unit.on_demand_only),
        unit.max_fragment_mb,
        unit.pool,
    )
}

/// `bpstulist -L` and `-U`. The labels are those of the documentation, from memory: not verified.
fn people(unit: &StorageUnit) -> String {
    let hosts =
        if unit.media_servers.is_empty() { "(none)".to_owned() } else { unit.media_servers.join(" ") };
    let lines = [
        ("Label", unit.label.clone()),
        ("Storage Unit Type", "Disk".into()),
        ("Media Subtype", "DiskPool (6)".into()),
        ("Host Connection", hosts),
        ("Concurrent Jobs", unit.max_concurrent_jobs.to_string()),
        ("On Demand Only", if unit.on_demand_only { "yes" } else { "no" }.into()),
        ("Max MPX", "1".into()),
        ("Max Fragment Size", format!("{} MB", unit.max_fragment_mb)),
        ("Disk Pool", unit.pool.clone()),
    ];
    let mut text = String::new();
    for (label, value) in lines {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{:<22}{value}", format!("{label}:"));
    }
    text + "\n"
}
