//! `cargo ci page`: the simulator's live page and the certification's report in a real headless browser.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients;
use crate::packages::{find, install};
use crate::step::{self, Failure};

/// Names that the browser and its driver go by.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const DRIVERS: [&str; 2] = ["chromedriver", "chromium.chromedriver"];
/// What has them on Debian.
const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];

/// Runs the page's checks; leaves pictures of the page in the target directory.
///
/// Without a browser, and without the right to install one, nothing can be checked: that fails where `CI` is set, and is
/// said and skipped elsewhere.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let found = find(&BROWSERS).zip(find(&DRIVERS));
    let found = found.or_else(|| install(&PACKAGES).and_then(|()| find(&BROWSERS).zip(find(&DRIVERS))));
    let Some((browser, driver)) = found else {
        let missing = format!("no browser: install {} (Debian: apt-get install)", PACKAGES.join(" and "));
        return clients::not_checked("page", missing);
    };
    let pictures = clients::target(root)?.join("page");
    std::fs::create_dir_all(&pictures).map_err(|e| Failure::Other(format!("{}: {e}", pictures.display())))?;
    let surroundings = [
        ("PAGE_BROWSER", browser),
        ("PAGE_DRIVER", driver),
        ("PAGE_PICTURES", pictures.clone()),
        ("PAGE_REPORT", report(root, &pictures)?),
    ];
    clients::modules(root, "page", &["page", "report"], &surroundings)?;
    println!("pictures of the pages are in {}", pictures.display());
    Ok(())
}

/// Has the report of a few checks written, among them one that runs a scenario; returns its path.
fn report(root: &Path, below: &Path) -> Result<PathBuf, Failure> {
    step::build_as_tested(root, "nbu-harness")?;
    step::run(&mut step::cargo(root, &["build", "-p", "stspi-vast-st", "-p", "stspi-vast-mt", "--locked"]))?;
    let (programs, folder) = (clients::target(root)?.join("debug"), below.join("report"));
    let mut certify = Command::new(programs.join("nbu-harness"));
    certify.arg("certify").arg("--plugin").arg(programs.join("libstspiVastData.so"));
    certify.args(["--filter", "LOD", "--filter", "BKP-008", "--report-dir"]).arg(&folder);
    step::run(certify.current_dir(root))?;
    Ok(folder.join("report.html"))
}
