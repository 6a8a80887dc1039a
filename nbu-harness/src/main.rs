//! The `nbu-harness` command, every NetBackup process it re-executes itself as, and NetBackup's own commands.

use std::env::args_os;
use std::process::{ExitCode, exit};

fn main() -> ExitCode {
    // NetBackup's processes fork: they must get their turn before any thread is started.
    let code = nbu_harness::nbu::dispatch(args_os())
        .or_else(|| nbu_harness::bpstsinfo::dispatch(args_os()))
        .or_else(|| nbu_harness::replay::dispatch(args_os()))
        .or_else(|| nbu_harness::commands::dispatch(args_os()));
    if let Some(code) = code {
        exit(code);
    }
    nbu_harness::cli::run(args_os()).into()
}
