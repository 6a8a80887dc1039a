//! Carrying an S3 operation out: a VIP, a connection, a signature, an exchange, and another VIP if that failed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use crate::config::{ClientConfig, Limits, RetryPolicy, Scheme, Timeouts};
use crate::counters::Counters;
use crate::environment::{Environment, Severity};
use crate::error::{Delivery, Detail, Error, Result};
use crate::net::body::length;
use crate::net::budget::Budget;
use crate::net::dial::Dialer;
use crate::net::link::Answer;
use crate::net::tls::TlsSettings;
use crate::net::{Fault, NetError, net_error};
use crate::retry::{Setback, Step, backoff, decide};
use crate::s3::actions::{Action, Again, Flaw};
use crate::s3::answer::S3Error;
use crate::s3::sign::{Signer, shifted};
use crate::s3::vips::VipSource;
use crate::vip_pool::{Health, Lease, VipAddress, VipPool};
use crate::vms::Vms;

/// The data path of one cluster, shared by all buckets.
#[derive(Debug)]
pub(crate) struct S3 {
    pub(crate) vips: Arc<VipPool>,
    pub(crate) source: Arc<VipSource>,
    dialer: Dialer,
    signer: Signer,
    default_port: u16,
    retry: RetryPolicy,
    timeouts: Timeouts,
    pub(crate) limits: Limits,
    no_space_codes: Vec<String>,
    /// What the server's clock was found to differ from ours, in milliseconds.
    skew_ms: AtomicI64,
    environment: Environment,
    counters: Arc<Counters>,
}

/// A failed attempt.
enum Failure {
    Net(NetError),
    Refused(S3Error),
    /// Nothing was sent, and trying again changes nothing.
    Fatal(Error),
}

/// What one call has learnt so far.
struct Call {
    label: String,
    attempts: u32,
    /// VIPs that failed in this call.
    avoid: Vec<SocketAddr>,
    at: Option<SocketAddr>,
    fresh: bool,
    adjusted: bool,
    /// An earlier attempt may have been carried out.
    after_unknown: bool,
    budget: Budget,
}

impl S3 {
    pub(crate) fn new(
        config: &ClientConfig,
        vms: Arc<Vms>,
        environment: &Environment,
        counters: &Arc<Counters>,
    ) -> Result<Self> {
        let s3 = &config.s3;
        let tls = match s3.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(TlsSettings::new(&s3.tls, "S3", environment)?),
        };
        Ok(Self {
            vips: Arc::new(VipPool::new(&config.retry, &config.limits)),
            source: Arc::new(VipSource::new(s3, vms, environment.clone())),
            dialer: Dialer::new(environment.clone(), tls, config.timeouts.connect, Arc::clone(counters)),
            signer: Signer::new(s3.keys.clone(), s3.region.clone(), s3.scheme == Scheme::Https),
            default_port: if s3.scheme == Scheme::Https { 443 } else { 80 },
            retry: config.retry,
            timeouts: config.timeouts,
            limits: config.limits,
            no_space_codes: s3.no_space_codes.clone(),
            skew_ms: AtomicI64::new(0),
            environment: environment.clone(),
            counters: Arc::clone(counters),
        })
    }

    /// Carries an operation out on a bucket.
    pub(crate) async fn run<A: Action>(&self, bucket: &str, action: &A) -> Result<A::Output> {
        let mut call = Call {
            label: action.label(bucket),
            attempts: 0,
            avoid: Vec::new(),
            at: None,
            fresh: false,
            adjusted: false,
            after_unknown: false,
            budget: Budget::new(self.timeouts.total),
        };
        loop {
            self.source.ensure(&self.vips).await?;
            let lease = self.lease(&call).await?;
            call.at = Some(lease.at().address);
            let outcome = self.attempt(bucket, action, &lease, &mut call).await;
            let failure = match outcome {
                Ok(output) => {
                    lease.report(crate::retry::Verdict::Healthy, true);
                    if call.after_unknown && action.again() == Again::Leftover {
                        self.environment.log(
                            Severity::Warning,
                            format_args!("{} was repeated; the first one may be left behind", call.label),
                        );
                    }
                    return Ok(output);
                }
                Err(failure) => failure,
            };
            self.recover(action, failure, lease, &mut call).await?;
        }
    }

    /// A place on a VIP, after a fresh look at the list when it is old or no VIP is healthy.
    async fn lease(&self, call: &Call) -> Result<Lease> {
        let none = || {
            let detail =
                Detail::new(&call.label, "the VIP list is empty").advice("check the VIP pool in VMS");
            Error::Unreachable(Box::new(detail))
        };
        if self.vips.age().is_some_and(|age| age > self.limits.vip_list_age_max) {
            // Aside, so that no request waits for VMS while there are VIPs to go on with.
            self.vips.postpone();
            let (source, vips) = (Arc::clone(&self.source), Arc::clone(&self.vips));
            drop(tokio::spawn(async move { source.refresh(&vips).await }));
        }
        let (lease, health) = self.vips.pick(&call.avoid).ok_or_else(none)?;
        if health == Health::Good || self.vips.age().is_some_and(|age| age < self.retry.eject) {
            return Ok(lease);
        }
        drop(lease);
        self.source.refresh(&self.vips).await;
        self.vips.pick(&call.avoid).map(|(lease, _)| lease).ok_or_else(none)
    }

    async fn attempt<A: Action>(
        &self,
        bucket: &str,
        action: &A,
        lease: &Lease,
        call: &mut Call,
    ) -> std::result::Result<A::Output, Failure> {
        let outgoing = action.build(bucket).map_err(Failure::Fatal)?;
        let sent = length(&outgoing.body);
        let now = shifted(self.environment.clock.now(), self.skew_ms.load(Ordering::Relaxed));
        let request = self.signer.sign(outgoing, &self.authority(lease.at()), now).map_err(|why| {
            Failure::Fatal(Error::Protocol(Box::new(Detail::new(
                &call.label,
                format!("cannot be signed: {why}"),
            ))))
        })?;
        let kept = if call.fresh { None } else { lease.idle() };
        let mut link = match kept {
            Some(link) => link,
            None => self
                .dialer
                .dial(lease.at().address, &lease.at().host, &mut call.budget)
                .await
                .map_err(Failure::Net)?,
        };
        self.counters.request(A::OPERATION);
        self.counters.bytes_up.add(sent);
        let limit = action.body_max().unwrap_or(self.limits.answer_bytes_max);
        let answer = link
            .exchange(request, limit, self.timeouts.stall, &mut call.budget)
            .await
            .map_err(Failure::Net)?;
        self.counters.bytes_down.add(answer.body.len() as u64);
        lease.keep(link);
        if answer.status.is_success() {
            let late = if A::LATE_ERRORS { S3Error::late(&answer) } else { None };
            late.map_or_else(|| parse(action, answer), |error| Err(Failure::Refused(error)))
        } else {
            Err(Failure::Refused(S3Error::parse(&answer)))
        }
    }

    /// Notes a failure and waits as the table says; an error ends the call.
    async fn recover<A: Action>(
        &self,
        action: &A,
        failure: Failure,
        lease: Lease,
        call: &mut Call,
    ) -> Result<()> {
        let setback = match &failure {
            Failure::Fatal(error) => return Err(error.clone()),
            Failure::Net(error) => Setback::Net(error.fault),
            Failure::Refused(error) => Setback::Answer(error.refusal(&self.no_space_codes)),
        };
        let (verdict, mut step) = decide(setback, call.fresh, call.adjusted);
        let answered = matches!(failure, Failure::Refused(_));
        let address = lease.at().address;
        if lease.report(verdict, answered) {
            self.environment.log(
                Severity::Warning,
                format_args!("VIP {address} is left alone for a while: {}: {}", call.label, failure.why()),
            );
        }
        drop(lease);
        if step != Step::Reconnect {
            call.attempts += 1;
        }
        if call.budget.is_spent() || call.attempts >= self.retry.attempts {
            step = Step::GiveUp;
        }
        if step == Step::GiveUp {
            return Err(self.finish(action, failure, call));
        }
        call.after_unknown |= matches!(&failure, Failure::Net(e) if e.delivery == Delivery::Unknown)
            || matches!(&failure, Failure::Refused(e) if e.may_have_happened());
        call.fresh = step == Step::Reconnect;
        self.counters.retries.add(1);
        self.environment.log(
            Severity::Debug,
            format_args!("{} on VIP {address} failed ({}), next: {step:?}", call.label, failure.why()),
        );
        if step == Step::AdjustClock {
            call.adjusted = true;
            if !self.adjust_clock(&failure) {
                return Err(self.finish(action, failure, call));
            }
            return Ok(());
        }
        if step != Step::Reconnect && !call.avoid.contains(&address) {
            call.avoid.push(address);
        }
        // With nowhere else to go, another try at once would only use up the attempts.
        if step == Step::Later || (step == Step::Elsewhere && self.vips.is_desperate()) {
            let wait = backoff(&self.retry, call.attempts + 1, &*self.environment.entropy);
            call.budget.sleep(wait).await;
        }
        Ok(())
    }

    /// Takes over the server's clock; false when it does not tell the time.
    fn adjust_clock(&self, failure: &Failure) -> bool {
        let Failure::Refused(S3Error { server_time: Some(theirs), .. }) = failure else { return false };
        let ours = self.environment.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let to_ms = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        let skew = to_ms(*theirs).saturating_sub(i64::try_from(ours.as_millis()).unwrap_or(i64::MAX));
        self.skew_ms.store(skew, Ordering::Relaxed);
        self.environment.log(
            Severity::Warning,
            format_args!(
                "the cluster's clock differs from this host's by {} s; set both with NTP",
                skew / 1000
            ),
        );
        true
    }

    /// The error that ends a call.
    fn finish<A: Action>(&self, action: &A, failure: Failure, call: &Call) -> Error {
        let mut detail = Detail::new(&call.label, failure.why());
        detail.at = call.at.map(|at| at.to_string());
        detail.attempts = call.attempts;
        detail.after_unknown = call.after_unknown && action.again() != Again::Same;
        match failure {
            Failure::Fatal(error) => error,
            Failure::Refused(error) => error.into_error(A::OPERATION, &self.no_space_codes, detail),
            Failure::Net(error) => {
                detail.delivery = if call.after_unknown { Delivery::Unknown } else { error.delivery };
                net_error(error.fault, call.budget.is_spent(), detail)
            }
        }
    }

    fn authority(&self, at: &VipAddress) -> String {
        let port = at.address.port();
        match (at.host.contains(':'), port == self.default_port) {
            (true, true) => format!("[{}]", at.host),
            (true, false) => format!("[{}]:{port}", at.host),
            (false, true) => at.host.to_string(),
            (false, false) => format!("{}:{port}", at.host),
        }
    }
}

impl Failure {
    fn why(&self) -> String {
        match self {
            Self::Net(error) => error.why.clone(),
            Self::Refused(error) => format!("HTTP {} {}", error.status, error.code).trim_end().to_owned(),
            Self::Fatal(error) => error.to_string(),
        }
    }
}

fn parse<A: Action>(action: &A, answer: Answer) -> std::result::Result<A::Output, Failure> {
    action
        .parse(answer)
        .map_err(|Flaw(why)| Failure::Net(NetError::new(Fault::Garbled, Delivery::Unknown, why)))
}
