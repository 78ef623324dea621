//! What a parked message holds back, and what a message has to wait for.
//!
//! What waits depends on the class of the reason: what one script could not do concerns its channel,
//! what is unclear about the person concerns every channel, and what is odd about the message alone
//! concerns nobody else.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::channel::{OnError, Order};
use crate::hold::HoldKey;
use crate::order::OrderKey;
use crate::plan::ChannelPlan;

/// Who waits behind a parked message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nobody: unknown trigger, no identifier, too large, refused again and again.
    Nobody,
    /// Later messages of the same channel for the same patient: script, limit, table, structure,
    /// publish, and whatever a script names itself.
    Channel,
    /// Later messages of every channel for the same patient: identity, merge, sensitivity.
    Everywhere,
}

/// The scope of a reason code.
pub fn scope(reason: &str) -> Scope {
    match reason.split('.').next().unwrap_or_default() {
        _ if reason == "identity.none" => Scope::Nobody,
        "trigger" | "too-large" | "refused" => Scope::Nobody,
        "identity" | "merge" | "move" | "sensitivity" => Scope::Everywhere,
        _ => Scope::Channel,
    }
}

/// Whether a person is to decide who is right about the patient of a message parked for this.
pub fn is_conflict(reason: &str) -> bool {
    scope(reason) == Scope::Everywhere
}

/// What a message of `channel` holds back while it is parked for `reason`. `channel` is absent when
/// channels.yaml no longer names it: then the patients wait as they would by default. One that
/// `withholds` says what nobody has learned, and everything of its patients waits in any case.
pub(crate) fn holds(
    channel: Option<&ChannelPlan>,
    name: &str,
    reason: &str,
    patients: &[OrderKey],
    withholds: bool,
) -> Vec<HoldKey> {
    let on_error = channel.map_or(OnError::HoldPatient, |channel| channel.on_error);
    let ordered = channel.is_none_or(|channel| channel.order != Order::None);
    let name: Arc<str> = name.into();
    let mut holds: Vec<HoldKey> = match (scope(reason), on_error) {
        (Scope::Nobody, _) if withholds => return everywhere(patients),
        (Scope::Nobody, _) => return Vec::new(),
        (Scope::Everywhere, _) => everywhere(patients),
        _ if withholds => everywhere(patients),
        (Scope::Channel, OnError::HoldPatient) if ordered => {
            let own = |patient: &OrderKey| HoldKey::ChannelPatient(name.clone(), patient.clone());
            patients.iter().map(own).collect()
        }
        (Scope::Channel, _) => Vec::new(),
    };
    if on_error == OnError::StopChannel {
        holds.push(HoldKey::Channel(name));
    }
    holds
}

/// What paused channels hold back.
pub(crate) fn paused(channels: &BTreeSet<String>) -> Vec<HoldKey> {
    channels.iter().map(|channel| HoldKey::Channel(channel.as_str().into())).collect()
}

/// What a message has to wait for.
#[derive(Debug)]
pub(crate) struct Waits {
    /// Held as well by whatever waits: later messages of the channel must not pass it.
    pub(crate) own: Vec<HoldKey>,
    /// Waited for when somebody holds them.
    pub(crate) others: Vec<HoldKey>,
}

/// What a message of `channel` about `patients` has to wait for; `several` if these are not only
/// several names of one.
pub(crate) fn waits(channel: &ChannelPlan, patients: &[OrderKey], several: bool) -> Waits {
    let name: Arc<str> = channel.name.as_str().into();
    let mut own: Vec<HoldKey> = match channel.order {
        Order::None => Vec::new(),
        Order::Patient | Order::Channel => patients
            .iter()
            .map(|patient| HoldKey::ChannelPatient(name.clone(), patient.clone()))
            .collect(),
    };
    if several {
        // What is about several patients is waited for by all of theirs, while it waits for one.
        own.extend(everywhere(patients));
    }
    let mut others = everywhere(patients);
    others.push(HoldKey::Channel(name));
    Waits { own, others }
}

/// What holds back everything of these patients: also while an event of theirs finds no queue.
pub(crate) fn everywhere(patients: &[OrderKey]) -> Vec<HoldKey> {
    patients.iter().map(|patient| HoldKey::Patient(patient.clone())).collect()
}

/// The key that all messages of a channel hold, if they all run in order. Those of one patient do
/// in any case: what a message makes known of its patient is known to the next.
pub(crate) fn channel_key(channel: &ChannelPlan) -> Option<OrderKey> {
    let ordered = channel.order == Order::Channel;
    ordered.then(|| OrderKey::from(format!("channel:{}", channel.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_the_reason_says_who_waits() {
        for (reason, expected) in [
            ("script.error", Scope::Channel),
            ("limit.operations", Scope::Channel),
            ("table.miss", Scope::Channel),
            ("structure", Scope::Channel),
            ("publish.too-large", Scope::Channel),
            ("overloaded", Scope::Channel),
            ("what-a-script-calls-it", Scope::Channel),
            ("identity.two-numbers", Scope::Everywhere),
            ("merge.approval", Scope::Everywhere),
            ("move.approval", Scope::Everywhere),
            ("sensitivity.conflict", Scope::Everywhere),
            ("identity.none", Scope::Nobody),
            ("trigger.unknown", Scope::Nobody),
            ("too-large", Scope::Nobody),
            ("refused.sender", Scope::Nobody),
        ] {
            assert_eq!(scope(reason), expected, "{reason}");
        }
    }

    #[test]
    fn whom_a_removed_channel_parked_still_waits() {
        let patient = OrderKey::from("local:1");
        let holds = holds(None, "pas", "channel.unknown", std::slice::from_ref(&patient), false);
        assert_eq!(holds, [HoldKey::ChannelPatient("pas".into(), patient)]);
    }

    #[test]
    fn whatever_says_what_nobody_has_learned_holds_its_patient_everywhere() {
        let patient = OrderKey::from("local:1");
        for reason in ["trigger.unknown", "identity.none", "internal", "identity.two-numbers"] {
            let holds = holds(None, "pas", reason, std::slice::from_ref(&patient), true);
            assert_eq!(holds, [HoldKey::Patient(patient.clone())], "{reason}");
        }
    }
}
