//! Elements of a draft from fields, in their three states: absent says nothing, HL7 null clears, a
//! value is set. A component that alone is null (`^""^`) clears what it stands for.

use hl7::segment::{Repetition, Segment};

use crate::fhir::built::Draft;
use crate::fhir::coded::{CODED, concept};
use crate::fhir::tables::Table;
use crate::json::Value;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

impl Draft {
    /// A coded field as one `CodeableConcept`.
    pub(crate) fn coded(&mut self, segment: &Segment<'_>, field: usize, element: &'static str) {
        let value = self.read_coded(segment, field, element, concept);
        self.set(element, value);
    }

    /// The first repetition of a field, read as a whole.
    pub(crate) fn read_coded(
        &mut self,
        segment: &Segment<'_>,
        field: usize,
        path: &str,
        read: impl Fn(&Repetition<'_>) -> Option<Value>,
    ) -> Option<Value> {
        let field = segment.field(field).filter(|field| !field.is_empty())?;
        if field.is_null() {
            self.clear(path);
            return None;
        }
        let first = field.repetition(1)?;
        let value = read(&first);
        if value.is_none() {
            self.clear_parts(&first, path, CODED);
        }
        value
    }

    /// A field with a code of a table; what the table does not have is kept as sent and counted.
    pub(crate) fn tabled(
        &mut self,
        segment: &Segment<'_>,
        field: usize,
        path: &str,
        (table, day): (&Table, &str),
    ) -> Option<Value> {
        let first = segment.field(field).and_then(|field| field.repetition(1));
        let part = |component: usize| stated(first?.text(component, 1));
        let Some(code) = self.read(segment, field, path) else {
            return part(2).map(|text| crate::fhir::coded::in_words(&text));
        };
        let (text, named) = (part(2), part(3));
        let (concept, finding) = table.concept(&code, text.as_deref(), named.as_deref(), day);
        self.quality.extend(finding);
        Some(concept)
    }

    /// A date or time; one that cannot be read is counted.
    pub(crate) fn moment(
        &mut self,
        segment: &Segment<'_>,
        field: usize,
        path: &str,
        source: &Source,
    ) -> Option<Moment> {
        let text = self.read(segment, field, path)?;
        let moment = Moment::read(&text, &source.zone).ok();
        if moment.is_none() {
            self.quality.push("date.unreadable");
        }
        moment
    }

    /// Sets a `dateTime`.
    pub(crate) fn date_time(
        &mut self,
        segment: &Segment<'_>,
        field: usize,
        element: &'static str,
        source: &Source,
    ) {
        let moment = self.moment(segment, field, element, source);
        self.set(element, moment.map(|moment| Value::text(moment.fhir())));
    }
}
