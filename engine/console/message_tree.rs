//! A message as segments and fields with their names.

use hl7::dictionary::names::{LocalNames, Names};
use hl7::message::Message;
use hl7::segment::Segment;
use hl7::tree::rendered;
use serde_json::{Value, json};

/// `{charset, version, segments: [{at, name, fields: [{at, name, component, subcomponent, table,
/// value}]}]}`: the names of the message's own version of the standard, and those of `local`. A line
/// that is no segment has `text`; one with too many parts has `error`. A value is as people read it,
/// with line breaks for `\.br\`; HL7's null is null here.
pub fn document(message: &Message, local: &LocalNames) -> Value {
    let names = Names::of(message, local);
    let segments: Vec<Value> =
        message.segments().map(|segment| one(message, &segment, &names)).collect();
    json!({
        "charset": message.received_in().name(),
        "version": names.version().as_str(),
        "segments": segments,
    })
}

fn one(message: &Message, segment: &Segment<'_>, names: &Names<'_>) -> Value {
    let Some(at) = segment.location() else {
        let text = message.charset().decode(segment.raw()).text;
        return json!({ "at": null, "name": null, "text": text, "fields": [] });
    };
    let name = names.segment(segment.name());
    let tree = match rendered(segment, message.delimiters(), message.charset()) {
        Ok(tree) => tree,
        Err(error) => {
            let (at, error) = (at.to_string(), error.to_string());
            return json!({ "at": at, "name": name, "error": error, "fields": [] });
        }
    };
    let fields: Vec<Value> = tree
        .leaves()
        .map(|(at, value)| {
            let place = names.place(segment, &at);
            json!({
                "at": at.to_string(),
                "name": place.field,
                "component": place.component,
                "subcomponent": place.subcomponent,
                "table": place.table.map(|number| format!("{number:04}")),
                "value": value.into_option(),
            })
        })
        .collect();
    json!({ "at": at.to_string(), "name": name, "fields": fields })
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    #[test]
    fn fields_have_places_and_names_and_odd_lines_are_shown() {
        let text = "MSH|^~\\&|PAS\rPID|1||77^^^RXX01^MR||\"\"\rodd\rZZZ|1\r";
        let message = Message::parse(text.as_bytes().to_vec(), &Reading::default()).expect("reads");
        let tree = document(&message, &LocalNames::new());
        assert_eq!(tree["version"], "2.4");
        let pid = &tree["segments"][1];
        assert_eq!(pid["name"], "Patient Identification");
        let expected = json!({
            "at": "PID-3.5", "name": "Patient Identifier List", "component": "Identifier Type Code",
            "subcomponent": null, "table": "0203", "value": "MR",
        });
        assert_eq!(pid["fields"][3], expected);
        assert_eq!(pid["fields"][4]["name"], "Patient Name");
        assert_eq!(pid["fields"][4]["value"], Value::Null);
        assert_eq!(tree["segments"][2]["text"], "odd");
        assert_eq!(tree["segments"][3]["name"], "Local Segment");
        assert_eq!(tree["segments"][3]["fields"][0]["name"], "field 1");
    }
}
