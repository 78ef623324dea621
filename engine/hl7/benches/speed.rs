//! How long reading takes, and how much faster it is than hl7-parser: `cargo bench -p hl7`.
//!
//! Each figure is the best of many rounds, so that a busy machine does not count. The last column is
//! what is promised; a run that misses it fails.
#![expect(clippy::print_stdout, reason = "a measurement talks to its user")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hl7::header::Header;
use hl7::location::Location;
use hl7::message::{Message, Reading};
use hl7::several::several;
use hl7_parser::message::Separators;
use hl7_parser::parser::parse_segment_with_separators;

/// An admission of about 1 KB, with what a patient administration system fills in.
fn admission() -> Bytes {
    Bytes::from_static(
        b"MSH|^~\\&|PAS|RXX01|TIE|RXX|20260701120000||ADT^A01^ADT_A01|PAS000000001|P|2.4\r\
         EVN|A01|20260701120000|||CLERK1^Example^Clerk^^^Ms|20260701115500\r\
         PID|1||1000001^^^RXX01^MR~9990000018^^^NHS^NH||EXAMPLE^ANN^MARY^^MRS^^L|MAIDEN^^^^^^M|19800229|2|||1 EXAMPLE ROAD^EXAMPLE PARK^EXAMPLETON^COUNTY^EX1 1AA^GBR^H||01632960001^PRN^PH~07700900001^PRS^CP|01632960002^WPN^PH|EN|M|C22||||||||||||N||01\r\
         PD1|||EXAMPLE SURGERY^^X99999|G9999999^EXAMPLE^GP^^^DR\r\
         NK1|1|EXAMPLE^BOB^^^MR|SPOUSE|1 EXAMPLE ROAD^^EXAMPLETON^^EX1 1AA|01632960001\r\
         PV1|1|I|W12^BAY2^BED4^RXX01|21|||C9999999^CONSULTANT^EXAMPLE^^^MR|||110||||19|||||V1000001^^^RXX01^VN|||||||||||||||||||||||||20260701115500\r\
         PV2|||^CHEST PAIN||||||20260705\r\
         AL1|1|DA|372687004^AMOXICILLIN^SCT|MO|RASH\r\
         ZU1|1|20260701|A1|02|11||||19||\r",
    )
}

/// A report of about 60 KB: 600 results.
fn report() -> Bytes {
    let mut text = String::from(
        "MSH|^~\\&|LIMS|RXX01|TIE|RXX|20260701120000||ORU^R01^ORU_R01|LIMS0000001|P|2.5.1\r\
         PID|1||1000001^^^RXX01^MR||EXAMPLE^ANN||19800229|F\rORC|RE|P1|F1\rOBR|1|P1|F1|FBC^FULL BLOOD COUNT\r",
    );
    let mut number = 1;
    while text.len() < 60 * 1024 {
        let line = format!(
            "OBX|{number}|NM|HB{number}^Haemoglobin^WINPATH||1{number}|g/L|115 - 165|N|||F|||20260701115500|LAB^Example\r"
        );
        text.push_str(&line);
        number += 1;
    }
    Bytes::from(text)
}

/// Thirty places that a script reads.
const PLACES: [&str; 30] = [
    "MSH-3",
    "MSH-4",
    "MSH-7",
    "MSH-9.1",
    "MSH-9.2",
    "MSH-10",
    "EVN-2",
    "EVN-6",
    "PID-3.1",
    "PID-3.4",
    "PID-3(2).1",
    "PID-5.1",
    "PID-5.2",
    "PID-7",
    "PID-8",
    "PID-11.1",
    "PID-11.3",
    "PID-11.5",
    "PID-13.1",
    "PID-15",
    "PID-16",
    "PID-31",
    "PD1-3.3",
    "PD1-4.1",
    "PV1-2",
    "PV1-3.1",
    "PV1-3.4",
    "PV1-7.1",
    "PV1-19.1",
    "PV1-44",
];

/// The best time of one run.
fn best(mut run: impl FnMut()) -> Duration {
    let mut times = (0..1000).map(|_| {
        let begun = Instant::now();
        (0..4).for_each(|_| run());
        begun.elapsed() / 4
    });
    let first = times.next().unwrap_or_default();
    times.fold(first, Duration::min)
}

fn main() -> ExitCode {
    let (adt, oru) = (admission(), report());
    let index = |bytes: &Bytes| {
        let message = Message::parse(black_box(bytes).clone(), &Reading::default());
        assert!(black_box(message).is_ok());
    };
    let theirs = |bytes: &Bytes| {
        let text = str::from_utf8(bytes).expect("ASCII");
        for line in black_box(text).split_terminator('\r') {
            assert!(black_box(parse_segment_with_separators(line, Separators::default())).is_ok());
        }
    };
    let message = Message::parse(adt.clone(), &Reading::default()).expect("readable");
    let places = PLACES.map(|place| place.parse::<Location>().expect("a place"));
    let thirty = || {
        for place in &places {
            assert!(black_box(message.text(black_box(place))).is_present(), "{place}");
        }
    };
    let (adt_time, oru_time) = (best(|| index(&adt)), best(|| index(&oru)));
    let (adt_theirs, oru_theirs) = (best(|| theirs(&adt)), best(|| theirs(&oru)));
    let micro = |time: Duration| time.as_secs_f64() * 1e6;
    let ratio = |ours: Duration, other: Duration| other.as_secs_f64() / ours.as_secs_f64();
    let header = best(|| assert!(black_box(Header::from_frame(black_box(&adt))).is_ok()));
    let cut = best(|| assert!(several(black_box(&oru)).is_none()));
    let rows = [
        (format!("index, ADT of {} bytes, µs", adt.len()), micro(adt_time), Some(2.5)),
        (format!("index, ORU of {} bytes, µs", oru.len()), micro(oru_time), Some(60.0)),
        ("read 30 fields, µs".to_owned(), micro(best(thirty)), Some(3.0)),
        ("header of the ADT, µs".to_owned(), micro(header), None),
        ("look for several in the ORU, µs".to_owned(), micro(cut), None),
        ("hl7-parser, the ADT, µs".to_owned(), micro(adt_theirs), None),
        ("hl7-parser, the ORU, µs".to_owned(), micro(oru_theirs), None),
    ];
    let mut well = true;
    for (name, found, promised) in rows {
        well &= promised.is_none_or(|promised| found < promised);
        let promised = promised.map(|promised| format!("below {promised}")).unwrap_or_default();
        println!("{name:<34} {found:>10.2}   {promised}");
    }
    for (name, ratio) in
        [("ADT", ratio(adt_time, adt_theirs)), ("ORU", ratio(oru_time, oru_theirs))]
    {
        well &= ratio >= 15.0;
        println!(
            "{:<34} {ratio:>10.1}   at least 15",
            format!("times faster than hl7-parser, {name}")
        );
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
