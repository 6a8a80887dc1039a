//! Asynchronous tasks: what VMS answers `async_task` for, does a little later on the cluster's clock, and may fail to do.
//!
//! A task is a row of `/vtasks/`; what it is to do is in hidden fields of that row, as data, so that a task that a
//! restart interrupts is carried out afterwards.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::engine::{self, Call, Resource};
use super::error::ApiError;
use super::events::{self, Happening, Severity};
use super::resources;
use crate::background::Job;
use crate::core::Core;
use crate::env;
use crate::store::registry::{Row, as_row, number, text};
use crate::store::state::State;

/// How asynchronous tasks behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSettings {
    /// How long a task takes on the cluster's clock. Zero carries it out before the answer that announces it.
    pub duration: Duration,
    /// Finished tasks that are kept; older ones are forgotten.
    pub kept: usize,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self { duration: Duration::from_millis(500), kept: 1_000 }
    }
}

/// What a task does when its time has come, with the arguments it was started with: a message for people, or why it
/// failed (then it must have changed nothing).
pub(crate) type Work = fn(&Arc<Core>, &mut State, &Row) -> Result<String, String>;

/// Everything that a task can be told to do.
static WORK: &[(&str, Work)] = &[
    ("delete", carry_out_delete),
    (resources::blocks::WORK, resources::blocks::carry_out),
    ("modify", carry_out_modify),
    (resources::eventdefinitions::WORK, resources::eventdefinitions::carry_out),
    ("permissions_repair", resources::view_paths::finish_repair),
    ("end_stream", resources::globalsnapstreams::end_stream),
    ("stop_stream", resources::globalsnapstreams::stop_stream),
];

/// Who else has to know that a task has failed or was given up (false), or is tried again (true).
type Follow = fn(&mut State, &Row, bool);

static FOLLOWED: &[(&str, Follow)] = &[("end_stream", resources::globalsnapstreams::follow_task)];

fn follow(state: &mut State, id: u64, runs: bool) {
    let Some(task) = state.vms.row("vtasks", id) else { return };
    if let Some((_, follow)) = FOLLOWED.iter().find(|(work, _)| *work == text(task, WORK_NAME)) {
        let arguments = task.get(ARGUMENTS).and_then(Value::as_object).cloned().unwrap_or_default();
        follow(state, &arguments, runs);
    }
}

/// When the next task ends; on a running task's row.
const DUE: &str = "__due";
/// The hidden field with the tenant whose object a task is about.
pub(crate) const TENANT: &str = "_tenant_id";
const WORK_NAME: &str = "__work";
const ARGUMENTS: &str = "__arguments";
/// In the arguments: who asked.
const BY: &str = "by";

/// The tenant whose object a task is about, as far as its arguments name one.
fn tenant_of(state: &State, arguments: &Row) -> Option<u64> {
    let of = |kind: &str, id: u64| {
        let resource = resources::by_kind(kind)?;
        resource.tenant(state, state.vms.row(kind, id)?)
    };
    let named = [("stream", "globalsnapstreams"), ("view_id", "views")];
    let named = named.iter().find_map(|(argument, kind)| Some((*kind, number(arguments, argument)?)));
    let target = number(arguments, "id").map(|id| (text(arguments, "kind"), id));
    let mut pairs =
        ["add", "remove"].iter().filter_map(|list| arguments.get(*list)?.get(0)?.get(0)?.as_u64());
    let volume = pairs.next().map(|volume| ("volumes", volume));
    let (kind, id) = named.or(target).or(volume)?;
    of(kind, id)
}

/// Starts a task: `name` is what clients see (and what faults go by, as `TASK name`), `work` one of [`WORK`]. Gives the
/// object for `async_task`.
pub(crate) fn start(core: &Arc<Core>, state: &mut State, name: &str, work: &str, arguments: Row) -> Value {
    let already = |(_, t): &(u64, &Row)| {
        text(t, "state") == "RUNNING"
            && text(t, "name") == name
            && text(t, WORK_NAME) == work
            && t.get(ARGUMENTS).and_then(Value::as_object) == Some(&arguments)
    };
    if let Some((id, _)) = state.vms.rows("vtasks").find(already) {
        return summary(state, id);
    }
    let now = core.now_ms();
    let row = json!({
        "name": name, "state": "RUNNING", "messages": [], "start_time": env::rfc3339(now), "info": {},
        "timeout_in_seconds": 600, "__started": now, DUE: now.saturating_add(duration(core)), WORK_NAME: work,
    });
    let mut row = as_row(row);
    row.insert(TENANT.to_owned(), tenant_of(state, &arguments).into());
    row.insert(ARGUMENTS.to_owned(), Value::Object(arguments));
    let id = engine::insert(core, state, "vtasks", row);
    begin(core, state, id);
    forget_old(state, core.config.tasks.kept);
    summary(state, id)
}

/// A task as the call that starts it shows it.
fn summary(state: &State, id: u64) -> Value {
    let task = state.vms.row("vtasks", id).cloned().unwrap_or_default();
    json!({
        "id": id, "name": task.get("name"), "state": task.get("state"), "start_time": task.get("start_time"),
        "messages": task.get("messages"), "url": format!("/api/vtasks/{id}/"),
    })
}

fn forget_old(state: &mut State, kept: usize) {
    let finished = |(_, t): &(u64, &Row)| text(t, "state") != "RUNNING";
    let ids: Vec<u64> = state.vms.rows("vtasks").filter(finished).map(|(id, _)| id).collect();
    for id in ids.iter().take(ids.len().saturating_sub(kept)) {
        state.vms.remove("vtasks", *id);
    }
}

/// Ends a running task: does its work, unless a fault forbids.
fn finish(core: &Arc<Core>, state: &mut State, id: u64) {
    let Some(task) = state.vms.row("vtasks", id).cloned() else { return };
    let arguments = task.get(ARGUMENTS).and_then(Value::as_object).cloned().unwrap_or_default();
    let result = match core.faults.fails_task(text(&task, "name")) {
        Some(failure) => Err(failure),
        None => match WORK.iter().find(|(name, _)| *name == text(&task, WORK_NAME)) {
            Some((_, work)) => work(core, state, &arguments),
            None => Err(format!("unknown work {}", text(&task, WORK_NAME))),
        },
    };
    let now = core.now_ms();
    let (outcome, message) = match result {
        Ok(message) => ("COMPLETED", message),
        Err(message) => {
            let said = format!("Task {} failed: {message}", text(&task, "name"));
            let failed = Happening::to("vtasks", id, &task, "TASK_FAILED", "TASK", said);
            events::record(core, state, &failed.severity(Severity::Minor));
            follow(state, id, false);
            ("FAILED", message)
        }
    };
    let seconds = now.saturating_sub(number(&task, "__started").unwrap_or(now)) / 1_000;
    let changes = json!({
        "state": outcome, "messages": [message], "end_time": env::rfc3339(now), "execution_time": seconds, DUE: null,
    });
    state.vms.update("vtasks", id, as_row(changes));
}

/// Starts a failed task again, under its own id; none when it has not failed.
pub(crate) fn retry(core: &Arc<Core>, state: &mut State, id: u64) -> Option<Value> {
    state.vms.row("vtasks", id).filter(|t| text(t, "state") == "FAILED")?;
    let now = core.now_ms();
    let changes = json!({
        "state": "RUNNING", "messages": [], "start_time": env::rfc3339(now), "end_time": null, "execution_time": null,
        "__started": now, DUE: now.saturating_add(duration(core)),
    });
    state.vms.update("vtasks", id, as_row(changes));
    follow(state, id, true);
    events::resolve(state, "TASK_FAILED", "vtasks", id);
    begin(core, state, id);
    Some(summary(state, id))
}

/// Gives a task up, whatever it was to do.
pub(crate) fn settle(core: &Core, state: &mut State, id: u64, outcome: &str) {
    let changes = json!({
        "state": outcome, "messages": [format!("Set to {outcome} by hand.")], "end_time": env::rfc3339(core.now_ms()),
        DUE: null,
    });
    state.vms.update("vtasks", id, as_row(changes));
    follow(state, id, false);
}

fn duration(core: &Core) -> u64 {
    u64::try_from(core.config.tasks.duration.as_millis()).unwrap_or(u64::MAX)
}

/// Ends a task at once when tasks take no time, else sees that its end is waited for.
fn begin(core: &Arc<Core>, state: &mut State, id: u64) {
    if core.config.tasks.duration.is_zero() {
        finish(core, state, id);
    } else {
        core.background.wake();
    }
}

/// Carries out tasks as they become due.
#[derive(Debug)]
pub(crate) struct Tasks;

impl Job for Tasks {
    fn stores(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "tasks"
    }

    fn next_due(&self, core: &Core) -> Option<u64> {
        core.store.read(|state| state.vms.rows("vtasks").filter_map(|(_, t)| number(t, DUE)).min())
    }

    fn run(&self, core: &Arc<Core>, at: u64) {
        core.store.write(|state| {
            let due = |(_, t): &(u64, &Row)| number(t, DUE).is_some_and(|due| due <= at);
            let ids: Vec<u64> = state.vms.rows("vtasks").filter(due).map(|(id, _)| id).collect();
            for id in ids {
                finish(core, state, id);
            }
        });
        crate::net::vips::follow(core);
    }
}

/// `tenant_delete` for `tenants`.
fn task_name(resource: &dyn Resource, what: &str) -> String {
    format!("{}_{what}", engine::singular(resource.kind()))
}

/// Starts the task that deletes an object.
pub(crate) fn delete(
    core: &Arc<Core>,
    state: &mut State,
    resource: &dyn Resource,
    id: u64,
    call: &Call,
) -> Value {
    let arguments = json!({
        "kind": resource.kind(), "id": id, "query": call.query, "body": call.body, BY: call.caller.name,
    });
    let arguments = as_row(arguments);
    start(core, state, &task_name(resource, "delete"), "delete", arguments)
}

/// Starts the task that changes an object.
pub(crate) fn modify(
    core: &Arc<Core>,
    state: &mut State,
    resource: &dyn Resource,
    id: u64,
    changes: Row,
    by: &str,
) -> Value {
    let kind = Value::from(resource.kind());
    let fields = [("kind", kind), ("id", id.into()), ("changes", Value::Object(changes)), (BY, by.into())];
    let arguments = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    start(core, state, &task_name(resource, "modify"), "modify", arguments)
}

fn told(error: &ApiError) -> String {
    error.body.get("detail").and_then(Value::as_str).map_or_else(|| error.body.to_string(), str::to_owned)
}

fn target(arguments: &Row) -> Result<(&'static dyn Resource, u64), String> {
    let resource = resources::by_kind(text(arguments, "kind")).ok_or("unknown resource")?;
    Ok((resource, number(arguments, "id").unwrap_or(0)))
}

fn carry_out_delete(core: &Arc<Core>, state: &mut State, arguments: &Row) -> Result<String, String> {
    let (resource, id) = target(arguments)?;
    let query = arguments.get("query").cloned().unwrap_or_default();
    let call = Call {
        method: Method::DELETE,
        segments: vec![resource.kind().to_owned(), id.to_string()],
        query: serde_json::from_value(query).unwrap_or_default(),
        body: arguments.get("body").cloned().unwrap_or_default(),
        origin: String::new(),
        prefix: super::PREFIX.to_owned(),
        caller: Caller::itself(),
    };
    if resource.row(core, state, id).is_none() {
        return Ok("It was gone already.".to_owned());
    }
    resource.refuse_delete(core, state, id, &call).map_err(|e| told(&e))?;
    let gone = resource.row(core, state, id).map(Cow::into_owned).unwrap_or_default();
    resource.delete(core, state, id, &call).map_err(|e| told(&e))?;
    events::record_change(core, state, text(arguments, BY), resource.kind(), id, &gone, "OBJECT_DELETED");
    Ok(format!("{} {id} was deleted.", engine::singular(resource.kind())))
}

fn carry_out_modify(core: &Arc<Core>, state: &mut State, arguments: &Row) -> Result<String, String> {
    let (resource, id) = target(arguments)?;
    let changes: Map<String, Value> =
        arguments.get("changes").and_then(Value::as_object).cloned().unwrap_or_default();
    resource.row(core, state, id).ok_or("It is gone.")?;
    resource.update(core, state, id, changes).map_err(|e| told(&e))?;
    let changed = resource.row(core, state, id).map(Cow::into_owned).unwrap_or_default();
    events::record_change(core, state, text(arguments, BY), resource.kind(), id, &changed, "OBJECT_MODIFIED");
    Ok(format!("{} {id} was changed.", engine::singular(resource.kind())))
}
