//! Keeps a number that may be undefined: `NaN` is `null` in JSON, which has none. `#[serde(with = "crate::undefined")]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Some(*number)
        .filter(|number| number.is_finite())
        .serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

pub(crate) const fn undefined() -> f64 {
    f64::NAN
}
