//! What watches over a line, checked: duplicates, silence, and who is told.

use std::time::Duration;

use crate::config::alerts::{OnAlert, Webhook};
use crate::config::channel::{Channel, Duplicates};
use crate::config::check::Check;
use crate::config::measure::{Hours, Period};

impl Check<'_> {
    pub(super) fn duplicates(&mut self, name: &str, channel: &Channel) {
        let Duplicates { window, ignore } = &channel.duplicates;
        if window.0 > Duplicates::LONGEST {
            let place = self.said(name, "duplicates.window");
            let message = format!("{window} is more than a window of 7d, the longest there is");
            self.error(place, message, "write 7d or less");
        }
        if window.0.is_zero() && !ignore.is_empty() {
            let place = self.said(name, "duplicates.ignore");
            let message = "without a window no message is compared with another";
            self.warning(place, message, "take it out, or give `window` a length");
        }
    }

    pub(super) fn expect(&mut self, name: &str, channel: &Channel) {
        let Some(expect) = &channel.expect else { return };
        let place = self.said(name, "expect.every");
        if expect.every.0.is_zero() {
            self.error(place, "no feed sends all the time", "write the longest silence, as in 30m");
        } else if let Some(hours) = expect.between.filter(|hours| expect.every.0 >= length(*hours))
        {
            let message = format!("a silence of {} never ends within {hours}", expect.every);
            self.error(place, message, "write a shorter silence or longer hours");
        }
        for (at, day) in (1..).zip(&expect.days) {
            if expect.days[..at - 1].contains(day) {
                let place = self.said(name, &format!("expect.days.{at}"));
                self.warning(place, "the day is said twice", "take one of them out");
            }
        }
    }

    pub(super) fn alerts(&mut self) {
        let alerts = &self.config.alerts;
        let periods = [
            ("held", "after", alerts.held.after, "15m"),
            ("held", "with_results", alerts.held.with_results, "5m"),
            ("pending", "after", alerts.pending.after, "5m"),
        ];
        for (part, key, period, usual) in periods {
            if period < Period(Duration::from_secs(1)) {
                let place = self.at(&["alerts", part, key]);
                let message = "an alarm after less than a second is always open";
                self.error(place, message, format!("write {usual}, or take it out"));
            }
        }
        match &alerts.on_alert {
            Some(OnAlert::Exec(words)) if words.first().is_none_or(String::is_empty) => {
                let place = self.at(&["alerts", "on_alert", "exec"]);
                let help = "write [program, argument], as in [/usr/local/bin/page, integration]";
                self.error(place, "there is no program to start", help);
            }
            Some(OnAlert::Webhook(webhook)) => self.header(webhook),
            Some(OnAlert::Exec(_)) | None => {}
        }
    }

    fn header(&mut self, webhook: &Webhook) {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let Some(header) = &webhook.header else { return };
        if header.name.is_empty() || !header.name.bytes().all(token) {
            let place = self.at(&["alerts", "on_alert", "webhook", "header", "name"]);
            let message = format!("`{}` cannot name a header", header.name);
            self.error(place, message, "write one such as Authorization");
        }
    }
}

/// How long the hours last on an ordinary day.
fn length(hours: Hours) -> Duration {
    let minutes = |at: jiff::civil::Time| {
        u64::from(at.hour().unsigned_abs()) * 60 + u64::from(at.minute().unsigned_abs())
    };
    let (from, to) = (minutes(hours.from), minutes(hours.to));
    Duration::from_mins(if from < to { to - from } else { to + 24 * 60 - from })
}

#[cfg(test)]
mod tests {
    use crate::config::load::tests::{FEED, problems};

    /// What is said of a channel with this in it.
    fn with(more: &str) -> Vec<String> {
        problems(&FEED.replace("transform:", &format!("{more}, transform:")))
    }

    fn alerts(text: &str) -> Vec<String> {
        problems(&format!("alerts: {text}\n{FEED}"))
    }

    #[test]
    fn every_way_to_order_to_fail_and_to_expect_is_taken() {
        for order in ["patient", "channel", "none"] {
            for on_error in ["hold-patient", "park-only", "stop-channel"] {
                assert_eq!(with(&format!("order: {order}, on_error: {on_error}")), [""; 0]);
            }
        }
        let expect = "expect: { every: 30m, between: \"07:00-22:00\", days: [mon, sun] }";
        assert_eq!(with(expect), [""; 0]);
        assert_eq!(with("duplicates: { window: 0s }"), [""; 0]);
        assert_eq!(with("duplicates: { ignore: [MSH-7, MSH-13] }"), [""; 0]);
        let found = with("order: patients");
        assert!(found[0].contains("did you mean `patient`?"), "{found:?}");
        let found = with("expect: { every: 30m, days: [monday] }");
        assert!(found[0].contains("`monday` is not known here"), "{found:?}");
    }

    #[test]
    fn a_window_has_an_end_and_a_copy_keeps_its_name() {
        let found = with("duplicates: { window: 8d }");
        assert!(found[0].contains("8d is more than a window of 7d"), "{found:?}");
        let found = with("duplicates: { window: 0s, ignore: [MSH-7] }");
        assert!(found[0].contains("without a window"), "{found:?}");
        let found = with("duplicates: { ignore: [MSH-7, MSH-10, PID-3] }");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`MSH-10` says which message it is"), "{found:?}");
        assert!(found[1].contains("`PID-3` is not a place in MSH"), "{found:?}");
    }

    #[test]
    fn a_silence_fits_in_its_hours() {
        let found = with("expect: { every: 15h, between: \"07:00-22:00\" }");
        assert!(found[0].contains("a silence of 15h never ends within 07:00-22:00"), "{found:?}");
        assert_eq!(with("expect: { every: 7h, between: \"22:00-06:00\" }"), [""; 0]);
        let found = with("expect: { every: 0s }");
        assert!(found[0].contains("no feed sends all the time"), "{found:?}");
        let found = with("expect: { between: \"07:00-22:00\" }");
        assert!(found[0].contains("`expect` has no `every`"), "{found:?}");
        let found = with("expect: { every: 1h, days: [mon, tue, mon] }");
        assert!(found[0].contains("said twice"), "{found:?}");
    }

    #[test]
    fn an_alarm_goes_to_a_program_or_an_address_and_quotes_no_secret() {
        assert_eq!(alerts("{ on_alert: { exec: [./page, --team, tie] } }"), [""; 0]);
        let hook = "{ on_alert: { webhook: { url: https://alerts/x, header: { name: Authorization, value: { env: X } } } } }";
        assert_eq!(alerts(hook), [""; 0]);
        let secret = hook.replace("https://alerts/x", "{ file: hook }");
        assert_eq!(alerts(&secret), [""; 0]);
        let found = alerts(&hook.replace("{ env: X }", "hunter2"));
        assert!(found[0].contains("must not stand in the configuration"), "{found:?}");
        assert!(!found.concat().contains("hunter2"));
        let found = alerts(&hook.replace("https://", "https://u:hunter2@"));
        assert!(!found.is_empty() && !found.concat().contains("hunter2"), "{found:?}");
        let found = alerts(&hook.replace("Authorization", "\"a b\""));
        assert!(found[0].contains("`a b` cannot name a header"), "{found:?}");
        let found = alerts("{ on_alert: { exec: [] } }");
        assert!(found[0].contains("no program to start"), "{found:?}");
        let found = alerts("{ on_alert: { mail: x } }");
        assert!(found[0].contains("`exec`, `webhook`"), "{found:?}");
    }

    #[test]
    fn an_alarm_needs_time() {
        let found = alerts("{ held: { after: 0s }, pending: { after: 10ms } }");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("always open [write 15m"), "{found:?}");
    }
}
