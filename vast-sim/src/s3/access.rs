//! Whether a caller may do what a request asks: all that is known is gathered into [`Facts`], one function decides.

use std::net::IpAddr;

use http::{HeaderMap, Uri};
use s3s::{S3Result, s3_error};
use serde_json::Value;

use super::acl::Acl;
use super::actions::{Action, Needs};
use super::caller::Caller;
use super::policy::{Ask, Attached, Policy, Says, covers_address, matches};
use super::signature::{Query, Scheme};
use crate::core::Core;
use crate::env;
use crate::net::conn::Peer;
use crate::store::object::{Bucket, Object};
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;
use crate::store::version::VersionId;

/// What the view's policy lets the client's address do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum HostMay {
    #[default]
    Write,
    Read,
    Nothing,
}

/// Everything that a decision depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whether the request changes anything.
    pub(crate) writes: bool,
    pub(crate) host: HostMay,
    /// Whether the request is signed.
    pub(crate) signed: bool,
    /// Whether the view admits requests that are not.
    pub(crate) admits_anybody: bool,
    /// What policies of the user and of the bucket say.
    pub(crate) says: Says,
    pub(crate) superuser: bool,
    /// The caller owns the bucket, or the object where lists count.
    pub(crate) owner: bool,
    /// Whether this is about the bucket's own policy, from which an owner cannot be shut out.
    pub(crate) about_policy: bool,
    /// An access control list, or the mode bits of files, give the permission.
    pub(crate) listed: bool,
}

/// Decides. Denying wins over allowing; what nobody allows is denied.
pub(crate) fn decide(facts: &Facts) -> bool {
    match facts.host {
        HostMay::Nothing => return false,
        HostMay::Read if facts.writes => return false,
        HostMay::Read | HostMay::Write => {}
    }
    if !facts.signed && !facts.admits_anybody {
        return false;
    }
    let keeps_access = facts.about_policy && (facts.owner || facts.superuser);
    if facts.says.denies && !keeps_access {
        return false;
    }
    facts.superuser || facts.owner || facts.says.allows || facts.listed
}

/// The request as conditions see it.
pub(crate) struct Circumstances<'a> {
    pub(crate) core: &'a Core,
    pub(crate) peer: Option<Peer>,
    pub(crate) scheme: Scheme,
    pub(crate) query: Query,
    pub(crate) headers: &'a HeaderMap,
}

impl<'a> Circumstances<'a> {
    pub(crate) fn new(
        core: &'a Core,
        uri: &Uri,
        headers: &'a HeaderMap,
        extensions: &http::Extensions,
    ) -> Self {
        Self {
            core,
            peer: extensions.get::<Peer>().copied(),
            scheme: extensions.get::<Scheme>().copied().unwrap_or(Scheme::Unsigned),
            query: Query::parse(uri.query().unwrap_or_default()),
            headers,
        }
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
    }

    /// Tags in the header of a request that writes an object.
    fn tags(&self) -> Vec<(String, String)> {
        Query::parse(&self.header("x-amz-tagging").unwrap_or_default()).pairs().to_vec()
    }

    /// Values of a condition key.
    fn key(&self, caller: &Caller, object: Option<&Object>, key: &str) -> Vec<String> {
        let lower = key.to_ascii_lowercase();
        if let Some(tag) = lower.strip_prefix("s3:existingobjecttag/") {
            let tags = object.into_iter().flat_map(|o| &o.attributes.tags);
            return tags.filter(|(n, _)| n.eq_ignore_ascii_case(tag)).map(|(_, v)| v.clone()).collect();
        }
        if let Some(tag) = lower.strip_prefix("s3:requestobjecttag/") {
            let tags = self.tags().into_iter();
            return tags.filter(|(n, _)| n.eq_ignore_ascii_case(tag)).map(|(_, v)| v).collect();
        }
        let signed = (!caller.is_anonymous()).then(|| caller.name.clone());
        let of_query = |name: &str| self.query.get(name).map(str::to_owned);
        let one = match lower.as_str() {
            "s3:requestobjecttagkeys" => return self.tags().into_iter().map(|(n, _)| n).collect(),
            "aws:sourceip" => self.peer.map(|p| p.ip.to_string()),
            "aws:securetransport" => self.peer.map(|p| p.secure.to_string()),
            "aws:currenttime" => Some(env::rfc3339(self.core.now_ms())),
            "aws:epochtime" => Some((self.core.now_ms() / 1000).to_string()),
            "aws:username" | "aws:userid" => signed,
            "aws:principaltype" => Some(if signed.is_some() { "User" } else { "Anonymous" }.to_owned()),
            "aws:useragent" => self.header("user-agent"),
            "aws:referer" => self.header("referer"),
            "s3:prefix" => of_query("prefix"),
            "s3:delimiter" => of_query("delimiter"),
            "s3:max-keys" => of_query("max-keys"),
            "s3:versionid" => of_query("versionId"),
            "s3:object-lock-mode" => self.header("x-amz-object-lock-mode"),
            "s3:object-lock-legal-hold" => self.header("x-amz-object-lock-legal-hold"),
            "s3:authtype" => match self.scheme {
                Scheme::HeaderV4 | Scheme::HeaderV2 => Some("REST-HEADER".to_owned()),
                Scheme::QueryV4 | Scheme::QueryV2 => Some("REST-QUERY-STRING".to_owned()),
                Scheme::FormV4 | Scheme::FormV2 => Some("POST".to_owned()),
                Scheme::Unsigned => None,
            },
            "s3:signatureversion" => match self.scheme {
                Scheme::HeaderV4 | Scheme::QueryV4 | Scheme::FormV4 => Some("AWS4-HMAC-SHA256".to_owned()),
                Scheme::HeaderV2 | Scheme::QueryV2 | Scheme::FormV2 => Some("AWS".to_owned()),
                Scheme::Unsigned => None,
            },
            header => {
                header.strip_prefix("s3:").filter(|h| h.starts_with("x-amz-")).and_then(|h| self.header(h))
            }
        };
        one.into_iter().collect()
    }
}

/// What a list of hosts in a view policy holds: addresses, ranges, or a star.
fn listed(row: &Row, field: &str, ip: IpAddr) -> Option<bool> {
    let hosts = row.get(field).and_then(Value::as_array).filter(|h| !h.is_empty())?;
    let mut hosts = hosts.iter().filter_map(Value::as_str);
    Some(hosts.any(|h| h == "*" || covers_address(h, ip) == Some(true)))
}

fn host_may(state: &State, view: Option<&Row>, peer: Option<Peer>) -> HostMay {
    let policy = view.and_then(|v| number(v, "policy_id")).and_then(|id| state.vms.row("viewpolicies", id));
    let (Some(policy), Some(peer)) = (policy, peer) else { return HostMay::Write };
    match (listed(policy, "s3_read_write", peer.ip), listed(policy, "s3_read_only", peer.ip)) {
        // A policy that names no hosts lets all in.
        (None, None) | (Some(true), _) => HostMay::Write,
        (_, Some(true)) => HostMay::Read,
        _ => HostMay::Nothing,
    }
}

/// Whether the tenant takes clients from this address.
fn tenant_takes(state: &State, tenant: u64, peer: Option<Peer>) -> bool {
    let ranges = state.vms.row("tenants", tenant).and_then(|t| t.get("client_ip_ranges")?.as_array());
    let (Some(ranges), Some(peer)) = (ranges.filter(|r| !r.is_empty()), peer) else { return true };
    ranges.iter().any(|range| {
        let ends: Vec<&str> = range.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        covers_address(&ends.join("-"), peer.ip) == Some(true)
    })
}

/// Files of other than S3's own flavor have mode bits, which let everybody read.
fn everybody_reads_files(state: &State, view: Option<&Row>) -> bool {
    let policy = view.and_then(|v| number(v, "policy_id")).and_then(|id| state.vms.row("viewpolicies", id));
    policy.is_some_and(|p| text(p, "flavor") != "S3_NATIVE")
}

/// Whether lists count in a bucket at all.
pub(crate) fn has_lists(bucket: &Bucket, view: Option<&Row>) -> bool {
    let rule = bucket.documents.get("ownershipControls").and_then(Value::as_str);
    let rule = rule.or_else(|| view.map(|v| text(v, "s3_object_ownership_rule")));
    rule != Some("BucketOwnerEnforced")
}

/// What the caller's own policies say about a request.
fn identity_says(state: &State, caller: &Caller, ask: &Ask<'_>) -> Says {
    let mut says = Says::default();
    for id in &caller.policies {
        let row = state.vms.row("s3policies", *id).filter(|p| p.get("enabled") != Some(&Value::Bool(false)));
        let Some(row) = row else { continue };
        // A policy that cannot be read was refused when it was written.
        if let Ok(policy) = Policy::read(text(row, "policy"), Attached::Identity) {
            says = says.and(policy.says(ask));
        }
    }
    says
}

/// Judges one action on an existing bucket.
pub(crate) fn may(
    state: &State,
    caller: &Caller,
    at: &Circumstances<'_>,
    action: &Action,
    target: (&str, &Bucket, &str),
) -> bool {
    let (name, bucket, key) = target;
    let view = state.view_of(bucket);
    let object = action.on_object.then(|| object(state, bucket, key, at.query.get("versionId"))).flatten();
    let resource = if action.on_object { format!("{name}/{key}") } else { name.to_owned() };
    let names = (!caller.is_anonymous()).then_some(&caller.names);
    let keys = |key: &str| at.key(caller, object, key);
    let ask = Ask { action: &action.name, resource: &resource, caller: names, keys: &keys };

    let mut says = identity_says(state, caller, &ask);
    if let Some(text) = bucket.documents.get("policy").and_then(Value::as_str)
        && let Ok(policy) = Policy::read(text, Attached::Bucket(name))
    {
        says = says.and(policy.says(&ask));
    }
    let lists = has_lists(bucket, view);
    let own_object = lists
        && action.on_object
        && !matches!(action.needs, Needs::OfBucket(_))
        && object.is_some_and(|o| !caller.is_anonymous() && o.attributes.owner == caller.name);
    let by_list = lists
        && match action.needs {
            Needs::OfBucket(permission) => {
                Acl::stored(bucket.documents.get("acl"), &bucket.owner).allows(names, permission)
            }
            Needs::OfObject(permission) => object.is_some_and(|o| {
                Acl::stored(o.attributes.acl.as_ref(), &o.attributes.owner).allows(names, permission)
            }),
            Needs::Nothing => false,
        };
    let by_mode = caller.is_anonymous()
        && action.only_reads()
        && everybody_reads_files(state, view)
        && action.needs != Needs::Nothing;
    let of_buckets = match action.name.as_str() {
        "s3:DeleteBucket" => caller.may_delete_buckets,
        _ => true,
    };
    decide(&Facts {
        writes: !action.only_reads(),
        host: if tenant_takes(state, bucket.tenant_id, at.peer) {
            host_may(state, view, at.peer)
        } else {
            HostMay::Nothing
        },
        signed: !caller.is_anonymous(),
        admits_anybody: view
            .is_some_and(|v| flag(v, "allow_s3_anonymous_access") || flag(v, "allow_anonymous_access")),
        says,
        superuser: caller.superuser,
        owner: (bucket.owner == caller.name && !caller.is_anonymous() && of_buckets) || own_object,
        about_policy: action.name.ends_with("BucketPolicy"),
        listed: by_list || by_mode,
    })
}

fn object<'s>(state: &'s State, bucket: &Bucket, key: &str, version: Option<&str>) -> Option<&'s Object> {
    let path = bucket.path_of(key);
    let found = match version.and_then(VersionId::parse) {
        Some(id) => state.entry(bucket.tenant_id, &path)?.get(id)?.object(),
        None => state.current(bucket.tenant_id, &path),
    };
    found.map(|o| &**o)
}

/// Judges an action on no bucket, or on one that does not exist yet.
pub(crate) fn may_outside(
    state: &State,
    caller: &Caller,
    at: &Circumstances<'_>,
    action: &str,
    bucket: &str,
) -> bool {
    let keys = |key: &str| at.key(caller, None, key);
    let names = (!caller.is_anonymous()).then_some(&caller.names);
    let ask = Ask { action, resource: bucket, caller: names, keys: &keys };
    let takes = tenant_takes(state, caller.tenant_id, at.peer);
    decide(&Facts {
        writes: action == "s3:CreateBucket",
        host: if takes { HostMay::Write } else { HostMay::Nothing },
        signed: !caller.is_anonymous(),
        says: identity_says(state, caller, &ask),
        superuser: caller.superuser,
        owner: action != "s3:CreateBucket" || caller.may_create_buckets,
        ..Facts::default()
    })
}

/// Whether the user sees a bucket in the list of all: those that own it or may list it, and those whom its view's
/// policy lets see it.
pub(crate) fn sees(
    state: &State,
    caller: &Caller,
    at: &Circumstances<'_>,
    name: &str,
    bucket: &Bucket,
) -> bool {
    if caller.tenant_id != bucket.tenant_id {
        return false;
    }
    let view = state.view_of(bucket);
    let policy = view.and_then(|v| number(v, "policy_id")).and_then(|id| state.vms.row("viewpolicies", id));
    let named = |field: &str, of: &[String]| {
        let listed = policy.and_then(|p| p.get(field)?.as_array());
        listed.is_some_and(|l| {
            l.iter().filter_map(Value::as_str).any(|pattern| of.iter().any(|name| matches(pattern, name)))
        })
    };
    let list = Action {
        name: "s3:ListBucket".to_owned(),
        on_object: false,
        needs: Needs::OfBucket(super::acl::Permission::Read),
    };
    bucket.owner == caller.name
        || caller.superuser
        || named("s3_visibility", std::slice::from_ref(&caller.name))
        || named("s3_visibility_groups", &caller.names.groups)
        || may(state, caller, at, &list, (name, bucket, ""))
}

/// The refusal of a request.
pub(crate) fn denied<T>() -> S3Result<T> {
    Err(s3_error!(AccessDenied, "Access Denied"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_table() {
        let base = Facts { signed: true, ..Facts::default() };
        let says = |denies, allows| Says { denies, allows };
        let write = Facts { writes: true, ..base };
        for (what, facts, expected) in [
            ("nobody allows it", base, false),
            ("the owner", Facts { owner: true, ..base }, true),
            ("a superuser", Facts { superuser: true, ..base }, true),
            ("a policy allows it", Facts { says: says(false, true), ..base }, true),
            ("a list allows it", Facts { listed: true, ..base }, true),
            ("denied and allowed", Facts { says: says(true, true), ..base }, false),
            ("denied and listed", Facts { says: says(true, false), listed: true, ..base }, false),
            ("the owner, denied", Facts { says: says(true, false), owner: true, ..base }, false),
            ("a superuser, denied", Facts { says: says(true, false), superuser: true, ..base }, false),
            (
                "the owner, denied the policy itself",
                Facts { says: says(true, false), owner: true, about_policy: true, ..base },
                true,
            ),
            (
                "another, denied the policy itself",
                Facts { says: says(true, true), about_policy: true, ..base },
                false,
            ),
            ("unsigned and listed", Facts { signed: false, listed: true, ..base }, false),
            ("unsigned and allowed", Facts { signed: false, says: says(false, true), ..base }, false),
            (
                "unsigned, admitted, listed",
                Facts { signed: false, admits_anybody: true, listed: true, ..base },
                true,
            ),
            (
                "unsigned, admitted, nothing else",
                Facts { signed: false, admits_anybody: true, ..base },
                false,
            ),
            (
                "unsigned, admitted, denied",
                Facts { signed: false, admits_anybody: true, listed: true, says: says(true, false), ..base },
                false,
            ),
            ("an owner from nowhere", Facts { owner: true, host: HostMay::Nothing, ..base }, false),
            ("an owner reads from a reading host", Facts { owner: true, host: HostMay::Read, ..base }, true),
            (
                "an owner writes from a reading host",
                Facts { owner: true, host: HostMay::Read, ..write },
                false,
            ),
            (
                "a superuser writes from a reading host",
                Facts { superuser: true, host: HostMay::Read, ..write },
                false,
            ),
            ("an owner writes", Facts { owner: true, ..write }, true),
        ] {
            assert_eq!(decide(&facts), expected, "{what}");
        }
    }
}
