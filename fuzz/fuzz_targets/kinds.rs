#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| claude_grpc_fuzz::kinds::check(data));
