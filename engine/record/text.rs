//! What a value says once blanks are set aside: small readings shared by every mapping.

use std::borrow::Cow;

use hl7::escape::render;
use hl7::message::Message;
use hl7::segment::{Repetition, Segment, Subcomponent};
use hl7::value::Value;

/// The text of a value without surrounding blanks; absent, HL7 null and blank are nothing.
pub fn stated(value: Value<Cow<'_, str>>) -> Option<String> {
    let text = value.into_option()?;
    let text = trimmed(&text);
    (!text.is_empty()).then(|| text.to_owned())
}

/// As [`stated`], without a copy where the message has the text as it is.
pub fn meant(value: Value<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    let text = match value.into_option()? {
        Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!text.is_empty()).then_some(text)
}

/// The text without blanks round it; nearly every one has none, which a look at its ends tells.
pub(crate) fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [one] if one.is_ascii_graphic() => text,
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// A code in capitals, without a copy where it is in capitals already.
pub(crate) fn capitals(code: Cow<'_, str>) -> Cow<'_, str> {
    if code.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Cow::Owned(code.to_ascii_uppercase())
    } else {
        code
    }
}

/// The text of a whole component, its subcomponents joined by `&`: senders leave `&` unescaped in
/// names and texts that have no subcomponents by the standard (`U&E`). Subcomponents that are empty
/// at the end say nothing.
pub fn whole(of: &Repetition<'_>, component: usize) -> Option<String> {
    joined(of, component, Subcomponent::text)
}

/// As [`whole`], with formatting as line breaks: for what people read, and not for codes.
pub fn words(of: &Repetition<'_>, component: usize) -> Option<String> {
    joined(of, component, Subcomponent::rendered)
}

fn joined<'m>(
    of: &Repetition<'m>,
    component: usize,
    read: impl Fn(&Subcomponent<'m>) -> Value<Cow<'m, str>>,
) -> Option<String> {
    let found = of.component(component).filter(|found| !found.is_null() && !of.is_null())?;
    if found.subcomponent(2).is_none() {
        return stated(read(&found.subcomponent(1)?));
    }
    let mut out = String::new();
    let mut skipped = 0;
    for (index, subcomponent) in found.subcomponents().enumerate() {
        skipped += usize::from(index > 0);
        if let Some(text) = read(&subcomponent).into_option() {
            out.extend(std::iter::repeat_n('&', std::mem::take(&mut skipped)));
            out.push_str(&text);
        }
    }
    let text = out.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// As [`whole`], of the first repetition of a field.
pub fn whole_of(segment: &Segment<'_>, field: usize, component: usize) -> Option<String> {
    whole(&segment.field(field)?.repetition(1)?, component)
}

/// The text without control characters, which CloudEvents attributes must not hold
/// (CloudEvents 1.0, type system, String).
pub fn printable(text: impl Into<String>) -> String {
    let mut text = text.into();
    // All bytes at once: quicker than to stop at the first.
    let plain = text.bytes().fold(true, |all, byte| all & (b' '..=b'~').contains(&byte));
    if !plain {
        text.retain(|c| !c.is_control());
    }
    text
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

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    #[test]
    fn a_component_is_whole_although_its_ampersand_is_not_escaped() {
        let text = "MSH|^~\\&|LIMS\rOBR|B&K^Bone & kidney^A\\T\\B^ & ^&X^C&&^\"\"";
        let message = Message::parse(text.as_bytes(), &Reading::default()).expect("a message");
        let obr = message.segment("OBR", 1).expect("an OBR");
        let texts: Vec<_> = (1..=8).map(|at| whole_of(&obr, 1, at)).collect();
        let texts: Vec<_> = texts.iter().map(Option::as_deref).collect();
        let expected = [Some("B&K"), Some("Bone & kidney"), Some("A&B"), Some("&"), Some("&X")];
        assert_eq!(texts[..5], expected);
        assert_eq!(texts[5..], [Some("C"), None, None]);
    }
}
