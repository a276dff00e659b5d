//! Keeps: **whatever bytes come, the server neither fails nor hangs, and every refusal is a problem** (issue 5, "Bad input"). Requests are made
//! from keys, so that a failure can be seen again; with `WALKPRINT_FUZZ_SECONDS` in the environment it goes on for that long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use walkprint_tests::draws::Draws;
use walkprint_tests::hostile_requests::{anything, check, server};

/// Inputs that are always tried.
const INPUTS: u64 = 20_000;
/// Threads that send.
const SENDERS: u64 = 4;

#[test]
fn no_bytes_make_it_fail() {
    let _ = server();
    let longer = std::env::var("WALKPRINT_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let end = longer.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first: u64 = std::env::var("WALKPRINT_FUZZ_KEY").ok().and_then(|key| key.parse().ok()).unwrap_or(0);
    let tried: u64 = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                scope.spawn(move || {
                    let mut tried = 0;
                    let goes_on = |tried| end.map_or(tried < INPUTS / SENDERS, |end| Instant::now() < end);
                    while goes_on(tried) {
                        let key = first + sender + tried * SENDERS;
                        let input = anything(&mut Draws::new(key));
                        let outcome = catch_unwind(AssertUnwindSafe(|| check(&input)));
                        let shown = || String::from_utf8_lossy(&input).into_owned();
                        match outcome {
                            Ok(Ok(())) => tried += 1,
                            Ok(Err(what)) => panic!("input {key}: {what}\n{:?}", shown()),
                            Err(_) => panic!("input {key}: the check failed\n{:?}", shown()),
                        }
                    }
                    tried
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().expect("no input makes it fail")).sum()
    });
    // It still answers as it should.
    check(b"POST /v1/stores/small/query\ncontent-type: application/json\n\n{\"seeds\":[1]}").expect("a good request");
    println!("{tried} inputs");
    assert!(longer.is_some() || INPUTS <= tried);
}
