//! What the index holds of one patient, and the compact form in which it keeps millions of them.

use std::fmt;
use std::str::FromStr;

use record::demographics::{BirthDate, Demographics};
use record::nhs_number::{NhsNumber, Status};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::compact::{Reader, Writer};

/// Our own name of a patient, `p` and 16 hexadecimal digits: it says nothing about anybody, never
/// changes when identifiers do, and is never used for another patient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatientId(pub u64);

impl PatientId {
    const LOADED: u64 = 1 << 63;

    /// The `nth` patient, from 0, that a message makes known; there are eight at most.
    pub fn of_message(message_id: u64, nth: u64) -> Option<Self> {
        let number = message_id.checked_mul(8)?.checked_add(nth)?;
        (nth < 8 && number < Self::LOADED).then_some(Self(number))
    }

    /// The `nth` patient that was loaded, from 1.
    pub fn of_load(nth: u64) -> Self {
        Self(Self::LOADED | nth)
    }

    /// Which loaded patient it is; nothing for one that a message made known.
    pub fn loaded(self) -> Option<u64> {
        (self.0 & Self::LOADED != 0).then_some(self.0 & !Self::LOADED)
    }

    /// The lower, the longer known: what was loaded counts as known before any message.
    pub(crate) fn age(self) -> u64 {
        self.0 ^ Self::LOADED
    }
}

impl fmt::Display for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{:016x}", self.0)
    }
}

impl fmt::Debug for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no patient id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a patient id is the letter p and 16 hexadecimal digits")]
pub struct PatientIdError;

impl FromStr for PatientId {
    type Err = PatientIdError;

    fn from_str(text: &str) -> Result<Self, PatientIdError> {
        let digits = text.strip_prefix('p').filter(|digits| digits.len() == 16);
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or(PatientIdError)
    }
}

impl Serialize for PatientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PatientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Everything that is held of a patient, what each source stated of it left out.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Patient {
    /// The number that is held as trusted.
    pub(crate) held: Option<Held>,
    /// The patient whose record this one was merged into.
    pub(crate) alias_of: Option<PatientId>,
    /// The records that were merged into this one.
    pub(crate) absorbed: Vec<PatientId>,
    /// Since when whereabouts are protected, milliseconds since 1970; 0 when that was not kept.
    pub(crate) protected: Option<i64>,
    /// The same of dissent from sharing.
    pub(crate) dissent: Option<i64>,
    /// Numbers that were replaced or invalidated: they find the patient and never key. Those of
    /// absorbed records stay theirs.
    pub(crate) former: Vec<NhsNumber>,
    pub(crate) locals: Vec<Bound>,
    pub(crate) demographics: Demographics,
}

/// An NHS Number that is held as trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) number: NhsNumber,
    pub(crate) status: Option<Status>,
    /// Milliseconds since 1970.
    pub(crate) since_ms: i64,
    /// Which source said so, a number of `Names`.
    pub(crate) source: u16,
}

/// A local identifier of the patient.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    /// Authority and type, a number of `Names`.
    pub(crate) space: u16,
    pub(crate) value: Box<str>,
    /// It was replaced by another one and still finds the patient.
    pub(crate) retired: bool,
}

/// More names than this are not compared with: the oldest go.
const MOST_NAMES: usize = 8;

/// Flags of the compact form, in its first byte.
pub(crate) const HELD: u8 = 1;
pub(crate) const ALIAS: u8 = 2;
const PROTECTED: u8 = 4;
const DISSENT: u8 = 8;
pub(crate) const BORN: u8 = 16;
/// Since when it is protected and dissents stands at the end.
const SINCE: u8 = 32;

impl Patient {
    /// The number, if one is held.
    pub(crate) fn number(&self) -> Option<NhsNumber> {
        self.held.map(|held| held.number)
    }

    /// Adds names at the end of what is known; a birth date takes the place of the one before.
    pub(crate) fn learn(&mut self, stated: &Demographics) {
        let known = &mut self.demographics;
        for (list, more) in
            [(&mut known.families, &stated.families), (&mut known.givens, &stated.givens)]
        {
            for name in more {
                list.retain(|held| held != name);
                list.push(name.clone());
            }
            list.drain(..list.len().saturating_sub(MOST_NAMES));
        }
        known.birth_date = stated.birth_date.or(known.birth_date);
    }

    /// The same of what is older than all that is known: it adds, and takes the place of nothing.
    pub(crate) fn learn_below(&mut self, older: &Demographics) {
        let known = std::mem::take(&mut self.demographics);
        self.learn(older);
        self.learn(&known);
    }

    /// Whether anything finds the patient.
    pub(crate) fn is_nobody(&self) -> bool {
        self.held.is_none()
            && self.former.is_empty()
            && self.locals.is_empty()
            && self.absorbed.is_empty()
    }

    /// Whether all of that is known already.
    pub(crate) fn knows(&self, stated: &Demographics) -> bool {
        let all =
            |held: &[String], stated: &[String]| stated.iter().all(|name| held.contains(name));
        let known = &self.demographics;
        all(&known.families, &stated.families)
            && all(&known.givens, &stated.givens)
            && (stated.birth_date.is_none() || stated.birth_date == known.birth_date)
    }

    pub(crate) fn encode(&self) -> Box<[u8]> {
        let mut out = Writer::default();
        let flag = |flag: u8, set: bool| if set { flag } else { 0 };
        let born = self.demographics.birth_date;
        out.byte(
            flag(HELD, self.held.is_some())
                | flag(ALIAS, self.alias_of.is_some())
                | flag(PROTECTED, self.protected.is_some())
                | flag(DISSENT, self.dissent.is_some())
                | flag(BORN, born.is_some())
                | flag(SINCE, self.protected.or(self.dissent).is_some()),
        );
        if let Some(held) = &self.held {
            out.number(held.number.as_u64());
            out.byte(held.status.and_then(|status| status.code().parse().ok()).unwrap_or(0));
            out.number(held.since_ms.cast_unsigned());
            out.number(held.source.into());
        }
        if let Some(alias) = self.alias_of {
            out.number(alias.0);
        }
        if let Some(born) = born {
            out.number(born.number().into());
        }
        out.list(&self.absorbed, |out, id| out.number(id.0));
        out.list(&self.former, |out, number| out.number(number.as_u64()));
        out.list(&self.locals, |out, local| {
            out.number(u64::from(local.space) << 1 | u64::from(local.retired));
            out.text(&local.value);
        });
        out.list(&self.demographics.families, |out, name| out.text(name));
        out.list(&self.demographics.givens, |out, name| out.text(name));
        for since in self.protected.into_iter().chain(self.dissent) {
            out.number(since.cast_unsigned());
        }
        out.finish()
    }

    /// Nothing for bytes that [`Patient::encode`] did not write.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let flags = from.byte()?;
        let has = |flag: u8| flags & flag != 0;
        let held = if has(HELD) { Some(read_held(&mut from)?) } else { None };
        let alias_of = if has(ALIAS) { Some(PatientId(from.number()?)) } else { None };
        let born = if has(BORN) { Some(u32::try_from(from.number()?).ok()?) } else { None };
        let mut patient = Self {
            held,
            alias_of,
            protected: has(PROTECTED).then_some(0),
            dissent: has(DISSENT).then_some(0),
            absorbed: from.list(|from| from.number().map(PatientId))?,
            former: from.list(|from| NhsNumber::from_u64(from.number()?))?,
            locals: from.list(|from| {
                let space = from.number()?;
                let value = from.text()?.into();
                Some(Bound {
                    space: u16::try_from(space >> 1).ok()?,
                    value,
                    retired: space & 1 == 1,
                })
            })?,
            demographics: Demographics {
                families: from.list(|from| from.text().map(str::to_owned))?,
                givens: from.list(|from| from.text().map(str::to_owned))?,
                birth_date: born.and_then(BirthDate::from_number),
                newborn: false,
            },
        };
        if has(SINCE) {
            for since in patient.protected.iter_mut().chain(&mut patient.dissent) {
                *since = from.number()?.cast_signed();
            }
        }
        from.is_at_end().then_some(patient)
    }
}

fn read_held(from: &mut Reader<'_>) -> Option<Held> {
    Some(Held {
        number: NhsNumber::from_u64(from.number()?)?,
        status: match from.byte()? {
            0 => None,
            code => Some(Status::normalise(&code.to_string())?),
        },
        since_ms: from.number()?.cast_signed(),
        source: u16::try_from(from.number()?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::Key;
    use crate::peek::{alias_in, bears};

    proptest! {
        #[test]
        fn a_patient_survives_its_compact_form(
            status in 0_u8..9, since_ms in any::<i64>(),
            alias in prop::option::of(any::<u64>()), since in any::<[Option<i64>; 2]>(),
            locals in prop::collection::vec((any::<u16>(), ".{0,40}", any::<bool>()), 0..4),
            names in prop::collection::vec("[A-Z]{1,20}", 0..8), born in prop::option::of(19_000_102_u32..20_261_231),
        ) {
            let numbers = ["9990000018", "9990000026", "9990000034"];
            let number = |at: usize| NhsNumber::parse(numbers[at]).expect("a number");
            let held = number_of(number, since_ms, status);
            let patient = Patient {
                held,
                alias_of: alias.map(PatientId),
                absorbed: alias.into_iter().map(PatientId).collect(),
                protected: since[0],
                dissent: since[1],
                former: vec![number(2)],
                locals: locals.into_iter().map(|(space, value, retired)| Bound { space: space >> 1, value: value.into(), retired }).collect(),
                demographics: Demographics {
                    families: names.clone(),
                    givens: names,
                    birth_date: born.and_then(BirthDate::from_number),
                newborn: false,
                },
            };
            let bytes = patient.encode();
            prop_assert_eq!(alias_in(&bytes), Ok(patient.alias_of));
            for wanted in [0, 1, 2] {
                let (key, found) = (Key::Number(number(wanted)), patient.number() == Some(number(wanted)));
                prop_assert_eq!(bears(&bytes, &key), Some(found || wanted == 2));
            }
            for local in &patient.locals {
                prop_assert_eq!(bears(&bytes, &Key::Local(local.space, local.value.clone())), Some(true));
                let other = Key::Local(local.space, format!("{}+", local.value).into());
                let found = patient.is_bound(local.space, &format!("{}+", local.value));
                prop_assert_eq!(bears(&bytes, &other), Some(found));
            }
            prop_assert!(Patient::decode(&bytes) == Some(patient));
            for cut in 0..bytes.len() {
                prop_assert!(Patient::decode(&bytes[..cut]).is_none());
            }
        }
    }

    fn number_of(number: impl Fn(usize) -> NhsNumber, since_ms: i64, status: u8) -> Option<Held> {
        let status = Status::normalise(&status.to_string());
        Some(Held { number: number(0), status, since_ms, source: 3 }).filter(|_| since_ms % 2 == 0)
    }

    #[test]
    fn a_patient_id_is_text_that_says_nothing() {
        let id = PatientId::of_message(0x1234, 2).expect("the third of eight");
        assert_eq!(PatientId::of_message(0x1234, 8), None);
        assert_eq!(id.to_string(), "p00000000000091a2");
        assert_eq!("p00000000000091a2".parse(), Ok(id));
        for wrong in ["", "p1", "00000000000091a2", "p00000000000091a2x", "p+000000000009a2x"] {
            assert_eq!(wrong.parse::<PatientId>(), Err(PatientIdError), "{wrong}");
        }
        assert!(PatientId::of_load(1).age() < id.age());
    }
}
