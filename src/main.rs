//! The binary: parses the command line and delegates.

fn main() {}
