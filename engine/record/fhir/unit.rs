//! OBX-6: the unit of a value. It travels with its value or the message is parked.

use hl7::escape::render;
use hl7::message::Message;
use hl7::segment::Segment;
use serde_json::{Map, Value, json};

use crate::fhir::built::Unmappable;
use crate::text::stated;

/// The unit of an observation, as sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// What people read.
    pub(crate) text: String,
    /// The code, if the sender says it is of UCUM: nothing is guessed.
    ucum: Option<String>,
}

impl Unit {
    /// The unit of an OBX: none if the field is empty or HL7 null. A unit that says something which
    /// cannot be carried, `unit.lost`: it repeats, has no text, holds control characters or
    /// formatting (a `10\.br\9/L` is a damaged `10\S\9/L`), or bytes its character set cannot decode.
    pub(crate) fn read(message: &Message, obx: &Segment<'_>) -> Result<Option<Unit>, Unmappable> {
        let Some(field) = obx.field(6).filter(|field| !field.is_empty() && !field.is_null()) else {
            return Ok(None);
        };
        if field.raw().iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let lost = || Unmappable::in_field("unit.lost", obx, 6);
        let escape = message.delimiters().escape;
        let formatted = render(field.raw(), &message.delimiters());
        let plain = hl7::escape::unescape(field.raw(), &message.delimiters());
        let decoded = message.charset().decode(&plain);
        let damaged = formatted != plain
            || decoded.undecodable > 0
            || decoded.text.chars().any(char::is_control)
            || has_unknown_escape(&plain, field.raw(), escape)
            || field.repetition(2).is_some();
        if damaged {
            return Err(lost());
        }
        let unit = field.repetition(1).ok_or_else(lost)?;
        let part = |component: usize| stated(unit.text(component, 1));
        let text = power_of_ten(part(1), part(2))
            .or_else(|| part(1))
            .or_else(|| part(2))
            .or_else(|| part(9))
            .ok_or_else(lost)?;
        let is_ucum = part(3).is_some_and(|system| system.eq_ignore_ascii_case("UCUM"));
        Ok(Some(Unit { text, ucum: part(1).filter(|_| is_ucum) }))
    }

    /// Sets `unit`, and `system` and `code` where the sender gave them.
    pub(crate) fn put(&self, quantity: &mut Map<String, Value>) {
        quantity.insert("unit".to_owned(), json!(self.text));
        if let Some(code) = &self.ucum {
            quantity.insert("system".to_owned(), json!("http://unitsofmeasure.org"));
            quantity.insert("code".to_owned(), json!(code));
        }
    }
}

/// `10^9/L` from a sender that did not escape its `^`: the component `10` alone is no unit.
fn power_of_ten(base: Option<String>, rest: Option<String>) -> Option<String> {
    let (base, rest) = (base?, rest?);
    let is_ten = base.trim_start_matches(['x', 'X', '*', ' ']) == "10";
    let is_power = rest.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    (is_ten && is_power).then(|| format!("{base}^{rest}"))
}

/// Whether an escape sequence was left as it stands: what it meant is not known. An escape
/// character that stands for itself (`\E\`) is no longer one.
fn has_unknown_escape(plain: &[u8], raw: &[u8], escape: u8) -> bool {
    let left = plain.iter().filter(|byte| **byte == escape);
    let itself = raw.windows(3).filter(|three| *three == [escape, b'E', escape]);
    left.count() > itself.count()
}
