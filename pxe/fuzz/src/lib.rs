//! What hostile bytes are thrown at: one module for each parser that strangers reach, with `run(&[u8])` as its entry.
//!
//! An entry must not panic, whatever the bytes; it panics itself when an answer breaks a rule (too long, not readable
//! by our own parser, more packets than bytes can ask for). The same entries run in two places: under libFuzzer
//! (`cargo +nightly fuzz run NAME`), and on stable in `pxe/tests/hostile` (`cargo xtask test hostile`), where the kept
//! corpus is replayed and mutated by a seed.
//!
//! A new target NAME is a line in [`targets!`] and `src/NAME.rs`; then `fuzz_targets/NAME.rs` and its `[[bin]]`, both
//! copied from another, and at least one file in `corpus/NAME/`. A test says which of these is missing.
//! An input that once broke something stays in the corpus, under a name that says what it is.

/// Declares the targets; each is a module with a function `run`.
macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*

        /// Name and entry of every target.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::run)),*];
    };
}

targets!(dhcp, dhcp6, http_range, proxy, pxe_options, tftp);

/// The libFuzzer program of a target.
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::$name::run(bytes));
    };
}
