//! The binary: parses the command line and delegates.

use claude_grpc::cli;
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A call makes some hundreds of small allocations, many of which another
/// thread frees (a span is made by a worker and exported elsewhere). The C
/// library's allocator takes an eighth of the service's CPU time for them, and
/// some 10 to 30 MiB less memory. It is built without transparent huge pages
/// (`no_thp`), which cost a third of the memory: see docs/operations.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(cli::parse())
}
