//! Messages that name identifiers which must not be linked: to see one is to see the link. What is
//! listed and shown of them names nobody, until somebody looks who says why.

use bytes::Bytes;
use hl7::message::Message;
use identity::forbidden::Identifier;
use identity::index::Index;
use record::source::Source;
use record::{order, translation};

use crate::found::{Row, Shown};
use crate::teaching::identifier;

/// What parks a message whose patients must not be linked, though it may name only one of each pair.
const DO_NOT_LINK: &str = "identity.do-not-link";

/// Takes out of a row what must not be seen together.
pub(crate) fn seal_row(row: &mut Row, index: &Index) {
    if is_sealed(row, Vec::new(), index) {
        without_names(row);
    }
}

/// Takes out of a message what must not be seen together: its bytes, and those that were made of it.
pub(crate) fn seal(shown: &mut Shown, source: Option<&Source>, index: &Index) {
    let unknown = Source::new(&shown.row.channel, "");
    let source = source.unwrap_or(&unknown);
    let bytes = shown.frame.iter().chain(&shown.proposed);
    let named = bytes.flat_map(|bytes| named(bytes, source)).collect();
    if is_sealed(&shown.row, named, index) {
        without_names(&mut shown.row);
        (shown.frame, shown.proposed) = (None, None);
        shown.events.clear();
    }
}

fn is_sealed(row: &Row, more: Vec<Identifier>, index: &Index) -> bool {
    let texts = row.nhs_number.iter().chain(&row.local_ids);
    let named = texts.filter_map(|text| identifier(text).ok()).chain(more);
    row.reason.as_deref() == Some(DO_NOT_LINK) || index.must_stay_apart(named)
}

fn without_names(row: &mut Row) {
    row.nhs_number = None;
    row.local_ids.clear();
    row.withheld = true;
}

/// Every identifier of every patient that a message names.
fn named(frame: &Bytes, source: &Source) -> Vec<Identifier> {
    let Ok(message) = Message::parse(frame.clone(), &source.reading()) else { return Vec::new() };
    let translated = translation::translated(&message, source);
    let message = translated.map_or(message, |translated| translated.message);
    let (locals, numbers) = order::named(&message, source);
    let locals = locals.into_iter().map(Identifier::Local);
    locals.chain(numbers.into_iter().map(Identifier::Number)).collect()
}
