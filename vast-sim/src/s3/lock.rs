//! Object lock: a view's rules, retention and legal hold of versions, and what they forbid.
//!
//! Everything is judged by the cluster's clock. The rules are fields of the view, whichever side sets them.

use s3s::dto::{
    DefaultRetention, GetObjectLegalHoldInput, GetObjectLegalHoldOutput, GetObjectLockConfigurationInput,
    GetObjectLockConfigurationOutput, GetObjectRetentionInput, GetObjectRetentionOutput,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ObjectLockRetention, ObjectLockRetentionMode, ObjectLockRule, PutObjectLegalHoldInput,
    PutObjectLegalHoldOutput, PutObjectLockConfigurationInput, PutObjectLockConfigurationOutput,
    PutObjectRetentionInput, PutObjectRetentionOutput, Timestamp,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::caller::Caller;
use super::conditions::stamp_millis;
use super::place::Place;
use super::reply::{self, CoreRef};
use super::versions;
use crate::store::object::{Bucket, ObjectLock, Retention, RetentionMode};
use crate::store::registry::{Row, flag, number, text};
use crate::store::state::State;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// As AWS counts them.
const YEAR: u64 = 365 * DAY;

/// A period as views write it: a number and one of m (minutes), h (hours), d (days), y (years). In milliseconds.
fn period(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        'm' => MINUTE,
        'h' => HOUR,
        'd' => DAY,
        'y' => YEAR,
        _ => return None,
    };
    text[..text.len() - 1].parse::<u64>().ok()?.checked_mul(unit).filter(|p| *p > 0)
}

/// The period of a view's indestructible object mode; none without it.
pub(crate) fn indestructible_for(view: &Row) -> Option<u64> {
    let days = number(view, "indestructible_object_duration")?;
    flag(view, "is_indestructible_object_enabled").then(|| days.saturating_mul(DAY))
}

/// Refuses what cannot go together with that mode.
pub(crate) fn refuse_if_indestructible(state: &State, bucket: &Bucket) -> S3Result<()> {
    if state.view_of(bucket).and_then(indestructible_for).is_some() {
        return Err(s3_error!(
            InvalidBucketState,
            "A bucket in indestructible object mode has neither versions nor locks."
        ));
    }
    Ok(())
}

fn mode_of(text: &str) -> Option<RetentionMode> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    match () {
        () if is("GOVERNANCE") => Some(RetentionMode::Governance),
        () if is("COMPLIANCE") => Some(RetentionMode::Compliance),
        () => None,
    }
}

pub(crate) fn mode_name(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => "GOVERNANCE",
        RetentionMode::Compliance => "COMPLIANCE",
    }
}

/// What a view says about locks. Periods are milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LockRules {
    pub(crate) enabled: bool,
    default: Option<(RetentionMode, u64)>,
    min: Option<u64>,
    max: Option<u64>,
    /// How long the indestructible object mode keeps what is written.
    indestructible: Option<u64>,
}

/// What a writer asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct AskedLock {
    pub(crate) mode: Option<String>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) legal_hold: Option<String>,
}

/// The lock headers among an input's fields.
macro_rules! asked_lock {
    ($input:expr) => {
        $crate::s3::lock::AskedLock {
            mode: $input.object_lock_mode.take().map(|m| m.as_str().to_owned()),
            until: $input.object_lock_retain_until_date.take(),
            legal_hold: $input.object_lock_legal_hold_status.take().map(|s| s.as_str().to_owned()),
        }
    };
}
pub(crate) use asked_lock;

fn no_configuration() -> S3Error {
    s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration")
}

fn protected() -> S3Error {
    s3_error!(AccessDenied, "Access Denied because object protected by object lock.")
}

impl LockRules {
    pub(crate) fn of(state: &State, bucket: &Bucket) -> Self {
        let Some(view) = state.view_of(bucket) else { return Self::default() };
        let mode = mode_of(text(view, "s3_locks_retention_mode"));
        let default = mode.zip(period(text(view, "default_retention_period")));
        Self {
            enabled: flag(view, "locking"),
            default,
            min: period(text(view, "min_retention_period")),
            max: period(text(view, "max_retention_period")),
            indestructible: indestructible_for(view),
        }
    }

    /// Checks a retention that somebody asks for.
    fn retention(
        &self,
        mode: Option<&str>,
        until: Option<&Timestamp>,
        now: u64,
    ) -> S3Result<Option<Retention>> {
        let (mode, until) = match (mode, until) {
            (None, None) => return Ok(None),
            (Some(mode), Some(until)) => (mode, stamp_millis(until)),
            _ => {
                return Err(s3_error!(
                    InvalidArgument,
                    "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
                ));
            }
        };
        let mode = mode_of(mode).ok_or_else(|| s3_error!(InvalidArgument, "Unknown wormMode directive."))?;
        if !self.enabled {
            return Err(no_configuration());
        }
        if until <= now {
            return Err(s3_error!(InvalidArgument, "The retain until date must be in the future!"));
        }
        if self.min.is_some_and(|min| until - now < min) {
            return Err(s3_error!(InvalidArgument, "The retention is shorter than the bucket's minimum."));
        }
        if self.max.is_some_and(|max| until - now > max) {
            return Err(s3_error!(InvalidArgument, "The retention is longer than the bucket's maximum."));
        }
        Ok(Some(Retention { mode, until }))
    }

    /// The lock that a writer asks for; without the bucket's default.
    pub(crate) fn explicit(&self, asked: &AskedLock, now: u64) -> S3Result<ObjectLock> {
        let retention = self.retention(asked.mode.as_deref(), asked.until.as_ref(), now)?;
        let legal_hold = asked.legal_hold.as_deref().map(hold_of).transpose()?;
        if legal_hold.is_some() && !self.enabled {
            return Err(no_configuration());
        }
        Ok(ObjectLock { retention, legal_hold, ..ObjectLock::default() })
    }

    /// The lock of a version that is written now: what was asked for, or the bucket's default.
    pub(crate) fn applied(&self, explicit: ObjectLock, now: u64) -> ObjectLock {
        let default = self.default.filter(|_| self.enabled);
        let retention = explicit
            .retention
            .or_else(|| default.map(|(mode, period)| Retention { mode, until: now.saturating_add(period) }));
        let indestructible_until = self.indestructible.map(|period| now.saturating_add(period));
        ObjectLock { retention, indestructible_until, ..explicit }
    }
}

fn hold_of(status: &str) -> S3Result<bool> {
    match status {
        ObjectLockLegalHoldStatus::ON => Ok(true),
        ObjectLockLegalHoldStatus::OFF => Ok(false),
        _ => Err(s3_error!(InvalidArgument, "Legal Hold must be either of 'ON' or 'OFF'")),
    }
}

impl ObjectLock {
    /// The retention, while it lasts.
    pub(crate) fn active(&self, now: u64) -> Option<Retention> {
        self.retention.filter(|r| r.until > now)
    }

    /// Whether nothing keeps the version from being deleted for good.
    pub(crate) fn may_go(&self, now: u64, bypass: bool) -> bool {
        if self.indestructible_until.is_some_and(|until| until > now) {
            return false;
        }
        let retained = match self.active(now).map(|r| r.mode) {
            None => false,
            Some(RetentionMode::Governance) => !bypass,
            Some(RetentionMode::Compliance) => true,
        };
        !retained && self.legal_hold != Some(true)
    }

    /// Refuses to delete a locked version.
    pub(crate) fn check_delete(&self, now: u64, bypass: bool) -> S3Result<()> {
        if self.may_go(now, bypass) { Ok(()) } else { Err(protected()) }
    }

    /// Whether a retention may take the place of the present one.
    fn check_change(&self, new: Option<Retention>, now: u64, bypass: bool) -> S3Result<()> {
        let Some(present) = self.active(now) else { return Ok(()) };
        let extends = new.is_some_and(|n| n.mode == present.mode && n.until >= present.until);
        match present.mode {
            _ if extends => Ok(()),
            RetentionMode::Governance if bypass => Ok(()),
            _ => Err(protected()),
        }
    }
}

/// Whether a request may lift governance retention: it must say so, and its caller must be allowed to.
pub(crate) fn bypass(asked: Option<bool>, caller: &Caller) -> bool {
    asked == Some(true) && caller.bypasses_governance
}

pub(crate) async fn put_retention(
    core: CoreRef<'_>,
    req: S3Request<PutObjectRetentionInput>,
) -> S3Result<S3Response<PutObjectRetentionOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let wanted = versions::named(input.version_id.as_deref())?;
    let asked = input.retention.unwrap_or_default();
    let mode = asked.mode.as_ref().map(ObjectLockRetentionMode::as_str);
    core.store.write(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        let rules = LockRules::of(state, bucket);
        if !rules.enabled {
            return Err(no_configuration());
        }
        let place = Place::for_write(state, bucket, &input.key)?;
        let found = versions::find_in(state, bucket, &input.key, wanted)?;
        let now = core.now_ms();
        let new = rules.retention(mode, asked.retain_until_date.as_ref(), now)?;
        let bypass = bypass(input.bypass_governance_retention, &caller);
        found.object.attributes.lock.check_change(new, now, bypass)?;
        state.change_object(place.tenant, &place.path, found.id, |a| a.lock.retention = new);
        Ok(())
    })?;
    Ok(S3Response::new(PutObjectRetentionOutput::default()))
}

fn without_lock() -> S3Error {
    s3_error!(NoSuchObjectLockConfiguration, "The specified object does not have a ObjectLock configuration")
}

/// The lock of a version, in a bucket that has locks at all.
fn read_lock(
    core: CoreRef<'_>,
    caller: &Caller,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> S3Result<ObjectLock> {
    let wanted = versions::named(version)?;
    core.store.read(|state| {
        let bucket = caller.open(state, bucket)?;
        if !LockRules::of(state, bucket).enabled {
            return Err(no_configuration());
        }
        versions::find_in(state, bucket, key, wanted).map(|found| found.object.attributes.lock)
    })
}

pub(crate) async fn get_retention(
    core: CoreRef<'_>,
    req: S3Request<GetObjectRetentionInput>,
) -> S3Result<S3Response<GetObjectRetentionOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let lock = read_lock(core, &caller, &input.bucket, &input.key, input.version_id.as_deref())?;
    let retention = lock.retention.ok_or_else(without_lock)?;
    let retention = ObjectLockRetention {
        mode: Some(ObjectLockRetentionMode::from_static(mode_name(retention.mode))),
        retain_until_date: reply::stamp(retention.until),
    };
    Ok(S3Response::new(GetObjectRetentionOutput { retention: Some(retention) }))
}

pub(crate) async fn put_legal_hold(
    core: CoreRef<'_>,
    req: S3Request<PutObjectLegalHoldInput>,
) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let wanted = versions::named(input.version_id.as_deref())?;
    let status = input.legal_hold.and_then(|h| h.status);
    let on = hold_of(status.as_ref().map_or("", ObjectLockLegalHoldStatus::as_str)).map_err(|_| {
        s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        )
    })?;
    core.store.write(|state| {
        let bucket = caller.open(state, &input.bucket)?;
        if !LockRules::of(state, bucket).enabled {
            return Err(no_configuration());
        }
        let place = Place::for_write(state, bucket, &input.key)?;
        let found = versions::find_in(state, bucket, &input.key, wanted)?;
        state.change_object(place.tenant, &place.path, found.id, |a| a.lock.legal_hold = Some(on));
        Ok(())
    })?;
    Ok(S3Response::new(PutObjectLegalHoldOutput::default()))
}

/// A legal hold as answers name it.
pub(crate) fn hold_name(on: bool) -> &'static str {
    if on { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF }
}

pub(crate) async fn get_legal_hold(
    core: CoreRef<'_>,
    req: S3Request<GetObjectLegalHoldInput>,
) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
    let caller = Caller::of(&req)?;
    let input = req.input;
    let lock = read_lock(core, &caller, &input.bucket, &input.key, input.version_id.as_deref())?;
    let on = lock.legal_hold.ok_or_else(without_lock)?;
    let status = Some(ObjectLockLegalHoldStatus::from_static(hold_name(on)));
    Ok(S3Response::new(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status }) }))
}

/// The fields of the view that a lock configuration sets.
fn view_fields(asked: ObjectLockConfiguration) -> S3Result<Row> {
    let malformed = || {
        s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        )
    };
    if asked.object_lock_enabled.as_ref().is_none_or(|e| e.as_str() != ObjectLockEnabled::ENABLED) {
        return Err(malformed());
    }
    let (mode, default) = match asked.rule.and_then(|r| r.default_retention) {
        None => ("NONE", serde_json::Value::Null),
        Some(default) => {
            let mode = default.mode.as_ref().and_then(|m| mode_of(m.as_str())).ok_or_else(malformed)?;
            let (count, unit) = match (default.days, default.years) {
                (Some(days), None) => (days, 'd'),
                (None, Some(years)) => (years, 'y'),
                _ => return Err(malformed()),
            };
            if count <= 0 {
                return Err(s3_error!(
                    InvalidArgument,
                    "Default retention period must be a positive integer value."
                ));
            }
            (mode_name(mode), format!("{count}{unit}").into())
        }
    };
    let fields = [
        ("locking", true.into()),
        ("s3_locks_retention_mode", mode.into()),
        ("default_retention_period", default),
    ];
    Ok(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(crate) async fn put_configuration(
    core: CoreRef<'_>,
    req: S3Request<PutObjectLockConfigurationInput>,
) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
    let caller = Caller::of(&req)?;
    let fields = view_fields(req.input.object_lock_configuration.unwrap_or_default())?;
    core.store.write(|state| {
        let bucket = caller.open(state, &req.input.bucket)?;
        if !state.is_versioned(bucket) {
            return Err(s3_error!(
                InvalidBucketState,
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            ));
        }
        let view = bucket.view_id;
        state.vms.update("views", view, fields);
        Ok(())
    })?;
    Ok(S3Response::new(PutObjectLockConfigurationOutput::default()))
}

pub(crate) async fn get_configuration(
    core: CoreRef<'_>,
    req: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
    let caller = Caller::of(&req)?;
    let (rules, in_years) = core.store.read(|state| {
        let bucket = caller.open(state, &req.input.bucket)?;
        let view = state.view_of(bucket);
        let in_years = view.is_some_and(|v| text(v, "default_retention_period").ends_with('y'));
        Ok::<_, S3Error>((LockRules::of(state, bucket), in_years))
    })?;
    if !rules.enabled {
        return Err(s3_error!(
            ObjectLockConfigurationNotFoundError,
            "Object Lock configuration does not exist for this bucket"
        ));
    }
    let rule = rules.default.map(|(mode, period)| {
        // A day is the least that this answer can say.
        let count = |unit: u64| i32::try_from(period.div_ceil(unit)).ok();
        let (days, years) = if in_years { (None, count(YEAR)) } else { (count(DAY), None) };
        let mode = Some(ObjectLockRetentionMode::from_static(mode_name(mode)));
        let default = DefaultRetention { days, mode, years };
        ObjectLockRule { default_retention: Some(default) }
    });
    let object_lock_enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
    let configuration = ObjectLockConfiguration { object_lock_enabled, rule };
    Ok(S3Response::new(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_units() {
        assert_eq!(period("3m"), Some(180_000));
        assert_eq!(period("2h"), Some(7_200_000));
        assert_eq!((period("1d"), period("1y")), (Some(DAY), Some(365 * DAY)));
        for bad in ["", "d", "0d", "1w", "-1d", "1", "99999999999999999999y", "1.5d"] {
            assert_eq!(period(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_keeps_a_version() {
        let lock = |mode, until, hold| ObjectLock {
            retention: Some(Retention { mode, until }),
            legal_hold: Some(hold),
            indestructible_until: None,
        };
        let (governance, compliance) = (RetentionMode::Governance, RetentionMode::Compliance);
        let go = |l: ObjectLock, now, bypass| l.may_go(now, bypass);
        assert!(!go(lock(governance, 10, false), 9, false) && go(lock(governance, 10, false), 9, true));
        assert!(!go(lock(compliance, 10, false), 9, true) && go(lock(compliance, 10, false), 10, false));
        assert!(!go(lock(governance, 10, true), 11, true), "a hold has no end");
        let change = |l: ObjectLock, mode, until, bypass| {
            l.check_change(Some(Retention { mode, until }), 5, bypass).is_ok()
        };
        assert!(change(lock(compliance, 10, false), compliance, 11, false));
        assert!(!change(lock(compliance, 10, false), compliance, 9, true));
        assert!(!change(lock(compliance, 10, false), governance, 20, true));
        assert!(!change(lock(governance, 10, false), governance, 9, false));
        assert!(change(lock(governance, 10, false), governance, 9, true));
        assert!(change(lock(governance, 10, false), compliance, 20, true));
        assert!(lock(compliance, 10, false).check_change(None, 5, true).is_err());
        assert!(lock(compliance, 10, false).check_change(None, 10, false).is_ok());
    }
}
