//! OBX-2 and OBX-5: the value of an observation, never apart from its comparator and unit.

use hl7::message::Message;
use hl7::segment::{Field, Repetition, Segment};

use crate::fhir::attachment;
use crate::fhir::built::Unmappable;
use crate::fhir::coded::{concept, in_system};
use crate::fhir::decimal::Decimal;
use crate::fhir::names::terminology;
use crate::fhir::unit::Unit;
use crate::json::{Object, Value, object};
use crate::source::Source;
use crate::text::{rendered, stated};
use crate::time::Moment;

/// What an OBX states as its value.
pub(crate) enum Observed {
    /// Nothing.
    Absent,
    /// HL7 null: what was held is to be deleted.
    Null,
    /// An element `value[x]` by its FHIR name, and a data-quality finding about it. The unit of a
    /// text is for [`unit_beside`] to say.
    Value(&'static str, Value, Option<&'static str>),
    /// Documents or images, at least one.
    Attachments(Vec<Value>),
}

impl Observed {
    fn text(text: String, unit: Option<&Unit>, quality: Option<&'static str>) -> Observed {
        Observed::Value("valueString", Value::from(with_unit(text, unit)), quality)
    }
}

/// A text stays as it was sent; its unit stands beside it. One without a letter has the unit behind it,
/// so that nobody reads a bare number in it.
fn with_unit(text: String, unit: Option<&Unit>) -> String {
    let bare = text.contains(|c: char| c.is_ascii_digit()) && !text.contains(char::is_alphabetic);
    match unit.filter(|unit| bare && !text.contains(&unit.text)) {
        None => text,
        Some(unit) if text.contains('\n') => format!("{text}\nunit: {}", unit.text),
        Some(unit) => format!("{text} {}", unit.text),
    }
}

/// Reads the value of an OBX.
///
/// A number, its comparator and its unit are one quantity or stay one text. A unit beside a value
/// that cannot take one (a code, a date) is `unit.lost`. A value of blanks and delimiters is none.
pub(crate) fn observed(
    message: &Message,
    obx: &Segment<'_>,
    source: &Source,
) -> Result<Observed, Unmappable> {
    let Some(field) = obx.field(5).filter(|field| !field.is_empty()) else {
        return Ok(Observed::Absent);
    };
    if field.is_null() {
        return Ok(Observed::Null);
    }
    if is_blank(&field) {
        return Ok(Observed::Absent);
    }
    let unit = Unit::read(message, obx)?;
    let kind = stated(obx.text(2, 1)).unwrap_or_default().to_ascii_uppercase();
    let reading = Reading { message, field, unit: unit.as_ref() };
    let unitless = |found: Observed| match unit {
        Some(_) => Err(Unmappable::in_field("unit.lost", obx, 6)),
        None => Ok(found),
    };
    match kind.as_str() {
        "NM" => Ok(reading.number()),
        "SN" => Ok(reading.structured()),
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => unitless(reading.coded()),
        "DT" | "DTM" | "TS" => unitless(reading.moment(source)),
        "TM" => unitless(reading.time()),
        "ED" => documents(obx, &field, attachment::encapsulated),
        "RP" => documents(obx, &field, attachment::pointer),
        _ => Ok(reading.free_text()),
    }
}

/// The unit (OBX-6) of an OBX whose value became a text, which has no place of its own for it.
pub(crate) fn unit_beside(message: &Message, obx: &Segment<'_>) -> Option<String> {
    Unit::read(message, obx).ok().flatten().map(|unit| unit.text)
}

/// Whether nothing of a field can be read: blanks, line breaks, delimiters, HL7 nulls.
fn is_blank(field: &Field<'_>) -> bool {
    let says = |text: hl7::value::Value<std::borrow::Cow<'_, str>>| stated(text).is_some();
    let components = field.repetitions().flat_map(|each| each.components());
    !components.flat_map(|each| each.subcomponents()).any(|part| says(part.rendered()))
}

/// One document for every repetition that is not empty; one that cannot be opened refuses them all.
fn documents(
    obx: &Segment<'_>,
    field: &Field<'_>,
    open: impl Fn(&Repetition<'_>) -> Option<Value>,
) -> Result<Observed, Unmappable> {
    let sent = field.repetitions().filter(|each| !each.raw().is_empty());
    let opened: Option<Vec<Value>> = sent.map(|each| open(&each)).collect();
    opened
        .map(Observed::Attachments)
        .ok_or_else(|| Unmappable::in_field("attachment.unreadable", obx, 5))
}

struct Reading<'m> {
    message: &'m Message,
    field: Field<'m>,
    unit: Option<&'m Unit>,
}

impl<'m> Reading<'m> {
    fn first(&self) -> Repetition<'m> {
        // An empty field has one empty repetition, and this one is not empty.
        self.field.repetition(1).expect("a field has a first repetition")
    }

    /// The whole value as people read it: every repetition a line, formatting as line breaks.
    fn rendered(&self) -> String {
        let lines = self.field.repetitions().map(|line| rendered(self.message, line.raw()));
        let text = lines.collect::<Vec<_>>().join("\n");
        text.trim_end().to_owned()
    }

    fn repeats(&self) -> bool {
        self.field.repetition(2).is_some()
    }

    /// NM. What is not a number stays text and is counted: `12.8\.br\comment`, `TEST CANCELLED`.
    fn number(&self) -> Observed {
        let text = self.rendered();
        match comparison(&text) {
            Some(("", number)) => self.quantity("", &number, None),
            Some((comparator, number)) => {
                self.quantity(comparator, &number, Some("result.comparator-in-number"))
            }
            None => Observed::text(text, self.unit, Some("result.number-is-text")),
        }
    }

    /// ST, TX, FT and unknown types. With a unit, a number or comparison is a quantity.
    fn free_text(&self) -> Observed {
        let text = self.rendered();
        if let (Some((comparator, number)), Some(_)) = (comparison(&text), self.unit) {
            return self.quantity(comparator, &number, None);
        }
        let finding = attachment::markup(&text).map(|_| "result.markup");
        Observed::text(text, self.unit, finding)
    }

    fn quantity(
        &self,
        comparator: &str,
        number: &Decimal,
        quality: Option<&'static str>,
    ) -> Observed {
        Observed::Value("valueQuantity", quantity(comparator, number, self.unit), quality)
    }

    /// SN: comparator, number, separator, number. What has no form in FHIR stays one text.
    fn structured(&self) -> Observed {
        let sn = self.first();
        let part = |component: usize| stated(sn.text(component, 1)).unwrap_or_default();
        let (comparator, separator) = (part(1), part(3));
        let numbers = (Decimal::read(&part(2)), Decimal::read(&part(4)));
        let comparator = if comparator == "=" { String::new() } else { comparator };
        let known = matches!(comparator.as_str(), "" | "<" | ">" | "<=" | ">=");
        let single = separator.is_empty() && part(4).is_empty();
        match (separator.as_str(), numbers) {
            _ if self.repeats() || !known => {}
            (_, (Some(number), _)) if single => return self.quantity(&comparator, &number, None),
            ("-", (Some(low), Some(high))) if comparator.is_empty() => {
                let (low, high) = (quantity("", &low, self.unit), quantity("", &high, self.unit));
                let range = object([("low", low), ("high", high)]);
                return Observed::Value("valueRange", range, None);
            }
            (":" | "/", (Some(one), Some(other)))
                if comparator.is_empty() && self.unit.is_none() =>
            {
                let (one, other) = (quantity("", &one, None), quantity("", &other, None));
                let ratio = object([("numerator", one), ("denominator", other)]);
                return Observed::Value("valueRatio", ratio, None);
            }
            _ => {}
        }
        let text = if self.repeats() {
            self.rendered()
        } else {
            [part(1), part(2), part(3), part(4)].concat()
        };
        Observed::text(text, self.unit, None)
    }

    /// CE and its like. Several codes, of which FHIR has room for one, become their texts.
    fn coded(&self) -> Observed {
        let concepts: Vec<Value> =
            self.field.repetitions().filter_map(|each| concept(&each)).collect();
        let sent = self.field.repetitions().filter(|each| !each.raw().is_empty()).count();
        match <[Value; 1]>::try_from(concepts) {
            Ok([concept]) if sent == 1 => Observed::Value("valueCodeableConcept", concept, None),
            Err(concepts) if concepts.len() == sent => {
                let words = concepts.iter().filter_map(|concept| {
                    concept["text"].as_str().or_else(|| concept["coding"][0]["code"].as_str())
                });
                let text = words.collect::<Vec<_>>().join("\n");
                Observed::text(text, None, Some("result.code-is-text"))
            }
            _ => Observed::text(self.rendered(), None, Some("result.code-is-text")),
        }
    }

    fn moment(&self, source: &Source) -> Observed {
        let text = self.rendered();
        match Moment::read(&text, &source.zone) {
            Ok(moment) => Observed::Value("valueDateTime", Value::text(moment.fhir()), None),
            Err(_) => Observed::text(text, None, Some("date.unreadable")),
        }
    }

    /// TM as FHIR `time`, which has seconds.
    fn time(&self) -> Observed {
        let text = self.rendered();
        let digits = text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        let second = text.get(4..6).unwrap_or("00");
        match (digits, text.get(..2), text.get(2..4)) {
            (true, Some(hour), Some(minute)) if hour < "24" && minute < "60" && second < "60" => {
                let time = Value::from(format!("{hour}:{minute}:{second}"));
                Observed::Value("valueTime", time, None)
            }
            _ => Observed::text(text, None, Some("date.unreadable")),
        }
    }
}

fn quantity(comparator: &str, number: &Decimal, unit: Option<&Unit>) -> Value {
    let mut quantity = Object::with_capacity(4);
    number.put(&mut quantity);
    if !comparator.is_empty() {
        quantity.insert("comparator", Value::text(comparator));
    }
    if let Some(unit) = unit {
        unit.put(&mut quantity);
    }
    Value::Object(quantity)
}

/// A number with or without comparator and nothing else.
fn comparison(text: &str) -> Option<(&'static str, Decimal)> {
    let text = text.trim();
    let comparator = ["<=", ">=", "<", ">"].into_iter().find(|sign| text.starts_with(sign));
    let comparator = comparator.unwrap_or("");
    Decimal::read(text[comparator.len()..].trim()).map(|number| (comparator, number))
}

/// Why there is no value (FHIR `data-absent-reason`).
pub(crate) fn absent_reason(code: &'static str) -> Value {
    in_system(terminology!("data-absent-reason"), code, None)
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading as How;

    use super::*;
    use crate::json::json;

    fn read(obx: &str) -> Result<Observed, Unmappable> {
        let text = format!("MSH|^~\\&|LIMS|RXX01|TIE|RXX|20240110||ORU^R01|1|P|2.5.1\r{obx}");
        let message = Message::parse(text.into_bytes(), &How::default()).expect("a message");
        let obx = message.segment("OBX", 1).expect("an OBX");
        observed(&message, &obx, &Source::new("pathology-oru", "RXX"))
    }

    fn value(kind: &str, value: &str, unit: &str) -> (&'static str, Value, Option<&'static str>) {
        match read(&format!("OBX|1|{kind}|A||{value}|{unit}")) {
            Ok(Observed::Value(element, value, quality)) => (element, value, quality),
            _ => ("", Value::Null, None),
        }
    }

    #[test]
    fn a_number_keeps_its_comparator_and_unit() {
        let number = json!({ "value": 12.8, "unit": "g/L" });
        assert_eq!(value("NM", "12.8", "g/L"), ("valueQuantity", number.clone(), None));
        assert_eq!(value("ST", "12.8", "g/L"), ("valueQuantity", number, None));
        let below = json!({ "value": 5, "comparator": "<", "unit": "mg/L" });
        let counted = Some("result.comparator-in-number");
        assert_eq!(value("NM", "<5", "mg/L"), ("valueQuantity", below.clone(), counted));
        assert_eq!(value("ST", "< 5", "mg/L"), ("valueQuantity", below.clone(), None));
        assert_eq!(value("SN", "<^5", "mg/L"), ("valueQuantity", below, None));
        assert_eq!(value("ST", "<5", ""), ("valueString", json!("<5"), None));
    }

    #[test]
    fn what_is_no_number_stays_text_with_its_unit() {
        let counted = Some("result.number-is-text");
        let text = |text: &str| ("valueString", json!(text), counted);
        assert_eq!(value("NM", "12.8\\.br\\comment", ""), text("12.8\ncomment"));
        assert_eq!(value("NM", "12.8\\.br\\comment", "g/L"), text("12.8\ncomment"));
        assert_eq!(value("NM", "##TEST CANCELLED##", "g/L"), text("##TEST CANCELLED##"));
        assert_eq!(value("NM", "NEG", "mmol/L"), text("NEG"));
        assert_eq!(value("ST", "12.3 mmol/L", "mmol/L").1, "12.3 mmol/L");
        assert_eq!(value("NM", "12.3 %", "%"), text("12.3 %"));
        assert_eq!(value("NM", "12,8", "g/L"), text("12,8 g/L"));
        assert_eq!(value("NM", "1~2", "g/L"), text("1\n2\nunit: g/L"));
        assert_eq!(value("TX", "10^9 ~b", "").1, "10^9 \nb");
    }

    #[test]
    fn a_text_with_marks_is_counted() {
        let counted = |text: &str| value("TX", text, "").2;
        assert_eq!(counted("<p>No bleed</p>"), Some("result.markup"));
        assert_eq!(counted("{\\E\\rtf1 No bleed}"), Some("result.markup"));
        assert_eq!((counted("<5 colonies"), counted("No bleed")), (None, None));
    }

    #[test]
    fn structured_numbers_become_what_fhir_has() {
        let low = json!({ "value": 5, "unit": "g/L" });
        let high = json!({ "value": 10, "unit": "g/L" });
        assert_eq!(
            value("SN", "^5^-^10", "g/L"),
            ("valueRange", json!({ "low": low, "high": high }), None)
        );
        let ratio = json!({ "numerator": { "value": 1 }, "denominator": { "value": 20 } });
        assert_eq!(value("SN", "^1^:^20", ""), ("valueRatio", ratio, None));
        assert_eq!(value("SN", "<^1^:^20", "").1, "<1:20");
        assert_eq!(value("SN", "^2^+", "").1, "2+");
        assert_eq!(value("SN", "<>^2", "mmol/L").1, "<>2 mmol/L");
    }

    #[test]
    fn units_are_carried_or_the_result_is_refused() {
        assert_eq!(value("NM", "1", "10\\S\\12/L").1["unit"], "10^12/L");
        assert_eq!(value("NM", "1", "10^12/L").1["unit"], "10^12/L");
        let ucum = json!({ "value": 1, "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L" });
        assert_eq!(value("NM", "1", "mmol/L^^UCUM").1, ucum);
        assert_eq!(value("NM", "1", "\"\"").1, json!({ "value": 1 }));
        let lost = ["10\\.br\\12/L", "g~mg", "^^UCUM", "\\Q\\g", "10\\X0A\\12/L"];
        let cut = ["10^6^/L", "1^x10^6/L", "1^x10", "mmol^^^^per litre", "mL^2^UCUM", "7", "^^^x"];
        for unit in lost.into_iter().chain(cut) {
            let refused = read(&format!("OBX|1|NM|A||1|{unit}")).err().map(|refused| refused.code);
            assert_eq!(refused, Some("unit.lost"), "{unit}");
        }
    }

    #[test]
    fn a_unit_keeps_its_power_and_what_it_is_of() {
        for unit in [
            "kg/m^2",
            "mL/min/1.73m^2",
            "cells x 10^6/L",
            "x10^9/L",
            "mmol^-1",
            "mg/mmol&creat",
            "/HPF",
        ] {
            let quantity = value("NM", "45", unit).1;
            assert_eq!(quantity, json!({ "value": 45, "unit": unit }));
        }
        assert_eq!(value("NM", "1", "10^ 6/L").1["unit"], "10^6/L");
        assert_eq!(value("NM", "1", "umol/L^micromole per litre").1["unit"], "umol/L");
        let coded = json!({ "value": 1, "unit": "10^6/L", "system": "urn:tieline:codes:99LAB", "code": "C6L" });
        assert_eq!(value("NM", "1", "C6L^10\\S\\6/L^99LAB").1, coded);
    }

    #[test]
    fn a_value_of_blanks_is_none() {
        for (kind, blank) in
            [("ST", " "), ("NM", " "), ("TX", "\\.br\\"), ("CE", "^"), ("ED", "^^"), ("TX", "~ ~")]
        {
            let read = read(&format!("OBX|1|{kind}|A||{blank}|g/L"));
            assert!(matches!(read, Ok(Observed::Absent)), "{kind}");
        }
        assert_eq!(value("ST", "-", "").1, "-");
    }

    #[test]
    fn every_repetition_is_a_document() {
        let documents = |sent: &str| match read(&format!("OBX|1|{sent}")) {
            Ok(Observed::Attachments(documents)) => documents,
            _ => Vec::new(),
        };
        let two = documents("ED|A||^IM^PDF^Base64^cGFnZSAx~^IM^PDF^Base64^cGFnZSAy~");
        assert_eq!((two.len(), &two[1]["data"]), (2, &json!("cGFnZSAy")));
        let link = &documents("RP|A||https://lims.example/view?a=1&b=2^LIMS^application^pdf")[0];
        assert_eq!(link["url"], "https://lims.example/view?a=1&b=2");
        let text = &documents("ED|A||^TEXT^PLAIN^A^a & b")[0];
        assert_eq!(text["data"], "YSAmIGI=");
        let lines = &documents("ED|A||^TEXT^PLAIN^A^a\\.br\\b")[0];
        assert_eq!(lines["data"], "YQpi");
        for cut in ["^IM^PDF^Base64^cGFnZSAx~loose text", "^TEXT^PLAIN^A^10^9 cells"] {
            let refused = read(&format!("OBX|1|ED|A||{cut}")).err().map(|refused| refused.code);
            assert_eq!(refused, Some("attachment.unreadable"), "{cut}");
        }
    }

    #[test]
    fn codes_dates_and_times_have_their_own_elements() {
        let code = value("CWE", "112283007^Escherichia coli^SCT", "");
        assert_eq!(code.1["coding"][0]["system"], "http://snomed.info/sct");
        let several = value("CE", "GPC^Gram positive cocci^L~GNR^Gram negative rods^L~YST", "");
        let texts = json!("Gram positive cocci\nGram negative rods\nYST");
        assert_eq!(several, ("valueString", texts, Some("result.code-is-text")));
        assert_eq!(value("CE", "GPC^Cocci^L~", "").0, "valueCodeableConcept");
        assert_eq!(value("CE", "X^Line one\\.br\\line two", "").1["text"], "Line one\nline two");
        assert_eq!(value("DT", "20240110", ""), ("valueDateTime", json!("2024-01-10"), None));
        assert_eq!(value("DT", "20241301", "").2, Some("date.unreadable"));
        assert_eq!(value("TM", "1405", ""), ("valueTime", json!("14:05:00"), None));
    }
}
