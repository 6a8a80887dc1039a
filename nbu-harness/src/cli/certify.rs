//! `certify`: its arguments, its list, what it prints and writes.

use super::commands::{bad_input, interrupted, look, print, set_up};
use super::{Exit, Interrupt, Progress};
use crate::certify::{self, Baseline, CertifyError, PastError, Requirement, Verdict};
use crate::report;
use crate::scenario::ByteSize;
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// The bundle's directory among the reports.
const BUNDLE: &str = "bundle";

/// Arguments of `certify`.
#[derive(Debug, Args)]
pub struct CertifyArgs {
    /// Plug-in library to certify; may be given several times.
    #[arg(long, value_name = "PATH", required_unless_present = "list", num_args = 1..)]
    pub plugin: Vec<PathBuf>,
    /// Directory for the reports.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub report_dir: PathBuf,
    /// Only checks whose id or group begins so; may be given several times. Never a certification.
    #[arg(long, value_name = "ID")]
    pub filter: Vec<String>,
    /// Only checks that failed in this results.json. Never a certification.
    #[arg(long, value_name = "FILE")]
    pub rerun_failed: Option<PathBuf>,
    /// List the checks and what each proves, and stop.
    #[arg(long)]
    pub list: bool,
    /// Failures that this file lists are expected: only new ones fail the run.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write how every check ended to this file, for --baseline.
    #[arg(long, value_name = "FILE")]
    pub write_baseline: Option<PathBuf>,
    /// Change the scenarios' seeds by this number; 0 leaves them as they are written.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Run every check this many times; all must have the same good end.
    #[arg(long, value_name = "N")]
    pub repeat: Option<NonZeroU32>,
    /// Stop at the first failure; without --repeat run the checks again and again until there is one, each time with the
    /// next seed.
    #[arg(long)]
    pub until_failure: bool,
    /// Size of the main scenario's synthetic stream.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub synthetic_size: ByteSize,
    /// The Rust toolchain's directory, the main scenario's real input [default: what rustc says].
    #[arg(long, value_name = "PATH")]
    pub sysroot: Option<PathBuf>,
    /// Where catalogue, data and restored files go [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Less data and fewer checks, for developers. Never a certification.
    #[arg(long)]
    pub quick: bool,
    /// Print everything as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print the table of all jobs too.
    #[arg(long)]
    pub jobs: bool,
}

/// Runs the command.
pub(super) fn run(args: &CertifyArgs) -> Exit {
    if args.list {
        return list();
    }
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return set_up(&error),
    };
    let options = match options(args) {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    if options.rerun.as_ref().is_some_and(|checks| checks.values().all(BTreeSet::is_empty)) {
        print("nothing failed in that run: there is nothing to run again");
        return Exit::Pass;
    }
    let progress = Progress::new(std::io::stderr().is_terminal(), interrupt.clone());
    let verdict = match certify::run(&options, &progress) {
        Ok(verdict) => verdict,
        Err(error @ (CertifyError::NoSuchCheck(_) | CertifyError::Plugin { .. })) => {
            return bad_input(&error);
        }
        Err(CertifyError::Interrupted) => return interrupted(&interrupt),
        Err(error @ CertifyError::WorkDir { .. }) => return set_up(&error),
    };
    if let Err(exit) = publish(args, &options, &verdict) {
        return exit;
    }
    match (verdict.passed(), verdict.says_nothing()) {
        (true, _) => Exit::Pass,
        (false, true) => Exit::SetUp,
        (false, false) => Exit::Failed,
    }
}

/// What is to be done, checked as far as that is possible before anything runs.
fn options(args: &CertifyArgs) -> Result<certify::Options, Exit> {
    // A run of many minutes whose result cannot be written is worth nothing.
    if let Err(error) = std::fs::create_dir_all(&args.report_dir) {
        let dir = args.report_dir.display();
        return Err(set_up(&format_args!("the report directory {dir} cannot be made: {error}")));
    }
    report::bundle_place(&args.report_dir.join(BUNDLE)).map_err(|error| set_up(&error))?;
    let wrong = |error: PastError| bad_input(&error);
    let exe = std::env::current_exe().map_err(|error| set_up(&error))?;
    let baseline = match &args.baseline {
        Some(path) => Some((path.clone(), Baseline::read(path).map_err(wrong)?)),
        None => None,
    };
    let rerun = match &args.rerun_failed {
        Some(path) => {
            let failed = certify::failed_checks(path).map_err(wrong)?;
            Some(for_plugins(args, failed).map_err(|plugin| {
                let file = path.display();
                bad_input(&format_args!("{file} says nothing about {plugin}: run it without --rerun-failed"))
            })?)
        }
        None => None,
    };
    let once = if args.until_failure { None } else { Some(NonZeroU32::MIN) };
    Ok(certify::Options {
        filter: args.filter.clone(),
        synthetic_size: args.synthetic_size,
        sysroot: args.sysroot.clone(),
        quick: args.quick,
        work_dir: args.work_dir.clone(),
        seed: args.seed,
        passes: args.repeat.or(once),
        until_failure: args.until_failure,
        baseline,
        rerun,
        ..certify::Options::new(exe, args.plugin.clone())
    })
}

/// The failed checks of the plug-ins that are to be run; the error is one of which nothing is known.
fn for_plugins(
    args: &CertifyArgs,
    mut failed: BTreeMap<String, BTreeSet<String>>,
) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut wanted = BTreeMap::new();
    for plugin in &args.plugin {
        let name = plugin.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match failed.remove(&name) {
            Some(checks) => drop(wanted.insert(name, checks)),
            None if wanted.contains_key(&name) => {}
            None => return Err(name),
        }
    }
    Ok(wanted)
}

/// Prints the verdict and writes the files.
fn publish(args: &CertifyArgs, options: &certify::Options, verdict: &Verdict) -> Result<(), Exit> {
    let written = report::write_certification(verdict, &args.report_dir);
    let (colour, width) = look();
    if args.json {
        print(&serde_json::to_string_pretty(verdict).map_err(|error| set_up(&error))?);
    } else {
        if args.jobs {
            for run in verdict.suites.iter().flat_map(|suite| &suite.runs) {
                print(&format!("{}: {}", run.record.scenario.id, run.record.scenario.title));
                print(&report::job_table(&run.record.jobs, colour, width));
            }
        }
        print(&report::verdict_table(verdict, colour, width));
    }
    let mut paths = written.map_err(|error| set_up(&error))?;
    let bundle = args.report_dir.join(BUNDLE);
    report::write_bundle(verdict, &bundle).map_err(|error| set_up(&error))?;
    paths.push(bundle);
    if let Some(path) = &args.write_baseline {
        let earlier = options.baseline.as_ref().map(|(_, baseline)| baseline);
        Baseline::of(verdict, earlier).write(path).map_err(|error| set_up(&error))?;
    }
    if !args.json {
        print(&format!(
            "reports: {}",
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(())
}

fn list() -> Exit {
    let (_, width) = look();
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.force_no_tty().set_width(width.unwrap_or(160));
    table.set_header(["check", "group", "required of", "what", "a pass proves", "scenario"]);
    for check in certify::catalogue() {
        let required = match check.requirement {
            Requirement::Mandatory => "every plug-in".to_owned(),
            Requirement::Claimed(name) => format!("who claims {name}"),
        };
        let scenario = check.proof.scenario().unwrap_or_default();
        table.add_row([check.id, check.group, &required, check.title, check.proves, scenario]);
    }
    print(&table.to_string());
    Exit::Pass
}
