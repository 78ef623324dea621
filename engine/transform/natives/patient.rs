//! NHS Numbers and times; the constants about the patient.

use rhai::Dynamic;

use record::nhs_number::NhsNumber;
use record::time::Moment;

use crate::null;
use crate::reference::Part;
use crate::run;
use crate::vocabulary::Vocabulary;

pub(crate) fn register(words: &mut Vocabulary) {
    words.document(
        Part::Patient,
        "identity",
        "A map of whom the message is about: `nhs_number` (only if it may key an event) and `status` \
         or `()`, `local` (a list of maps with `authority`, `kind`, `value`), `local_id` (the best of \
         them, or `()`).",
    );
    words.document(
        Part::Patient,
        "message_time",
        "The time of the message (EVN-2, else MSH-7) as RFC 3339 text, or `()`.",
    );
    words.add(
        Part::Patient,
        "nhs_number_valid(value)",
        "Whether the value is an NHS Number by form and check digit, and no placeholder.",
        |value: Dynamic| NhsNumber::parse(&null::text(&value)).is_ok(),
    );
    words.add(
        Part::Patient,
        "nhs_number_format(value)",
        "The ten digits of a valid NHS Number without spaces, else `()`.",
        |value: Dynamic| -> Dynamic {
            NhsNumber::parse(&null::text(&value))
                .map_or(Dynamic::UNIT, |number| number.to_string().into())
        },
    );
    words.add(
        Part::Patient,
        "uk_time(value)",
        "An HL7 time as RFC 3339 text with the offset of the channel's zone; a date stays a date; \
         `()` when there is none or it is unreadable, which counts as `time.unreadable`.",
        |value: Dynamic| {
            run::with(|run| {
                let text = null::text(&value);
                if text.is_empty() {
                    return Ok(Dynamic::UNIT);
                }
                let moment = Moment::read(&text, &run.input.source.zone);
                if moment.is_err() {
                    run.count("time.unreadable");
                }
                Ok(moment.map_or(Dynamic::UNIT, |moment| moment.fhir().into()))
            })
        },
    );
}
