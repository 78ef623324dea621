//! The sequence number protocol (HL7 v2 chapter 2, "sequence number protocol"): MSH-13 and MSA-4.

/// What a receiver has to do with a message's sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// It has none, or what stands in MSH-13 is no such number: the protocol is not in use.
    Not,
    /// The message is taken.
    Accept {
        /// The last number that was accepted on this link from then on; none at its beginning.
        last: Option<u64>,
        /// MSA-4.
        expected: i64,
    },
    /// The message is out of sequence: an earlier one is missing, or was seen.
    Refuse {
        /// MSA-4: the number that is waited for.
        expected: i64,
    },
}

impl Numbered {
    /// Where the link stands once the message is taken; -1 at its beginning, none where the protocol
    /// is not in use.
    pub fn last(self) -> Option<i64> {
        match self {
            Self::Accept { last, .. } => {
                Some(last.map_or(-1, |last| i64::try_from(last).unwrap_or(i64::MAX)))
            }
            Self::Not | Self::Refuse { .. } => None,
        }
    }

    /// MSA-4, where the protocol is in use.
    pub fn expected(self) -> Option<i64> {
        match self {
            Self::Accept { expected, .. } | Self::Refuse { expected } => Some(expected),
            Self::Not => None,
        }
    }
}

/// Judges the number of a message, given the last number that was accepted on its link.
///
/// `0` asks where the link stands, `-1` begins it anew. The number behind the last is answered with
/// itself. The last one again means that its answer was lost: it is taken, as any message sent twice,
/// and answered with the next, so that the sender goes on. Where nothing was accepted yet, the
/// sender's first number is the beginning.
pub fn judge(last: Option<u64>, number: &str) -> Numbered {
    let next = |last: u64| i64::try_from(last).unwrap_or(i64::MAX).saturating_add(1);
    let Ok(number) = number.parse::<i64>() else { return Numbered::Not };
    match (number, last) {
        (-1, _) => Numbered::Accept { last: None, expected: -1 },
        (..-1, _) => Numbered::Not,
        (0, last) => Numbered::Accept { last, expected: last.map_or(-1, next) },
        (1.., None) => Numbered::Accept { last: Some(number.unsigned_abs()), expected: number },
        (1.., Some(last)) if number == next(last) => {
            Numbered::Accept { last: Some(number.unsigned_abs()), expected: number }
        }
        (1.., Some(last)) if number.unsigned_abs() == last => {
            Numbered::Accept { last: Some(last), expected: next(last) }
        }
        (1.., Some(last)) => Numbered::Refuse { expected: next(last) },
    }
}

#[cfg(test)]
mod tests {
    use super::{Numbered, judge};

    #[test]
    fn numbers_rise_by_one_and_a_link_can_begin_anew() {
        let accept = |last, expected| Numbered::Accept { last, expected };
        let table = [
            (None, "0", accept(None, -1)),
            (Some(41), "0", accept(Some(41), 42)),
            (None, "7", accept(Some(7), 7)),
            (Some(7), "8", accept(Some(8), 8)),
            (Some(7), "7", accept(Some(7), 8)),
            (Some(7), "9", Numbered::Refuse { expected: 8 }),
            (Some(7), "3", Numbered::Refuse { expected: 8 }),
            (Some(7), "-1", accept(None, -1)),
            (Some(7), "A05", Numbered::Not),
            (Some(7), "", Numbered::Not),
            (Some(7), "-2", Numbered::Not),
            (Some(u64::MAX), "1", Numbered::Refuse { expected: i64::MAX }),
        ];
        for (last, number, expected) in table {
            assert_eq!(judge(last, number), expected, "{number} behind {last:?}");
        }
    }
}
