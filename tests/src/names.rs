//! Identifiers and labels that are unusual, but allowed.

use ipmb::Label;

/// Identifiers that differ from each other, some of them little.
pub fn identifiers() -> Vec<String> {
    let long = "long".repeat(1 << 18);
    let mut identifiers: Vec<String> = [
        "a/b",
        "a/c",
        "/",
        "/etc/passwd",
        ".",
        "..",
        "../../escaped",
        "\0",
        "nul\0one",
        "nul\0two",
        "🚀",
        "🚀🚀",
        "e\u{301}",
        "é",
        " ",
        "a\nb",
        "com.example.tests.sock",
    ]
    .map(str::to_owned)
    .to_vec();
    identifiers.extend([format!("{long}1"), format!("{long}2")]);
    identifiers
}

/// A label of so many words of so many bytes each.
pub fn label(words: usize, length: usize) -> Label {
    Label::from((0..words).map(|number| word(number, length)))
}

/// One of its words: a number with zeroes in front, no shorter than `length`.
pub fn word(number: usize, length: usize) -> String {
    let number = number.to_string();
    "0".repeat(length.saturating_sub(number.len())) + &number
}
