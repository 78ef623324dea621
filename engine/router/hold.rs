//! What a parked message holds back: the key of a chain of held messages.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// What a parked or retrying message occupies. How much is held depends on why it is parked.
///
/// Written into the journal, so its form is stable: `{"p":"patient"}`, `{"cp":["channel","patient"]}`,
/// `{"c":"channel"}`. Only compared, never taken apart; `Debug` does not show the patient.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum HoldKey {
    /// One patient on all channels.
    Patient(Arc<str>),
    /// One patient on one channel: the channel's name, then the patient.
    ChannelPatient(Arc<str>, Arc<str>),
    /// Everything of one channel.
    Channel(Arc<str>),
}

impl fmt::Debug for HoldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HoldKey::Patient(_) => f.write_str("Patient(_)"),
            HoldKey::ChannelPatient(channel, _) => write!(f, "ChannelPatient({channel}, _)"),
            HoldKey::Channel(channel) => write!(f, "Channel({channel})"),
        }
    }
}

/// The form in the journal. A disk format: never rename, only add.
#[derive(Serialize, Deserialize)]
enum Written {
    #[serde(rename = "p")]
    Patient(String),
    #[serde(rename = "cp")]
    ChannelPatient(String, String),
    #[serde(rename = "c")]
    Channel(String),
}

impl From<Written> for HoldKey {
    fn from(written: Written) -> Self {
        match written {
            Written::Patient(patient) => HoldKey::Patient(patient.into()),
            Written::ChannelPatient(channel, patient) => {
                HoldKey::ChannelPatient(channel.into(), patient.into())
            }
            Written::Channel(channel) => HoldKey::Channel(channel.into()),
        }
    }
}

impl From<HoldKey> for Written {
    fn from(key: HoldKey) -> Self {
        match key {
            HoldKey::Patient(patient) => Written::Patient(patient.as_ref().to_owned()),
            HoldKey::ChannelPatient(channel, patient) => {
                Written::ChannelPatient(channel.as_ref().to_owned(), patient.as_ref().to_owned())
            }
            HoldKey::Channel(channel) => Written::Channel(channel.as_ref().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_stays_and_debug_hides_the_patient() {
        let keys = [
            (HoldKey::Patient("n^secret".into()), r#"{"p":"n^secret"}"#, "Patient(_)"),
            (
                HoldKey::ChannelPatient("adt".into(), "n^secret".into()),
                r#"{"cp":["adt","n^secret"]}"#,
                "ChannelPatient(adt, _)",
            ),
            (HoldKey::Channel("adt".into()), r#"{"c":"adt"}"#, "Channel(adt)"),
        ];
        for (key, written, shown) in keys {
            assert_eq!(serde_json::to_string(&key).expect("plain data"), written);
            assert_eq!(serde_json::from_str::<HoldKey>(written).expect("as written"), key);
            assert_eq!(format!("{key:?}"), shown);
        }
    }
}
