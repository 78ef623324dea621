//! How long loading and looking up takes, and what a patient at hand costs:
//! `cargo bench -p identity -- 5000000` for that many patients (300,000 without a number).
//!
//! The last column is what is promised; a run that misses it fails. The numbers are of the range
//! that begins with 9, which is for tests, since 999 alone has too few.
#![expect(clippy::print_stdout, reason = "a measurement talks to its user")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hl7::message::{Message, Reading};
use identity::index::{Index, Origin, Settings};
use identity::load::Load;
use identity::rules::{Merges, Rules};
use identity::stated::Stated;
use record::identity::Identity;
use record::nhs_number::NhsNumber;
use record::source::{LocalAuthority, Source};
use tempfile::TempDir;

/// As many as are looked up in one round.
const ASKED: usize = 20_000;

fn main() -> ExitCode {
    let patients = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(300_000);
    let mut bench = Bench { missed: false };
    let folder = TempDir::new().expect("a folder");
    let loaded = load(folder.path(), patients);
    let per_million = loaded.mul_f64(1e6 / f64::from(patients));
    println!("{patients} patients loaded in {loaded:.1?}");
    bench.row("load, a million patients", per_million, Duration::from_secs(200));
    bench.lookups(folder.path(), patients);
    bench.memory(folder.path(), patients);
    bench.decisions(folder.path(), patients);
    if bench.missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

struct Bench {
    missed: bool,
}

impl Bench {
    fn row(&mut self, what: &str, took: Duration, promised: Duration) {
        let missed = took > promised;
        self.missed |= missed;
        let mark = if missed { "  MISSED" } else { "" };
        println!("{what:<44} {took:>10.2?}   below {promised:?}{mark}");
    }

    /// The mean of one look-up by the hospital number, at hand and from disk.
    fn lookups(&mut self, folder: &std::path::Path, patients: u32) {
        let asked = asked(patients, ASKED);
        let cached = open(folder, 4 * ASKED);
        let look = || {
            each(&asked, |_, stated| {
                black_box(cached.resolve(stated).expect("asked").len());
            })
        };
        look();
        let found = look();
        self.row("look-up, at hand", found, Duration::from_micros(3));
        drop(cached);
        let bare = open(folder, 8);
        let found = each(&asked, |_, stated| {
            assert_eq!(bare.resolve(stated).expect("asked").len(), 1);
        });
        self.row("look-up, from disk", found, Duration::from_micros(50));
    }

    /// All that Rust allocates for patients at hand, the tables included.
    fn memory(&mut self, folder: &std::path::Path, patients: u32) {
        let held = (patients as usize).min(100_000);
        let asked = asked(u32::try_from(held).expect("a small number"), held);
        let mut kept = None;
        let used = allocation_counter::measure(|| {
            let index = open(folder, held);
            for stated in &asked {
                black_box(index.resolve(stated).expect("asked").len());
            }
            kept = Some(index);
        });
        let cached = kept.expect("opened").figures().expect("counted").cached;
        let bytes = u64::try_from(used.bytes_current).expect("more than none") / cached as u64;
        self.missed |= bytes >= 200;
        println!("{:<44} {bytes:>8} B   below 200 B ({cached} held)", "memory, a patient at hand");
    }

    /// Reading a full message and deciding about it.
    fn decisions(&mut self, folder: &std::path::Path, patients: u32) {
        let index = open(folder, 4 * ASKED);
        let rules = Rules {
            source: "pas",
            teaches: true,
            merges: Merges::Automatic,
            may_lower_sensitivity: false,
            resolution: None,
        };
        let source = source();
        let messages: Vec<Message> =
            numbers(patients, ASKED).map(|(at, number)| message(at, Some(number))).collect();
        let decide = |at: usize, message: &Message| {
            let identity = Identity::read(message, &source).expect("one patient");
            let stated = Stated::read(message, &source, &identity);
            let decision = index.decide(at as u64 + 1, 0, &stated, &rules).expect("decided");
            assert!(decision.number.is_some() && decision.parked.is_none());
        };
        each(&messages, decide);
        let found = each(&messages, decide);
        self.row("identifiers, statement and decision", found, Duration::from_micros(40));
    }
}

/// The time of one, in the median of many rounds of fifty: others on the machine do not count.
fn each<T>(all: &[T], mut one: impl FnMut(usize, &T)) -> Duration {
    let mut times = Vec::new();
    for (round, fifty) in all.chunks_exact(50).enumerate() {
        let started = Instant::now();
        fifty.iter().enumerate().for_each(|(at, item)| one(round * 50 + at, item));
        times.push(started.elapsed() / 50);
    }
    times.sort_unstable();
    times[times.len() / 2]
}

fn open(folder: &std::path::Path, cached: usize) -> Index {
    Index::open(folder, Settings { cached }).expect("an index").index
}

fn source() -> Source {
    let mut source = Source::new("pas", "RXX");
    source.nhs_number.test_data = true;
    let kind = |authority: &str, kind: &str, default| LocalAuthority {
        authority: authority.to_owned(),
        kind: kind.to_owned(),
        default,
    };
    source.local = vec![kind("RXX01", "MR", true)];
    source
}

/// Loads as an engine does: applied batch by batch, flushed now and then.
fn load(folder: &std::path::Path, patients: u32) -> Duration {
    let index = open(folder, 1_000);
    let started = Instant::now();
    let mut load =
        Load::csv(Csv { next: 0, patients, line: header(), at: 0 }, source()).expect("a header");
    while let Some(batch) = load.next_batch(&index).expect("a batch") {
        // What a journal would be given.
        black_box(serde_json::to_vec(&batch.facts).expect("JSON").len());
        let origin = Origin { at_ms: 0, source: "pas", message_id: batch.token, actor: None };
        let position = u128::from(batch.token).to_le_bytes();
        index.apply(position, &origin, &batch.facts).expect("applied");
        index.reached(position);
        if index.unflushed() >= 50_000 {
            index.flush().expect("flushed");
        }
    }
    index.flush().expect("flushed");
    let took = started.elapsed();
    assert_eq!(load.report().taken, u64::from(patients), "{:?}", load.report().codes);
    let started = Instant::now();
    index.snapshot(2).expect("copied");
    println!("copied and proven in {:.1?}", started.elapsed());
    took
}

fn header() -> Vec<u8> {
    b"authority,type,local_id,nhs_number,status,family,given,birth_date,sex\n".to_vec()
}

/// A file of so many patients that is made while it is read, in no order of numbers.
struct Csv {
    next: u32,
    patients: u32,
    line: Vec<u8>,
    at: usize,
}

impl std::io::Read for Csv {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.line.len() {
            if self.next == self.patients {
                return Ok(0);
            }
            let (at, number) = (self.next, number(shuffled(self.next, self.patients)));
            let mut line = String::new();
            let (family, given) = (name(at, 7), name(at, 11));
            let born = format!("19{:02}{:02}{:02}", at % 90 + 10, at % 12 + 1, at % 28 + 1);
            writeln!(line, "RXX01,MR,{},{number},01,{family},{given},{born},1", local(at)).ok();
            (self.line, self.at, self.next) = (line.into_bytes(), 0, self.next + 1);
        }
        let taken = into.len().min(self.line.len() - self.at);
        into[..taken].copy_from_slice(&self.line[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// A name of five to nine letters.
fn name(at: u32, salt: u32) -> String {
    let mut seed = at.wrapping_mul(2_654_435_761).wrapping_add(salt);
    let length = 5 + seed % 5;
    let letter = |_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'A' + u8::try_from(seed >> 24).unwrap_or(0) % 26)
    };
    (0..length).map(letter).collect()
}

fn local(at: u32) -> String {
    format!("{:07}", u64::from(at) * 7 % 10_000_000)
}

/// Each of `0..of` once, in no order, for any `of` that this prime does not divide.
fn shuffled(at: u32, of: u32) -> u32 {
    u32::try_from(u64::from(at) * 7_368_787 % u64::from(of)).unwrap_or(0)
}

/// A valid number for each position.
fn number(at: u32) -> NhsNumber {
    let valid = |base: u64| (0..10).find_map(|check| NhsNumber::from_u64(base * 10 + check));
    // One base in eleven has no check digit; twenty apart there is always one.
    (900_000_000 + u64::from(at) * 20..).find_map(valid).expect("a number")
}

fn numbers(patients: u32, count: usize) -> impl Iterator<Item = (u32, NhsNumber)> {
    let step = (patients / u32::try_from(count).unwrap_or(1)).max(1);
    let all = (0..patients).step_by(step as usize).take(count);
    all.map(move |at| (at, number(shuffled(at, patients))))
}

fn message(at: u32, number: Option<NhsNumber>) -> Message {
    let number = number.map(|number| format!("~{number}^^^NHS^NH")).unwrap_or_default();
    let (family, given) = (name(at, 7), name(at, 11));
    let born = format!("19{:02}{:02}{:02}", at % 90 + 10, at % 12 + 1, at % 28 + 1);
    let text = format!(
        "MSH|^~\\&|PAS|RXX01|TIE|RXX|20260701120000||ADT^A01^ADT_A01|1|P|2.4\r\
         EVN|A01|20260701120000\r\
         PID|1||{}^^^RXX01^MR{number}||{family}^{given}^^^MRS^^L||{born}|2|||1 EXAMPLE ROAD^EXAMPLE PARK^EXAMPLETON^COUNTY^EX1 1AA^GBR^H||01632960001^PRN^PH~07700900001^PRS^CP|||||||||||||||||||01\r\
         PD1|||EXAMPLE SURGERY^^X99999|G9999999^EXAMPLE^GP^^^DR\r\
         PV1|1|I|W12^BAY2^BED4^RXX01|21|||||||110||||19|||||V1000001^^^RXX01^VN\r",
        local(at)
    );
    Message::parse(text.into_bytes(), &Reading::default()).expect("a message")
}

/// By the hospital number alone.
fn asked(patients: u32, count: usize) -> Vec<Stated> {
    let source = source();
    let stated = |(at, _)| {
        let message = message(at, None);
        let identity = Identity::read(&message, &source).expect("one patient");
        Stated::read(&message, &source, &identity)
    };
    numbers(patients, count).map(stated).collect()
}
