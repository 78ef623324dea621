//! ED and RP: documents and images inside a result, as FHIR Attachment.

use hl7::segment::Repetition;

use sha1::{Digest, Sha1};

use crate::json::{Object, Value, object};
use crate::text::{stated, whole, words};

/// An ED: source, type, subtype, encoding, data. `None` if the data is not what the encoding says:
/// a document that cannot be opened must not look like one.
pub(crate) fn encapsulated(ed: &Repetition<'_>) -> Option<Value> {
    let part = |component: usize| stated(ed.text(component, 1));
    let encoding = part(4).unwrap_or_default().to_ascii_uppercase();
    let data = whole(ed, 5)?;
    // More than the five components of an ED are a text cut at a `^` that was not escaped.
    if ed.components().skip(5).any(|more| !more.raw().is_empty()) {
        return None;
    }
    let base64 = match encoding.as_str() {
        "BASE64" => checked_base64(&data)?,
        "HEX" => base64(&from_hex(&data)?),
        "A" | "" => base64(words(ed, 5)?.as_bytes()),
        _ => return None,
    };
    Some(attachment(content_type(part(2), part(3)), "data", base64))
}

/// An RP: pointer, application, type, subtype.
pub(crate) fn pointer(rp: &Repetition<'_>) -> Option<Value> {
    let part = |component: usize| stated(rp.text(component, 1));
    let url = whole(rp, 1)?;
    Some(attachment(content_type(part(3), part(4)), "url", url))
}

/// Text as a document of its own. What is written in the marks of RTF or HTML is not plain.
pub(crate) fn of_text(text: &str) -> Value {
    let kind = match markup(text) {
        Some(Markup::Rtf) => "application/rtf",
        Some(Markup::Html) => "text/html; charset=utf-8",
        None => "text/plain; charset=utf-8",
    };
    attachment(kind.to_owned(), "data", base64(text.as_bytes()))
}

/// Marks that people are not meant to read.
pub(crate) enum Markup {
    Rtf,
    Html,
}

/// The markup that a whole text is written in, if its beginning says so.
pub(crate) fn markup(text: &str) -> Option<Markup> {
    let text = text.trim_start();
    let begins =
        |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins("{\\rtf") {
        return Some(Markup::Rtf);
    }
    let html = ["<!doctype html", "<html", "<head>", "<body", "<div>", "<p>", "<table"];
    html.iter().any(|with| begins(with)).then_some(Markup::Html)
}

fn attachment(content_type: String, key: &'static str, content: String) -> Value {
    object([("contentType", Value::from(content_type)), (key, Value::from(content))])
}

/// Adds the size in bytes and the hash (SHA-1, as FHIR R4 asks) of the document that the attachment
/// holds, so that a reader can tell whether it is whole.
pub(crate) fn measured(mut attachment: Value) -> Value {
    let bytes = attachment["data"].as_str().map(from_base64);
    if let Some(bytes) = bytes {
        attachment["size"] = Value::from(bytes.len());
        attachment["hash"] = Value::from(base64(&Sha1::digest(&bytes)));
    }
    attachment
}

/// The bytes of base64 that was checked or made here.
fn from_base64(text: &str) -> Vec<u8> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let body = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(body.len() / 4 * 3 + 2);
    for four in body.chunks(4) {
        let bits = four.iter().fold(0, |bits, byte| bits << 6 | sextet(*byte));
        let bits = bits << (6 * (4 - four.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    out
}

/// The MIME type from table 0191 and 0291: `IM` and `PDF` is what UK laboratories send for a PDF,
/// `application` and `pdf` what the standard says.
fn content_type(kind: Option<String>, subtype: Option<String>) -> String {
    let subtype = subtype.unwrap_or_default().to_ascii_lowercase();
    match (kind.unwrap_or_default().to_ascii_lowercase().as_str(), subtype.as_str()) {
        (kind, subtype) if kind.contains('/') && subtype.is_empty() => kind.to_owned(),
        (_, "pdf") => "application/pdf".to_owned(),
        (_, "rtf") => "application/rtf".to_owned(),
        ("im" | "image", "jpeg" | "jpg") => "image/jpeg".to_owned(),
        ("im" | "image", subtype @ ("png" | "gif" | "tiff")) => format!("image/{subtype}"),
        ("text" | "tx" | "ft", "html") => "text/html".to_owned(),
        ("text" | "tx" | "ft", "xml" | "x-hl7-cda-level-one") => "text/xml".to_owned(),
        ("text" | "tx" | "ft", _) => "text/plain".to_owned(),
        _ => "application/octet-stream".to_owned(),
    }
}

/// Base64 without the line breaks that senders put in, if it is base64 at all.
fn checked_base64(data: &str) -> Option<String> {
    let plain: String = data.replace("\\.br\\", "").split_whitespace().collect();
    let body = plain.trim_end_matches('=');
    let padding = plain.len() - body.len();
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let well = !body.is_empty()
        && plain.len().is_multiple_of(4)
        && padding <= 2
        && body.bytes().all(alphabet);
    well.then_some(plain)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let nibble =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.chunks(2);
    pairs.map(|pair| Some(nibble(*pair.first()?)? << 4 | nibble(*pair.get(1)?)?)).collect()
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place) & 63) as usize;
            out.push(if place <= three.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    out
}

/// The same attachment without its content: what an observation says of a document that the report
/// holds.
pub(crate) fn without_data(attachment: &Value) -> Value {
    let kept: Object = attachment
        .as_object()
        .map(|whole| {
            let kept = whole.iter().filter(|(key, _)| *key != "data");
            kept.map(|(key, value)| (key.to_owned(), value.clone())).collect()
        })
        .unwrap_or_default();
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(from_hex("66 6f6F"), Some(b"foo".to_vec()));
        assert_eq!(from_hex("666"), None);
        assert_eq!(checked_base64("Zm9v\nZg=="), Some("Zm9vZg==".to_owned()));
        assert_eq!(checked_base64("Zm9"), None);
        assert_eq!(checked_base64("Z!9v"), None);
    }

    #[test]
    fn a_document_is_measured() {
        for plain in ["f", "fo", "foo", "foobar"] {
            assert_eq!(from_base64(&base64(plain.as_bytes())), plain.as_bytes());
        }
        let document = measured(of_text("abc"));
        assert_eq!(
            (&document["data"], &document["size"]),
            (&Value::from("YWJj"), &Value::from(3_u8))
        );
        assert_eq!(document["hash"], "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    }

    #[test]
    fn a_text_with_marks_is_no_plain_text() {
        let kind = |text: &str| of_text(text)["contentType"].as_str().map(str::to_owned);
        assert_eq!(kind("{\\rtf1\\ansi Dear Sam}").as_deref(), Some("application/rtf"));
        let html = Some("text/html; charset=utf-8");
        assert_eq!(kind(" <!DOCTYPE html><html>").as_deref(), html);
        let plain = Some("text/plain; charset=utf-8");
        assert_eq!(kind("Dear Sam, <p>").as_deref(), plain);
        assert_eq!(kind("ŵ").as_deref(), plain);
    }

    #[test]
    fn what_laboratories_call_a_pdf_is_one() {
        let kind = |kind: &str, subtype: &str| {
            content_type(Some(kind.to_owned()), Some(subtype.to_owned()))
        };
        assert_eq!(kind("IM", "PDF"), "application/pdf");
        assert_eq!(kind("application", "pdf"), "application/pdf");
        assert_eq!(kind("TEXT", "HTML"), "text/html");
        assert_eq!(kind("AU", "basic"), "application/octet-stream");
    }
}
