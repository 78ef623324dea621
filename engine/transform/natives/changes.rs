//! What a message states otherwise than its source did before.

use hl7::message::Message;
use record::fhir::allergy::{self, AllergyStatus};
use record::trigger::trigger;
use rhai::{Array, Dynamic, ImmutableString};
use serde_json::Value;

use crate::json;
use crate::natives::message::Handle;
use crate::outcome::Statement;
use crate::reference::Part;
use crate::run::{self, Run};
use crate::vocabulary::Vocabulary;

/// What may have changed, and the keys of a statement that say so.
const PERSON: [(&str, &[&str]); 4] = [
    ("demographics", &["family", "given", "birthdate", "sex", "address", "telecom"]),
    ("practice", &["practice"]),
    ("gp", &["gp"]),
    ("death", &["death", "death_on_discharge"]),
];
/// The same of a visit.
const VISIT: [&str; 3] = ["consultant", "location", "ready"];

pub(crate) fn register(words: &mut Vocabulary) {
    words.document(
        Part::Patient,
        "previous",
        "A map of what this source last stated of the patient, or `()`: `family`, `given`, \
         `birthdate`, `sex`, `address`, `telecom`, `practice`, `gp`, `kin`, `birth` and `alerts` \
         (marks of NK1, of ZU6 and ZU7, and of ZAL), `death`, `death_on_discharge` (the visit that \
         ended by it), and `visits`, a map by visit number of `class`, `location`, `consultant`, \
         `service`, `ready`, `fit` (ZU1-22), `law`, `law_at_census` and `detained` (ZU5-2, 3 and 5), \
         `attends` (of class R and B: it has no bed), `status` (`planned`, `onleave`, `finished` or \
         `cancelled`; none while it is in progress) and `localid` (the identifier under which it was \
         stated). What was not stated is not in it: `\"death\" in previous`.",
    );
    words.document(
        Part::Patient,
        "stated",
        "The same as `previous` after this message: what it leaves out stays, what it deletes is gone.",
    );
    words.add(
        Part::Patient,
        "value_of(statement, key)",
        "What `previous`, `stated` or a map in them holds under a key; `()` when it holds nothing.",
        |statement: Dynamic, key: &str| {
            let held = statement.read_lock::<rhai::Map>();
            held.and_then(|map| map.get(key).cloned()).unwrap_or_default()
        },
    );
    words.add(
        Part::Patient,
        "changed(msg, aspect)",
        "Whether the message states otherwise what its source stated before: \"demographics\", \
         \"practice\", \"gp\", \"death\", or of the visit \"consultant\", \"location\", \"ready\". \
         Demographics of a patient nobody stated before have changed; nothing else has.",
        |_: &mut Handle, aspect: &str| {
            run::with(|run| {
                let (before, now) = (run.input.previous.as_deref(), run.input.stated.as_deref());
                match changed(before, now, aspect) {
                    Some(changed) => Ok(changed),
                    None => Err(format!("there is no aspect `{aspect}`").into()),
                }
            })
        },
    );
    words.add(
        Part::Patient,
        "news(msg)",
        "A list of what the message may have to say besides what it is about, mostly empty: \"kin\" \
         (other than this source stated), \"practice\" (or doctor; other), \"death\" (spoken of, \
         other, or a discharge), \"allergies\", \"diagnoses\", \"procedures\" (listed), \"birth\" \
         (other) and \"law\" (ZU5 is there), in this order.",
        |message: &mut Handle| run::with(|run| Ok(news(run, &message.now().0))),
    );
    of_the_visit(words);
}

/// What is known of the visit that PV1-19 names.
fn of_the_visit(words: &mut Vocabulary) {
    words.add(
        Part::Patient,
        "visit_before(msg, what)",
        "What this source said before of the visit of PV1-19, while it was not over: its `class`, \
         `location`, `consultant`, `service`, `ready`, `fit`, `law`, `law_at_census`, `detained`, \
         `attends` or `status`; `()` when it said nothing.",
        |message: &mut Handle, what: &str| {
            run::with(|run| {
                let visit = visit(run.input.previous.as_deref(), &message.now().0);
                let held = visit.filter(|visit| !is_over(visit)).and_then(|visit| visit.get(what));
                Ok(held.map_or(Dynamic::UNIT, json::stated))
            })
        },
    );
    words.add(
        Part::Patient,
        "visit_after(msg, what)",
        "The same after this message, and of visits that are over, too.",
        |message: &mut Handle, what: &str| {
            run::with(|run| {
                let visit = visit(run.input.stated.as_deref(), &message.now().0);
                let held = visit.and_then(|visit| visit.get(what));
                Ok(held.map_or(Dynamic::UNIT, json::stated))
            })
        },
    );
    words.add(
        Part::Patient,
        "visit_class(msg)",
        "The patient class (PV1-2) as a code; where an update leaves it out, that which this source \
         stated of the visit before.",
        |message: &mut Handle| {
            run::with(|run| Ok(ImmutableString::from(class(run, &message.now().0))))
        },
    );
    words.add(
        Part::Patient,
        "visit_known(msg)",
        "Whether this source stated the visit of PV1-19 before, and it was not over.",
        |message: &mut Handle| {
            run::with(|run| {
                let visit = visit(run.input.previous.as_deref(), &message.now().0);
                Ok(visit.is_some_and(|visit| !is_over(visit)))
            })
        },
    );
}

/// The patient class as systems mean it; where an update leaves it out, that of the visit before.
fn class(run: &Run, message: &Message) -> String {
    let code = |text: &str| text.trim().to_uppercase();
    let sent = message
        .segment("PV1", 1)
        .and_then(|pv1| pv1.text(2, 1).into_option().map(|text| code(&text)));
    let sent = sent.filter(|class| !class.is_empty());
    sent.or_else(|| {
        let visit =
            visit(run.input.previous.as_deref(), message).filter(|visit| !is_over(visit))?;
        visit.get("class").and_then(Value::as_str).map(code)
    })
    .unwrap_or_default()
}

fn visit<'s>(statement: Option<&'s Statement>, message: &Message) -> Option<&'s Value> {
    let visits = statement?.get("visits")?;
    let number = message.segment("PV1", 1)?.text(19, 1).into_option()?;
    visits.get(number.as_ref())
}

fn is_over(visit: &Value) -> bool {
    matches!(visit.get("status").and_then(Value::as_str), Some("finished" | "cancelled"))
}

/// What the rules of scripts would find nothing in is left out, so that they need not be asked.
fn news(run: &Run, message: &Message) -> Array {
    let (before, now) = (run.input.previous.as_deref(), run.input.stated.as_deref());
    let held_before = |key: &str| before.and_then(|before| before.get(key));
    let other = |key: &str| {
        let held_now = now.filter(|now| !is_same(before, now)).and_then(|now| now.get(key));
        held_now.is_some() && held_now != held_before(key)
    };
    let differs = |aspect: &str| changed(before, now, aspect).unwrap_or_default();
    let listed = |name: &str| message.segment(name, 1).is_some();
    let field = |name: &str, number: usize| {
        message.segment(name, 1).is_some_and(|segment| !segment.text(number, 1).is_absent())
    };
    let mortal = || {
        let discharge = || trigger(message).is_some_and(|trigger| trigger == "A03");
        let spoken_of = field("PID", 29) || field("PID", 30);
        spoken_of || discharge() || differs("death")
    };
    [
        ("kin", other("kin")),
        ("practice", differs("practice") || differs("gp")),
        ("death", mortal()),
        ("allergies", allergy::status(message) != AllergyStatus::Absent),
        ("diagnoses", listed("DG1")),
        ("procedures", listed("PR1")),
        ("birth", other("birth")),
        ("law", field("ZU5", 2) || field("ZU5", 3)),
    ]
    .into_iter()
    .filter(|(_, there)| *there)
    .map(|(what, _)| what.into())
    .collect()
}

/// Whether the message said nothing new, which needs no look at what it said.
fn is_same(before: Option<&Statement>, now: &Statement) -> bool {
    before.is_some_and(|before| std::ptr::eq(before, now))
}

/// `None` if there is no such aspect.
fn changed<'s>(
    before: Option<&'s Statement>,
    now: Option<&'s Statement>,
    aspect: &str,
) -> Option<bool> {
    if let Some((_, keys)) = PERSON.iter().find(|(name, _)| *name == aspect) {
        let Some(now) = now else { return Some(false) };
        return Some(match before {
            Some(_) if is_same(before, now) => false,
            Some(before) => keys.iter().any(|key| before.get(*key) != now.get(*key)),
            None => aspect == "demographics" && keys.iter().any(|key| now.contains_key(*key)),
        });
    }
    let key = *VISIT.iter().find(|name| **name == aspect)?;
    let visits = |statement: Option<&'s Statement>| {
        statement.and_then(|map| map.get("visits")).and_then(Value::as_object)
    };
    let (Some(before), Some(now)) = (visits(before), visits(now)) else { return Some(false) };
    Some(now.iter().any(|(number, visit)| {
        let (visit, before) = (visit.as_object(), before.get(number).and_then(Value::as_object));
        visit.zip(before).is_some_and(|(visit, before)| visit.get(key) != before.get(key))
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_has_changed_and_what_is_gone_too() {
        let before = json!({ "family": "TEST", "practice": "Y00001", "death": "Y",
            "visits": { "V1": { "consultant": "C1", "location": "W1" } } });
        let asked = |now: Value, aspect: &str| changed(before.as_object(), now.as_object(), aspect);
        assert_eq!(asked(json!({ "family": "TEST", "gp": "G" }), "demographics"), Some(false));
        assert_eq!(asked(json!({ "family": "OTHER" }), "demographics"), Some(true));
        assert_eq!(asked(json!({}), "practice"), Some(true));
        assert_eq!(asked(json!({}), "gp"), Some(false));
        assert_eq!(asked(json!({ "gp": "G1" }), "gp"), Some(true));
        assert_eq!(asked(json!({ "death": "Y" }), "death"), Some(false));
        let visit = |consultant: &str| json!({ "visits": { "V1": { "consultant": consultant } } });
        assert_eq!(asked(visit("C1"), "consultant"), Some(false));
        assert_eq!(asked(visit("C2"), "consultant"), Some(true));
        assert_eq!(asked(visit("C2"), "location"), Some(true));
        let other = json!({ "visits": { "V2": { "consultant": "C2" } } });
        assert_eq!(asked(other, "consultant"), Some(false));
        assert_eq!(asked(json!({}), "shoes"), None);
    }

    #[test]
    fn of_a_patient_nobody_stated_before_only_the_demographics_are_news() {
        let now = json!({ "family": "TEST", "practice": "Y00001" });
        assert_eq!(changed(None, now.as_object(), "demographics"), Some(true));
        assert_eq!(changed(None, now.as_object(), "practice"), Some(false));
        assert_eq!(changed(None, None, "demographics"), Some(false));
    }
}
