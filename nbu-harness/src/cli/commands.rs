//! The commands.

use super::args::{BenchArgs, Cli, Command, RunArgs};
use super::{Exit, Interrupt, Progress, complain};
use crate::bench;
use crate::certify::{self, Phase, ScenarioRun, Surroundings};
use crate::engine::SetupError;
use crate::nbu::library_file;
use crate::report::{self, RunReport};
use crate::scenario::{self, Scenario};
use clap::CommandFactory;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The plug-in that is run when none is named.
const PLUGIN: &str = "libstspiVastData.so";

pub(super) fn run(cli: &Cli) -> Exit {
    match &cli.command {
        Command::Run(args) => run_scenarios(args),
        Command::Certify(args) => super::certify::run(args),
        Command::Prove(args) => super::prove::run(args),
        Command::Schema(args) => super::schema::run(args),
        Command::VerifyBundle(args) => super::bundle::run(args),
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

fn load(files: &[PathBuf], seed: u64) -> Result<Vec<(&Path, Scenario)>, Exit> {
    let mut scenarios = Vec::new();
    let mut bad = false;
    for file in files {
        match scenario::load_seeded(file, seed) {
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
    let scenarios = match load(files, 0) {
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
    let scenarios = match load(files, 0) {
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
    let scenarios = match load(&args.files, args.seed) {
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
    if args.trace.is_some() && scenarios.len() > 1 {
        let text = "--trace takes one scenario: what a directory has is replayed as one run, so name one for each run";
        return bad_input(&text);
    }
    if let Some(dir) = args.trace.as_deref().filter(|dir| super::replay::has_traces(dir)) {
        let text = format_args!("{} has traces of another run: name an empty directory", dir.display());
        return bad_input(&text);
    }
    let progress = Progress::new(std::io::stderr().is_terminal(), interrupt);
    let mut worst = Exit::Pass;
    let mut claims = None;
    for (file, scenario) in scenarios {
        match super::skip::skipped(args, &exe, &plugin, &scenario, &mut claims) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => return set_up(&error),
        }
        match run_scenario(args, &exe, &plugin, file, &scenario, &progress) {
            Ok(Exit::Failed) => worst = Exit::Failed,
            Ok(exit) if worst == Exit::Pass => worst = exit,
            Ok(_) => {}
            Err(exit) => return exit,
        }
    }
    worst
}

/// Runs one; the error is an end of everything.
fn run_scenario(
    args: &RunArgs,
    exe: &Path,
    plugin: &Path,
    file: &Path,
    scenario: &Scenario,
    progress: &Progress,
) -> Result<Exit, Exit> {
    let mut plugin_env = std::collections::BTreeMap::new();
    let plugin = match &args.trace {
        None => plugin.to_path_buf(),
        Some(dir) => {
            super::replay::record(dir, exe, plugin, &mut plugin_env).map_err(|error| set_up(&error))?
        }
    };
    let around = Surroundings {
        exe: exe.to_path_buf(),
        plugin,
        plugin_env,
        base: args.work_dir.clone().unwrap_or_else(std::env::temp_dir),
        keep: args.keep,
        sysroot: args.sysroot.clone(),
        pass: 1,
    };
    let attempt = match certify::attempt(scenario, &around, progress) {
        Ok(attempt) => attempt,
        Err(error) => return Err(set_up(&format_args!("{}: {error}", around.base.display()))),
    };
    let run = match attempt.run {
        Ok(run) => run,
        Err(SetupError::Interrupted) => return Err(interrupted(progress.interrupt())),
        Err(error) => return Err(set_up(&format_args!("{}: {error}", file.display()))),
    };
    if args.keep {
        complain(&format!("kept: {}", attempt.dir.display()));
    }
    let exit = exit_of(&run, &attempt.phases);
    if args.json {
        let report = RunReport::new(file.display().to_string(), run, attempt.phases);
        match serde_json::to_string_pretty(&report) {
            Ok(text) => print(&text),
            Err(error) => return Err(set_up(&error)),
        }
    } else {
        show(&run, &attempt.phases, args.details);
    }
    Ok(exit)
}

/// A broken expectation, or something that is left, is a failure; evidence that is missing is none.
fn exit_of(run: &ScenarioRun, phases: &[Phase]) -> Exit {
    let broken = run.findings.iter().any(|finding| !finding.holds && !finding.unknown);
    if broken || !run.leaks.is_empty() || phases.iter().any(|phase| !phase.ok) {
        Exit::Failed
    } else if run.findings.iter().any(|finding| finding.unknown) {
        Exit::SetUp
    } else {
        Exit::Pass
    }
}

fn show(run: &ScenarioRun, phases: &[Phase], details: bool) {
    let (colour, width) = look();
    let record = &run.record;
    if details {
        for job in &record.jobs {
            print(&format!("job {}:", job.result.job_id));
            for line in &job.result.log {
                print(&format!("  {line}"));
            }
        }
    }
    print(&report::job_table(&record.jobs, colour, width));
    for finding in &run.findings {
        let word = match (finding.holds, finding.unknown) {
            (true, _) => "ok  ",
            (false, true) => "??  ",
            (false, false) => "FAIL",
        };
        print(&format!("{word} {}: {}", finding.aspect, finding.detail.replace('\n', "\n       ")));
    }
    for leak in &run.leaks {
        print(&format!("FAIL nothing is left behind: {:?} {}", leak.kind, leak.what));
    }
    for phase in phases.iter().filter(|phase| !phase.ok) {
        print(&format!("FAIL clean-up: {}", phase.detail));
    }
    let word = match exit_of(run, phases) {
        Exit::Pass => "passed",
        Exit::Failed => "FAILED",
        _ => "has no verdict, evidence is missing; ended",
    };
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
