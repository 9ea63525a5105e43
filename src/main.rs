//! The binary: parses the command line and delegates.

mod free_pages;

use claude_grpc::cli;
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// A call makes some hundreds of small allocations, many of which another
/// thread frees (a span is made by a worker and exported elsewhere). The C
/// library's allocator takes an eighth of the service's CPU time for them.
///
/// Its options are in `.cargo/config.toml`. Transparent huge pages cost a third of
/// the memory: see docs/operations.md.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    free_pages::return_each_second();
    cli::run(cli::parse())
}
