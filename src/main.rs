//! The `meikan` binary: parses the command line and turns the result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    meikan::cli::main()
}
