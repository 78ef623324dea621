//! What a peer can do wrong on purpose, and to which frames: chosen by a seed, so that a run can be
//! repeated.

use std::ffi::OsStr;

use anyhow::{Result, ensure};
use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, ValueEnum};
use fastrand::Rng;

/// One way to be a bad peer. What a kind does to a frame, it does to a message that is sent and to an
/// answer alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Misbehaviour {
    /// The answer comes after `--late`, behind those to later messages
    LateAck,
    /// The answer names the message before in MSA-2
    WrongControlId,
    /// There is no answer
    NoAck,
    /// The connection is closed in the middle of the frame
    HalfFrame,
    /// Each byte of the frame goes in a packet of its own
    ByteAtATime,
    /// The frame ends with CR alone, without 0x1C
    NoEndByte,
    /// The message goes in one packet with the next one; the answer goes twice in one
    TwoFrames,
    /// The connection is reset: by a sender behind its message, by a receiver instead of its answer
    Reset,
    /// The frame has the control id (MSH-10) of the one before
    DuplicateControlId,
    /// MSH-7 is up to a year ahead or behind
    ClockSkew,
    /// MSH-18 says UTF-8 and the bytes are Windows-1252, with at least one that is not UTF-8
    WrongCharset,
}

impl Misbehaviour {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LateAck => "late-ack",
            Self::WrongControlId => "wrong-control-id",
            Self::NoAck => "no-ack",
            Self::HalfFrame => "half-frame",
            Self::ByteAtATime => "byte-at-a-time",
            Self::NoEndByte => "no-end-byte",
            Self::TwoFrames => "two-frames",
            Self::Reset => "reset",
            Self::DuplicateControlId => "duplicate-control-id",
            Self::ClockSkew => "clock-skew",
            Self::WrongCharset => "wrong-charset",
        }
    }

    /// Whether only who answers can do this.
    fn is_of_answers(self) -> bool {
        matches!(self, Self::LateAck | Self::WrongControlId | Self::NoAck)
    }
}

/// A kind as it was typed, `no-ack` or `no-ack:1%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wanted {
    kind: Misbehaviour,
    /// Of all frames, from 0 to 1; a part of what the others leave when it was not typed.
    share: Option<f64>,
}

/// Reads what was typed; knows the kinds of its side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kinds {
    OfSenders,
    OfReceivers,
}

impl Kinds {
    fn all(self) -> impl Iterator<Item = Misbehaviour> {
        let fits =
            move |kind: &Misbehaviour| matches!(self, Self::OfReceivers) || !kind.is_of_answers();
        Misbehaviour::value_variants().iter().copied().filter(fits)
    }

    fn read(self, text: &str) -> Result<Wanted, String> {
        let (name, share) = match text.split_once(':') {
            None => (text, None),
            Some((name, share)) => (name, Some(percentage(share)?)),
        };
        if let Some(kind) = self.all().find(|kind| kind.name() == name) {
            return Ok(Wanted { kind, share });
        }
        let side = if matches!(self, Self::OfSenders) { "sender" } else { "receiver" };
        let known: Vec<&str> = self.all().map(Misbehaviour::name).collect();
        Err(format!("no {side} does `{name}`: write one of {}", known.join(", ")))
    }
}

fn percentage(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    match number {
        Some(number) if (0.0..=100.0).contains(&number) => Ok(number / 100.0),
        _ => Err(format!("`{text}` is no share: write 0% to 100%, as in no-ack:1%")),
    }
}

impl TypedValueParser for Kinds {
    type Value = Wanted;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Wanted, clap::Error> {
        self.read(&value.to_string_lossy()).map_err(|why| {
            let error = format!("--misbehave: {why}\n");
            clap::Error::raw(ErrorKind::ValueValidation, error).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.all().filter_map(|kind| kind.to_possible_value())))
    }
}

/// Which frames are misbehaved with, and how. At most one kind strikes a frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manners {
    seed: u64,
    /// The upper end of each kind's part of 0 to 1, rising.
    parts: Vec<(Misbehaviour, f64)>,
}

impl Manners {
    pub(crate) fn new(wanted: &[Wanted], seed: u64) -> Result<Self> {
        let said: f64 = wanted.iter().filter_map(|one| one.share).sum();
        ensure!(said <= 1.0 + f64::EPSILON, "--misbehave: the shares are more than 100% together");
        let unsaid = wanted.iter().filter(|one| one.share.is_none()).count();
        #[expect(clippy::cast_precision_loss, reason = "there are eleven kinds")]
        let rest = (1.0 - said).max(0.0) / unsaid.max(1) as f64;
        let mut upper = 0.0;
        let parts = wanted.iter().map(|one| {
            upper += one.share.unwrap_or(rest);
            (one.kind, upper)
        });
        Ok(Self { seed, parts: parts.collect() })
    }

    /// What strikes the n-th frame of this run.
    pub(crate) fn of(&self, number: u64) -> Option<Misbehaviour> {
        // Sums of shares miss 100% by a rounding; what is drawn is at most 1 - 2^-53.
        let drawn = self.random(number).f64() * (1.0 - 1e-12);
        self.parts.iter().find(|(_, upper)| drawn < *upper).map(|(kind, _)| *kind)
    }

    /// The chance that belongs to the n-th frame, whatever the order in which frames are met.
    pub(crate) fn random(&self, number: u64) -> Rng {
        let mut of_frame = Rng::with_seed(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Rng::with_seed(of_frame.u64(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manners(typed: &[&str]) -> Result<Manners> {
        let wanted: Vec<Wanted> =
            typed.iter().map(|text| Kinds::OfReceivers.read(text).expect("a kind")).collect();
        Manners::new(&wanted, 7)
    }

    fn struck(manners: &Manners, kind: Misbehaviour) -> usize {
        (0..10_000).filter(|&number| manners.of(number) == Some(kind)).count()
    }

    #[test]
    fn a_name_is_what_is_typed() {
        for kind in Misbehaviour::value_variants() {
            assert_eq!(Misbehaviour::from_str(kind.name(), false), Ok(*kind));
        }
    }

    #[test]
    fn a_kind_alone_strikes_every_frame_and_shares_strike_theirs() {
        assert_eq!(struck(&manners(&["no-ack"]).unwrap(), Misbehaviour::NoAck), 10_000);
        let some = manners(&["no-ack:1%", "late-ack:10%"]).unwrap();
        assert!((60..140).contains(&struck(&some, Misbehaviour::NoAck)));
        assert!((900..1100).contains(&struck(&some, Misbehaviour::LateAck)));
        let rest = manners(&["no-ack:50%", "reset", "half-frame"]).unwrap();
        assert!((2300..2700).contains(&struck(&rest, Misbehaviour::Reset)));
        assert!((0..10_000).all(|number| rest.of(number).is_some()));
        assert!((0..100).all(|number| Manners::default().of(number).is_none()));
    }

    #[test]
    fn the_seed_alone_decides() {
        let kinds = |seed| {
            let wanted = [Wanted { kind: Misbehaviour::Reset, share: Some(0.5) }];
            let manners = Manners::new(&wanted, seed).unwrap();
            (0..100).map(|number| manners.of(number).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(kinds(1), kinds(1));
        assert_ne!(kinds(1), kinds(2));
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        assert!(manners(&["no-ack:60%", "reset:60%"]).is_err());
        let read = |text: &str| Kinds::OfSenders.read(text).unwrap_err();
        assert!(read("late-ack").contains("write one of half-frame, byte-at-a-time"));
        assert!(read("reset:10").contains("write 0% to 100%"));
        assert!(read("reset:101%").contains("write 0% to 100%"));
    }
}
