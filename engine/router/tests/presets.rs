//! What each preset makes of the ways of its system (the quirks of real feeds), as whole messages
//! through a channel, and that its page in the manual says what it does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use hl7::location::Location;
use hl7::message::Message;
use record::identity::Identity;
use record::site;
use record::source::Source;
use record::translation::translated;
use router::config::assemble::sources;
use router::config::bundle::Bundle;
use router::config::load;
use router::config::preset::PRESETS;

/// How a channel of organisation RXX with these keys below `source` and `identity` reads messages.
fn channel(source: &str, identity: &str) -> Arc<Source> {
    let text = format!(
        "engine: {{ environment: test }}\nchannels:\n  one: {{ listener: {{ mllp: {{ listen: \"127.0.0.1:0\" }} }}, \
         source: {{ organisation: RXX, test_data: true, {source} }}, \
         identity: {{ local: [{{ authority: RXX01, type: MR, default: true }}], {identity} }}, \
         transform: {{ script: x.rhai }} }}\n"
    );
    let bundle = Bundle {
        files: vec![("c.yaml".to_owned(), text)],
        transforms: Some(Path::new("").to_owned()),
        scripts: [("x.rhai".to_owned(), "fn transform(msg) { filter(\"no\") }\n".to_owned())]
            .into(),
        ..Bundle::default()
    };
    let loaded = load::understand(bundle, Vec::new()).unwrap_or_else(|failure| panic!("{failure}"));
    sources(&loaded).remove(0)
}

/// A message in the terms of HL7 UK, and what was found in it.
struct Found {
    message: Message,
    identity: Identity,
    noticed: Vec<&'static str>,
    site: Option<&'static str>,
}

fn read(source: &Source, kind: &str, segments: &str) -> Found {
    let head = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20251103||{kind}|1|P|2.4\r");
    read_whole(source, &format!("{head}{segments}\r"))
}

fn read_whole(source: &Source, text: &str) -> Found {
    let sent = Message::parse(text.to_owned().into_bytes(), &source.reading()).unwrap();
    let (message, noticed) = match translated(&sent, source) {
        Some(translated) => (translated.message, translated.quality),
        None => (sent, Vec::new()),
    };
    let identity = Identity::read(&message, source).unwrap();
    let site = site::unknown(&message, source);
    Found { message, identity, noticed, site }
}

/// What a script reads at a place.
fn at(found: &Found, place: &str) -> String {
    let place: Location = place.parse().unwrap();
    found.message.text(&place).into_option().unwrap_or_default().into_owned()
}

fn keyed(found: &Found) -> Option<String> {
    found.identity.nhs_number.map(|number| number.to_string())
}

fn local(found: &Found) -> Option<String> {
    found.identity.best_local.clone().map(|local| local.to_string())
}

#[test]
fn itk_events_of_class_n_are_about_a_person() {
    let channel = channel("preset: itk-2.4", "");
    let trigger = |sent: &str, class: &str| {
        let segments = format!("PID|1||9990000018^^^NHS^NH|||||||\rPV1|1|{class}|RXX^W1^B2^RXX01");
        at(&read(&channel, &format!("ADT^{sent}"), &segments), "MSH-9.2")
    };
    assert_eq!(
        [trigger("A04", "N"), trigger("A01", "u"), trigger("A08", "U")],
        ["A28", "A31", "A31"]
    );
    assert_eq!(
        [trigger("A04", "O"), trigger("A01", "I"), trigger("A28", "N")],
        ["A04", "A01", "A28"]
    );
}

#[test]
fn pims_numbers_persons_and_unknown_practices() {
    let channel = channel("preset: welsh-pims, facilities: { \"103\": RXX01 }", "");
    let body = "PID|1||9990000018^01^^^NI~N123^^^^PI||TEST^ANN||19760121+\"\"^D|||||||||||||||||||||^D\r\
                PD1|||UNK^^UNK|G9999018~X99101\rPV1|1|NA\rMRG|1234";
    let text =
        format!("MSH|^~\\&|103|103|TIE|RXX|2025-05-05 23:23:32||ADT^A04|1|P|2.3.1\r{body}\r");
    let found = read_whole(&channel, &text);
    assert_eq!(found.site, None, "the site behind a number of the Welsh services");
    assert_eq!(
        (keyed(&found).as_deref(), at(&found, "MSH-9.2")),
        (Some("9990000018"), "A28".into())
    );
    assert_eq!((at(&found, "PD1-3.3"), at(&found, "PD1-4.1")), (String::new(), "G9999018".into()));
    assert_eq!(found.noticed, ["placeholder.code", "placeholder.code"]);
    let status = "PID|1||9990000018^06^^^NI~N123^^^^PI";
    assert_eq!(keyed(&read(&channel, "ADT^A31", status)), None, "06 is not traced");
    // Its offset is written all the year, on local times.
    let summer = "PID|1||9990000018^01^^^NI||||19760121+0000\rPV1|1|I|||||||||||||||||20250610-0000|||||||||||||||||||\
                  ||||||20250610101000+0000";
    let found = read(&channel, "ADT^A01", summer);
    assert_eq!(at(&found, "PV1-44"), "20250610101000");
    assert_eq!(at(&found, "PID-7"), "19760121");
    assert_eq!(at(&found, "PV1-19"), "20250610-0000", "a number is no time");
}

#[test]
fn millennium_names_number_visit_and_merge_in_two_ways() {
    let plan = channel("preset: cerner-millennium", "");
    let homerton = "PID|1||4410233^^^RXX01^MR||TEST^ANN||||||||(000)000-0000^PRN^PH|||||771234^^^Homerton FIN|\
                    9990000018|||||||||||||01\rPV1|1|I|W1^R2^B3^RXX01\rMRG|4410234^^^RXX01^MR||771235^^^Homerton FIN";
    let found = read(&plan, "ADT^A35", homerton);
    assert_eq!(keyed(&found).as_deref(), Some("9990000018"));
    assert_eq!((at(&found, "PV1-19.1"), at(&found, "MRG-5.1")), ("771234".into(), "771235".into()));
    assert_eq!(at(&found, "PV1-19.4"), "Homerton FIN");
    assert!(found.noticed.contains(&"placeholder.telecom") && at(&found, "PID-13").is_empty());
    let barts = format!(
        "PID|1||4410233^^^RXX01^MR|||||||||||||||9912\rPV1|1|I{}V55^^^VISITID",
        "|".repeat(17)
    );
    assert_eq!(at(&read(&plan, "ADT^A01", &barts), "PV1-19.1"), "V55");
    let fin = channel("preset: cerner-millennium, visit: { number: [PID-18] }", "");
    assert_eq!(at(&read(&fin, "ADT^A01", &barts), "PV1-19.1"), "9912", "key by key");
    let building = channel(
        "preset: cerner-millennium, facilities: { HOMERTON UNIVER: RXX01 }, \
         point_of_care: { components: [ward, room, bed, other, other, other, site] }",
        "",
    );
    let found =
        read(&building, "ADT^A01", "PID|1||1^^^RXX01^MR\rPV1|1|I|W1^R2^B3^X^^^Homerton Univer");
    let parts = [1, 2, 3, 4].map(|part| at(&found, &format!("PV1-3.{part}")));
    assert_eq!(parts, ["W1", "R2", "B3", "RXX01"]);
    assert_eq!(found.site, None);
}

#[test]
fn carecast_identifiers_and_telephones_are_told_by_position() {
    let channel = channel("preset: carecast", "nhs_number: { if_status_absent: key }");
    let body = "PID|1||40112233~9990000018||TEST^ANN||19410308|F|||||01632960114~07700900114~ann@example.org\r\
                MRG|40119999~9990000018";
    let found = read(&channel, "ADT^A08", body);
    assert_eq!(keyed(&found).as_deref(), Some("9990000018"));
    assert_eq!(local(&found).as_deref(), Some("40112233^^^RXX01^MR"));
    assert_eq!(at(&found, "MRG-1.4"), "RXX01");
    let kinds = [1, 2, 3].map(|nth| at(&found, &format!("PID-13({nth}).3")));
    assert_eq!(kinds, ["PH", "CP", "Internet"]);
    assert_eq!(at(&read(&channel, "ADT^A08", "PID|1||40112233~8888888888"), "PID-3(2).4"), "NHS");
}

#[test]
fn the_community_preset_finds_its_number_in_awkward_places() {
    let plan = channel("preset: hl7-2.3.1-community", "nhs_number: { if_status_absent: key }");
    for pid in [
        "PID|1||9990000018^01^^^NI~7^^^RXX01^MR",
        "PID|1|9990000018|7^^^RXX01^MR",
        "PID|1||7^^^RXX01^MR||||||||||||||||999 000 0018",
    ] {
        assert_eq!(keyed(&read(&plan, "ADT^A28", pid)).as_deref(), Some("9990000018"), "{pid}");
    }
}

#[test]
fn without_a_preset_what_stands_for_nothing_is_nothing() {
    let plan = channel("placeholders: { telecom: [\"01632 960000\"] }", "");
    let body = "PID|1||0000000^^^RXX01^MR~4410233^^^RXX01^MR||Unknown^XXXX||||||||01632 960000~07700 900114\r\
                NK1|1|unknown^Ann||||(000)000-0000\rPV1|1|I||||NA||||||||||||||";
    let found = read(&plan, "ADT^A31", body);
    assert_eq!(
        local(&found).as_deref(),
        Some("4410233^^^RXX01^MR"),
        "a number of zeros names nobody"
    );
    assert_eq!((at(&found, "PID-5.1"), at(&found, "PID-5.2")), (String::new(), String::new()));
    assert_eq!(
        (at(&found, "PID-13"), at(&found, "PID-13(2)")),
        (String::new(), "07700 900114".into())
    );
    assert_eq!((at(&found, "NK1-2.1"), at(&found, "NK1-2.2")), (String::new(), "Ann".into()));
    let counted = &found.noticed;
    for kind in ["placeholder.identifier", "placeholder.name", "placeholder.telecom"] {
        assert!(counted.contains(&kind), "{kind}: {counted:?}");
    }
    let null = read(&plan, "ADT^A31", "PID|1||4410233^^^RXX01^MR||\"\"||||||||\"\"");
    assert!(null.message.raw(&"PID-5".parse().unwrap()).is_null(), "the null is no placeholder");
}

#[test]
fn only_what_is_said_otherwise_is_touched() {
    let plan = channel("preset: itk-2.4", "");
    let bytes = "MSH|^~\\&|PAS|RXX01|TIE|RXX|20251103||ADT^A01|1|P|2.4\r\
                 PID|1||9990000018^^^NHS^NH~7^^^RXX01^MR||TEST^ANN\rPV1|1|I|RXX^W1^B2^RXX01\r";
    let found = read_whole(&plan, bytes);
    assert_eq!(found.message.bytes(), bytes.as_bytes());
}

#[test]
fn every_preset_has_its_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/presets.md");
    let page = std::fs::read_to_string(path).unwrap();
    for preset in PRESETS {
        let said: Vec<&str> = preset.text.lines().filter_map(|l| l.strip_prefix('#')).collect();
        let said: Vec<&str> = said.iter().flat_map(|line| line.split_whitespace()).collect();
        let keys: Vec<&str> = preset.text.lines().filter(|line| !line.starts_with('#')).collect();
        let words: Vec<&str> = page.split_whitespace().collect();
        let says = words.windows(said.len()).any(|window| window == said);
        assert!(page.contains(&format!("## `{}`", preset.name)), "{}", preset.name);
        assert!(says, "docs/presets.md does not say what {}.yaml says of itself", preset.name);
        assert!(
            page.contains(&keys.join("\n")),
            "docs/presets.md has other keys of {}",
            preset.name
        );
    }
}
