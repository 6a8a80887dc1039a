//! The commands.

use super::args::{BenchArgs, CertifyArgs, Cli, Command, RunArgs};
use super::{Exit, Interrupt, Progress, complain};
use crate::bench;
use crate::certify::{self, CertifyError};
use crate::engine::{self, Record, SetupError};
use crate::judge::{self, Finding};
use crate::nbu::library_file;
use crate::report::{self, RunReport};
use crate::scenario::{self, Scenario};
use clap::CommandFactory;
use comfy_table::{ContentArrangement, Table, presets};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The plug-in that is run when none is named.
const PLUGIN: &str = "libstspiVastData.so";

pub(super) fn run(cli: &Cli) -> Exit {
    match &cli.command {
        Command::Run(args) => run_scenarios(args),
        Command::Certify(args) if args.list => list(),
        Command::Certify(args) if args.prove => super::prove::certify(args),
        Command::Certify(args) => certify(args),
        Command::Prove(args) => super::prove::run(args),
        Command::Bench(args) => measure(args),
        Command::Replay(args) => super::replay::run(args),
        Command::Check { files, json } => check(files, *json),
        Command::Explain { files } => explain(files),
        Command::ImportLog(args) => super::import_log::run(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "nbu-harness", &mut script);
            print(String::from_utf8_lossy(&script).trim_end());
            Exit::Pass
        }
    }
}

/// Prints to standard output; a reader that went away is no error of ours.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Colour and width of standard output.
pub(super) fn look() -> (bool, Option<u16>) {
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
                complain(&diagnostic.render(std::io::stderr().is_terminal()));
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

fn explain(files: &[PathBuf]) -> Exit {
    let scenarios = match load(files) {
        Ok(scenarios) => scenarios,
        Err(exit) => return exit,
    };
    let told: Vec<_> = scenarios.iter().map(|(_, scenario)| scenario::explain(scenario)).collect();
    print(&told.join("\n\n"));
    Exit::Pass
}

pub(super) fn set_up(error: &dyn std::fmt::Display) -> Exit {
    complain(&format!("error: {error}"));
    Exit::SetUp
}

pub(super) fn bad_input(error: &dyn std::fmt::Display) -> Exit {
    complain(&format!("error: {error}"));
    Exit::BadInput
}

/// The end that a signal asked for.
pub(super) fn interrupted(interrupt: &Interrupt) -> Exit {
    let (name, exit) = match interrupt.signal() {
        Some(2) => ("SIGINT", Exit::Interrupted),
        _ => ("SIGTERM", Exit::Terminated),
    };
    complain(&format!("ended by {name}: running jobs were cancelled, nothing is said about the plug-in"));
    exit
}

/// The plug-in to run: the one that is named, or the one beside this program.
fn plugin_of(args: &RunArgs, exe: &Path) -> Result<PathBuf, Exit> {
    let beside = exe.with_file_name(PLUGIN);
    let path = match &args.plugin {
        Some(path) => path,
        None if beside.is_file() => &beside,
        None => {
            let text = format!("no plug-in: give --plugin PATH, since there is no {}", beside.display());
            return Err(bad_input(&text));
        }
    };
    library_file(path)
        .map_err(|error| bad_input(&format_args!("the plug-in {} cannot be loaded: {error}", path.display())))
}

fn run_scenarios(args: &RunArgs) -> Exit {
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return set_up(&error),
    };
    let scenarios = match load(&args.files) {
        Ok(scenarios) => scenarios,
        Err(exit) => return exit,
    };
    let exe = match std::env::current_exe() {
        Ok(exe) => exe,
        Err(error) => return set_up(&error),
    };
    let plugin = match plugin_of(args, &exe) {
        Ok(plugin) => plugin,
        Err(exit) => return exit,
    };
    let progress = Progress::new(std::io::stderr().is_terminal(), interrupt);
    let mut worst = Exit::Pass;
    for (file, scenario) in scenarios {
        match run_scenario(args, &exe, &plugin, file, &scenario, &progress) {
            Exit::Pass => {}
            Exit::Failed => worst = Exit::Failed,
            other => return other,
        }
    }
    worst
}

fn run_scenario(
    args: &RunArgs,
    exe: &Path,
    plugin: &Path,
    file: &Path,
    scenario: &Scenario,
    progress: &Progress,
) -> Exit {
    let base = args.work_dir.clone().unwrap_or_else(std::env::temp_dir);
    let made = tempfile::Builder::new().prefix("nbu-harness-").disable_cleanup(args.keep).tempdir_in(&base);
    let dir = match made {
        Ok(dir) => dir,
        Err(error) => return set_up(&format_args!("{}: {error}", base.display())),
    };
    let mut environment = std::collections::BTreeMap::new();
    let plugin = match &args.trace {
        None => plugin.to_path_buf(),
        Some(dir) => match super::replay::record(dir, exe, plugin, &mut environment) {
            Ok(wrapping) => wrapping,
            Err(error) => return set_up(&error),
        },
    };
    let options = engine::Options {
        exe: exe.to_path_buf(),
        plugin,
        work_dir: dir.path().to_path_buf(),
        sysroot: args.sysroot.clone(),
        plugin_env: environment,
    };
    let record = match engine::run(scenario, &options, progress) {
        Ok(record) => record,
        Err(SetupError::Interrupted) => return interrupted(progress.interrupt()),
        Err(error) => return set_up(&format_args!("{}: {error}", file.display())),
    };
    let findings = judge::judge(&record);
    let holds = findings.iter().all(|finding| finding.holds);
    if args.json {
        let report = RunReport::new(file.display().to_string(), record, findings);
        match serde_json::to_string_pretty(&report) {
            Ok(text) => print(&text),
            Err(error) => return set_up(&error),
        }
    } else {
        show(&record, &findings, args.details);
    }
    if args.keep {
        complain(&format!("kept: {}", dir.path().display()));
    }
    if holds { Exit::Pass } else { Exit::Failed }
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
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return set_up(&error),
    };
    if let Some(missing) = args.plugin.iter().find(|plugin| !plugin.is_file()) {
        return bad_input(&format_args!("{}: no such plug-in library", missing.display()));
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
    let progress = Progress::new(std::io::stderr().is_terminal(), interrupt.clone());
    if args.overhead {
        return match bench::overhead(&options, &progress) {
            Ok(figures) if args.json => match serde_json::to_string_pretty(&figures) {
                Ok(text) => {
                    print(&text);
                    Exit::Pass
                }
                Err(error) => set_up(&error),
            },
            Ok(figures) => {
                print(&bench::overhead_text(&figures));
                Exit::Pass
            }
            Err(_) if interrupt.signal().is_some() => interrupted(&interrupt),
            Err(error) => set_up(&error),
        };
    }
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
        Err(_) if interrupt.signal().is_some() => interrupted(&interrupt),
        Err(error @ bench::BenchError::Job { .. }) => {
            complain(&format!("error: {error}"));
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
    let interrupt = match Interrupt::watch() {
        Ok(interrupt) => interrupt,
        Err(error) => return set_up(&error),
    };
    // A run of many minutes whose result cannot be written is worth nothing.
    if let Err(error) = std::fs::create_dir_all(&args.report_dir) {
        let dir = args.report_dir.display();
        return set_up(&format_args!("the report directory {dir} cannot be made: {error}"));
    }
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
    let progress = Progress::new(std::io::stderr().is_terminal(), interrupt.clone());
    let verdict = match certify::run(&options, &progress) {
        Ok(verdict) => verdict,
        Err(error @ (CertifyError::NoSuchCheck(_) | CertifyError::Plugin { .. })) => {
            return bad_input(&error);
        }
        Err(CertifyError::Interrupted) => return interrupted(&interrupt),
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
