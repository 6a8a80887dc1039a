//! What a description can hold, table by table. Objects refer to each other by name.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use super::values::Size;
use crate::faults::Fault;

/// Fields of VMS's API that a table here has no key for, passed on as they are.
pub type Fields = Map<String, Value>;

/// A name with its place in the file.
pub type Name = Spanned<String>;

/// A tenant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name.
    pub name: Name,
    /// Anything else that VMS knows of a tenant.
    #[serde(default)]
    pub fields: Fields,
}

/// A view policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name.
    pub name: Name,
    /// Name of its tenant; the default one when left out.
    pub tenant: Option<Name>,
    /// `S3_NATIVE` when left out.
    pub flavor: Option<String>,
    /// Anything else that VMS knows of a view policy.
    #[serde(default)]
    pub fields: Fields,
}

/// An S3 key pair, chosen here so that clients can be configured before the cluster runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Access key id.
    pub access_key: Name,
    /// Secret key.
    pub secret_key: String,
}

/// A local user.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Their name.
    pub name: Name,
    /// Name of the tenant that their keys are for; the default one when left out.
    pub tenant: Option<Name>,
    /// Their key pairs.
    #[serde(default)]
    pub keys: Vec<Keys>,
    /// Anything else that VMS knows of a user: `s3_superuser`, `allow_create_bucket`, ...
    #[serde(default)]
    pub fields: Fields,
}

/// A view, with a bucket when it serves S3.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Its path, without a slash at the end.
    pub path: Name,
    /// Name of its tenant; the default one when left out.
    pub tenant: Option<Name>,
    /// Name of its policy; `s3_default_policy` for a view with a bucket, else `default`.
    pub policy: Option<Name>,
    /// Its bucket.
    pub bucket: Option<Name>,
    /// Name of the user who owns the bucket.
    pub owner: Option<Name>,
    /// `["S3"]` for a view with a bucket, else `["NFS"]`.
    pub protocols: Option<Vec<String>>,
    /// Anything else that VMS knows of a view: `s3_versioning`, `locking`, ...
    #[serde(default)]
    pub fields: Fields,
}

/// A quota.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The path it limits.
    pub path: Name,
    /// Its name; `quota on <path>` when left out.
    pub name: Option<String>,
    /// Name of its tenant; the default one when left out.
    pub tenant: Option<Name>,
    /// Bytes that are refused to be exceeded.
    pub hard_limit: Option<Size>,
    /// Bytes above which its state says so.
    pub soft_limit: Option<Size>,
    /// Anything else that VMS knows of a quota.
    #[serde(default)]
    pub fields: Fields,
}

/// A VIP pool beside the one that the setting `vips` makes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VipPool {
    /// Its name.
    pub name: Name,
    /// First and last address of each range.
    pub ranges: Vec<[IpAddr; 2]>,
    /// Name of the tenant it is for; all when left out.
    pub tenant: Option<Name>,
    /// Anything else that VMS knows of a VIP pool: `domain_name`, `cnode_ids`, ...
    #[serde(default)]
    pub fields: Fields,
}

/// Any other VMS object, found by its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Its resource, as in the path of VMS's API: `qospolicies`.
    pub resource: Name,
    /// Its name.
    pub name: Name,
    /// Its fields.
    #[serde(default)]
    pub fields: Fields,
}

/// A cluster, described. Every table may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Description {
    /// Settings; flags of the same name go first. Only `serve` heeds them.
    pub cluster: super::Settings,
    /// Tenants beside the default one.
    pub tenants: Vec<Tenant>,
    /// VIP pools beside the first one.
    pub vip_pools: Vec<VipPool>,
    /// View policies beside `default` and `s3_default_policy`.
    pub policies: Vec<Policy>,
    /// Users with their keys.
    pub users: Vec<User>,
    /// Views, and so buckets.
    pub views: Vec<View>,
    /// Quotas.
    pub quotas: Vec<Quota>,
    /// Anything else.
    pub objects: Vec<Object>,
    /// Faults that are armed from the start, in the form of the fault plane's own API.
    pub faults: Vec<Spanned<Fault>>,
}
