//! What sets an event apart: who may have it follows from these marks and channels.yaml.

use crate::json::{Object, Value};

use crate::catalogue::EventType;
use crate::sensitivity::Sensitivity;

/// The marks of one event. A subscriber gets it only if it may have events of *each* of them.
///
/// The first two belong to the patient and come from the identity index; the next two to what happened;
/// the last to how the message came (MSH-11.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marks {
    /// The patient's whereabouts are protected: the event is redacted.
    pub protected: bool,
    /// The patient dissents from sharing: for subscribers of the organisation it came from.
    pub dissent: bool,
    /// It is about safeguarding: a pointer, not the content.
    pub safeguarding: bool,
    /// It is about a document that is not for everybody who may know the patient.
    pub confidential: bool,
    /// It comes from an archive, a restore or an initial load: for who asked for such.
    pub bulk: bool,
}

/// By where an event leaves: who may read one exchange of a broker may not read the others for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exchange {
    /// What happens now and may go to everybody who asked for it.
    Ordinary,
    /// Sensitive events, whenever they happened.
    Restricted,
    /// What does not happen now and is not sensitive.
    Bulk,
}

/// What joins the words of a routing key's last part.
const JOINT: char = '-';

impl Marks {
    /// Of an ordinary event.
    pub const NONE: Self = Self {
        protected: false,
        dissent: false,
        safeguarding: false,
        confidential: false,
        bulk: false,
    };

    /// Every mark there is: what cannot be read is taken for that, so that nobody gets it.
    pub const ALL: Self =
        Self { protected: true, dissent: true, safeguarding: true, confidential: true, bulk: true };

    /// With the mark of safeguarding where the event is about that (its type is one of `safeguarding.*`,
    /// or it raises or clears a Flag whose category is `safeguarding`), and the one of confidence
    /// where it has a document whose label says so.
    #[must_use]
    pub fn about(self, event_type: &EventType, data: &Value) -> Self {
        let any = |is: fn(&Value) -> bool| {
            let entries = data["entry"].as_array().into_iter().flatten();
            entries.map(|entry| &entry["resource"]).any(is)
        };
        let safeguarding = event_type.entity() == "safeguarding" || any(is_safeguarding_flag);
        Self {
            safeguarding: self.safeguarding || safeguarding,
            confidential: self.confidential || any(is_confidential_document),
            ..self
        }
    }

    /// The `sensitivity` attribute.
    pub fn sensitivity(self) -> Sensitivity {
        if self.protected || self.dissent || self.safeguarding || self.confidential {
            Sensitivity::Restricted
        } else {
            Sensitivity::Normal
        }
    }

    /// What it is restricted for, as the `restrictions` attribute names it, separated by blanks:
    /// `protected dissent`. Nothing for an ordinary event.
    pub fn restrictions(self) -> Option<String> {
        let words = [
            (self.protected, "protected"),
            (self.dissent, "dissent"),
            (self.safeguarding, "safeguarding"),
            (self.confidential, "confidential"),
        ];
        let words: Vec<&str> =
            words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The last word of the routing key: `normal`, or its marks in a fixed order, `restricted` for
    /// protected ones: `restricted`, `dissent`, `restricted-dissent`, `bulk`.
    pub fn word(self) -> String {
        let words: Vec<&str> =
            self.named().into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
        if words.is_empty() { NORMAL.to_owned() } else { words.join(&JOINT.to_string()) }
    }

    /// The marks that the last word of a routing key names; all of them if it is not one of ours.
    pub fn of_word(word: &str) -> Self {
        if word == NORMAL {
            return Self::NONE;
        }
        let mut marks = Self::NONE;
        for part in word.split(JOINT) {
            match part {
                "restricted" => marks.protected = true,
                "dissent" => marks.dissent = true,
                "safeguarding" => marks.safeguarding = true,
                "confidential" => marks.confidential = true,
                "bulk" => marks.bulk = true,
                _ => return Self::ALL,
            }
        }
        marks
    }

    /// Whether every mark of the other is among these.
    pub fn cover(self, other: Self) -> bool {
        let has = |own: bool, others: bool| own || !others;
        has(self.protected, other.protected)
            && has(self.dissent, other.dissent)
            && has(self.safeguarding, other.safeguarding)
            && has(self.confidential, other.confidential)
            && has(self.bulk, other.bulk)
    }

    /// These and the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            protected: self.protected || other.protected,
            dissent: self.dissent || other.dissent,
            safeguarding: self.safeguarding || other.safeguarding,
            confidential: self.confidential || other.confidential,
            bulk: self.bulk || other.bulk,
        }
    }

    /// By which of the three exchanges the event leaves.
    pub fn exchange(self) -> Exchange {
        match self.sensitivity() {
            Sensitivity::Restricted => Exchange::Restricted,
            Sensitivity::Normal if self.bulk => Exchange::Bulk,
            Sensitivity::Normal => Exchange::Ordinary,
        }
    }

    /// Every set of marks that these cover, no mark at all first.
    pub fn covered(self) -> impl Iterator<Item = Self> {
        let each = (0..32_u8).map(|bits| Self {
            protected: bits & 1 != 0,
            dissent: bits & 2 != 0,
            safeguarding: bits & 4 != 0,
            confidential: bits & 8 != 0,
            bulk: bits & 16 != 0,
        });
        each.filter(move |marks| self.cover(*marks))
    }

    fn named(self) -> [(bool, &'static str); 5] {
        [
            (self.protected, "restricted"),
            (self.dissent, "dissent"),
            (self.safeguarding, "safeguarding"),
            (self.confidential, "confidential"),
            (self.bulk, "bulk"),
        ]
    }
}

const NORMAL: &str = "normal";

fn is_safeguarding_flag(resource: &Value) -> bool {
    let categories = resource["category"].as_array().into_iter().flatten();
    let mut codings = categories.flat_map(|each| each["coding"].as_array().into_iter().flatten());
    let code = |coding: &Value| {
        coding["code"].as_str().is_some_and(|code| code.eq_ignore_ascii_case("safeguarding"))
    };
    resource["resourceType"] == "Flag" && codings.any(code)
}

/// Whether a document has a label of another confidentiality than the usual: restricted, very restricted,
/// or one that nobody can read.
fn is_confidential_document(resource: &Value) -> bool {
    let labels = resource["securityLabel"].as_array().into_iter().flatten();
    let mut codings = labels.flat_map(|each| each["coding"].as_array().into_iter().flatten());
    resource["resourceType"] == "DocumentReference" && codings.any(|coding| coding["code"] != "N")
}

/// Leaves of a safeguarding event that there is something, of what kind, about whom and whom to
/// ask: the Patient's number, name and birth date, and of a Flag what it is and since when. Whatever
/// else a script put into it is for the source's own system to show.
pub fn point(data: &mut Value, cleared: &mut Vec<String>, replaced: &mut Vec<String>) {
    cleared.clear();
    replaced.clear();
    let Some(Value::Array(entries)) = data.get_mut("entry") else { return };
    entries.retain_mut(|entry| {
        let Some(resource) = entry.get_mut("resource").and_then(Value::as_object_mut) else {
            return false;
        };
        let elements: &[&str] = match resource.get("resourceType").and_then(Value::as_str) {
            Some("Patient") => &["identifier", "name", "birthDate", "gender"],
            Some("Flag") => &["identifier", "status", "category", "code", "subject", "period"],
            _ => return false,
        };
        resource.retain(|element, _| {
            matches!(element, "resourceType" | "id" | "meta") || elements.contains(&element)
        });
        if let Some(Value::Object(code)) = resource.get_mut("code") {
            without_words(code);
        }
        true
    });
}

/// A code without text of its own: that would be the content.
fn without_words(code: &mut Object) {
    if code.contains_key("coding") {
        code.retain(|element, _| element == "coding");
    }
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::catalogue::lookup;

    #[test]
    fn every_set_of_marks_has_a_word_of_its_own() {
        let all: Vec<Marks> = Marks::ALL.covered().collect();
        assert_eq!((all.len(), all[0]), (32, Marks::NONE));
        for marks in all {
            assert_eq!(Marks::of_word(&marks.word()), marks);
        }
        let both = Marks { protected: true, dissent: true, ..Marks::NONE };
        assert_eq!(both.word(), "restricted-dissent");
        assert_eq!(both.restrictions().as_deref(), Some("protected dissent"));
        assert_eq!(Marks::NONE.word(), "normal");
        for odd in ["", "secret", "normal-dissent", "restricted-"] {
            assert_eq!(Marks::of_word(odd), Marks::ALL, "{odd}");
        }
    }

    #[test]
    fn an_event_needs_all_of_its_marks_to_be_covered() {
        let protected = Marks { protected: true, ..Marks::NONE };
        let both = Marks { dissent: true, ..protected };
        assert!(both.cover(protected) && both.cover(Marks::NONE));
        assert!(!protected.cover(both));
        assert_eq!(protected.covered().count(), 2);
        let bulk = Marks { bulk: true, ..Marks::NONE };
        assert_eq!(bulk.sensitivity(), Sensitivity::Normal);
        assert_eq!(both.sensitivity(), Sensitivity::Restricted);
    }

    #[test]
    fn a_document_that_its_author_restricts_is_confidential() {
        let kind = lookup("document.available").expect("in the catalogue");
        let marked = |label: &str| {
            let label = json!([{ "coding": [{ "code": label }] }]);
            let data = json!({ "resourceType": "Bundle", "entry": [
                { "resource": { "resourceType": "DocumentReference", "securityLabel": label } },
            ] });
            Marks::NONE.about(kind, &data).confidential
        };
        assert_eq!(["R", "V", "VIP", "N"].map(marked), [true, true, true, false]);
        let silent = json!({ "entry": [{ "resource": { "resourceType": "DocumentReference" } }] });
        assert_eq!(Marks::NONE.about(kind, &silent), Marks::NONE);
        let confidential = Marks { confidential: true, ..Marks::NONE };
        assert_eq!(confidential.exchange(), Exchange::Restricted);
        assert_eq!(confidential.restrictions().as_deref(), Some("confidential"));
    }

    #[test]
    fn a_safeguarding_flag_is_marked_and_only_points() {
        let kind = lookup("patient.updated").expect("in the catalogue");
        let mut data = json!({ "resourceType": "Bundle", "entry": [
            { "resource": { "resourceType": "Patient", "id": "p", "address": [{ "city": "X" }] } },
            { "resource": { "resourceType": "Flag", "id": "f", "status": "active",
                "category": [{ "coding": [{ "code": "safeguarding" }] }],
                "code": { "coding": [{ "code": "CP" }], "text": "what was said" },
                "extension": [{ "url": "x", "valueString": "what was said" }] } },
            { "resource": { "resourceType": "Observation", "note": [{ "text": "what was said" }] } },
        ] });
        assert!(Marks::NONE.about(kind, &data).safeguarding);
        let mut replaced = vec!["Patient.address".to_owned()];
        point(&mut data, &mut Vec::new(), &mut replaced);
        assert_eq!(
            data["entry"],
            json!([
                { "resource": { "resourceType": "Patient", "id": "p" } },
                { "resource": { "resourceType": "Flag", "id": "f", "status": "active",
                    "category": [{ "coding": [{ "code": "safeguarding" }] }],
                    "code": { "coding": [{ "code": "CP" }] } } },
            ])
        );
        assert!(replaced.is_empty());
        let flag = &mut data["entry"].as_array_mut().expect("entries")[1]["resource"];
        flag["category"] = json!([]);
        assert!(!Marks::NONE.about(kind, &data).safeguarding);
    }
}
