//! Values for scripts: a text, a whole number, or true or false.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// The settings of one channel's script, by name.
pub type Settings = BTreeMap<String, SettingValue>;

/// One value for a script. In quotes it is always a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SettingValue {
    Text(String),
    Whole(i64),
    Flag(bool),
}

impl<'de> Deserialize<'de> for SettingValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Simple;

        impl Visitor<'_> for Simple {
            type Value = SettingValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, true or false")
            }

            fn visit_str<E>(self, text: &str) -> Result<SettingValue, E> {
                Ok(SettingValue::Text(text.to_owned()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<SettingValue, E> {
                Ok(SettingValue::Whole(number))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<SettingValue, E> {
                i64::try_from(number).map(SettingValue::Whole).map_err(|_| {
                    E::custom("the number is too large\nwrite it in quotes, as a text")
                })
            }

            fn visit_bool<E>(self, flag: bool) -> Result<SettingValue, E> {
                Ok(SettingValue::Flag(flag))
            }
        }

        deserializer.deserialize_any(Simple)
    }
}

impl JsonSchema for SettingValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SettingValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One value for a script. In quotes it is always a text.",
            "type": ["string", "integer", "boolean"],
        })
    }
}
