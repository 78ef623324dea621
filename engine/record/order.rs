//! What keeps the messages of one patient in order.

use std::fmt;

use hl7::message::Message;
use hl7::segment::Field;

use crate::claim::{claims_nhs_number, fallback, witnesses};
use crate::identity::Identity;
use crate::local::{LocalId, local_ids};
use crate::nhs_number::NhsNumber;
use crate::source::Source;
use crate::text::meant;
use crate::trigger::is_movement;

/// What keeps the messages of one patient in order. Opaque, and never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(String);

impl OrderKey {
    /// The key, for maps and the journal; it holds an identifier and must not reach a log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names under which a message has to wait, one for each identifier it states: the source's own
/// and the valid NHS Numbers, of every PID and of every MRG, and in the source's fallback places.
/// Whether two of them are of one patient is for others to know; all of them are its own.
///
/// `identity` is what was read of the message, where that does not contradict itself. Then it has
/// what stands in every PID, unless these are meant to name several patients.
pub fn order_keys(
    message: &Message,
    source: &Source,
    identity: Option<&Identity>,
) -> Vec<OrderKey> {
    let mut keys: Vec<OrderKey> = Vec::with_capacity(4);
    let read = identity.filter(|_| !is_movement(message));
    if let Some(identity) = read {
        keys.extend(identity.local.iter().map(local_key));
        keys.extend(identity.found.map(number_key));
    }
    for segment in message.segments() {
        let number = match segment.name() {
            "PID" if read.is_none() => 3,
            "MRG" => 1,
            _ => continue,
        };
        if number == 3 {
            // What contradicts itself waits for either of the two it may be about.
            let others = witnesses(&segment, 1, source);
            keys.extend(others.iter().filter_map(|stated| stated.verdict.ok()).map(number_key));
        }
        let Some(field) = segment.field(number) else { continue };
        let (local, numbers) = listed(field, source);
        keys.extend(local.iter().map(local_key));
        keys.extend(numbers.into_iter().map(number_key));
    }
    let fallbacks = if read.is_none() { &source.nhs_number.fallbacks[..] } else { &[] };
    for at in fallbacks {
        let found = fallback(message, *at, &source.nhs_number);
        keys.extend(found.iter().filter_map(|stated| stated.verdict.ok()).map(number_key));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn local_key(local: &LocalId) -> OrderKey {
    OrderKey(["local:", &*local.value, "^^^", &*local.authority, "^", &*local.kind].concat())
}

fn number_key(number: NhsNumber) -> OrderKey {
    OrderKey(["nhs:", number.as_str()].concat())
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderKey(***)")
    }
}

/// The same identifiers by themselves, of a message that may contradict itself.
pub fn named(message: &Message, source: &Source) -> (Vec<LocalId>, Vec<NhsNumber>) {
    let (mut locals, mut numbers) = (Vec::new(), Vec::new());
    for (name, number) in [("PID", 3), ("MRG", 1)] {
        for field in message.segments_named(name).filter_map(|segment| segment.field(number)) {
            let found = listed(field, source);
            locals.extend(found.0);
            numbers.extend(found.1);
        }
    }
    for at in &source.nhs_number.fallbacks {
        let found = fallback(message, *at, &source.nhs_number);
        numbers.extend(found.iter().filter_map(|stated| stated.verdict.ok()));
    }
    (locals, numbers)
}

/// The identifiers of one list of them.
fn listed(field: Field<'_>, source: &Source) -> (Vec<LocalId>, Vec<NhsNumber>) {
    let (local, _) = local_ids(Some(field), &source.local);
    let rules = &source.nhs_number;
    let claims = field.repetitions().filter(|identifier| claims_nhs_number(identifier, rules));
    let numbers = claims.filter_map(|id| NhsNumber::parse(&meant(id.text(1, 1))?).ok());
    (local, numbers.collect())
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;
    use crate::source::LocalAuthority;

    const HEAD: &str = "MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A31|1|P|2.4\r";

    fn source() -> Source {
        let mut source = Source::new("pas-adt", "RXX");
        source.nhs_number.test_data = true;
        source.local = vec![LocalAuthority {
            authority: "RXX01".to_owned(),
            kind: "MR".to_owned(),
            default: true,
        }];
        source
    }

    #[test]
    fn a_message_waits_for_every_patient_it_names() {
        let source = source();
        let keys_of = |body: &str| -> Vec<String> {
            let text = format!("{HEAD}{body}");
            let message = Message::parse(text.into_bytes(), &Reading::default()).unwrap();
            let keys = order_keys(&message, &source, None);
            let identity = Identity::read(&message, &source).ok();
            assert_eq!(order_keys(&message, &source, identity.as_ref()), keys, "{body}");
            keys.iter().map(|key| key.as_str().to_owned()).collect()
        };
        let both = "PID|1||77^^^RXX01^MR~9990000018^^^NHS^NH\r";
        assert_eq!(keys_of(both), ["local:77^^^RXX01^MR", "nhs:9990000018"]);
        let merge = "PID|1||77^^^RXX01^MR\rMRG|88^^^RXX01^MR\r";
        assert_eq!(keys_of(merge), ["local:77^^^RXX01^MR", "local:88^^^RXX01^MR"]);
        let by_number = "PID|1||77^^^RXX01^MR\rMRG|9990000026^^^NHS^NH\r";
        assert_eq!(keys_of(by_number), ["local:77^^^RXX01^MR", "nhs:9990000026"]);
        let swap = "PID|1||77^^^RXX01^MR\rPID|2||88^^^RXX01^MR\rMRG|77^^^RXX01^MR\r";
        assert_eq!(keys_of(swap), ["local:77^^^RXX01^MR", "local:88^^^RXX01^MR"]);
    }
}
