//! From the tree to the model, past every mistake: each is noted at its place, what is wrong is
//! left out, and the rest is read.

use serde::de::DeserializeOwned;

use crate::config::decode::At;
use crate::config::problem::Problem;
use crate::config::schema;
use crate::config::tree::{KeyPath, Node, Value, below};
use crate::config::wrong::{What, missing};

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
