//! What can be said about a description without a cluster: names given twice, names that nothing has, faults that make
//! no sense.

use std::collections::BTreeMap;
use std::ops::Range;

use super::objects::{Fields, Name};
use super::place::Step;
use super::{Described, Mistake, nearest};
use crate::vms::tables;

/// What every new cluster has.
const POLICIES: [&str; 2] = ["default", "s3_default_policy"];
const TENANT: &str = "default";

/// Checks what needs nothing else.
pub(super) fn itself(read: &Described) -> Result<(), Mistake> {
    let d = &read.description;
    let key = |what: &str, tenant: &Option<Name>, name: &Name| {
        let tenant = tenant.as_ref().map_or(TENANT, |t| t.get_ref().as_str());
        (format!("{what} `{}`", name.get_ref()), format!("{tenant}\0{what}\0{}", name.get_ref()), name.span())
    };
    let mut all = Vec::new();
    all.extend(d.tenants.iter().map(|t| key("tenant", &None, &t.name)));
    all.extend(d.vip_pools.iter().map(|p| key("VIP pool", &None, &p.name)));
    all.extend(d.policies.iter().map(|p| key("policy", &p.tenant, &p.name)));
    all.extend(d.users.iter().map(|u| key("user", &None, &u.name)));
    all.extend(d.users.iter().flat_map(|u| u.keys.iter().map(|k| key("access key", &None, &k.access_key))));
    all.extend(d.views.iter().map(|v| key("view", &v.tenant, &v.path)));
    all.extend(d.views.iter().filter_map(|v| v.bucket.as_ref().map(|b| key("bucket", &None, b))));
    all.extend(d.quotas.iter().map(|q| key("quota on", &q.tenant, &q.path)));
    let objects = d.objects.iter();
    all.extend(objects.map(|o| key(&format!("{} object", o.resource.get_ref()), &None, &o.name)));
    once(read, all)?;
    for fault in &d.faults {
        let refused = fault.get_ref().check();
        refused
            .map_err(|what| read.mistake(fault.span(), format!("this fault makes no sense: {what}"), None))?;
    }
    for path in d.views.iter().map(|v| &v.path).chain(d.quotas.iter().map(|q| &q.path)) {
        if !path.get_ref().starts_with('/') {
            let help = format!("write \"/{}\"", path.get_ref());
            return Err(read.mistake(path.span(), "a path begins with a slash".to_owned(), Some(help)));
        }
    }
    fields(read)
}

/// Checks that VMS knows every field, which it would drop without a word otherwise.
fn fields(read: &Described) -> Result<(), Mistake> {
    let d = &read.description;
    let known: Vec<&str> = tables::all().map(|(kind, _)| kind).collect();
    for object in &d.objects {
        let resource = object.resource.get_ref();
        if !known.contains(&resource.as_str()) {
            let message = format!("VMS has no objects `{resource}`");
            let help = nearest("resource", resource, &known);
            return Err(read.mistake(object.resource.span(), message, Some(help)));
        }
    }
    let mut all: Vec<(&str, usize, &str, &Fields)> = Vec::new();
    all.extend(d.tenants.iter().enumerate().map(|(n, t)| ("tenants", n, "tenants", &t.fields)));
    all.extend(d.vip_pools.iter().enumerate().map(|(n, p)| ("vip_pools", n, "vippools", &p.fields)));
    all.extend(d.policies.iter().enumerate().map(|(n, p)| ("policies", n, "viewpolicies", &p.fields)));
    all.extend(d.users.iter().enumerate().map(|(n, u)| ("users", n, "users", &u.fields)));
    all.extend(d.views.iter().enumerate().map(|(n, v)| ("views", n, "views", &v.fields)));
    all.extend(d.quotas.iter().enumerate().map(|(n, q)| ("quotas", n, "quotas", &q.fields)));
    let objects = d.objects.iter().enumerate();
    all.extend(objects.map(|(n, o)| ("objects", n, o.resource.get_ref().as_str(), &o.fields)));
    for (table, number, resource, given) in all {
        let of = tables::of(resource);
        for name in given.keys() {
            let field = of.field(name);
            if field.is_some_and(|f| f.on_create || f.on_patch) {
                continue;
            }
            let path: [Step; 4] = [table.into(), number.into(), "fields".into(), name.as_str().into()];
            let place = read.place(&path).map_or(0..0, |p| p.key);
            if field.is_some() {
                let message = format!("`{name}` of {resource} is the cluster's own to say");
                return Err(read.mistake(place, message, Some("remove it".to_owned())));
            }
            let valid: Vec<&str> =
                of.fields.iter().filter(|f| f.on_create || f.on_patch).map(|f| f.name).collect();
            let message = format!("unknown field `{name}` of {resource}");
            return Err(read.mistake(place, message, Some(nearest("field", name, &valid))));
        }
    }
    Ok(())
}

fn once(read: &Described, all: Vec<(String, String, Range<usize>)>) -> Result<(), Mistake> {
    let mut seen = BTreeMap::new();
    for (shown, key, place) in all {
        if let Some(first) = seen.insert(key, place.clone()) {
            let line = read.text[..first.start].matches('\n').count() + 1;
            let help = format!("line {line} describes it already; remove one of the two");
            return Err(read.mistake(place, format!("{shown} is described twice"), Some(help)));
        }
    }
    Ok(())
}

/// Checks that every name means something in a new cluster with this description.
pub(super) fn references(read: &Described) -> Result<(), Mistake> {
    let d = &read.description;
    let mut tenants: Vec<&str> = vec![TENANT];
    tenants.extend(d.tenants.iter().map(|t| t.name.get_ref().as_str()));
    let mut policies: Vec<&str> = POLICIES.to_vec();
    policies.extend(d.policies.iter().map(|p| p.name.get_ref().as_str()));
    let users: Vec<&str> = d.users.iter().map(|u| u.name.get_ref().as_str()).collect();
    let tenant_names = (d.policies.iter().filter_map(|p| p.tenant.as_ref()))
        .chain(d.users.iter().filter_map(|u| u.tenant.as_ref()))
        .chain(d.views.iter().filter_map(|v| v.tenant.as_ref()))
        .chain(d.quotas.iter().filter_map(|q| q.tenant.as_ref()))
        .chain(d.vip_pools.iter().filter_map(|p| p.tenant.as_ref()));
    for name in tenant_names {
        known(read, "tenant", name, &tenants)?;
    }
    for name in d.views.iter().filter_map(|v| v.policy.as_ref()) {
        known(read, "policy", name, &policies)?;
    }
    for name in d.views.iter().filter_map(|v| v.owner.as_ref()) {
        known(read, "user", name, &users)?;
    }
    Ok(())
}

fn known(read: &Described, what: &str, name: &Name, valid: &[&str]) -> Result<(), Mistake> {
    if valid.contains(&name.get_ref().as_str()) {
        return Ok(());
    }
    let message = format!("there is no {what} `{}` in this description", name.get_ref());
    Err(read.mistake(name.span(), message, Some(nearest("name", name.get_ref(), valid))))
}
