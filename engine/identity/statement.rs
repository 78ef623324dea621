//! What a source states of a patient besides identifiers, kept so that the next message can be
//! compared with it: demographics, practice, death, encounters.

use std::slice::from_ref;
use std::sync::Arc;

use hl7::message::Message;
use hl7::segment::{Field, Repetition, Segment};
use record::deceased::can_be_a_death;
use record::demographics::name_parts;
use record::identity::Identity;
use record::name_based::name_based;
use record::replay::is_replay;
use record::sensitivity;
use record::site;
use record::source::Source;
use record::text::{meant, stated};
use record::trigger::trigger;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ended::{Discharge, STATUS, discharge, has_begun, is_of_class, is_one_of, is_over};
use crate::places::{VISITS, keep_before};
use crate::step::{Step, step};

/// A statement as scripts see it: `family`, `given`, `birthdate`, `sex`, `address`, `telecom`,
/// `practice`, `gp`, `kin`, `birth`, `alerts`, `death`, `death_on_discharge`, `protected_by_flag`,
/// `replayed`, and `visits` by number; and what only matters if it must not be told: `surgery`,
/// `doctor`, `kin_name`, `kin_address`, `kin_telecom`, and `before`, what such members said before, there
/// and in a visit.
pub type Statement = Map<String, Value>;

/// What one message says; nothing stands for the null, which removes.
#[derive(Clone, Default)]
pub(crate) struct Said {
    values: Vec<(&'static str, Option<Value>)>,
    visit: Option<Visit>,
    discharge: Option<Discharge>,
}

#[derive(Clone)]
struct Visit {
    number: String,
    step: Step,
    values: Vec<(&'static str, Option<Value>)>,
}

/// The encounters of a patient that are kept; the oldest go, and those that ended before others.
const MOST_VISITS: usize = 32;
/// Those of them that ended.
const MOST_ENDED: usize = 8;
/// What is said of a visit by the law on mental health: ZU5-2, 3 and 5.
const LAW: [(&str, usize); 3] = [("law", 2), ("law_at_census", 3), ("detained", 5)];
/// Marks of what is only compared are made in this name space.
const MARKS: Uuid = Uuid::from_u128(0x1d6f_5a0c_2f7e_4b8a_8c55_90f3_7a1e_64d2);
/// Of a visit of a class that may have a bed: that it is an attendance without one.
const ATTENDS: &str = "attends";
/// The visit whose discharge says that the patient died. It stands apart from the death that PID
/// states: what is said of the one takes nothing back of the other.
pub(crate) const DEATH_ON_DISCHARGE: &str = "death_on_discharge";
/// ZU8-4 says that the patient is protected.
pub(crate) const PROTECTED_BY_FLAG: &str = "protected_by_flag";
/// All of it comes from an archive or an initial load (MSH-11.2).
pub(crate) const REPLAYED: &str = "replayed";
/// Of a visit: the identifier of the patient under which it was stated last.
pub(crate) const LOCAL: &str = "localid";

impl Said {
    /// Reads PID, PD1 and, of ADT messages, PV1 and ZU1.
    pub(crate) fn read(message: &Message, source: &Source, identity: &Identity) -> Self {
        let Some(pid) = message.segment("PID", 1) else { return Self::default() };
        let mut said = Self::default();
        said.name(&pid);
        said.value("birthdate", pid.field(7));
        said.value("sex", pid.field(8));
        said.listed("address", from_ref(&pid), &[11]);
        said.listed("telecom", from_ref(&pid), &[13, 14]);
        said.death(message, &pid, source);
        if let Some(pd1) = message.segment("PD1", 1) {
            match site::practice(message) {
                Some(code) => said.values.push(("practice", Some(code.into()))),
                None if is_null(pd1.field(3)) => said.values.push(("practice", None)),
                None => {}
            }
            said.value("gp", pd1.field(4));
            said.listed("surgery", from_ref(&pd1), &[3]);
            said.listed("doctor", from_ref(&pd1), &[4]);
        }
        said.kin(message);
        said.imprint("birth", message, &["ZU6", "ZU7"]);
        said.imprint("alerts", message, &["ZAL"]);
        said.protection(message);
        said.flag(REPLAYED, Some(is_replay(message)));
        said.visit = visit(message, identity);
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

    /// The NK1 of a message replace those that were stated before.
    fn kin(&mut self, message: &Message) {
        self.imprint("kin", message, &["NK1"]);
        let all: Vec<Segment<'_>> = message.segments_named("NK1").collect();
        if all.is_empty() {
            return;
        }
        let members: [(_, &[usize]); 3] =
            [("kin_name", &[2, 30]), ("kin_address", &[4, 32]), ("kin_telecom", &[5, 6, 31])];
        for (key, numbers) in members {
            if !self.listed(key, &all, numbers) {
                self.values.push((key, None));
            }
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
            self.values.push((key, Some(mark.simple().to_string().into())));
        }
    }

    /// Feeds lose the leading zero of a code, and mean the same.
    fn law(&mut self, message: &Message) {
        let Some(zu5) = message.segment("ZU5", 1) else { return };
        for (key, number) in LAW {
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
                self.values.push((key, Some(text.into())));
            } else if name.text(part, 1).is_null() {
                self.values.push((key, None));
            }
        }
    }

    /// The first component of the first repetition.
    fn value(&mut self, key: &'static str, field: Option<Field<'_>>) {
        let Some(field) = field else { return };
        if let Some(text) = stated(field.text()) {
            self.values.push((key, Some(text.into())));
        } else if is_null(Some(field)) || field.text().is_null() {
            self.values.push((key, None));
        }
    }

    /// All repetitions of some fields, each as one text; a snapshot, since repeating fields are
    /// replaced whole (HL7 UK A.3, 2.3). Gives back whether anything is stated.
    fn listed(&mut self, key: &'static str, of: &[Segment<'_>], numbers: &[usize]) -> bool {
        let fields =
            || of.iter().flat_map(|of| numbers.iter().filter_map(|number| of.field(*number)));
        let texts: Vec<String> = fields()
            .flat_map(|field| field.repetitions())
            .filter(|repetition| !repetition.is_null())
            .filter_map(|repetition| joined(&repetition))
            .collect();
        let nulled = texts.is_empty() && fields().any(|field| field.is_null());
        let stated = nulled || !texts.is_empty();
        if stated {
            self.values.push((key, (!nulled).then(|| texts.into())));
        }
        stated
    }

    /// PID-29, if it can be the time of a death, else PID-30 `Y`; a death that is revoked is removed.
    fn death(&mut self, message: &Message, pid: &Segment<'_>, source: &Source) {
        let dead = stated(pid.text(30, 1)).map(|code| code.to_ascii_uppercase());
        let revoked =
            |text: &String| source.death_revoked.iter().any(|word| word.eq_ignore_ascii_case(text));
        let at = stated(pid.text(29, 1))
            .filter(|text| revoked(text) || can_be_a_death(text, pid, message, source));
        let nulled = is_null(pid.field(29)) || is_null(pid.field(30));
        match (at, dead.as_deref()) {
            (Some(text), _) if revoked(&text) => self.values.push(("death", None)),
            (_, Some("N")) => self.values.push(("death", None)),
            (Some(text), _) => self.values.push(("death", Some(text.into()))),
            (None, Some("Y")) => self.values.push(("death", Some("Y".into()))),
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
        keep_before(&mut now, &self.values);
        put(&mut now, &self.values);
        if let Some(visit) = &self.visit {
            let mut visits = visits_of(&mut now);
            visit.over(&mut visits);
            put_visits(&mut now, visits);
        }
        if let Some(Discharge { number, died, ends }) = &self.discharge {
            if *died && (*ends || is_known_to_be_over(&now, number)) {
                now.insert(DEATH_ON_DISCHARGE.to_owned(), json!(number));
            } else if !died && now.get(DEATH_ON_DISCHARGE).is_some_and(|of| of == number) {
                now.shift_remove(DEATH_ON_DISCHARGE);
            }
        }
        now
    }

    /// Whether a statement says all of it.
    fn is_held(&self, by: &Statement) -> bool {
        let visit = |visit: &Visit| visit.is_held(by.get(VISITS));
        let discharge = |Discharge { number, died, ends }: &Discharge| {
            let held = by.get(DEATH_ON_DISCHARGE).is_some_and(|of| of == number);
            held == *died || (*died && !ends && !is_known_to_be_over(by, number))
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
    /// Only the law is put right, as it may be after discharge.
    ByTheLaw,
    /// It has these values, and the status that it had.
    With,
    /// It has these values, and that status; none while it is in progress.
    WithStatus(Option<&'static str>),
}

impl Visit {
    fn after(&self, held: Option<&Value>) -> After {
        let was_over = held.is_some_and(is_over);
        let begun = held.is_some_and(has_begun);
        match self.step {
            Step::Forgets => After::Gone,
            Step::Goes(_) | Step::Tells if was_over => After::ByTheLaw,
            Step::Plans(status) if begun && !(status == "planned" && self.comes_again(held)) => {
                After::AsItWas
            }
            Step::Tells if begun && self.is_of_class(&["P", "W"]) => After::AsItWas,
            Step::Tells => After::With,
            Step::Opens | Step::Attends => After::WithStatus(None),
            Step::Goes(status) => After::WithStatus(status),
            Step::Ends(status) | Step::Plans(status) => After::WithStatus(Some(status)),
        }
    }

    fn is_of_class(&self, classes: &[&str]) -> bool {
        let class = self.values.iter().find(|(key, _)| *key == "class");
        class.and_then(|(_, class)| class.as_ref()).is_some_and(|class| is_one_of(class, classes))
    }

    /// Who comes again, or is listed again, may have the same number.
    fn comes_again(&self, held: Option<&Value>) -> bool {
        let again = |held: &Value| !is_of_class(held, &["I", "E"]) || self.is_of_class(&["W"]);
        held.is_some_and(|held| is_over(held) && again(held))
    }

    fn law(&self) -> Vec<(&'static str, Option<Value>)> {
        let of_law = |key: &str| LAW.iter().any(|(law, _)| *law == key);
        self.values.iter().filter(|(key, _)| of_law(key)).cloned().collect()
    }

    fn is_held(&self, visits: Option<&Value>) -> bool {
        let held = visits.and_then(|visits| visits.get(&self.number));
        let object = held.and_then(Value::as_object);
        match self.after(held) {
            After::Gone => held.is_none(),
            After::AsItWas => true,
            After::ByTheLaw => object.is_some_and(|held| holds(held, &self.law())),
            After::With => object.is_some_and(|held| holds(held, &self.values)),
            After::WithStatus(status) => object.is_some_and(|held| {
                let is = held.get(STATUS).and_then(Value::as_str) == status;
                is && holds(held, &self.values)
            }),
        }
    }

    fn over(&self, visits: &mut Map<String, Value>) {
        let held = visits.get(&self.number);
        let goes_on = held.is_some_and(|visit| visit.get(STATUS).is_none());
        let status = match self.after(held) {
            After::Gone => return drop(visits.shift_remove(&self.number)),
            After::AsItWas => return,
            After::ByTheLaw => {
                if let Some(Value::Object(visit)) = visits.get_mut(&self.number) {
                    put(visit, &self.law());
                }
                return;
            }
            After::With => None,
            After::WithStatus(status) => Some(status),
        };
        let mut visit = object(visits.shift_remove(&self.number));
        keep_before(&mut visit, &self.values);
        put(&mut visit, &self.values);
        if matches!(self.step, Step::Attends) && !goes_on {
            visit.insert(ATTENDS.to_owned(), json!("Y"));
        }
        if let Some(status) = status {
            put(&mut visit, &[(STATUS, status.map(|status| json!(status)))]);
        }
        visits.insert(self.number.clone(), Value::Object(visit));
    }
}

fn is_known_to_be_over(statement: &Statement, number: &str) -> bool {
    let visit = statement.get(VISITS).and_then(|visits| visits.get(number));
    visit.is_some_and(is_over)
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

pub(crate) fn visits_of(statement: &mut Statement) -> Map<String, Value> {
    object(statement.shift_remove(VISITS))
}

pub(crate) fn put_visits(statement: &mut Statement, mut visits: Map<String, Value>) {
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
fn visit(message: &Message, identity: &Identity) -> Option<Visit> {
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
    let step = step(trigger, &class, &pv1, message);
    let mut said = Said::default();
    said.value("class", pv1.field(2));
    said.listed("location", from_ref(&pv1), &[3]);
    let consultant = [9, 7].into_iter().filter_map(|number| pv1.field(number));
    said.value("consultant", consultant.clone().find(|field| !field.is_empty()));
    said.value("service", pv1.field(10));
    let ready = message.segment("ZU1", 1);
    said.value("ready", ready.as_ref().and_then(|zu1| zu1.field(24)));
    if let Some(fit) = ready.as_ref().and_then(|zu1| zu1.field(22)).filter(|fit| !fit.is_empty()) {
        let fit = stated(fit.text()).filter(|fit| fit.eq_ignore_ascii_case("Y"));
        said.values.push(("fit", fit.map(|_| json!("Y"))));
    }
    for (_, value) in &mut said.values {
        if let Some(Value::Array(texts)) = value {
            *value = (!texts.is_empty()).then(|| texts.remove(0));
        }
    }
    said.law(message);
    if matches!(trigger, "A01" | "A06") {
        said.values.push((ATTENDS, None));
    }
    let local = identity.best_local.as_ref().map(|local| (LOCAL, Some(local.to_string().into())));
    said.values.extend(local);
    Some(Visit { number, step, values: said.values })
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
