//! A family that is built wrongly does not compile, and the message says what to write.

#[test]
fn says_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/wrong/*.rs");
}
