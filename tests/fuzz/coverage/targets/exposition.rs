#![no_main]

#[path = "../../src/exposition.rs"]
mod exposition;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exposition::exposition(data));
