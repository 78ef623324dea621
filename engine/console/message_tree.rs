//! A message as segments and fields with their names.

use hl7::message::Message;
use hl7::segment::Segment;
use hl7::tree::tree;
use serde_json::{Value, json};

use crate::field_names;

/// `{charset, segments: [{at, name, fields: [{at, name, value}]}]}`. A line that is no segment has
/// `text`; one with too many parts has `error`. A value that is HL7's null is null here.
pub(crate) fn document(message: &Message) -> Value {
    let segments: Vec<Value> = message.segments().map(|segment| one(message, &segment)).collect();
    json!({ "charset": message.charset().name(), "segments": segments })
}

fn one(message: &Message, segment: &Segment<'_>) -> Value {
    let Some(at) = segment.location() else {
        let text = message.charset().decode(segment.raw()).text;
        return json!({ "at": null, "name": null, "text": text, "fields": [] });
    };
    let name = field_names::segment(segment.name());
    let tree = match tree(segment, message.delimiters(), message.charset()) {
        Ok(tree) => tree,
        Err(error) => {
            let (at, error) = (at.to_string(), error.to_string());
            return json!({ "at": at, "name": name, "error": error, "fields": [] });
        }
    };
    let fields: Vec<Value> = tree
        .leaves()
        .map(|(at, value)| {
            let name = at.field.and_then(|field| field_names::field(segment.name(), field));
            json!({ "at": at.to_string(), "name": name, "value": value.into_option() })
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
        let tree = document(&message);
        let pid = &tree["segments"][1];
        assert_eq!(pid["name"], "Patient identification");
        let expected = json!({ "at": "PID-3.1", "name": "Patient identifiers", "value": "77" });
        assert_eq!(pid["fields"][1], expected);
        assert_eq!(pid["fields"][4], json!({ "at": "PID-5", "name": "Name", "value": null }));
        assert_eq!(tree["segments"][2]["text"], "odd");
        assert_eq!(tree["segments"][3]["name"], Value::Null);
        assert_eq!(tree["segments"][3]["fields"][0]["name"], Value::Null);
    }
}
