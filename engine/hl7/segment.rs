//! Views into a message: segment, field, repetition, component, subcomponent.
//!
//! A view borrows the message and copies nothing. A part that holds two double quotes is HL7 null,
//! and so are all parts inside it: who deletes an address deletes its postcode.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::delimiters::Delimiters;
use crate::escape::{render, unescape};
use crate::index::Parts;
use crate::location::{Location, SegmentName};
use crate::short::{is_plain, nth_part};
use crate::value::Value;

const NULL: &[u8] = b"\"\"";

/// One line of a message.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    parts: &'m Parts,
    index: usize,
}

/// One field of a segment, with all its repetitions.
#[derive(Clone, Copy)]
pub struct Field<'m>(Part<'m>);

/// One repetition of a field.
#[derive(Clone, Copy)]
pub struct Repetition<'m>(Part<'m>);

/// One component of a repetition.
#[derive(Clone, Copy)]
pub struct Component<'m>(Part<'m>);

/// One subcomponent of a component.
#[derive(Clone, Copy)]
pub struct Subcomponent<'m>(Part<'m>);

/// Bytes of a message that stand for something.
#[derive(Clone, Copy)]
struct Part<'m> {
    parts: &'m Parts,
    raw: &'m [u8],
    /// Where they begin in the message.
    start: usize,
    /// MSH-1 and MSH-2 are delimiters themselves and hold no parts or escapes.
    verbatim: bool,
}

impl<'m> Segment<'m> {
    pub(crate) fn new(parts: &'m Parts, index: usize) -> Self {
        Self { parts, index }
    }

    /// Its name; empty for an odd line, which does not begin with one.
    pub fn name(&self) -> &'m str {
        let line = self.parts.index.lines[self.index];
        if !line.named {
            return "";
        }
        // A name alone is no reason to look for the text.
        match self.parts.plain.get() {
            Some(Some(plain)) => plain.text(line.start as usize, 3).unwrap_or_default(),
            _ => str::from_utf8(&self.raw()[..3]).unwrap_or_default(),
        }
    }

    pub(crate) fn is_named(&self, name: [u8; 3]) -> bool {
        self.parts.index.lines[self.index].named && self.raw()[..3] == name
    }

    /// Its position among the segments of the message, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Where it lies in the message's bytes, without what ends it.
    pub fn range(&self) -> Range<usize> {
        let line = self.parts.index.lines[self.index];
        line.start as usize..line.end as usize
    }

    /// Its bytes, without what ends it.
    pub fn raw(&self) -> &'m [u8] {
        &self.parts.bytes[self.range()]
    }

    /// Where it stands, as in `OBX(2)`; an odd line has no location.
    pub fn location(&self) -> Option<Location> {
        let name = SegmentName::new(self.name().as_bytes())?;
        let before = (0..self.index).map(|index| Self { index, ..*self });
        let earlier = before.filter(|segment| segment.is_named(*name.as_bytes())).count();
        let occurrence = u32::try_from(earlier + 1).ok()?;
        Some(Location::segment(name).with_occurrence(occurrence))
    }

    /// The notes (NTE) that directly follow it.
    pub fn notes(&self) -> impl Iterator<Item = Self> + use<'m> {
        let parts = self.parts;
        let following =
            (self.index + 1..parts.index.lines.len()).map(|index| Self { parts, index });
        following.take_while(|segment| segment.is_named(*b"NTE"))
    }

    /// How many fields it has.
    pub fn field_count(&self) -> usize {
        self.parts.index.field_count(self.index)
    }

    pub(crate) fn field_range(&self, number: usize) -> Option<Range<usize>> {
        self.parts.index.field(self.index, number).map(|(start, end)| start..end)
    }

    /// A field, counted from 1; `None` if the segment ends before it.
    pub fn field(&self, number: usize) -> Option<Field<'m>> {
        let range = self.field_range(number)?;
        let verbatim = number <= 2 && matches!(self.name(), "MSH" | "FHS" | "BHS");
        let start = range.start;
        let raw = &self.parts.bytes[range];
        Some(Field(Part { parts: self.parts, raw, start, verbatim }))
    }

    /// All fields, from the first.
    pub fn fields(&self) -> impl Iterator<Item = Field<'m>> + use<'m> {
        let segment = *self;
        (1..=segment.field_count()).filter_map(move |number| segment.field(number))
    }

    /// The text of a component of the first repetition of a field.
    pub fn text(&self, field: usize, component: usize) -> Value<Cow<'m, str>> {
        self.field(field)
            .and_then(|field| field.repetition(1))
            .map_or(Value::Absent, |repetition| repetition.text(component, 1))
    }

    /// The bytes at a location inside this segment; its segment name and occurrence are not looked
    /// at. Parts that are not given count as the first one.
    pub fn raw_at(&self, at: &Location) -> Value<&'m [u8]> {
        if at.field.is_none() {
            return Value::Present(self.raw());
        }
        self.part_at(at).map(|part| part.raw)
    }

    /// The text at a location inside this segment, as [`Segment::raw_at`], decoded and unescaped.
    pub fn text_at(&self, at: &Location) -> Value<Cow<'m, str>> {
        if at.field.is_none() {
            return Value::Present(self.parts.charset.decode(self.raw()).text);
        }
        self.part_at(at).map(|part| part.decoded())
    }

    fn part_at(&self, at: &Location) -> Value<Part<'m>> {
        let field = at.field.and_then(|number| self.field(number as usize));
        let Some(repetition) = field.and_then(|field| field.repetition(at.repetition as usize))
        else {
            return Value::Absent;
        };
        repetition.part(at.component.unwrap_or(1) as usize, at.subcomponent.unwrap_or(1) as usize)
    }
}

impl<'m> Field<'m> {
    /// Its bytes as they stand.
    pub fn raw(&self) -> &'m [u8] {
        self.0.raw
    }

    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.0.raw.is_empty()
    }

    /// Whether it asks for deletion: two double quotes and nothing else.
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// A repetition, counted from 1.
    pub fn repetition(&self, number: usize) -> Option<Repetition<'m>> {
        self.0.nth(self.0.delimiters().repetition, number).map(Repetition)
    }

    /// All repetitions; an empty field has one, which is empty.
    pub fn repetitions(&self) -> impl Iterator<Item = Repetition<'m>> + use<'m> {
        self.0.split(self.0.delimiters().repetition).map(Repetition)
    }

    /// The text of the first subcomponent of the first component of the first repetition.
    pub fn text(&self) -> Value<Cow<'m, str>> {
        self.repetition(1).map_or(Value::Absent, |repetition| repetition.text(1, 1))
    }

    /// The whole field as one text, decoded and unescaped: for free text in which a sender did not
    /// escape its delimiters, so that nothing of it is lost.
    pub fn whole_text(&self) -> Value<Cow<'m, str>> {
        self.0.text()
    }

    /// As [`Field::whole_text`], with formatting turned into line breaks and blanks.
    pub fn whole_rendered(&self) -> Value<Cow<'m, str>> {
        self.0.rendered()
    }
}

impl<'m> Repetition<'m> {
    /// Its bytes as they stand.
    pub fn raw(&self) -> &'m [u8] {
        self.0.raw
    }

    /// Whether it asks for deletion.
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// A component, counted from 1.
    pub fn component(&self, number: usize) -> Option<Component<'m>> {
        self.0.nth(self.0.delimiters().component, number).map(Component)
    }

    /// All components; an empty repetition has one, which is empty.
    pub fn components(&self) -> impl Iterator<Item = Component<'m>> + use<'m> {
        self.0.split(self.0.delimiters().component).map(Component)
    }

    /// The text of a subcomponent of a component, both counted from 1.
    pub fn text(&self, component: usize, subcomponent: usize) -> Value<Cow<'m, str>> {
        self.part(component, subcomponent).map(|part| part.decoded())
    }

    /// The whole repetition as one text, decoded and unescaped.
    pub fn whole_text(&self) -> Value<Cow<'m, str>> {
        self.0.text()
    }

    fn part(&self, component: usize, subcomponent: usize) -> Value<Part<'m>> {
        if self.0.raw.is_empty() {
            return Value::Absent;
        }
        if self.is_null() {
            return Value::Null;
        }
        let Some(component) = self.component(component) else { return Value::Absent };
        if component.is_null() {
            return Value::Null;
        }
        component.subcomponent(subcomponent).map_or(Value::Absent, |found| found.0.value())
    }
}

impl<'m> Component<'m> {
    /// Its bytes as they stand.
    pub fn raw(&self) -> &'m [u8] {
        self.0.raw
    }

    /// Whether it asks for deletion.
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }

    /// A subcomponent, counted from 1.
    pub fn subcomponent(&self, number: usize) -> Option<Subcomponent<'m>> {
        let alone = number == 1 && self.0.parts.plain().is_some_and(|plain| !plain.subcomponents);
        if alone {
            return Some(Subcomponent(self.0));
        }
        self.0.nth(self.0.delimiters().subcomponent, number).map(Subcomponent)
    }

    /// All subcomponents; an empty component has one, which is empty.
    pub fn subcomponents(&self) -> impl Iterator<Item = Subcomponent<'m>> + use<'m> {
        self.0.split(self.0.delimiters().subcomponent).map(Subcomponent)
    }

    /// The text of its first subcomponent.
    pub fn text(&self) -> Value<Cow<'m, str>> {
        self.subcomponent(1).map_or(Value::Absent, |first| first.text())
    }

    /// The whole component as one text, decoded and unescaped.
    pub fn whole_text(&self) -> Value<Cow<'m, str>> {
        self.0.text()
    }
}

impl<'m> Subcomponent<'m> {
    /// Its bytes as they stand.
    pub fn raw(&self) -> &'m [u8] {
        self.0.raw
    }

    /// Its text, decoded and unescaped.
    pub fn text(&self) -> Value<Cow<'m, str>> {
        self.0.text()
    }

    /// As [`Subcomponent::text`], with formatting turned into line breaks and blanks.
    pub fn rendered(&self) -> Value<Cow<'m, str>> {
        self.0.rendered()
    }
}

impl<'m> Part<'m> {
    fn delimiters(&self) -> Delimiters {
        self.parts.delimiters
    }

    fn is_null(&self) -> bool {
        self.raw == NULL
    }

    fn value(self) -> Value<Self> {
        match self.raw {
            [] => Value::Absent,
            NULL => Value::Null,
            _ => Value::Present(self),
        }
    }

    fn text(self) -> Value<Cow<'m, str>> {
        self.value().map(|part| part.decoded())
    }

    fn rendered(self) -> Value<Cow<'m, str>> {
        self.value().map(|part| part.decode(render(part.raw, &part.delimiters())))
    }

    fn decoded(&self) -> Cow<'m, str> {
        if let Some(text) = self.as_it_stands() {
            return Cow::Borrowed(text);
        }
        let plain = if self.verbatim {
            Cow::Borrowed(self.raw)
        } else {
            unescape(self.raw, &self.delimiters())
        };
        self.decode(plain)
    }

    /// A text of ASCII without escape sequence or control character, as nearly every one is.
    fn as_it_stands(&self) -> Option<&'m str> {
        if let Some(plain) = self.parts.plain() {
            return plain.text(self.start, self.raw.len());
        }
        let stands =
            is_plain(self.raw, self.delimiters().escape) && self.parts.charset.is_bytewise();
        if stands { str::from_utf8(self.raw).ok() } else { None }
    }

    fn decode(&self, bytes: Cow<'m, [u8]>) -> Cow<'m, str> {
        let text = match bytes {
            Cow::Borrowed(bytes) => self.parts.charset.decode(bytes).text,
            Cow::Owned(bytes) => Cow::Owned(self.parts.charset.decode(&bytes).text.into_owned()),
        };
        if self.parts.index.tolerated.nul_bytes > 0 && text.contains('\0') {
            return Cow::Owned(text.replace('\0', ""));
        }
        text
    }

    fn nth(self, delimiter: u8, number: usize) -> Option<Self> {
        /// From so many bytes on a search for each delimiter is quicker.
        const LONG: usize = 512;
        let before = number.checked_sub(1)?;
        if self.raw.len() > LONG || self.verbatim || delimiter == Delimiters::NONE {
            return self.split(delimiter).nth(before);
        }
        let range = nth_part(self.raw, delimiter, before)?;
        Some(Self { start: self.start + range.start, raw: &self.raw[range], ..self })
    }

    fn split(self, delimiter: u8) -> impl Iterator<Item = Self> + use<'m> {
        let mut rest = Some((self.start, self.raw));
        let whole = self.verbatim || delimiter == Delimiters::NONE;
        std::iter::from_fn(move || {
            let (start, raw) = rest?;
            let end = if whole { None } else { memchr::memchr(delimiter, raw) };
            rest = end.map(|end| (start + end + 1, &raw[end + 1..]));
            Some(Self { start, raw: end.map_or(raw, |end| &raw[..end]), ..self })
        })
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Segment({} bytes, {} fields)", self.raw().len(), self.field_count())
    }
}

macro_rules! debug_shows_sizes_only {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!(stringify!($name), "({} bytes)"), self.raw().len())
            }
        }
    )*};
}

debug_shows_sizes_only!(Field, Repetition, Component, Subcomponent);
