//! What the derive macros accept, and that what they write works.
//!
//! Nothing but `ipmb` and `serde` is in scope, and a warning in an expansion is an error.
#![deny(warnings)]

use std::fmt::Debug;

use ipmb::{Error, MessageBox};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, ipmb::TypeUuid)]
#[uuid = "7b07473e-9659-4d47-a502-8245d71c0078"]
struct Position {
    x: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, ipmb::TypeUuid)]
#[uuid = "45BDF82E47464E5EB4B1A3D85A8FF24D"]
struct Pair<A, B>(A, B);

#[derive(Debug, PartialEq, ipmb::MessageBox)]
enum Sky {
    /// A documented variant.
    Position(Position),
    Pair(Pair<u8, Vec<u8>>),
    r#Type(String),
    Unit(()),
}

#[derive(Debug, PartialEq, ipmb::MessageBox)]
enum Either<T: Clone> {
    Known(u8),
    Other(u16),
    Any(T),
}

/// `ipmb` under another name.
mod renamed {
    mod bus {
        pub use ::ipmb::*;
    }

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, bus::TypeUuid)]
    #[uuid = "e1b3f2a4-5b0d-4e0c-9c55-3f6a54cf6c2e"]
    #[ipmb(crate = "bus")]
    pub struct Ping;

    #[derive(Debug, PartialEq, bus::MessageBox)]
    #[ipmb(crate = "bus")]
    pub enum Radio {
        Ping(Ping),
        Any(u8),
    }
}

/// Names of the prelude that mean something else.
#[allow(dead_code, non_snake_case)]
mod shadowed {
    fn Ok() {}
    fn Err() {}
    fn Some() {}
    struct Result;
    struct Vec;
    trait Send {}

    #[derive(ipmb::MessageBox)]
    pub enum Radio<T> {
        Number(u8),
        Text(T),
    }
}

#[test]
fn every_variant_comes_back() {
    fn round_trip<T: MessageBox + PartialEq + Debug>(value: T) {
        let bytes = value.encode().unwrap();
        assert_eq!(T::decode(value.uuid(), &bytes).unwrap(), value);
    }

    round_trip(Sky::Position(Position { x: 1.5 }));
    round_trip(Sky::Pair(Pair(1, vec![2, 3])));
    round_trip(Sky::Type("x".to_owned()));
    round_trip(Sky::Unit(()));
    round_trip(Either::<String>::Known(7));
    round_trip(Either::<String>::Other(8));
    round_trip(Either::Any("x".to_owned()));
    round_trip(renamed::Radio::Ping(renamed::Ping));
    round_trip(renamed::Radio::Any(1));
}

#[test]
fn a_box_goes_by_the_uuids_of_its_payloads() {
    use ipmb::__private::type_uuid::TypeUuid;

    assert_eq!(Sky::Unit(()).uuid(), <()>::UUID);
    let position = Sky::Position(Position { x: 0.0 });
    assert_eq!(position.uuid(), Position::UUID);
    assert_eq!(Position::UUID[..4], [0x7b, 0x07, 0x47, 0x3e]);
    assert_eq!(Pair::<u8, u8>::UUID[..4], [0x45, 0xbd, 0xf8, 0x2e]);

    let number = shadowed::Radio::<String>::Number(1);
    let text = shadowed::Radio::Text(String::new());
    assert_eq!((number.uuid(), text.uuid()), (u8::UUID, String::UUID));
}

#[test]
fn an_unknown_type_and_undecodable_bytes_are_told_apart() {
    let unknown = Sky::decode([0; 16], &[]);
    assert!(matches!(unknown, Err(Error::TypeUuidNotFound)));
    let uuid = Sky::Type(String::new()).uuid();
    assert!(matches!(Sky::decode(uuid, &[200]), Err(Error::Decode(_))));
}
