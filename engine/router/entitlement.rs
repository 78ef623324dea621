//! What a subscriber may have besides ordinary events, and until when.

use jiff::{SignedDuration, Timestamp};
use record::marks::Marks;

/// How long before its end somebody is told of it.
pub const NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Events of one mark, until a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// The mark: one of them.
    pub mark: Marks,
    /// As channels.yaml calls it.
    pub sees: &'static str,
    /// From then on it is not in force.
    pub until: Timestamp,
}

/// The marks of events that may be had at a moment.
pub fn in_force(entitlements: &[Entitlement], now: Timestamp) -> Marks {
    let valid = entitlements.iter().filter(|entitlement| entitlement.until > now);
    valid.fold(Marks::NONE, |all, entitlement| all.and(entitlement.mark))
}

/// When the next of those in force ends.
pub fn next_end(entitlements: &[Entitlement], now: Timestamp) -> Option<Timestamp> {
    entitlements.iter().map(|entitlement| entitlement.until).filter(|until| *until > now).min()
}

/// The one that ends, or ended, first among those that somebody must be told of: a renewal of the
/// same kind that lasts longer makes up for it.
pub fn ending(entitlements: &[Entitlement], now: Timestamp) -> Option<&Entitlement> {
    let soon = |until: Timestamp| until.duration_since(now) <= NOTICE;
    let renewed = |one: &Entitlement| {
        entitlements.iter().any(|other| other.mark == one.mark && !soon(other.until))
    };
    let of_notice = entitlements.iter().filter(|one| soon(one.until) && !renewed(one));
    of_notice.min_by_key(|one| one.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTECTED: Marks = Marks { protected: true, ..Marks::NONE };
    const DISSENT: Marks = Marks { dissent: true, ..Marks::NONE };

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + day * 86_400).expect("a moment")
    }

    fn until(mark: Marks, at: i64) -> Entitlement {
        Entitlement { mark, sees: "x", until: day(at) }
    }

    #[test]
    fn an_entitlement_is_in_force_until_its_end_and_told_of_before() {
        let all = [until(PROTECTED, 10), until(DISSENT, 50)];
        assert_eq!(in_force(&all, day(9)), PROTECTED.and(DISSENT));
        assert_eq!(in_force(&all, day(10)), DISSENT);
        assert_eq!(next_end(&all, day(9)), Some(day(10)));
        assert_eq!(next_end(&all, day(10)), Some(day(50)));
        assert_eq!(ending(&all, day(-21)), None);
        assert_eq!(ending(&all, day(0)), Some(&all[0]));
        assert_eq!(ending(&all, day(11)), Some(&all[0]), "also once it is over");
        let renewed = [until(PROTECTED, 10), until(PROTECTED, 400)];
        assert_eq!(ending(&renewed, day(9)), None);
    }
}
