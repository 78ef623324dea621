//! A message put into the terms of HL7 UK: what its source writes its own way is set right before
//! anything reads it. The bytes that are stored stay as they came.

use hl7::location::Location;
use hl7::message::Message;
use hl7::segment::{Repetition, Segment};
use hl7::tree::{SegmentTree, tree};
use hl7::value::Value;

use crate::claim::{claims_nhs_number, is_labelled, occurrence};
use crate::dialect::{Dialect, Part, Placeholders, Position, Telecom};
use crate::repeated_hour::told_apart;
use crate::source::Source;
use crate::text::{meant, stated};

/// A message in the terms of HL7 UK, and what was noticed on the way.
#[derive(Debug)]
pub struct Translated {
    /// The message.
    pub message: Message,
    /// Data-quality findings, to be counted: each is a value that is as if it had not been sent.
    pub quality: Vec<&'static str>,
}

/// The message in the terms of HL7 UK; nothing when it is already.
///
/// Placeholders go first, then identifiers are told by position, sites and locations are put where
/// HL7 has them, visits are named in PV1-19 and MRG-5, and at last the trigger event is what it
/// means. A value that cannot be written in the message's character set stays as it is.
pub fn translated(message: &Message, source: &Source) -> Option<Translated> {
    let mut edits = Edits::default();
    let mut seen = [0; TOUCHED.len()];
    for segment in message.segments() {
        let name = segment.name();
        let Some(kind) = TOUCHED.iter().position(|touched| *touched == name) else { continue };
        let nth = seen[kind];
        seen[kind] += 1;
        if let Some(at) = segment_at(name, nth) {
            edits.segment(&segment, at, source);
        }
    }
    if source.dialect.ignore_offset {
        message.segments().for_each(|segment| edits.offsets(message, &segment));
    } else {
        let told_apart = told_apart(message, source).into_iter();
        edits.values.extend(told_apart.map(|(at, time)| (at, Some(time))));
    }
    edits.visits(message, &source.dialect);
    edits.event(message, &source.dialect);
    if edits.values.is_empty() {
        return None;
    }
    let mut translated = message.clone();
    for (at, value) in &edits.values {
        let value = value.as_deref().map_or(Value::Absent, Value::Present);
        if let Ok(edited) = translated.with(at, value) {
            translated = edited;
        }
    }
    Some(Translated { message: translated, quality: edits.quality })
}

/// The segments in which something may be put right.
const TOUCHED: [&str; 6] = ["MSH", "PID", "PD1", "NK1", "PV1", "MRG"];

#[derive(Default)]
struct Edits {
    values: Vec<(Location, Option<String>)>,
    quality: Vec<&'static str>,
}

/// Fields whose components may hold a placeholder for a code or a name that goes with it.
const CODED: [(&str, u32, &[u32]); 6] = [
    ("PD1", 3, &[1, 3, 10]),
    ("PD1", 4, &[1, 2]),
    ("PV1", 7, &[1, 2]),
    ("PV1", 8, &[1, 2]),
    ("PV1", 9, &[1, 2]),
    ("PV1", 17, &[1, 2]),
];

impl Edits {
    fn segment(&mut self, segment: &Segment<'_>, at: Location, source: &Source) {
        let dialect = &source.dialect;
        match segment.name() {
            "MSH" => self.facility(segment, at, dialect),
            "PID" => {
                self.identifiers(segment, field(at, 3), source);
                self.names(segment, field(at, 5), &dialect.placeholders);
                for number in [13, 14] {
                    self.telecom(segment, field(at, number), dialect);
                }
            }
            "MRG" => self.identifiers(segment, field(at, 1), source),
            "NK1" => {
                self.names(segment, field(at, 2), &dialect.placeholders);
                self.telecom(segment, field(at, 5), dialect);
            }
            "PD1" => self.codes(segment, at, &dialect.placeholders),
            "PV1" => {
                self.codes(segment, at, &dialect.placeholders);
                for number in [3, 6, 11, 42] {
                    self.location(segment, field(at, number), dialect);
                }
            }
            _ => {}
        }
    }

    fn remove(&mut self, at: Location, finding: &'static str) {
        self.values.push((at, None));
        self.quality.push(finding);
    }

    fn set(&mut self, at: Location, text: impl Into<String>) {
        self.values.push((at, Some(text.into())));
    }

    fn facility(&mut self, msh: &Segment<'_>, at: Location, dialect: &Dialect) {
        if let Some(code) = meant(msh.text(4, 1)).and_then(|name| dialect.site(&name)) {
            self.set(component(field(at, 4), 1), code);
        }
    }

    /// An identifier that says nothing of itself is what its position says; a placeholder is none.
    fn identifiers(&mut self, segment: &Segment<'_>, at: Location, source: &Source) {
        let (dialect, rules) = (&source.dialect, &source.nhs_number);
        for (index, (id, at)) in repetitions(segment, at).enumerate() {
            let Some(value) = meant(id.text(1, 1)) else { continue };
            let position = dialect.identifiers.get(index).filter(|_| !is_labelled(&id));
            if position == Some(&Position::NhsNumber) {
                self.label(at, "NHS", "NH");
                continue;
            }
            let codes = &dialect.placeholders.codes;
            let nothing =
                dialect.placeholders.is_repeated(&value) || Placeholders::holds(codes, &value);
            if nothing && !claims_nhs_number(&id, rules) {
                self.remove(component(at, 1), "placeholder.identifier");
            } else if position == Some(&Position::Local) {
                let default = source.local.iter().find(|local| local.default);
                if let Some(local) = default.or_else(|| source.local.first()) {
                    self.label(at, &local.authority, &local.kind);
                }
            }
        }
    }

    fn label(&mut self, at: Location, authority: &str, kind: &str) {
        self.set(component(at, 4), authority);
        self.set(component(at, 5), kind);
    }

    fn names(&mut self, segment: &Segment<'_>, at: Location, placeholders: &Placeholders) {
        for (name, at) in repetitions(segment, at) {
            for part in [1, 2] {
                let text = meant(name.text(part as usize, 1));
                if text.is_some_and(|text| Placeholders::holds(&placeholders.names, &text)) {
                    self.remove(component(at, part), "placeholder.name");
                }
            }
        }
    }

    fn telecom(&mut self, segment: &Segment<'_>, at: Location, dialect: &Dialect) {
        let placeholders = &dialect.placeholders;
        for (index, (telecom, at)) in repetitions(segment, at).enumerate() {
            let Some(text) = meant(telecom.text(1, 1)) else { continue };
            if Placeholders::holds(&placeholders.telecom, &text) || placeholders.is_repeated(&text)
            {
                self.remove(at, "placeholder.telecom");
                continue;
            }
            let silent = [2, 3].iter().all(|&part| meant(telecom.text(part, 1)).is_none());
            let here = segment.name() == "PID" && at.field == Some(13) && silent;
            if let Some(kind) = dialect.telecom.get(index).filter(|_| here) {
                let (usage, equipment) = kind.codes();
                self.set(component(at, 2), usage);
                self.set(component(at, 3), equipment);
            }
        }
    }

    fn codes(&mut self, segment: &Segment<'_>, at: Location, placeholders: &Placeholders) {
        let fields = CODED.iter().filter(|(name, ..)| *name == segment.name());
        for (_, number, parts) in fields {
            for (coded, at) in repetitions(segment, field(at, *number)) {
                for &part in *parts {
                    let text = meant(coded.text(part as usize, 1));
                    if text.is_some_and(|text| Placeholders::holds(&placeholders.codes, &text)) {
                        self.remove(component(at, part), "placeholder.code");
                    }
                }
            }
        }
    }

    /// The ward in PL-1, the room in PL-2, the bed in PL-3, the site in PL-4.
    fn location(&mut self, segment: &Segment<'_>, at: Location, dialect: &Dialect) {
        if dialect.location.is_empty() && dialect.facilities.is_empty() {
            return;
        }
        for (location, at) in repetitions(segment, at) {
            let sent = |number: usize| stated(location.text(number, 1));
            let site = dialect.component(Part::Site).and_then(sent);
            let site = site.map(|name| dialect.site(&name).unwrap_or(name));
            if dialect.location.is_empty() {
                if let Some(site) = site.filter(|code| sent(4).as_ref() != Some(code)) {
                    self.set(component(at, 4), site);
                }
                continue;
            }
            let part = |part| dialect.component(part).and_then(sent);
            let wanted = [part(Part::Ward), part(Part::Room), part(Part::Bed), site];
            for (number, wanted) in (1..).zip(wanted) {
                if sent(number as usize) != wanted {
                    self.values.push((component(at, number), wanted));
                }
            }
        }
    }

    /// A time whose offset means nothing is of the zone of its source.
    fn offsets(&mut self, message: &Message, segment: &Segment<'_>) {
        let read = tree(segment, message.delimiters(), message.charset());
        let leaves = read.iter().flat_map(SegmentTree::leaves);
        let times =
            leaves.filter_map(|(at, value)| Some((at, without_offset(value.into_option()?)?)));
        let times: Vec<(Location, String)> =
            times.map(|(at, time)| (at, time.to_owned())).collect();
        self.values.extend(times.into_iter().map(|(at, time)| (at, Some(time))));
    }

    /// The number of the visit goes where HL7 UK has it, in PV1-19, and that of one that is merged
    /// away in MRG-5.
    fn visits(&mut self, message: &Message, dialect: &Dialect) {
        for (places, home) in [(&dialect.visit, "PV1-19"), (&dialect.merged_visit, "MRG-5")] {
            if places.is_empty() {
                continue;
            }
            let Ok(home) = home.parse::<Location>() else { continue };
            let found = places.iter().find(|place| meant(message.text(place)).is_some());
            let Some(found) =
                found.filter(|found| found.field != home.field || !same(found, &home))
            else {
                continue;
            };
            if message.segment(home.segment.as_str(), 1).is_none() {
                continue;
            }
            for part in [1, 4, 5] {
                let text = stated(message.text(&component(*found, part)));
                self.values.push((component(home, part), text));
            }
        }
    }

    fn event(&mut self, message: &Message, dialect: &Dialect) {
        if dialect.events.is_empty() {
            return;
        }
        let text = |at: &str| {
            let at: Location = at.parse().ok()?;
            Some((at, meant(message.text(&at)).unwrap_or_default().to_ascii_uppercase()))
        };
        let (Some((at, trigger)), Some((_, class))) = (text("MSH-9.2"), text("PV1-2")) else {
            return;
        };
        let Some(remap) = dialect.events.get(&trigger) else { return };
        let every = remap.classes.is_empty();
        if every || remap.classes.iter().any(|ours| ours.eq_ignore_ascii_case(&class)) {
            self.set(at, remap.to.clone());
        }
    }
}

impl Dialect {
    /// The ODS code of what the source calls a site, if it has a name of its own for it.
    fn site(&self, name: &str) -> Option<String> {
        let named = |(ours, _): &(&String, &String)| ours.eq_ignore_ascii_case(name);
        self.facilities.iter().find(named).map(|(_, code)| code.clone())
    }

    /// Which component of a location holds a part.
    fn component(&self, part: Part) -> Option<usize> {
        if self.location.is_empty() {
            return (part == Part::Site && !self.facilities.is_empty()).then_some(4);
        }
        self.location.iter().position(|ours| *ours == part).map(|index| index + 1)
    }
}

impl Telecom {
    /// XTN-2 and XTN-3 (tables 0201 and 0202).
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Telecom::Home => ("PRN", "PH"),
            Telecom::Mobile => ("PRN", "CP"),
            Telecom::Work => ("WPN", "PH"),
            Telecom::Email => ("NET", "Internet"),
        }
    }
}

/// A date or time that ends in an offset of these islands, without it; nothing of any other text.
fn without_offset(text: &str) -> Option<&str> {
    let time = ["+0000", "+0100"].iter().find_map(|offset| text.strip_suffix(offset))?;
    let digits = time.split_once('.').map_or(time, |(digits, _)| digits);
    let is_time = matches!(digits.len(), 8 | 10 | 12 | 14)
        && (digits.starts_with("19") || digits.starts_with("20"))
        && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_time.then_some(time)
}

fn segment_at(name: &str, nth: usize) -> Option<Location> {
    let name = name.parse().ok()?;
    Some(Location::segment(name).with_occurrence(occurrence(nth)))
}

fn field(at: Location, number: u32) -> Location {
    Location { field: Some(number), ..at }
}

fn component(at: Location, number: u32) -> Location {
    Location { component: Some(number), subcomponent: None, ..at }
}

fn same(one: &Location, other: &Location) -> bool {
    one.segment.as_str() == other.segment.as_str()
}

/// The repetitions of a field with their places; none of the HL7 null.
fn repetitions<'m>(
    segment: &Segment<'m>,
    at: Location,
) -> impl Iterator<Item = (Repetition<'m>, Location)> {
    let field = at.field.and_then(|number| segment.field(number as usize));
    let field = field.filter(|field| !field.is_empty() && !field.is_null());
    let all = field.into_iter().flat_map(|field| field.repetitions());
    (1..).zip(all).map(move |(repetition, found)| (found, Location { repetition, ..at }))
}
