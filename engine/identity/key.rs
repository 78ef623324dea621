//! What finds a patient, and the small numbers that stand for texts which repeat.

use std::collections::HashMap;

use record::local::LocalId;
use record::nhs_number::NhsNumber;

/// An identifier as the index looks it up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Number(NhsNumber),
    Local(u16, Box<str>),
}

/// Texts that repeat and their numbers, in the order of their first use: sources, and authorities
/// with types.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u16>,
}

impl Names {
    /// Those that were written, in the order of their numbers.
    pub(crate) fn new(texts: Vec<Box<str>>) -> Self {
        let numbers = texts.iter().cloned().zip(0..).collect();
        Self { texts, numbers }
    }

    /// The number of a text, which gets one if it has none. There are at most 32,767.
    pub(crate) fn number(&mut self, text: &str) -> Option<u16> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let number = u16::try_from(self.texts.len()).ok().filter(|number| *number < 1 << 15)?;
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        Some(number)
    }

    /// The number of the space of a local identifier.
    pub(crate) fn space(&mut self, local: &LocalId) -> Option<u16> {
        self.number(&space_of(local))
    }

    /// The same if it has one.
    pub(crate) fn known_space(&self, local: &LocalId) -> Option<u16> {
        self.numbers.get(&*space_of(local)).copied()
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u16) -> &str {
        self.texts.get(usize::from(number)).map_or("", |text| text)
    }

    /// A local identifier from its parts.
    pub(crate) fn local(&self, space: u16, value: &str) -> LocalId {
        let (authority, kind) = self.text(space).split_once('\t').unwrap_or_default();
        LocalId { authority: authority.to_owned(), kind: kind.to_owned(), value: value.to_owned() }
    }

    /// Those from a number on.
    pub(crate) fn since(&self, number: usize) -> impl Iterator<Item = (u16, &str)> {
        (0..).zip(&self.texts).skip(number).map(|(at, text)| (at, &**text))
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}

fn space_of(local: &LocalId) -> String {
    [&*local.authority, "\t", &*local.kind].concat()
}
