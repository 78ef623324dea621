//! One part of the tree as serde sees it: texts as they were written, typed only when asked.

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::config::tree::{Entry, Node, Value};
use crate::config::wrong::{ReadError, What, choice};

/// Keys or variants, as serde lists them.
type Keys = &'static [&'static str];

/// One part of the tree, to be read.
#[derive(Clone, Copy)]
pub(super) struct At<'t>(pub(super) &'t Node);

impl<'t> At<'t> {
    fn unexpected(self) -> Unexpected<'t> {
        match &self.0.value {
            Value::Null => Unexpected::Unit,
            Value::Text { text, .. } => Unexpected::Str(text),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Some(text) = self.0.text() else {
            return Err(de::Error::invalid_type(self.unexpected(), &visitor));
        };
        match (text.parse::<u64>(), text.parse::<i64>()) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ => Err(de::Error::custom(format_args!("`{text}` is not a whole number"))),
        }
    }
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Text { text, plain: true } => match text.to_ascii_lowercase().as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() => {
                    self.number(visitor)
                }
                _ => visitor.visit_str(text),
            },
            Value::Text { text, plain: false } => visitor.visit_str(text),
            Value::List(nodes) => visitor.visit_seq(InList { nodes, at: 0 }),
            Value::Map(entries) => visitor.visit_map(InMap { entries, at: 0 }),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0.text().map(str::to_ascii_lowercase).as_deref() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            Some(text) => Err(de::Error::custom(format_args!("`{text}` is not true or false"))),
            None => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.number(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0.text() {
            Some(text) => visitor.visit_str(text),
            None => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.0.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: Keys,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.0.value {
            Value::Text { text, .. } => visitor.visit_enum(Chosen { key: text, node: None }),
            Value::Map(entries) => {
                if let [Entry { key, node, .. }] = entries.as_slice() {
                    return visitor.visit_enum(Chosen { key, node: Some(node) });
                }
                let help = choice(None, variants);
                Err(de::Error::custom(format_args!("wanted exactly one key\n{help}")))
            }
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: Keys,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_any(visitor).map_err(|wrong| wrong.of(name))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

struct InList<'t> {
    nodes: &'t [Node],
    at: usize,
}

impl<'de> SeqAccess<'de> for InList<'_> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ReadError> {
        let Some(node) = self.nodes.get(self.at) else { return Ok(None) };
        self.at += 1;
        seed.deserialize(At(node)).map(Some).map_err(|wrong| wrong.inside(self.at.to_string()))
    }
}

struct InMap<'t> {
    entries: &'t [Entry],
    at: usize,
}

impl<'de> MapAccess<'de> for InMap<'_> {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ReadError> {
        let Some(Entry { key, .. }) = self.entries.get(self.at) else { return Ok(None) };
        let read: Result<_, ReadError> = seed.deserialize(named(key));
        read.map(Some).map_err(|wrong| match wrong.what {
            // Of the keys of an enum only one can be: without it the whole is wrong.
            What::UnknownVariant { .. } => wrong,
            _ => wrong.inside(key),
        })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let Some(Entry { key, node, .. }) = self.entries.get(self.at) else {
            return Err(de::Error::custom("a key without a value"));
        };
        self.at += 1;
        seed.deserialize(At(node)).map_err(|wrong| wrong.inside(key))
    }
}

struct Chosen<'t> {
    key: &'t str,
    node: Option<&'t Node>,
}

impl<'de, 't> EnumAccess<'de> for Chosen<'t> {
    type Error = ReadError;
    type Variant = Chosen<'t>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Chosen<'t>), ReadError> {
        Ok((seed.deserialize(named(self.key))?, self))
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.node {
            None => Ok(()),
            Some(_) => Err(de::Error::custom(format_args!("`{}` takes no value", self.key))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        match self.node {
            Some(node) => seed.deserialize(At(node)).map_err(|wrong| wrong.inside(self.key)),
            None => Err(de::Error::custom(format_args!(
                "`{0}` needs a value\nwrite `{{ {0}: ... }}`",
                self.key
            ))),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        Err(de::Error::invalid_type(Unexpected::TupleVariant, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: Keys, visitor: V) -> Result<V::Value, ReadError> {
        Err(de::Error::invalid_type(Unexpected::StructVariant, &visitor))
    }
}

fn named(key: &str) -> StrDeserializer<'_, ReadError> {
    key.into_deserializer()
}
