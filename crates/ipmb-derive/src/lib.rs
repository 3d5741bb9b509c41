//! The derive macros of `ipmb`, which re-exports them. Programs name `ipmb` only.
//!
//! A macro here is a thin shell: it parses the tokens and hands them to an expansion function that
//! works on `proc_macro2` tokens, where the unit tests can reach it.

mod message_box;
mod options;
mod type_uuid;
mod uuid;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `ipmb::MessageBox` for an enum of message types.
///
/// Every variant holds exactly one unnamed field: a payload that implements `ipmb::TypeUuid`,
/// `serde::Serialize` and `serde::Deserialize`. A receiver of the box gets any of these types, and
/// a sender of it may send any of them.
///
/// ```
/// # #[derive(serde::Serialize, serde::Deserialize, ipmb::TypeUuid)]
/// # #[uuid = "7b07473e-9659-4d47-a502-8245d71c0078"]
/// # struct Position { x: f64, y: f64 }
/// #[derive(ipmb::MessageBox)]
/// enum Sky {
///     Position(Position),
///     Greeting(String),
/// }
/// ```
///
/// Type parameters are fine; the expansion bounds the payloads that mention them. Lifetime
/// parameters are not: a message box owns what it carries.
///
/// # Errors
///
/// A wrong shape is a compile error at the variant, and all of them are reported at once: a unit
/// variant, several fields, named fields, a payload type that an earlier variant has already.
/// Two payload types that differ in name but share one UUID are found too, by a check that runs
/// when the constants are evaluated; it leaves out types that mention a type parameter.
///
/// ```compile_fail,E0080
/// #[derive(serde::Serialize, serde::Deserialize, ipmb::TypeUuid)]
/// #[uuid = "7b07473e-9659-4d47-a502-8245d71c0078"]
/// struct Position { x: f64, y: f64 }
///
/// #[derive(serde::Serialize, serde::Deserialize, ipmb::TypeUuid)]
/// #[uuid = "7b07473e-9659-4d47-a502-8245d71c0078"] // copied, and not changed
/// struct Velocity { x: f64, y: f64 }
///
/// #[derive(ipmb::MessageBox)]
/// enum Sky {
///     Position(Position),
///     Velocity(Velocity),
/// }
/// ```
///
/// # A renamed `ipmb`
///
/// `#[ipmb(crate = "path::to::ipmb")]` on the enum says where `ipmb` is found, if not at `::ipmb`.
#[proc_macro_derive(MessageBox, attributes(ipmb))]
pub fn derive_message_box(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    message_box::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Implements `ipmb::TypeUuid`: gives a type the UUID by which receivers tell messages apart.
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize, ipmb::TypeUuid)]
/// #[uuid = "7b07473e-9659-4d47-a502-8245d71c0078"]
/// struct Position {
///     x: f64,
///     y: f64,
/// }
/// ```
///
/// The UUID is 32 hexadecimal digits, with or without hyphens after the 8th, 12th, 16th and 20th.
/// Make a fresh random one (version 4) for every type, and a new one when the type's encoding changes.
///
/// All instances of a generic type share its UUID, so that only one of them should be sent on a bus.
///
/// # Errors
///
/// A missing, repeated or malformed `#[uuid = "…"]` is a compile error.
///
/// # A renamed `ipmb`
///
/// `#[ipmb(crate = "path::to::ipmb")]` on the type says where `ipmb` is found, if not at `::ipmb`.
#[proc_macro_derive(TypeUuid, attributes(uuid, ipmb))]
pub fn derive_type_uuid(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    type_uuid::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
