//! `report.html`: one file without network or script that shows everything a certification found.
//!
//! `markup` turns text into HTML, `chart` figures into SVG, `scenario` has the section of one run, `trouble` what went wrong in it; the page is put together
//! here.

mod chart;
mod markup;
mod scenario;
mod trouble;

use super::phase_name;
use crate::certify::{CheckName, CheckResult, Delta, Outcome, Suite, Verdict};
use markup::{badge, class_of, duration, table, text};
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

/// The page.
pub fn html(verdict: &Verdict) -> String {
    let (class, word) = match (verdict.certified(), verdict.passed()) {
        (true, _) => ("good", "CERTIFIED"),
        (false, true) => ("warn", "passed; not a certification"),
        (false, false) => ("bad", "NOT CERTIFIED"),
    };
    let names: Vec<&str> = verdict.suites.iter().map(|suite| suite.name.as_str()).collect();
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{word}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>Certification of {}</h1>\n<p><span class=\"verdict {class}\">{word}</span></p>\n",
        text(&names.join(", ")),
        text(&names.join(", "))
    );
    let _ = writeln!(
        out,
        "<p class=\"quiet\">Begun {}, took {}, seed {}. Behaviour is what is certified, not binary compatibility with \
         NetBackup.</p>",
        text(&verdict.started),
        duration(verdict.elapsed_ms),
        verdict.seed
    );
    let mut places = vec![("plug-ins", "Plug-ins"), ("checks", "Checks"), ("around", "Around the checks")];
    if verdict.delta.is_some() {
        places.insert(1, ("delta", "Changes"));
    }
    places.extend([("scenarios", "Scenarios"), ("surroundings", "Surroundings")]);
    out += "<nav aria-label=\"Sections\"><ul>";
    for (id, name) in places {
        let _ = write!(out, "<li><a href=\"#{id}\">{name}</a></li>");
    }
    out += "</ul></nav>\n</header>\n<main>\n<h2 id=\"plug-ins\">Plug-ins</h2>\n";
    out += &plugins(verdict);
    if let Some(delta) = &verdict.delta {
        out += "<h2 id=\"delta\">Changes since the baseline</h2>\n";
        out += &changes(delta);
    }
    out += "<h2 id=\"checks\">Checks</h2>\n";
    out += &matrix(verdict);
    out += "<h2 id=\"around\">Around the checks</h2>\n";
    out += &phases(verdict);
    out += "<h2 id=\"scenarios\">Scenarios</h2>\n";
    for suite in &verdict.suites {
        let _ = writeln!(out, "<h3>{}</h3>", text(&suite.name));
        if suite.runs.is_empty() {
            out += "<p class=\"quiet\">No scenario was run.</p>\n";
        }
        for run in &suite.runs {
            out += &scenario::section(&suite.name, run);
        }
    }
    out += "<h2 id=\"surroundings\">Surroundings</h2>\n";
    out += &surroundings(verdict);
    let _ = writeln!(
        out,
        "</main>\n<footer><p>Written by nbu-harness {}; results.json beside this page has all of it for programs.</p>\
         </footer>\n</body>\n</html>",
        text(&verdict.harness_version)
    );
    out
}

fn plugins(verdict: &Verdict) -> String {
    let mut headings = vec!["plug-in", "name and version", "type", "claims"];
    let counted: Vec<String> = Outcome::ALL.iter().map(|outcome| format!("#{}", outcome.counted())).collect();
    headings.extend(counted.iter().map(String::as_str));
    headings.push("SHA-256");
    let rows: Vec<Vec<String>> = verdict
        .suites
        .iter()
        .map(|suite| {
            let (name, kind) = match &suite.plugin {
                Some(facts) => (format!("{} {}", facts.name, facts.build_version), facts.prefix.clone()),
                None => ("says nothing of itself".into(), String::new()),
            };
            let mut row = vec![
                format!("<span class=\"id\">{}</span>", text(&suite.name)),
                text(&name),
                text(&kind),
                format!(
                    "<details><summary class=\"id\">{} capabilities</summary>{}</details>",
                    suite.capabilities.len(),
                    text(&suite.capabilities.join(", "))
                ),
            ];
            row.extend(Outcome::ALL.iter().map(|outcome| suite.count(*outcome).to_string()));
            row.push(format!("<code class=\"hash\">{}</code>", text(&suite.sha256)));
            row
        })
        .collect();
    table("What was certified, and how its checks ended", &headings, &rows)
}

fn changes(delta: &Delta) -> String {
    let listed = |names: &[CheckName]| match names {
        [] => "<span class=\"quiet\">none</span>".to_owned(),
        names => names
            .iter()
            .map(|name| text(&format!("{} {}", name.plugin, name.check)))
            .collect::<Vec<_>>()
            .join("<br>"),
    };
    let rows = [
        ("bad", "new failures", &delta.new_failures),
        ("good", "fixed", &delta.fixed),
        ("warn", "still failing", &delta.still_failing),
        ("none", "new checks", &delta.new_checks),
    ]
    .map(|(class, what, names)| vec![badge(class, what), listed(names)]);
    table(&format!("compared with {}", delta.baseline.display()), &["change", "checks"], &rows)
}

/// Checks by plug-ins. An outcome that is no pass opens to what was seen.
fn matrix(verdict: &Verdict) -> String {
    let mut out = String::from(
        "<div class=\"scroll\"><table id=\"matrix\">\n<caption>Each check opens to what was seen</caption>\n<thead><tr><th scope=\"col\">check</th>",
    );
    out += "<th scope=\"col\">what</th><th scope=\"col\">required of</th>";
    for suite in &verdict.suites {
        let _ = write!(out, "<th scope=\"col\">{}</th>", text(suite.name.trim_start_matches("libstspi")));
    }
    out += "</tr></thead>\n";
    let rows = verdict.suites.first().map_or(0, |suite| suite.checks.len());
    let mut group = "";
    out += "<tbody>\n";
    for row in 0..rows {
        let checks: Vec<_> =
            verdict.suites.iter().filter_map(|suite| Some((suite, suite.checks.get(row)?))).collect();
        let Some((_, first)) = checks.first() else { continue };
        if first.group != group {
            group = first.group;
            let span = 3 + verdict.suites.len();
            let _ = writeln!(
                out,
                "<tr class=\"group\"><th colspan=\"{span}\" scope=\"rowgroup\">{}</th></tr>",
                text(group)
            );
        }
        let required =
            first.capability.map_or("every plug-in".to_owned(), |name| format!("who claims {name}"));
        let _ = write!(
            out,
            "<tr><td class=\"id\">{}</td><td class=\"what\">{}</td><td>{}</td>",
            text(first.id),
            text(first.title),
            text(&required)
        );
        for (suite, check) in checks {
            let _ = write!(out, "<td>{}</td>", cell(suite, check));
        }
        out += "</tr>\n";
    }
    out += "</tbody></table></div>\n";
    out
}

fn cell(suite: &Suite, check: &CheckResult) -> String {
    let word = badge(class_of(check.outcome), &check.outcome.to_string());
    // What runs with something else in the plug-in's place has the check's id.
    let id = check.scenario.unwrap_or(check.id);
    let run = suite.runs.iter().find(|run| run.record.scenario.id == id);
    let link = run.map_or(String::new(), |run| {
        let id = scenario::name(&suite.name, run);
        format!("<a href=\"#{id}\">{}</a>", text(&run.record.scenario.id))
    });
    let open = if matches!(check.outcome, Outcome::Fail | Outcome::Error) { " open" } else { "" };
    format!("<details{open}><summary>{word}</summary><pre>{}</pre>{link}</details>", text(&check.detail))
}

fn phases(verdict: &Verdict) -> String {
    let mut rows = Vec::new();
    for suite in &verdict.suites {
        for phase in &suite.phases {
            let (class, word) = if phase.ok { ("good", "ok") } else { ("bad", "FAILED") };
            rows.push(vec![
                text(&suite.name),
                text(&phase_name(phase)),
                badge(class, word),
                duration(phase.elapsed_ms),
                text(&phase.detail),
            ]);
        }
    }
    let bad = verdict.suites.iter().flat_map(|suite| &suite.phases).filter(|phase| !phase.ok).count();
    let open = if bad > 0 { " open" } else { "" };
    format!(
        "<details{open}><summary>{} set-ups and clean-ups, {bad} failed</summary>{}</details>\n",
        rows.len(),
        table(
            "Set-ups and clean-ups in order",
            &["plug-in", "what", "outcome", "#took", "what went wrong"],
            &rows
        )
    )
}

fn surroundings(verdict: &Verdict) -> String {
    let mut rows: Vec<Vec<String>> = verdict
        .environment
        .properties()
        .into_iter()
        .map(|(name, value)| vec![text(name), text(&value)])
        .collect();
    rows.push(vec!["synthetic_bytes".into(), verdict.synthetic_bytes.to_string()]);
    rows.push(vec!["quick".into(), verdict.quick.to_string()]);
    rows.push(vec!["filter".into(), text(&verdict.filter.join(", "))]);
    for suite in &verdict.suites {
        rows.push(vec![
            text(&suite.path),
            format!("<code class=\"hash\">BLAKE3 {}</code>", text(&suite.blake3)),
        ]);
    }
    table("Where and how it was run", &["what", "value"], &rows)
}

#[cfg(test)]
mod tests {
    use super::super::tests::verdict;
    use super::*;

    #[test]
    fn the_page_shows_every_check_and_loads_nothing() {
        let verdict = verdict();
        let page = html(&verdict);
        for check in &verdict.suites[0].checks {
            assert!(page.contains(check.id) && page.contains(&check.outcome.to_string()), "{}", check.id);
        }
        assert!(page.contains("NOT CERTIFIED") && page.contains("who claims checkpoint"));
        for loads in ["<script", "<link", " src=", "url(", "@import", "http:", "https:"] {
            assert!(!page.contains(loads), "{loads}");
        }
    }

    #[test]
    fn text_from_a_plug_in_stays_text() {
        let mut verdict = verdict();
        verdict.suites[0].checks[1].detail = "</pre><script>alert(1)</script>".into();
        verdict.suites[0].name = "<img>.so".into();
        let page = html(&verdict);
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_failed_check_and_a_failed_clean_up_are_open() {
        let mut verdict = verdict();
        verdict.suites[0].phases[1].ok = false;
        verdict.suites[0].phases[1].detail = "the directory is busy".into();
        let page = html(&verdict);
        assert!(page.contains("<details open><summary>2 set-ups and clean-ups, 1 failed"), "{page}");
        assert!(page.contains("<details open><summary><span class=\"badge bad\">FAIL"), "{page}");
    }

    #[test]
    fn changes_since_the_baseline_are_named() {
        let mut verdict = verdict();
        let name = CheckName { plugin: "a.so".into(), check: "BKP-001".into() };
        verdict.delta = Some(Delta { new_failures: vec![name], ..Delta::default() });
        assert!(html(&verdict).contains("a.so BKP-001"));
        assert!(html(&verdict).contains("href=\"#delta\""));
    }
}
