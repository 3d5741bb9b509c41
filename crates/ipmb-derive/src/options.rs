//! `#[ipmb(…)]` on the item that is derived for.

use syn::{Attribute, Error, LitStr, Path, Result, parse_quote};

/// The path at which the expansion finds `ipmb`: `#[ipmb(crate = "…")]`, else `::ipmb`.
pub(crate) fn crate_path(attributes: &[Attribute]) -> Result<Path> {
    let mut path = None;
    for attribute in attributes.iter().filter(|it| it.path().is_ident("ipmb")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("unknown option; there is `crate = \"path::to::ipmb\"`"));
            }
            if path.is_some() {
                return Err(meta.error("`crate` is given twice"));
            }
            let text: LitStr = meta.value()?.parse()?;
            let not_a_path = |_| Error::new_spanned(&text, "not a path, as `bus` or `crate::bus`");
            path = Some(text.parse().map_err(not_a_path)?);
            Ok(())
        })?;
    }
    Ok(path.unwrap_or_else(|| parse_quote!(::ipmb)))
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};
    use syn::{DeriveInput, parse_quote};

    use super::crate_path;

    fn path_of(input: &DeriveInput) -> String {
        match crate_path(&input.attrs) {
            Ok(path) => path.into_token_stream().to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn defaults_to_the_absolute_path() {
        let input = parse_quote! { #[other(crate = "x")] struct S; };
        assert_eq!(path_of(&input), quote!(::ipmb).to_string());
    }

    #[test]
    fn takes_the_path_given() {
        let input = parse_quote! { #[ipmb(crate = "bus::v9")] struct S; };
        assert_eq!(path_of(&input), quote!(bus::v9).to_string());
        let input = parse_quote! { #[ipmb(crate = "crate")] struct S; };
        assert_eq!(path_of(&input), "crate");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let input = parse_quote! { #[ipmb(krate = "x")] struct S; };
        assert!(path_of(&input).starts_with("error: unknown option"));
        let input = parse_quote! { #[ipmb(crate = "x", crate = "y")] struct S; };
        assert_eq!(path_of(&input), "error: `crate` is given twice");
        let input = parse_quote! { #[ipmb(crate = "not a path")] struct S; };
        assert!(path_of(&input).starts_with("error: not a path"));
        let input = parse_quote! { #[ipmb(crate = 1)] struct S; };
        assert!(path_of(&input).starts_with("error: "));
    }
}
