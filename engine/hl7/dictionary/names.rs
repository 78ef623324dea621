//! The names of everything in one message: the standard's of its version, and the site's own.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::dictionary::book::{self, Part};
use crate::dictionary::version::Version;
use crate::location::Location;
use crate::message::Message;
use crate::segment::Segment;

/// What a site calls segments of its own, and fields that it added to others, by segment name. What
/// is said here goes before the standard.
pub type LocalNames = BTreeMap<String, LocalSegment>;

/// What a site calls one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalSegment {
    /// What it is called; the standard's name where it is empty.
    pub name: String,
    /// What its fields are called, by number from 1.
    pub fields: BTreeMap<u32, String>,
}

/// The names of one message.
#[derive(Clone, Copy, Debug)]
pub struct Names<'n> {
    version: Version,
    local: &'n LocalNames,
}

/// What the places of one value are called, from the field inwards; what nobody has named is called
/// by its number, as in `field 7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceName<'n> {
    /// The field.
    pub field: Cow<'n, str>,
    /// The component, where the location has one.
    pub component: Option<Cow<'n, str>>,
    /// The subcomponent, where the location has one.
    pub subcomponent: Option<Cow<'n, str>>,
    /// The table of the codes that stand there.
    pub table: Option<u16>,
}

impl<'n> Names<'n> {
    /// The names of a message, by its MSH-12.
    pub fn of(message: &Message, local: &'n LocalNames) -> Self {
        let said =
            message.segment_at(0).map(|header| header.text(12, 1).unwrap_or_default().into_owned());
        Self { version: Version::nearest(&said.unwrap_or_default()), local }
    }

    /// The version whose names they are.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What a segment is called. A Z segment that nobody has named is a local one.
    pub fn segment(&self, name: &str) -> &'n str {
        let local = self.local.get(name).map(|local| local.name.as_str());
        let unnamed = if name.starts_with('Z') { "Local Segment" } else { "Unknown Segment" };
        local.filter(|name| !name.is_empty()).or(book::segment(name)).unwrap_or(unnamed)
    }

    /// What stands at a location inside a segment; `segment` says of which type OBX-5 is.
    pub fn place(&self, segment: &Segment<'_>, at: &Location) -> PlaceName<'n> {
        let number = at.field.unwrap_or_default();
        let field = book::field(self.version, segment.name(), number);
        let local = self.local.get(segment.name()).and_then(|local| local.fields.get(&number));
        let name = match (local, field) {
            (Some(local), _) => Cow::Borrowed(local.as_str()),
            (None, Some(field)) => Cow::Borrowed(field.name),
            (None, None) => Cow::Owned(format!("field {number}")),
        };
        let Some(wanted) = at.component else {
            let table = field.and_then(|field| field.table);
            return PlaceName { field: name, component: None, subcomponent: None, table };
        };
        // What a site calls a field of its own says nothing of its components.
        let component = match field {
            Some(_) if local.is_some() => None,
            Some(field) => self.component(segment, number, field, wanted),
            None => None,
        };
        let inner = at.subcomponent.map(|wanted| {
            component.and_then(|part| book::component(self.version, part.datatype, wanted))
        });
        // The first part of what has a table holds the code: PID-10.1 is of the table of PID-10.
        let whole = field.and_then(|field| field.table).filter(|_| wanted == 1);
        let part = component.and_then(|part| part.table);
        let table = match at.subcomponent {
            None => whole.or(part),
            Some(1) => whole.or(part).or(inner.flatten().and_then(|part| part.table)),
            Some(_) => inner.flatten().and_then(|part| part.table),
        };
        PlaceName {
            field: name,
            component: Some(named(component, "component", wanted)),
            subcomponent: inner
                .map(|part| named(part, "subcomponent", at.subcomponent.unwrap_or_default())),
            table,
        }
    }

    fn component(
        &self,
        segment: &Segment<'_>,
        number: u32,
        field: Part,
        wanted: u32,
    ) -> Option<Part> {
        if field.varies() && segment.name() == "OBX" {
            let kind = segment.text(2, 1).unwrap_or_default();
            return book::component(self.version, kind.trim(), wanted);
        }
        book::field_component(self.version, segment.name(), number, wanted)
    }
}

fn named<'n>(part: Option<Part>, noun: &str, number: u32) -> Cow<'n, str> {
    part.map_or_else(|| Cow::Owned(format!("{noun} {number}")), |part| Cow::Borrowed(part.name))
}

#[cfg(test)]
mod tests {
    use super::{LocalNames, LocalSegment, Names};
    use crate::message::{Message, Reading};
    use crate::tree::tree;

    /// Every value of a segment with the names of where it stands.
    fn names(text: &str, index: usize, local: &LocalNames) -> Vec<String> {
        let message = Message::parse(text.as_bytes().to_vec(), &Reading::default()).expect("reads");
        let segment = message.segment_at(index).expect("there");
        let names = Names::of(&message, local);
        let tree = tree(&segment, message.delimiters(), message.charset()).expect("a tree");
        let leaves = tree.leaves().map(|(at, _)| {
            let place = names.place(&segment, &at);
            let parts = [Some(place.field), place.component, place.subcomponent];
            let table = place.table.map(|table| format!(" ({table})")).unwrap_or_default();
            format!("{at} {}{table}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        });
        leaves.collect()
    }

    #[test]
    fn every_value_is_named_from_the_field_inwards() {
        let pid = "MSH|^~\\&|PAS||||||ADT^A01|1|P|2.4\rPID|1||77^^^RXX01&x^MR||||19500101|M||||||||||||||||||||||||||||||||||||x^y\r";
        let expected = [
            "PID-1 Set ID - PID",
            "PID-3.1 Patient Identifier List, ID",
            "PID-3.4.1 Patient Identifier List, Assigning Authority, Namespace ID (300)",
            "PID-3.4.2 Patient Identifier List, Assigning Authority, Universal ID",
            "PID-3.5 Patient Identifier List, Identifier Type Code (203)",
            "PID-7 Date/Time of Birth",
            "PID-8 Administrative Sex (1)",
            "PID-44.1 field 44, component 1",
            "PID-44.2 field 44, component 2",
        ];
        assert_eq!(names(pid, 1, &LocalNames::new()), expected);
    }

    #[test]
    fn obx_2_says_what_obx_5_is() {
        let text = "MSH|^~\\&|LIMS||||||ORU^R01|1|P|2.5.1\rOBX|1|CE|1||38^Fever^L\rOBX|2|ED|1||^^^^x\rOBX|3|ST|1||a^b\r";
        let of = |index| names(text, index, &LocalNames::new());
        assert_eq!(of(1)[4], "OBX-5.2 Observation Value, Text");
        assert_eq!(of(2)[3], "OBX(2)-5.5 Observation Value, Data");
        assert_eq!(of(3)[3], "OBX(3)-5.1 Observation Value, component 1");
    }

    #[test]
    fn a_sites_own_names_go_before_the_standards() {
        let fields = [(1, "Ward band".to_owned())].into();
        let ours = LocalSegment { name: "Bed state".to_owned(), fields };
        let fields = [(45, "Carer".to_owned())].into();
        let pid = LocalSegment { name: String::new(), fields };
        let local = [("ZBD".to_owned(), ours), ("PID".to_owned(), pid)].into();
        let text =
            "MSH|^~\\&|PAS\rZBD|A^B|2\rPID|||||||||||||||||||||||||||||||||||||||||||||x\rZZZ|1\r";
        assert_eq!(names(text, 1, &local)[0], "ZBD-1.1 Ward band, component 1");
        assert_eq!(names(text, 1, &local)[2], "ZBD-2 field 2");
        assert_eq!(names(text, 2, &local), ["PID-45 Carer"]);
        let message = Message::parse(text.as_bytes().to_vec(), &Reading::default()).expect("reads");
        let names = Names::of(&message, &local);
        assert_eq!(names.version().as_str(), "2.4");
        let called = ["ZBD", "PID", "ZZZ", "QQQ"].map(|name| names.segment(name));
        assert_eq!(
            called,
            ["Bed state", "Patient Identification", "Local Segment", "Unknown Segment"]
        );
    }
}
