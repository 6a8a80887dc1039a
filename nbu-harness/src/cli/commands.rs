//! The commands.

use super::args::{BenchArgs, CertifyArgs, Cli, Command, RunArgs};
use super::{Exit, Progress};
use crate::bench;
use crate::certify::{self, CertifyError};
use crate::engine::{self, Record};
use crate::judge::{self, Finding};
use crate::report::{self, RunReport};
use crate::scenario::{self, Scenario};
use clap::CommandFactory;
use comfy_table::{ContentArrangement, Table, presets};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

pub(super) fn run(cli: &Cli) -> Exit {
    match &cli.command {
        Command::Run(args) => run_scenarios(args),
        Command::Certify(args) if args.list => list(),
        Command::Certify(args) => certify(args),
        Command::Bench(args) => measure(args),
        Command::Check { files, json } => check(files, *json),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "nbu-harness", &mut std::io::stdout());
            Exit::Pass
        }
    }
}

/// Prints to standard output; a reader that went away is no error of ours.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Colour and width of standard output.
fn look() -> (bool, Option<u16>) {
    let terminal = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let width = rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| size.ws_col)
        .filter(|width| *width > 40);
    (terminal, width)
}

fn load(files: &[PathBuf]) -> Result<Vec<(&Path, Scenario)>, Exit> {
    let mut scenarios = Vec::new();
    let mut bad = false;
    for file in files {
        match scenario::load(file) {
            Ok(scenario) => scenarios.push((file.as_path(), scenario)),
            Err(diagnostic) => {
                bad = true;
                eprint!("{}", diagnostic.render(std::io::stderr().is_terminal()));
                eprintln!();
            }
        }
    }
    if bad { Err(Exit::BadInput) } else { Ok(scenarios) }
}

fn check(files: &[PathBuf], json: bool) -> Exit {
    let scenarios = match load(files) {
        Ok(scenarios) => scenarios,
        Err(exit) => return exit,
    };
    for (file, scenario) in scenarios {
        if json {
            match serde_json::to_string_pretty(&scenario) {
                Ok(text) => print(&text),
                Err(error) => return set_up(&error),
            }
        } else {
            print(&format!("{}: {}: {}", file.display(), scenario.id, scenario.title));
        }
    }
    Exit::Pass
}

fn set_up(error: &dyn std::fmt::Display) -> Exit {
    eprintln!("error: {error}");
    Exit::SetUp
}

fn run_scenarios(args: &RunArgs) -> Exit {
    let scenarios = match load(&args.files) {
        Ok(scenarios) => scenarios,
        Err(exit) => return exit,
    };
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => return set_up(&error),
    };
    let progress = Progress::new(std::io::stderr().is_terminal());
    let mut worst = Exit::Pass;
    for (file, scenario) in scenarios {
        let base = args.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let made =
            tempfile::Builder::new().prefix("nbu-harness-").disable_cleanup(args.keep).tempdir_in(&base);
        let dir = match made {
            Ok(dir) => dir,
            Err(error) => return set_up(&format_args!("{}: {error}", base.display())),
        };
        let options = engine::Options {
            exe: exe.clone(),
            plugin: args.plugin.canonicalize().unwrap_or_else(|_| args.plugin.clone()),
            work_dir: dir.path().to_path_buf(),
            sysroot: args.sysroot.clone(),
            plugin_env: std::collections::BTreeMap::new(),
        };
        match engine::run(&scenario, &options, &progress) {
            Ok(record) => {
                let findings = judge::judge(&record);
                if findings.iter().any(|finding| !finding.holds) {
                    worst = Exit::Failed;
                }
                if args.json {
                    match serde_json::to_string_pretty(&RunReport::new(
                        file.display().to_string(),
                        record,
                        findings,
                    )) {
                        Ok(text) => print(&text),
                        Err(error) => return set_up(&error),
                    }
                } else {
                    show(&record, &findings, args.details);
                }
            }
            Err(error) => return set_up(&format_args!("{}: {error}", file.display())),
        }
        if args.keep {
            eprintln!("kept: {}", dir.path().display());
        }
    }
    worst
}

fn show(record: &Record, findings: &[Finding], details: bool) {
    let (colour, width) = look();
    if details {
        for job in &record.jobs {
            print(&format!("job {}:", job.result.job_id));
            for line in &job.result.log {
                print(&format!("  {line}"));
            }
        }
    }
    print(&report::job_table(&record.jobs, colour, width));
    for finding in findings {
        let word = if finding.holds { "ok  " } else { "FAIL" };
        print(&format!("{word} {}: {}", finding.aspect, finding.detail.replace('\n', "\n       ")));
    }
    let word = if findings.iter().all(|finding| finding.holds) { "passed" } else { "FAILED" };
    print(&format!(
        "{} {word} in {} ms (seed {})",
        record.scenario.id, record.elapsed_ms, record.scenario.seed
    ));
}

fn measure(args: &BenchArgs) -> Exit {
    if let Some(missing) = args.plugin.iter().find(|plugin| !plugin.is_file()) {
        eprintln!("error: {}: no such plug-in library", missing.display());
        return Exit::BadInput;
    }
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => return set_up(&error),
    };
    let options = bench::Options {
        exe,
        plugins: args.plugin.clone(),
        bytes: args.size.0,
        rounds: usize::try_from(args.rounds).unwrap_or(1),
        work_dir: args.work_dir.clone().unwrap_or_else(std::env::temp_dir),
    };
    let progress = Progress::new(std::io::stderr().is_terminal());
    match bench::run(&options, &progress) {
        Ok(figures) if args.json => match serde_json::to_string_pretty(&figures) {
            Ok(text) => {
                print(&text);
                Exit::Pass
            }
            Err(error) => set_up(&error),
        },
        Ok(figures) => {
            let (_, width) = look();
            print(&bench::table(&figures, width));
            Exit::Pass
        }
        Err(error @ bench::BenchError::Job { .. }) => {
            eprintln!("error: {error}");
            Exit::Failed
        }
        Err(error) => set_up(&error),
    }
}

fn list() -> Exit {
    let (_, width) = look();
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.force_no_tty().set_width(width.unwrap_or(140));
    table.set_header(["check", "group", "what", "a pass proves", "scenario"]);
    for check in certify::catalogue() {
        let scenario = match check.proof {
            certify::Proof::Scenario { id, .. } => id,
            certify::Proof::Answers(_) | certify::Proof::NotAPlugin(_) => "",
        };
        table.add_row([check.id, check.group, check.title, check.proves, scenario]);
    }
    print(&table.to_string());
    Exit::Pass
}

fn certify(args: &CertifyArgs) -> Exit {
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => return set_up(&error),
    };
    let options = certify::Options {
        filter: args.filter.clone(),
        synthetic_size: args.synthetic_size,
        sysroot: args.sysroot.clone(),
        quick: args.quick,
        work_dir: args.work_dir.clone(),
        ..certify::Options::new(exe, args.plugin.clone())
    };
    let progress = Progress::new(std::io::stderr().is_terminal());
    let verdict = match certify::run(&options, &progress) {
        Ok(verdict) => verdict,
        Err(error @ (CertifyError::NoSuchCheck(_) | CertifyError::Plugin { .. })) => {
            eprintln!("error: {error}");
            return Exit::BadInput;
        }
        Err(error @ CertifyError::WorkDir { .. }) => return set_up(&error),
    };
    let written = report::write_certification(&verdict, &args.report_dir);
    let (colour, width) = look();
    if args.json {
        match serde_json::to_string_pretty(&verdict) {
            Ok(text) => print(&text),
            Err(error) => return set_up(&error),
        }
    } else {
        if args.jobs {
            for run in verdict.suites.iter().flat_map(|suite| &suite.runs) {
                print(&format!("{}: {}", run.record.scenario.id, run.record.scenario.title));
                print(&report::job_table(&run.record.jobs, colour, width));
            }
        }
        print(&report::verdict_table(&verdict, colour, width));
    }
    match written {
        Ok(paths) if !args.json => {
            print(&format!("reports: {}", paths.map(|path| path.display().to_string()).join(", ")));
        }
        Ok(_) => {}
        Err(error) => return set_up(&error),
    }
    match (verdict.passed(), verdict.has_errors()) {
        (true, _) => Exit::Pass,
        (false, true) if !verdict.suites.iter().any(|suite| suite.count(certify::Outcome::Fail) > 0) => {
            Exit::SetUp
        }
        (false, _) => Exit::Failed,
    }
}
