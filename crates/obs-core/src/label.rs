//! Labels: closed sets as enums, open sets under a budget.

use std::marker::PhantomData;
use std::sync::Arc;

use metrics::SharedString;

use crate::message::Message;
use crate::{MAX_VALUE_BYTES, OTHER, rules};

/// A label: one key and what its values may be. Declared with [`label!`](crate::label!).
pub trait Label: 'static {
    /// Its key, help and values.
    const DECL: LabelDecl;
}

/// A label whose every value is known: an enum. Its axes are [`By`](crate::By) and [`Late`](crate::Late).
pub trait Closed: Label + Copy {
    /// Every value, in the order of declaration.
    const ALL: &'static [Self];

    /// The value's place in [`ALL`](Self::ALL).
    fn index(self) -> usize;

    /// The value as it is exported.
    fn as_str(self) -> &'static str;

    /// The value that is exported as `text`, if there is one. `text.parse()` does the same with an error that names the label,
    /// the text and the values it takes.
    #[must_use]
    fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|value| value.as_str() == text)
    }
}

/// A label whose values are any text, the first [`LIMIT`](Self::LIMIT) of which keep series of their own. Its axis is
/// [`Each`](crate::Each).
pub trait Open: Label {
    /// How many values keep series of their own; later ones fold into [`OTHER`].
    const LIMIT: usize;
}

/// What is known of a label before the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelDecl {
    /// The key, as in `side="buy"`.
    pub key: &'static str,
    /// The doc comment of the declaration.
    pub doc: &'static str,
    /// What values it takes.
    pub values: Values,
    /// Those of a closed label that are marked `is good`: what an [`Objective`](crate::Objective) asks for.
    pub good: &'static [&'static str],
}

/// The values of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// These and no others.
    Closed(&'static [&'static str]),
    /// Any text; this many keep series of their own.
    Open(usize),
}

impl Values {
    /// The most values a label can have in an exposition: an open one has its limit and `other`.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Closed(values) => values.len(),
            Self::Open(limit) => limit + 1,
        }
    }
}

impl LabelDecl {
    /// What is wrong with the declaration; empty when nothing is.
    #[doc(hidden)]
    #[must_use]
    pub const fn fault(&self) -> Message {
        rules::label_fault(self)
    }

    /// The help text: the doc comment's first paragraph on one line.
    #[must_use]
    pub fn help(&self) -> String {
        rules::first_paragraph(self.doc)
    }
}

/// The labels of a family as a constant linked list: slices cannot be joined in generic constants, lists can.
#[derive(Clone, Copy, Debug)]
pub struct LabelNode {
    /// This label.
    pub label: LabelDecl,
    /// The ones after it.
    pub next: Option<&'static LabelNode>,
}

/// Goes through the labels of a family.
#[derive(Clone, Debug)]
pub struct Labels(pub(crate) Option<&'static LabelNode>);

impl Iterator for Labels {
    type Item = LabelDecl;

    fn next(&mut self) -> Option<LabelDecl> {
        let node = self.0?;
        self.0 = node.next;
        Some(node.label)
    }
}

/// A value for the scope label `L`, made from what it takes: text for an open label, the enum for a closed one.
///
/// Text that is empty or longer than [`MAX_VALUE_BYTES`] becomes [`OTHER`]. Each family that is resolved with it counts that in
/// `obs_series_overflow_total`.
#[derive(Debug)]
pub struct Value<L> {
    text: SharedString,
    fold: Fold,
    label: PhantomData<fn() -> L>,
}

/// Whether a value stands for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// It is what was given.
    None,
    /// It is [`OTHER`], and the map that folded it has counted that.
    Counted,
    /// It is [`OTHER`] in place of what can name no series, which is still to be counted.
    Uncounted,
}

// Not derived: the value can be cloned whatever its label is.
impl<L> Clone for Value<L> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            fold: self.fold,
            label: PhantomData,
        }
    }
}

impl<L> Value<L> {
    /// The text as it will be exported.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn of(text: SharedString) -> Self {
        let (text, fold) = if is_nameable(&text) {
            (text, Fold::None)
        } else {
            (other(), Fold::Uncounted)
        };
        Self {
            text,
            fold,
            label: PhantomData,
        }
    }

    /// The value that all share which a map has folded and counted.
    pub(crate) const fn folded() -> Self {
        Self {
            text: other(),
            fold: Fold::Counted,
            label: PhantomData,
        }
    }
}

impl<L: Label> Value<L> {
    /// The value as [`Root::new`](crate::site::Root::new) takes it.
    #[doc(hidden)]
    #[must_use]
    pub fn into_label(self) -> ScopeLabel {
        ScopeLabel {
            label: metrics::Label::new(L::DECL.key, self.text),
            fold: self.fold,
        }
    }
}

/// A label of a scope.
#[doc(hidden)]
#[derive(Debug)]
pub struct ScopeLabel {
    pub(crate) label: metrics::Label,
    pub(crate) fold: Fold,
}

impl<L: Open> Value<L> {
    pub(crate) const fn from_static(text: &'static str) -> Self {
        Self {
            text: SharedString::const_str(text),
            fold: Fold::None,
            label: PhantomData,
        }
    }
}

impl<L: Open> From<&str> for Value<L> {
    fn from(text: &str) -> Self {
        Self::from(Arc::<str>::from(text))
    }
}

impl<L: Open> From<String> for Value<L> {
    fn from(text: String) -> Self {
        // Each family of a struct has it, and its series.
        Self::from(Arc::<str>::from(text))
    }
}

impl<L: Open> From<&String> for Value<L> {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl<L: Open> From<Arc<str>> for Value<L> {
    fn from(text: Arc<str>) -> Self {
        Self::of(SharedString::from_shared(text))
    }
}

impl<L: Closed> From<L> for Value<L> {
    fn from(value: L) -> Self {
        Self {
            text: SharedString::const_str(value.as_str()),
            fold: Fold::None,
            label: PhantomData,
        }
    }
}

/// [`OTHER`] as a label's value that costs nothing.
pub(crate) const fn other() -> SharedString {
    SharedString::const_str(OTHER)
}

/// Whether text may name a series: an empty label value means "no such label" to Prometheus.
pub(crate) fn is_nameable(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_VALUE_BYTES
}

/// Declares a label.
///
/// A *closed* label is an enum whose every value is known, so that its series exist from the start and are reached by an
/// index:
///
/// ```
/// obs_core::label! {
///     /// Buy or sell.
///     pub enum Side as "side" {
///         /// Adds to the position.
///         Buy = "buy",
///         /// Takes from it.
///         Sell = "sell",
///     }
/// }
/// use obs_core::Closed;
/// assert_eq!(Side::Buy.as_str(), "buy");
/// assert_eq!(Side::parse("sell"), Some(Side::Sell));
/// assert_eq!("sell".parse(), Ok(Side::Sell));
/// ```
///
/// It is `Display` and [`FromStr`](std::str::FromStr) as what it is exported as, with [`ParseLabelError`](crate::ParseLabelError)
/// for other text. With the feature `serde` of this crate, it is `Serialize` and `Deserialize` as the same text.
///
/// A value of which an [`objective!`](crate::objective!) is to have enough is marked: `Filled = "filled" is good`.
///
/// An *open* label takes any text, and states how many values keep series of their own. The rest fold into `other`:
///
/// ```
/// obs_core::label! {
///     /// What is traded.
///     pub open Symbol as "symbol" up to 500
/// }
/// ```
///
/// The key must be `snake_case`, and none of the reserved ones: `le`, `quantile`, `__*`, the scraper's `job` and
/// `instance`, and the global `service`, `environment` and `mode`. Anything else does not compile.
#[macro_export]
macro_rules! label {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $Name:ident as $key:literal {
            $( $(#[doc = $value_doc:literal])* $Variant:ident = $value:literal $(is $good:ident)? ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $Name {
            $(
                $(#[doc = $value_doc])*
                #[doc = concat!("\n\nExported as `", $value, "`.")]
                $Variant,
            )+
        }

        impl $crate::Label for $Name {
            const DECL: $crate::LabelDecl = $crate::LabelDecl {
                key: $key,
                doc: concat!($($doc, "\n"),*),
                values: $crate::Values::Closed(&[$($value),+]),
                good: &[$($($crate::__good!($good $value),)?)+],
            };
        }

        impl $crate::Closed for $Name {
            const ALL: &'static [Self] = &[$(Self::$Variant),+];

            fn index(self) -> usize {
                self as usize
            }

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Variant => $value,)+
                }
            }
        }

        impl ::std::fmt::Display for $Name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad($crate::Closed::as_str(*self))
            }
        }

        impl ::core::str::FromStr for $Name {
            type Err = $crate::ParseLabelError;

            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                $crate::__private::parse_label(text)
            }
        }

        $crate::__serde_label!($Name);

        $crate::__check_label!($Name);
    };
    (
        $(#[doc = $doc:literal])*
        $vis:vis open $Name:ident as $key:literal up to $limit:expr
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        $vis enum $Name {}

        impl $crate::Label for $Name {
            const DECL: $crate::LabelDecl = $crate::LabelDecl {
                key: $key,
                doc: concat!($($doc, "\n"),*),
                values: $crate::Values::Open($limit),
                good: &[],
            };
        }

        impl $crate::Open for $Name {
            const LIMIT: usize = $limit;
        }

        $crate::__check_label!($Name);
    };
}

/// A value of a label that is marked as good.
#[doc(hidden)]
#[macro_export]
macro_rules! __good {
    (good $value:literal) => {
        $value
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __check_label {
    ($Name:ident) => {
        const _: () = {
            const FAULT: $crate::__private::Message = <$Name as $crate::Label>::DECL.fault();
            assert!(FAULT.is_empty(), "{}", FAULT.as_str());
        };
    };
}
