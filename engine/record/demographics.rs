//! Who a message says its patient is, and whether that can be whom the index knows.
//!
//! Names are compared folded: without case, diacritics, blanks and punctuation. What stands for
//! "not known" (`UNKNOWN`, `BABY`, 1 January 1900) is no name and no date.

use std::fmt;

use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::text::{stated, whole};

/// Names and birth date, as they are compared. `Debug` shows how much there is of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Demographics {
    /// Family names, folded: of a message all repetitions of PID-5, of a patient all known ones.
    pub families: Vec<String>,
    /// First given names, folded.
    pub givens: Vec<String>,
    /// Date of birth, PID-7.
    pub birth_date: Option<BirthDate>,
    /// The given name is a word for a child that has none yet (`BABY`): whoever was born at another
    /// time is not that child, whatever family name they share.
    pub newborn: bool,
}

/// A date of birth of which month and day may be unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BirthDate(u32);

/// What comparing two [`Demographics`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Of what both sides know, at most one thing differs.
    Same,
    /// Born on the same day, and the given name is another one: they may be twins.
    Twin,
    /// Two of family name, given name and birth date differ.
    Differs,
    /// Nothing is known on both sides.
    Unknown,
}

impl Demographics {
    /// What the PID segment of a message says; nothing when there is none.
    pub fn of(message: &Message) -> Self {
        message.segment("PID", 1).map(|pid| Self::of_person(&pid)).unwrap_or_default()
    }

    /// What one PID segment says: PID-5 in all repetitions, whatever their type, and PID-7. Of a
    /// person whose identity nobody knows (PID-31 `Y`) both were made up, and say nothing.
    pub fn of_person(pid: &Segment<'_>) -> Self {
        let mut found = Self::default();
        if stated(pid.text(31, 1)).is_some_and(|unknown| unknown.eq_ignore_ascii_case("Y")) {
            return found;
        }
        let names = pid.field(5).into_iter().flat_map(|field| field.repetitions());
        for name in names {
            let (family, given) = name_parts(&name);
            found.add(&family.unwrap_or_default(), &given.unwrap_or_default());
        }
        found.birth_date = stated(pid.text(7, 1)).and_then(|text| BirthDate::read(&text));
        found
    }

    /// From texts that are not folded; empty ones say nothing.
    pub fn new(family: &str, given: &str, birth_date: &str) -> Self {
        let mut made = Self { birth_date: BirthDate::read(birth_date), ..Self::default() };
        made.add(family, given);
        made
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.families.is_empty() && self.givens.is_empty() && self.birth_date.is_none()
    }

    fn add(&mut self, family: &str, given: &str) {
        self.newborn |= is_newborn(&fold(given));
        for (list, text) in [(&mut self.families, family), (&mut self.givens, given)] {
            let folded = fold(text);
            if is_name(&folded) && !list.contains(&folded) {
                list.push(folded);
            }
        }
    }
}

/// Family name (XPN-1) and first given name (XPN-2) as written.
pub fn name_parts(name: &Repetition<'_>) -> (Option<String>, Option<String>) {
    (whole(name, 1), whole(name, 2))
}

impl fmt::Debug for Demographics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demographics")
            .field("families", &self.families.len())
            .field("givens", &self.givens.len())
            .field("birth_date", &self.birth_date.is_some())
            .finish_non_exhaustive()
    }
}

/// Whether those whom `held` and `stated` describe can be one person. Sex is never asked, and what
/// one side does not know does not count.
pub fn agreement(held: &Demographics, stated: &Demographics) -> Agreement {
    let compared = differences(held, stated);
    let [_, given, birth] = compared;
    let differing = compared.iter().filter(|same| **same == Some(false)).count();
    let other_child = stated.newborn && birth == Some(false);
    if compared.iter().all(Option::is_none) {
        Agreement::Unknown
    } else if other_child || differing >= 2 {
        Agreement::Differs
    } else if given == Some(false)
        && held.birth_date.is_some_and(|_| held.birth_date == stated.birth_date)
    {
        Agreement::Twin
    } else {
        Agreement::Same
    }
}

/// Whether all three are known of both, and none of them agrees: whatever identifier they share, it
/// was given to somebody else. A child without a name yet is not the one who has one.
pub fn nothing_in_common(held: &Demographics, stated: &Demographics) -> bool {
    let [family, given, birth] = differences(held, stated);
    let nameless = stated.newborn && !held.givens.is_empty();
    let given = given.or(nameless.then_some(false));
    [family, given, birth].iter().all(|same| *same == Some(false))
}

/// Whether family name, given name and birth date agree; nothing of what one side does not know.
fn differences(held: &Demographics, stated: &Demographics) -> [Option<bool>; 3] {
    let family = any_pair(&held.families, &stated.families, |one, other| one == other);
    let given = any_pair(&held.givens, &stated.givens, same_given);
    let dates = held.birth_date.zip(stated.birth_date);
    [family, given, dates.map(|(one, other)| one.is_alike(other))]
}

/// Whether any of one list goes with any of the other; nothing when one is empty.
fn any_pair(some: &[String], others: &[String], same: impl Fn(&str, &str) -> bool) -> Option<bool> {
    let known = !some.is_empty() && !others.is_empty();
    known.then(|| some.iter().any(|one| others.iter().any(|other| same(one, other))))
}

/// The first three letters, or as many as the shorter one has: an initial is compared as such.
fn same_given(one: &str, other: &str) -> bool {
    one.chars().zip(other.chars()).take(3).all(|(a, b)| a == b)
}

impl BirthDate {
    /// Reads the date at the beginning of `YYYY[MM[DD...]]` or `YYYY-MM-DD...`; what is no date, or
    /// stands for one that is not known, is none.
    pub fn read(text: &str) -> Option<Self> {
        let date = text.split(['T', ' ', '+']).next().unwrap_or_default();
        let digits: String = date.chars().filter(|c| *c != '-').collect();
        if digits.len() < 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse().ok());
        let year: u32 = part(0, 4)?;
        let month: u32 = part(4, 6).filter(|month| (1..=12).contains(month)).unwrap_or(0);
        let day = part(6, 8).filter(|day| month > 0 && (1..=31).contains(day)).unwrap_or(0);
        let date = Self(year * 10_000 + month * 100 + day);
        (year > 1800 && year < 2200 && !NOT_KNOWN.contains(&date.0)).then_some(date)
    }

    /// Whether a text is a date as files have it: `YYYY`, `YYYYMM` or `YYYYMMDD`, with or without hyphens,
    /// or what stands for an unknown one.
    pub fn is_written(text: &str) -> bool {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let part = |from, to| digits.get(from..to).and_then(|part: &str| part.parse::<u32>().ok());
        let is_month = || part(4, 6).is_some_and(|month| month <= 12);
        let is_day = || part(6, 8).is_some_and(|day| day <= 31);
        digits.bytes().all(|byte| byte.is_ascii_digit())
            && match digits.len() {
                4 => true,
                6 => is_month(),
                8 => is_month() && is_day(),
                _ => false,
            }
    }

    /// As a number, `YYYYMMDD` with 00 for what is not known.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The date that [`BirthDate::number`] gave.
    pub fn from_number(number: u32) -> Option<Self> {
        (18_000_000..22_000_000).contains(&number).then_some(Self(number))
    }

    fn parts(self) -> [u32; 3] {
        [self.0 / 10_000, self.0 / 100 % 100, self.0 % 100]
    }

    /// Equal, or apart by no more than one of year, month and day, or with day and month swapped.
    fn is_alike(self, other: Self) -> bool {
        let (one, two) = (self.parts(), other.parts());
        let differing = one.iter().zip(&two).filter(|(a, b)| **a != 0 && **b != 0 && a != b);
        let swapped = one[0] == two[0] && one[1] == two[2] && one[2] == two[1];
        swapped || differing.count() <= 1
    }
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BirthDate(***)")
    }
}

/// Whether a date or time is of a day that systems fill in when they have none, or of no age at which
/// anybody is treated: 1 January 1900, 31 December 9999.
pub fn stands_for_none(text: &str) -> bool {
    let is_written =
        text.get(..4).is_some_and(|year| year.bytes().all(|byte| byte.is_ascii_digit()));
    is_written && BirthDate::read(text).is_none()
}

/// Dates that systems fill in when they have none.
const NOT_KNOWN: [u32; 4] = [19_000_101, 19_010_101, 18_991_231, 19_000_000];

/// What is written where there is no name, folded.
const NO_NAMES: [&str; 27] = [
    "NA",
    "NK",
    "NFA",
    "UNK",
    "XX",
    "XXX",
    "NONE",
    "NOTKNOWN",
    "NOTGIVEN",
    "NONAME",
    "UNKNOWN",
    "UNIDENTIFIED",
    "MALE",
    "FEMALE",
    "UNKNOWNMALE",
    "UNKNOWNFEMALE",
    "BABY",
    "BABYBOY",
    "BABYGIRL",
    "BABYOF",
    "BO",
    "GO",
    "INFANT",
    "INFANTOF",
    "NEWBORN",
    "BOY",
    "GIRL",
];

/// `BABY`, `BABY BOY`, `BABY ANN`, `INFANT OF`, `NEWBORN`: a given name that only a newborn has.
fn is_newborn(folded: &str) -> bool {
    ["BABY", "INFANT", "NEWBORN"].iter().any(|word| folded.starts_with(word))
}

fn is_name(folded: &str) -> bool {
    // `TWIN1`, `TWINII`, `TRIPLETB` ... are places in an order, not names.
    let place = |word: &str| {
        folded.strip_prefix(word).is_some_and(|rest| {
            rest.len() <= 3 && rest.chars().all(|c| c.is_ascii_digit() || "IABC".contains(c))
        })
    };
    !folded.is_empty() && !NO_NAMES.contains(&folded) && !place("TWIN") && !place("TRIPLET")
}

/// Capital letters and digits only: without case, diacritics, blanks and punctuation.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_uppercase) {
        match bare(c) {
            Some(letters) => out.push_str(letters),
            None if c.is_alphanumeric() => out.push(c),
            None => {}
        }
    }
    out
}

/// The letters under a capital's diacritic: Latin-1 Supplement, Latin Extended-A, and those of
/// Extended-B and Additional that Romanian, Vietnamese and Welsh names use most.
fn bare(c: char) -> Option<&'static str> {
    Some(match c {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' | 'Ǎ' | 'Ạ' | 'Ả' | 'Ấ' | 'Ầ' | 'Ậ' | 'Ắ' | 'Ằ' => {
            "A"
        }
        'Æ' => "AE",
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C",
        'Ð' | 'Ď' | 'Đ' => "D",
        'È'..='Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' | 'Ẹ' | 'Ẽ' | 'Ế' | 'Ề' | 'Ệ' | 'Ə' => {
            "E"
        }
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => "G",
        'Ĥ' | 'Ħ' => "H",
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' | 'Ị' => "I",
        'Ĳ' => "IJ",
        'Ĵ' => "J",
        'Ķ' => "K",
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ŀ' | 'Ł' => "L",
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' | 'Ŋ' => "N",
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' | 'Ơ' | 'Ọ' | 'Ố' | 'Ồ' | 'Ộ' | 'Ớ' | 'Ờ' => {
            "O"
        }
        'Œ' => "OE",
        'Ŕ' | 'Ŗ' | 'Ř' => "R",
        'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' => "S",
        'Þ' => "TH",
        'Ţ' | 'Ť' | 'Ŧ' | 'Ț' => "T",
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' | 'Ư' | 'Ụ' | 'Ứ' | 'Ừ' => "U",
        'Ŵ' | 'Ẁ' | 'Ẃ' | 'Ẅ' => "W",
        'Ý' | 'Ŷ' | 'Ÿ' | 'Ỳ' | 'Ỹ' => "Y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        // Combining marks: the letter stands before them.
        '\u{300}'..='\u{36f}' => "",
        _ => return None,
    })
}
