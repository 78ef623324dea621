#![no_main]

#[path = "targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    targets::TARGETS.iter().find(|target| target.0 == "parser").map(|target| (target.1)(input));
});
