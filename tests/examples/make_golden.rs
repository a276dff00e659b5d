//! Makes the golden stores that `tests/tests/golden.rs` opens. Remove the old ones of this version first.

fn main() {
    let directory = walkprint_tests::golden::make_checked_in();
    println!("made the stores in {}", directory.display());
}
