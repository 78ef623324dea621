//! Paths into a FHIR resource: `status`, `name[0].family`, list positions from 0 as in `FHIRPath`.

use record::json::{Object, Value};
use rhai::EvalAltResult;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Steps that a path may have.
const STEPS: usize = 16;

/// A parsed path.
pub(crate) struct Path<'t> {
    steps: Vec<Step<'t>>,
}

enum Step<'t> {
    Member(&'t str),
    Item(usize),
}

impl<'t> Path<'t> {
    /// Reads `name[0].family`; `name.0.family` is the same.
    pub(crate) fn parse(text: &'t str) -> Fallible<Self> {
        let wrong = || format!("`{text}` is not a path such as \"name[0].family\"");
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
            match name.parse() {
                Ok(item) if !steps.is_empty() => steps.push(Step::Item(item)),
                _ if is_member(name) => steps.push(Step::Member(name)),
                _ => return Err(wrong().into()),
            }
            while let Some(inside) = rest.strip_prefix('[') {
                let (item, after) = inside.split_once(']').ok_or_else(wrong)?;
                steps.push(Step::Item(item.parse().map_err(|_| wrong())?));
                rest = after;
            }
            if !rest.is_empty() {
                return Err(wrong().into());
            }
        }
        if steps.len() > STEPS {
            return Err(format!("a path has at most {STEPS} steps").into());
        }
        Ok(Self { steps })
    }

    /// Whether it leads into that element of the resource.
    pub(crate) fn begins_with(&self, element: &str) -> bool {
        matches!(self.steps.first(), Some(Step::Member(name)) if *name == element)
    }

    /// What stands there.
    pub(crate) fn read<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.steps.iter().try_fold(value, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Item(item) => value.as_array()?.get(*item),
        })
    }

    /// Puts `new` there; makes members and the next item of a list where they are missing.
    pub(crate) fn write(&self, value: &mut Value, new: Value) -> Fallible<()> {
        let mut place = value;
        for step in &self.steps {
            place = match step {
                Step::Member(name) => member(place, name)?,
                Step::Item(item) => list_item(place, *item)?,
            };
        }
        *place = new;
        Ok(())
    }

    /// Takes away what stands there, if anything does.
    pub(crate) fn remove(&self, value: &mut Value) {
        let Some((last, before)) = self.steps.split_last() else { return };
        let holder = before.iter().try_fold(value, |value, step| match step {
            Step::Member(name) => value.get_mut(name),
            Step::Item(item) => value.as_array_mut()?.get_mut(*item),
        });
        match (holder, last) {
            (Some(Value::Object(members)), Step::Member(name)) => {
                drop(members.remove(name));
            }
            (Some(Value::Array(items)), Step::Item(item)) if *item < items.len() => {
                drop(items.remove(*item));
            }
            _ => {}
        }
    }
}

fn member<'v>(place: &'v mut Value, name: &str) -> Fallible<&'v mut Value> {
    if place.is_null() {
        *place = Value::Object(Object::new());
    }
    match place {
        Value::Object(members) => Ok(members.get_or_insert_with(name.to_owned(), Value::default)),
        _ => Err(format!("`{name}` stands in something without members").into()),
    }
}

fn list_item(place: &mut Value, item: usize) -> Fallible<&mut Value> {
    if place.is_null() {
        *place = Value::Array(Vec::new());
    }
    let Value::Array(items) = place else {
        return Err(format!("[{item}] stands in something that is no list").into());
    };
    if item > items.len() {
        return Err(format!("[{item}] in a list of {}", items.len()).into());
    }
    if item == items.len() {
        items.push(Value::Null);
    }
    Ok(&mut items[item])
}

fn is_member(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! json {
        ($($written:tt)+) => { Value::from(&serde_json::json!($($written)+)) };
    }

    fn written(path: &str, start: Value) -> Result<Value, String> {
        let mut value = start;
        let path = Path::parse(path).map_err(|error| error.to_string())?;
        path.write(&mut value, json!("x")).map_err(|error| error.to_string())?;
        Ok(value)
    }

    #[test]
    fn writing_makes_what_is_missing_and_keeps_the_rest() {
        assert_eq!(
            written("name[0].family", json!({"id": 1})),
            Ok(json!({"id": 1, "name": [{"family": "x"}]}))
        );
        assert_eq!(written("a.1", json!({"a": [1]})), Ok(json!({"a": [1, "x"]})));
        assert_eq!(written("a[0]", json!({"a": [1, 2]})), Ok(json!({"a": ["x", 2]})));
    }

    #[test]
    fn a_path_that_does_not_fit_is_an_error() {
        for (path, start) in [
            ("a[2]", json!({"a": [1]})),
            ("a.b", json!({"a": 1})),
            ("a[0]", json!({"a": {}})),
            ("", json!({})),
            ("a..b", json!({})),
            ("a[", json!({})),
            ("a[0]b", json!({})),
            ("0", json!({})),
        ] {
            assert!(written(path, start).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_removed_leaves_the_others_in_order() {
        let mut value = json!({"a": 1, "b": [1, 2], "c": 3});
        for path in ["a", "b[0]", "x.y", "b[7]"] {
            Path::parse(path).expect(path).remove(&mut value);
        }
        assert_eq!(value.to_string(), r#"{"b":[2],"c":3}"#);
        assert_eq!(Path::parse("b[0]").expect("a path").read(&value), Some(&json!(2)));
    }
}
