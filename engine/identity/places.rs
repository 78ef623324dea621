//! What a statement says of where its patient is: of use only when that must not be told.

use record::whereabouts::{Form, Told};
use serde_json::{Map, Value};

/// Members of a statement, each a text or a list of texts, with the form in which they name a place or
/// somebody who knows it.
const MEMBERS: [(&str, Form); 11] = [
    ("address", Form::Address),
    ("telecom", Form::Telecom),
    ("practice", Form::Organisation),
    ("surgery", Form::Organisation),
    ("gp", Form::Doctor),
    ("doctor", Form::Doctor),
    ("kin_name", Form::Kin),
    ("kin_address", Form::Address),
    ("kin_telecom", Form::Telecom),
    ("location", Form::Stay),
    ("consultant", Form::Doctor),
];
/// Of a statement, its visits by number.
pub(crate) const VISITS: &str = "visits";
/// What such members said before. Whoever has a patient's whereabouts protected often has them blanked,
/// too, and others have them in their texts for long.
const BEFORE: &str = "before";
/// Texts of one member that are kept; the oldest go.
const MOST_BEFORE: usize = 8;

/// Everything that a statement, or a visit of one, says of it, now and before.
pub(crate) fn told(of: &Map<String, Value>) -> Vec<Told> {
    let part = |name| of.get(name).and_then(Value::as_object);
    let mut all: Vec<Told> = [of].into_iter().chain(part(BEFORE)).flat_map(of_members).collect();
    let visits = part(VISITS).into_iter().flat_map(Map::values);
    all.extend(visits.filter_map(Value::as_object).flat_map(told));
    all
}

/// Keeps in a statement or a visit what of it is stated no longer, now that these `values` are.
pub(crate) fn keep_before(now: &mut Map<String, Value>, values: &[(&'static str, Option<Value>)]) {
    for (key, value) in values {
        let held = now.get(*key).filter(|held| Some(*held) != value.as_ref());
        let Some(held) = held.filter(|_| MEMBERS.iter().any(|(member, _)| member == key)) else {
            continue;
        };
        let gone: Vec<Value> = texts(held).map(Value::from).collect();
        let mut before = match now.shift_remove(BEFORE) {
            Some(Value::Object(before)) => before,
            _ => Map::new(),
        };
        let kept = before.entry(*key).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(kept) = kept {
            kept.retain(|text| !gone.contains(text));
            kept.extend(gone);
            kept.drain(..kept.len().saturating_sub(MOST_BEFORE));
        }
        now.insert(BEFORE.to_owned(), Value::Object(before));
    }
}

fn of_members(of: &Map<String, Value>) -> impl Iterator<Item = Told> {
    MEMBERS.into_iter().flat_map(|(member, form)| {
        let value = of.get(member).into_iter();
        value.flat_map(texts).map(move |text| Told { form, text })
    })
}

fn texts(value: &Value) -> impl Iterator<Item = String> {
    let list = value.as_array().into_iter().flatten();
    list.chain([value]).filter_map(Value::as_str).map(str::to_owned)
}
