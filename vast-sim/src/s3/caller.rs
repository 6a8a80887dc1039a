//! Who is calling S3 and what they may touch: key pairs of VMS users, buckets of their owners.

use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Request, S3Result, s3_error};

use crate::core::Core;
use crate::store::object::Bucket;
use crate::store::registry::{flag, text};
use crate::store::state::State;

/// The VMS user behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) superuser: bool,
    pub(crate) may_create_buckets: bool,
    pub(crate) may_delete_buckets: bool,
    pub(crate) tenant_id: u64,
}

impl Caller {
    fn of_key(state: &State, access_key: &str) -> Option<Self> {
        let key = state.keys().get(access_key).filter(|k| k.enabled)?;
        let row = state.vms.row("users", key.user_id)?;
        let superuser = flag(row, "s3_superuser");
        Some(Self {
            name: text(row, "name").to_owned(),
            superuser,
            may_create_buckets: superuser || flag(row, "allow_create_bucket"),
            may_delete_buckets: superuser || flag(row, "allow_delete_bucket"),
            tenant_id: key.tenant_id,
        })
    }

    /// The caller that [`Access`] found for this request.
    pub(crate) fn of<T>(request: &S3Request<T>) -> S3Result<Self> {
        request
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| s3_error!(AccessDenied, "Signature is required"))
    }

    pub(crate) fn owns(&self, bucket: &Bucket) -> bool {
        self.superuser || bucket.owner == self.name
    }

    /// The bucket, when it exists and this caller may use it.
    pub(crate) fn open<'s>(&self, state: &'s State, name: &str) -> S3Result<&'s Bucket> {
        let bucket = state
            .bucket(name)
            .ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        if self.owns(bucket) {
            Ok(bucket)
        } else {
            Err(s3_error!(AccessDenied, "Bucket {name} belongs to another user"))
        }
    }
}

/// Finds secrets for signature checks.
pub(crate) struct Keys(pub(crate) Arc<Core>);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let secret = self.0.store.read(|state| {
            Caller::of_key(state, access_key)?;
            state.keys().get(access_key).map(|k| SecretKey::from(k.secret.clone()))
        });
        secret.ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The access key ID you provided does not exist in our records.")
        })
    }
}

/// Lets signed requests in and tells the backend who they are from.
pub(crate) struct Access(pub(crate) Arc<Core>);

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let caller = cx
            .credentials()
            .and_then(|c| self.0.store.read(|state| Caller::of_key(state, &c.access_key)))
            .ok_or_else(|| s3_error!(AccessDenied, "Signature is required"))?;
        cx.extensions_mut().insert(caller);
        Ok(())
    }
}
