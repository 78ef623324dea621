//! What a message, and what was stated before it, say of where its patient is or was: the words that
//! must not leave in text.

use std::collections::BTreeSet;
use std::fmt;

use hl7::message::Message;
use hl7::segment::{Component, Repetition, Segment};

use crate::text::{stated, whole};

/// What stands where words were taken out of a text.
pub(crate) const WITHHELD: &str = "[withheld]";

/// Fewer letters and digits than that tell nobody where a patient is, and would be found in every
/// text: a house number, a bed.
const SHORTEST: usize = 4;
/// The same of a number: a telephone number, and not the value of a result.
const SHORTEST_NUMBER: usize = 6;
/// The same of a code of a place that has letters and digits: a ward.
const SHORTEST_PLACE: usize = 3;
/// Codes that a ward may have and that laboratories and radiologists mean otherwise.
const CLINICAL: [&str; 4] = ["b12", "t10", "t11", "t12"];

/// What stands before the name of a doctor. A surname alone is too often a word of reports (White, Young,
/// Stage), and taking it out harms more than it protects.
const TITLES: [&str; 10] =
    ["dr", "doctor", "mr", "mrs", "ms", "miss", "prof", "professor", "sister", "nurse"];
/// What stands before the name of a town. Towns, too, are words of reports (Bath, Reading).
const BEFORE_TOWNS: [&str; 8] = ["in", "at", "to", "from", "near", "of", "into", "via"];
/// What stands beside the name of a ward where nothing else tells that it is one: many are called
/// like what they treat (Renal, Stroke).
const BESIDE_WARDS: [&str; 4] = ["ward", "unit", "clinic", "suite"];
/// What stands before the name of a relative.
const RELATIVES: [&str; 12] = [
    "mother", "father", "wife", "husband", "partner", "son", "daughter", "sister", "brother",
    "friend", "carer", "called",
];
/// Words that are no name of an organisation or a place, alone or together: reports have them.
const ANYWHERE: [&str; 10] = [
    "the", "surgery", "practice", "medical", "health", "centre", "clinic", "hospital", "group",
    "ward",
];

/// The form of a value that names a place or a person; components that only say of what kind it is
/// do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// XAD without country and kind.
    Address,
    /// XTN without use and equipment.
    Telecom,
    /// PL without status and kind.
    Place,
    /// The same of a place that another message stated: there is less reason to think that a report
    /// means it by a word.
    Stay,
    /// XPN.
    Name,
    /// The same of a relative whom another message named.
    Kin,
    /// XON: name and codes.
    Organisation,
    /// XCN: number and name.
    Doctor,
    /// A text or a code with its text.
    Words,
}

/// What a source stated of its patient before, on whatever channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Told {
    /// How to read it.
    pub form: Form,
    /// Its components, joined by `^`.
    pub text: String,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told(***)")
    }
}

/// Words that tell something only beside others.
struct InContext {
    components: &'static [usize],
    before: &'static [&'static str],
    behind: &'static [&'static str],
}

impl Form {
    /// Components that tell it by themselves.
    fn components(self) -> &'static [usize] {
        match self {
            Self::Address => &[1, 2, 5, 10, 19],
            Self::Telecom => &[1, 4, 7, 9, 12],
            Self::Place => &[1, 2, 3, 4, 7, 8, 9, 10, 11],
            Self::Name | Self::Words => &[1, 2],
            Self::Organisation => &[1, 3, 10],
            Self::Doctor => &[1],
            Self::Stay | Self::Kin => &[],
        }
    }

    /// Components that a report may have for words of its own.
    fn in_context(self) -> InContext {
        let (components, before, behind): (&[_], &[_], &[_]) = match self {
            Self::Address => (&[3, 4, 8, 9], &BEFORE_TOWNS, &[]),
            Self::Doctor => (&[2, 3], &TITLES, &[]),
            Self::Kin => (&[1, 2], &RELATIVES, &[]),
            Self::Stay => (Self::Place.components(), &BESIDE_WARDS, &BESIDE_WARDS),
            _ => (&[], &[], &[]),
        };
        InContext { components, before, behind }
    }

    /// The components of a person's family name and given name.
    fn person(self) -> Option<(usize, usize)> {
        match self {
            Self::Doctor => Some((2, 3)),
            Self::Kin => Some((1, 2)),
            _ => None,
        }
    }

    /// What a value in this form tells, as it may stand in a text; `all` gives a component whole and
    /// by its subcomponents.
    fn words(self, all: impl Fn(usize) -> Vec<String>) -> Vec<Vec<char>> {
        let tells = |text: &String| match self {
            Self::Organisation | Self::Place | Self::Stay if is_anywhere(text) => None,
            Self::Place | Self::Stay => place(text),
            _ => telling(text),
        };
        let components = self.components().iter().flat_map(|component| all(*component));
        let mut words: Vec<Vec<char>> = components.filter_map(|text| tells(&text)).collect();
        let InContext { components, before, behind } = self.in_context();
        for text in components.iter().flat_map(|component| all(*component)) {
            if is_one_word(&text) {
                let before = before.iter().map(|word| format!("{word} {text}"));
                let behind = behind.iter().map(|word| format!("{text} {word}"));
                words.extend(before.chain(behind).filter_map(|beside| telling(&beside)));
            } else {
                words.extend(tells(&text));
            }
        }
        if let Some((family, given)) = self.person() {
            for family in all(family) {
                let both = all(given)
                    .into_iter()
                    .flat_map(|given| [format!("{given} {family}"), format!("{family} {given}")]);
                words.extend(both.filter_map(|both| telling(&both)));
            }
        }
        words
    }
}

use Form::{Address, Doctor, Name, Organisation, Place, Telecom, Words};

/// Fields that tell where a patient is or was, or whom to ask. HL7 v2.4 to 2.8, HL7 UK's Z segments.
const FIELDS: [(&str, &[(usize, Form)]); 29] = [
    ("PID", &[(9, Name), (11, Address), (12, Words), (13, Telecom), (14, Telecom), (23, Words)]),
    ("PD1", &[(3, Organisation), (4, Doctor)]),
    ("NK1", &[(2, Name), (4, Address), (5, Telecom), (6, Telecom), (13, Organisation)]),
    ("NK1", &[(30, Name), (31, Telecom), (32, Address)]),
    ("GT1", &[(3, Name), (5, Address), (6, Telecom), (7, Telecom), (17, Address), (18, Telecom)]),
    ("IN1", &[(4, Organisation), (5, Address), (6, Name), (7, Telecom), (16, Name), (19, Address)]),
    ("PV1", &[(3, Place), (6, Place), (8, Doctor), (11, Place), (37, Words), (39, Words)]),
    ("PV1", &[(42, Place), (43, Place)]),
    ("PV1", &[(7, Doctor), (9, Doctor), (17, Doctor), (52, Doctor)]),
    ("PV2", &[(1, Place), (13, Doctor), (23, Organisation)]),
    ("ROL", &[(4, Doctor), (11, Address), (12, Telecom)]),
    ("PRD", &[(2, Name), (3, Address), (4, Place), (5, Telecom), (7, Words)]),
    ("CTD", &[(2, Name), (3, Address), (4, Place), (5, Telecom)]),
    ("AIP", &[(3, Doctor)]),
    ("AIL", &[(3, Place), (4, Words)]),
    ("AIG", &[(3, Words)]),
    (
        "SCH",
        &[(13, Telecom), (14, Address), (15, Place), (17, Telecom), (18, Address), (19, Place)],
    ),
    ("SCH", &[(21, Telecom), (22, Place)]),
    ("ARQ", &[(16, Telecom), (17, Address), (18, Place), (20, Telecom), (22, Place)]),
    ("ORC", &[(12, Doctor), (13, Place), (14, Telecom), (17, Words), (21, Organisation)]),
    ("ORC", &[(22, Address), (23, Telecom), (24, Address)]),
    ("OBR", &[(16, Doctor), (17, Telecom), (28, Doctor)]),
    ("OBX", &[(15, Words), (23, Organisation), (24, Address)]),
    ("EVN", &[(7, Organisation)]),
    ("MRG", &[(7, Name)]),
    ("ACC", &[(3, Words), (11, Address)]),
    ("DB1", &[(3, Words)]),
    ("ZU1", &[(25, Words), (26, Doctor)]),
    ("ZU3", &[(1, Words)]),
];

/// The words of one message, and of what was told of its patient before.
pub(crate) struct Whereabouts(Vec<Vec<char>>);

impl Whereabouts {
    /// Reads them. What is also part of the patient's present name is none: a next of kin often has
    /// the same.
    pub(crate) fn of(message: &Message, told: &[Told]) -> Self {
        let mut words = BTreeSet::new();
        for Told { form, text } in told {
            words.extend(form.words(|component| parts_of(text, component)));
        }
        for (name, fields) in FIELDS {
            for segment in message.segments_named(name) {
                for (number, form) in fields {
                    for each in repetitions(&segment, *number) {
                        words.extend(form.words(|component| parts(&each, component)));
                    }
                }
            }
        }
        let mut present = BTreeSet::new();
        for each in
            message.segments_named("PID").flat_map(|pid| repetitions(&pid, 5).collect::<Vec<_>>())
        {
            let known: BTreeSet<_> = [1, 2, 3].iter().flat_map(|at| parts(&each, *at)).collect();
            if is_present(&each) {
                present.extend(known.iter().filter_map(|text| telling(text)));
            } else {
                words.extend(known.iter().filter_map(|text| telling(text)));
            }
        }
        let mut words: Vec<_> = words.difference(&present).cloned().collect();
        // What holds another is taken out whole.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Self(words)
    }

    /// The text without them, if it has any; case, blanks, punctuation and the marks of HTML and RTF
    /// make no difference.
    pub(crate) fn withheld_from(&self, text: &str) -> Option<String> {
        // What looks like a mark may be none: `<lives at 3 Rose Road>`.
        let mut hidden = self.found_in(text, &letters(text, |_| 0));
        if text.contains(['<', '&', '\\']) {
            hidden.extend(self.found_in(text, &letters(text, mark)));
        }
        hidden.first()?;
        hidden.sort_unstable();
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (from, end) in hidden {
            if from >= at {
                out.push_str(&text[at..from]);
                out.push_str(WITHHELD);
            }
            at = at.max(end);
        }
        out.push_str(&text[at..]);
        Some(out)
    }

    fn found_in(&self, text: &str, letters: &[(usize, char)]) -> Vec<(usize, usize)> {
        let mut hidden = Vec::new();
        for word in self.0.iter().filter(|word| word.len() <= letters.len()) {
            for (first, window) in letters.windows(word.len()).enumerate() {
                let same = window.iter().map(|(_, c)| c).eq(word.iter());
                if same && is_whole(text, letters, first, word.len()) {
                    let from = window[0].0;
                    let last = window[word.len() - 1].0;
                    let end = last + text[last..].chars().next().map_or(0, char::len_utf8);
                    hidden.push((from, end));
                }
            }
        }
        hidden
    }
}

/// Letters and digits outside of marks, each with its place; `mark` gives the length of one.
fn letters(text: &str, mark: fn(&str) -> usize) -> Vec<(usize, char)> {
    let mut letters = Vec::with_capacity(text.len());
    let mut behind = 0;
    for (at, c) in text.char_indices() {
        if at < behind {
            continue;
        }
        let mark = if matches!(c, '<' | '&' | '\\') { mark(&text[at..]) } else { 0 };
        behind = at + mark;
        if c.is_alphanumeric() {
            letters.extend(c.to_lowercase().map(|lower| (at, lower)));
        }
    }
    letters
}

/// The bytes of a tag or an entity of HTML, or a control word of RTF, with which a text begins.
fn mark(text: &str) -> usize {
    let rest = &text[1..];
    let name = |rest: &str| rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    match text.as_bytes()[0] {
        b'<' if rest.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic()) => rest
            .find(['<', '>'])
            .filter(|end| rest[*end..].starts_with('>'))
            .map_or(0, |end| end + 2),
        b'&' => {
            let length = usize::from(rest.starts_with('#'));
            let length = length + name(&rest[length..]);
            if length > 0 && rest[length..].starts_with(';') { length + 2 } else { 0 }
        }
        b'\\' => 1 + name(rest),
        _ => 0,
    }
}

/// Whether no letter or digit stands directly before or behind: `ROSE` is not in `ROSEACEA`.
fn is_whole(text: &str, letters: &[(usize, char)], first: usize, length: usize) -> bool {
    let before = text[..letters[first].0].chars().next_back();
    let last = letters[first + length - 1].0;
    let after = text[last..].chars().nth(1);
    !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
}

/// The letters and digits of a text that is long enough to tell something.
fn telling(text: &str) -> Option<Vec<char>> {
    let letters: Vec<char> =
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let number = letters.iter().all(char::is_ascii_digit);
    (letters.len() >= if number { SHORTEST_NUMBER } else { SHORTEST }).then_some(letters)
}

/// As [`telling`], of a part of a place: the code of a ward is short.
fn place(text: &str) -> Option<Vec<char>> {
    let code: Vec<char> =
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let has = |kind: fn(&char) -> bool| code.iter().any(kind);
    let mixed = has(char::is_ascii_digit) && has(|c| c.is_alphabetic());
    let clinical = CLINICAL.iter().any(|known| known.chars().eq(code.iter().copied()));
    if mixed && code.len() >= SHORTEST_PLACE && !clinical { Some(code) } else { telling(text) }
}

/// Whether a name of an organisation or a place says nothing but that it is one.
fn is_anywhere(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.all(|word| ANYWHERE.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Whether a text is a word that reports may have: one, and without digits.
fn is_one_word(text: &str) -> bool {
    !text.contains(|c: char| c.is_whitespace() || c.is_ascii_digit())
}

/// Whether an XPN is the patient's present name: its kind (XPN-7, table 0200 and the words of PDS)
/// says so, or says nothing.
pub(crate) fn is_present(name: &Repetition<'_>) -> bool {
    let kind = stated(name.text(7, 1)).unwrap_or_default().to_ascii_uppercase();
    matches!(kind.as_str(), "" | "L" | "R" | "D" | "PREFERRED" | "U")
}

fn repetitions<'m>(
    segment: &Segment<'m>,
    number: usize,
) -> impl Iterator<Item = Repetition<'m>> + use<'m> {
    segment.field(number).into_iter().flat_map(|field| field.repetitions())
}

/// A component whole and by its subcomponents: a builder may use either.
fn parts(of: &Repetition<'_>, component: usize) -> Vec<String> {
    let found = of.component(component);
    let found = found.iter().flat_map(Component::subcomponents);
    whole(of, component).into_iter().chain(found.filter_map(|part| stated(part.text()))).collect()
}

/// The same of a value whose components are joined.
fn parts_of(text: &str, component: usize) -> Vec<String> {
    let Some(whole) = text.split('^').nth(component - 1) else { return Vec::new() };
    [whole].into_iter().chain(whole.split('&')).map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    fn of(body: &str) -> Whereabouts {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A31|1|P|2.4\r{body}");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        Whereabouts::of(&message, &[])
    }

    #[test]
    fn words_are_found_however_they_are_written() {
        let known = of("PID|||||TEST^ANN||||||3 ROSE ROAD^^EXEMPLÉ^^ZZ99 3WZ||07700 900123\r\
                        NK1|1|TEST^BRIAN");
        let out = |text: &str| known.withheld_from(text);
        assert_eq!(out("Lives at 3, Rose Road.").as_deref(), Some("Lives at [withheld]."));
        assert_eq!(out("zz993wz").as_deref(), Some("[withheld]"));
        assert_eq!(
            out("Tel. 07700-900123, in exemplé").as_deref(),
            Some("Tel. [withheld], [withheld]")
        );
        assert_eq!(out("Ask Brian").as_deref(), Some("Ask [withheld]"));
        // The patient's own name, a part of a word, and what only looks similar.
        for text in ["Ann Test", "rosacea", "3 rose roads", "bed 3", ""] {
            assert_eq!(out(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_short_would_be_found_everywhere() {
        let known = of(
            "PV1|1|I|RXX^W12^B2^RXX01||||||||||||||||||||||||||||||||||^HOME\rPID|||||||||||12^^^^^GBR^H",
        );
        let text = "W12 bed B2, 12 tablets, GBR";
        assert_eq!(
            known.withheld_from(text).as_deref(),
            Some("[withheld] bed B2, 12 tablets, GBR")
        );
        assert_eq!(known.withheld_from("at RXX01").as_deref(), Some("at [withheld]"));
    }

    #[test]
    fn what_a_report_says_of_the_blood_is_not_taken_for_a_name() {
        let known = of("PID|||||TEST^ANN||||||4 LEFT LANE^^HULL^^HU1 1AA\r\
                        PV1|1|I|B12^^^||||C1^Low^Ann|C2^Stage^Jo\rOBR|1|||||||||||||||C9999104^White^Ann^^^Dr");
        let text = "White cell count raised. Left shift. Low platelets. Stage II. Hull sign negative. \
                    Vitamin B12 low.";
        assert_eq!(known.withheld_from(text), None);
        let text = "Asked by Dr. White (White, Ann) in Hull; HU1 1AA, C9999104, 4 Left Lane";
        assert_eq!(
            known.withheld_from(text).as_deref(),
            Some("Asked by [withheld] ([withheld]) [withheld]; [withheld], [withheld], [withheld]")
        );
    }

    #[test]
    fn earlier_names_count_and_the_present_one_does_not() {
        let known = of("PID|||||TEST^ANNA~EARLIER^ANNA^^^^^PREVIOUS||||SOMEBODY^ANNA");
        assert_eq!(
            known.withheld_from("Anna Test, born Earlier, called Somebody").as_deref(),
            Some("Anna Test, born [withheld], called [withheld]")
        );
    }

    #[test]
    fn words_are_found_between_the_marks_of_html_and_rtf() {
        let known = of("PID|||||TEST^ANN||||||3 ROSE ROAD^^^^ZZ99 3WZ");
        for text in [
            "<p>At <b>3</b>&nbsp;Rose<br/>Road</p>",
            "{\\rtf1 At {\\b 3} Rose\\par Road}",
            "At 3&#160;Rose Road",
            "At <a title='3 Rose Road'>home</a>",
            "At home <lives at 3 Rose Road>",
            "At \\3 Rose Road",
        ] {
            let out = known.withheld_from(text).expect("it has some");
            assert!(out.contains("At ") && !out.contains("Rose"), "{out}");
        }
        for text in ["<5 colonies, >3", "a & b; c \\ d", "<p>No bleed</p>", "< &", "&#", "\\"] {
            assert_eq!(known.withheld_from(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_stated_before_is_found_and_a_word_of_a_report_is_not() {
        let told = [
            (Address, "3 ROSE ROAD^^EXAMPLETOWN^^ZZ99 3WZ"),
            (Telecom, "07700 900123"),
            (Form::Stay, "STROKE^BAY 2^4^RXX01"),
            (Form::Stay, "W12^^^RXX01"),
            (Organisation, "THE SURGERY^^Y06601"),
            (Doctor, "G5612908^WHITE^ANN"),
            (Form::Kin, "YOUNG^BRIAN"),
        ];
        let told = told.map(|(form, text)| Told { form, text: text.to_owned() });
        let text = "MSH|^~\\&|LIMS|RXX01|TIE|RXX|20240110||ORU^R01|1|P|2.4\rPID|1||7";
        let message = Message::parse(text, &Reading::default()).expect("a message");
        let known = Whereabouts::of(&message, &told);
        let out = |text: &str| known.withheld_from(text);
        for text in [
            "3 Rose Road",
            "ZZ993WZ",
            "in Exampletown",
            "07700 900 123",
            "Stroke ward",
            "bay 2",
            "W12",
            "Y06601",
            "Dr White",
            "Brian Young",
            "mother Brian",
        ] {
            assert_eq!(out(text).as_deref(), Some(WITHHELD), "{text}");
        }
        for text in [
            "White cell count",
            "no stroke",
            "young woman",
            "after the surgery",
            "Exampletown sign",
        ] {
            assert_eq!(out(text), None, "{text}");
        }
    }
}
