//! Where the errors of the derive macros point, and what they say.
//!
//! Errors that the compiler words itself are left out: they change from version to version.

#[test]
fn refused() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
