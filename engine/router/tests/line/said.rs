//! What messages say, as far as identity is concerned, and how that is written in HL7.

use bytes::Bytes;

use crate::line::bench::accepted;

/// An identifier: a hospital number, or an NHS Number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    Local(u64),
    Number(usize),
}

/// What one message says, as far as identity is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Of a source that teaches.
    State {
        local: u64,
        number: Option<usize>,
    },
    /// Of one that does not.
    Result {
        local: Option<u64>,
        number: Option<usize>,
    },
    Merge {
        survivor: u64,
        retired: u64,
    },
    Move {
        to: u64,
        number: Option<usize>,
        from: u64,
    },
    /// A hospital number goes to another patient.
    Hand {
        to: u64,
        number: Option<usize>,
        local: u64,
    },
    Change {
        local: u64,
        number: usize,
        gone: u64,
    },
    Withdraw {
        local: u64,
    },
    Unmerge {
        local: u64,
    },
}

/// What is said of protection and of dissent.
pub(crate) type Says = [Option<bool>; 2];

/// ZU8, which any source may send.
pub(crate) fn zu8([protected, dissent]: Says) -> String {
    let code = |said: Option<bool>, [yes, no]: [&'static str; 2]| match said {
        Some(true) => yes,
        Some(false) => no,
        None => "",
    };
    format!("ZU8|Z|{}|No|{}\r", code(dissent, ["2", "1"]), code(protected, ["1", "0"]))
}

/// PV1, which says the same of protection in its own field.
pub(crate) fn pv1(class: &str, place: &str, protected: Option<bool>, visit: &str) -> String {
    let code = match protected {
        Some(true) => "S",
        Some(false) => "N",
        None => "",
    };
    format!("PV1|1|{class}|{place}{}{code}|||{visit}\r", "|".repeat(13))
}

/// Valid numbers of the test range.
pub(crate) const NUMBERS: [&str; 6] =
    ["9990000018", "9990000026", "9990000034", "9990000042", "9990000050", "9990000069"];

pub(crate) fn local(person: u64) -> String {
    format!("77{person:06}^^^RXX01^MR")
}

/// The `nth` message, as intake keeps it; `whom` it is about where the step does not say.
pub(crate) fn message(nth: u64, step: Step, kind: &str, whom: u64, rest: &str) -> Bytes {
    let (channel, code, system) = match kind {
        "R01" => ("pathology-oru", "ORU", "LIMS"),
        _ => ("pas-adt", "ADT", "PAS"),
    };
    let (person, number) = match step {
        Step::State { local, number }
        | Step::Move { to: local, number, .. }
        | Step::Hand { to: local, number, .. } => (Some(local), number),
        Step::Result { local, number } => (local, number),
        Step::Change { local, number, .. } => (Some(local), Some(number)),
        _ => (Some(whom), None),
    };
    let number = match step {
        Step::Withdraw { .. } => Some("\"\"^^^NHS^NH".to_owned()),
        _ => number.map(|number| format!("{}^^^NHS^NH", NUMBERS[number])),
    };
    let list: Vec<String> = number.into_iter().chain(person.map(local)).collect();
    let control = format!("M{nth}-x");
    let text = format!(
        "MSH|^~\\&|{system}|RXX01|R|R|20260115101500||{code}^{kind}|{control}|P|2.4\r\
         EVN||20260115101500||||20260115101000\r\
         PID|1||{}||EXAMPLE^ALEX||19800229|1{}NSTS01\r{rest}",
        list.join("~"),
        "|".repeat(24)
    );
    accepted(channel, &format!("{code}^{kind}"), &control, &text)
}
