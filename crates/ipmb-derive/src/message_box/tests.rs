use proc_macro2::Span;
use quote::quote;
use syn::{DeriveInput, Error, parse_quote, parse_str};

use super::expand;

fn expansion_of(input: &DeriveInput) -> String {
    expand(input).expect("a valid message box").to_string()
}

fn errors_of(source: &str) -> Vec<Error> {
    let input: DeriveInput = parse_str(source).expect("an item");
    let error = expand(&input).expect_err("a compile error");
    error.into_iter().collect()
}

/// The part of `source` (one line) that `span` covers.
fn text_at(source: &str, span: Span) -> &str {
    assert_eq!((span.start().line, span.end().line), (1, 1));
    &source[span.start().column..span.end().column]
}

#[test]
fn implements_the_trait() {
    let input = parse_quote! { enum Sky { Sun(Position), Moon(a::Phase<u8>) } };
    let implementation = quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl ::ipmb::MessageBox for Sky {
            fn decode(
                uuid: [u8; 16],
                data: &[u8],
            ) -> ::ipmb::__private::Result<Self, ::ipmb::Error> {
                if uuid == <Position as ::ipmb::__private::type_uuid::TypeUuid>::UUID {
                    return ::core::result::Result::Ok(
                        Self::Sun(::ipmb::decode::<Position>(data)?)
                    );
                }
                if uuid == <a::Phase<u8> as ::ipmb::__private::type_uuid::TypeUuid>::UUID {
                    return ::core::result::Result::Ok(
                        Self::Moon(::ipmb::decode::<a::Phase<u8> >(data)?)
                    );
                }
                ::core::result::Result::Err(::ipmb::Error::TypeUuidNotFound)
            }

            fn encode(
                &self,
            ) -> ::ipmb::__private::Result<::ipmb::__private::Vec<u8>, ::ipmb::Error> {
                match self {
                    Self::Sun(payload) => ::ipmb::encode::<&Position>(payload),
                    Self::Moon(payload) => ::ipmb::encode::<&a::Phase<u8>>(payload),
                }
            }

            fn encode_into(
                &self,
                sink: &mut ::ipmb::Sink<'_>,
            ) -> ::ipmb::__private::Result<(), ::ipmb::Error> {
                match self {
                    Self::Sun(payload) => ::ipmb::encode_into::<Position>(payload, sink),
                    Self::Moon(payload) => ::ipmb::encode_into::<a::Phase<u8>>(payload, sink),
                }
            }

            fn uuid(&self) -> [u8; 16] {
                match self {
                    Self::Sun(_) => <Position as ::ipmb::__private::type_uuid::TypeUuid>::UUID,
                    Self::Moon(_) => <a::Phase<u8> as ::ipmb::__private::type_uuid::TypeUuid>::UUID,
                }
            }

            fn decode_received(
                received: ::ipmb::__private::Received<'_>,
            ) -> ::ipmb::__private::Result<Self, ::ipmb::Error> {
                let uuid = received.uuid();
                if uuid == <Position as ::ipmb::__private::type_uuid::TypeUuid>::UUID {
                    return ::core::result::Result::Ok(Self::Sun(
                        <Position as ::ipmb::MessageBox>::decode_received(received)?
                    ));
                }
                if uuid == <a::Phase<u8> as ::ipmb::__private::type_uuid::TypeUuid>::UUID {
                    return ::core::result::Result::Ok(Self::Moon(
                        <a::Phase<u8> as ::ipmb::MessageBox>::decode_received(received)?
                    ));
                }
                ::core::result::Result::Err(::ipmb::Error::TypeUuidNotFound)
            }

            fn as_bytes_message(&self) -> ::core::option::Option<&::ipmb::BytesMessage> {
                match self {
                    Self::Sun(payload) => ::ipmb::MessageBox::as_bytes_message(payload),
                    Self::Moon(payload) => ::ipmb::MessageBox::as_bytes_message(payload),
                }
            }
        }
    };
    let expanded = without_spaces(&expansion_of(&input));
    let implementation = without_spaces(&implementation.to_string());
    assert_eq!(
        expanded.split("#[allow(deprecated)]const_").next(),
        Some(&*implementation)
    );
}

#[test]
fn checks_that_uuids_differ_where_it_can() {
    let two = expansion_of(&parse_quote! { enum Sky { Sun(A), Moon(B) } });
    assert!(two.contains("is_first (1usize)"), "{two}");
    let one = expansion_of(&parse_quote! { enum Sky { Sun(A) } });
    assert!(!one.contains("is_first"), "{one}");
    let unknown =
        expansion_of(&parse_quote! { enum Sky<T, const N: usize> { A(T), B([u8; N]), C(u8) } });
    assert!(!unknown.contains("is_first"), "{unknown}");
}

#[test]
fn bounds_only_payloads_that_mention_a_parameter() {
    let input = parse_quote! {
        enum Sky<T: Clone> where T: Copy { Plain(A), Any(T), Nested(B<[T; 2]>) }
    };
    let expanded = without_spaces(&expansion_of(&input));
    for expected in [
        "impl<T:Clone>::ipmb::MessageBoxforSky<T>whereT:Copy,T:'static,T:::ipmb::__private::type_uuid::TypeUuid",
        "B<[T;2]>:::ipmb::__private::type_uuid::TypeUuid+::ipmb::__private::serde::Serialize\
         +::ipmb::__private::serde::de::DeserializeOwned+::core::marker::Send",
    ] {
        assert!(expanded.contains(expected), "{expanded}");
    }
    assert!(!expanded.contains("A:::ipmb"), "{expanded}");
}

#[test]
fn uses_the_crate_path() {
    let input =
        parse_quote! { #[ipmb(crate = "crate::bus")] enum Sky<T> { Sun(A), Moon(B), Any(T) } };
    let expanded = without_spaces(&expansion_of(&input));
    assert!(
        expanded.contains("impl<T>crate::bus::MessageBoxforSky<T>"),
        "{expanded}"
    );
    assert!(!expanded.contains("::ipmb"), "{expanded}");
}

#[test]
fn points_at_every_variant_of_a_wrong_shape() {
    let source = "enum Sky { Ok(A), Unit, Empty(), Two(A, B), #[doc = \"x\"] Named { a: A }, Again(A), Fine(B) }";
    let found: Vec<_> = errors_of(source)
        .iter()
        .map(|error| (text_at(source, error.span()), error.to_string()))
        .collect();
    let shape = |name: &str, has: &str| {
        format!(
            "a variant of a message box has one unnamed field, this one has {has}: write `{name}(PayloadType)`"
        )
    };
    assert_eq!(
        found,
        [
            ("Unit", shape("Unit", "none")),
            ("Empty", shape("Empty", "none")),
            ("Two", shape("Two", "several fields")),
            ("Named", shape("Named", "named fields")),
            (
                "Again",
                "an earlier variant has this payload type already: a receiver could not tell them apart"
                    .to_owned()
            ),
        ]
    );
}

#[test]
fn refuses_what_is_not_a_message_box() {
    for (source, pointed_at, beginning) in [
        ("struct Sun(A);", "Sun", "only an enum"),
        ("union Sun { a: A }", "Sun", "only an enum"),
        ("enum Sky {}", "Sky", "a message box needs at least one"),
        ("enum Sky<'a> { A(&'a A) }", "'a", "a message box owns"),
    ] {
        let errors = errors_of(source);
        let [error] = &errors[..] else {
            panic!("one error for {source}: {errors:?}")
        };
        assert_eq!(text_at(source, error.span()), pointed_at);
        assert!(error.to_string().starts_with(beginning), "{error}");
    }
}

/// Token streams print with spaces that depend on how they were made.
fn without_spaces(tokens: &str) -> String {
    tokens.split_whitespace().collect()
}
