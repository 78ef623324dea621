//! Looks at the engine every few seconds for what needs a person, and raises and closes alarms.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::alarm::{self, ChannelFacts, DeliveryFacts, EntitlementFacts, Facts, moment};
use crate::alert::Alerts;
use crate::entitlement;
use crate::handle::Handle;
use crate::ledger::{Ledger, Paused};

/// How often.
const PERIOD: Duration = Duration::from_secs(5);

/// Watches until stopped. Alarms that were open before a restart are raised again.
pub(crate) async fn watch(engine: Handle, mut alerts: Alerts, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut since = Since::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let asked = engine.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let now = Timestamp::now();
            let alarms = since.look(&asked, now);
            (since, alarms, now)
        });
        let Ok((kept, alarms, now)) = looked.await else { return };
        since = kept;
        alerts.retarget(engine.on_alert());
        alerts.settle(alarms, now);
    }
}

/// What began when, as far as this process saw it.
#[derive(Debug, Default)]
struct Since {
    broker_down: Option<Timestamp>,
    intake_open: Option<Timestamp>,
    /// Since when a channel's intake is not paused.
    listening: BTreeMap<String, Timestamp>,
}

impl Since {
    fn look(&mut self, engine: &Handle, now: Timestamp) -> Vec<alarm::Alarm> {
        let seen = engine.watched();
        let plan = &seen.plan;
        self.broker_down =
            if seen.broker_connected { None } else { self.broker_down.or(Some(now)) };
        self.intake_open = if seen.intake_open { self.intake_open.or(Some(now)) } else { None };
        let mut parked = parked(&seen.ledger, &|id| engine.behind(id), seen.moving.held_results);
        self.listening.retain(|name, _| plan.channels.contains_key(name));
        let mut channels = Vec::new();
        for (name, channel) in &plan.channels {
            let paused = seen.ledger.paused.get(name).is_some_and(|Paused { intake, .. }| *intake);
            if paused {
                self.listening.remove(name);
            } else {
                self.listening.entry(name.clone()).or_insert(now);
            }
            let since = self.listening.get(name).copied().max(self.intake_open);
            let last = seen.ledger.channels.get(name).map(|book| book.total.last_received);
            let parked = parked.remove(name.as_str()).unwrap_or_default();
            channels.push(ChannelFacts {
                name,
                expect: channel.expect.as_ref(),
                listening_since: since.filter(|_| !paused),
                last_received: last.filter(|last| *last > 0).map(moment),
                parked: parked.count,
                oldest_parked: parked.oldest.map(moment),
                oldest_parked_result: parked.oldest_result.map(moment),
                oldest_pending: seen.moving.oldest.get(name).copied().map(moment),
            });
        }
        let subscriptions = plan.routes.subscriptions.iter();
        let facts = Facts {
            channels,
            entitlements: subscriptions
                .filter_map(|one| {
                    let ending = entitlement::ending(&one.entitlements, now)?;
                    Some(EntitlementFacts { subscriber: &one.name, until: ending.until })
                })
                .collect(),
            deliveries: seen
                .deliveries
                .iter()
                .filter_map(|one| {
                    let (subscriber, refused) = (one.subscriber.as_str(), one.refused);
                    Some(DeliveryFacts { subscriber, since: one.failing?, refused })
                })
                .collect(),
            broker_down_since: self.broker_down,
            unroutable: seen.unroutable,
            intake_closed: !seen.intake_open,
            damaged: seen.damage,
            unarchived_since: seen
                .archive_lag
                .map(|lag| moment(now.as_millisecond().saturating_sub(lag))),
        };
        alarm::alarms(&facts, &plan.alerts, now)
    }
}

/// What is parked on one channel.
#[derive(Debug, Default)]
struct Parked {
    count: u64,
    oldest: Option<i64>,
    /// Of those that are results, or that may hold one back.
    oldest_result: Option<i64>,
}

fn parked<'a>(
    ledger: &'a Ledger,
    behind: &dyn Fn(u64) -> u64,
    held_results: u64,
) -> BTreeMap<&'a str, Parked> {
    let mut all: BTreeMap<&str, Parked> = BTreeMap::new();
    let older = |known: &mut Option<i64>, since: i64| {
        *known = Some(known.map_or(since, |known| known.min(since)));
    };
    for (id, open) in ledger.parked() {
        let parked = all.entry(&open.channel).or_default();
        parked.count += 1;
        older(&mut parked.oldest, open.since);
        if open.result || (held_results > 0 && behind(id) > 0) {
            older(&mut parked.oldest_result, open.since);
        }
    }
    all
}
