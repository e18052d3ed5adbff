//! The `meikan` binary: parses the command line and turns the result into an exit code.

use std::process::ExitCode;

/// Most of what the node does is to make and drop small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    meikan::cli::main()
}
