use ipmb::MessageBox;

#[derive(MessageBox)]
enum Sky {
    Fine(String),
    Unit,
    Empty(),
    /// The error points at the name, not at this comment.
    Several(u8, u16),
    Named {
        inner: u8,
    },
    Again(String),
}

#[derive(MessageBox)]
enum Nothing {}

#[derive(MessageBox)]
struct Single(String);

#[derive(MessageBox)]
union Either {
    a: u8,
    b: u8,
}

#[derive(MessageBox)]
enum Borrowing<'a> {
    Text(&'a str),
}

fn main() {}
