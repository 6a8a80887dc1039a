//! The protocols of the image store, each checked exhaustively for small cases: every order in which the steps of several
//! processes can follow one another, with crashes and lost answers anywhere.
//!
//! `docs/image-protocol.md` has the rules in words. Each rule can be switched off, and then the checker must find a
//! sequence that breaks a promise: a rule that nothing needs would not be one. And the code is run along the models
//! (`replay.rs`), on a store that releases one request for each step (`stage.rs`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test: it fails by panicking, and steps consume what they stand in"
)]

mod environment;
mod exclusion;
mod sharing;
mod stage;
mod swap;

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, Model};

/// A rule by its name, and how a case looks without it.
type Rule<M> = (&'static str, fn(&mut M));

/// Every promise holds with all rules, and with each rule taken away some promise is broken.
fn holds_and_needs_every_rule<M>(case: M, rules: &[Rule<M>])
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let sound = case.clone().checker().spawn_bfs().join();
    println!("all rules: {} states", sound.unique_state_count());
    sound.assert_properties();
    for (name, take_away) in rules {
        let mut broken = case.clone();
        take_away(&mut broken);
        let promises: Vec<_> = broken.properties().into_iter().filter(is_promise).map(|p| p.name).collect();
        let checker = broken.checker().spawn_bfs().join();
        let found = promises.iter().find_map(|promise| Some((promise, checker.discovery(promise)?)));
        let Some((promise, path)) = found else { panic!("nothing breaks without the rule: {name}") };
        println!("without the rule that {name}, {promise:?} fails: {:?}", path.into_actions());
    }
}

fn is_promise<M: Model>(property: &stateright::Property<M>) -> bool {
    matches!(property.expectation, stateright::Expectation::Always)
}

#[test]
fn two_writers_never_both_commit_with_conditional_writes() {
    holds_and_needs_every_rule(swap::Case::new(3), swap::RULES);
}

#[test]
fn two_writers_never_both_commit_with_multipart_uploads() {
    for (case, rules) in exclusion::cases() {
        println!("{:?}", case.jobs);
        holds_and_needs_every_rule(case, rules);
    }
}

#[test]
fn shared_segments_live_exactly_as_long_as_somebody_needs_them() {
    for (case, rules) in sharing::cases() {
        println!("{}", case.name);
        holds_and_needs_every_rule(case, rules);
    }
}
