//! A bucket that keeps versions and locks them: listing, deleting for good, retention.

use crate::error::{Delivery, Detail, Error, Result, Thing};
use crate::s3::actions::delete_object::DeleteObject;
use crate::s3::actions::delete_objects::{DeleteObjects, Doomed, KEYS_MAX, Undeleted, fits_xml};
use crate::s3::actions::get_bucket_versioning::{GetBucketVersioning, Versioning};
use crate::s3::actions::get_object_lock_configuration::{GetObjectLockConfiguration, LockConfiguration};
use crate::s3::actions::get_object_retention::GetObjectRetention;
use crate::s3::actions::list_object_versions::{ListObjectVersions, VersionMarker, VersionPage};
use crate::s3::actions::put_object_retention::PutObjectRetention;
use crate::s3::answer::speaks_of_locks;
use crate::s3::bucket::S3Bucket;
use crate::s3::lock::Retention;

impl S3Bucket {
    /// Whether the bucket keeps versions.
    pub async fn versioning(&self) -> Result<Versioning> {
        self.run(&GetBucketVersioning).await
    }

    /// The bucket's rules for object lock; `None` when it has none.
    pub async fn lock_configuration(&self) -> Result<Option<LockConfiguration>> {
        match self.run(&GetObjectLockConfiguration).await {
            Err(Error::NotFound(Thing::Object, _)) => Ok(None),
            other => other,
        }
    }

    /// Lists versions and delete markers of keys that begin with `prefix`, from `next` of the page before.
    pub async fn list_versions(&self, prefix: &str, next: Option<&VersionMarker>) -> Result<VersionPage> {
        self.run(&ListObjectVersions { prefix, next }).await
    }

    /// Deletes any number of versions and delete markers for good, 1,000 in a request; missing ones are success. Each
    /// is a key and a version id.
    ///
    /// # Errors
    /// All are tried. [`Error::Locked`] if object lock keeps one of them and nothing else went wrong; else the error is
    /// that of the first one that could not be deleted.
    pub async fn delete_versions(&self, versions: &[(String, String)]) -> Result<()> {
        let doomed = versions.iter().map(|(key, id)| Doomed { key, version: Some(id) });
        self.delete_all(doomed.collect()).await
    }

    /// Keeps a version (the latest if `None`), or keeps it for longer.
    ///
    /// # Errors
    /// [`Error::Locked`] if that would keep it for a shorter time or in another mode, [`Error::Unsupported`] if the
    /// bucket has no object lock.
    pub async fn put_retention(&self, key: &str, version: Option<&str>, retention: Retention) -> Result<()> {
        match self.run(&PutObjectRetention { key, version, retention }).await {
            Err(Error::Denied(detail)) => {
                let stricter = |now: Retention| now.until > retention.until || now.mode != retention.mode;
                Err(self.denied(key, version, detail, stricter).await)
            }
            other => other,
        }
    }

    /// Until when object lock keeps a version (the latest if `None`), and how strictly; `None` if it does not. May be
    /// over already.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the bucket has no object lock.
    pub async fn retention(&self, key: &str, version: Option<&str>) -> Result<Option<Retention>> {
        match self.run(&GetObjectRetention { key, version }).await {
            Err(Error::NotFound(Thing::Object, detail))
                if detail.code.as_deref() == Some("NoSuchObjectLockConfiguration") =>
            {
                Ok(None)
            }
            other => other,
        }
    }

    /// Deletes all of these; the error is the gravest: anything before [`Error::Locked`].
    pub(crate) async fn delete_all(&self, doomed: Vec<Doomed<'_>>) -> Result<()> {
        let (together, alone): (Vec<_>, Vec<_>) = doomed.into_iter().partition(|one| fits_xml(one.key));
        let mut outcome = Ok(());
        for doomed in together.chunks(KEYS_MAX) {
            let deleted = match self.run(&DeleteObjects { doomed }).await {
                Ok(left) => self.delete_left(left).await,
                Err(error) => Err(error),
            };
            outcome = graver(outcome, deleted);
        }
        for Doomed { key, version } in alone {
            outcome = graver(outcome, self.delete_one(key, version).await);
        }
        outcome
    }

    /// Deletes an object, or a version of it; a missing one is success.
    pub(crate) async fn delete_one(&self, key: &str, version: Option<&str>) -> Result<()> {
        match self.run(&DeleteObject { key, version }).await {
            Err(Error::NotFound(Thing::Object, _)) => Ok(()),
            Err(Error::Denied(detail)) if version.is_some() => {
                Err(self.denied(key, version, detail, |_| true).await)
            }
            other => other,
        }
    }

    /// Tries those that the server did not delete once more, one by one: a single delete is retried on other VIPs.
    async fn delete_left(&self, left: Vec<Undeleted>) -> Result<()> {
        let mut outcome = Ok(());
        for Undeleted { key, version, code, message } in left {
            let version = version.as_deref();
            let deleted = if matches!(code.as_str(), "InternalError" | "SlowDown" | "ServiceUnavailable") {
                self.delete_one(&key, version).await
            } else {
                let what = version.map(|id| format!(" version {id}")).unwrap_or_default();
                let what = format!("DELETE {}/{key}{what}", self.name());
                let mut detail = Detail::new(what, format!("{code}: {message}")).delivery(Delivery::Answered);
                detail.code = Some(code.clone());
                let detail = Box::new(detail);
                Err(match code.as_str() {
                    "AccessDenied" if speaks_of_locks(&message) => Error::Locked(detail),
                    "AccessDenied" if version.is_some() => self.denied(&key, version, detail, |_| true).await,
                    "AccessDenied" => Error::Denied(detail),
                    _ => Error::Protocol(detail),
                })
            };
            outcome = graver(outcome, deleted);
        }
        outcome
    }

    /// Tells a lock from a missing right where the refusal does not: by the version's own retention.
    async fn denied(
        &self,
        key: &str,
        version: Option<&str>,
        detail: Box<Detail>,
        forbids: impl Fn(Retention) -> bool,
    ) -> Error {
        let locked = match self.head_version(key, version).await {
            Ok(info) => {
                let lasts = |retention: &Retention| {
                    info.server_time.is_none_or(|server_time| retention.until > server_time)
                };
                info.legal_hold || info.retention.filter(lasts).is_some_and(forbids)
            }
            // Whatever keeps us from looking, the refusal stays what it was.
            Err(_) => false,
        };
        if locked { Error::Locked(detail) } else { Error::Denied(detail) }
    }
}

/// The error to report of two outcomes: that something is locked is the least of it.
fn graver(first: Result<()>, second: Result<()>) -> Result<()> {
    match (&first, &second) {
        (Ok(()), _) => second,
        (Err(Error::Locked(_)), Err(error)) if !matches!(error, Error::Locked(_)) => second,
        _ => first,
    }
}
