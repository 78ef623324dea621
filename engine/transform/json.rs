//! Between Rhai's values and JSON.

use std::fmt;

use record::json::{Number, Object, Text, Value};
use rhai::{Dynamic, EvalAltResult, ImmutableString, Map};

use crate::null::Null;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// A script value as JSON. `()` in a map or list is left out, as absence means "no change"; an HL7
/// null, a function or a part of the message is an error that names its type.
pub(crate) fn from_dynamic(value: &Dynamic) -> Fallible<Value> {
    Reader::without_nulls().read(value)?.ok_or_else(|| NO_NULL.into())
}

/// A script map as a JSON object, in the order of its keys.
pub(crate) fn from_map(map: &Map) -> Fallible<Value> {
    Reader::without_nulls().object(map)
}

/// A script map as a JSON object without its HL7 nulls, and their paths, each behind `root`.
pub(crate) fn from_map_noting_nulls(map: &Map, root: &str) -> Fallible<(Value, Vec<String>)> {
    let mut reader = Reader { path: root.to_owned(), nulls: Some(Vec::new()) };
    let object = reader.object(map)?;
    Ok((object, reader.nulls.unwrap_or_default()))
}

const NO_NULL: &str = "an HL7 null cannot stand here; set it by path on a resource";

/// Reads script values; knows where it is when nulls are to be noted.
struct Reader {
    path: String,
    nulls: Option<Vec<String>>,
}

impl Reader {
    fn without_nulls() -> Self {
        Self { path: String::new(), nulls: None }
    }

    /// `None` for an HL7 null, which is noted.
    fn read(&mut self, value: &Dynamic) -> Fallible<Option<Value>> {
        if value.is::<Null>() {
            let nulls = self.nulls.as_mut().ok_or(NO_NULL)?;
            nulls.push(self.path.clone());
            return Ok(None);
        }
        if let Some(map) = value.read_lock::<Map>() {
            return self.object(&map).map(Some);
        }
        if let Some(list) = value.read_lock::<rhai::Array>() {
            let mut items = Vec::with_capacity(list.len());
            for (position, item) in list.iter().enumerate().filter(|(_, item)| !item.is_unit()) {
                let read = self.inside(format_args!("[{position}]"), item)?;
                items.extend(read);
            }
            return Ok(Some(Value::Array(items)));
        }
        scalar(value).map(Some)
    }

    fn object(&mut self, map: &Map) -> Fallible<Value> {
        let mut members = Vec::with_capacity(map.len());
        for (key, value) in map.iter().filter(|(_, value)| !value.is_unit()) {
            if let Some(value) = self.inside(format_args!(".{key}"), value)? {
                members.push((Text::from(key.to_string()), value));
            }
        }
        // No name stands in a map twice.
        Ok(Value::Object(Object::of_distinct(members)))
    }

    fn inside(&mut self, step: fmt::Arguments<'_>, value: &Dynamic) -> Fallible<Option<Value>> {
        if self.nulls.is_none() {
            return self.read(value);
        }
        let here = self.path.len();
        self.path.push_str(&step.to_string());
        let read = self.read(value);
        self.path.truncate(here);
        read
    }
}

fn scalar(value: &Dynamic) -> Fallible<Value> {
    if let Ok(whole) = value.as_int() {
        return Ok(whole.into());
    }
    if let Ok(number) = value.as_float() {
        let number = Number::from_f64(number).ok_or("a number that is not finite")?;
        return Ok(number.into());
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(flag.into());
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(Value::text(&text));
    }
    if let Ok(letter) = value.as_char() {
        return Ok(letter.to_string().into());
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    Err(format!("a value of type {} cannot stand in event data", value.type_name()).into())
}

/// JSON as a script value.
pub(crate) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => number
            .as_i64()
            .map(Dynamic::from)
            .or_else(|| number.as_f64().map(Dynamic::from))
            .unwrap_or_default(),
        Value::String(text) => text.as_ref().into(),
        Value::Array(items) => items.iter().map(to_dynamic).collect::<rhai::Array>().into(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.into(), to_dynamic(value)))
            .collect::<Map>()
            .into(),
    }
}

/// What a source stated, as a script value. What it did not state is not in it.
pub(crate) fn stated(value: &serde_json::Value) -> Dynamic {
    match value {
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Object(members) => statement(members),
        other => to_dynamic(&Value::from(other)),
    }
}

/// All that a source stated, as a map.
pub(crate) fn statement(members: &serde_json::Map<String, serde_json::Value>) -> Dynamic {
    let members = members.iter().map(|(key, value)| (key.as_str().into(), stated(value)));
    members.collect::<Map>().into()
}

/// Roughly the bytes of a value written as JSON, without writing it.
pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| size(item) + 1).sum::<usize>(),
        Value::Object(members) => {
            2 + members.iter().map(|(key, value)| key.len() + 4 + size(value)).sum::<usize>()
        }
    }
}
