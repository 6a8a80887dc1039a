//! Who is calling S3: key pairs of VMS users, and what a user is and has.

use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::CopySource;
use s3s::{S3Request, S3Result, s3_error};
use serde_json::Value;

use super::access::{self, Circumstances};
use super::acl::Acl;
use super::actions::{self, Action};
use super::document_digest;
use super::lists;
use super::operation::{Asked, check_agreement};
use super::policy::Names;
use super::refusal::Detailed as _;
use super::signature::{Query, Verified};
use crate::core::Core;
use crate::metrics::RequestMeter;
use crate::store::object::Bucket;
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::{AccessKey, State};

/// What requests without a signature are called.
const ANONYMOUS: &str = "anonymous";

/// The key pair of that name, when it may be used.
pub(crate) fn usable_key<'s>(state: &'s State, access_key: &str) -> S3Result<&'s AccessKey> {
    let key = state.keys().get(access_key).filter(|k| k.enabled);
    key.filter(|k| state.vms.row("users", k.user_id).is_some()).ok_or_else(|| {
        s3_error!(InvalidAccessKeyId, "The AWS access key ID you provided does not exist in our records.")
    })
}

/// The VMS user behind a request, or nobody.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) names: Names,
    pub(crate) superuser: bool,
    pub(crate) may_create_buckets: bool,
    pub(crate) may_delete_buckets: bool,
    pub(crate) tenant_id: u64,
    /// 0 for nobody.
    pub(crate) user_id: u64,
    /// Identity policies of the user and of their groups.
    pub(crate) policies: Vec<u64>,
    /// Whether this request may lift a governance retention: it asks for that and has the permission.
    pub(crate) bypasses_governance: bool,
    /// The access control list that this request gives what it writes, in its stored form.
    pub(crate) acl: Option<Value>,
}

fn numbers(row: &Row, field: &str) -> Vec<u64> {
    let all = row.get(field).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// The groups of a user: the leading one and all others.
pub(crate) fn groups_of<'s>(state: &'s State, user: &Row) -> Vec<(u64, &'s Row)> {
    let mut gids = numbers(user, "gids");
    gids.extend(number(user, "leading_gid"));
    let member = |(_, group): &(u64, &Row)| number(group, "gid").is_some_and(|gid| gids.contains(&gid));
    state.vms.rows("groups").filter(member).collect()
}

impl Caller {
    fn of_key(state: &State, access_key: &str) -> Option<Self> {
        let key = usable_key(state, access_key).ok()?;
        let row = state.vms.row("users", key.user_id)?;
        // What holds for one tenant goes before what holds for all.
        let in_tenant = row.get("_tenant_data").and_then(|d| d.get(key.tenant_id.to_string())?.as_object());
        let setting =
            |field: &str| in_tenant.and_then(|d| d.get(field)?.as_bool()).unwrap_or_else(|| flag(row, field));
        let superuser = setting("s3_superuser");
        let groups = groups_of(state, row);
        let mut policies = numbers(row, "s3_policies_ids");
        policies.extend(in_tenant.into_iter().flat_map(|d| numbers(d, "s3_policies_ids")));
        policies.extend(groups.iter().flat_map(|(_, group)| numbers(group, "s3_policies_ids")));
        policies.sort_unstable();
        policies.dedup();
        let of_tenant = |id: &u64| {
            let tenant = state.vms.row("s3policies", *id).and_then(|p| number(p, "tenant_id"));
            tenant.is_none_or(|t| t == key.tenant_id)
        };
        policies.retain(of_tenant);
        let ids = ["uid", "vid"].iter().filter_map(|f| number(row, f)).map(|n| n.to_string());
        let ids = ids.chain([text(row, "sid").to_owned()]).filter(|id| !id.is_empty()).collect();
        let name = text(row, "name").to_owned();
        Some(Self {
            names: Names {
                name: name.clone(),
                ids,
                groups: groups.iter().map(|(_, group)| text(group, "name").to_owned()).collect(),
            },
            name,
            superuser,
            may_create_buckets: superuser || setting("allow_create_bucket"),
            may_delete_buckets: superuser || setting("allow_delete_bucket"),
            tenant_id: key.tenant_id,
            user_id: key.user_id,
            policies,
            bypasses_governance: false,
            acl: None,
        })
    }

    /// Nobody, who sees the tenant of the bucket that is asked for.
    fn anonymous(tenant_id: u64) -> Self {
        Self { name: ANONYMOUS.to_owned(), tenant_id, ..Self::default() }
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.user_id == 0
    }

    /// The caller that [`Access`] found for this request.
    pub(crate) fn of<T>(request: &S3Request<T>) -> S3Result<Self> {
        request
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| s3_error!(AccessDenied, "Signature is required"))
    }

    /// The bucket, when it exists in the caller's tenant. Whether the request may use it has been judged before.
    pub(crate) fn open<'s>(&self, state: &'s State, name: &str) -> S3Result<&'s Bucket> {
        state
            .bucket(name)
            .filter(|b| b.tenant_id == self.tenant_id)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }
}

/// Finds secrets for signature checks.
pub(crate) struct Keys(pub(crate) Arc<Core>);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.0.own_key.id {
            return Ok(SecretKey::from(self.0.own_key.secret.clone()));
        }
        self.0.store.read(|state| usable_key(state, access_key).map(|k| SecretKey::from(k.secret.clone())))
    }
}

/// Judges every request before it is carried out, and tells the backend who it is from.
pub(crate) struct Access(pub(crate) Arc<Core>);

/// What a request is about.
struct Target<'a> {
    operation: &'a str,
    bucket: &'a str,
    key: Option<&'a str>,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let asked = cx.extensions_mut().get::<Asked>().cloned();
        check_agreement(asked.as_ref(), cx.s3_op().name())?;
        let extensions = cx.extensions_mut().clone();
        document_digest::check(&extensions, cx.headers())?;
        let signer = match cx.extensions_mut().get::<Verified>().cloned() {
            Some(Verified(signer)) => signer,
            None => cx.credentials().map(|c| c.access_key.clone()),
        };
        let at = Circumstances::new(&self.0, cx.uri(), cx.headers(), &extensions);
        let path = cx.s3_path();
        let target = Target {
            operation: cx.s3_op().name(),
            bucket: path.get_bucket_name().unwrap_or_default(),
            key: path.get_object_key(),
        };
        let caller = self.0.store.read(|state| {
            let caller = match &signer {
                Some(access_key) => Caller::of_key(state, access_key).ok_or_else(|| {
                    s3_error!(
                        InvalidAccessKeyId,
                        "The AWS access key ID you provided does not exist in our records."
                    )
                })?,
                None => Caller::anonymous(state.bucket(target.bucket).map_or(0, |b| b.tenant_id)),
            };
            judge(state, caller, &at, &target)
        })?;
        if let Some(meter) = cx.extensions_mut().get::<Arc<RequestMeter>>()
            && !caller.is_anonymous()
        {
            meter.by(&self.0.metrics, caller.user_id, caller.tenant_id);
        }
        cx.extensions_mut().insert(caller);
        Ok(())
    }
}

/// Refuses a request that the caller may not make.
fn judge(state: &State, mut caller: Caller, at: &Circumstances<'_>, target: &Target<'_>) -> S3Result<Caller> {
    let Target { operation, bucket: name, key } = *target;
    if operation == "ListBuckets" || operation == "CreateBucket" {
        let action = if operation == "CreateBucket" { "s3:CreateBucket" } else { "s3:ListAllMyBuckets" };
        // That a name is taken is said before anything else.
        let taken = operation == "CreateBucket" && !caller.is_anonymous() && state.bucket(name).is_some();
        let may = taken || access::may_outside(state, &caller, at, action, name);
        if operation == "CreateBucket" {
            caller.acl = Acl::of_headers(at.headers, &caller.name, &caller.name)?.map(|acl| acl.to_value());
        }
        return if may { Ok(caller) } else { access::denied() };
    }
    if caller.is_anonymous() && state.bucket(name).is_none() {
        return access::denied();
    }
    let bucket = caller.open(state, name)?;
    check_owner(at, "x-amz-expected-bucket-owner", bucket)?;
    let versioned = at.query.get("versionId").is_some();
    let place = (name, bucket, key.unwrap_or_default());
    for action in actions::of(operation, key.is_some(), versioned, at.headers) {
        if !access::may(state, &caller, at, &action, place) {
            return access::denied();
        }
    }
    let source = at.headers.get("x-amz-copy-source").and_then(|v| v.to_str().ok());
    if let Some(source) = source.filter(|_| matches!(operation, "CopyObject" | "UploadPartCopy")) {
        judge_source(state, &caller, at, source)?;
    }
    if actions::writes_object(operation) {
        let acl = Acl::of_headers(at.headers, &caller.name, &bucket.owner)?;
        if acl.as_ref().is_some_and(Acl::shares) {
            lists::refuse_without_lists(state, bucket)?;
        }
        caller.acl = acl.map(|acl| acl.to_value());
    }
    let asks = at.headers.get("x-amz-bypass-governance-retention");
    caller.bypasses_governance = asks.is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"true"))
        && access::may(state, &caller, at, &Action::bypass_governance(), place);
    Ok(caller)
}

/// Refuses a request that takes the bucket for somebody else's.
fn check_owner(at: &Circumstances<'_>, header: &str, bucket: &Bucket) -> S3Result<()> {
    match at.headers.get(header) {
        Some(expected) if expected.as_bytes() != bucket.owner.as_bytes() => access::denied(),
        _ => Ok(()),
    }
}

/// Refuses to copy from what the caller may not read.
fn judge_source(state: &State, caller: &Caller, at: &Circumstances<'_>, source: &str) -> S3Result<()> {
    // What cannot be read here is refused when the operation reads it.
    let Ok(CopySource::Bucket { bucket: name, key, version_id }) = CopySource::parse(source) else {
        return Ok(());
    };
    let bucket = caller.open(state, &name).map_err(|error| error.detail("BucketName", &name))?;
    check_owner(at, "x-amz-source-expected-bucket-owner", bucket)?;
    let query = version_id.as_ref().map(|v| format!("versionId={v}")).unwrap_or_default();
    let at = Circumstances {
        core: at.core,
        peer: at.peer,
        scheme: at.scheme,
        query: Query::parse(&query),
        headers: at.headers,
    };
    let action = Action::read(version_id.is_some());
    if access::may(state, caller, &at, &action, (&name, bucket, &key)) { Ok(()) } else { access::denied() }
}
