//! An event in the form that its subscriber takes.

use bytes::Bytes;
use record::mns::{self, Omitted};
use record::notification;
use serde_json::Value;

use crate::delivery_plan::Form;

impl Form {
    /// The bytes to send; why there are none.
    pub(crate) fn body(&self, event: &Bytes) -> Result<Bytes, Omitted> {
        let made = match self {
            Self::CloudEvents => return Ok(event.clone()),
            Self::Mns(rules) => mns::signal(&read(event)?, rules)?,
            Self::Notification(shape) => notification::notification(&read(event)?, shape)?,
        };
        serde_json::to_vec(&made).map(Bytes::from).map_err(|_| Omitted::Unreadable)
    }

    /// What they are.
    pub(crate) fn content_type(&self) -> &'static str {
        match self {
            Self::CloudEvents | Self::Mns(_) => "application/cloudevents+json",
            Self::Notification(_) => "application/fhir+json",
        }
    }
}

fn read(event: &Bytes) -> Result<Value, Omitted> {
    serde_json::from_slice(event).map_err(|_| Omitted::Unreadable)
}
