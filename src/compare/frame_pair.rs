//! A frame on both sides of a comparison. Read by differences and by failed expectations.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::frame::{self, hex};

/// A frame as it was expected and as it is, where there is one; in a record in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Sides"))]
pub struct FramePair {
    /// As expected.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "digits",
        deserialize_with = "bytes"
    )]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub expected: Option<Bytes>,
    /// As it is.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "digits",
        deserialize_with = "bytes"
    )]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub actual: Option<Bytes>,
}

impl FramePair {
    /// Of both.
    #[must_use]
    pub fn of(expected: Option<&Bytes>, actual: Option<&Bytes>) -> Self {
        Self { expected: expected.cloned(), actual: actual.cloned() }
    }

    /// Whether there is neither.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.expected.is_none() && self.actual.is_none()
    }
}

fn digits<S: Serializer>(data: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    data.as_deref().map(hex).serialize(serializer)
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
    let digits = Option::<String>::deserialize(deserializer)?;
    let bytes = digits.map(|digits| frame::parse_hex(&digits).map_err(D::Error::custom));
    Ok(bytes.transpose()?.map(Bytes::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_as_digits_and_read_back() {
        let sides = FramePair::of(Some(&Bytes::from_static(&[0, 0xff])), None);
        let text = serde_json::to_string(&sides).unwrap();
        assert_eq!(text, r#"{"expected":"00ff"}"#);
        assert_eq!(serde_json::from_str::<FramePair>(&text).unwrap(), sides);
        assert_eq!(serde_json::from_str::<FramePair>("{}").unwrap(), FramePair::default());
        assert!(serde_json::from_str::<FramePair>(r#"{"actual":"0g"}"#).is_err());
    }
}
