//! The seed of randomised tests: the same every day, another one on demand, printed either way.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// Set this to a number to run other cases.
pub(crate) const SEED: &str = "VAST_SIM_TEST_SEED";

/// The settings of a randomised test.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let seed: u64 = std::env::var(SEED).ok().map_or(1, |s| s.parse().unwrap());
    println!("{SEED}={seed}");
    ProptestConfig {
        cases,
        max_shrink_iters: 300,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
