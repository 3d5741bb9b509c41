//! `#[derive(TypeUuid)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Expr, ExprLit, Lit, Meta, Result};

use crate::{options, uuid};

/// What an attribute has to look like; ends every message about it.
const FORM: &str = "write `#[uuid = \"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx\"]` with a fresh UUID";

/// The implementation of `ipmb::TypeUuid` for `input`.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ipmb = options::crate_path(&input.attrs)?;
    let bytes = uuid_of(input)?;
    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #ipmb::__private::type_uuid::TypeUuid for #name #type_generics #where_clause {
            const UUID: [u8; 16] = [#(#bytes),*];
        }
    })
}

fn uuid_of(input: &DeriveInput) -> Result<[u8; 16]> {
    let mut found = None;
    for attribute in input.attrs.iter().filter(|it| it.path().is_ident("uuid")) {
        if found.is_some() {
            return Err(Error::new_spanned(
                attribute,
                "a type has one UUID; remove this one",
            ));
        }
        found = Some(parse(&attribute.meta)?);
    }
    found.ok_or_else(|| Error::new_spanned(&input.ident, format!("no UUID: {FORM}")))
}

fn parse(meta: &Meta) -> Result<[u8; 16]> {
    let Meta::NameValue(pair) = meta else {
        return Err(Error::new_spanned(meta, format!("no UUID: {FORM}")));
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(text),
        ..
    }) = &pair.value
    else {
        return Err(Error::new_spanned(
            &pair.value,
            format!("not a string: {FORM}"),
        ));
    };
    uuid::parse(&text.value())
        .ok_or_else(|| Error::new_spanned(text, format!("not a UUID: {FORM}")))
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::{DeriveInput, parse_quote};

    use super::expand;

    fn error_of(input: DeriveInput) -> String {
        expand(&input).expect_err("a compile error").to_string()
    }

    #[test]
    fn implements_the_trait() {
        let input = parse_quote! {
            #[uuid = "7b07473e-9659-4d47-a502-8245d71c0078"]
            struct Position { x: f64 }
        };
        let expected = quote! {
            #[automatically_derived]
            impl ::ipmb::__private::type_uuid::TypeUuid for Position {
                const UUID: [u8; 16] = [
                    123u8, 7u8, 71u8, 62u8, 150u8, 89u8, 77u8, 71u8,
                    165u8, 2u8, 130u8, 69u8, 215u8, 28u8, 0u8, 120u8
                ];
            }
        };
        assert_eq!(expand(&input).unwrap().to_string(), expected.to_string());
    }

    #[test]
    fn carries_generics_and_the_crate_path() {
        let input = parse_quote! {
            #[uuid = "7b07473e96594d47a5028245d71c0078"]
            #[ipmb(crate = "bus")]
            enum Either<'a, L: Clone, const N: usize> where L: Copy { Left(&'a L), Right([u8; N]) }
        };
        let expanded = expand(&input).unwrap().to_string();
        let header = quote! {
            impl<'a, L: Clone, const N: usize> bus::__private::type_uuid::TypeUuid
                for Either<'a, L, N> where L: Copy
        };
        assert!(expanded.contains(&header.to_string()), "{expanded}");
    }

    #[test]
    fn says_what_is_wrong_with_the_attribute() {
        let missing = error_of(parse_quote! { struct S; });
        assert!(
            missing.starts_with("no UUID: write `#[uuid = "),
            "{missing}"
        );
        let list = error_of(parse_quote! { #[uuid("x")] struct S; });
        assert!(list.starts_with("no UUID: "), "{list}");
        let number = error_of(parse_quote! { #[uuid = 7] struct S; });
        assert!(number.starts_with("not a string: "), "{number}");
        let garbage = error_of(parse_quote! { #[uuid = "garbage"] struct S; });
        assert!(garbage.starts_with("not a UUID: "), "{garbage}");
        let twice = error_of(parse_quote! {
            #[uuid = "7b07473e96594d47a5028245d71c0078"]
            #[uuid = "7b07473e96594d47a5028245d71c0078"]
            struct S;
        });
        assert_eq!(twice, "a type has one UUID; remove this one");
    }
}
