//! Bringing a description about: every object by the call of VMS's API that any client would use, once.
//!
//! Applying a description again changes nothing; applying a changed one changes what it says and leaves the rest.

use std::ops::Range;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::objects::{Name, Object, Policy, Quota, Tenant, User, View, VipPool};
use super::place;
use super::{Described, Fields, Mistake};
use crate::error::ProvisionError;
use crate::faults::Fault;
use crate::provision::KeyPair;

/// Why a call to the cluster gave nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The cluster refused.
    #[error(transparent)]
    Refused(#[from] ProvisionError),
    /// There was no answer.
    #[error("{0}")]
    Unreachable(String),
}

/// A cluster that a description can be applied to: in this process or at the other end of a connection.
pub trait Target {
    /// A VMS call; `path` is behind `/api/`, with an encoded query. Gives the body, null when there is none.
    ///
    /// # Errors
    /// A refusal, or no answer.
    fn vms(&self, method: &str, path: &str, body: &Value) -> Result<Value, CallError>;
    /// Gives a user a key pair of one's own choice, in place of one of that id.
    ///
    /// # Errors
    /// A refusal, or no answer.
    fn put_keys(&self, user_id: u64, tenant_id: u64, keys: &KeyPair) -> Result<(), CallError>;
    /// Arms a fault unless the same one is armed already; says whether it was.
    ///
    /// # Errors
    /// A refusal, or no answer.
    fn arm(&self, fault: &Fault) -> Result<Outcome, CallError>;
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there and differed.
    Changed,
    /// It was there as described.
    Unchanged,
}

/// One step of applying a description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The VMS resource, `keys` or `faults`.
    pub resource: String,
    /// Name or path.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why applying a description stopped. What was done before stays.
#[derive(Debug)]
pub enum ApplyError {
    /// The cluster refused what the description says, or knows no such name.
    Refused(Box<Mistake>),
    /// There was no answer.
    Unreachable(String),
}

impl Described {
    /// Brings about what the description says, tenants first, faults last.
    ///
    /// # Errors
    /// The first object that could not be had, shown in the description.
    pub fn apply(&self, target: &dyn Target) -> Result<Vec<Done>, ApplyError> {
        self.apply_telling(target, &mut |_| {})
    }

    /// As [`Self::apply`], told of every step when it is done: a long description takes its time.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_telling(
        &self,
        target: &dyn Target,
        tell: &mut dyn FnMut(&Done),
    ) -> Result<Vec<Done>, ApplyError> {
        let d = &self.description;
        let mut run = Run { read: self, target, done: Vec::new(), tell };
        d.tenants.iter().enumerate().try_for_each(|(n, t)| run.tenant(n, t))?;
        d.vip_pools.iter().enumerate().try_for_each(|(n, p)| run.vip_pool(n, p))?;
        d.policies.iter().enumerate().try_for_each(|(n, p)| run.policy(n, p))?;
        d.users.iter().enumerate().try_for_each(|(n, u)| run.user(n, u))?;
        d.views.iter().enumerate().try_for_each(|(n, v)| run.view(n, v))?;
        d.quotas.iter().enumerate().try_for_each(|(n, q)| run.quota(n, q))?;
        d.objects.iter().enumerate().try_for_each(|(n, o)| run.object(n, o))?;
        for fault in &d.faults {
            let outcome = target.arm(fault.get_ref()).map_err(|e| run.refused(fault.span(), e))?;
            run.note("faults", effect_name(fault.get_ref()), outcome);
        }
        Ok(run.done)
    }
}

fn effect_name(fault: &Fault) -> String {
    let effect = serde_json::to_value(&fault.effect).unwrap_or_default();
    effect.get("type").and_then(Value::as_str).unwrap_or_default().to_owned()
}

struct Run<'a> {
    read: &'a Described,
    target: &'a dyn Target,
    done: Vec<Done>,
    tell: &'a mut dyn FnMut(&Done),
}

type Step = Result<(), ApplyError>;

/// An object to have: where, found by what, with what.
struct Wanted<'a> {
    resource: &'a str,
    /// Fields that find it.
    by: Vec<(&'a str, String)>,
    /// What it shall be.
    fields: Fields,
    /// What is said only when it is made.
    at_birth: Fields,
    place: Range<usize>,
    /// Where it is described: the table and its number.
    table: (&'static str, usize),
}

/// Fields of VMS that have another name in a description.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("bucket_owner", "owner"),
    ("ip_ranges", "ranges"),
    ("name", "path"),
    ("policy_id", "policy"),
    ("tenant_id", "tenant"),
];

impl Run<'_> {
    fn note(&mut self, resource: &str, name: String, outcome: Outcome) {
        let done = Done { resource: resource.to_owned(), name, outcome };
        (self.tell)(&done);
        self.done.push(done);
    }

    fn refused(&self, place: Range<usize>, error: CallError) -> ApplyError {
        match error {
            CallError::Unreachable(what) => ApplyError::Unreachable(what),
            CallError::Refused(refusal) => {
                let message = format!("the cluster refuses this: {refusal}");
                ApplyError::Refused(Box::new(self.read.mistake(place, message, None)))
            }
        }
    }

    /// A refusal of an object, at the key that it is about when it names one.
    fn refused_object(
        &self,
        table: (&'static str, usize),
        place: Range<usize>,
        error: CallError,
    ) -> ApplyError {
        let body: Value = match &error {
            CallError::Refused(refusal) => serde_json::from_str(&refusal.body).unwrap_or_default(),
            CallError::Unreachable(_) => Value::Null,
        };
        let named = body.as_object().into_iter().flatten().find_map(|(field, _)| self.key(table, field));
        self.refused(named.unwrap_or(place), error)
    }

    /// Where an object's description says a field of VMS.
    fn key(&self, (table, number): (&'static str, usize), field: &str) -> Option<Range<usize>> {
        let other = OTHER_NAMES.iter().filter(|(theirs, _)| *theirs == field).map(|(_, ours)| *ours);
        let direct = std::iter::once(field).chain(other).map(|key| vec![key]);
        let paths = std::iter::once(vec!["fields", field]).chain(direct);
        paths.into_iter().find_map(|keys| {
            let mut path: Vec<place::Step> = vec![table.into(), number.into()];
            path.extend(keys.into_iter().map(place::Step::from));
            self.read.place(&path).map(|place| place.value)
        })
    }

    fn find(
        &self,
        resource: &str,
        by: &[(&str, String)],
        place: &Range<usize>,
    ) -> Result<Option<Value>, ApplyError> {
        let query: Vec<String> =
            by.iter().map(|(f, v)| format!("{f}={}", utf8_percent_encode(v, NON_ALPHANUMERIC))).collect();
        let path = format!("{resource}/?{}", query.join("&"));
        let found =
            self.target.vms("GET", &path, &Value::Null).map_err(|e| self.refused(place.clone(), e))?;
        Ok(found.as_array().and_then(|rows| rows.first().cloned()))
    }

    /// The id of something that must be there.
    fn id(&self, resource: &str, by: &[(&str, String)], what: &str, name: &Name) -> Result<u64, ApplyError> {
        let found = self.find(resource, by, &name.span())?;
        found.and_then(|row| row.get("id").and_then(Value::as_u64)).ok_or_else(|| {
            let message = format!("the cluster has no {what} `{}`", name.get_ref());
            let help = format!("describe it in a [[{resource}]] table here, or make it first");
            ApplyError::Refused(Box::new(self.read.mistake(name.span(), message, Some(help))))
        })
    }

    fn tenant_id(&self, tenant: Option<&Name>) -> Result<u64, ApplyError> {
        match tenant {
            Some(name) => self.id("tenants", &[("name", name.get_ref().clone())], "tenant", name),
            None => Ok(1),
        }
    }

    /// Makes it, changes it, or leaves it; gives its id.
    fn have(&mut self, wanted: Wanted<'_>) -> Result<u64, ApplyError> {
        let Wanted { resource, by, fields, at_birth, place, table } = wanted;
        let name = by.first().map(|(_, v)| v.clone()).unwrap_or_default();
        let found = self.find(resource, &by, &place)?;
        let id_of = |row: &Value| row.get("id").and_then(Value::as_u64).unwrap_or_default();
        let (id, outcome) = match found {
            None => {
                let mut body = fields;
                body.extend(at_birth);
                let made = self.target.vms("POST", &format!("{resource}/"), &Value::Object(body));
                (id_of(&made.map_err(|e| self.refused_object(table, place, e))?), Outcome::Created)
            }
            Some(row) => {
                let id = id_of(&row);
                let differs: Map<String, Value> = fields
                    .into_iter()
                    .filter(|(f, v)| row.get(f).is_some_and(|has| !covers(has, v)))
                    .collect();
                if differs.is_empty() {
                    (id, Outcome::Unchanged)
                } else {
                    let changed =
                        self.target.vms("PATCH", &format!("{resource}/{id}/"), &Value::Object(differs));
                    changed.map_err(|e| self.refused_object(table, place, e))?;
                    (id, Outcome::Changed)
                }
            }
        };
        self.note(resource, name, outcome);
        Ok(id)
    }

    fn tenant(&mut self, n: usize, tenant: &Tenant) -> Step {
        let name = tenant.name.get_ref().clone();
        let fields = with(json!({ "name": name }), &tenant.fields);
        let by = vec![("name", name)];
        let place = tenant.name.span();
        self.have(Wanted {
            resource: "tenants",
            by,
            fields,
            at_birth: Fields::new(),
            place,
            table: ("tenants", n),
        })
        .map(drop)
    }

    fn vip_pool(&mut self, n: usize, pool: &VipPool) -> Step {
        let name = pool.name.get_ref().clone();
        let mut fields = with(json!({ "name": name, "ip_ranges": pool.ranges }), &pool.fields);
        if pool.tenant.is_some() {
            fields.insert("tenant_id".to_owned(), self.tenant_id(pool.tenant.as_ref())?.into());
        }
        let at_birth = with(json!({ "role": "PROTOCOLS", "subnet_cidr": 24 }), &pool.fields);
        let place = pool.name.span();
        self.have(Wanted {
            resource: "vippools",
            by: vec![("name", name)],
            fields,
            at_birth,
            place,
            table: ("vip_pools", n),
        })
        .map(drop)
    }

    fn policy(&mut self, n: usize, policy: &Policy) -> Step {
        let tenant_id = self.tenant_id(policy.tenant.as_ref())?;
        let name = policy.name.get_ref().clone();
        let flavor = policy.flavor.as_deref().unwrap_or("S3_NATIVE");
        let fields = with(json!({ "name": name, "flavor": flavor }), &policy.fields);
        let by = vec![("name", name), ("tenant_id", tenant_id.to_string())];
        let at_birth = with(json!({ "tenant_id": tenant_id }), &Fields::new());
        let place = policy.name.span();
        self.have(Wanted { resource: "viewpolicies", by, fields, at_birth, place, table: ("policies", n) })
            .map(drop)
    }

    fn user(&mut self, n: usize, user: &User) -> Step {
        let tenant_id = self.tenant_id(user.tenant.as_ref())?;
        let name = user.name.get_ref().clone();
        let fields = with(json!({ "name": name }), &user.fields);
        let at_birth = with(json!({ "local_provider_id": 1 }), &user.fields);
        let by = vec![("name", name)];
        let place = user.name.span();
        let user_id = self.have(Wanted {
            resource: "users",
            by,
            fields,
            at_birth,
            place: place.clone(),
            table: ("users", n),
        })?;
        for keys in &user.keys {
            let pair = KeyPair {
                access_key: keys.access_key.get_ref().clone(),
                secret_key: keys.secret_key.clone(),
            };
            let row = self.find("users", &[("id", user_id.to_string())], &place)?.unwrap_or_default();
            let listed = row.get("access_keys").and_then(Value::as_array).cloned().unwrap_or_default();
            let has = |k: &Value| k.get("access_key").and_then(Value::as_str) == Some(&pair.access_key);
            let known = listed.iter().any(has);
            // Secrets are never listed, so a known key is set again: what is described is what holds.
            self.target
                .put_keys(user_id, tenant_id, &pair)
                .map_err(|e| self.refused(keys.access_key.span(), e))?;
            let outcome = if known { Outcome::Unchanged } else { Outcome::Created };
            self.note("keys", pair.access_key, outcome);
        }
        Ok(())
    }

    fn view(&mut self, n: usize, view: &View) -> Step {
        let tenant_id = self.tenant_id(view.tenant.as_ref())?;
        let s3 = view.bucket.is_some();
        let policy_id = match &view.policy {
            Some(name) => self.policy_id(name, tenant_id)?,
            None if s3 => self.default_policy(tenant_id)?,
            None => 1,
        };
        let path = view.path.get_ref().clone();
        let protocols =
            view.protocols.clone().unwrap_or_else(|| vec![if s3 { "S3" } else { "NFS" }.to_owned()]);
        let mut fields =
            with(json!({ "path": path, "policy_id": policy_id, "protocols": protocols }), &view.fields);
        if let Some(bucket) = &view.bucket {
            fields.insert("bucket".to_owned(), bucket.get_ref().clone().into());
        }
        if let Some(owner) = &view.owner {
            self.id("users", &[("name", owner.get_ref().clone())], "user", owner)?;
            fields.insert("bucket_owner".to_owned(), owner.get_ref().clone().into());
        }
        let by = vec![("path", path), ("tenant_id", tenant_id.to_string())];
        let at_birth = with(json!({ "tenant_id": tenant_id, "create_dir": true }), &view.fields);
        let place = view.path.span();
        self.have(Wanted { resource: "views", by, fields, at_birth, place, table: ("views", n) }).map(drop)
    }

    fn policy_id(&self, name: &Name, tenant_id: u64) -> Result<u64, ApplyError> {
        let by = |tenant: u64| [("name", name.get_ref().clone()), ("tenant_id", tenant.to_string())];
        // A policy of the default tenant may serve any.
        if tenant_id != 1
            && let Some(row) = self.find("viewpolicies", &by(tenant_id), &name.span())?
        {
            return Ok(row.get("id").and_then(Value::as_u64).unwrap_or_default());
        }
        self.id("viewpolicies", &by(1), "policy", name)
    }

    /// The S3 policy of a tenant: its own when it has one.
    fn default_policy(&self, tenant_id: u64) -> Result<u64, ApplyError> {
        let by = [("flavor", "S3_NATIVE".to_owned()), ("tenant_id", tenant_id.to_string())];
        let own = self.find("viewpolicies", &by, &(0..0))?;
        Ok(own.and_then(|row| row.get("id").and_then(Value::as_u64)).unwrap_or(2))
    }

    fn quota(&mut self, n: usize, quota: &Quota) -> Step {
        let tenant_id = self.tenant_id(quota.tenant.as_ref())?;
        let path = quota.path.get_ref().clone();
        let name = quota.name.clone().unwrap_or_else(|| format!("quota on {path}"));
        let mut fields = with(json!({ "name": name, "path": path }), &quota.fields);
        for (field, limit) in [("hard_limit", quota.hard_limit), ("soft_limit", quota.soft_limit)] {
            if let Some(limit) = limit {
                fields.insert(field.to_owned(), limit.0.into());
            }
        }
        let by = vec![("path", path), ("tenant_id", tenant_id.to_string())];
        let at_birth = with(json!({ "tenant_id": tenant_id, "create_dir": true }), &quota.fields);
        let place = quota.path.span();
        self.have(Wanted { resource: "quotas", by, fields, at_birth, place, table: ("quotas", n) }).map(drop)
    }

    fn object(&mut self, n: usize, object: &Object) -> Step {
        let name = object.name.get_ref().clone();
        let fields = with(json!({ "name": name }), &object.fields);
        let resource = object.resource.get_ref();
        let place = object.resource.span();
        let by = vec![("name", name)];
        self.have(Wanted { resource, by, fields, at_birth: Fields::new(), place, table: ("objects", n) })
            .map(drop)
    }
}

/// These fields, and what the description adds to or says instead of them.
fn with(fields: Value, more: &Fields) -> Fields {
    let mut all = match fields {
        Value::Object(map) => map,
        _ => Fields::new(),
    };
    all.extend(more.clone());
    all
}

/// Whether `has` is what `wanted` says; objects may have more fields.
fn covers(has: &Value, wanted: &Value) -> bool {
    match (has, wanted) {
        (Value::Object(has), Value::Object(wanted)) => {
            wanted.iter().all(|(f, v)| has.get(f).is_some_and(|h| covers(h, v)))
        }
        (Value::Number(has), Value::Number(wanted)) => has.as_f64() == wanted.as_f64(),
        _ => has == wanted,
    }
}
