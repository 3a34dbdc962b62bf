//! Keeps a closed label by the word it is exported as: `#[serde(with = "crate::word")]`.

use std::borrow::Cow;

use obs_core::Closed;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

pub(crate) fn serialize<L: Closed, S: Serializer>(
    label: &L,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(label.as_str())
}

pub(crate) fn deserialize<'de, L: Closed, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<L, D::Error> {
    let word = Cow::<str>::deserialize(deserializer)?;
    L::parse(&word).ok_or_else(|| {
        let known: Vec<_> = L::ALL.iter().map(|label| label.as_str()).collect();
        Error::custom(format!(
            "`{word}` is no {}; it is one of {}",
            L::DECL.key,
            known.join(", ")
        ))
    })
}
