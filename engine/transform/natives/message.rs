//! The message and its parts as script values: read by location, written losslessly.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use hl7::group::Group;
use hl7::location::{Location, SegmentName};
use hl7::message::Message;
use hl7::segment::Segment;
use hl7::value::Value;
use record::trigger::trigger;
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString};

use crate::null::{self, Null};
use crate::reference::Part;
use crate::vocabulary::Vocabulary;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// The message of a run. All copies that a script makes are the same message.
#[derive(Clone)]
pub(crate) struct Handle(Arc<RwLock<Current>>);

struct Current {
    message: Message,
    edits: u64,
}

/// One segment, of the message as it was when the segment was asked for.
#[derive(Clone)]
pub(crate) struct SegmentView {
    message: Message,
    name: SegmentName,
    index: usize,
}

/// Segments that belong together.
#[derive(Clone)]
pub(crate) struct GroupView {
    message: Message,
    /// The names that groups were asked for by.
    names: Arc<[String]>,
    range: Range<usize>,
}

/// One repetition of a field.
#[derive(Clone)]
pub(crate) struct RepetitionView {
    message: Message,
    index: usize,
    at: Location,
}

/// A place that a script named: the message, the position of the segment in it if it is there, and
/// the location inside.
type Found = (Message, Option<usize>, Location);

/// What can be read by location.
trait Readable: Clone + Send + Sync + 'static {
    fn find(&self, location: &str) -> Fallible<Found>;
}

pub(crate) fn register(words: &mut Vocabulary) {
    words.named_type::<Handle>("message");
    words.named_type::<SegmentView>("segment");
    words.named_type::<GroupView>("group");
    words.named_type::<RepetitionView>("repetition");
    document(words);
    readable::<Handle>(words);
    readable::<SegmentView>(words);
    readable::<GroupView>(words);
    words.index_get(|view: &mut RepetitionView, at: &str| read(view, at));

    words.index_set(|message: &mut Handle, at: &str, value: Dynamic| message.write(at, &value));
    words.add(
        Part::Message,
        "trigger(msg)",
        "The trigger event in capitals: MSH-9.2, else EVN-1, as in version 2.1; empty when neither says.",
        |message: &mut Handle| ImmutableString::from(trigger(&message.now().0).unwrap_or_default().as_ref()),
    );
    words.add(
        Part::Message,
        "msg.segments(name)",
        "A list of the segments of that name; also of a group.",
        |message: &mut Handle, name: &str| message.segments(name),
    );
    words.add(
        Part::Message,
        "msg.groups([names])",
        "A list of groups: each begins with the first of the names and takes what follows.",
        |message: &mut Handle, names: Array| message.groups(&names),
    );
    words.add(
        Part::Message,
        "msg.orders()",
        "A list of groups: each OBR with its ORC and its results, also where OUL states them by \
         specimen.",
        |message: &mut Handle| message.orders(),
    );
    words.hidden("segments", |group: &mut GroupView, name: &str| group.named(name));
    words.add(
        Part::Message,
        "group.segments()",
        "A list of all segments of the group.",
        |group: &mut GroupView| group.segments().map(Dynamic::from).collect::<Array>(),
    );
    words.add(
        Part::Message,
        "segment.notes()",
        "A list of the NTE segments that directly follow the segment; of a group, those that follow \
         the segments it begins with.",
        |segment: &mut SegmentView| notes(&segment.message, segment.index),
    );
    words.hidden("notes", |group: &mut GroupView| group.notes());
    words.getter("name", |segment: &mut SegmentView| -> ImmutableString {
        segment.name.as_str().into()
    });
}

fn document(words: &mut Vocabulary) {
    words.document(
        Part::Message,
        "msg[\"PID-3(2).4.1\"]",
        "The text at a location, decoded and unescaped; `()` when absent, the HL7 null when `\"\"`. \
         Parts not given count as the first.",
    );
    words.document(
        Part::Message,
        "group[\"OBR-25\"], segment[\"5.1\"], repetition[\"4.1\"]",
        "The same inside a group, a segment (field first) or a repetition (component first).",
    );
    words.document(
        Part::Message,
        "msg[\"PV1-3.1\"] = value",
        "Writes one value and leaves every other byte as it is. PID-2, 3, 4, 18 and 19, MRG and MSH \
         are read-only.",
    );
    words.document(Part::Message, "segment.name", "The name of a segment: `\"OBX\"`.");
    words.document(
        Part::Message,
        "msg.has(location)",
        "Whether the segment or value is there, be it the HL7 null; also of a group or a segment.",
    );
    words.document(
        Part::Message,
        "msg.repetitions(location)",
        "A list of the repetitions of a field; also of a group or a segment.",
    );
    words.document(
        Part::Message,
        "msg.rendered(location)",
        "A whole field as free text, with its formatting escapes as line breaks; also of a group or \
         a segment.",
    );
}

fn readable<T: Readable>(words: &mut Vocabulary) {
    words.index_get(|view: &mut T, at: &str| read(view, at));
    words.hidden("has", |view: &mut T, at: &str| has(view, at));
    words.hidden("repetitions", |view: &mut T, at: &str| repetitions(view, at));
    words.hidden("rendered", |view: &mut T, at: &str| rendered(view, at));
}

impl Handle {
    pub(crate) fn new(message: Message) -> Self {
        Self(Arc::new(RwLock::new(Current { message, edits: 0 })))
    }

    /// The message as it now stands, and how often it was edited.
    pub(crate) fn now(&self) -> (Message, u64) {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (current.message.clone(), current.edits)
    }

    fn write(&self, at: &str, value: &Dynamic) -> Fallible<()> {
        let location = parse(at)?;
        if is_read_only(&location) {
            return Err(
                format!("{location} is read-only: identity is not a script's to change").into()
            );
        }
        let text = null::text(value);
        let new = if value.is_unit() {
            Value::Absent
        } else if value.is::<Null>() {
            Value::Null
        } else {
            Value::Present(text.as_str())
        };
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let edited = current.message.with(&location, new);
        current.message = edited.map_err(|error| format!("{location}: {error}"))?;
        current.edits += 1;
        Ok(())
    }

    fn segments(&self, name: &str) -> Fallible<Array> {
        let name = segment_name(name)?;
        let (message, _) = self.now();
        let view = |segment: Segment<'_>| {
            let message = message.clone();
            Dynamic::from(SegmentView { message, name, index: segment.index() })
        };
        Ok(message.segments_named(name.as_str()).map(view).collect())
    }

    fn groups(&self, names: &Array) -> Fallible<Array> {
        let names: Arc<[String]> = names
            .iter()
            .map(|name| Ok(segment_name(&null::text(name))?.to_string()))
            .collect::<Fallible<_>>()?;
        let (message, _) = self.now();
        let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(views(&message, &names, &message.groups(&wanted)))
    }

    fn orders(&self) -> Array {
        let names = ["ORC", "OBR"].map(str::to_owned);
        let (message, _) = self.now();
        views(&message, &Arc::from(names), &message.orders())
    }
}

fn views(message: &Message, names: &Arc<[String]>, groups: &[Group<'_>]) -> Array {
    let view = |group: &Group<'_>| {
        let names = Arc::clone(names);
        Dynamic::from(GroupView { message: message.clone(), names, range: group.range() })
    };
    groups.iter().map(view).collect()
}

impl GroupView {
    /// Positions of its segments in the message.
    pub(crate) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The message that it is a part of.
    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// Gives `work` the group as the hl7 crate knows it.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Group<'_>) -> Fallible<T>) -> Fallible<T> {
        work(&self.message.group(self.range()))
    }

    fn segments(&self) -> impl Iterator<Item = SegmentView> {
        self.range.clone().filter_map(|index| {
            let name = SegmentName::new(self.message.segment_at(index)?.name().as_bytes())?;
            Some(SegmentView { message: self.message.clone(), name, index })
        })
    }

    fn named(&self, name: &str) -> Fallible<Array> {
        let name = segment_name(name)?;
        let named = self.segments().filter(|segment| segment.name == name);
        Ok(named.map(Dynamic::from).collect())
    }

    fn notes(&self) -> Array {
        let leads = |name: &str| name == "NTE" || self.names.iter().any(|lead| lead == name);
        let leading = self.segments().take_while(|segment| leads(segment.name.as_str()));
        leading.filter(|s| s.name.as_str() == "NTE").map(Dynamic::from).collect()
    }
}

impl Readable for Handle {
    fn find(&self, location: &str) -> Fallible<Found> {
        let location = parse(location)?;
        let (message, _) = self.now();
        let segment = message.segment(location.segment.as_str(), location.occurrence as usize);
        let index = segment.map(|segment| segment.index());
        Ok((message, index, location))
    }
}

impl Readable for SegmentView {
    fn find(&self, location: &str) -> Fallible<Found> {
        let at = Location::relative(self.name, location)
            .map_err(|error| format!("`{location}` in {}: {error}", self.name))?;
        Ok((self.message.clone(), Some(self.index), at))
    }
}

impl Readable for GroupView {
    fn find(&self, location: &str) -> Fallible<Found> {
        let at = parse(location)?;
        let mut named = self.segments().filter(|segment| segment.name == at.segment);
        let found = named.nth(at.occurrence.saturating_sub(1) as usize);
        Ok((self.message.clone(), found.map(|segment| segment.index), at))
    }
}

impl Readable for RepetitionView {
    fn find(&self, location: &str) -> Fallible<Found> {
        let whole = format!("{}.{location}", self.at.field.unwrap_or(1));
        let inside = Location::relative(self.at.segment, &whole).map_err(|_| {
            format!("`{location}` is not a component of a repetition, such as \"4\" or \"4.1\"")
        })?;
        let at = Location { repetition: self.at.repetition, ..inside };
        Ok((self.message.clone(), Some(self.index), at))
    }
}

fn read(view: &impl Readable, location: &str) -> Fallible<Dynamic> {
    let (message, index, at) = view.find(location)?;
    if at.field.is_none() {
        return Err(format!("`{location}` names a whole segment; say which field").into());
    }
    let segment = index.and_then(|index| message.segment_at(index));
    Ok(segment.map_or(Dynamic::UNIT, |segment| value(segment.text_at(&at))))
}

fn has(view: &impl Readable, location: &str) -> Fallible<bool> {
    let (message, index, at) = view.find(location)?;
    let segment = index.and_then(|index| message.segment_at(index));
    Ok(segment.is_some_and(|segment| !segment.raw_at(&at).is_absent()))
}

fn rendered(view: &impl Readable, location: &str) -> Fallible<Dynamic> {
    let (message, index, at) = view.find(location)?;
    let segment = index.and_then(|index| message.segment_at(index));
    let field = segment.zip(at.field).and_then(|(segment, field)| segment.field(field as usize));
    Ok(field.map_or(Dynamic::UNIT, |field| value(field.whole_rendered())))
}

fn repetitions(view: &impl Readable, location: &str) -> Fallible<Array> {
    let (message, index, at) = view.find(location)?;
    let Some(number) = at.field else {
        return Err(format!("`{location}` names a whole segment; say which field").into());
    };
    let segment = index.and_then(|index| message.segment_at(index));
    let (Some(index), Some(field)) = (index, segment.and_then(|s| s.field(number as usize))) else {
        return Ok(Array::new());
    };
    if field.is_empty() || field.is_null() {
        return Ok(Array::new());
    }
    let view = |(repetition, _)| {
        let at = Location { repetition, component: None, subcomponent: None, ..at };
        Dynamic::from(RepetitionView { message: message.clone(), index, at })
    };
    Ok((1..).zip(field.repetitions()).map(view).collect())
}

fn notes(message: &Message, index: usize) -> Array {
    let view = |note: Segment<'_>| {
        let name = SegmentName::new(note.name().as_bytes())?;
        Some(Dynamic::from(SegmentView { message: message.clone(), name, index: note.index() }))
    };
    message.notes_of(index).filter_map(view).collect()
}

fn value(value: Value<Cow<'_, str>>) -> Dynamic {
    match value {
        Value::Absent => Dynamic::UNIT,
        Value::Null => Dynamic::from(Null),
        Value::Present(text) => ImmutableString::from(text.as_ref()).into(),
    }
}

fn parse(location: &str) -> Fallible<Location> {
    location.parse().map_err(|error| format!("`{location}`: {error}").into())
}

fn segment_name(name: &str) -> Fallible<SegmentName> {
    name.parse().map_err(|_| format!("`{name}` is not a segment name").into())
}

/// Who the patient is was decided before the script ran; MSH says who sent it.
fn is_read_only(at: &Location) -> bool {
    match at.segment.as_str() {
        "MSH" | "MRG" => true,
        "PID" => matches!(at.field, Some(2 | 3 | 4 | 18 | 19) | None),
        _ => false,
    }
}
