//! Alarms opened and closed: each is told once when it opens and once when it closes.
//!
//! Nothing of this is kept over a restart: what is still wrong then is opened again, so a page is
//! sent twice rather than never. A clock that jumps changes ages in texts, not what is open.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use metrics::gauge;
use tokio::sync::mpsc;

use crate::alarm::{Alarm, Kind, age};
use crate::alert_notice::{Notice, State};
use crate::alert_plan::OnAlertPlan;
use crate::alert_tell::{Told, tell};
use crate::event::Event;

/// Alarms that may wait to be told; telling takes 30 seconds at most for each.
const QUEUE: usize = 64;

/// The alarms that are open.
#[derive(Debug)]
pub struct Alerts {
    open: BTreeMap<(Kind, Option<String>), Open>,
    on_alert: Option<Arc<OnAlertPlan>>,
    telling: mpsc::Sender<Told>,
}

/// An alarm as it was when it opened.
#[derive(Debug)]
struct Open {
    alarm: Alarm,
    at: Timestamp,
}

impl Alerts {
    /// No alarm, and the task that tells `on_alert` of those that come. The task ends when the
    /// alerts are dropped and everything was told.
    pub fn new(on_alert: Option<OnAlertPlan>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (telling, told) = mpsc::channel(QUEUE);
        let alerts = Self { open: BTreeMap::new(), on_alert: on_alert.map(Arc::new), telling };
        (alerts, tell(told))
    }

    /// Tells another from now on, after a reload.
    pub fn retarget(&mut self, on_alert: Option<OnAlertPlan>) {
        self.on_alert = on_alert.map(Arc::new);
    }

    /// The open alarms, as they were when they opened.
    pub fn open(&self) -> impl Iterator<Item = &Alarm> {
        self.open.values().map(|open| &open.alarm)
    }

    /// Opens what is present and was not open, closes what was open and is not present, and tells
    /// of both. Never waits.
    pub fn settle(&mut self, present: Vec<Alarm>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.open);
        for alarm in present {
            let key = (alarm.kind, alarm.channel.clone());
            let open = before.remove(&key).unwrap_or_else(|| {
                Event::AlarmOpened { alarm: &alarm, now }.emit();
                show(&alarm, 1.0);
                self.tell(&alarm, State::Open, alarm.text(now));
                Open { alarm, at: now }
            });
            self.open.insert(key, open);
        }
        for Open { alarm, at } in before.into_values() {
            let after = age(at, now);
            Event::AlarmClosed { alarm: &alarm, after }.emit();
            show(&alarm, 0.0);
            self.tell(&alarm, State::Closed, format!("closed after {after}"));
        }
    }

    fn tell(&self, alarm: &Alarm, state: State, text: String) {
        let Some(on_alert) = &self.on_alert else { return };
        let notice = Notice::new(alarm, state, text);
        if self.telling.try_send((on_alert.clone(), notice)).is_err() {
            Event::AlertNotTold { kind: alarm.kind.name(), why: "too many wait to be told" }.emit();
        }
    }
}

fn show(alarm: &Alarm, value: f64) {
    let channel = alarm.channel.clone().unwrap_or_default();
    gauge!("tieline_alarms", "kind" => alarm.kind.name(), "channel" => channel).set(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::moment;
    use crate::alert_exec::tests::{lines_of, script};

    fn alarm(kind: Kind, channel: Option<&str>) -> Alarm {
        Alarm { kind, channel: channel.map(str::to_owned), since: moment(0), count: 2 }
    }

    #[tokio::test]
    async fn an_alarm_is_told_once_when_it_opens_and_once_when_it_closes() {
        let folder = tempfile::tempdir().expect("folder");
        let text = "echo \"$TIELINE_ALERT_KIND|$TIELINE_ALERT_CHANNEL|$TIELINE_ALERT_STATE|$TIELINE_ALERT_SINCE|$TIELINE_ALERT_TEXT\" >> \"$1\"";
        let (plan, out) = script(folder.path(), text);
        let (mut alerts, telling) = Alerts::new(Some(plan));
        let silence = alarm(Kind::Silence, Some("pas"));
        let disk = alarm(Kind::DiskLow, None);
        alerts.settle(vec![silence.clone()], moment(60_000));
        // Later the same alarm has another age: it is the same alarm.
        let later = Alarm { since: moment(5_000), ..silence };
        alerts.settle(vec![later.clone(), disk], moment(120_000));
        assert_eq!(alerts.open().count(), 2);
        alerts.settle(vec![later], moment(180_000));
        alerts.settle(Vec::new(), moment(240_000));
        assert_eq!(alerts.open().count(), 0);
        drop(alerts);
        telling.await;
        let since = "1970-01-01T00:00:00Z";
        let wanted = [
            format!(
                "silence|pas|open|{since}|pas has heard nothing for 1m: look at the sender and the network"
            ),
            format!(
                "disk-low||open|{since}|no room on disk: nothing more is acknowledged; free space on the data folder's disk"
            ),
            format!("disk-low||closed|{since}|closed after 1m"),
            format!("silence|pas|closed|{since}|closed after 3m"),
        ];
        assert_eq!(lines_of(&out), wanted);
    }

    #[tokio::test]
    async fn those_who_are_told_slowly_hold_nothing_up_and_miss_what_is_too_much() {
        let folder = tempfile::tempdir().expect("folder");
        let (plan, out) = script(folder.path(), "echo \"$TIELINE_ALERT_STATE\" >> \"$1\"");
        let (mut alerts, telling) = Alerts::new(Some(plan));
        for at in 0..i64::try_from(QUEUE).expect("small") {
            alerts.settle(vec![alarm(Kind::Held, Some("pas"))], moment(at));
            alerts.settle(Vec::new(), moment(at));
        }
        drop(alerts);
        telling.await;
        assert_eq!(lines_of(&out).len(), QUEUE);
    }

    #[tokio::test]
    async fn nobody_is_told_unless_somebody_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let (plan, out) = script(folder.path(), "echo \"$TIELINE_ALERT_STATE\" >> \"$1\"");
        let (mut alerts, telling) = Alerts::new(None);
        alerts.settle(vec![alarm(Kind::Held, Some("pas"))], moment(0));
        alerts.retarget(Some(plan));
        alerts.settle(Vec::new(), moment(0));
        drop(alerts);
        telling.await;
        assert_eq!(lines_of(&out), ["closed"]);
    }
}
