//! What one message costs one core from its bytes to its events' bytes: `cargo bench -p router`.
//!
//! Each row is the median of many rounds; the last column is what is promised on a quiet machine of
//! today. The first row is the reading of the same message alone: on a slow or busy machine, compare
//! the others with it.
#![expect(clippy::print_stdout, reason = "a measurement talks to its user")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hl7::message::{Message, Reading};
use identity::index::{Index, Origin, Settings};
use router::config::load;
use router::config::overrides::Overrides;
use router::facts::Facts;
use router::plan::{ChannelPlan, Plan};
use router::process::process;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages in one round.
const ROUND: usize = 20;

/// A rich admission: person, practice, next of kin, stay, diagnosis. About 1 KB.
const ADMISSION: &str = "MSH|^~\\&|PAS|RXX01|ROUTE|ROUTE|20260115102100||ADT^A01^ADT_A01|B1|P|2.4|||||GBR|UNICODE|EN\r\
    EVN||20260115102030|||40718^Marlowe^Denise^^^Mrs^^RXX01|20260115101500\r\
    PID|1||9995260182^^^NHS^NH~4410233^^^RXX01^MR||LLEWELYN-PRICE^SIAN^ANGHARAD^^MRS^^L||19410308|2|||4 PENGELLY RISE^^ABERWICK^CAERFORD^QX3 4TD^GBR^H||01632960114^PRN^PH||cy|W||||||A||||||||||NSTS01\r\
    PD1|||ABERWICK MEDICAL CENTRE^^X99101|G9999018^Achterberg^Helen^^^Dr^^^GMC\r\
    NK1|1|PRICE^CERYS^^^MS^^L|15||07700900271^PRN^CP\r\
    PV1|1|I|RXX^W05^B3^RXX01|2A|||C9999104^Bellweather^Rhona^^^Miss^^^GMC||C9999104^Bellweather^Rhona^^^Miss^^^GMC|110||||19|||||IP2510201^^^RXX01^VN|||||||||||||||||||||||||202601151015\r\
    PV2|||^Fall at home, hip pain\r\
    ZU8||1|Yes|0\r";

fn main() -> ExitCode {
    // One row alone, for a profiler.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |row: &str| only.as_deref().is_none_or(|only| row.contains(only));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let loaded = load::load(&root.join("channels.yaml"), &Overrides::default());
    let loaded = loaded.map_err(|failure| failure.to_string()).expect("the sample configuration");
    let plan = Plan::assemble(&loaded).expect("the sample configuration");
    let folder = tempfile::tempdir().expect("a folder");
    let index = Index::open(folder.path(), Settings::default()).expect("an index").index;
    let admission = Bytes::from(ADMISSION);
    let result = Bytes::from(result(40));
    let mut missed = false;
    if wanted("reading") {
        let reading = Reading::default();
        let took = median(|| {
            black_box(Message::parse(admission.clone(), &reading).expect("a message"));
        });
        println!("{:<44} {took:>10.2?}", "reading of the admission alone");
    }
    let mut row = |what: &str, channel: &str, frame: &Bytes, promised: Option<Duration>| {
        if !wanted(what) {
            return;
        }
        let channel: &Arc<ChannelPlan> = &plan.channels[channel];
        let facts = Facts::new(2, jiff::Timestamp::now());
        let events = process(channel, frame.clone(), &facts, &index).events;
        let bytes: usize = events.iter().map(|event| event.body.len()).sum();
        let took = median(|| {
            black_box(process(channel, frame.clone(), &facts, &index).events.len());
        });
        let verdict = promised.map(|promised| {
            let mark = if took > promised { "MISSED " } else { "" };
            missed |= took > promised;
            format!("below {promised:?} {mark}")
        });
        let (verdict, events) = (verdict.unwrap_or_default(), events.len());
        println!("{what:<44} {took:>10.2?}   {verdict}({events} events, {bytes} B)");
    };
    // Her next of kin is news, too.
    row("admission of a patient nobody knew", "pas-adt", &admission, None);
    learn(&index, &plan.channels["pas-adt"], &admission);
    row("admission to its event", "pas-adt", &admission, Some(Duration::from_micros(60)));
    let promised = Some(Duration::from_micros(400));
    row("result of 40 lines to its event", "pathology-oru", &result, promised);
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Has the index learn what a message says of its patient.
fn learn(index: &Index, channel: &Arc<ChannelPlan>, frame: &Bytes) {
    let facts = Facts::new(1, jiff::Timestamp::now());
    let learned = process(channel, frame.clone(), &facts, index).learned;
    let at_ms = facts.recorded.as_millisecond();
    let origin = Origin { source: &channel.name, message_id: 1, at_ms, actor: None };
    index.apply([1; 16], &origin, &learned).expect("facts of an empty index");
}

/// A report of so many observations with units, ranges and flags.
fn result(lines: usize) -> String {
    let mut text = "MSH|^~\\&|LIMS|RXX01|ROUTE|ROUTE|20260115120000||ORU^R01^ORU_R01|B2|P|2.4\r\
        PID|1||9995260182^^^NHS^NH~4410233^^^RXX01^MR||LLEWELYN-PRICE^SIAN^^^MRS||19410308|2|||||||||||||||||||||||||NSTS01\r\
        PV1|1|I|RXX^W05^B3^RXX01\r\
        OBR|1|R1|F100|PROFILE^Admission profile^L|||20260115103000||||||||BLD^Blood|C9999104^Bellweather^Rhona^^^Miss^^^GMC||||||20260115115500||BS|F\r"
        .to_owned();
    for line in 1..=lines {
        let flag = if line % 5 == 0 { "H" } else { "" };
        write!(
            text,
            "OBX|{line}|NM|T{line:03}^Analyte {line}^L||{}.{}|mmol/L|3.5 - 5.3|{flag}|||F|||20260115114500\r",
            3 + line % 3,
            line % 10
        )
        .expect("a String takes everything");
    }
    text
}

/// The time of one, in the median of many rounds: others on the machine do not count.
fn median(mut one: impl FnMut()) -> Duration {
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..ROUND {
                one();
            }
            began.elapsed() / u32::try_from(ROUND).expect("a small number")
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}
