//! The macros of `obs-core`: `#[track_duration]`, `#[track_calls]` and `#[derive(ErrorKind)]`. Use them from there.
//!
//! ```
//! #[obs_core::track_duration]
//! #[obs_core::track_calls]
//! async fn refresh(symbol: &str) -> Result<f64, String> {
//!     Err(format!("no quote for {symbol}"))
//! }
//!
//! #[obs_core::track_duration(name = "pricing::mid")]
//! fn mid(bid: f64, ask: f64) -> f64 {
//!     (bid + ask) / 2.0
//! }
//! # fn main() { let _ = (refresh("AAPL"), mid(1.0, 2.0)); }
//! ```

mod error_kind;

use proc_macro::TokenStream;
use proc_macro2::{Span, TokenStream as Tokens};
use quote::quote;
use syn::{Error, ItemFn, LitStr, Result, ReturnType, Type, parse_macro_input};

/// Measures how long a function takes in `function_duration_seconds{function, outcome}`.
///
/// Works on functions and methods, `async` or not, generic or not. The outcome is `ok`; `error` where an `Err` is
/// returned; `panicked`; and `cancelled` where an `async` function is dropped before its end. The label `function` is the
/// path of the function, `module::name`; `#[track_duration(name = "…")]` gives another, which methods want because the
/// macro cannot see their type. The time of an `async fn` begins with its first poll.
#[proc_macro_attribute]
pub fn track_duration(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, &quote!(DurationSite))
}

/// Counts a function's calls in `function_calls_total{function, outcome}`, and those under way in
/// `function_calls_in_flight{function}`.
///
/// What holds for [`macro@track_duration`] holds here; the two may stand on one function.
#[proc_macro_attribute]
pub fn track_calls(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, &quote!(CallSite))
}

/// Tells what kind of error each variant of an enum is, for `errors_total{component, error_type, severity}`.
///
/// See the trait `obs_core::ErrorKind`, which it implements.
#[proc_macro_derive(ErrorKind, attributes(error_kind))]
pub fn error_kind(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as syn::DeriveInput);
    error_kind::derive(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(options: TokenStream, item: TokenStream, site: &Tokens) -> TokenStream {
    let mut name = None;
    let options_parser = syn::meta::parser(|option| {
        if option.path.is_ident("name") {
            name = Some(option.value()?.parse::<LitStr>()?);
            Ok(())
        } else {
            Err(option
                .error("the only option is `name = \"…\"`, the value of the label `function`"))
        }
    });
    parse_macro_input!(options with options_parser);
    let function = parse_macro_input!(item as ItemFn);
    instrument(function, name.as_ref(), site)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn instrument(function: ItemFn, name: Option<&LitStr>, site: &Tokens) -> Result<Tokens> {
    if let Some(constant) = function.sig.constness {
        let message = "a `const fn` cannot be measured: it may run in the compiler; take `const` or the attribute away";
        return Err(Error::new_spanned(constant, message));
    }
    if name.is_some_and(|name| name.value().is_empty()) {
        return Err(Error::new(
            Span::call_site(),
            "the label `function` needs a name that is not empty",
        ));
    }
    let ItemFn {
        attrs,
        vis,
        modifiers,
        sig,
        block,
    } = function;
    // What Rust's functions do not have yet would be lost.
    modifiers.require_empty()?;
    let label = if let Some(name) = name {
        quote!(#name)
    } else {
        let own = sig.ident.to_string();
        quote!(concat!(module_path!(), "::", #own))
    };
    // `impl Trait` may not be written as the type of a closure or a variable; there inference has to do.
    let returns = match &sig.output {
        ReturnType::Default => Some(quote!(())),
        ReturnType::Type(_, of) if mentions_impl(of) => None,
        ReturnType::Type(_, of) => Some(quote!(#of)),
    };
    let (typed, arrow) = match &returns {
        Some(of) => (quote!(: #of), quote!(-> #of)),
        None => (quote!(), quote!()),
    };
    let work = if sig.asyncness.is_some() {
        quote!(async move #block.await)
    } else {
        quote!(::obs_core::__private::call(move || #arrow #block))
    };
    // Whether the two lints fire depends on what the function returns, so they can only be allowed, not expected.
    Ok(quote! {
        #(#attrs)*
        #[allow(clippy::let_unit_value)]
        #vis #sig {
            static SITE: ::obs_core::__private::#site = ::obs_core::__private::#site::new(#label);
            let timer = SITE.start();
            let returned #typed = #work;
            let outcome = {
                #[allow(unused_imports)]
                use ::obs_core::__private::OutcomeOfAny as _;
                ::obs_core::__private::OutcomeOfResult(&returned).outcome()
            };
            timer.finish(outcome);
            returned
        }
    })
}

/// Whether `impl` stands anywhere in a type.
fn mentions_impl(of: &Type) -> bool {
    fn has_impl(tokens: Tokens) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(word) => word == "impl",
            proc_macro2::TokenTree::Group(group) => has_impl(group.stream()),
            _ => false,
        })
    }
    has_impl(quote!(#of))
}

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
