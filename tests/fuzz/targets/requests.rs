//! Requests to the query server, as a fuzzer makes them: any bytes, checked as `tests/src/hostile_requests.rs` says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use walkprint_tests::hostile_requests::check;

fuzz_target!(|input: &[u8]| {
    if let Err(what) = check(input) {
        panic!("{what}");
    }
});
