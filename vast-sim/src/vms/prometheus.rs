//! `/prometheusmetrics/`: the figures of the cluster in Prometheus' text form, under the names that VMS gives them.
//!
//! Written by hand, since the exposition form is a line per sample and client libraries count on their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use http::Method;

use super::caller::Caller;
use super::capacity::Space;
use super::engine::{self, Call, Reply, Resource};
use super::error::ApiError;
use super::measures::{self, Aggregation, Object, Period, Property};
use super::resources;
use crate::core::Core;
use crate::metrics::tally::{Count, Tally};
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

/// `/prometheusmetrics/` and the paths below it.
pub(crate) struct PrometheusMetrics;

/// Milliseconds over which rates are made.
const WINDOW: u64 = 60_000;

/// Sections, by path.
const SECTIONS: &[(&str, Section)] = &[
    ("", |page| {
        cluster(page);
        nodes(page);
    }),
    ("basic", cluster),
    ("devices", nodes),
    ("views", views),
    ("vips", vips),
    ("quotas", quotas),
    ("tenants", tenants),
    ("users", users),
    ("user_view", user_views),
    ("alarms", alarms),
    // What this cluster has none of.
    ("nics", |_| {}),
    ("switches", |_| {}),
    ("volumes", |_| {}),
    ("defrag", |_| {}),
    ("replications", |_| {}),
    ("user_connections", |_| {}),
    ("vms_state", vms_state),
];

type Section = fn(&mut Page);

impl Resource for PrometheusMetrics {
    fn kind(&self) -> &'static str {
        "prometheusmetrics"
    }

    fn collection(&self, core: &Arc<Core>, name: &str, call: &Call) -> Option<Result<Reply, ApiError>> {
        let sections: Vec<Section> = match name {
            "all" => {
                SECTIONS.iter().filter(|(n, _)| *n != "basic" && *n != "devices").map(|(_, s)| *s).collect()
            }
            _ => vec![SECTIONS.iter().find(|(n, _)| *n == name).map(|(_, s)| *s)?],
        };
        if call.method != Method::GET {
            return Some(Err(ApiError::method_not_allowed(&call.method)));
        }
        Some(Ok(Reply::text(core.store.read(|state| {
            core.metrics.cut_in(state, core.now_ms());
            let mut page = Page {
                core,
                state,
                tenant: call.caller.tenant,
                caller: &call.caller,
                families: BTreeMap::new(),
            };
            for section in sections {
                section(&mut page);
            }
            page.finish()
        }))))
    }
}

/// A page being written. Samples of one name stay together, as the form demands.
struct Page<'a> {
    core: &'a Arc<Core>,
    state: &'a State,
    /// The only tenant that the caller may see.
    tenant: Option<u64>,
    caller: &'a Caller,
    families: BTreeMap<String, (&'static str, Vec<String>)>,
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Page<'_> {
    fn sample(&mut self, kind: &'static str, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut line = format!("{{cluster=\"{}\"", engine::CLUSTER_NAME);
        for (label, text) in labels {
            let _ = write!(line, ",{label}=\"{}\"", escaped(text));
        }
        let _ = write!(line, "}} {value}");
        self.families.entry(format!("vast_{name}")).or_insert_with(|| (kind, Vec::new())).1.push(line);
    }

    fn gauge(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.sample("gauge", name, labels, value);
    }

    fn counter(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.sample("counter", name, labels, float(value));
    }

    /// The objects of a type that the caller may see.
    fn objects(&self, kind: &str) -> Vec<Object> {
        measures::objects_for(self.core, self.state, kind, self.caller).unwrap_or_default()
    }

    fn sees(&self, row: &Row) -> bool {
        self.tenant.is_none_or(|t| number(row, "tenant_id").unwrap_or(1) == t)
    }

    fn period(&self) -> Period {
        let to = self.core.now_ms();
        Period { from: to.saturating_sub(WINDOW), to }
    }

    /// The figures of one subject: rates of the last minute, and what was counted since the start.
    fn flows(&mut self, prefix: &str, class: &str, labels: &[(&str, &str)], object: &Object) {
        let period = self.period();
        for base in ["bw", "iops", "md_iops"] {
            for full in [base.to_owned(), format!("read_{base}"), format!("write_{base}")] {
                self.property(
                    &format!("{prefix}_{full}"),
                    &format!("{class},{full}"),
                    labels,
                    object,
                    period,
                );
            }
        }
        for base in ["read_latency", "write_latency"] {
            let (name, full) = (format!("{prefix}_{base}"), format!("{class},{base}__avg"));
            self.property(&name, &full, labels, object, period);
        }
    }

    fn property(&mut self, name: &str, full: &str, labels: &[(&str, &str)], object: &Object, period: Period) {
        let value = Property::parse(full)
            .and_then(|p| p.value(self.core, self.state, object, period, Aggregation::Avg))
            .and_then(|v| v.as_f64());
        if let Some(value) = value {
            self.gauge(name, labels, value);
        }
    }

    /// `<prefix>_count` and `<prefix>_sum` of what VMS keeps as histograms.
    fn totals(&mut self, prefix: &str, labels: &[(&str, &str)], total: &Tally) {
        let histograms = [
            ("read_latency", Count::Reads, Count::ReadMicros),
            ("write_latency", Count::Writes, Count::WriteMicros),
            ("read_md_latency", Count::ReadMd, Count::ReadMdMicros),
            ("write_md_latency", Count::WriteMd, Count::WriteMdMicros),
            ("read_size", Count::Reads, Count::ReadBytes),
            ("write_size", Count::Writes, Count::WriteBytes),
            ("read_bw", Count::Reads, Count::ReadBytes),
            ("write_bw", Count::Writes, Count::WriteBytes),
            ("read_iops", Count::Reads, Count::Reads),
            ("write_iops", Count::Writes, Count::Writes),
            ("read_md_iops", Count::ReadMd, Count::ReadMd),
            ("write_md_iops", Count::WriteMd, Count::WriteMd),
        ];
        for (name, count, sum) in histograms {
            self.counter(&format!("{prefix}_{name}_count"), labels, total.get(count));
            self.counter(&format!("{prefix}_{name}_sum"), labels, total.get(sum));
        }
    }

    /// What limits did to requests.
    fn limits(&mut self, prefix: &str, labels: &[(&str, &str)], total: &Tally) {
        self.counter(&format!("{prefix}_qos_failures"), labels, total.get(Count::QosRefused));
        let waited = total.get(Count::QosWaitMicros);
        self.counter(&format!("{prefix}_qos_wait_for_budget_time_sum"), labels, waited);
    }

    fn finish(self) -> String {
        let mut out = String::new();
        for (name, (kind, lines)) in self.families {
            let _ = writeln!(out, "# HELP {name} {}", name.trim_start_matches("vast_").replace('_', " "));
            let _ = writeln!(out, "# TYPE {name} {kind}");
            for line in lines {
                let _ = writeln!(out, "{name}{line}");
            }
        }
        out
    }
}

#[allow(clippy::cast_precision_loss, reason = "the form has floating point numbers only")]
fn float(n: u64) -> f64 {
    n as f64
}

fn yes(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

fn cluster(page: &mut Page) {
    let space = Space::of_cluster(page.core, page.state);
    let row = page.state.vms.row("clusters", 1).cloned().unwrap_or_default();
    let build = text(&row, "build").to_owned();
    let state = text(&row, "state");
    page.gauge("cluster_online", &[("build", &build)], yes(state.is_empty() || state == "ONLINE"));
    for (name, value) in [
        ("physical_space", space.capacity),
        ("logical_space", space.capacity),
        ("physical_space_in_use", space.physical),
        ("logical_space_in_use", space.logical),
        ("auxiliary_space_in_use", 0),
    ] {
        page.gauge(&format!("cluster_{name}"), &[], float(value));
    }
    page.gauge("cluster_drr", &[], space.drr());
    for raid in ["nvram", "ssd", "memory"] {
        let state = text(&row, &format!("{raid}_raid_state"));
        page.gauge(&format!("{raid}_raid_healthy"), &[], yes(["", "HEALTHY", "REBALANCE"].contains(&state)));
    }
    for object in page.objects("cluster") {
        page.flows("cluster", "ProtoMetrics,proto_name=ProtoAll", &[], &object);
        for protocol in ["S3Common", "ProtoAll"] {
            let labels = [("proto_name", protocol)];
            page.totals("cluster_metrics_ProtoMetrics", &labels, &object.total());
        }
        s3_metrics(page, &object);
    }
}

fn s3_metrics(page: &mut Page, cluster: &Object) {
    for (name, operations) in measures::S3_OPERATIONS {
        let (n, micros) = measures::samples(&measures::s3_total(page.core, operations));
        page.counter(&format!("cluster_metrics_S3Metrics_{name}"), &[], n);
        page.counter(&format!("cluster_metrics_S3Metrics_{name}_count"), &[], n);
        page.counter(&format!("cluster_metrics_S3Metrics_{name}_sum"), &[], micros);
    }
    let counted = [
        ("cmd_not_supported", page.core.counting.snapshot().s3_not_implemented),
        ("cmd_errors", cluster.total().get(Count::Errors)),
        ("multi_part_upload_fallback", 0),
    ];
    for (name, n) in counted {
        page.counter(&format!("cluster_metrics_S3Metrics_{name}"), &[], n);
    }
    let open = page.core.counting.open_connections();
    page.gauge("cluster_metrics_ProtoConnectionMetrics_s3_conn_pool", &[], float(open));
}

fn nodes(page: &mut Page) {
    for kind in ["cnode", "dnode"] {
        for node in page.objects(kind) {
            let id = node.id.to_string();
            let row = node.row.clone();
            let labels = [
                ("name", text(&row, "name")),
                ("guid", text(&row, "guid")),
                ("hostname", text(&row, "hostname")),
                ("id", &id),
            ];
            let state = text(&row, "state");
            page.gauge(&format!("{kind}_active"), &labels, yes(["ACTIVE", "ACTIVATING"].contains(&state)));
            page.gauge(
                &format!("{kind}_inactive"),
                &labels,
                yes(["INACTIVE", "DEACTIVATING"].contains(&state)),
            );
            page.gauge(&format!("{kind}_failed"), &labels, yes(state == "FAILED"));
            if kind == "cnode" {
                let labels = [("cnode_id", id.as_str()), ("hostname", text(&row, "hostname"))];
                page.flows("cnode", "ProtoMetrics,proto_name=ProtoAll", &labels, &node);
                page.totals("cnode_metrics_ProtoMetrics", &labels, &node.total());
            }
        }
    }
}

fn tenant_name(page: &Page, row: &Row) -> String {
    let tenant = number(row, "tenant_id").unwrap_or(1);
    page.state.vms.row("tenants", tenant).map(|t| text(t, "name").to_owned()).unwrap_or_default()
}

fn protocols(row: &Row) -> String {
    let names =
        row.get("protocols").and_then(|p| p.as_array()).into_iter().flatten().filter_map(|p| p.as_str());
    format!("[{}]", names.map(|p| format!("'{p}'")).collect::<Vec<_>>().join(", "))
}

fn views(page: &mut Page) {
    let period = page.period();
    for view in page.objects("view") {
        let row = view.row.clone();
        let (tenant, protocols, id) = (tenant_name(page, &row), protocols(&row), view.id.to_string());
        let labels = [
            ("name", view.title.as_str()),
            ("path", text(&row, "path")),
            ("guid", text(&row, "guid")),
            ("protocols", &protocols),
            ("tenant_name", &tenant),
            ("bucket", text(&row, "bucket")),
            ("view_id", &id),
        ];
        for name in ["logical_capacity", "physical_capacity"] {
            page.property(&format!("view_{name}"), &format!("ViewMetrics,{name}"), &labels, &view, period);
        }
        page.flows("view", "ViewMetrics", &labels, &view);
        let total = view.total();
        page.totals("view_metrics_ViewMetrics", &labels, &total);
        page.limits("view_metrics_ViewMetrics", &labels, &total);
    }
}

fn vips(page: &mut Page) {
    for vip in page.objects("vip") {
        let row = vip.row.clone();
        let name = |kind: &str, field: &str| {
            let found = number(&row, field).and_then(|id| page.state.vms.row(kind, id));
            found.map(|r| text(r, "name").to_owned()).unwrap_or_default()
        };
        let (pool, node) = (name("vippools", "_vippool_id"), name("cnodes", "_cnode_id"));
        let labels = [("vip", text(&row, "ip")), ("vippool", pool.as_str()), ("cnode", node.as_str())];
        page.flows("vip", "VipMetrics", &labels, &vip);
        page.totals("vip_metrics_VipMetrics", &labels, &vip.total());
    }
    for pool in page.objects("vippool") {
        page.flows("vippool", "VipMetrics", &[("vippool", &pool.title)], &pool);
    }
}

fn quotas(page: &mut Page) {
    let Some(resource) = resources::by_kind("quotas") else { return };
    let shown: Vec<Row> = resource
        .rows(page.core, page.state)
        .iter()
        .filter(|row| page.sees(row))
        .map(|row| engine::show(page.core, page.state, resource, row, ""))
        .collect();
    for row in shown {
        let labels = [
            ("path", text(&row, "path")),
            ("name", text(&row, "name")),
            ("title", text(&row, "title")),
            ("guid", text(&row, "guid")),
            ("tenant_name", text(&row, "tenant_name")),
        ];
        for field in [
            "used_capacity",
            "used_effective_capacity",
            "used_inodes",
            "hard_limit",
            "soft_limit",
            "hard_limit_inodes",
            "soft_limit_inodes",
            "percent_capacity",
            "percent_inodes",
            "num_exceeded_users",
            "num_blocked_users",
        ] {
            if let Some(value) = number(&row, field) {
                page.gauge(&format!("quota_{field}"), &labels, float(value));
            }
        }
        page.gauge("quota_ok", &labels, yes(text(&row, "state") == "OK"));
    }
}

fn tenants(page: &mut Page) {
    let period = page.period();
    for tenant in page.objects("tenant") {
        let id = tenant.id.to_string();
        let labels = [("tenant_name", tenant.title.as_str()), ("tenant_id", id.as_str())];
        for name in ["logical_capacity", "physical_capacity"] {
            let full = format!("TenantMetrics,{name}");
            page.property(&format!("tenant_metrics_TenantMetrics_{name}"), &full, &labels, &tenant, period);
        }
        page.flows("tenant", "TenantMetrics", &labels, &tenant);
        page.flows("tenant_metrics_TenantMetrics", "TenantMetrics", &labels, &tenant);
        page.totals("tenant_metrics_TenantMetrics", &labels, &tenant.total());
        page.limits("tenant_metrics_TenantMetrics", &labels, &tenant.total());
    }
}

fn users(page: &mut Page) {
    for user in page.objects("user") {
        let uid = number(&user.row, "uid").unwrap_or(user.id).to_string();
        let labels = [("name", user.title.as_str()), ("id", uid.as_str())];
        page.flows("user", "UserMetrics", &labels, &user);
        page.totals("user_metrics_UserMetrics", &labels, &user.total());
        page.limits("user_metrics_UserMetrics", &labels, &user.total());
    }
}

fn user_views(page: &mut Page) {
    let period = page.period();
    for (user_id, view_id, meter) in page.core.metrics.user_views() {
        let row = |kind: &str, id| page.state.vms.row(kind, id).cloned();
        let (Some(user), Some(view)) = (row("users", user_id), row("views", view_id)) else { continue };
        if !page.sees(&view) {
            continue;
        }
        let (tenant, uid) = (tenant_name(page, &view), number(&user, "uid").unwrap_or(user_id).to_string());
        let labels = [
            ("path", text(&view, "path")),
            ("bucket", text(&view, "bucket")),
            ("protocol", "S3"),
            ("tenant", &tenant),
            ("uid", &uid),
            ("username", text(&user, "name")),
        ];
        let recent = meter.sum(period.from, period.to);
        let seconds = float(period.to - period.from + u64::from(period.to == period.from)) / 1_000.0;
        for (name, counts) in [
            ("read_bw", &[Count::ReadBytes][..]),
            ("write_bw", &[Count::WriteBytes]),
            ("bw", &[Count::ReadBytes, Count::WriteBytes]),
            ("read_iops", &[Count::Reads]),
            ("write_iops", &[Count::Writes]),
            ("iops", &[Count::Reads, Count::Writes, Count::ReadMd, Count::WriteMd]),
            ("md_iops", &[Count::ReadMd, Count::WriteMd]),
        ] {
            let n: u64 = counts.iter().map(|c| recent.get(*c)).sum();
            page.gauge(&format!("user_view_{name}"), &labels, float(n) / seconds);
        }
    }
}

fn alarms(page: &mut Page) {
    let mut counts: BTreeMap<[String; 4], u32> = BTreeMap::new();
    for (_, alarm) in page.state.vms.rows("alarms") {
        let acknowledged = if flag(alarm, "acknowledged") { "true" } else { "false" };
        let key =
            [text(alarm, "severity"), text(alarm, "event_name"), text(alarm, "object_type"), acknowledged];
        *counts.entry(key.map(str::to_owned)).or_default() += 1;
    }
    for ([severity, event_name, object_type, acknowledged], n) in counts {
        let labels = [
            ("severity", severity.as_str()),
            ("event_name", &event_name),
            ("object_type", &object_type),
            ("acknowledged", &acknowledged),
        ];
        page.gauge("vms_alarms", &labels, f64::from(n));
    }
}

fn vms_state(page: &mut Page) {
    page.gauge("vms_online", &[], 1.0);
}
