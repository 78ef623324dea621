//! Numbers of results, with the digits as sent.
//!
//! FHIR's decimals carry precision: `12.80` is not `12.8`. JSON numbers pass through 64-bit floats
//! on their way, so a number is given as JSON number only if the float stands for exactly that
//! number, and where its digits differ from the text (`12.80`, `+5`, `007`) the text goes along in
//! the extension `as-sent` on the element. What a float cannot hold exactly is not a number here.

use crate::json::{Number, Object, Value};

use crate::fhir::names::AS_SENT;
use crate::json::{object, only};

/// A decimal number as HL7 writes it (data type NM): a sign, digits, a point, digits.
#[derive(Clone, PartialEq)]
pub(crate) struct Decimal {
    number: Number,
    text: String,
    /// JSON writes the number as the text has it.
    plain: bool,
}

impl Decimal {
    /// Reads a number; `None` for everything else: exponents, commas, comments, more digits than a
    /// 64-bit float holds.
    pub(crate) fn read(text: &str) -> Option<Decimal> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        if whole.len() + fraction.len() > 40 {
            return None;
        }
        if unsigned.len() == text.len() && is_plain(whole, fraction, unsigned.len()) {
            let number = match fraction {
                "" => Number::from(text.parse::<i64>().ok()?),
                _ => Number::from_f64(text.parse().ok()?)?,
            };
            return Some(Decimal { number, text: text.to_owned(), plain: true });
        }
        let number = match canonical(text).parse::<i64>() {
            Ok(integer) => Number::from(integer),
            Err(_) => Number::from_f64(text.parse().ok()?)?,
        };
        (canonical(&plain(&number)) == canonical(text)).then(|| {
            let plain = number.to_string() == text;
            Decimal { number, text: text.to_owned(), plain }
        })
    }

    /// Sets `value`, and the text as sent where the number alone would lose digits.
    pub(crate) fn put(&self, quantity: &mut Object) {
        quantity.insert("value", Value::Number(self.number.clone()));
        if !self.plain {
            let as_sent = [("url", Value::from(AS_SENT)), ("valueString", Value::text(&self.text))];
            let extended = object([("extension", only(object(as_sent)))]);
            quantity.insert("_value", extended);
        }
    }
}

/// Whether digits are such as JSON writes them: no zero that says nothing, no more than a float holds
/// for certain, none so small that an exponent would be written.
fn is_plain(whole: &str, fraction: &str, length: usize) -> bool {
    let point = length > whole.len();
    (whole == "0" || !whole.is_empty() && !whole.starts_with('0'))
        && point != fraction.is_empty()
        && !fraction.ends_with('0')
        && !(whole == "0" && fraction.starts_with("000"))
        && whole.len() + fraction.len() <= 15
}

/// The digits of a JSON number without exponent.
fn plain(number: &Number) -> String {
    match number.as_i64() {
        Some(integer) => integer.to_string(),
        None => number.as_f64().map(|float| float.to_string()).unwrap_or_default(),
    }
}

/// The same number always as the same text: no plus sign, no zeros that say nothing.
fn canonical(text: &str) -> String {
    let negative = text.starts_with('-');
    let unsigned = text.trim_start_matches(['+', '-']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let mut out = String::new();
    if negative && !(whole.is_empty() && fraction.is_empty()) {
        out.push('-');
    }
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::json;

    fn put(text: &str) -> Value {
        let mut quantity = Object::new();
        Decimal::read(text).expect(text).put(&mut quantity);
        Value::Object(quantity)
    }

    #[test]
    fn digits_that_a_number_loses_go_along_as_text() {
        assert_eq!(put("12.8"), json!({ "value": 12.8 }));
        assert_eq!(put("120"), json!({ "value": 120 }));
        for text in ["12.80", "+5", "007", ".5", "5.", "5.0", "-0"] {
            let extension = &put(text)["_value"]["extension"][0];
            assert_eq!(*extension, json!({ "url": AS_SENT, "valueString": text }));
        }
        assert_eq!(put("12.80")["value"], json!(12.8));
        assert_eq!(put("5.0")["value"], json!(5));
    }

    #[test]
    fn a_number_that_json_writes_otherwise_keeps_its_text() {
        for text in ["0.0001", "0.00001", "123456789012345.5", "100", "0", "0.5", "3.25"] {
            let number = Decimal::read(text).expect(text);
            assert_eq!(number.plain, number.number.to_string() == text, "{text}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_number_is_none() {
        for text in ["", ".", "1e5", "12,8", "<5", "5 mg", "0x10", "inf", "NaN", "1.2.3", "--1"] {
            assert!(Decimal::read(text).is_none(), "{text}");
        }
        assert!(Decimal::read("0.12345678901234567890").is_none());
        assert!(Decimal::read("123456789012345678901").is_none());
    }

    proptest! {
        #[test]
        fn a_number_is_never_another_number(whole in 0_u32..100_000_000, fraction in "[0-9]{0,5}") {
            let text = if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") };
            let quantity = put(&text);
            let shown = quantity["value"].to_string();
            prop_assert_eq!(canonical(&shown), canonical(&text));
        }
    }
}
