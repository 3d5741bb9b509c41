//! The tests that SECURITY.md names are there.

use std::fs;

use crate::root;

/// The words in backquotes, in order.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn security_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).expect("it is there");
    let tables = text.lines().filter(|line| line.starts_with("| "));
    let mut found = 0;
    for claims in tables.filter_map(|line| line.trim_end_matches([' ', '|']).rsplit('|').next()) {
        // `name`, `name` and `name` in `file`; …
        for claim in claims.split("; ").filter(|it| it.contains("` in `")) {
            let (names, file) = claim.rsplit_once(" in ").expect("both");
            let file = file.trim_matches([' ', '`']);
            let source = fs::read_to_string(root().join(file));
            let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
            for name in quoted(names) {
                assert!(source.contains(&format!("fn {name}(")), "{name} in {file}");
                found += 1;
            }
        }
    }
    assert!(found > 30, "{found} are not all");
}
