//! Who is told when something needs a person, and when that is.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::measure::Period;
use crate::config::secret::{HttpUrl, Secret, SecretUrl};

/// Who is told when something needs a person, and when that is. Each alarm is one line in the log
/// when it opens and one when it closes, whether anybody else is told or not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// What is done when an alarm opens and again when it closes. It is told the kind of the alarm,
    /// the channel and the time, and never anything of a message.
    pub on_alert: Option<OnAlert>,
    /// When a parked message has waited too long for a decision.
    pub held: HeldAlarm,
    /// When a message has waited too long to be delivered.
    pub pending: PendingAlarm,
}

/// What is done when an alarm opens or closes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum OnAlert {
    /// A program and its arguments, started without a shell and given 30 seconds. A program with a
    /// `/` in it is relative to this file's folder, any other is looked for in `PATH`. The alarm
    /// stands in `TIELINE_ALERT_KIND`, `TIELINE_ALERT_CHANNEL`, `TIELINE_ALERT_STATE` (`open` or
    /// `closed`), `TIELINE_ALERT_SINCE` and `TIELINE_ALERT_TEXT`.
    Exec(Vec<String>),
    /// An HTTP POST of `{"kind", "channel", "state", "since", "text"}` as JSON.
    Webhook(Webhook),
}

/// An HTTP POST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://host/path` or `http://...` with no password in it, or as a whole by reference:
    /// `{ env: NAME }`, `{ file: path }`, `{ credential: name }`.
    pub url: SecretUrl<HttpUrl>,
    /// A header to send with it, such as `Authorization`.
    pub header: Option<Header>,
}

/// A header whose value is a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Where its value is to be found: `Bearer ...`, for example, as a whole.
    pub value: Secret,
}

/// When a parked message has waited too long for a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeldAlarm {
    /// After this long the alarm `held` is raised.
    pub after: Period,
    /// After this long the alarm `held-result` is raised, if a result is among what is parked or
    /// waits behind it.
    pub with_results: Period,
}

/// When a message has waited too long to be delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PendingAlarm {
    /// After this long the alarm `pending-old` is raised. What waits behind a parked message does
    /// not count.
    pub after: Period,
}

impl Default for HeldAlarm {
    fn default() -> Self {
        HeldAlarm {
            after: Period(Duration::from_mins(15)),
            with_results: Period(Duration::from_mins(5)),
        }
    }
}

impl Default for PendingAlarm {
    fn default() -> Self {
        PendingAlarm { after: Period(Duration::from_mins(5)) }
    }
}
