//! Places that no version of the standard has: most likely a slip of whoever wrote one down.

use crate::dictionary::book;
use crate::dictionary::names::LocalNames;
use crate::dictionary::version::Version;
use crate::location::Location;

/// What of a location no version of the standard has. Z segments are never misplaced, and neither is
/// what a site has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// The segment.
    Segment {
        /// One whose name differs in one character, or has two of its characters swapped.
        near: Option<&'static str>,
    },
    /// The field: the segment ends before it.
    Field {
        /// Where the segment ends in the version that has the most fields.
        last: u32,
    },
    /// The component: the field's type ends before it.
    Component {
        /// Where the type ends in the version that has the most components.
        last: u32,
    },
}

/// Whether no version of the standard has such a place, and why.
pub fn misplaced(at: &Location, local: &LocalNames) -> Option<Misplaced> {
    let segment = at.segment.as_str();
    if segment.starts_with('Z') {
        return None;
    }
    let ours = local.get(segment);
    let Some(last) = book::field_count(segment) else {
        return ours.is_none().then(|| Misplaced::Segment { near: near(segment) });
    };
    let field = at.field?;
    if ours.is_some_and(|ours| ours.fields.contains_key(&field)) {
        return None;
    }
    // Some segments go on with as many fields as a query or a table has.
    if field > last {
        return (!matches!(segment, "QPD" | "RDT" | "ADD")).then_some(Misplaced::Field { last });
    }
    let last = book::component_count(segment, field)?;
    at.component.filter(|component| *component > last).map(|_| Misplaced::Component { last })
}

impl Misplaced {
    /// What to tell whoever wrote `at`, and what to do about it.
    pub fn words(self, at: &Location) -> (String, String) {
        let segment = at.segment.as_str();
        let local = "name it below the source's `segments:` if the sender has added it";
        match self {
            Self::Segment { near } => {
                let meant = near.map(|near| {
                    format!("did you mean {near} ({})?", book::segment(near).unwrap_or_default())
                });
                let message = format!("no version of HL7 v2 has a segment {segment}");
                (message, meant.unwrap_or_else(|| local.to_owned()))
            }
            Self::Field { last } => {
                let title = book::segment(segment).unwrap_or_default();
                (format!("{segment} ({title}) ends at {segment}-{last}"), local.to_owned())
            }
            Self::Component { last } => {
                let field = Location { component: None, subcomponent: None, ..*at };
                let name = at.field.and_then(|field| book::field(Version::UK, segment, field));
                let name = name.map_or("", |part| part.name);
                let ends = match last {
                    1 => "has no components".to_owned(),
                    last => format!("ends at component {last}"),
                };
                (format!("{field} ({name}) {ends}"), local.to_owned())
            }
        }
    }
}

/// A segment whose name is nearly this one.
fn near(name: &str) -> Option<&'static str> {
    let swapped = |other: &str| {
        let (a, b) = (name.as_bytes(), other.as_bytes());
        a.len() == 3 && (b == [a[1], a[0], a[2]] || b == [a[0], a[2], a[1]])
    };
    let differing = |other: &str| name.bytes().zip(other.bytes()).filter(|(a, b)| a != b).count();
    let mut found = book::segments().filter(|other| swapped(other));
    found.next().or_else(|| {
        // Only where there is one: MSZ could be half a dozen.
        let mut found = book::segments().filter(|other| differing(other) == 1);
        found.next().filter(|_| found.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::{Misplaced, misplaced};
    use crate::dictionary::names::{LocalNames, LocalSegment};
    use crate::location::Location;

    fn found(at: &str) -> Option<Misplaced> {
        misplaced(&at.parse().expect(at), &LocalNames::new())
    }

    #[test]
    fn a_slip_of_the_pen_is_seen() {
        assert_eq!(found("PVI-3"), Some(Misplaced::Segment { near: None }));
        assert_eq!(found("PDI-3"), Some(Misplaced::Segment { near: Some("PID") }));
        assert_eq!(found("PID-45"), Some(Misplaced::Field { last: 40 }));
        assert_eq!(found("PID-7.3"), Some(Misplaced::Component { last: 2 }));
        assert_eq!(found("PID-1.2"), Some(Misplaced::Component { last: 1 }));
        let at: Location = "PID-45".parse().expect("a place");
        let (message, help) = Misplaced::Field { last: 40 }.words(&at);
        assert_eq!(message, "PID (Patient Identification) ends at PID-40");
        assert!(help.contains("`segments:`"), "{help}");
    }

    #[test]
    fn what_any_version_has_and_what_is_a_sites_own_is_let_be() {
        for at in
            ["PID-3.12", "PID-8.2", "PV1-52", "ZPI-99.3", "OBX-5.9", "PID", "QPD-12", "ZU1-30"]
        {
            assert_eq!(found(at), None, "{at}");
        }
        let fields = [(45, "Carer".to_owned())].into();
        let local = [("PID".to_owned(), LocalSegment { name: String::new(), fields })].into();
        let at = |text: &str| misplaced(&text.parse().expect(text), &local);
        assert_eq!((at("PID-45"), at("PID-45.3")), (None, None));
        assert_eq!(at("PID-46"), Some(Misplaced::Field { last: 40 }));
    }
}
