//! What others are told of an alarm: nothing of a message.

use jiff::Timestamp;
use serde::Serialize;

use crate::alarm::Alarm;

/// One notice, as JSON or in variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Notice {
    /// The kind of the alarm.
    pub(crate) kind: &'static str,
    /// The channel it concerns.
    pub(crate) channel: Option<String>,
    /// Whether it opened or closed.
    pub(crate) state: State,
    /// Since when, in whole seconds of UTC.
    pub(crate) since: String,
    /// What is wrong and what to do, in one line.
    pub(crate) text: String,
}

/// Whether an alarm opened or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Open,
    Closed,
}

impl Notice {
    pub(crate) fn new(alarm: &Alarm, state: State, text: String) -> Self {
        let whole = Timestamp::from_second(alarm.since.as_second()).unwrap_or(alarm.since);
        Self {
            kind: alarm.kind.name(),
            channel: alarm.channel.clone(),
            state,
            since: whole.to_string(),
            text,
        }
    }
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn notice(text: &str) -> Notice {
        Notice {
            kind: "held",
            channel: Some("pas".to_owned()),
            state: State::Open,
            since: "2026-02-02T10:00:00Z".to_owned(),
            text: text.to_owned(),
        }
    }
}
