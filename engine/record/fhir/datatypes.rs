//! Names, addresses, telephones, identifiers, doctors: HL7 v2 data types as FHIR ones.

use std::borrow::Cow;

use hl7::segment::Repetition;
use jiff::tz::TimeZone;

use crate::fhir::built::{Parts, identifier_in};
use crate::fhir::coded::{in_system, in_words};
use crate::fhir::names::{GMC_NUMBER, GMP_NUMBER, ODS_ORGANISATION, ODS_SITE, terminology};
use crate::fhir::tables::PROFESSIONAL_REGISTER;
use crate::json::{Object, Value, object};
use crate::site::is_practice_code;
use crate::text::{capitals, is_ods_code, meant, stated, whole};
use crate::time::Moment;

/// What the components of an XPN stand for.
pub(crate) const NAMED: Parts =
    &[(1, "family"), (2, "given"), (3, "given"), (4, "suffix"), (5, "prefix"), (6, "suffix")];
/// What the components of an XAD stand for.
pub(crate) const ADDRESSED: Parts =
    &[(1, "line"), (2, "line"), (3, "city"), (4, "district"), (5, "postalCode"), (6, "country")];
/// What the components of an XTN stand for.
pub(crate) const REACHED: Parts =
    &[(1, "where(system='phone')"), (4, "where(system='email')"), (12, "where(system='phone')")];
/// What the components of an XCN stand for.
pub(crate) const PERSON: Parts = &[(1, "identifier"), (2, "display"), (3, "display")];
/// What the components of a CX or EI stand for.
pub(crate) const NUMBERED: Parts = &[(1, "value"), (4, "assigner"), (5, "type")];

fn part(of: &Repetition<'_>, component: usize) -> Option<String> {
    stated(of.text(component, 1))
}

/// A component that is a code, in capitals; empty if it says nothing.
fn code<'m>(of: &Repetition<'m>, component: usize) -> Cow<'m, str> {
    meant(of.text(component, 1)).map(capitals).unwrap_or_default()
}

/// An XPN as `HumanName`. XPN-7 in the words of PDS and of table 0200; a word that FHIR has no use
/// for leaves `use` out.
pub(crate) fn human_name(name: &Repetition<'_>, zone: &TimeZone) -> Option<Value> {
    let mut out = Object::with_capacity(6);
    let usage = match code(name, 7).as_ref() {
        "L" | "R" => Some("official"),
        "D" | "PREFERRED" => Some("usual"),
        "M" | "PREVIOUS-MAIDEN" => Some("maiden"),
        "N" => Some("nickname"),
        "T" => Some("temp"),
        "PREVIOUS" | "PREVIOUS-BIRTH" | "PREVIOUS-BACHELOR" | "BAD" => Some("old"),
        _ => None,
    };
    out.put("use", usage);
    out.put("family", part(name, 1));
    list(&mut out, "given", [part(name, 2), part(name, 3)]);
    list(&mut out, "prefix", [part(name, 5), None]);
    list(&mut out, "suffix", [part(name, 4), part(name, 6)]);
    let named = ["family", "given", "prefix", "suffix"].iter().any(|key| out.contains_key(key));
    period(&mut out, name, (12, 13), zone);
    named.then_some(Value::Object(out))
}

/// An XAD as `Address`: XAD-1 may have the parts of a SAD; XAD-7 in its UK meaning (H home, PST
/// correspondence, TMP temporary).
pub(crate) fn address(address: &Repetition<'_>, zone: &TimeZone) -> Option<Value> {
    let mut out = Object::with_capacity(8);
    let (usage, form) = match code(address, 7).as_ref() {
        "H" | "P" => (Some("home"), None),
        "PST" | "M" => (None, Some("postal")),
        "TMP" | "C" => (Some("temp"), None),
        "B" | "O" => (Some("work"), None),
        "BA" => (Some("old"), None),
        _ => (None, None),
    };
    out.put("use", usage);
    out.put("type", form);
    let street = (1..=3).map(|at| stated(address.text(1, at)));
    list(&mut out, "line", street.chain([whole(address, 2)]));
    out.put("city", whole(address, 3));
    out.put("district", whole(address, 4));
    out.put("postalCode", part(address, 5));
    out.put("country", part(address, 6));
    let located =
        ["line", "city", "district", "postalCode", "country"].iter().any(|k| out.contains_key(k));
    period(&mut out, address, (13, 14), zone);
    located.then_some(Value::Object(out))
}

/// An XTN as `ContactPoint`. `usage` is what the field itself says, home or work; a mobile of a
/// home field is `mobile`. XTN-18 says which is preferred.
pub(crate) fn telecom(telecom: &Repetition<'_>, usage: &'static str) -> Option<Value> {
    let equipment = code(telecom, 3);
    let internet = matches!(equipment.as_ref(), "INTERNET" | "X.400") || code(telecom, 2) == "NET";
    let number = part(telecom, 12).or_else(|| part(telecom, 1)).or_else(|| dialled(telecom));
    let email = part(telecom, 4);
    let (system, value) = match (email, number) {
        (Some(email), _) if internet || part(telecom, 1).is_none() => ("email", email),
        (_, Some(text)) if internet || text.contains('@') => ("email", text),
        (_, Some(number)) => (phone_system(&equipment), number),
        (Some(email), None) => ("email", email),
        (None, None) => return None,
    };
    let mobile = usage == "home" && system == "phone" && equipment == "CP";
    let usage = if mobile { "mobile" } else { usage };
    let mut out = Object::with_capacity(4);
    out.insert("system", Value::from(system));
    out.insert("value", Value::from(value));
    out.insert("use", Value::from(usage));
    let preferred = part(telecom, 18).and_then(|rank| rank.parse::<u16>().ok());
    if let Some(rank) = preferred.filter(|rank| *rank > 0) {
        out.insert("rank", Value::from(rank));
    }
    Some(Value::Object(out))
}

fn phone_system(equipment: &str) -> &'static str {
    match equipment {
        "FX" => "fax",
        "BP" => "pager",
        "SAT" | "TDD" | "TTY" | "MD" => "other",
        _ => "phone",
    }
}

fn dialled(telecom: &Repetition<'_>) -> Option<String> {
    let parts: Vec<String> = [5, 6, 7].into_iter().filter_map(|at| part(telecom, at)).collect();
    part(telecom, 7).map(|_| parts.join(" "))
}

/// A CX as `Identifier` of the organisation that CX-4 names, with the type of table 0203.
pub(crate) fn identifier(id: &Repetition<'_>, zone: &TimeZone) -> Option<Value> {
    let mut out = Object::with_capacity(4);
    let value = part(id, 1)?;
    if let Some(kind) = part(id, 5) {
        out.insert("type", identifier_type(&kind));
    }
    out.put("value", Some(value));
    if let Some(authority) = part(id, 4) {
        out.insert("assigner", organisation(&authority, None));
    }
    period(&mut out, id, (7, 8), zone);
    Some(Value::Object(out))
}

/// An EI as `Identifier`: the number, and the system that assigned it, as URI or OID where it has
/// one (EI-3 and 4), else by the name the sender knows it by (EI-2).
pub(crate) fn entity(ei: &Repetition<'_>) -> Option<Value> {
    let mut out = Object::with_capacity(3);
    let value = whole(ei, 1)?;
    let universal = part(ei, 3).and_then(|id| match part(ei, 4)?.to_ascii_uppercase().as_str() {
        "ISO" => Some(format!("urn:oid:{id}")),
        "UUID" | "GUID" => Some(format!("urn:uuid:{id}")),
        "URI" | "URL" => Some(id),
        _ => None,
    });
    out.put("system", universal);
    out.put("value", Some(value));
    if let Some(namespace) = part(ei, 2) {
        out.insert("assigner", namespace_of(&namespace));
    }
    Some(Value::Object(out))
}

/// EI-2 names a system (LIMS, OCS) as often as an organisation, and both may have capitals only: without a
/// digit it is a name.
fn namespace_of(name: &str) -> Value {
    if name.contains(|c: char| c.is_ascii_digit()) {
        organisation(name, None)
    } else {
        object([("display", Value::text(name))])
    }
}

/// The same with a type of table 0203.
pub(crate) fn entity_of_type(ei: &Repetition<'_>, kind: &str) -> Option<Value> {
    let mut identifier = entity(ei)?;
    identifier["type"] = identifier_type(kind);
    Some(identifier)
}

/// A reference by identifier to a resource of that type, which need not be in the bundle.
pub(crate) fn logical(kind: &'static str, identifier: Value) -> Value {
    object([("type", Value::from(kind)), ("identifier", identifier)])
}

/// An XON as a reference: its ODS code (XON-3, or 10 in later versions) and its name.
pub(crate) fn named_organisation(xon: &Repetition<'_>) -> Option<Value> {
    let name = whole(xon, 1);
    let code = part(xon, 3).or_else(|| part(xon, 10)).or_else(|| name.clone())?;
    let mut found = organisation(&code, name.as_deref().filter(|name| *name != code));
    found["type"] = Value::from("Organization");
    Some(found)
}

/// The type of an identifier: a code of table 0203, or the sender's own word as text.
pub(crate) fn identifier_type(kind: &str) -> Value {
    const KNOWN: [&str; 18] = [
        "AN", "CNN", "DL", "DN", "EI", "FILL", "MR", "NH", "NI", "PI", "PLAC", "PN", "PPN", "PRN",
        "PT", "SS", "VN", "XX",
    ];
    if KNOWN.contains(&kind) {
        in_system(terminology!("v2-0203"), kind.to_owned(), None)
    } else {
        in_words(kind)
    }
}

/// An organisation or site: by ODS code where the text has the form of one (a site code is longer
/// than the three characters of a trust), else by name.
pub(crate) fn organisation(code: &str, name: Option<&str>) -> Value {
    let mut out = Object::with_capacity(2);
    let coded = is_ods_code(code);
    if coded {
        let site = code.len() == 5;
        let system = if site { ODS_SITE } else { ODS_ORGANISATION };
        out.insert("identifier", identifier_in(system, code.to_owned()));
    }
    let shown = name.or_else(|| (!coded).then_some(code));
    out.put("display", shown.map(str::to_owned));
    Value::Object(out)
}

/// A GP practice by its code.
pub(crate) fn practice(code: Option<&str>, name: Option<&str>) -> Option<Value> {
    let mut out = Object::with_capacity(3);
    out.insert("type", Value::from("Organization"));
    if let Some(code) = code.filter(|code| is_practice_code(code)) {
        out.insert("identifier", identifier_in(ODS_ORGANISATION, code.to_owned()));
    }
    out.put("display", name.map(str::to_owned));
    (out.len() > 1).then_some(Value::Object(out))
}

/// An XCN as a reference to a practitioner, by number and name.
pub(crate) fn practitioner(doctor: &Repetition<'_>) -> Option<Value> {
    let mut out = Object::with_capacity(3);
    out.insert("type", Value::from("Practitioner"));
    if let Some(number) = practitioner_number(doctor) {
        out.insert("identifier", number);
    }
    let names = [part(doctor, 6), part(doctor, 3), part(doctor, 4), part(doctor, 2)];
    let shown: Vec<String> = names.into_iter().flatten().collect();
    out.put("display", (!shown.is_empty()).then(|| shown.join(" ")));
    (out.len() > 1).then_some(Value::Object(out))
}

/// The number of an XCN: of the register that its authority (XCN-9) or type (XCN-13) names, else a
/// GP's national code (G and seven digits) or a consultant code (C and the seven digits of the GMC
/// number) by its form, else a number of the sender's own.
pub(crate) fn practitioner_number(doctor: &Repetition<'_>) -> Option<Value> {
    let number = part(doctor, 1).filter(|code| !matches!(code.as_str(), "UNK" | "NA"))?;
    let mut registers = [9, 13].into_iter().filter_map(|at| {
        let mut name = code(doctor, at);
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            name.to_mut().retain(|c| c.is_ascii_alphanumeric());
        }
        PROFESSIONAL_REGISTER.find(&name, "").map(|found| found.code)
    });
    let seven = |rest: &str| rest.len() == 7 && rest.bytes().all(|byte| byte.is_ascii_digit());
    let by_form = || {
        let gp = number.strip_prefix('G').is_some_and(seven).then_some(GMP_NUMBER);
        gp.or_else(|| number.strip_prefix('C').is_some_and(seven).then_some(GMC_NUMBER))
    };
    let mut out = Object::with_capacity(2);
    out.put("system", registers.next().or_else(by_form));
    out.put("value", Some(number));
    Some(Value::Object(out))
}

/// The name of an XCN as `HumanName`.
pub(crate) fn practitioner_name(doctor: &Repetition<'_>) -> Option<Value> {
    let mut out = Object::with_capacity(4);
    out.put("family", part(doctor, 2));
    list(&mut out, "given", [part(doctor, 3), part(doctor, 4)]);
    list(&mut out, "prefix", [part(doctor, 6)]);
    list(&mut out, "suffix", [part(doctor, 5), part(doctor, 7)]);
    (!out.is_empty()).then_some(Value::Object(out))
}

/// Sets `period` from two components that hold times.
fn period(out: &mut Object, of: &Repetition<'_>, (from, to): (usize, usize), zone: &TimeZone) {
    let at = |component: usize| {
        let moment = Moment::read(&part(of, component)?, zone).ok()?;
        Some(moment.fhir().to_owned())
    };
    let mut period = Object::new();
    period.put("start", at(from));
    period.put("end", at(to));
    if !period.is_empty() {
        out.insert("period", Value::Object(period));
    }
}

fn list(out: &mut Object, key: &'static str, texts: impl IntoIterator<Item = Option<String>>) {
    let texts: Vec<Value> = texts.into_iter().flatten().map(Value::from).collect();
    if !texts.is_empty() {
        out.insert(key, texts);
    }
}
