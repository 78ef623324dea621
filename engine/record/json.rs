//! JSON of events in the making.
//!
//! A message becomes hundreds of small values, nearly all with names that stand in our code. The
//! values of `serde_json` allocate and hash every name; here a name or a word of FHIR's is a
//! reference, an object is a list in the order in which people read it, and writing one costs no
//! more than its text.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Index, IndexMut};

use serde::ser::{Serialize, Serializer};
pub use serde_json::Number;

mod write;

/// A name or text: a reference where it stands in our code.
pub type Text = Cow<'static, str>;

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`; what is not there is this, too.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(Text),
    /// A list.
    Array(Vec<Value>),
    /// Members by name.
    Object(Object),
}

/// Members in the order in which they were put in, each name once.
#[derive(Clone, Debug, Default)]
pub struct Object(Vec<(Text, Value)>);

static NULL: Value = Value::Null;

impl Value {
    /// A copy of a text.
    pub fn text(text: &str) -> Self {
        Value::String(Text::Owned(text.to_owned()))
    }

    /// The member of that name of an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    /// The same to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.as_object_mut()?.get_mut(name)
    }

    /// The text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// Whether it is true.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(flag) = self { Some(*flag) } else { None }
    }

    /// The items of a list.
    pub fn as_array(&self) -> Option<&Vec<Value>> {
        if let Value::Array(items) = self { Some(items) } else { None }
    }

    /// The same to be changed.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Value>> {
        if let Value::Array(items) = self { Some(items) } else { None }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&Object> {
        if let Value::Object(members) = self { Some(members) } else { None }
    }

    /// The same to be changed.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        if let Value::Object(members) = self { Some(members) } else { None }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Value::Object(_))
    }

    /// The value; `null` stays.
    #[must_use]
    pub fn take(&mut self) -> Value {
        std::mem::take(self)
    }
}

impl Object {
    /// Without members.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Without members, and with room for so many.
    pub fn with_capacity(members: usize) -> Self {
        Self(Vec::with_capacity(members))
    }

    /// Sets a member; one of that name keeps its place and gives way.
    pub fn insert(&mut self, name: impl Into<Text>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.get_mut(&name) {
            Some(held) => *held = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets a member, if there is a value for it.
    pub fn put(&mut self, name: impl Into<Text>, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.insert(name, value);
        }
    }

    /// Members whose names are known to differ.
    pub fn of_distinct(members: Vec<(Text, Value)>) -> Self {
        Self(members)
    }

    /// The member of that name, made by `new` if there is none.
    pub fn get_or_insert_with(
        &mut self,
        name: impl Into<Text>,
        new: impl FnOnce() -> Value,
    ) -> &mut Value {
        let name = name.into();
        let at = self.0.iter().position(|(held, _)| *held == name).unwrap_or_else(|| {
            self.0.push((name, new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(held, _)| held == name).map(|(_, value)| value)
    }

    /// The same to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(held, _)| held == name).map(|(_, value)| value)
    }

    /// Whether there is a member of that name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Takes a member out; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(held, _)| held == name)?;
        Some(self.0.remove(at).1)
    }

    /// Keeps the members for which it holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().map(|(_, value)| value)
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An object of these members, in this order.
pub fn object<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    let members = members.into_iter().map(|(name, value)| (Text::Borrowed(name), value));
    Value::Object(Object(members.collect()))
}

/// A list of one item.
pub fn only(item: Value) -> Value {
    Value::Array(vec![item])
}

/// Order means nothing in JSON.
impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().all(|(name, value)| other.get(name).is_some_and(|held| held == value))
    }
}

impl Index<&str> for Value {
    type Output = Value;

    /// `null` when there is no such member.
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NULL)
    }
}

impl Index<usize> for Value {
    type Output = Value;

    /// `null` when there is no such item.
    fn index(&self, item: usize) -> &Value {
        self.as_array().and_then(|items| items.get(item)).unwrap_or(&NULL)
    }
}

impl IndexMut<&'static str> for Value {
    /// Makes the member if there is none, and an object of what is something else.
    fn index_mut(&mut self, name: &'static str) -> &mut Value {
        if !self.is_object() {
            *self = Value::Object(Object::new());
        }
        let Value::Object(members) = self else { unreachable!("made an object above") };
        members.get_or_insert_with(name, Value::default)
    }
}

impl Index<&str> for Object {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&NULL)
    }
}

impl IntoIterator for Object {
    type Item = (Text, Value);
    type IntoIter = std::vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<N: Into<Text>> FromIterator<(N, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(members: I) -> Self {
        let mut object = Object::new();
        object.extend(members);
        object
    }
}

impl<N: Into<Text>> Extend<(N, Value)> for Object {
    fn extend<I: IntoIterator<Item = (N, Value)>>(&mut self, members: I) {
        members.into_iter().for_each(|(name, value)| self.insert(name, value));
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Value::String(Text::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(Text::Owned(text))
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Bool(flag)
    }
}

macro_rules! numbers {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Value {
            fn from(number: $kind) -> Self {
                Value::Number(number.into())
            }
        }
    )*};
}

numbers!(Number, i64, u8, u16, u32, u64, usize);

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::Array(items)
    }
}

impl From<Object> for Value {
    fn from(members: Object) -> Self {
        Value::Object(members)
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(flag) => Value::Bool(*flag),
            serde_json::Value::Number(number) => Value::Number(number.clone()),
            serde_json::Value::String(text) => text.clone().into(),
            serde_json::Value::Array(items) => {
                Value::Array(items.iter().map(Value::from).collect())
            }
            serde_json::Value::Object(members) => {
                let member =
                    |(name, value): (&String, _)| (name.clone().into(), Value::from(value));
                Value::Object(Object(members.iter().map(member).collect()))
            }
        }
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(*other)
    }
}

impl PartialEq<String> for Value {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<i64> for Value {
    fn eq(&self, other: &i64) -> bool {
        matches!(self, Value::Number(number) if number.as_i64() == Some(*other))
    }
}

impl PartialEq<bool> for Value {
    fn eq(&self, other: &bool) -> bool {
        self.as_bool() == Some(*other)
    }
}

impl PartialEq<serde_json::Value> for Value {
    fn eq(&self, other: &serde_json::Value) -> bool {
        let other = Value::from(other);
        *self == other
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Number(number) => number.serialize(serializer),
            Value::String(text) => serializer.serialize_str(text),
            Value::Array(items) => serializer.collect_seq(items),
            Value::Object(members) => members.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// As JSON without blanks.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = Vec::new();
        self.write(&mut written);
        f.write_str(std::str::from_utf8(&written).map_err(|_| fmt::Error)?)
    }
}

/// A value as it is written in JSON, for tests.
#[cfg(test)]
macro_rules! json {
    ($($written:tt)+) => { $crate::json::Value::from(&serde_json::json!($($written)+)) };
}
#[cfg(test)]
pub(crate) use json;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            any::<String>().prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        /// Byte for byte what `serde_json` writes.
        #[test]
        fn a_value_is_written_as_serde_json_writes_it(value in any_value()) {
            let ours = Value::from(&value);
            prop_assert_eq!(ours.to_string(), value.to_string());
            prop_assert!(ours == value);
        }
    }

    #[test]
    fn members_keep_their_place_and_order_does_not_tell() {
        let mut members = Object::new();
        members.insert("b", 1_i64);
        members.insert("a", "x");
        members.insert("b", true);
        let value = Value::Object(members.clone());
        assert_eq!(value.to_string(), r#"{"b":true,"a":"x"}"#);
        assert_eq!(value, json!({ "a": "x", "b": true }));
        assert_ne!(value, json!({ "a": "x", "c": true }));
        assert_eq!(members.remove("b"), Some(Value::Bool(true)));
        assert_eq!(value["c"]["d"][0], Value::Null);
    }
}
