//! What keeps the messages of one patient in order.

use std::fmt;

use hl7::message::Message;

use crate::claim::claims_nhs_number;
use crate::identity::Identity;
use crate::local::{LocalId, local_ids};
use crate::nhs_number::NhsNumber;
use crate::source::Source;
use crate::text::stated;

/// What keeps the messages of one patient in order. Opaque, and never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(String);

impl OrderKey {
    /// The key, for maps and the journal; it holds an identifier and must not reach a log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The keys that a message has to wait for, one for each patient it names: the best local
/// identifier, else the NHS Number, of every PID and of every MRG. `identity` is what its PID
/// segments say when they agree; without it each of them counts on its own.
pub fn order_keys(
    message: &Message,
    source: &Source,
    identity: Option<&Identity>,
) -> Vec<OrderKey> {
    let agreed = identity.and_then(|identity| {
        let local = identity.best_local.as_ref().map(local_key);
        local.or_else(|| identity.found.map(number_key))
    });
    let mut keys: Vec<OrderKey> = agreed.into_iter().collect();
    for segment in message.segments() {
        let number = match segment.name() {
            "PID" if identity.is_none() => 3,
            "MRG" => 1,
            _ => continue,
        };
        let (_, best) = local_ids(segment.field(number), &source.local);
        let key = best.as_ref().map(local_key).or_else(|| {
            let field = segment.field(number)?;
            let mut claims = field
                .repetitions()
                .filter(|identifier| claims_nhs_number(identifier, &source.nhs_number));
            let number = claims.find_map(|id| NhsNumber::parse(&stated(id.text(1, 1))?).ok());
            number.map(number_key)
        });
        keys.extend(key);
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn local_key(local: &LocalId) -> OrderKey {
    OrderKey(format!("local:{local}"))
}

fn number_key(number: NhsNumber) -> OrderKey {
    OrderKey(format!("nhs:{number}"))
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderKey(***)")
    }
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
            let identity = Identity::read(&message, &source).ok();
            let keys = order_keys(&message, &source, identity.as_ref());
            keys.iter().map(|key| key.as_str().to_owned()).collect()
        };
        let merge = "PID|1||77^^^RXX01^MR\rMRG|88^^^RXX01^MR\r";
        assert_eq!(keys_of(merge), ["local:77^^^RXX01^MR", "local:88^^^RXX01^MR"]);
        let by_number = "PID|1||77^^^RXX01^MR\rMRG|9990000026^^^NHS^NH\r";
        assert_eq!(keys_of(by_number), ["local:77^^^RXX01^MR", "nhs:9990000026"]);
        let swap = "PID|1||77^^^RXX01^MR\rPID|2||88^^^RXX01^MR\rMRG|77^^^RXX01^MR\r";
        assert_eq!(keys_of(swap), ["local:77^^^RXX01^MR", "local:88^^^RXX01^MR"]);
    }
}
