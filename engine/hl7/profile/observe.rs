//! Learning a profile from messages: what they have in common, and nothing of whom they are about.

use std::collections::{BTreeMap, BTreeSet};

use crate::charset::Charset;
use crate::dictionary::book;
use crate::dictionary::version::Version;
use crate::location::{Location, SegmentName};
use crate::message::Message;
use crate::profile::check::{is_delimiters, type_of};
use crate::profile::rules::{Profile, Rule, SegmentRules, TypeRules};
use crate::segment::{Field, Segment};
use crate::value::Value;

/// From so many on, what was always so is a rule, and the codes that were seen are all there are.
pub const ENOUGH: u64 = 20;

/// More codes than this are no list that anybody would keep.
const MOST_CODES: usize = 30;

/// Lengths are rounded up to these, so that a longer surname tomorrow is not news, and no exact
/// length of anything stands in a profile.
const STEPS: [u32; 18] =
    [1, 2, 3, 4, 6, 8, 10, 14, 20, 30, 50, 80, 120, 250, 500, 1_000, 5_000, 65_536];

/// Types that hold a code and nothing else, or a code and its meaning.
const CODED: [&str; 6] = ["ID", "IS", "CE", "CWE", "CNE", "CF"];

/// Tables whose codes say too much of one person: physicians, diagnoses, procedures.
const TELLING: [u16; 3] = [10, 51, 88];

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    messages: u64,
    types: BTreeMap<String, TypeSeen>,
    segments: BTreeMap<SegmentName, SegmentSeen>,
}

#[derive(Clone, Debug, Default)]
struct TypeSeen {
    messages: u64,
    /// In how many of them each segment stands.
    segments: BTreeMap<SegmentName, u64>,
}

#[derive(Clone, Debug, Default)]
struct SegmentSeen {
    times: u64,
    places: BTreeMap<Location, PlaceSeen>,
}

#[derive(Clone, Debug, Default)]
struct PlaceSeen {
    filled: u64,
    length: usize,
    repetitions: u32,
    /// The codes so far; nothing for what holds none, or held something that is no code.
    codes: Option<BTreeSet<String>>,
    digits: Digits,
}

/// Whether the values of a field are all digits, and how many.
#[derive(Clone, Copy, Debug, Default)]
enum Digits {
    #[default]
    NoValue,
    Always {
        values: u64,
        /// The same in each value.
        count: Option<usize>,
    },
    NotAlways,
}

/// From so many digits on, that there is always the same number of them is no accident: a date, a
/// number of the hospital.
const FIXED: usize = 4;

impl Observed {
    /// How many messages were looked at.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Looks at one message.
    pub fn learn(&mut self, message: &Message) {
        self.messages += 1;
        let kind = self.types.entry(type_of(message)).or_default();
        kind.messages += 1;
        let header = message.segment_at(0);
        let version = header.map(|header| header.text(12, 1).unwrap_or_default().into_owned());
        let version = Version::nearest(&version.unwrap_or_default());
        let mut names = BTreeSet::new();
        for segment in message.segments() {
            let Some(name) = SegmentName::new(segment.name().as_bytes()) else { continue };
            names.insert(name);
            let seen = self.segments.entry(name).or_default();
            seen.times += 1;
            seen.learn(name, &segment, version, message.charset());
        }
        for name in names {
            *kind.segments.entry(name).or_default() += 1;
        }
    }

    /// What they have in common.
    pub fn profile(&self, name: &str) -> Profile {
        let types = self.types.iter().map(|(kind, seen)| (kind.clone(), seen.rules()));
        let segments = self.segments.iter().map(|(name, seen)| (*name, seen.rules()));
        Profile {
            name: name.to_owned(),
            messages: self.messages,
            complete: true,
            types: types.collect(),
            segments: segments.collect(),
        }
    }
}

impl TypeSeen {
    fn rules(&self) -> TypeRules {
        let is_always = |count: u64| count == self.messages && count >= ENOUGH;
        let (always, sometimes): (Vec<_>, Vec<_>) =
            self.segments.iter().partition(|(_, count)| is_always(**count));
        let names =
            |these: Vec<(&SegmentName, &u64)>| these.into_iter().map(|(name, _)| *name).collect();
        TypeRules { messages: self.messages, always: names(always), sometimes: names(sometimes) }
    }
}

impl SegmentSeen {
    fn learn(
        &mut self,
        name: SegmentName,
        segment: &Segment<'_>,
        version: Version,
        charset: Charset,
    ) {
        for (number, field) in (1..).zip(segment.fields()) {
            if field.is_empty() || is_delimiters(name, number) {
                continue;
            }
            let at = Location { field: Some(number), ..Location::segment(name) };
            let coded = is_coded(version, name, number, None);
            let seen = self.place(at, coded);
            seen.filled += 1;
            if field.is_null() {
                continue;
            }
            let lengths =
                field.repetitions().map(|one| charset.decode(one.raw()).text.chars().count());
            let (count, longest) = lengths.fold((0, 0), |(n, most), one| (n + 1, one.max(most)));
            seen.length = seen.length.max(longest);
            seen.repetitions = seen.repetitions.max(count);
            seen.learn_codes(&field, 1);
            seen.learn_digits(&field);
            self.learn_components(at, &field, version);
        }
    }

    /// Codes among the components, such as the type of an identifier.
    fn learn_components(&mut self, at: Location, field: &Field<'_>, version: Version) {
        let (name, Some(number)) = (at.segment, at.field) else { return };
        let parts = field.repetitions().map(|one| one.components().count()).max().unwrap_or(0);
        for wanted in (2..).take(parts.saturating_sub(1)) {
            if is_coded(version, name, number, Some(wanted)) {
                let at = Location { component: Some(wanted), ..at };
                self.place(at, true).learn_codes(field, wanted);
            }
        }
    }

    fn place(&mut self, at: Location, coded: bool) -> &mut PlaceSeen {
        self.places.entry(at).or_insert_with(|| PlaceSeen {
            codes: coded.then(BTreeSet::new),
            ..PlaceSeen::default()
        })
    }

    fn rules(&self) -> SegmentRules {
        let mut places = BTreeMap::new();
        for (at, seen) in &self.places {
            if let Some(rule) = seen.rule(*at, self.times) {
                places.insert(*at, rule);
            }
        }
        SegmentRules { seen: self.times, places }
    }
}

impl PlaceSeen {
    fn learn_codes(&mut self, field: &Field<'_>, component: u32) {
        let Some(codes) = &mut self.codes else { return };
        for repetition in field.repetitions() {
            let Value::Present(value) = repetition.text(component as usize, 1) else { continue };
            if !is_code(&value) || codes.len() > MOST_CODES {
                self.codes = None;
                return;
            }
            codes.insert(value.into_owned());
        }
    }

    fn learn_digits(&mut self, field: &Field<'_>) {
        for repetition in field.repetitions() {
            if let Value::Present(value) = repetition.text(1, 1) {
                self.digits = self.digits.and(&value);
            }
        }
    }

    /// What a place holds, out of so many segments; nothing of a component without codes.
    fn rule(&self, at: Location, times: u64) -> Option<Rule> {
        let codes = self.codes.iter().flatten().cloned().collect::<BTreeSet<_>>();
        let enough = self.filled >= ENOUGH || (at.component.is_some() && times >= ENOUGH);
        let codes = if enough && codes.len() <= MOST_CODES { codes } else { BTreeSet::new() };
        if at.component.is_some() {
            return (!codes.is_empty()).then(|| Rule { codes, ..Rule::default() });
        }
        let pattern = self.digits.pattern().filter(|_| codes.is_empty());
        Some(Rule {
            required: self.filled == times && times >= ENOUGH,
            filled: Some(percent(self.filled, times)),
            length: Some(rounded(self.length)),
            repetitions: Some(self.repetitions.max(1)),
            codes,
            pattern: pattern.and_then(|pattern| Rule::pattern(&pattern).ok()),
        })
    }
}

impl Digits {
    /// With one value more.
    fn and(self, value: &str) -> Self {
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::NotAlways;
        }
        match self {
            Self::NoValue => Self::Always { values: 1, count: Some(value.len()) },
            Self::Always { values, count } => {
                let count = count.filter(|count| *count == value.len());
                Self::Always { values: values + 1, count }
            }
            Self::NotAlways => Self::NotAlways,
        }
    }

    /// What every value looks like, if there were enough of them.
    fn pattern(self) -> Option<String> {
        let Self::Always { values, count } = self else { return None };
        let fixed = count.filter(|count| *count >= FIXED);
        (values >= ENOUGH).then(|| match fixed {
            Some(count) => format!("[0-9]{{{count}}}"),
            None => "[0-9]+".to_owned(),
        })
    }
}

/// Whether the standard says that a place holds a code of a table.
fn is_coded(version: Version, segment: SegmentName, field: u32, component: Option<u32>) -> bool {
    let part = match component {
        None => book::field(version, segment.as_str(), field),
        Some(wanted) => book::field_component(version, segment.as_str(), field, wanted),
    };
    part.is_some_and(|part| {
        let table = part.table.is_some_and(|table| !TELLING.contains(&table));
        table && CODED.contains(&part.datatype)
    })
}

/// What a code may look like. A name, a number that could be somebody's and a date do not.
fn is_code(text: &str) -> bool {
    let plain = |found: char| found.is_ascii_alphanumeric() || "-_.:/+".contains(found);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (1..=20).contains(&text.len()) && text.chars().all(plain) && digits < 6
}

fn rounded(length: usize) -> u32 {
    let step = STEPS.iter().copied().find(|step| *step as usize >= length);
    step.unwrap_or_else(|| u32::try_from(length.next_power_of_two()).unwrap_or(u32::MAX))
}

/// Between 1 and 99 unless it is never or always so.
fn percent(count: u64, of: u64) -> u32 {
    if count >= of {
        return 100;
    }
    let rounded = (count * 100 + of / 2).checked_div(of).unwrap_or_default();
    u32::try_from(rounded.clamp(1, 99)).unwrap_or(99)
}

#[cfg(test)]
mod tests {
    use super::{Observed, is_code, percent, rounded};
    use crate::message::{Message, Reading};
    use crate::profile::check::check;
    use crate::profile::text::text;

    /// Messages that differ in all that patients differ in.
    fn messages(count: usize) -> Vec<Message> {
        let one = |n: usize| {
            let name = ["SMITH", "ZANZIBAR", "OAKLEYHOUSE"][n % 3];
            let ward = if n.is_multiple_of(4) { "|W1" } else { "" };
            let text = format!(
                "MSH|^~\\&|PAS||||2026070{}||ADT^A01|C{n:03}|P|2.4\r\
                 PID|1||{}^^^RXX01^MR||{name}^Ann||1950010{}|{}\rPV1|1|I{ward}\r",
                n % 9,
                1_000_000 + n,
                n % 9,
                ["1", "2"][n % 2],
            );
            Message::parse(text.into_bytes(), &Reading::default()).expect("reads")
        };
        (0..count).map(one).collect()
    }

    fn learned(count: usize) -> Observed {
        let mut observed = Observed::default();
        for message in messages(count) {
            observed.learn(&message);
        }
        observed
    }

    #[test]
    fn what_was_always_so_becomes_a_rule() {
        let profile = learned(40).profile("pas");
        let pid = &profile.segments[&"PID".parse().expect("a name")];
        let rule = |at: &str| &pid.places[&at.parse().expect(at)];
        assert_eq!(pid.seen, 40);
        assert!(rule("PID-3").required && rule("PID-5").length == Some(20));
        assert_eq!(rule("PID-8").codes.iter().collect::<Vec<_>>(), ["1", "2"]);
        let pattern = |at: &str| rule(at).pattern.as_ref().map(|found| found.as_str().to_owned());
        assert_eq!(pattern("PID-3").as_deref(), Some("^(?:[0-9]{7})$"));
        assert_eq!(pattern("PID-1").as_deref(), Some("^(?:[0-9]+)$"));
        assert_eq!((pattern("PID-5"), pattern("PID-8")), (None, None));
        assert_eq!(rule("PID-3.5").codes.iter().collect::<Vec<_>>(), ["MR"]);
        let pv1 = &profile.segments[&"PV1".parse().expect("a name")];
        assert_eq!(pv1.places[&"PV1-3".parse().expect("a place")].filled, Some(25));
        assert_eq!(profile.types["ADT^A01"].always.len(), 3);
        for message in messages(200) {
            assert_eq!(check(&message, &profile), std::collections::BTreeSet::new());
        }
    }

    #[test]
    fn few_messages_make_no_rules() {
        let profile = learned(5).profile("pas");
        assert!(profile.types["ADT^A01"].always.is_empty());
        for rules in profile.segments.values().flat_map(|segment| segment.places.values()) {
            assert!(!rules.required && rules.codes.is_empty());
        }
    }

    #[test]
    fn a_profile_says_nothing_of_anybody() {
        let shown = text(&learned(200).profile("pas"));
        for secret in ["SMITH", "ZANZIBAR", "Ann", "10000", "1950", "C019", "W1"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn names_numbers_and_dates_are_no_codes() {
        for code in ["A", "01", "NSTS01", "RXX01", "H-2"] {
            assert!(is_code(code), "{code}");
        }
        for other in ["", "9990000018", "19500101", "O'NEILL", "Mary Ann", "ß", "123456"] {
            assert!(!is_code(other), "{other}");
        }
    }

    #[test]
    fn lengths_and_shares_are_rounded() {
        assert_eq!([1, 5, 9, 21, 70_000].map(rounded), [1, 6, 10, 30, 131_072]);
        assert_eq!(
            [(0, 0), (1, 1000), (999, 1000), (1, 2)].map(|(n, of)| percent(n, of)),
            [100, 1, 99, 50]
        );
    }
}
