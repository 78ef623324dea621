//! What the random traffic of `rebuilt.rs` says.

use bytes::Bytes;
use fastrand::Rng;

use crate::line::said::{NUMBERS, Says, Step, local, message, pv1, zu8};
use crate::line::who::Who;

pub(crate) const PEOPLE: u64 = 8;

/// What a message says, and the visit or report that its event tells of.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) step: Step,
    pub(crate) says: Says,
    pub(crate) thing: Option<String>,
}

/// The next message: an admission, a result, a merge, a move, or another number.
pub(crate) fn drawn(rng: &mut Rng, nth: u64, who: &Who) -> (Sent, Bytes) {
    let one = rng.u64(..PEOPLE);
    let other = (one + rng.u64(1..PEOPLE)) % PEOPLE;
    let number = (rng.u8(..3) == 0).then(|| rng.usize(..NUMBERS.len()));
    let visit = |of: u64, rng: &mut Rng| format!("V{of}x{}", rng.u8(..3));
    let said = |rng: &mut Rng| match rng.u8(..24) {
        0 => Some(true),
        1..4 => Some(false),
        _ => None,
    };
    let says = [said(rng), said(rng)];
    // Of protection PV1 or ZU8 tells.
    // PV1-16 N takes no flag of ZU8-4 back: only that one says here that protection is over.
    let in_pv1 = says[0].filter(|protects| *protects && rng.bool());
    let mut in_zu8 = if in_pv1.is_some() { [None, says[1]] } else { says };
    let (step, kind, rest, thing) = match rng.u8(..22) {
        0..3 => {
            in_zu8 = says;
            (Step::Merge { survivor: one, retired: other }, "A40", mrg(other, ""), None)
        }
        3..5 => {
            let thing = visit(other, rng);
            let rest = [mrg(other, &thing), pv1("I", "", in_pv1, &thing)].concat();
            (Step::Move { to: one, number, from: other }, "A45", rest, Some(thing))
        }
        5 | 6 if who.of_local(one).is_some() => {
            in_zu8 = says;
            let (gone, number) = (1_000 + nth, rng.usize(..NUMBERS.len()));
            (Step::Change { local: one, number, gone }, "A47", mrg(gone, ""), None)
        }
        7 => (Step::Withdraw { local: one }, "A31", pv1("N", "", in_pv1, ""), None),
        8..13 => {
            in_zu8 = says;
            let local = number.is_none_or(|_| rng.bool()).then_some(one);
            let rest = format!(
                "OBR|1||R{nth}^LIMS|CRP^C-reactive protein^LIMS|||202601150730|||||||\
                 202601151000|BLD^Blood|||||||202601151010||C|F\r\
                 OBX|1|NM|CRP^C-reactive protein^LIMS||5|mg/L|0-5||||F|||202601150730\r"
            );
            let thing = format!("LIMS/RXX01|R{nth}|CRP");
            (Step::Result { local, number }, "R01", rest, Some(thing))
        }
        13 | 14 => (Step::State { local: one, number }, "A31", pv1("N", "", in_pv1, ""), None),
        15 | 16 => {
            in_zu8 = says;
            (Step::Hand { to: one, number, local: other }, "A43", mrg(other, ""), None)
        }
        kind => {
            let thing = visit(one, rng);
            let rest = pv1("I", "^WARD1^BED2^RXX01", in_pv1, &thing);
            let kind = if kind < 20 { "A01" } else { "A02" };
            (Step::State { local: one, number }, kind, rest, Some(thing))
        }
    };
    let rest = if in_zu8 == [None; 2] { rest } else { [rest, zu8(in_zu8)].concat() };
    (Sent { step, says, thing }, message(nth, step, kind, one, &rest))
}

fn mrg(prior: u64, visit: &str) -> String {
    format!("MRG|{}||||{visit}\r", local(prior))
}
