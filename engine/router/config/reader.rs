//! From the tree to the model, past every mistake: each is noted at its place, what is wrong is
//! left out, and the rest is read.

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::config::problem::Problem;
use crate::config::schema;
use crate::config::tree::{Entry, KeyPath, Node, Value, below};
use crate::config::wrong::{ReadError, What, choice, missing};

/// What could be read, and what could not.
#[derive(Debug)]
pub struct Reading<T> {
    /// Without the parts that have problems; `None` if nothing could be read at all.
    pub model: Option<T>,
    /// The tree the model was read from, without those parts.
    pub tree: Node,
    pub problems: Vec<Problem>,
}

/// More mistakes than anybody wants to see at once.
const ENOUGH: usize = 200;

/// Reads the model, leaving out each part that is wrong until the rest is right.
pub fn read<T: DeserializeOwned>(mut tree: Node) -> Reading<T> {
    let mut problems = Vec::new();
    // Keys that were there but wrong, or that a slip of the pen probably meant: that they are
    // missing now is not a second problem.
    let mut excused: Vec<Vec<String>> = Vec::new();
    for _ in 0..ENOUGH {
        let wrong = match T::deserialize(At(&tree)) {
            Ok(model) => return Reading { model: Some(model), tree, problems },
            Err(wrong) => wrong,
        };
        let path = wrong.path();
        match &wrong.what {
            What::Missing { key, of } => {
                let absent = absent(&tree, &path, key, *of);
                let new = absent.iter().filter(|key| !excused.contains(&below(&path, key)));
                problems.extend(new.map(|key| missing(&tree, &path, key)));
            }
            _ if emptied(&path, &tree, &excused) => {}
            _ => problems.push(wrong.problem(&tree, &path)),
        }
        if let What::UnknownKey { meant: Some(meant), .. } = &wrong.what
            && let Some((_, parent)) = path.split_last()
        {
            excused.push(below(parent, meant));
        }
        if !tree.remove(&path) {
            break;
        }
        excused.push(path);
    }
    Reading { model: None, tree, problems }
}

/// Every key that a part must have and has not; serde names only the first of them.
fn absent(tree: &Node, path: &KeyPath, first: &str, of: Option<&str>) -> Vec<String> {
    let there = tree.get(path).map_or(&[][..], Node::entries);
    let mut absent = of.map(schema::required).unwrap_or_default();
    absent.retain(|key| !there.iter().any(|entry| entry.key == *key));
    if absent.is_empty() { vec![first.to_owned()] } else { absent }
}

/// Whether a part has nothing in it only because what was in it was wrong.
fn emptied(path: &KeyPath, tree: &Node, excused: &[Vec<String>]) -> bool {
    let empty = tree.get(path).is_some_and(|node| node.value == Value::Map(Vec::new()));
    empty && excused.iter().any(|key| key.len() == path.len() + 1 && key.starts_with(path))
}

/// One part of the tree, to be read.
#[derive(Clone, Copy)]
struct At<'t>(&'t Node);

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
        _name: &'static str,
        variants: &'static [&'static str],
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
        _fields: &'static [&'static str],
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

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        Err(de::Error::invalid_type(Unexpected::StructVariant, &visitor))
    }
}

fn named(key: &str) -> StrDeserializer<'_, ReadError> {
    key.into_deserializer()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Config;
    use crate::config::yaml::parse;

    fn problems(text: &str) -> Vec<String> {
        let reading = read::<Config>(parse("c.yaml", text).expect("yaml"));
        reading
            .problems
            .iter()
            .map(|p| {
                format!(
                    "{}:{} {} [{}]",
                    p.line,
                    p.column,
                    p.message,
                    p.help.as_deref().unwrap_or("")
                )
            })
            .collect()
    }

    const GOOD: &str = "channels:
  pas:
    listener: { mllp: { listen: 127.0.0.1:2575 } }
    source: { organisation: RXX }
    transform: { script: pas.rhai }
";

    #[test]
    fn what_is_right_has_no_problems() {
        let reading = read::<Config>(parse("c.yaml", GOOD).expect("yaml"));
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        assert_eq!(reading.model.expect("model").channels.len(), 1);
    }

    #[test]
    fn every_mistake_is_found_at_its_own_place() {
        let text = "engine: { environment: prod, limits: { buffers: 32MB, workers: 0 } }
channels:
  pas:
    listner: { mllp: { listen: 127.0.0.1:2575 } }
    source: { organisation: RXX, zone: Europe/Lundon, test_data: yes }
    transform: { script: pas.rhai }
  lims:
    listener: { mlp: { listen: 127.0.0.1:2576 } }
    source: { preset: generic }
    transform: { script: [a] }
colour: red
";
        let found = problems(text);
        let expected = [
            "1:24 `prod` is not known here [write one of `live`, `test`, `training`]",
            "1:49 `32MB` is not a size [write a whole number and KiB, MiB or GiB, such as 32MiB]",
            "1:64 0 is out of range: wanted a whole number from 1 []",
            "4:5 unknown key `listner` [did you mean `listener`?]",
            "5:40 `Europe/Lundon` is not a time zone [write a name of the IANA database, such as Europe/London]",
            "5:66 `yes` is not true or false []",
            "8:17 `mlp` is not known here [did you mean `mllp`?]",
            "9:5 `source` has no `organisation` [add `organisation:` with its value]",
            "10:26 wanted a text, found a list []",
            "11:1 unknown key `colour` [did you mean",
        ];
        for wanted in expected.iter().take(9) {
            assert!(found.iter().any(|found| found == wanted), "{wanted}\nnot in {found:#?}");
        }
        assert!(found.iter().any(|found| found.starts_with("11:1 unknown key `colour`")));
        assert_eq!(found.len(), 10, "{found:#?}");
    }

    #[test]
    fn all_that_is_missing_is_said_but_not_what_is_there_and_wrong() {
        let found = problems("channels: { pas: { listener: 5 } }\n");
        let expected = [
            "1:30 `5` is not known here [write `mllp`]",
            "1:13 `pas` has no `source` [add `source:` with its value]",
            "1:13 `pas` has no `transform` [add `transform:` with its value]",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_enum_takes_one_key() {
        let text = GOOD.replace("{ mllp: {", "{ mllp: {}, http: {");
        assert_eq!(problems(&text), ["3:15 wanted exactly one key [write `mllp`]"]);
    }

    #[test]
    fn a_password_is_refused_and_never_quoted() {
        let text = format!(
            "broker: {{ amqp: {{ url: \"amqp://t:hunter2@r/\", password: hunter2 }} }}\n{GOOD}"
        );
        let found = problems(&text);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(!found.concat().contains("hunter2"));
    }

    #[test]
    fn nothing_where_something_is_wanted_says_so() {
        let found = problems(&format!("include:\n{GOOD}"));
        assert!(found[0].contains("wanted a list, found nothing"), "{found:?}");
    }
}
