//! Metrics by name: `ProtoMetrics,proto_name=S3Common,rd_bw`, what they mean, and their value for an object and a time.
//!
//! Names without a suffix and those in `__rate` or `__avg` are about the time asked for; `__num_samples` and `__sum`
//! count since the start. Bandwidth is in bytes per second of object data, latency in microseconds.

use std::sync::Arc;

use serde_json::Value;

use super::caller::Caller;
use super::capacity::{Space, ratio, reduction};
use super::{resources, visibility};
use crate::core::Core;
use crate::metrics::levels::Level;
use crate::metrics::series::SLOT;
use crate::metrics::tally::{Count, Tally};
use crate::metrics::{Meter, Subject};
use crate::store::registry::{Row, number, text};
use crate::store::state::State;

/// An object that has metrics.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) id: u64,
    pub(crate) title: String,
    /// Its stored row.
    pub(crate) row: Row,
    kind: &'static str,
    meters: Vec<Arc<Meter>>,
}

impl Object {
    pub(crate) fn total(&self) -> Tally {
        self.combine(Meter::total)
    }

    pub(crate) fn during(&self, from: u64, to: u64) -> Tally {
        self.combine(|m| m.sum(from, to))
    }

    /// What happened in each slot of a time, empty ones included.
    fn slots(&self, from: u64, to: u64, width: u64) -> Vec<Tally> {
        let first = from / width * width;
        let count = usize::try_from(to.saturating_sub(first).div_ceil(width)).unwrap_or(usize::MAX);
        let mut all = vec![Tally::default(); count];
        for meter in &self.meters {
            for (start, tally) in meter.slots(from, to, width) {
                let place = usize::try_from(start.saturating_sub(first) / width).unwrap_or(usize::MAX);
                if let Some(slot) = all.get_mut(place) {
                    slot.add(&tally);
                }
            }
        }
        all
    }

    fn combine(&self, one: impl Fn(&Meter) -> Tally) -> Tally {
        self.meters.iter().fold(Tally::default(), |mut sum, m| {
            sum.add(&one(m));
            sum
        })
    }
}

/// Object types and the collections of their objects.
const TYPES: &[(&str, &str)] = &[
    ("cluster", "clusters"),
    ("cnode", "cnodes"),
    ("dnode", "dnodes"),
    ("view", "views"),
    ("vip", "vips"),
    ("vippool", "vippools"),
    ("tenant", "tenants"),
    ("user", "users"),
    ("quota", "quotas"),
    ("cbox", "cboxes"),
    ("dbox", "dboxes"),
    ("nic", "nics"),
    ("fan", "fans"),
    ("psu", "psus"),
    ("ssd", "ssds"),
    ("nvram", "nvrams"),
    ("volume", "volumes"),
    ("blockhost", "blockhosts"),
    ("replicationstream", "replicationstreams"),
];

/// The objects of a type; none when there is no such type.
pub(crate) fn objects(core: &Arc<Core>, state: &State, object_type: &str) -> Option<Vec<Object>> {
    let wanted = object_type.to_ascii_lowercase();
    let (kind, collection) = TYPES.iter().find(|(t, _)| *t == wanted)?;
    let rows = resources::by_kind(collection).map(|r| r.rows(core, state)).unwrap_or_default();
    let object = |row: Row| {
        let id = number(&row, "id").unwrap_or(0);
        Object {
            id,
            title: super::fields::title(&row).to_owned(),
            meters: subjects(state, kind, id, &row)
                .into_iter()
                .filter_map(|s| core.metrics.known(s))
                .collect(),
            kind,
            row,
        }
    };
    Some(rows.into_iter().map(|row| object(row.into_owned())).collect())
}

/// Those of them that a caller may know of.
pub(crate) fn objects_for(
    core: &Arc<Core>,
    state: &State,
    object_type: &str,
    caller: &Caller,
) -> Option<Vec<Object>> {
    let wanted = object_type.to_ascii_lowercase();
    let (_, collection) = TYPES.iter().find(|(t, _)| *t == wanted)?;
    let resource = resources::by_kind(collection)?;
    let mut all = objects(core, state, object_type)?;
    all.retain(|object| visibility::is_seen(resource, state, &object.row, caller));
    Some(all)
}

fn subjects(state: &State, kind: &str, id: u64, row: &Row) -> Vec<Subject> {
    let vip = |row: &Row| text(row, "ip").parse().ok().map(Subject::Vip);
    match kind {
        "cluster" => vec![Subject::Cluster],
        "cnode" => vec![Subject::CNode(id)],
        "view" => vec![Subject::View(id)],
        "tenant" => vec![Subject::Tenant(id)],
        "user" => vec![Subject::User(id)],
        "vip" => vip(row).into_iter().collect(),
        "vippool" => {
            let of_pool = |(_, v): &(u64, &Row)| number(v, "_vippool_id") == Some(id);
            state.vms.rows("vips").filter(of_pool).filter_map(|(_, v)| vip(v)).collect()
        }
        _ => Vec::new(),
    }
}

/// How samples of a time become one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Avg,
    Min,
    Max,
    Sum,
    Stddev,
}

impl Aggregation {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "avg" | "latency_weighted_average" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            "stddev" => Self::Stddev,
            _ => return None,
        })
    }

    fn of(self, values: &[f64]) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "a number of samples")]
        let n = values.len().max(1) as f64;
        let sum: f64 = values.iter().sum();
        match self {
            Self::Avg => sum / n,
            Self::Sum => sum,
            Self::Min => values.iter().copied().reduce(f64::min).unwrap_or(0.0),
            Self::Max => values.iter().copied().reduce(f64::max).unwrap_or(0.0),
            Self::Stddev => (values.iter().map(|v| (v - sum / n).powi(2)).sum::<f64>() / n).sqrt(),
        }
    }
}

/// A time, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// What a metric counts.
enum Measure {
    /// Things per second.
    Rate(u64),
    /// How many, and their sum: averages.
    Samples(u64, u64),
}

fn measure(tally: &Tally, name: &str) -> Option<Measure> {
    let sum = |counts: &[Count]| counts.iter().map(|c| tally.get(*c)).sum::<u64>();
    let rate = |counts: &[Count]| Some(Measure::Rate(sum(counts)));
    let samples = |n: &[Count], of: &[Count]| Some(Measure::Samples(sum(n), sum(of)));
    match name {
        "bw" => rate(&[Count::ReadBytes, Count::WriteBytes]),
        "rd_bw" | "read_bw" => rate(&[Count::ReadBytes]),
        "wr_bw" | "write_bw" => rate(&[Count::WriteBytes]),
        "iops" => rate(&[Count::Reads, Count::Writes, Count::ReadMd, Count::WriteMd]),
        "rd_iops" | "read_iops" => rate(&[Count::Reads]),
        "wr_iops" | "write_iops" => rate(&[Count::Writes]),
        "md_iops" => rate(&[Count::ReadMd, Count::WriteMd]),
        "rd_md_iops" | "read_md_iops" => rate(&[Count::ReadMd]),
        "wr_md_iops" | "write_md_iops" => rate(&[Count::WriteMd]),
        "latency" => samples(&[Count::Reads, Count::Writes], &[Count::ReadMicros, Count::WriteMicros]),
        "rd_latency" | "read_latency" => samples(&[Count::Reads], &[Count::ReadMicros]),
        "wr_latency" | "write_latency" => samples(&[Count::Writes], &[Count::WriteMicros]),
        "md_latency" => {
            samples(&[Count::ReadMd, Count::WriteMd], &[Count::ReadMdMicros, Count::WriteMdMicros])
        }
        "rd_md_latency" | "read_md_latency" => samples(&[Count::ReadMd], &[Count::ReadMdMicros]),
        "wr_md_latency" | "write_md_latency" => samples(&[Count::WriteMd], &[Count::WriteMdMicros]),
        "read_size" => samples(&[Count::Reads], &[Count::ReadBytes]),
        "write_size" => samples(&[Count::Writes], &[Count::WriteBytes]),
        "errors" => rate(&[Count::Errors]),
        "qos_wait_for_budget_time" => rate(&[Count::QosWaitMicros]),
        "qos_failures" => rate(&[Count::QosRefused]),
        _ => None,
    }
}

/// Names that [`measure`] knows, by their VMS spelling, for the catalogue.
const FLOWS: &[&str] =
    &["bw", "iops", "md_iops", "rd_bw", "rd_iops", "rd_md_iops", "wr_bw", "wr_iops", "wr_md_iops"];
const HISTOGRAMS: &[&str] = &["read_latency", "write_latency", "read_size", "write_size"];
const SUBJECT_FLOWS: &[&str] =
    &["read_bw", "read_iops", "read_md_iops", "write_bw", "write_iops", "write_md_iops"];
const SUBJECT_HISTOGRAMS: &[&str] = &["read_latency", "read_md_latency", "write_latency", "write_md_latency"];
const SPACE: &[&str] =
    &["drr", "logical_space", "logical_space_in_use", "physical_space", "physical_space_in_use"];

/// S3 metrics and the operations that they count.
pub(crate) const S3_OPERATIONS: &[(&str, &[&str])] = &[
    ("abort_mpu", &["AbortMultipartUpload"]),
    ("complete_mpu", &["CompleteMultipartUpload"]),
    ("delete_bucket", &["DeleteBucket"]),
    ("delete_object", &["DeleteObject"]),
    ("delete_objects", &["DeleteObjects"]),
    ("get_bucket", &["ListObjects", "ListObjectsV2"]),
    ("get_bucket_acl", &["GetBucketAcl"]),
    ("get_bucket_location", &["GetBucketLocation"]),
    ("get_object", &["GetObject"]),
    ("get_object_acl", &["GetObjectAcl"]),
    ("get_service", &["ListBuckets"]),
    ("head_bucket", &["HeadBucket"]),
    ("head_object", &["HeadObject"]),
    ("initiate_mpu", &["CreateMultipartUpload"]),
    ("multi_part_upload", &["UploadPart"]),
    ("put_bucket", &["CreateBucket"]),
    ("put_bucket_acl", &["PutBucketAcl"]),
    ("put_object", &["PutObject"]),
    ("put_object_acl", &["PutObjectAcl"]),
    ("put_object_copy", &["CopyObject"]),
];

/// Totals of the operations behind an S3 metric.
pub(crate) fn s3_total(core: &Core, operations: &[&'static str]) -> Tally {
    operations.iter().filter_map(|op| core.metrics.known(Subject::Operation(op))).fold(
        Tally::default(),
        |mut sum, meter| {
            sum.add(&meter.total());
            sum
        },
    )
}

/// Requests and microseconds of a tally of one operation.
pub(crate) fn samples(tally: &Tally) -> (u64, u64) {
    let micros = [Count::ReadMicros, Count::WriteMicros, Count::ReadMdMicros, Count::WriteMdMicros];
    (tally.requests(), micros.iter().map(|c| tally.get(*c)).sum())
}

/// A metric's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Property {
    /// As the client wrote it.
    pub(crate) full: String,
    class: String,
    tag: Option<String>,
    base: String,
    stat: Option<String>,
}

impl Property {
    /// None when the name has no class.
    pub(crate) fn parse(full: &str) -> Option<Self> {
        let mut parts = full.split(',').map(str::trim);
        let class = parts.next()?.to_owned();
        let rest: Vec<&str> = parts.collect();
        let (name, tags) = rest.split_last()?;
        let (base, stat) = name.split_once("__").map_or((*name, None), |(b, s)| (b, Some(s.to_owned())));
        let tag = tags.first().map(|t| t.split_once('=').map_or(*t, |(_, v)| v).to_owned());
        Some(Self { full: full.to_owned(), class, tag, base: base.to_owned(), stat })
    }

    pub(crate) fn class(&self) -> &str {
        &self.class
    }

    /// `Read bw` of `read_bw`.
    pub(crate) fn title(&self) -> String {
        let mut words = self.base.replace('_', " ");
        if let Some(first) = words.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        words
    }

    /// In what its value is told.
    pub(crate) fn units(&self) -> &'static str {
        match (self.stat.as_deref(), self.base.as_str()) {
            (Some("num_samples"), _) => "",
            (_, base) if base.ends_with("bw") => "Bytes/Sec",
            (_, base) if base.ends_with("iops") => "IOPS",
            (_, base) if base.ends_with("latency") || base.ends_with("time") => "Microseconds",
            (_, base) if base.contains("space") || base.ends_with("size") || base.ends_with("capacity") => {
                "Bytes"
            }
            _ => "",
        }
    }

    /// The metric's value for an object in a time; none where the object has no such metric.
    pub(crate) fn value(
        &self,
        core: &Core,
        state: &State,
        object: &Object,
        period: Period,
        aggregation: Aggregation,
    ) -> Option<Value> {
        match self.class.as_str() {
            "Capacity" => space(core, state, object, &self.base, period.to),
            "ProtoMetrics" => {
                let idle = self.tag.as_deref().is_some_and(|t| !is_s3(t));
                self.measured(object, period, aggregation, idle)
            }
            "ViewMetrics" | "BucketViewMetrics" | "TenantMetrics" | "UserMetrics" | "VipMetrics" => {
                match self.base.as_str() {
                    "logical_capacity" | "physical_capacity" => {
                        space(core, state, object, &self.base, period.to)
                    }
                    _ => self.measured(object, period, aggregation, false),
                }
            }
            "S3Metrics" if object.kind == "cluster" => self.s3(core),
            "ProtoConnectionMetrics" if object.kind == "cluster" => match self.base.as_str() {
                "s3_conn_pool" => Some(core.counting.open_connections().into()),
                _ => None,
            },
            _ => None,
        }
    }

    fn s3(&self, core: &Core) -> Option<Value> {
        let errors = || core.metrics.known(Subject::Cluster).map_or(0, |m| m.total().get(Count::Errors));
        match self.base.as_str() {
            "cmd_not_supported" => return Some(core.counting.snapshot().s3_not_implemented.into()),
            "cmd_errors" => return Some(errors().into()),
            // Every upload takes the one path there is.
            "multi_part_upload_fallback" => return Some(0.into()),
            _ => {}
        }
        let (_, operations) = S3_OPERATIONS.iter().find(|(name, _)| *name == self.base)?;
        let (n, micros) = samples(&s3_total(core, operations));
        match self.stat.as_deref() {
            None | Some("num_samples") => Some(n.into()),
            Some("sum") => Some(micros.into()),
            Some("avg") => Some(ratio(micros, n).into()),
            _ => None,
        }
    }

    fn measured(
        &self,
        object: &Object,
        period: Period,
        aggregation: Aggregation,
        idle: bool,
    ) -> Option<Value> {
        // Protocols that nobody speaks here have the same metrics, at zero.
        let of = |tally: Tally| measure(&if idle { Tally::default() } else { tally }, &self.base);
        match (self.stat.as_deref(), of(object.total())?) {
            (Some("num_samples"), Measure::Samples(n, _))
            | (Some("sum"), Measure::Samples(_, n))
            | (Some("num_samples" | "sum"), Measure::Rate(n)) => Some(n.into()),
            (None | Some("avg" | "time_avg" | "rate"), _) if aggregation == Aggregation::Avg => {
                let seconds = ratio(period.to.saturating_sub(period.from).max(1), 1_000);
                Some(self.figure(&of(object.during(period.from, period.to))?, seconds).into())
            }
            (None | Some("avg" | "time_avg" | "rate"), _) => {
                let width = sample_width(period);
                let slots = object.slots(period.from, period.to, width).into_iter();
                let figures = slots.filter_map(|tally| Some(self.figure(&of(tally)?, ratio(width, 1_000))));
                Some(aggregation.of(&figures.collect::<Vec<f64>>()).into())
            }
            _ => None,
        }
    }

    fn figure(&self, measure: &Measure, seconds: f64) -> f64 {
        match (measure, self.stat.as_deref()) {
            (Measure::Rate(n), _) | (Measure::Samples(n, _), Some("rate")) => ratio(*n, 1) / seconds,
            (Measure::Samples(n, sum), _) => ratio(*sum, *n),
        }
    }
}

/// Width of the samples from which the figures of a time are made.
fn sample_width(period: Period) -> u64 {
    match period.to.saturating_sub(period.from) {
        0..=3_600_000 => SLOT,
        3_600_001..=86_400_000 => 60_000,
        _ => 3_600_000,
    }
}

fn is_s3(protocol: &str) -> bool {
    ["S3", "S3Common", "ProtoAll", "ProtoCommon"].contains(&protocol)
}

/// Figures about space at a time: those of now, or as they were.
fn space(core: &Core, state: &State, object: &Object, name: &str, time: u64) -> Option<Value> {
    let (subject, now) = match object.kind {
        "cluster" => {
            let Space { logical, physical, .. } = Space::of_cluster(core, state);
            (Subject::Cluster, Level { logical, physical })
        }
        "view" | "quota" => {
            let tenant = number(&object.row, "tenant_id").unwrap_or(1);
            let bytes = state.usage(tenant, text(&object.row, "path")).bytes;
            let subject =
                if object.kind == "view" { Subject::View(object.id) } else { Subject::Quota(object.id) };
            (subject, Level { logical: bytes, physical: bytes })
        }
        "tenant" => {
            let bytes = state.usage(object.id, "/").bytes;
            (Subject::Tenant(object.id), Level { logical: bytes, physical: bytes })
        }
        _ => return None,
    };
    let is_cluster = object.kind == "cluster";
    if is_cluster && ["logical_space", "physical_space", "usable_space"].contains(&name) {
        return Some(core.config.capacity.into());
    }
    let figure: fn(Level) -> Value = match name {
        "logical_space_in_use" | "logical_capacity" => |level| level.logical.into(),
        "physical_space_in_use" | "physical_capacity" => |level| level.physical.into(),
        "usable_space_in_use" if is_cluster => |level| level.physical.into(),
        "drr" if is_cluster => |level| reduction(level.logical, level.physical).into(),
        _ => return None,
    };
    // The latest sample is that of now.
    let level = if time.saturating_add(SLOT) > core.now_ms() {
        Some(now)
    } else {
        core.metrics.space_at(subject, time)
    };
    Some(level.map_or(Value::Null, figure))
}

/// The fields of the cluster's row that say how busy it was in the last minute.
pub(crate) fn cluster_fields(core: &Arc<Core>, state: &State) -> Row {
    let now = core.now_ms();
    core.metrics.cut_in(state, now);
    let recent = core.metrics.known(Subject::Cluster).map(|m| m.sum(now.saturating_sub(60_000), now + 1));
    let recent = recent.unwrap_or_default();
    let mut row = Row::new();
    for name in ["bw", "rd_bw", "wr_bw", "iops", "rd_iops", "wr_iops"] {
        if let Some(Measure::Rate(n)) = measure(&recent, name) {
            row.insert(name.to_owned(), (n / 60).into());
        }
    }
    for name in ["latency", "rd_latency", "wr_latency"] {
        if let Some(Measure::Samples(n, micros)) = measure(&recent, name) {
            row.insert(name.to_owned(), micros.checked_div(n).unwrap_or(0).into());
        }
    }
    row
}

/// Every metric of a type of objects.
pub(crate) fn catalogue(object_type: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut class = |prefix: &str, flows: &[&str], histograms: &[&str], rate: &str| {
        names.extend(flows.iter().map(|f| format!("{prefix},{f}{rate}")));
        for h in histograms {
            names.extend(["avg", "num_samples", "sum"].map(|s| format!("{prefix},{h}__{s}")));
        }
    };
    match object_type {
        "cluster" => {
            class("Capacity", SPACE, &[], "");
            for protocol in ["S3Common", "NFSCommon", "NFS4Common", "SMBCommon", "ProtoAll"] {
                class(&format!("ProtoMetrics,proto_name={protocol}"), FLOWS, HISTOGRAMS, "");
            }
            let operations: Vec<&str> = S3_OPERATIONS.iter().map(|(name, _)| *name).collect();
            class(
                "S3Metrics",
                &["cmd_errors", "cmd_not_supported", "multi_part_upload_fallback"],
                &operations,
                "",
            );
            class("ProtoConnectionMetrics", &["s3_conn_pool"], &[], "");
        }
        "cnode" => class("ProtoMetrics,proto_name=ProtoAll", FLOWS, HISTOGRAMS, ""),
        "view" | "tenant" => {
            let prefix = if object_type == "view" { "ViewMetrics" } else { "TenantMetrics" };
            class(prefix, SUBJECT_FLOWS, SUBJECT_HISTOGRAMS, "__rate");
            class(prefix, &["logical_capacity", "physical_capacity", "qos_failures"], &[], "");
            class(prefix, &["qos_wait_for_budget_time"], &[], "__rate");
        }
        "user" => class("UserMetrics", SUBJECT_FLOWS, SUBJECT_HISTOGRAMS, "__rate"),
        "vip" | "vippool" => class("VipMetrics", SUBJECT_FLOWS, SUBJECT_HISTOGRAMS, "__rate"),
        "quota" => class("Capacity", &["logical_capacity", "physical_capacity"], &[], ""),
        _ => {}
    }
    names
}

/// Types that have metrics.
pub(crate) fn types() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(t, _)| *t)
}
