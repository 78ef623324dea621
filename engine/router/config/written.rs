//! The habits of a value that is written as one word: read from text, print as text, describe itself.

/// Gives a type with `FromStr` (whose error's first line says what is wrong, and whose second
/// says what to write) and `Display` the traits of a configuration value.
macro_rules! written {
    ($name:ident, $description:literal, $pattern:literal, [$($example:literal),+]) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": $description,
                    "pattern": $pattern,
                    "examples": [$($example),+],
                })
            }
        }
    };
}

pub(super) use written;
