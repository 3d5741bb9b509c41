//! The text form of a UUID.

/// Digits before each hyphen of the hyphenated form: 8-4-4-4-12.
const HYPHENS_AFTER: [usize; 4] = [8, 12, 16, 20];

/// Parses 32 hexadecimal digits, with all four hyphens or with none.
pub(crate) fn parse(text: &str) -> Option<[u8; 16]> {
    let hyphenated = text.contains('-');
    let mut bytes = [0; 16];
    let mut digits = 0;
    let mut hyphens = HYPHENS_AFTER.iter().peekable();
    for character in text.chars() {
        if hyphenated && hyphens.next_if_eq(&&digits).is_some() {
            if character != '-' {
                return None;
            }
            continue;
        }
        let byte: &mut u8 = bytes.get_mut(digits / 2)?;
        *byte = *byte << 4 | u8::try_from(character.to_digit(16)?).ok()?;
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::parse;

    const BYTES: [u8; 16] = [
        0x7b, 0x07, 0x47, 0x3e, 0x96, 0x59, 0x4d, 0x47, 0xa5, 0x02, 0x82, 0x45, 0xd7, 0x1c, 0x00,
        0x78,
    ];

    #[test]
    fn reads_both_forms_in_either_case() {
        assert_eq!(parse("7b07473e-9659-4d47-a502-8245d71c0078"), Some(BYTES));
        assert_eq!(parse("7B07473E-9659-4D47-A502-8245D71C0078"), Some(BYTES));
        assert_eq!(parse("7b07473e96594d47a5028245d71c0078"), Some(BYTES));
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "-",
            "7b07473e-9659-4d47-a502-8245d71c007", // one digit short
            "7b07473e-9659-4d47-a502-8245d71c00780", // one too many
            "7b07473e-9659-4d47-a502-8245d71c0078-",
            "-7b07473e-9659-4d47-a502-8245d71c0078",
            "7b07473e-96594d47-a502-8245d71c0078", // three hyphens
            "7b07473-e9659-4d47-a502-8245d71c0078", // misplaced
            "7b07473e--9659-4d47-a502-8245d71c0078", // doubled
            "7b07473g-9659-4d47-a502-8245d71c0078", // not a digit
            "{7b07473e-9659-4d47-a502-8245d71c0078}",
            " 7b07473e96594d47a5028245d71c0078",
            "7b07473e-9659-4d47-a502-8245d71c00é8",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
