//! A scenario that needs what the plug-in does not claim is skipped, and the verdict says so.

use super::args::RunArgs;
use super::commands::print;
use crate::certify;
use crate::engine::SetupError;
use crate::scenario::{self, Scenario};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What is printed of a scenario that was not run.
#[derive(Debug, Serialize)]
struct Skipped<'s> {
    scenario: &'s str,
    verdict: &'static str,
    not_claimed: Vec<&'s str>,
}

/// What the plug-in claims; nothing is known when its server did not answer.
#[derive(Debug)]
pub(super) struct Claims(Option<Vec<String>>);

/// Whether the scenario is skipped; prints why. The plug-in is asked once, and only if a scenario needs something.
pub(super) fn skipped(
    args: &RunArgs,
    exe: &Path,
    plugin: &Path,
    scenario: &Scenario,
    claims: &mut Option<Claims>,
) -> Result<bool, SetupError> {
    if scenario.needs.is_empty() {
        return Ok(false);
    }
    if claims.is_none() {
        let base = args.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        *claims = Some(Claims(certify::claims_of(exe, plugin, &BTreeMap::new(), &base)?));
    }
    // A plug-in that cannot be asked has no excuse.
    let Some(Claims(Some(known))) = claims else { return Ok(false) };
    let not_claimed = scenario::not_claimed(&scenario.needs, known);
    if not_claimed.is_empty() {
        return Ok(false);
    }
    let skipped = Skipped { scenario: &scenario.id, verdict: "skip (not claimed)", not_claimed };
    if args.json {
        print(
            &serde_json::to_string_pretty(&skipped)
                .map_err(|error| SetupError::Impossible(error.to_string()))?,
        );
    } else {
        print(&format!("{} {}: {}", skipped.scenario, skipped.verdict, skipped.not_claimed.join(", ")));
    }
    Ok(true)
}
