//! Alarms as channels.yaml describes them: when they are raised and who is told.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::secret::Revealed;

/// When alarms are raised and who is told.
#[derive(Clone, Debug)]
pub struct AlertsPlan {
    /// What is done when one opens or closes, beside its line in the log.
    pub on_alert: Option<OnAlertPlan>,
    /// How long a parked message may wait for a decision.
    pub held: Duration,
    /// The same where a result is parked or waits behind it.
    pub held_result: Duration,
    /// How long a message that nothing holds back may wait to be delivered.
    pub pending: Duration,
}

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnAlertPlan {
    /// A program, started without a shell.
    Exec {
        /// A path that opens from where the engine was started, or a name to look for in `PATH`.
        program: PathBuf,
        /// As they stand.
        arguments: Vec<String>,
    },
    /// An HTTP POST.
    Webhook {
        /// Where to.
        url: Revealed,
        /// Name and value.
        header: Option<(String, Revealed)>,
    },
}
