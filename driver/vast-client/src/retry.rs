//! The retry table: what a failed attempt means for the VIP it was sent to and for the next attempt.

use std::time::Duration;

use crate::config::RetryPolicy;
use crate::environment::Entropy;
use crate::net::Fault;

/// How a server's refusal is read; each kind of answer is sorted into one of these where it is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The server is busy or broken for now: 5xx, SlowDown, a body damaged on its way.
    Transient,
    /// The request's time stamp is too far from the server's clock.
    ClockSkew,
    /// Asking again gives the same answer.
    Final,
}

/// A failed attempt, as far as the next step depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setback {
    /// No usable answer.
    Net(Fault),
    /// An answer that refuses.
    Answer(Refusal),
}

/// What a failed attempt says about its VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing bad.
    Healthy,
    /// Bad if it happens twice in a row.
    Suspect,
    /// Leave it alone for a while.
    Dead,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// At once, on a new connection, perhaps to the same VIP; does not count as an attempt.
    Reconnect,
    /// At once, on another VIP.
    Elsewhere,
    /// After a wait, on another VIP.
    Later,
    /// At once, signed by the server's clock.
    AdjustClock,
    /// Not at all.
    GiveUp,
}

/// The table itself. `fresh` says that this call already insisted on a new connection, `adjusted` that it already
/// took over the server's clock.
pub(crate) fn decide(setback: Setback, fresh: bool, adjusted: bool) -> (Verdict, Step) {
    match setback {
        Setback::Net(Fault::Stale) if !fresh => (Verdict::Healthy, Step::Reconnect),
        Setback::Net(Fault::Connect | Fault::Stall) => (Verdict::Dead, Step::Elsewhere),
        Setback::Net(Fault::Stale | Fault::Reset | Fault::Truncated | Fault::Garbled) => {
            (Verdict::Suspect, Step::Later)
        }
        Setback::Answer(Refusal::Transient) => (Verdict::Healthy, Step::Later),
        Setback::Answer(Refusal::ClockSkew) if !adjusted => (Verdict::Healthy, Step::AdjustClock),
        Setback::Net(Fault::Tls | Fault::TooLarge | Fault::Deadline)
        | Setback::Answer(Refusal::ClockSkew | Refusal::Final) => (Verdict::Healthy, Step::GiveUp),
    }
}

/// The wait before attempt `next` (the second one is 2): doubling, between a half and the whole of its bound.
pub(crate) fn backoff(policy: &RetryPolicy, next: u32, entropy: &dyn Entropy) -> Duration {
    let doublings = next.saturating_sub(2).min(20);
    let bound = policy.backoff.saturating_mul(1 << doublings).min(policy.backoff_max);
    let mut random = [0_u8; 4];
    entropy.fill(&mut random);
    let fraction = f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX);
    bound.mul_f64(0.5 + fraction / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        use Fault::{Connect, Deadline, Garbled, Reset, Stale, Stall, Tls, TooLarge, Truncated};
        use Verdict::{Dead, Healthy, Suspect};
        let table = [
            (Setback::Net(Connect), false, false, Dead, Step::Elsewhere),
            (Setback::Net(Stall), false, false, Dead, Step::Elsewhere),
            (Setback::Net(Stale), false, false, Healthy, Step::Reconnect),
            (Setback::Net(Stale), true, false, Suspect, Step::Later),
            (Setback::Net(Reset), false, false, Suspect, Step::Later),
            (Setback::Net(Truncated), false, false, Suspect, Step::Later),
            (Setback::Net(Garbled), false, false, Suspect, Step::Later),
            (Setback::Net(Tls), false, false, Healthy, Step::GiveUp),
            (Setback::Net(TooLarge), false, false, Healthy, Step::GiveUp),
            (Setback::Net(Deadline), false, false, Healthy, Step::GiveUp),
            (Setback::Answer(Refusal::Transient), false, false, Healthy, Step::Later),
            (Setback::Answer(Refusal::ClockSkew), false, false, Healthy, Step::AdjustClock),
            (Setback::Answer(Refusal::ClockSkew), false, true, Healthy, Step::GiveUp),
            (Setback::Answer(Refusal::Final), false, false, Healthy, Step::GiveUp),
        ];
        for (setback, fresh, adjusted, verdict, step) in table {
            assert_eq!(decide(setback, fresh, adjusted), (verdict, step), "{setback:?} {fresh} {adjusted}");
        }
    }

    struct Fixed(u8);

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn the_wait_doubles_up_to_its_bound() {
        let policy = RetryPolicy::default();
        let waits = |byte| -> Vec<u128> {
            (2..=9).map(|next| backoff(&policy, next, &Fixed(byte)).as_millis()).collect()
        };
        assert_eq!(waits(0xff), [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(waits(0), [50, 100, 200, 400, 800, 1600, 2500, 2500]);
        assert!(backoff(&policy, u32::MAX, &Fixed(0xff)) <= policy.backoff_max);
    }
}
