//! Arguments.

use super::bundle::BundleArgs;
use super::certify::CertifyArgs;
use super::schema::SchemaArgs;
use crate::scenario::ByteSize;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes:
  0  everything that was asked for holds
  1  a check or an expectation failed
  2  bad arguments or a bad scenario file
  3  the surroundings could not be set up (cluster, disk, input data) or the evidence is missing: there is no verdict
130  SIGINT, 143  SIGTERM: jobs were cancelled and working directories removed; a second signal ends it at once";

const REPLAY_EXIT_CODES: &str = "Exit codes:
  0  every call was made and had the recorded code, and what was read is right
  1  something differs
  2  bad arguments, a bad scenario file or no trace
  3  the surroundings could not be set up, or a process of the replay did not do its work
A signal ends the replay and its processes at once; a working directory with a cluster's configuration may stay behind.";

/// The commands that [`crate::commands`] takes before this command line is looked at.
const COMMANDS: &str = "NetBackup's commands, each with -help; they work on the NetBackup home of --home or
NBU_HARNESS_HOME, and exit with NetBackup statuses:
  nbemmcmd, nbdevconfig, tpconfig, bpstuadd, bpsturep, bpstudel, nbstl  set up media servers, storage, units
  nbdevquery, bpstulist, bpstsinfo                                      list them, and what a plug-in says
  bpdbjobs, bpimagelist, bpflist, nbstlutil                             list jobs, backups, files, copies to come";

fn after_help() -> String {
    format!("{COMMANDS}\n\n{EXIT_CODES}")
}

/// NetBackup's side of a backup, without NetBackup: its processes, jobs and catalogue, replaying scenarios against an
/// OpenStorage plug-in.
#[derive(Debug, Parser)]
#[command(name = "nbu-harness", version, after_help = after_help())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Replay scenarios and judge them by what they expect.
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// Run the catalogue of checks against one or more plug-ins.
    #[command(after_help = EXIT_CODES)]
    Certify(CertifyArgs),
    /// Measure backup and restore rates as ratios to plain HTTP in the same run.
    #[command(after_help = EXIT_CODES)]
    Bench(BenchArgs),
    /// Show that every check of the certification can fail: on a plug-in with the defect that it is there to find, and, where
    /// it judges the harness too, on what was seen with one thing altered.
    #[command(after_help = EXIT_CODES)]
    Prove(super::prove::ProveArgs),
    /// Make the calls of a recorded run again, on any plug-in, and compare.
    #[command(after_help = REPLAY_EXIT_CODES)]
    Replay(super::replay::ReplayArgs),
    /// Check scenario files without running them.
    #[command(after_help = EXIT_CODES)]
    Check {
        /// Scenario files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print each scenario with every default filled in, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tell in words what scenario files do and expect, every default in its place.
    #[command(after_help = EXIT_CODES)]
    Explain {
        /// Scenario files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the JSON schema of scenario files, or of results.json.
    Schema(SchemaArgs),
    /// Read a certification bundle back: every sum, and that its files agree with each other.
    #[command(after_help = EXIT_CODES)]
    VerifyBundle(BundleArgs),
    /// Make a scenario of a log of bptm: buffers, delays, fragments, sizes, statuses.
    #[command(after_help = EXIT_CODES)]
    ImportLog(super::import_log::ImportLogArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Scenario files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Plug-in library under test [default: libstspiVastData.so beside this program].
    #[arg(long, value_name = "PATH", env = "NBU_HARNESS_PLUGIN")]
    pub plugin: Option<PathBuf>,
    /// The Rust toolchain's directory for RUST_SYSROOT [default: what rustc says].
    #[arg(long, value_name = "PATH")]
    pub sysroot: Option<PathBuf>,
    /// Where catalogue, data and restored files go [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Record every call of the plug-in, of every process, into this directory: input of `replay`.
    #[arg(long, value_name = "DIR")]
    pub trace: Option<PathBuf>,
    /// Change the scenarios' seeds by this number; 0 leaves them as they are written.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Keep the working directory.
    #[arg(long)]
    pub keep: bool,
    /// Print everything as JSON on standard output.
    #[arg(long)]
    pub json: bool,
    /// Print the details of every job.
    #[arg(long, short)]
    pub details: bool,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Plug-in library to measure; may be given several times.
    #[arg(long, value_name = "PATH", required_unless_present = "overhead", num_args = 1..)]
    pub plugin: Vec<PathBuf>,
    /// Measure the harness itself: one stream into a plug-in that keeps nothing, beside a plain memory copy.
    #[arg(long, conflicts_with = "plugin")]
    pub overhead: bool,
    /// Bytes of one measurement, all streams together.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub size: ByteSize,
    /// Measurements of each kind; their median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Where working files go [default: the temporary directory].
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Print everything as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command_of_netbackup() {
        let help = Cli::command().render_help().to_string();
        for command in crate::commands::COMMANDS {
            assert!(
                help.contains(&format!("{},", command.name)) || help.contains(&format!("{} ", command.name))
            );
        }
    }

    #[test]
    fn certify_needs_a_plugin_unless_it_only_lists() {
        let parse = |args: &[&str]| Cli::try_parse_from(args.iter().copied());
        assert!(parse(&["nbu-harness", "certify"]).is_err());
        assert!(parse(&["nbu-harness", "certify", "--list"]).is_ok());
        let cli = parse(&["nbu-harness", "certify", "--plugin", "a.so", "--plugin", "b.so"]).unwrap();
        let Command::Certify(args) = cli.command else { panic!("{cli:?}") };
        assert_eq!(args.plugin, [PathBuf::from("a.so"), "b.so".into()]);
        assert_eq!(args.synthetic_size, ByteSize(1 << 30));
        assert!(parse(&["nbu-harness", "certify", "--plugin", "a.so", "--synthetic-size", "big"]).is_err());
    }
}
