//! Closed labels from text, and through serde.

use crate::{Closed, Label, Values};

/// Text that is no value of a closed label.
///
/// ```
/// use obs_core::Severity;
///
/// let error = "eror".parse::<Severity>().unwrap_err();
/// assert_eq!(error.label(), "severity");
/// assert_eq!(error.nearest(), Some("error"));
/// assert_eq!(
///     error.to_string(),
///     "\"eror\" is no value of `severity`: use one of `warning`, `error`, `critical`; did you mean `error`?"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no value of `{label}`: use one of {}{}", listed(.values), suggested(self.nearest()))]
pub struct ParseLabelError {
    label: &'static str,
    given: String,
    values: &'static [&'static str],
}

impl ParseLabelError {
    fn of<L: Label>(given: &str) -> Self {
        let values = match L::DECL.values {
            Values::Closed(values) => values,
            Values::Open(_) => &[],
        };
        Self {
            label: L::DECL.key,
            given: given.to_owned(),
            values,
        }
    }

    /// The key of the label, such as `side`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// The text that is no value of it.
    #[must_use]
    pub fn given(&self) -> &str {
        &self.given
    }

    /// Every value the label takes, in the order of declaration.
    #[must_use]
    pub fn values(&self) -> &'static [&'static str] {
        self.values
    }

    /// The value that was probably meant: the first of those with the fewest edits (Damerau–Levenshtein) from the text, in
    /// whatever case it is written. None if that takes more edits than a third of the value's length, or than one.
    #[must_use]
    pub fn nearest(&self) -> Option<&'static str> {
        // Longer text is never within reach, and comparing takes time with the product of the lengths.
        let given = (self.given.len() <= crate::MAX_VALUE_BYTES)
            .then(|| self.given.to_ascii_lowercase())?;
        let near = |value: &'static str| {
            let edits = strsim::damerau_levenshtein(&given, value);
            (edits <= (value.len() / 3).max(1)).then_some((edits, value))
        };
        let nearest = self.values.iter().copied().filter_map(near);
        nearest
            .min_by_key(|(edits, _)| *edits)
            .map(|(_, value)| value)
    }
}

fn listed(values: &[&str]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
    quoted.join(", ")
}

fn suggested(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |value| format!("; did you mean `{value}`?"))
}

/// What `FromStr` of a [`label!`](crate::label!) enum does.
#[doc(hidden)]
pub fn parse_label<L: Closed>(text: &str) -> Result<L, ParseLabelError> {
    L::parse(text).ok_or_else(|| ParseLabelError::of::<L>(text))
}

/// What `Deserialize` of a [`label!`](crate::label!) enum does.
#[cfg(feature = "serde")]
#[doc(hidden)]
pub fn deserialize_label<'de, L, D>(deserializer: D) -> Result<L, D::Error>
where
    L: Closed,
    D: serde_core::Deserializer<'de>,
{
    struct Visitor<L>(std::marker::PhantomData<L>);

    impl<L: Closed> serde_core::de::Visitor<'_> for Visitor<L> {
        type Value = L;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a value of `{}`", L::DECL.key)
        }

        fn visit_str<E: serde_core::de::Error>(self, text: &str) -> Result<L, E> {
            parse_label(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Visitor(std::marker::PhantomData))
}

/// Implements serde's traits for a label's enum. A `cfg` in what `label!` expands to would ask for a feature of the crate that
/// declares the label, so that the choice is made here.
#[cfg(feature = "serde")]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_label {
    ($Name:ident) => {
        impl $crate::__private::serde::Serialize for $Name {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::Closed::as_str(*self))
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $Name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::__private::deserialize_label(deserializer)
            }
        }
    };
}

/// Without the feature `serde` there is nothing to implement.
#[cfg(not(feature = "serde"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __serde_label {
    ($Name:ident) => {};
}
