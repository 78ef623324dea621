use hl7::message::Reading;
use proptest::prelude::*;
use record::source::Source;

use super::*;

/// An admission, an update, an end or the like of one of two visits, or a word about the person.
fn any_message() -> impl Strategy<Value = String> {
    let pick = |words: &'static [&'static str]| prop::sample::select(words);
    let about = (
        pick(&[
            "A01", "A03", "A04", "A05", "A08", "A10", "A11", "A13", "A21", "A22", "A23", "A28",
            "A31", "A38",
        ]),
        pick(&["V1", "V2", ""]),
        pick(&["I", "N", "E", "R", "W"]),
        pick(&["W1", "W2", "\"\"", ""]),
    );
    let person = (
        pick(&["SMITH^ANN", "JONES^ANN", "^ANN", "\"\"", ""]),
        pick(&["19651213", "\"\"", ""]),
        pick(&["Y", "N", "\"\"", ""]),
        pick(&["1", "4", ""]),
        pick(&["ZU5||2\r", "ZU5||3\r", "ZU1||||||||||||||||||||||Y\r", ""]),
    );
    (about, person).prop_map(|((trigger, visit, class, ward), (name, born, dead, method, more))| {
        format!(
            "MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^{trigger}|1|P|2.4\rPID|1||7^^^RXX01^MR||{name}||{born}{}{dead}\r\
             PV1|1|{class}|{ward}{}{visit}{}{method}\r{more}",
            "|".repeat(23),
            "|".repeat(16),
            "|".repeat(17),
        )
    })
}

proptest! {
    /// The short way round is taken exactly where the long one leads to what was there before.
    #[test]
    fn nothing_is_new_when_all_of_it_was_stated(all in prop::collection::vec(any_message(), 1..8)) {
        let mut before = Arc::new(Statement::new());
        for text in all {
            let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
            let said = Said::read(&message, &Source::new("pas", "RXX"), &Identity::default());
            let now = said.written_over(Statement::clone(&before));
            prop_assert_eq!(said.is_held(&before), now == *before, "{:?} {:?}", before, now);
            before = Arc::new(now);
        }
    }
}
