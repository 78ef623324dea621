//! A signal as the Multicast Notification Service delivers it: a FHIR R4 Bundle of type `history`
//! after HL7's Subscriptions R5 Backport, whose first entry says what happened.

use crate::name_based::name_based;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::mns::{self, Omitted, Rules};

/// What a notification is made by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What is signalled.
    pub signal: Rules,
    /// The address of the subscription that it answers.
    pub subscription: String,
    /// Whether the event's data comes with it, as what stands at `dataref`.
    pub hydrate: bool,
}

const STATUS: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4";

/// Ids of the Parameters are made from those of events.
const PARAMETERS: Uuid = Uuid::from_u128(0x6b7e_20d1_93c4_5f28_a1d0_7e4b_52c9_0f36);

/// The notification of an event, which is CloudEvents JSON as it left. The Bundle's id is the
/// event's, so that one sent again is known.
pub fn notification(event: &Value, shape: &Shape) -> Result<Value, Omitted> {
    let signal = mns::signal(event, &shape.signal)?;
    let text = |name: &str| signal[name].as_str();
    let id = text("id").unwrap_or_default();
    let own = name_based(&PARAMETERS, id.as_bytes()).to_string();
    let mut happened = vec![
        // The service fixes it: a notification holds one event.
        json!({ "name": "event-number", "valueString": "1" }),
        json!({ "name": "timestamp", "valueInstant": signal["time"] }),
    ];
    happened.extend(
        text("dataref").map(|at| json!({ "name": "focus", "valueReference": { "reference": at } })),
    );
    let context = json!([
        { "name": "event-type", "valueString": signal["type"] },
        { "name": "source", "valueUri": signal["source"] },
        { "name": "subject", "valueReference": { "identifier": { "value": signal["subject"] } } },
    ]);
    let parameters = json!({
        "resourceType": "Parameters",
        "meta": { "profile": [STATUS] },
        "id": own,
        "parameter": [
            { "name": "subscription", "valueReference": { "reference": shape.subscription } },
            { "name": "status", "valueCode": "active" },
            { "name": "type", "valueCode": "event-notification" },
            { "name": "notification-event", "part": happened },
            { "name": "additional-context", "part": context },
        ],
    });
    let mut entries = vec![json!({
        "fullUrl": format!("urn:uuid:{own}"),
        "resource": parameters,
        "request": { "method": "GET", "url": shape.subscription },
        "response": { "status": "200" },
    })];
    if let Some(at) = text("dataref").filter(|_| shape.hydrate) {
        entries.push(json!({
            "fullUrl": at,
            "resource": event["data"],
            "request": { "method": "GET", "url": at },
            "response": { "status": "200" },
        }));
    }
    Ok(json!({
        "resourceType": "Bundle",
        "id": id,
        "type": "history",
        "timestamp": signal["time"],
        "entry": entries,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mns::tests::{event, rules};

    fn shape(hydrate: bool) -> Shape {
        let signal =
            Rules { dataref: Some("https://example.nhs.uk/FHIR/R4/{id}".to_owned()), ..rules() };
        Shape { signal, subscription: "https://example.nhs.uk/subscriptions".to_owned(), hydrate }
    }

    #[test]
    fn a_notification_has_the_published_shape() {
        let made = notification(&event(), &shape(false)).expect("a notification");
        let own = made["entry"][0]["resource"]["id"].as_str().expect("an id").to_owned();
        let at = "https://example.nhs.uk/FHIR/R4/7b7a2c0e-6f0a-5a7e-9a53-0d1c2b3a4f50";
        let wanted = json!({
            "resourceType": "Bundle", "id": "7b7a2c0e-6f0a-5a7e-9a53-0d1c2b3a4f50",
            "type": "history", "timestamp": "2024-06-01T13:00:00Z",
            "entry": [{
                "fullUrl": format!("urn:uuid:{own}"),
                "resource": {
                    "resourceType": "Parameters", "meta": { "profile": [STATUS] }, "id": own,
                    "parameter": [
                        { "name": "subscription",
                          "valueReference": { "reference": "https://example.nhs.uk/subscriptions" } },
                        { "name": "status", "valueCode": "active" },
                        { "name": "type", "valueCode": "event-notification" },
                        { "name": "notification-event", "part": [
                            { "name": "event-number", "valueString": "1" },
                            { "name": "timestamp", "valueInstant": "2024-06-01T13:00:00Z" },
                            { "name": "focus", "valueReference": { "reference": at } } ] },
                        { "name": "additional-context", "part": [
                            { "name": "event-type", "valueString": "example-encounter-admitted-1" },
                            { "name": "source", "valueUri": "uk.nhs.example-service" },
                            { "name": "subject",
                              "valueReference": { "identifier": { "value": "9990000018" } } } ] },
                    ],
                },
                "request": { "method": "GET", "url": "https://example.nhs.uk/subscriptions" },
                "response": { "status": "200" },
            }],
        });
        assert_eq!(made, wanted);
        assert!(!made.to_string().contains("TEST"), "no content unless asked for");
        assert_eq!(notification(&event(), &shape(false)), Ok(made), "the same each time");
    }

    #[test]
    fn a_hydrated_one_holds_what_stands_at_its_focus() {
        let made = notification(&event(), &shape(true)).expect("a notification");
        let second = &made["entry"][1];
        let focus = &made["entry"][0]["resource"]["parameter"][3]["part"][2];
        assert_eq!(second["fullUrl"], focus["valueReference"]["reference"]);
        assert_eq!(second["resource"], event()["data"]);
        let mut unknown = event();
        unknown.as_object_mut().expect("an object").remove("subject");
        assert_eq!(notification(&unknown, &shape(true)), Err(Omitted::NoNumber));
    }
}
