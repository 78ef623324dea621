//! A delivery by the engine as channels.yaml describes it.

use std::time::Duration;

use record::mns;
use record::notification::Shape;

use crate::config::secret::Revealed;
use crate::routes::Subscription;

/// To whom, what, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPlan {
    /// Which events.
    pub subscription: Subscription,
    /// Where to; it may be a secret.
    pub url: Revealed,
    /// Names and values.
    pub headers: Vec<(String, Revealed)>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What is sent.
    pub form: Form,
    /// Whether an event that is refused for good is left out; else nothing passes it.
    pub skips_refused: bool,
}

/// What is sent for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its own bytes.
    CloudEvents,
    /// A signal of the Multicast Notification Service.
    Mns(Box<mns::Rules>),
    /// A FHIR R4 subscription notification.
    Notification(Box<Shape>),
}
