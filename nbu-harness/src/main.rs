//! The `nbu-harness` command, and every NetBackup process it re-executes itself as.

use std::process::exit;

fn main() {
    if let Some(code) = nbu_harness::nbu::dispatch(std::env::args_os()) {
        exit(code);
    }
}
