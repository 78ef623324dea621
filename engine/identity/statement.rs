//! What a source states of a patient besides identifiers, kept so that the next message can be
//! compared with it: demographics, practice, death, encounters.

use std::sync::Arc;

use hl7::message::Message;
use hl7::segment::{Field, Repetition, Segment};
use record::demographics::name_parts;
use record::name_based::name_based;
use record::replay::is_replay;
use record::sensitivity;
use record::site;
use record::source::Source;
use record::text::{meant, stated};
use record::trigger::trigger;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A statement as scripts see it: `family`, `given`, `birthdate`, `sex`, `address`, `telecom`,
/// `practice`, `gp`, `kin`, `birth`, `death`, `death_on_discharge`, `protected_by_flag`,
/// `replayed`, and `visits` by number.
pub type Statement = Map<String, Value>;

/// What one message says; nothing stands for the null, which removes.
#[derive(Clone, Default)]
pub(crate) struct Said {
    values: Vec<(&'static str, Option<Value>)>,
    visit: Option<Visit>,
    /// Of the visit of that number: whether its discharge says that the patient died.
    discharge: Option<(String, bool)>,
}

#[derive(Clone)]
struct Visit {
    number: String,
    step: Step,
    values: Vec<(&'static str, Option<Value>)>,
}

/// What a message does to a visit. Statuses are words of FHIR's; there is none while it is in progress.
#[derive(Clone, Copy)]
enum Step {
    /// It begins, or goes on after all, with that status.
    Opens(Option<&'static str>),
    /// It has that status now, unless it is over.
    Goes(Option<&'static str>),
    /// Something is said of it. That does not open again what is over: coding comes after discharge.
    Tells,
    /// It is over.
    Ends(&'static str),
    /// It never was.
    Forgets,
}

/// The encounters of a patient that are kept; the oldest go, and those that ended before others.
const MOST_VISITS: usize = 32;
/// Those of them that ended.
const MOST_ENDED: usize = 8;
const VISITS: &str = "visits";
/// Marks of what is only compared are made in this name space.
const MARKS: Uuid = Uuid::from_u128(0x1d6f_5a0c_2f7e_4b8a_8c55_90f3_7a1e_64d2);
/// Of a visit: that it is not in progress, but planned, interrupted or over.
const STATUS: &str = "status";
/// The visit whose discharge says that the patient died. It stands apart from the death that PID
/// states: what is said of the one takes nothing back of the other.
const DEATH_ON_DISCHARGE: &str = "death_on_discharge";
/// ZU8-4 says that the patient is protected.
pub(crate) const PROTECTED_BY_FLAG: &str = "protected_by_flag";
/// All of it comes from an archive or an initial load (MSH-11.2).
pub(crate) const REPLAYED: &str = "replayed";

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
        said.imprint("kin", message, &["NK1"]);
        said.imprint("birth", message, &["ZU6", "ZU7"]);
        said.protection(message);
        said.flag(REPLAYED, Some(is_replay(message)));
        said.visit = visit(message);
        said.discharge = discharge(message);
        said
    }

    /// Whether ZU8-4 protects the patient, which PV1-16 does not take back.
    fn protection(&mut self, message: &Message) {
        let stated = match message.segments_named("PID").nth(1) {
            Some(_) => sensitivity::Stated::of_person(message, 1),
            None => sensitivity::Stated::of(message),
        };
        self.flag(PROTECTED_BY_FLAG, stated.by_flag);
    }

    fn flag(&mut self, key: &'static str, said: Option<bool>) {
        if let Some(said) = said {
            self.values.push((key, said.then_some(Value::Bool(true))));
        }
    }

    /// What segments say as a whole, of which only a mark is kept: enough to tell whether it is said
    /// again.
    fn imprint(&mut self, key: &'static str, message: &Message, names: &[&str]) {
        let all: Vec<&[u8]> = message
            .segments()
            .filter(|segment| names.contains(&segment.name()))
            .map(|segment| segment.raw())
            .collect();
        if !all.is_empty() {
            let mark = name_based(&MARKS, &all.join(&b'\r'));
            self.values.push((key, Some(json!(mark.simple().to_string()))));
        }
    }

    /// ZU5-2, 3 and 5. Feeds lose the leading zero of a code, and mean the same.
    fn law(&mut self, message: &Message) {
        let Some(zu5) = message.segment("ZU5", 1) else { return };
        for (key, number) in [("law", 2), ("law_at_census", 3), ("detained", 5)] {
            self.value(key, zu5.field(number));
            for (_, said) in self.values.iter_mut().filter(|(said, _)| *said == key) {
                let code = said.as_ref().and_then(Value::as_str);
                *said = code.map(|code| json!(code.trim().trim_start_matches('0')));
            }
        }
    }

    fn name(&mut self, pid: &Segment<'_>) {
        let Some(field) = pid.field(5) else { return };
        if is_null(Some(field)) {
            self.values.extend([("family", None), ("given", None)]);
            return;
        }
        // The legal or current name, whatever stands first.
        let legal = |name: &Repetition<'_>| {
            meant(name.text(7, 1)).is_some_and(|kind| ["L", "D"].contains(&kind.as_ref()))
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

    /// The statement that this message leaves behind: the one before, where it says nothing new.
    pub(crate) fn over(&self, previous: Option<&Arc<Statement>>) -> Arc<Statement> {
        if let Some(previous) = previous
            && self.is_held(previous)
        {
            return Arc::clone(previous);
        }
        let previous = previous.map(|previous| Statement::clone(previous)).unwrap_or_default();
        Arc::new(self.written_over(previous))
    }

    fn written_over(&self, mut now: Statement) -> Statement {
        put(&mut now, &self.values);
        if let Some(visit) = &self.visit {
            let mut visits = visits_of(&mut now);
            visit.over(&mut visits);
            put_visits(&mut now, visits);
        }
        match &self.discharge {
            Some((number, true)) => {
                now.insert(DEATH_ON_DISCHARGE.to_owned(), json!(number));
            }
            Some((number, false)) if now.get(DEATH_ON_DISCHARGE) == Some(&json!(number)) => {
                now.shift_remove(DEATH_ON_DISCHARGE);
            }
            _ => {}
        }
        now
    }

    /// Whether a statement says all of it.
    fn is_held(&self, by: &Statement) -> bool {
        let visit = |visit: &Visit| visit.is_held(by.get(VISITS));
        let discharge = |(number, died): &(String, bool)| {
            by.get(DEATH_ON_DISCHARGE).is_some_and(|of| of == number) == *died
        };
        holds(by, &self.values)
            && self.visit.as_ref().is_none_or(visit)
            && self.discharge.as_ref().is_none_or(discharge)
    }
}

/// What becomes of what is held of a visit.
enum After {
    Gone,
    /// Nothing changes.
    AsItWas,
    /// It has these values, and that status, unless the message says nothing of it.
    With(Option<Option<&'static str>>),
}

impl Visit {
    fn after(&self, held: Option<&Value>) -> After {
        match self.step {
            Step::Forgets => After::Gone,
            Step::Goes(_) | Step::Tells if held.is_some_and(is_over) => After::AsItWas,
            Step::Tells => After::With(None),
            Step::Opens(status) | Step::Goes(status) => After::With(Some(status)),
            Step::Ends(status) => After::With(Some(Some(status))),
        }
    }

    fn is_held(&self, visits: Option<&Value>) -> bool {
        let held = visits.and_then(|visits| visits.get(&self.number));
        match self.after(held) {
            After::Gone => held.is_none(),
            After::AsItWas => true,
            After::With(status) => held.and_then(Value::as_object).is_some_and(|held| {
                let is = |status| held.get(STATUS).and_then(Value::as_str) == status;
                holds(held, &self.values) && status.is_none_or(is)
            }),
        }
    }

    fn over(&self, visits: &mut Map<String, Value>) {
        let status = match self.after(visits.get(&self.number)) {
            After::Gone => return drop(visits.shift_remove(&self.number)),
            After::AsItWas => return,
            After::With(status) => status,
        };
        let mut visit = object(visits.shift_remove(&self.number));
        put(&mut visit, &self.values);
        if let Some(status) = status {
            put(&mut visit, &[(STATUS, status.map(|status| json!(status)))]);
        }
        visits.insert(self.number.clone(), Value::Object(visit));
    }
}

fn is_over(visit: &Value) -> bool {
    matches!(visit.get(STATUS).and_then(Value::as_str), Some("finished" | "cancelled"))
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
    let mut too_many = visits.values().filter(|visit| is_over(visit)).count();
    too_many = too_many.saturating_sub(MOST_ENDED);
    visits.retain(|_, visit| {
        let goes = too_many > 0 && is_over(visit);
        too_many -= usize::from(goes);
        !goes
    });
    while visits.len() > MOST_VISITS {
        let oldest =
            visits.iter().find(|(_, visit)| is_over(visit)).or_else(|| visits.iter().next());
        let oldest = oldest.map(|(number, _)| number.clone()).unwrap_or_default();
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

fn holds(held: &Map<String, Value>, values: &[(&'static str, Option<Value>)]) -> bool {
    values.iter().all(|(key, value)| held.get(*key) == value.as_ref())
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
    meant(msh.text(9, 1)).filter(|code| code.eq_ignore_ascii_case("ADT"))?;
    let trigger = trigger(message)?;
    let trigger = trigger.as_ref();
    let pv1 = message.segment("PV1", 1)?;
    let class = stated(pv1.text(2, 1)).unwrap_or_default().to_ascii_uppercase();
    let number = stated(pv1.text(19, 1))?;
    if matches!(class.as_str(), "N" | "U" | "NA") || matches!(trigger, "A28" | "A31") {
        return None;
    }
    let step = step(trigger, &pv1, message);
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
    said.law(message);
    Some(Visit { number, step, values: said.values })
}

fn step(trigger: &str, pv1: &Segment<'_>, message: &Message) -> Step {
    match (trigger, was_seen(pv1, message)) {
        ("A03" | "A04" | "A08" | "A10", Some(false)) => return Step::Ends("cancelled"),
        ("A08", Some(true)) => return Step::Ends("finished"),
        _ => {}
    }
    match trigger {
        "A01" | "A04" | "A06" | "A07" | "A10" | "A13" => Step::Opens(None),
        "A05" | "A14" => Step::Opens(Some("planned")),
        "A21" | "A53" => Step::Goes(Some("onleave")),
        "A22" | "A52" => Step::Goes(None),
        "A03" => Step::Ends("finished"),
        "A11" | "A27" | "A32" | "A38" => Step::Ends("cancelled"),
        "A23" => Step::Forgets,
        "A08" if has_ended(pv1, message) => Step::Goes(Some("finished")),
        _ => Step::Tells,
    }
}

/// PV1-45, unless its day is after that of the message: an end may be known before it comes.
fn has_ended(pv1: &Segment<'_>, message: &Message) -> bool {
    let day = |text: &str| text.chars().filter(char::is_ascii_digit).take(8).collect::<String>();
    let at = |segment: &str, field: usize| stated(message.segment(segment, 1)?.text(field, 1));
    let now = at("EVN", 2).or_else(|| at("MSH", 7));
    stated(pv1.text(45, 1)).is_some_and(|end| now.is_none_or(|now| day(&end) <= day(&now)))
}

/// ZU3-3 of a visit to a clinic or of the community: whether the patient was seen (5, 6) or not (2, 3,
/// 4, 7).
fn was_seen(pv1: &Segment<'_>, message: &Message) -> Option<bool> {
    let clinic = |class: &str| ["O", "C"].iter().any(|clinic| class.eq_ignore_ascii_case(clinic));
    meant(pv1.text(2, 1)).filter(|class| clinic(class))?;
    let outcome = stated(message.segment("ZU3", 1)?.text(3, 1))?;
    match outcome.trim().trim_start_matches('0') {
        "5" | "6" => Some(true),
        "2" | "3" | "4" | "7" => Some(false),
        _ => None,
    }
}

/// The visit whose end a message is about, and whether it says that the patient died: of a discharge,
/// of what cancels one, and of a correction with another method or destination.
fn discharge(message: &Message) -> Option<(String, bool)> {
    let trigger = trigger(message)?;
    if !matches!(trigger.as_ref(), "A03" | "A08" | "A11" | "A13" | "A23") {
        return None;
    }
    let pv1 = message.segment("PV1", 1)?;
    let number = stated(pv1.text(19, 1)).unwrap_or_default();
    let method = stated(pv1.text(36, 1));
    let destination = stated(pv1.text(37, 1));
    let code = |text: &Option<String>| {
        text.as_deref().map(|text| text.trim().trim_start_matches('0').to_owned())
    };
    let is_emergency =
        stated(pv1.text(2, 1)).is_some_and(|class| class.trim().eq_ignore_ascii_case("E"));
    let by_destination = code(&destination).as_deref() == Some("79");
    let died = match code(&method).as_deref() {
        // An emergency department has the attendance disposal there: 4 and 5 are clinics.
        Some(disposal) if is_emergency => disposal == "10" || by_destination,
        // Stillborn is the child, even where the discharge of the mother says so.
        Some("5") => is_newborn(message),
        Some("4") => true,
        _ => by_destination,
    };
    match trigger.as_ref() {
        "A03" => Some((number, died)),
        "A11" | "A13" | "A23" => Some((number, false)),
        "A08" if !died && (method.is_some() || destination.is_some()) => Some((number, false)),
        _ => None,
    }
}

/// Born in the year of the message or the one before; without a birth date, with a mother (PID-21).
fn is_newborn(message: &Message) -> bool {
    let year = |segment: &str, field: usize| {
        let text = stated(message.segment(segment, 1)?.text(field, 1))?;
        text.get(..4)?.parse::<u32>().ok()
    };
    match (year("PID", 7), year("EVN", 2).or_else(|| year("MSH", 7))) {
        (Some(born), Some(now)) => now.saturating_sub(born) <= 1,
        _ => message.segment("PID", 1).is_some_and(|pid| stated(pid.text(21, 1)).is_some()),
    }
}

/// The components of a repetition that say something, joined by `^`; those that say nothing at the
/// end are left out.
fn joined(repetition: &Repetition<'_>) -> Option<String> {
    let mut text = String::with_capacity(repetition.raw().len());
    for (position, part) in repetition.components().enumerate() {
        if position > 0 {
            text.push('^');
        }
        text.push_str(&meant(part.whole_text()).unwrap_or_default());
    }
    text.truncate(text.trim_end_matches('^').len());
    (!text.is_empty()).then_some(text)
}

fn is_null(field: Option<Field<'_>>) -> bool {
    field.is_some_and(|field| field.is_null())
}

#[cfg(test)]
mod tests;
