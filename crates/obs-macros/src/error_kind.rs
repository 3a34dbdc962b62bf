//! `#[derive(ErrorKind)]`: an error's type and severity from the variants of an enum.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Variant};

pub(crate) fn derive(input: &DeriveInput) -> Result<Tokens> {
    let Data::Enum(data) = &input.data else {
        let message = "ErrorKind is derived for enums, whose variants are the kinds; implement the trait for other types";
        return Err(Error::new_spanned(&input.ident, message));
    };
    if data.variants.is_empty() {
        let message = "an enum without variants has no kinds of error";
        return Err(Error::new_spanned(&input.ident, message));
    }
    let arms = data.variants.iter().map(arms).collect::<Result<Vec<_>>>()?;
    let types = arms.iter().map(|arm| &arm.error_type);
    let severities = arms.iter().map(|arm| &arm.severity);
    let name = &input.ident;
    let (generics, of, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::obs_core::ErrorKind for #name #of #bounds {
            fn error_type(&self) -> &'static str {
                match self { #(#types,)* }
            }

            fn severity(&self) -> ::obs_core::Severity {
                match self { #(#severities,)* }
            }
        }
    })
}

/// A variant's arms in the two functions.
struct Arms {
    error_type: Tokens,
    severity: Tokens,
}

fn arms(variant: &Variant) -> Result<Arms> {
    let options = Options::of(variant)?;
    let ident = &variant.ident;
    if options.inner {
        let (pattern, inner) = inner_of(variant)?;
        return Ok(Arms {
            error_type: quote!(#pattern => ::obs_core::ErrorKind::error_type(#inner)),
            severity: quote!(#pattern => ::obs_core::ErrorKind::severity(#inner)),
        });
    }
    let error_type = options
        .name
        .unwrap_or_else(|| snake_case(&ident.to_string()));
    let severity = options
        .severity
        .unwrap_or_else(|| Ident::new("Error", ident.span()));
    Ok(Arms {
        error_type: quote!(Self::#ident { .. } => #error_type),
        severity: quote!(Self::#ident { .. } => ::obs_core::Severity::#severity),
    })
}

#[derive(Default)]
struct Options {
    name: Option<String>,
    severity: Option<Ident>,
    inner: bool,
}

impl Options {
    fn of(variant: &Variant) -> Result<Self> {
        let mut options = Self::default();
        for attribute in variant
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("error_kind"))
        {
            attribute.parse_nested_meta(|option| {
                if option.path.is_ident("inner") {
                    options.inner = true;
                } else if option.path.is_ident("name") {
                    options.name = Some(name(&option.value()?.parse()?)?);
                } else if option.path.is_ident("severity") {
                    options.severity = Some(severity(&option.value()?.parse()?)?);
                } else {
                    return Err(option
                        .error("the options are `name = \"…\"`, `severity = \"…\"` and `inner`"));
                }
                Ok(())
            })?;
        }
        if options.inner && (options.name.is_some() || options.severity.is_some()) {
            let message =
                "`inner` asks the error within for its name and severity; leave the others out";
            return Err(Error::new_spanned(variant, message));
        }
        Ok(options)
    }
}

fn name(text: &LitStr) -> Result<String> {
    let value = text.value();
    let fits = !value.is_empty()
        && value
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if fits {
        Ok(value)
    } else {
        Err(Error::new_spanned(
            text,
            "a name is lower-case letters, digits and underscores",
        ))
    }
}

fn severity(text: &LitStr) -> Result<Ident> {
    let variant = match text.value().as_str() {
        "warning" => "Warning",
        "error" => "Error",
        "critical" => "Critical",
        _ => {
            return Err(Error::new_spanned(
                text,
                "a severity is `warning`, `error` or `critical`",
            ));
        }
    };
    Ok(Ident::new(variant, text.span()))
}

/// The pattern that takes out what a variant holds, and its name there.
fn inner_of(variant: &Variant) -> Result<(Tokens, Tokens)> {
    let ident = &variant.ident;
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            Ok((quote!(Self::#ident(inner)), quote!(inner)))
        }
        Fields::Named(fields) if fields.named.len() == 1 => {
            let field = fields.named.iter().filter_map(|field| field.ident.as_ref());
            Ok((quote!(Self::#ident { #(#field: inner),* }), quote!(inner)))
        }
        _ => Err(Error::new_spanned(
            variant,
            "`inner` needs a variant that holds one error and nothing else",
        )),
    }
}

/// `ConnectionLost` as `connection_lost`; a run of capitals is one word, as in `TLSError`.
fn snake_case(camel: &str) -> String {
    let letters: Vec<char> = camel.trim_start_matches("r#").chars().collect();
    let mut snake = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let starts_word = letter.is_uppercase()
            && i > 0
            && (!letters[i - 1].is_uppercase()
                || letters.get(i + 1).is_some_and(|next| next.is_lowercase()));
        if starts_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn names_become_snake_case() {
        for (camel, snake) in [
            ("Refused", "refused"),
            ("ConnectionLost", "connection_lost"),
            ("TLSError", "tls_error"),
            ("Http2", "http2"),
        ] {
            assert_eq!(snake_case(camel), snake);
        }
    }
}
