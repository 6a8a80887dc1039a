//! `/monitors/`: what the cluster did over time, asked for by name or on the spot; and the catalogue of `/metrics/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use super::super::caller::Caller;
use super::super::engine::{self, Call, Reply, Resource};
use super::super::error::ApiError;
use super::super::measures::{self, Aggregation, Object, Period, Property};
use super::super::spans;
use crate::core::Core;
use crate::env;
use crate::metrics::tally::{Count, Tally};
use crate::store::registry::{Row, text};
use crate::store::state::State;

pub(crate) struct Monitors;
pub(crate) struct MetricNames;

/// Most rows of one answer.
const MAX_ROWS: usize = 20_000;
/// Time that is looked at when the client names none.
const DEFAULT_FRAME: &str = "10m";
/// Performers in an answer when the client does not say.
const DEFAULT_TOP: usize = 10;

/// What is asked for.
struct Question {
    object_type: String,
    object_ids: Vec<u64>,
    properties: Vec<Property>,
    period: Period,
    /// Width of the samples in milliseconds; none gives one row per object for the whole time.
    ///
    /// Clients disagree whether the first or the last row is the newest, so that one row is what all of them read right.
    granularity: Option<u64>,
    aggregation: Aggregation,
}

/// A parameter's values, however the client wrote the list.
fn listed(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(listed).collect(),
        Value::String(s) if s.trim_start().starts_with('[') => {
            serde_json::from_str::<Value>(s).map(|v| listed(&v)).unwrap_or_default()
        }
        Value::Null => Vec::new(),
        Value::String(s) => vec![s.clone()],
        other => vec![other.to_string()],
    }
}

impl Question {
    /// `asked` holds the parameters; lists may repeat.
    fn parse(asked: &Map<String, Value>, now: u64) -> Result<Self, ApiError> {
        let one =
            |name: &str| asked.get(name).map(listed).and_then(|mut v| v.pop()).filter(|v| !v.is_empty());
        let many = |name: &str| asked.get(name).map(listed).unwrap_or_default();
        let object_type = one("object_type").ok_or_else(|| ApiError::required("object_type"))?;
        let ids = many("object_ids")
            .into_iter()
            .flat_map(|v| v.split(',').map(|id| id.trim().to_owned()).collect::<Vec<_>>());
        let object_ids = ids
            .map(|id| id.parse().map_err(|_| ApiError::field("object_ids", "A valid integer is required.")))
            .collect::<Result<_, _>>()?;
        let mut names = many("prop_list");
        if names.is_empty() {
            names = measures::catalogue(&object_type);
        }
        let property = |name: &String| {
            let refused =
                || ApiError::field("prop_list", format!("{name} is not a metric: Class,name is needed."));
            Property::parse(name).ok_or_else(refused)
        };
        let properties = names.iter().map(property).collect::<Result<_, _>>()?;
        let granularity = match one("granularity").as_deref() {
            None | Some("auto" | "none") => None,
            Some("seconds") => Some(crate::metrics::series::SLOT),
            Some("minutes") => Some(300_000),
            Some("hours") => Some(3_600_000),
            Some("days") => Some(86_400_000),
            Some(other) => {
                let width = spans::parse(other).filter(|w| *w >= 1_000);
                Some(width.ok_or_else(|| {
                    ApiError::field("granularity", format!("{other:?} is not a granularity."))
                })?)
            }
        };
        let aggregation = one("aggregation").map_or(Some(Aggregation::Avg), |a| Aggregation::named(&a));
        Ok(Self {
            object_type,
            object_ids,
            properties,
            period: period(&one, now)?,
            granularity,
            aggregation: aggregation.ok_or_else(|| ApiError::field("aggregation", "Not a valid choice."))?,
        })
    }
}

fn period(one: &dyn Fn(&str) -> Option<String>, now: u64) -> Result<Period, ApiError> {
    let moment = |name: &str| {
        let read = |text: String| {
            spans::moment(&text).ok_or_else(|| ApiError::field(name, format!("{text:?} is not a time.")))
        };
        one(name).map(read).transpose()
    };
    let frame = one("time_frame").unwrap_or_else(|| DEFAULT_FRAME.to_owned());
    let to = moment("to_time")?.unwrap_or(now);
    let from = if let Some(from) = moment("from_time")? {
        from
    } else {
        let span = spans::parse(&frame).filter(|s| *s > 0);
        let refused = || ApiError::field("time_frame", format!("{frame:?} is not a time frame."));
        to.saturating_sub(span.ok_or_else(refused)?)
    };
    if from >= to {
        return Err(ApiError::field("from_time", "The start must be before the end."));
    }
    Ok(Period { from, to })
}

fn answer(core: &Arc<Core>, state: &State, question: &Question, caller: &Caller) -> Result<Value, ApiError> {
    core.metrics.cut_in(state, core.now_ms());
    let Some(mut objects) = measures::objects_for(core, state, &question.object_type, caller) else {
        let known: Vec<&str> = measures::types().collect();
        let message =
            format!("\"{}\" is not a valid choice; one of {}.", question.object_type, known.join(", "));
        return Err(ApiError::field("object_type", message));
    };
    if !question.object_ids.is_empty() {
        objects.retain(|o| question.object_ids.contains(&o.id));
    }
    let periods = periods(question, objects.len())?;
    let value = |o: &Object, p: &Property, at: Period| p.value(core, state, o, at, question.aggregation);
    // What no object has is a column of nulls, so that clients find every name that they asked for: some ask for the
    // metrics of several releases at once, and an error would cost them all the others.
    let properties = &question.properties;
    let mut data = Vec::new();
    for at in &periods {
        let stamp = env::rfc3339(if question.granularity.is_some() { at.from } else { at.to });
        for object in &objects {
            let mut row = vec![Value::from(stamp.clone()), object.id.into()];
            row.extend(properties.iter().map(|p| value(object, p, *at).unwrap_or_default()));
            data.push(Value::Array(row));
        }
    }
    let names = ["timestamp", "object_id"].into_iter().chain(properties.iter().map(|p| p.full.as_str()));
    Ok(json!({
        "object_ids": objects.iter().map(|o| o.id).collect::<Vec<_>>(),
        "prop_list": names.collect::<Vec<_>>(),
        "data": data,
    }))
}

fn periods(question: &Question, objects: usize) -> Result<Vec<Period>, ApiError> {
    let Some(width) = question.granularity else { return Ok(vec![question.period]) };
    let first = question.period.from / width * width;
    let count = question.period.to.saturating_sub(first).div_ceil(width);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count.saturating_mul(objects.max(1)) > MAX_ROWS {
        let message =
            format!("More than {MAX_ROWS} samples: ask for a shorter time or a coarser granularity.");
        return Err(ApiError::field("granularity", message));
    }
    let start = |n: usize| first + width * n as u64;
    Ok((0..count).map(|n| Period { from: start(n), to: start(n) + width }).collect())
}

/// Query parameters as one object; those that repeat become lists.
fn parameters(query: &[(String, String)]) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in query {
        let values = all.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(value.clone().into());
        }
    }
    all
}

/// A monitor's row with the parameters of the call on top.
fn of_monitor(row: &Row, call: &Call) -> Map<String, Value> {
    let mut asked: Map<String, Value> = row.clone();
    asked.retain(|_, v| !v.is_null() && v.as_str() != Some(""));
    let given = parameters(&call.query);
    if given.contains_key("time_frame") {
        asked.remove("from_time");
        asked.remove("to_time");
    }
    asked.extend(given);
    asked
}

impl Resource for Monitors {
    fn kind(&self) -> &'static str {
        "monitors"
    }

    fn create(&self, core: &Arc<Core>, state: &mut State, mut row: Row) -> Result<u64, ApiError> {
        if measures::objects(core, state, text(&row, "object_type")).is_none() {
            return Err(ApiError::field("object_type", "Not a valid choice."));
        }
        Question::parse(&row, core.now_ms())?;
        engine::refuse_duplicate(state, "monitors", "name", &row, None)?;
        row.insert("monitor_type".to_owned(), "custom".into());
        Ok(engine::insert(core, state, "monitors", row))
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        let ask: fn(&Arc<Core>, &State, &Call) -> Result<Value, ApiError> = match name {
            "ad_hoc_query" => |core, state, call| {
                answer(core, state, &Question::parse(&parameters(&call.query), core.now_ms())?, &call.caller)
            },
            "topn" => top,
            _ => return None,
        };
        if call.method != Method::GET {
            return Some(Err(ApiError::method_not_allowed(&call.method)));
        }
        Some(core.store.read(|state| ask(core, state, call)).map(Reply::ok))
    }

    fn action(
        &self,
        core: &Arc<Core>,
        state: &mut State,
        id: u64,
        name: &str,
        call: &Call,
    ) -> Option<Result<Reply, ApiError>> {
        if name != "query" || call.method != Method::GET {
            return None;
        }
        let row = state.vms.row("monitors", id).cloned().unwrap_or_default();
        let question = Question::parse(&of_monitor(&row, call), core.now_ms());
        Some(question.and_then(|q| answer(core, state, &q, &call.caller)).map(Reply::ok))
    }
}

/// `/monitors/topn/`: who does most, over the ten seconds before the time asked for.
fn top(core: &Arc<Core>, state: &State, call: &Call) -> Result<Value, ApiError> {
    let keys: Vec<&str> = match call.param("key").filter(|k| !k.is_empty()) {
        Some(key) => vec![key],
        None => vec!["user", "view", "vip", "vippool", "cnode", "tenant"],
    };
    let count = match call.param("count") {
        Some(count) => count.parse().map_err(|_| ApiError::field("count", "A valid integer is required."))?,
        None => DEFAULT_TOP,
    };
    let to = match call.param("timestamp") {
        Some(at) => {
            spans::moment(at).ok_or_else(|| ApiError::field("timestamp", format!("{at:?} is not a time.")))?
        }
        None => core.now_ms(),
    };
    let from = crate::metrics::slot_end(to).saturating_sub(crate::metrics::series::SLOT);
    core.metrics.cut_in(state, core.now_ms());
    let mut data = Map::new();
    for key in keys {
        let objects = match key {
            // Clients are not told apart.
            "client" | "volume" => Vec::new(),
            _ => measures::objects_for(core, state, key, &call.caller)
                .ok_or_else(|| ApiError::field("key", format!("\"{key}\" is not a valid choice.")))?,
        };
        let tallies: Vec<(String, Tally)> =
            objects.into_iter().map(|o| (o.title.clone(), o.during(from, to + 1))).collect();
        data.insert(key.to_owned(), performers(&tallies, call.param("type"), count)?);
    }
    Ok(json!({ "timestamp": env::rfc3339(to), "data": data }))
}

fn performers(tallies: &[(String, Tally)], only: Option<&str>, count: usize) -> Result<Value, ApiError> {
    let kinds: [(&str, [Count; 2]); 4] = [
        ("bw", [Count::ReadBytes, Count::WriteBytes]),
        ("iops", [Count::Reads, Count::Writes]),
        ("md_iops", [Count::ReadMd, Count::WriteMd]),
        ("latency", [Count::ReadMicros, Count::WriteMicros]),
    ];
    if let Some(only) = only.filter(|o| *o != "rows" && !kinds.iter().any(|(kind, _)| kind == o)) {
        return Err(ApiError::field("type", format!("\"{only}\" is not a valid choice.")));
    }
    let mut out = Map::new();
    for (kind, [read, write]) in kinds {
        if only.is_some_and(|o| o != kind) {
            continue;
        }
        let figures = |t: &Tally| {
            if kind == "latency" {
                let mean = |micros, n| super::super::capacity::ratio(t.get(micros), t.get(n));
                return (mean(read, Count::Reads), mean(write, Count::Writes));
            }
            let slot = crate::metrics::series::SLOT;
            let per_second = |c| super::super::capacity::ratio(t.get(c) * 1_000, slot);
            (per_second(read), per_second(write))
        };
        let mut rows: Vec<(f64, Value)> = tallies
            .iter()
            .map(|(title, tally)| (title, figures(tally)))
            .filter(|(_, (read, write))| read + write > 0.0)
            .map(|(title, (read, write))| {
                let total = read + write;
                (total, json!({ "title": title, "total": total, "read": read, "write": write }))
            })
            .collect();
        rows.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        out.insert(kind.to_owned(), rows.into_iter().take(count).map(|(_, row)| row).collect());
    }
    Ok(Value::Object(out))
}

/// What `/metrics/` says of a metric.
fn described(name: &str, object_types: &[&str]) -> Option<Value> {
    let property = Property::parse(name)?;
    Some(json!({
        "fqn": name, "name": name, "class_name": property.class(), "object_types": object_types,
        "title": property.title(), "units": property.units(),
    }))
}

impl Resource for MetricNames {
    fn kind(&self) -> &'static str {
        "metrics"
    }

    fn collection(&self, _: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        if !name.is_empty() || call.method != Method::GET {
            return None;
        }
        let wanted = call.param("object_type");
        let types = measures::types().filter(|t| wanted.is_none_or(|w| w == *t));
        let all: Vec<Value> = types
            .flat_map(|t| measures::catalogue(t).into_iter().map(move |name| (name, t)))
            .fold(BTreeMap::<String, Vec<&str>>::new(), |mut all, (name, object_type)| {
                all.entry(name).or_default().push(object_type);
                all
            })
            .into_iter()
            .filter_map(|(name, object_types)| described(&name, &object_types))
            .collect();
        Some(Ok(Reply::ok(Value::Array(all))))
    }
}
