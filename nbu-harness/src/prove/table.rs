//! The matrix of defects and checks, for people.

use super::Proof;
use comfy_table::{ContentArrangement, Table, presets};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One row per proof; below it what is not proven, and why.
pub fn table(plugin: &str, proofs: &[Proof], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.force_no_tty().set_width(width.unwrap_or(120));
    table.set_header(["check", "defect", "fails", "for its reason", "others pass", "proven"]);
    let word = |good: bool| if good { "yes" } else { "NO" };
    for proof in proofs {
        let defect = if proof.defect.is_empty() { "none" } else { proof.defect };
        table.add_row([
            proof.check,
            defect,
            word(proof.found),
            word(proof.reason),
            word(proof.others.is_empty()),
            word(proof.holds()),
        ]);
    }
    let mut text = table.to_string();
    for proof in proofs.iter().filter(|proof| !proof.holds()) {
        let _ = write!(text, "\n{} ({}): {}", proof.check, proof.defect, indented(&proof.detail));
        for other in &proof.others {
            let _ = write!(text, "\n  not about this defect: {}", indented(other));
        }
    }
    // A check that is proven in two ways has to be in both.
    let mut checks = BTreeMap::new();
    for proof in proofs {
        *checks.entry(proof.check).or_insert(true) &= proof.holds();
    }
    let proven = checks.values().filter(|proven| **proven).count();
    let _ = write!(text, "\n{plugin}: {proven} of {} checks are proven", checks.len());
    text
}

fn indented(detail: &str) -> String {
    detail.replace('\n', "\n  ")
}
