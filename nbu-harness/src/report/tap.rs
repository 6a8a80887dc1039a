//! TAP version 14: one subtest per plug-in, one point per check, set-up and clean-up.

use super::phase_name;
use crate::certify::{CheckResult, Outcome, Phase, Suite, Verdict};
use serde_json::json;
use std::fmt::Write as _;

/// The directive of a point that is expected to fail.
const EXPECTED: &str = "TODO"; // tidy: the word is TAP's

/// The report as TAP 14.
pub fn tap(verdict: &Verdict) -> String {
    let mut text = format!("TAP version 14\n1..{}\n# seed {}\n", verdict.suites.len(), verdict.seed);
    for (index, suite) in verdict.suites.iter().enumerate() {
        let _ = writeln!(text, "# Subtest: {}", described(&suite.name));
        let _ = writeln!(text, "    1..{}", suite.checks.len() + suite.phases.len());
        let mut good = true;
        for (number, check) in (1..).zip(&suite.checks) {
            good &= check_point(&mut text, number, check);
        }
        for (number, phase) in (suite.checks.len() + 1..).zip(&suite.phases) {
            good &= phase_point(&mut text, number, phase);
        }
        let _ = writeln!(text, "{} {} - {}", ok(good), index + 1, described(&suite.name));
        about(&mut text, suite);
    }
    text
}

const fn ok(good: bool) -> &'static str {
    if good { "ok" } else { "not ok" }
}

/// Writes the point of a check; returns whether a reader of TAP takes it for a good one.
fn check_point(text: &mut String, number: usize, check: &CheckResult) -> bool {
    let reason = described(check.detail.lines().next().unwrap_or_default());
    let (good, directive) = match check.outcome {
        Outcome::Pass => (true, String::new()),
        Outcome::Skip => (true, format!(" # SKIP {reason}")),
        Outcome::NotRun => (true, format!(" # SKIP not run: {reason}")),
        // Not ok, and not counted against the run: that is what the directive is for.
        Outcome::ExpectedFail => (false, format!(" # {EXPECTED} the baseline expects it: {reason}")),
        Outcome::Fail | Outcome::Error | Outcome::Unknown => (false, String::new()),
    };
    let _ = writeln!(text, "    {} {number} - {} {}{directive}", ok(good), check.id, described(check.title));
    let mut lines = vec![
        ("outcome", json!(check.outcome.key())),
        ("group", json!(check.group)),
        ("required_by", json!(check.capability.unwrap_or("every plug-in"))),
        ("duration_ms", json!(check.elapsed_ms)),
    ];
    if let Some(scenario) = check.scenario {
        lines.push(("scenario", json!(scenario)));
    }
    if check.outcome.is_bad() {
        lines.push(("message", json!(check.detail)));
    }
    diagnostics(text, "      ", &lines);
    good || check.outcome == Outcome::ExpectedFail
}

fn phase_point(text: &mut String, number: usize, phase: &Phase) -> bool {
    let _ = writeln!(text, "    {} {number} - {}", ok(phase.ok), described(&phase_name(phase)));
    let mut lines = vec![("duration_ms", json!(phase.elapsed_ms))];
    if !phase.ok {
        lines.push(("message", json!(phase.detail)));
    }
    diagnostics(text, "      ", &lines);
    phase.ok
}

fn about(text: &mut String, suite: &Suite) {
    let lines = [
        ("plugin", json!(suite.path)),
        ("sha256", json!(suite.sha256)),
        ("blake3", json!(suite.blake3)),
        ("capabilities", json!(suite.capabilities)),
    ];
    diagnostics(text, "  ", &lines);
}

/// A YAML block. Its values are JSON, which YAML contains: no text can break out of it.
fn diagnostics(text: &mut String, indent: &str, lines: &[(&str, serde_json::Value)]) {
    let _ = writeln!(text, "{indent}---");
    for (key, value) in lines {
        let _ = writeln!(text, "{indent}{key}: {value}");
    }
    let _ = writeln!(text, "{indent}...");
}

/// A description: on one line, with what would begin a directive escaped.
fn described(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::verdict;
    use super::*;

    #[test]
    fn every_outcome_has_its_point() {
        insta::assert_snapshot!("tap", tap(&verdict()));
    }

    #[test]
    fn the_plan_counts_the_points_and_no_text_can_forge_one() {
        let mut verdict = verdict();
        verdict.suites[0].checks[1].detail = "bad\n    ok 99 - forged\n      ...\nok 1".into();
        verdict.suites[0].checks[2].detail = format!("no # {EXPECTED} here\nok 98 - forged");
        let text = tap(&verdict);
        let points = text.lines().filter(|line| {
            let point = line.strip_prefix("    ").unwrap_or("-");
            point.starts_with("ok ") || point.starts_with("not ok ")
        });
        let suite = &verdict.suites[0];
        assert_eq!(points.count(), suite.checks.len() + suite.phases.len(), "{text}");
        assert!(text.contains(&format!("# SKIP no \\# {EXPECTED} here\n")), "{text}");
        assert!(text.contains("\nnot ok 1 - libstspiVastData.so\n"), "{text}");
    }

    #[test]
    fn what_the_baseline_expects_is_not_counted_against_the_suite() {
        let mut verdict = verdict();
        verdict.suites[0]
            .checks
            .retain(|check| matches!(check.outcome, Outcome::Pass | Outcome::ExpectedFail));
        assert!(tap(&verdict).contains("\nok 1 - libstspiVastData.so\n"));
        verdict.suites[0].phases[1].ok = false;
        assert!(tap(&verdict).contains("\nnot ok 1 - libstspiVastData.so\n"), "a clean-up that fails counts");
    }
}
