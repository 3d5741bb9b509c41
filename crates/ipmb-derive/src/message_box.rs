//! `#[derive(MessageBox)]`.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Data, DataEnum, DeriveInput, Error, Fields, GenericParam, Generics, Ident, Path, Result, Type,
    Variant, parse_quote,
};

use crate::options;

/// The implementation of `ipmb::MessageBox` for `input`.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ipmb = options::crate_path(&input.attrs)?;
    let arms = arms(input)?;
    let generics = bounded_generics(&input.generics, &ipmb, &arms);
    let distinct = distinct_uuids(&input.generics, &ipmb, &arms);

    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let variants: Vec<_> = arms.iter().map(|arm| &arm.variant.ident).collect();
    let payloads: Vec<_> = arms.iter().map(|arm| arm.payload).collect();
    let references = payloads.iter().map(|it| quote_spanned!(it.span()=> &#it));
    let uuids: Vec<_> = arms.iter().map(|arm| arm.uuid(&ipmb)).collect();

    // `decode` compares instead of matching: a constant that depends on a type parameter is no pattern.
    Ok(quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #ipmb::MessageBox for #name #type_generics #where_clause {
            fn decode(
                uuid: [u8; 16],
                data: &[u8],
            ) -> #ipmb::__private::Result<Self, #ipmb::Error> {
                #(
                    if uuid == #uuids {
                        return ::core::result::Result::Ok(
                            Self::#variants(#ipmb::decode::<#payloads>(data)?)
                        );
                    }
                )*
                ::core::result::Result::Err(#ipmb::Error::TypeUuidNotFound)
            }

            fn encode(
                &self,
            ) -> #ipmb::__private::Result<#ipmb::__private::Vec<u8>, #ipmb::Error> {
                match self {
                    #(Self::#variants(payload) => #ipmb::encode::<#references>(payload),)*
                }
            }

            fn encode_into(
                &self,
                sink: &mut #ipmb::Sink<'_>,
            ) -> #ipmb::__private::Result<(), #ipmb::Error> {
                match self {
                    #(Self::#variants(payload) => #ipmb::encode_into::<#payloads>(payload, sink),)*
                }
            }

            fn uuid(&self) -> [u8; 16] {
                match self {
                    #(Self::#variants(_) => #uuids,)*
                }
            }

            fn decode_received(
                received: #ipmb::__private::Received<'_>,
            ) -> #ipmb::__private::Result<Self, #ipmb::Error> {
                let uuid = received.uuid();
                #(
                    if uuid == #uuids {
                        return ::core::result::Result::Ok(Self::#variants(
                            <#payloads as #ipmb::MessageBox>::decode_received(received)?
                        ));
                    }
                )*
                ::core::result::Result::Err(#ipmb::Error::TypeUuidNotFound)
            }

            fn as_bytes_message(&self) -> ::core::option::Option<&#ipmb::BytesMessage> {
                match self {
                    #(Self::#variants(payload) => #ipmb::MessageBox::as_bytes_message(payload),)*
                }
            }
        }

        #distinct
    })
}

/// One variant that has the right shape.
struct Arm<'a> {
    variant: &'a Variant,
    payload: &'a Type,
}

impl Arm<'_> {
    /// The payload's UUID; if there is none, the compiler says so at the payload type.
    fn uuid(&self, ipmb: &Path) -> TokenStream {
        let payload = self.payload;
        quote_spanned! {payload.span()=>
            <#payload as #ipmb::__private::type_uuid::TypeUuid>::UUID
        }
    }

    /// Whether the payload type depends on one of `names`.
    fn mentions(&self, names: &HashSet<&Ident>) -> bool {
        mentions(self.payload.to_token_stream(), names)
    }
}

/// The variants, or an error for each that has the wrong shape.
fn arms(input: &DeriveInput) -> Result<Vec<Arm<'_>>> {
    let mut errors = Errors::default();
    for parameter in &input.generics.params {
        if let GenericParam::Lifetime(lifetime) = parameter {
            errors.push(Error::new_spanned(
                lifetime,
                "a message box owns what it carries: it cannot have a lifetime parameter",
            ));
        }
    }
    let arms = match &input.data {
        Data::Enum(data) if !data.variants.is_empty() => enum_arms(data, &mut errors),
        Data::Enum(_) => {
            errors.push(Error::new_spanned(
                &input.ident,
                "a message box needs at least one variant: `Name(PayloadType)`",
            ));
            Vec::new()
        }
        Data::Struct(_) | Data::Union(_) => {
            errors.push(Error::new_spanned(
                &input.ident,
                "only an enum can be a message box; a single message type needs none: \
                 derive `TypeUuid`, `Serialize` and `Deserialize` for it and send it as it is",
            ));
            Vec::new()
        }
    };
    errors.into_result().map(|()| arms)
}

fn enum_arms<'a>(data: &'a DataEnum, errors: &mut Errors) -> Vec<Arm<'a>> {
    let mut seen = HashSet::new();
    let mut arms = Vec::new();
    for variant in &data.variants {
        match payload(variant) {
            Ok(payload) if seen.insert(payload.to_token_stream().to_string()) => {
                arms.push(Arm { variant, payload });
            }
            Ok(_) => errors.push(Error::new_spanned(
                &variant.ident,
                "an earlier variant has this payload type already: a receiver could not tell them apart",
            )),
            Err(error) => errors.push(error),
        }
    }
    arms
}

/// The type of a variant's only field.
fn payload(variant: &Variant) -> Result<&Type> {
    let found = match &variant.fields {
        Fields::Unnamed(fields) => match fields.unnamed.first() {
            Some(field) if fields.unnamed.len() == 1 => return Ok(&field.ty),
            Some(_) => "several fields",
            None => "none",
        },
        Fields::Named(_) => "named fields",
        Fields::Unit => "none",
    };
    let name = &variant.ident;
    Err(Error::new_spanned(
        name,
        format!(
            "a variant of a message box has one unnamed field, this one has {found}: write `{name}(PayloadType)`"
        ),
    ))
}

/// The names on which a payload type can depend without being known where the enum is declared.
fn parameters(generics: &Generics) -> impl Iterator<Item = &Ident> {
    let types = generics.type_params().map(|it| &it.ident);
    types.chain(generics.const_params().map(|it| &it.ident))
}

/// Demands of each payload that depends on a parameter what `ipmb` demands of all payloads. For the
/// others the compiler checks it at the use, where its message is clearer.
fn bounded_generics(generics: &Generics, ipmb: &Path, arms: &[Arm<'_>]) -> Generics {
    let names = parameters(generics).collect();
    let mut bounded = generics.clone();
    let predicates = &mut bounded.make_where_clause().predicates;
    for parameter in generics.type_params().map(|it| &it.ident) {
        predicates.push(parse_quote!(#parameter: 'static));
    }
    for arm in arms.iter().filter(|it| it.mentions(&names)) {
        let payload = arm.payload;
        predicates.push(parse_quote! {
            #payload: #ipmb::__private::type_uuid::TypeUuid
                + #ipmb::__private::serde::Serialize
                + #ipmb::__private::serde::de::DeserializeOwned
                + ::core::marker::Send
        });
    }
    bounded
}

/// A check, run by the compiler, that no two payload types share a UUID.
fn distinct_uuids(generics: &Generics, ipmb: &Path, arms: &[Arm<'_>]) -> TokenStream {
    let receiver = Ident::new("Self", Span::call_site());
    let names = parameters(generics).chain([&receiver]).collect();
    let known: Vec<_> = arms.iter().filter(|it| !it.mentions(&names)).collect();
    let checks = known.iter().enumerate().skip(1).map(|(index, arm)| {
        quote_spanned! {arm.variant.ident.span()=>
            const _: () = ::core::assert!(
                is_first(#index),
                "an earlier variant's payload type has the same UUID: give each type its own",
            );
        }
    });
    let count = known.len();
    if count < 2 {
        return TokenStream::new();
    }
    let uuids = known.iter().map(|arm| arm.uuid(ipmb));
    quote! {
        #[allow(deprecated)]
        const _: () = {
            const UUIDS: [[u8; 16]; #count] = [#(#uuids),*];
            const fn is_first(index: usize) -> bool {
                let mut earlier = 0;
                while earlier < index {
                    if u128::from_ne_bytes(UUIDS[earlier]) == u128::from_ne_bytes(UUIDS[index]) {
                        return false;
                    }
                    earlier += 1;
                }
                true
            }
            #(#checks)*
        };
    }
}

fn mentions(tokens: TokenStream, names: &HashSet<&Ident>) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Collects errors, so that one compilation shows all of them.
#[derive(Default)]
struct Errors(Option<Error>);

impl Errors {
    fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn into_result(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
