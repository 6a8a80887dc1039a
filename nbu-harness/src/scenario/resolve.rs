//! From the file to the specification: defaults filled in, references resolved, ranges checked.

use super::diagnostic::{Diagnostic, nearest};
use super::domain::{OrderStep, SetUp};
use super::file::{ClusterFile, LsuFile, OrderFile, RestoreFile, ScenarioFile, StepFile};
use super::flows::ChangeStep;
use super::settings::{Buffers, Nbu, TimeoutsFile};
use super::spec::Scenario;
use super::step::{RestoreSelection, Step};
use super::storage::{Cluster, EmbeddedCluster, Lsu};
use super::topology::Domain;
use super::values::Milliseconds;
use super::{
    checkpoint, clients, fault, flows, inline, media_server, needs, plugin_fault, selections, target,
};
use crate::nbu::{DataBuffers, Timeouts};
use crate::primary::JobOrder;
use serde_saphyr::{Location, Spanned};

const MAX_STEPS: usize = 1000;
/// What is done about a step that waits for nothing.
const FRAGMENTS: &str = "put it before a `backup`, `advance`, `resume` or `restart`";

/// Something that the YAML reader cannot see is wrong.
#[derive(Debug)]
pub(super) struct Problem {
    place: Location,
    message: String,
    help: Option<String>,
}

impl Problem {
    pub(super) fn new(place: Location, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: Some(help.into()) }
    }

    pub(super) fn into_diagnostic(self, file: &str, text: &str) -> Diagnostic {
        Diagnostic::at(file, text, self.place, self.message, self.help)
    }
}

pub(super) fn resolve(file: ScenarioFile) -> Result<Scenario, Problem> {
    let id = scenario_id(file.scenario)?;
    let needs = needs::resolve(file.needs, &file.storage.server.disable)?;
    let cluster =
        file.storage.cluster.map_or_else(|| Ok(Cluster::Embedded(EmbeddedCluster::default())), cluster)?;
    let lsus = lsus(file.storage.lsus)?;
    let target = target::resolve(file.storage.target, &cluster, &file.storage.server)?;
    let replication = flows::replication(file.storage.replication, &lsus, target.as_ref())?;
    let domain = super::topology::resolve(
        &file.nbu,
        file.storage.media_servers,
        file.storage.pools,
        file.storage.units,
        file.storage.groups,
        file.storage.slps,
        &file.policy,
    )?;
    let lines: Vec<&str> = file.selections.iter().map(|line| line.value.as_str()).collect();
    let clients = clients::resolve(&file.policy)?;
    let streams = clients::streams(&clients, file.seed, file.run.referenced, |seed| {
        selections::parse(&lines, seed).map_err(|(index, message, help)| {
            let place = file
                .selections
                .get(index)
                .or(file.selections.last())
                .map_or(file.run.referenced, |l| l.referenced);
            Problem { place, message, help }
        })
    })?;
    set_up(&file.nbu, &domain, &replication)?;
    let place = file.run.referenced;
    let policy_storage = inline::first(&file.policy)?.value.clone();
    let run = steps(file.run, &Known { lsus: &lsus, cluster: &cluster, domain: &domain })?;
    target::used_rightly(target.as_ref(), &domain, &inline::storage(&file.policy), (place, &run))?;
    Ok(Scenario {
        id,
        title: file.title,
        needs,
        seed: file.seed,
        buffers: buffers(file.nbu.buffers)?,
        fork: file.nbu.fork,
        globals: domain.globals,
        media_servers: domain.media_servers,
        plugins: domain.plugins,
        clocks: domain.clocks,
        pools: domain.pools,
        units: domain.units,
        groups: domain.groups,
        slps: domain.slps,
        schedule: domain.schedule,
        schedules: domain.schedules,
        limit_jobs: file.policy.limit_jobs,
        priority: file.policy.priority,
        policy_storage,
        policy_unit: domain.policy_unit,
        copies: domain.copies,
        timeouts: timeouts(file.nbu.timeouts)?,
        cluster,
        server: file.storage.server,
        lsus,
        replication,
        target,
        policy: file.policy.name.value,
        clients,
        header: file.policy.header,
        collect_tir: file.policy.collect_tir,
        streams,
        run,
        expect: file.expect,
    })
}

/// What the commands cannot say, or not of both domains, is told directly.
fn set_up(nbu: &Nbu, domain: &Domain, replication: &[flows::Replication]) -> Result<(), Problem> {
    let Some(asked) = nbu.set_up.as_ref().filter(|asked| asked.value == SetUp::Commands) else {
        return Ok(());
    };
    let help = "leave `set_up` out, or take that away";
    if let Some(unit) = domain.units.iter().find(|unit| unit.max_fragment.0 % (1 << 20) != 0) {
        let message = format!("`bpstuadd -mfs` counts MiB, and {} has {}", unit.label, unit.max_fragment);
        return Err(Problem::new(asked.referenced, message, help));
    }
    if !domain.slps.is_empty() {
        return Err(Problem::new(asked.referenced, "storage lifecycle policies are told directly", help));
    }
    if !replication.is_empty() {
        return Err(Problem::new(
            asked.referenced,
            "the commands set up one domain, and `replication` has two",
            help,
        ));
    }
    Ok(())
}

fn scenario_id(id: Spanned<String>) -> Result<String, Problem> {
    let mut parts = id.value.split('-');
    let right = parts.next() == Some("NBU")
        && parts.next().is_some_and(|flow| flow.len() >= 2 && flow.bytes().all(|b| b.is_ascii_uppercase()))
        && parts.next().is_some_and(|number| number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()))
        && parts.next().is_none();
    if right {
        return Ok(id.value);
    }
    let message = format!("`{}` is not a scenario id", id.value);
    let help = "expected NBU-, the flow in capitals, - and three digits: NBU-BKP-001";
    Err(Problem::new(id.referenced, message, help))
}

fn bucket_name(name: Spanned<String>) -> Result<String, Problem> {
    let valid = (3..=63).contains(&name.value.len())
        && name.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.value.starts_with('-')
        && !name.value.ends_with('-');
    if valid {
        return Ok(name.value);
    }
    let message = format!("`{}` cannot be the name of an LSU", name.value);
    let help = "expected a bucket name: 3 to 63 lower-case letters, digits and -";
    Err(Problem::new(name.referenced, message, help))
}

/// LSUs to provide.
pub(super) fn lsus(files: Vec<LsuFile>) -> Result<Vec<Lsu>, Problem> {
    let mut lsus: Vec<Lsu> = Vec::new();
    for lsu in files {
        if lsus.iter().any(|other| other.name == lsu.name.value) {
            return Err(twice(lsu.name.referenced, &lsu.name.value, "LSU"));
        }
        lsus.push(Lsu { name: bucket_name(lsu.name)?, quota: lsu.quota, worm: lsu.worm });
    }
    Ok(lsus)
}

/// How many VIPs a cluster can have.
pub(super) fn vips(place: Location, cluster: &EmbeddedCluster) -> Result<(), Problem> {
    if (1..=64).contains(&cluster.vips) {
        return Ok(());
    }
    let message = format!("a cluster cannot have {} VIPs", cluster.vips);
    Err(Problem::new(place, message, "expected 1 to 64"))
}

pub(super) fn twice(place: Location, name: &str, what: &str) -> Problem {
    Problem::new(place, format!("there is another {what} `{name}`"), "give each its own name")
}

fn cluster(cluster: Spanned<ClusterFile>) -> Result<Cluster, Problem> {
    match cluster.value {
        ClusterFile::Embedded(embedded) => {
            vips(cluster.referenced, &embedded)?;
            Ok(Cluster::Embedded(embedded))
        }
        ClusterFile::External(external) => Ok(Cluster::External(external)),
    }
}

fn buffers(given: Buffers) -> Result<DataBuffers, Problem> {
    let mut buffers = DataBuffers::default();
    if let Some(size) = given.size {
        let wrong =
            || Problem::new(size.referenced, "not a buffer size", "expected 1k to 64m, a multiple of 1k");
        let bytes = u32::try_from(size.value.0).map_err(|_| wrong())?;
        if !(1024..=64 << 20).contains(&bytes) || bytes % 1024 != 0 {
            return Err(wrong());
        }
        buffers.size_data_buffers_disk = bytes;
    }
    if let Some(number) = given.number {
        let all = u64::from(number.value) * u64::from(buffers.size_data_buffers_disk);
        if number.value == 0 || number.value > 65_536 || all > 4 << 30 {
            let help = "expected 1 to 65536, and at most 4g for all buffers together";
            return Err(Problem::new(number.referenced, "not a number of buffers", help));
        }
        buffers.number_data_buffers_disk = number.value;
    }
    let delay = |given: Option<Spanned<Milliseconds>>, default: u32| match given {
        None => Ok(default),
        Some(delay) => u32::try_from(delay.value.0)
            .ok()
            .filter(|ms| (1..=60_000).contains(ms))
            .ok_or_else(|| Problem::new(delay.referenced, "not a delay", "expected 1ms to 60s")),
    };
    buffers.parent_delay_ms = delay(given.parent_delay, buffers.parent_delay_ms)?;
    buffers.child_delay_ms = delay(given.child_delay, buffers.child_delay_ms)?;
    Ok(buffers)
}

fn timeouts(given: TimeoutsFile) -> Result<Timeouts, Problem> {
    let timeout = |given: Option<Spanned<Milliseconds>>, default: u64| match given {
        None => Ok(default),
        Some(time) if (100..=3_600_000).contains(&time.value.0) => Ok(time.value.0),
        Some(time) => Err(Problem::new(time.referenced, "not a timeout", "expected 100ms to 1h")),
    };
    let default = Timeouts::default();
    Ok(Timeouts {
        client_read_timeout_ms: timeout(given.client_read, default.client_read_timeout_ms)?,
        client_connect_timeout_ms: timeout(given.client_connect, default.client_connect_timeout_ms)?,
        stop_timeout_ms: timeout(given.stop, default.stop_timeout_ms)?,
    })
}

/// What steps may refer to.
struct Known<'a> {
    lsus: &'a [Lsu],
    cluster: &'a Cluster,
    domain: &'a Domain,
}

fn steps(run: Spanned<Vec<StepFile>>, known: &Known<'_>) -> Result<Vec<Step>, Problem> {
    if run.value.is_empty() || run.value.len() > MAX_STEPS {
        let help = format!("expected 1 to {MAX_STEPS} steps such as `- backup: {{}}`");
        return Err(Problem::new(run.referenced, "a scenario needs something to do", help));
    }
    let place = run.referenced;
    let steps = run.value.into_iter().map(|step| step_of(step, known)).collect::<Result<Vec<_>, _>>()?;
    met(place, &steps)?;
    Ok(steps)
}

/// What waits for a fragment has to come just before a step that makes images.
fn met(place: Location, steps: &[Step]) -> Result<(), Problem> {
    let mut waiting = None;
    for (number, step) in (1..).zip(steps) {
        if step.awaits_fragment() {
            waiting.get_or_insert((number, step.name()));
        } else if step.has_jobs()
            && let Some((first, name)) = waiting.take().filter(|_| !step.makes_fragments())
        {
            let message = format!(
                "step {first} (`{name}`) waits for a fragment, and step {number} (`{}`) makes none",
                step.name()
            );
            return Err(Problem::new(place, message, FRAGMENTS));
        }
    }
    match waiting {
        Some((first, name)) => {
            let message =
                format!("step {first} (`{name}`) waits for a fragment, and no step after it makes one");
            Err(Problem::new(place, message, FRAGMENTS))
        }
        None => Ok(()),
    }
}

fn step_of(step: StepFile, known: &Known<'_>) -> Result<Step, Problem> {
    let lsus = known.lsus;
    let needs_embedded = |place: Location, what: &str| match known.cluster {
        Cluster::Embedded(_) => Ok(()),
        Cluster::External(_) => Err(Problem::new(
            place,
            format!("{what} needs an embedded cluster"),
            "use `cluster: {embedded: {}}`",
        )),
    };
    Ok(match step {
        StepFile::Backup(step) => {
            let place = step.referenced;
            let step = flows::backup(place, Domain::backup(step.value)?)?;
            known.domain.copies.allow(place, &step)?;
            Step::Backup(step)
        }
        StepFile::Restore(step) => {
            let media = step.media.as_ref().map(|name| known.domain.media_server(name)).transpose()?;
            Step::Restore(checkpoint::restore(step, media)?)
        }
        StepFile::Advance(time) => Step::Advance(time),
        StepFile::Pause(step) => Step::Pause(known.domain.pause(&step, true)?),
        StepFile::Unpause(step) => Step::Pause(known.domain.pause(&step, false)?),
        StepFile::Cancel(step) => order(JobOrder::Cancel, &step),
        StepFile::Suspend(step) => order(JobOrder::Suspend, &step),
        StepFile::Restart(_) => Step::Restart,
        StepFile::Kill(step) => Step::Kill(known.domain.kill(step)?),
        StepFile::Start(step) => Step::Start(known.domain.server(step.referenced, step.value.server)?),
        StepFile::Upgrade(step) => Step::Upgrade(media_server::upgrade(&step, known.domain)?),
        StepFile::UpdateCredentials(_) => Step::UpdateCredentials,
        StepFile::Volume(step) => Step::Volume(known.domain.volume(step)?),
        StepFile::Verify(step) => Step::Verify(step),
        StepFile::Expire(step) => Step::Expire(step),
        StepFile::Synthetic(step) => Step::Synthetic(step),
        StepFile::Import(step) => Step::Import(step),
        StepFile::Replicate(_) => Step::Replicate,
        StepFile::ImportReplicas(step) => {
            Step::ImportReplicas(flows::import_replicas(&step, &known.domain.labels())?)
        }
        StepFile::Cleanup(_) => Step::Cleanup,
        StepFile::LoseCatalog(_) => Step::LoseCatalog,
        StepFile::Resume(step) => Step::Resume(step),
        StepFile::Change(step) => {
            let ChangeStep { percent, delete_percent } = step.value;
            if u16::from(percent) + u16::from(delete_percent) > 100 {
                let help = "expected `percent` and `delete_percent` of 100 together at most";
                return Err(Problem::new(step.referenced, "more than all files cannot change", help));
            }
            Step::Change(step.value)
        }
        StepFile::Duplicate(step) => Step::Duplicate(flows::duplicate(step, &known.domain.labels())?),
        StepFile::Heal(_) => Step::Heal,
        StepFile::Fill(step) => {
            needs_embedded(step.referenced, "fill")?;
            let names: Vec<&str> = lsus.iter().map(|lsu| lsu.name.as_str()).collect();
            match lsus.iter().find(|lsu| lsu.name == step.value.lsu).map(|lsu| lsu.quota) {
                Some(Some(quota)) if quota >= step.value.leave => Step::Fill(step.value),
                Some(_) => {
                    let help = "give the LSU a quota, not smaller than what is left";
                    return Err(Problem::new(step.referenced, "this LSU cannot be filled", help));
                }
                None => {
                    let message = format!("there is no LSU `{}`", step.value.lsu);
                    let help = nearest("LSU", &step.value.lsu, &names);
                    return Err(Problem::new(step.referenced, message, help));
                }
            }
        }
        StepFile::Fault(step) => {
            needs_embedded(step.referenced, "fault")?;
            Step::Fault(fault::resolve(&step)?)
        }
        StepFile::PluginFault(step) => Step::PluginFault(plugin_fault::resolve(step)?),
    })
}

const fn order(order: JobOrder, step: &OrderFile) -> Step {
    Step::Order(OrderStep { order, fragment: step.fragment })
}

pub(super) fn restore_selection(step: RestoreFile) -> Result<RestoreSelection, Problem> {
    match (step.single_files, step.files) {
        (None, None) => Ok(RestoreSelection::All),
        (Some(count), None) if (1..=1000).contains(&count.value) => {
            Ok(RestoreSelection::SingleFiles(count.value))
        }
        (Some(count), None) => {
            Err(Problem::new(count.referenced, "not a number of files", "expected 1 to 1000"))
        }
        (None, Some(files)) if files.value.is_empty() => {
            Err(Problem::new(files.referenced, "no file is named", "leave the key out to restore everything"))
        }
        (None, Some(files)) => Ok(RestoreSelection::Files(files.value)),
        (Some(_), Some(files)) => {
            let message = "`files` and `single_files` exclude each other";
            Err(Problem::new(files.referenced, message, "write two restore steps"))
        }
    }
}
