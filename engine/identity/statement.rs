//! What a source states of a patient besides identifiers, kept so that the next message can be
//! compared with it: demographics, practice, death, open encounters.

use hl7::message::Message;
use hl7::segment::{Field, Repetition, Segment};
use record::demographics::name_parts;
use record::site;
use record::source::Source;
use record::text::stated;
use record::trigger::trigger;
use serde_json::{Map, Value, json};

/// A statement as scripts see it: `family`, `given`, `birthdate`, `sex`, `address`, `telecom`,
/// `practice`, `gp`, `death`, and `visits` by number.
pub(crate) type Statement = Map<String, Value>;

/// What one message says; nothing stands for the null, which removes.
#[derive(Clone, Default)]
pub(crate) struct Said {
    values: Vec<(&'static str, Option<Value>)>,
    visit: Option<Visit>,
}

#[derive(Clone)]
struct Visit {
    number: String,
    /// Absent when the encounter is over.
    open: Option<Vec<(&'static str, Option<Value>)>>,
}

/// The encounters of a patient that are kept; the oldest go.
const MOST_VISITS: usize = 32;
const VISITS: &str = "visits";

impl Said {
    /// Reads PID, PD1 and, of ADT messages, PV1 and ZU1.
    pub(crate) fn read(message: &Message, source: &Source) -> Self {
        let Some(pid) = message.segment("PID", 1) else { return Self::default() };
        let mut said = Self::default();
        said.name(&pid);
        said.value("birthdate", pid.field(7));
        said.value("sex", pid.field(8));
        said.listed("address", &pid, &[11]);
        said.listed("telecom", &pid, &[13, 14]);
        said.death(&pid, source);
        if let Some(pd1) = message.segment("PD1", 1) {
            match site::practice(message) {
                Some(code) => said.values.push(("practice", Some(json!(code)))),
                None if is_null(pd1.field(3)) => said.values.push(("practice", None)),
                None => {}
            }
            said.value("gp", pd1.field(4));
        }
        said.visit = visit(message);
        said
    }

    fn name(&mut self, pid: &Segment<'_>) {
        let Some(field) = pid.field(5) else { return };
        if is_null(Some(field)) {
            self.values.extend([("family", None), ("given", None)]);
            return;
        }
        // The legal or current name, whatever stands first.
        let legal = |name: &Repetition<'_>| {
            stated(name.text(7, 1)).is_some_and(|kind| ["L", "D"].contains(&kind.as_str()))
        };
        let name = field.repetitions().find(legal).or_else(|| field.repetition(1));
        let Some(name) = name else { return };
        let (family, given) = name_parts(&name);
        for (key, text, part) in [("family", family, 1), ("given", given, 2)] {
            if let Some(text) = text {
                self.values.push((key, Some(json!(text))));
            } else if name.text(part, 1).is_null() {
                self.values.push((key, None));
            }
        }
    }

    /// The first component of the first repetition.
    fn value(&mut self, key: &'static str, field: Option<Field<'_>>) {
        let Some(field) = field else { return };
        if let Some(text) = stated(field.text()) {
            self.values.push((key, Some(json!(text))));
        } else if is_null(Some(field)) || field.text().is_null() {
            self.values.push((key, None));
        }
    }

    /// All repetitions of some fields, each as one text; a snapshot, since repeating fields are
    /// replaced whole (HL7 UK A.3, 2.3).
    fn listed(&mut self, key: &'static str, pid: &Segment<'_>, numbers: &[usize]) {
        let fields = || numbers.iter().filter_map(|number| pid.field(*number));
        let texts: Vec<String> = fields()
            .flat_map(|field| field.repetitions())
            .filter(|repetition| !repetition.is_null())
            .filter_map(|repetition| joined(&repetition))
            .collect();
        if !texts.is_empty() {
            self.values.push((key, Some(json!(texts))));
        } else if fields().any(|field| field.is_null()) {
            self.values.push((key, None));
        }
    }

    /// PID-29, else PID-30 `Y`; a death that is revoked is removed.
    fn death(&mut self, pid: &Segment<'_>, source: &Source) {
        let at = stated(pid.text(29, 1));
        let dead = stated(pid.text(30, 1)).map(|code| code.to_ascii_uppercase());
        let revoked =
            |text: &String| source.death_revoked.iter().any(|word| word.eq_ignore_ascii_case(text));
        let nulled = is_null(pid.field(29)) || is_null(pid.field(30));
        match (at, dead.as_deref()) {
            (Some(text), _) if revoked(&text) => self.values.push(("death", None)),
            (_, Some("N")) => self.values.push(("death", None)),
            (Some(text), _) => self.values.push(("death", Some(json!(text)))),
            (None, Some("Y")) => self.values.push(("death", Some(json!("Y")))),
            _ if nulled => self.values.push(("death", None)),
            _ => {}
        }
    }

    /// The statement that this message leaves behind.
    pub(crate) fn over(&self, previous: Option<&Statement>) -> Statement {
        let mut now = previous.cloned().unwrap_or_default();
        put(&mut now, &self.values);
        if let Some(visit) = &self.visit {
            let mut visits = visits_of(&mut now);
            match &visit.open {
                Some(values) => {
                    let mut open = object(visits.shift_remove(&visit.number));
                    put(&mut open, values);
                    visits.insert(visit.number.clone(), Value::Object(open));
                }
                None => drop(visits.shift_remove(&visit.number)),
            }
            put_visits(&mut now, visits);
        }
        now
    }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn visits_of(statement: &mut Statement) -> Map<String, Value> {
    object(statement.shift_remove(VISITS))
}

fn put_visits(statement: &mut Statement, mut visits: Map<String, Value>) {
    while visits.len() > MOST_VISITS {
        let oldest = visits.keys().next().cloned().unwrap_or_default();
        visits.shift_remove(&oldest);
    }
    if !visits.is_empty() {
        statement.insert(VISITS.to_owned(), Value::Object(visits));
    }
}

fn put(into: &mut Map<String, Value>, values: &[(&'static str, Option<Value>)]) {
    for (key, value) in values {
        match value {
            Some(value) => drop(into.insert((*key).to_owned(), value.clone())),
            None => drop(into.shift_remove(*key)),
        }
    }
}

/// Takes a visit out of a statement.
pub(crate) fn take_visit(statement: &mut Statement, number: &str) -> Option<Value> {
    let mut visits = visits_of(statement);
    let taken = visits.shift_remove(number);
    put_visits(statement, visits);
    taken
}

/// Puts a visit into a statement; what is there of it already stays.
pub(crate) fn give_visit(statement: &mut Statement, number: &str, visit: Value) {
    let mut visits = visits_of(statement);
    visits.entry(number).or_insert(visit);
    put_visits(statement, visits);
}

/// What is left of two statements when their patients prove to be one: the survivor's word first,
/// and the open encounters of both.
pub(crate) fn combined(survivor: Option<&Statement>, retired: &Statement) -> Statement {
    let mut retired = retired.clone();
    let mut both = visits_of(&mut retired);
    let mut now = retired;
    for (key, value) in survivor.into_iter().flatten().filter(|(key, _)| *key != VISITS) {
        now.insert(key.clone(), value.clone());
    }
    let survivors = survivor.and_then(|of| of.get(VISITS)).cloned();
    both.extend(object(survivors));
    put_visits(&mut now, both);
    now
}

/// The encounter of an ADT message, unless PV1 is there for form's sake only (class N or U).
fn visit(message: &Message) -> Option<Visit> {
    let msh = message.segment("MSH", 1)?;
    stated(msh.text(9, 1)).filter(|code| code.eq_ignore_ascii_case("ADT"))?;
    let trigger = trigger(message)?;
    let pv1 = message.segment("PV1", 1)?;
    let class = stated(pv1.text(2, 1)).unwrap_or_default().to_ascii_uppercase();
    let number = stated(pv1.text(19, 1))?;
    if matches!(class.as_str(), "N" | "U" | "NA") || matches!(trigger.as_str(), "A28" | "A31") {
        return None;
    }
    if matches!(trigger.as_str(), "A03" | "A11" | "A23" | "A38") {
        return Some(Visit { number, open: None });
    }
    let mut said = Said::default();
    said.value("class", pv1.field(2));
    said.listed("location", &pv1, &[3]);
    let consultant = [9, 7].into_iter().filter_map(|number| pv1.field(number));
    said.value("consultant", consultant.clone().find(|field| !field.is_empty()));
    said.value("service", pv1.field(10));
    let ready = message.segment("ZU1", 1);
    said.value("ready", ready.as_ref().and_then(|zu1| zu1.field(24)));
    for (_, value) in &mut said.values {
        if let Some(Value::Array(texts)) = value {
            *value = (!texts.is_empty()).then(|| texts.remove(0));
        }
    }
    Some(Visit { number, open: Some(said.values) })
}

/// The components of a repetition that say something, joined by `^`; those that say nothing at the
/// end are left out.
fn joined(repetition: &Repetition<'_>) -> Option<String> {
    let parts: Vec<String> =
        repetition.components().map(|part| stated(part.whole_text()).unwrap_or_default()).collect();
    let text = parts.join("^");
    let text = text.trim_end_matches('^');
    (!text.is_empty()).then(|| text.to_owned())
}

fn is_null(field: Option<Field<'_>>) -> bool {
    field.is_some_and(|field| field.is_null())
}
