//! Secrets of VMS: how passwords and tokens are kept, and compared without telling how much of one was right.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::env::{self, Entropy};

/// A token as it is kept: it can be recognised, not given out again.
pub(crate) type Fingerprint = [u8; 32];

/// The fingerprint of a token.
pub(crate) fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

/// A password as it is kept. One round of hashing only: Basic authentication checks it with every request, and what is
/// behind it is a simulated cluster.
pub(crate) fn seal(entropy: &dyn Entropy, password: &str) -> String {
    let salt = env::random_hex(entropy, 16);
    let sum = salted(&salt, password);
    format!("{salt}${sum}")
}

/// Whether `password` is the sealed one.
pub(crate) fn opens(sealed: &str, password: &str) -> bool {
    let Some((salt, sum)) = sealed.split_once('$') else { return false };
    same(sum, &salted(salt, password))
}

/// Compares in time that depends on the lengths only.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn salted(salt: &str, password: &str) -> String {
    env::hex(&Sha256::new().chain_update(salt).chain_update([0]).chain_update(password).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_for_its_password_only() {
        let entropy = env::HashEntropy::from_seed(1);
        let sealed = seal(&entropy, "open sesame");
        assert!(opens(&sealed, "open sesame"));
        assert!(!opens(&sealed, "open sesam") && !opens(&sealed, "") && !opens("", "") && !opens("x", ""));
        assert_ne!(sealed, seal(&entropy, "open sesame"), "salted");
        assert!(!sealed.contains("sesame"));
    }
}
