//! What needs a person, decided from facts alone: no clock, no state, no side effect.
//!
//! An alarm is made of a kind, a channel's name, a time and a count. It has no room for anything of
//! a message.

use jiff::{SignedDuration, Timestamp};

use crate::alert_plan::AlertsPlan;
use crate::config::measure::Period;
use crate::silence::ExpectPlan;

/// How long the broker may be away before somebody is told.
const BROKER: SignedDuration = SignedDuration::from_mins(1);
/// How far the archive may lag before somebody is told.
const ARCHIVE: SignedDuration = SignedDuration::from_mins(5);

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A feed is not heard from.
    Silence,
    /// A parked message waits too long for a decision.
    Held,
    /// So does one that a result waits for, or that is one.
    HeldResult,
    /// A message that nothing holds back is not delivered.
    PendingOld,
    /// There is no room to accept messages.
    DiskLow,
    /// The broker cannot be reached.
    BrokerDown,
    /// Events have no queue to go to.
    Unroutable,
    /// A part of the journal fails its checksum.
    JournalDamage,
    /// The archive lags.
    ArchiveBehind,
    /// A subscriber to whom the engine delivers cannot be reached.
    NotDelivered,
    /// It refuses an event, and nothing passes that.
    DeliveryRefused,
    /// What a subscriber may have ends soon, or has ended.
    EntitlementEnding,
}

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: Kind,
    /// Where, if it concerns one channel or one subscriber.
    pub channel: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// How many messages, events or places; 0 where nothing is counted.
    pub count: u64,
}

/// What there is to know of a running engine.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// Each channel of the configuration in force.
    pub channels: Vec<ChannelFacts<'a>>,
    /// Since when the broker cannot be reached.
    pub broker_down_since: Option<Timestamp>,
    /// Events that wait because no queue took them.
    pub unroutable: u64,
    /// Whether the disk is too full to accept messages.
    pub intake_closed: bool,
    /// Places in the journal that fail their checksum.
    pub damaged: u64,
    /// When the oldest message was received that the archive does not show yet.
    pub unarchived_since: Option<Timestamp>,
    /// Subscribers who do not take what the engine delivers.
    pub deliveries: Vec<DeliveryFacts<'a>>,
    /// Entitlements that end soon or have ended.
    pub entitlements: Vec<EntitlementFacts<'a>>,
}

/// A subscriber who does not take the event in hand.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryFacts<'a> {
    /// Its name.
    pub subscriber: &'a str,
    /// Since when it is tried.
    pub since: Timestamp,
    /// Whether it was refused for good.
    pub refused: bool,
}

/// A subscriber whose entitlement needs a person.
#[derive(Clone, Copy, Debug)]
pub struct EntitlementFacts<'a> {
    /// Its name.
    pub subscriber: &'a str,
    /// When the first of them ends or ended.
    pub until: Timestamp,
}

/// What there is to know of one channel.
#[derive(Clone, Debug, Default)]
pub struct ChannelFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// When its silence is a fault.
    pub expect: Option<&'a ExpectPlan>,
    /// Since when it takes messages: its activation or last resume. Absent while it is paused.
    pub listening_since: Option<Timestamp>,
    /// When it last accepted a message.
    pub last_received: Option<Timestamp>,
    /// Messages that are parked.
    pub parked: u64,
    /// When the oldest of them was parked.
    pub oldest_parked: Option<Timestamp>,
    /// The same among those that are results or have one waiting behind them.
    pub oldest_parked_result: Option<Timestamp>,
    /// When the oldest message was received that waits for delivery and not behind a parked one.
    pub oldest_pending: Option<Timestamp>,
}

/// A moment in milliseconds since 1970, as entries of the journal have it.
pub fn moment(milliseconds: i64) -> Timestamp {
    let end = if milliseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(milliseconds).unwrap_or(end)
}

/// Everything that needs a person now. At most one alarm of a kind for each channel.
pub fn alarms(facts: &Facts<'_>, plan: &AlertsPlan, now: Timestamp) -> Vec<Alarm> {
    let mut found = Vec::new();
    for channel in &facts.channels {
        // What was not listened for is no silence.
        found.extend(silence(channel, now).filter(|_| !facts.intake_closed));
        found.extend(overdue(channel, plan, now));
    }
    let mut add = |kind, since: Option<Timestamp>, count| {
        found.extend(since.map(|since| Alarm { kind, channel: None, since, count }));
    };
    let since_now = |so: bool| so.then_some(now);
    add(Kind::DiskLow, since_now(facts.intake_closed), 0);
    let down = facts.broker_down_since.filter(|since| now.duration_since(*since) > BROKER);
    add(Kind::BrokerDown, down, 0);
    add(Kind::Unroutable, since_now(facts.unroutable > 0), facts.unroutable);
    add(Kind::JournalDamage, since_now(facts.damaged > 0), facts.damaged);
    let behind = facts.unarchived_since.filter(|since| now.duration_since(*since) > ARCHIVE);
    add(Kind::ArchiveBehind, behind, 0);
    found.extend(subscribers(facts, now));
    found
}

fn subscribers<'f>(facts: &'f Facts<'_>, now: Timestamp) -> impl Iterator<Item = Alarm> + 'f {
    let alarm =
        |kind, name: &str, since| Alarm { kind, channel: Some(name.to_owned()), since, count: 0 };
    let away =
        move |one: &&DeliveryFacts<'_>| one.refused || now.duration_since(one.since) > BROKER;
    let deliveries = facts.deliveries.iter().filter(away).map(move |one| {
        let kind = if one.refused { Kind::DeliveryRefused } else { Kind::NotDelivered };
        alarm(kind, one.subscriber, one.since)
    });
    // Its time is that of the end: the alarm is told once, and its age is how long ago that was.
    let ending = facts
        .entitlements
        .iter()
        .map(move |one| alarm(Kind::EntitlementEnding, one.subscriber, one.until));
    deliveries.chain(ending)
}

fn silence(channel: &ChannelFacts<'_>, now: Timestamp) -> Option<Alarm> {
    let expect = channel.expect?;
    let since = expect.silent_since(channel.last_received, channel.listening_since?, now)?;
    Some(Alarm { kind: Kind::Silence, channel: Some(channel.name.to_owned()), since, count: 0 })
}

/// What has waited too long on a channel, for a decision or for delivery.
fn overdue(
    channel: &ChannelFacts<'_>,
    plan: &AlertsPlan,
    now: Timestamp,
) -> impl Iterator<Item = Alarm> {
    let waits = [
        (Kind::Held, channel.oldest_parked, plan.held, channel.parked),
        (Kind::HeldResult, channel.oldest_parked_result, plan.held_result, 0),
        (Kind::PendingOld, channel.oldest_pending, plan.pending, 0),
    ];
    waits.into_iter().filter_map(move |(kind, since, patience, count)| {
        let since = since?;
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        (now.duration_since(since) >= patience).then(|| Alarm {
            kind,
            channel: Some(channel.name.to_owned()),
            since,
            count,
        })
    })
}

impl Kind {
    /// As it stands in logs, metrics and what is told to others.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Held => "held",
            Self::HeldResult => "held-result",
            Self::PendingOld => "pending-old",
            Self::DiskLow => "disk-low",
            Self::BrokerDown => "broker-down",
            Self::Unroutable => "unroutable",
            Self::JournalDamage => "journal-damage",
            Self::ArchiveBehind => "archive-behind",
            Self::NotDelivered => "not-delivered",
            Self::DeliveryRefused => "delivery-refused",
            Self::EntitlementEnding => "entitlement-ending",
        }
    }
}

impl Alarm {
    /// What is wrong and what to do, in one line.
    pub fn text(&self, now: Timestamp) -> String {
        let Self { kind, channel, since, count } = self;
        let age = age(*since, now);
        let channel = channel.as_deref().unwrap_or("the engine");
        match kind {
            Kind::Silence => {
                format!("{channel} has heard nothing for {age}: look at the sender and the network")
            }
            Kind::Held => format!(
                "{channel} has {count} parked, the oldest for {age}: decide with tieline parked"
            ),
            Kind::HeldResult => format!(
                "{channel}: a result waits for {age} on a parked message: decide with tieline parked"
            ),
            Kind::PendingOld => format!(
                "{channel}: a message has waited {age} to be delivered: look at tieline status"
            ),
            Kind::DiskLow => {
                "no room on disk: nothing more is acknowledged; free space on the data folder's disk"
                    .to_owned()
            }
            Kind::BrokerDown => {
                format!("the broker has been away for {age}: events wait on disk")
            }
            Kind::Unroutable => {
                format!("{count} events have no queue to go to: look at the broker's bindings")
            }
            Kind::JournalDamage => {
                format!("{count} parts of the journal are damaged: restore them from a backup")
            }
            Kind::ArchiveBehind => format!("the archive is {age} behind: searches miss the latest"),
            Kind::NotDelivered => {
                format!("{channel} has taken nothing for {age}: its events wait on disk")
            }
            Kind::DeliveryRefused => format!(
                "{channel} refuses an event for {age} and gets nothing behind it: look at tieline status"
            ),
            Kind::EntitlementEnding if *since > now => format!(
                "{channel}: an entitlement ends in {}: have it approved anew or let it end",
                self::age(now, *since)
            ),
            Kind::EntitlementEnding => format!(
                "{channel}: an entitlement ended {age} ago: it gets no such events; approve it anew or take it out"
            ),
        }
    }
}

/// How long, as precisely as anybody wants to know.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> Period {
    let seconds = u64::try_from(now.duration_since(since).as_secs()).unwrap_or_default();
    let unit = match seconds {
        0..60 => 1,
        60..86_400 => 60,
        _ => 3600,
    };
    Period(std::time::Duration::from_secs(seconds - seconds % unit))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;

    fn plan() -> AlertsPlan {
        AlertsPlan {
            on_alert: None,
            held: Duration::from_mins(15),
            held_result: Duration::from_mins(5),
            pending: Duration::from_mins(5),
        }
    }

    fn minutes(minutes: i64) -> Timestamp {
        moment(1_780_000_000_000 + minutes * 60_000)
    }

    fn kinds(facts: &Facts<'_>, now: i64) -> Vec<&'static str> {
        let found = alarms(facts, &plan(), minutes(now));
        found.into_iter().map(|alarm| alarm.kind.name()).collect()
    }

    #[test]
    fn nothing_wrong_is_no_alarm() {
        let facts = Facts { channels: vec![ChannelFacts::default()], ..Facts::default() };
        assert_eq!(kinds(&facts, 0), [""; 0]);
    }

    #[test]
    fn what_is_held_waits_fifteen_minutes_and_five_with_a_result() {
        let channel = ChannelFacts {
            name: "pas",
            parked: 3,
            oldest_parked: Some(minutes(0)),
            oldest_parked_result: Some(minutes(1)),
            ..ChannelFacts::default()
        };
        let facts = Facts { channels: vec![channel], ..Facts::default() };
        assert_eq!(kinds(&facts, 5), [""; 0]);
        assert_eq!(kinds(&facts, 6), ["held-result"]);
        assert_eq!(kinds(&facts, 15), ["held", "held-result"]);
        let found = alarms(&facts, &plan(), minutes(20));
        let text = found[0].text(minutes(20));
        assert_eq!(text, "pas has 3 parked, the oldest for 20m: decide with tieline parked");
    }

    #[test]
    fn a_message_that_nothing_holds_is_delivered_in_time() {
        let channel = ChannelFacts { oldest_pending: Some(minutes(0)), ..ChannelFacts::default() };
        let facts = Facts { channels: vec![channel], ..Facts::default() };
        assert_eq!(kinds(&facts, 4), [""; 0]);
        assert_eq!(kinds(&facts, 5), ["pending-old"]);
    }

    #[test]
    fn silence_is_heard_only_by_who_listens() {
        let expect = ExpectPlan {
            every: Duration::from_mins(30),
            between: None,
            days: Vec::new(),
            zone: TimeZone::UTC,
        };
        let channel = ChannelFacts {
            name: "pas",
            expect: Some(&expect),
            listening_since: Some(minutes(0)),
            ..ChannelFacts::default()
        };
        let facts = Facts { channels: vec![channel.clone()], ..Facts::default() };
        assert_eq!(kinds(&facts, 29), [""; 0]);
        assert_eq!(kinds(&facts, 30), ["silence"]);
        assert_eq!(kinds(&Facts { intake_closed: true, ..facts }, 30), ["disk-low"]);
        let paused = ChannelFacts { listening_since: None, ..channel };
        assert_eq!(kinds(&Facts { channels: vec![paused], ..Facts::default() }, 30), [""; 0]);
    }

    #[test]
    fn the_engine_has_alarms_of_its_own() {
        let facts = Facts {
            broker_down_since: Some(minutes(0)),
            unarchived_since: Some(minutes(0)),
            unroutable: 2,
            damaged: 1,
            intake_closed: true,
            ..Facts::default()
        };
        assert_eq!(kinds(&facts, 1), ["disk-low", "unroutable", "journal-damage"]);
        let all = ["disk-low", "broker-down", "unroutable", "journal-damage", "archive-behind"];
        assert_eq!(kinds(&facts, 6), all);
    }

    #[test]
    fn a_subscriber_that_is_away_or_refuses_or_loses_its_entitlement_is_told_of() {
        let delivery = |refused| DeliveryFacts { subscriber: "hub", since: minutes(0), refused };
        let of = |refused| Facts { deliveries: vec![delivery(refused)], ..Facts::default() };
        assert_eq!(kinds(&of(false), 1), [""; 0]);
        assert_eq!(kinds(&of(false), 2), ["not-delivered"]);
        assert_eq!(kinds(&of(true), 0), ["delivery-refused"]);
        let ending = EntitlementFacts { subscriber: "hub", until: minutes(60 * 24 * 20) };
        let facts = Facts { entitlements: vec![ending], ..Facts::default() };
        let text = |now: i64| alarms(&facts, &plan(), minutes(now))[0].text(minutes(now));
        assert!(text(0).starts_with("hub: an entitlement ends in 20d"), "{}", text(0));
        assert!(text(60 * 24 * 21).starts_with("hub: an entitlement ended 1d ago"));
    }

    #[test]
    fn an_age_is_as_precise_as_it_is_short() {
        let after = |seconds: i64| age(moment(0), moment(seconds * 1000)).to_string();
        assert_eq!(after(59), "59s");
        assert_eq!(after(3_725), "1h2m");
        assert_eq!(after(90_060), "1d1h");
        assert_eq!(after(-5), "0s");
    }
}
