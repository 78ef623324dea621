//! OBX-6: the unit of a value. It travels with its value or the message is parked.

use hl7::escape::render;
use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::fhir::built::Unmappable;
use crate::fhir::coded::{is_system_name, system};
use crate::json::Object;
use crate::text::whole;

/// The unit of an observation, as sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// What people read.
    pub(crate) text: String,
    /// System and code, if the sender names the system: nothing is guessed.
    code: Option<(String, String)>,
}

impl Unit {
    /// The unit of an OBX: none if the field is empty or HL7 null. A unit that says something which
    /// cannot be carried, `unit.lost`: it repeats, has no text or more parts than a unit has, holds
    /// control characters or formatting (a `10\.br\9/L` is a damaged `10\S\9/L`), or bytes its
    /// character set cannot decode.
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
        Unit::of(&unit).map(Some).ok_or_else(lost)
    }

    /// The unit as CE or CWE: a code alone, code and text, or code, text and system; or a unit that
    /// was cut at a `^` which the sender did not escape.
    fn of(unit: &Repetition<'_>) -> Option<Unit> {
        let part = |component: usize| whole(unit, component);
        let (first, second) = (part(1), part(2));
        let more = (3..=unit.components().count()).any(|at| part(at).is_some());
        if let Some(text) = power(first.as_deref(), second.as_deref()) {
            return (!more).then_some(Unit { text, code: None });
        }
        if let Some(name) = part(3) {
            // Without its name a system is a part of the unit: `1^x10^9/L`.
            if !is_system_name(&name) {
                return None;
            }
            let code = first.clone().map(|code| (system(&name), code));
            return Some(Unit { text: second.or(first)?, code });
        }
        let original = part(9).filter(|_| first.is_none() && second.is_none());
        if more && original.is_none() {
            return None;
        }
        // A number alone is no unit, and what its code stands for nobody has said.
        let is_number = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
        if first.as_ref().is_some_and(is_number) {
            return None;
        }
        Some(Unit { text: first.or(second).or(original)?, code: None })
    }

    /// Sets `unit`, and `system` and `code` where the sender gave them.
    pub(crate) fn put(&self, quantity: &mut Object) {
        quantity.put("unit", Some(self.text.clone()));
        if let Some((system, code)) = &self.code {
            quantity.put("system", Some(system.clone()));
            quantity.put("code", Some(code.clone()));
        }
    }
}

/// `10^9/L` or `kg/m^2` from a sender that did not escape its `^`: without its power a unit is
/// another one. A `^` inside a part shows a sender that does escape, whose parts are parts.
fn power(base: Option<&str>, rest: Option<&str>) -> Option<String> {
    let (base, rest) = (base?, rest?);
    let is_power = rest.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let escapes = base.contains('^') || rest.contains('^');
    (is_power && !escapes).then(|| format!("{base}^{rest}"))
}

/// Whether an escape sequence was left as it stands: what it meant is not known. An escape
/// character that stands for itself (`\E\`) is no longer one.
fn has_unknown_escape(plain: &[u8], raw: &[u8], escape: u8) -> bool {
    let left = plain.iter().filter(|byte| **byte == escape);
    let itself = raw.windows(3).filter(|three| *three == [escape, b'E', escape]);
    left.count() > itself.count()
}
