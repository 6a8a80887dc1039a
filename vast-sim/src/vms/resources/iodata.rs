//! `/iodata/`: who did what in which view, over a time.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use super::super::engine::{Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::{capacity, spans};
use crate::core::Core;
use crate::env;
use crate::metrics::tally::{Count, Tally};
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

pub(crate) struct IoData;

/// The only protocol that anybody speaks here.
const PROTOCOL: &str = "S3";

const FLOWS: &[(&str, &[Count])] = &[
    ("iops", &[Count::Reads, Count::Writes]),
    ("md_iops", &[Count::ReadMd, Count::WriteMd]),
    ("read_bw", &[Count::ReadBytes]),
    ("read_iops", &[Count::Reads]),
    ("read_md_iops", &[Count::ReadMd]),
    ("write_bw", &[Count::WriteBytes]),
    ("write_iops", &[Count::Writes]),
    ("write_md_iops", &[Count::WriteMd]),
];

impl Resource for IoData {
    fn kind(&self) -> &'static str {
        "iodata"
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        if !name.is_empty() {
            return None;
        }
        if call.method != Method::GET {
            return Some(Err(ApiError::method_not_allowed(&call.method)));
        }
        Some(core.store.read(|state| answer(core, state, call)).map(Reply::ok))
    }
}

fn answer(core: &Core, state: &State, call: &Call) -> Result<Value, ApiError> {
    let moment = |name: &str| {
        let read = |text: &str| {
            spans::moment(text).ok_or_else(|| ApiError::field(name, format!("{text:?} is not a time.")))
        };
        call.param(name).filter(|t| !t.is_empty()).map(read).transpose()
    };
    let now = core.now_ms();
    let to = moment("end_time")?.unwrap_or(now);
    let from = if let Some(from) = moment("start_time")? {
        from
    } else {
        let frame = call.param("time_frame").unwrap_or("5m");
        let refused = || ApiError::field("time_frame", format!("{frame:?} is not a time frame."));
        to.saturating_sub(spans::parse(frame).filter(|s| *s > 0).ok_or_else(refused)?)
    };
    if from >= to {
        return Err(ApiError::field("start_time", "The start must be before the end."));
    }
    let protocol = call.param("protocol_filter").filter(|p| !p.is_empty()).unwrap_or(PROTOCOL);
    let limit = match call.param("limit").filter(|l| !l.is_empty()) {
        Some(limit) => limit.parse().map_err(|_| ApiError::field("limit", "A valid integer is required."))?,
        None => usize::MAX,
    };
    core.metrics.cut_in(state, now);
    let stamp = env::rfc3339(to);
    let mut data = Vec::new();
    for (user_id, view_id, meter) in core.metrics.user_views() {
        let (Some(user), Some(view)) = (state.vms.row("users", user_id), state.vms.row("views", view_id))
        else {
            continue;
        };
        let recent = meter.sum(from, to);
        if protocol != PROTOCOL
            || recent.is_zero()
            || !call.caller.sees(number(view, "tenant_id").or(Some(1)))
        {
            continue;
        }
        data.push(Value::Object(row(&stamp, user, view, &recent, to - from)));
    }
    data.truncate(limit);
    Ok(json!({ "timestamp": stamp, "data": data }))
}

fn row(stamp: &str, user: &Row, view: &Row, recent: &Tally, span: u64) -> Map<String, Value> {
    let uid = number(user, "uid").or_else(|| number(user, "id")).unwrap_or(0);
    let mut row = Map::new();
    row.insert("timestamp".to_owned(), stamp.into());
    row.insert("view".to_owned(), text(view, "path").into());
    row.insert("user".to_owned(), format!("({}) {uid}", text(user, "name")).into());
    row.insert("protocol".to_owned(), PROTOCOL.into());
    for (name, counts) in FLOWS {
        let n: u64 = counts.iter().map(|c| recent.get(*c)).sum();
        row.insert((*name).to_owned(), capacity::ratio(n.saturating_mul(1_000), span).into());
    }
    row
}
