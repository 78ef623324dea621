//! What a value says once blanks are set aside: small readings shared by every mapping.

use std::borrow::Cow;

use hl7::escape::render;
use hl7::message::Message;
use hl7::value::Value;

/// The text of a value without surrounding blanks; absent, HL7 null and blank are nothing.
pub fn stated(value: Value<Cow<'_, str>>) -> Option<String> {
    let text = value.into_option()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The text without control characters, which CloudEvents attributes must not hold
/// (CloudEvents 1.0, type system, String).
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Whether a text has the shape of an ODS code: three to ten capital letters and digits.
pub fn is_ods_code(text: &str) -> bool {
    (3..=10).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Raw bytes of a message as people read them: delimiters that a sender did not escape are kept,
/// formatting becomes line breaks.
pub fn rendered(message: &Message, raw: &[u8]) -> String {
    message.charset().decode(&render(raw, &message.delimiters())).text.into_owned()
}
