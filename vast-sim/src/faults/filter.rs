//! Which requests a fault is about.

use super::plane::Request;
use super::{Effect, Fault};

/// What the names of tasks begin with, as operations.
pub(super) const TASK: &str = "TASK ";

impl Fault {
    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        let is = |wanted: &Option<String>, given: &str| wanted.as_ref().is_none_or(|w| w == given);
        self.plane == request.plane
            && !self.effect.is_standing()
            && self.effect.concerns(request.operation)
            && (self.operations.is_empty() || self.operations.iter().any(|o| o == request.operation))
            && is(&self.bucket, request.bucket)
            && is(&self.vip, request.vip)
            && is(&self.cnode, request.cnode)
            && self.key_prefix.as_ref().is_none_or(|p| request.key.starts_with(p.as_str()))
            && self.key_glob.as_ref().is_none_or(|p| glob(p, request.key))
    }

    /// Whether chance picks the matching request of this number.
    pub(super) fn is_picked(&self, number: u64) -> bool {
        self.probability.is_none_or(|share| chance(self.seed, number) < share)
    }

    /// Says what is wrong with it, if anything.
    ///
    /// # Errors
    /// A text that names the field, the value and what would be right.
    pub fn check(&self) -> Result<(), String> {
        self.effect.check(self.plane)?;
        super::names::check(self)?;
        if self.count == Some(0) {
            return Err("count 0 would never hit; leave it out for every request".to_owned());
        }
        if self.probability.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return Err("probability must be above 0 and at most 1".to_owned());
        }
        if self.for_ms == Some(0) {
            return Err("for_ms 0 would end before it begins; leave it out to last until removed".to_owned());
        }
        if let Some(vip) = self.vip.as_ref().filter(|v| v.parse::<std::net::IpAddr>().is_err()) {
            return Err(format!("vip {vip:?} is not an address (without a port)"));
        }
        if self.effect.is_standing() { self.check_standing() } else { Ok(()) }
    }

    fn check_standing(&self) -> Result<(), String> {
        let name = self.effect.name();
        let per_request = [
            ("operations", !self.operations.is_empty()),
            ("bucket", self.bucket.is_some()),
            ("key_prefix", self.key_prefix.is_some()),
            ("key_glob", self.key_glob.is_some()),
            ("skip", self.skip != 0),
            ("count", self.count.is_some()),
            ("probability", self.probability.is_some()),
        ];
        if let Some((field, _)) = per_request.iter().find(|(_, given)| *given) {
            return Err(format!(
                "{field} has no meaning for effect {name}: it lasts until it is removed or for_ms is over"
            ));
        }
        match &self.effect {
            Effect::CnodeDown | Effect::CnodeDrained if self.cnode.is_none() || self.vip.is_some() => {
                Err(format!("effect {name} needs cnode, the name of a CNode, and no vip"))
            }
            Effect::VipMoved { .. } if self.vip.is_none() || self.cnode.is_some() => {
                Err("effect vip_moved needs vip, the address that moves, and no cnode".to_owned())
            }
            Effect::VmsOutage { .. } if self.for_ms.is_none() => {
                Err("an outage that closes the management port needs for_ms: the way to remove it is closed as well"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Effect {
    /// Whether it can do anything to this operation.
    pub(super) fn concerns(&self, operation: &str) -> bool {
        match self {
            // Logging in needs no token; only a revoked one cannot be renewed.
            Self::TokenExpired => !operation.starts_with("POST token"),
            Self::TokenRevoked => operation != "POST token",
            Self::QuotaFull { .. } => {
                ["PutObject", "CopyObject", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"]
                    .contains(&operation)
            }
            // Tasks can only fail.
            Self::TaskFailed { .. } => operation.starts_with(TASK),
            Self::Error { .. } => true,
            _ => !operation.starts_with(TASK),
        }
    }
}

/// A number from 0 up to 1 that follows from the seed and the place.
pub(super) fn chance(seed: u64, number: u64) -> f64 {
    let mut z =
        seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x2545_F491_4F6C_DD1D);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    // 32 bits are exact in a double.
    f64::from(u32::try_from(z >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
}

/// Whether `text` as a whole matches `pattern`: `*` any characters, `?` one.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and what it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, matches) in [
            ("image/*/manifest", "image/a/b/manifest", true),
            ("image/*/manifest", "image/a/manifest.old", false),
            ("*", "", true),
            ("?", "", false),
            ("a?c*", "abc", true),
            ("*ab", "aab", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn chance_is_even_and_repeatable() {
        let hits = |seed| (0..10_000).filter(|n| chance(seed, *n) < 0.25).count();
        assert!((2_300..2_700).contains(&hits(1)), "{}", hits(1));
        assert_eq!(hits(7), hits(7));
        let picks = |seed| (0..64).map(|n| chance(seed, n) < 0.5).collect::<Vec<_>>();
        assert_ne!(picks(1), picks(2));
    }
}
