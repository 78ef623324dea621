//! Which acknowledgements a message asks for.
//!
//! HL7 v2 chapter 2, "message acknowledgment", original and enhanced mode.

use crate::acknowledgement::{AckCode, Outcome};
use crate::header::{AckCondition, Header};

/// Which acknowledgements a message is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckMode {
    /// Those its header asks for by MSH-15 and MSH-16.
    #[default]
    Asked,
    /// AA, AE or AR, whatever the header asks for.
    Original,
    /// Those its header asks for; one that says nothing of it gets CA, CE or CR.
    Enhanced,
}

/// The acknowledgements that are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The one that the sender waits for before it goes on.
    pub first: Option<AckCode>,
    /// The application acknowledgement of a message whose accept acknowledgement is the first.
    pub second: Option<AckCode>,
}

/// The first acknowledgement that a message's header asks for; `None` is silence.
pub fn due(header: &Header, outcome: Outcome) -> Option<AckCode> {
    all_due(header, AckMode::Asked, outcome).first
}

/// The acknowledgements of a message, of which most senders bear only the first.
///
/// Without MSH-15 and MSH-16 the original mode holds: always an answer. A valued MSH-15 asks for an
/// accept acknowledgement (CA, CE, CR) under its condition, a valued MSH-16 for an application
/// acknowledgement under its own. Where no accept acknowledgement is due, the application
/// acknowledgement is the only answer, and so the first. A refused message never came to the
/// application: it has no second. An acknowledgement is never acknowledged.
pub fn all_due(header: &Header, mode: AckMode, outcome: Outcome) -> Due {
    if header.is_acknowledgement() {
        return Due::default();
    }
    let always = Some(AckCondition::Always);
    let (accept, application) = match (mode, header.accept_ack, header.application_ack) {
        (AckMode::Original, ..) | (AckMode::Asked, None, None) => (None, always),
        (AckMode::Enhanced, accept, application) => (accept.or(always), application),
        (AckMode::Asked, accept, application) => (accept, application),
    };
    let wanted = |condition: Option<AckCondition>| match condition {
        None | Some(AckCondition::Never) => false,
        Some(AckCondition::Always) => true,
        Some(AckCondition::OnError) => outcome != Outcome::Accept,
        Some(AckCondition::OnSuccess) => outcome == Outcome::Accept,
    };
    let accept = wanted(accept).then(|| AckCode::commit(outcome));
    let application = wanted(application).then(|| AckCode::application(outcome));
    let second = application.filter(|_| accept.is_some() && outcome == Outcome::Accept);
    Due { first: accept.or(application), second }
}

#[cfg(test)]
mod tests {
    use super::{AckMode, all_due, due};
    use crate::acknowledgement::{AckCode, Outcome};
    use crate::header::Header;

    fn header(tail: &str) -> Header {
        let frame = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|2026||ADT^A01|7|T|2.4{tail}\rPID|1\r");
        Header::from_frame(frame.as_bytes()).expect("readable")
    }

    #[test]
    fn the_code_is_the_one_the_header_asks_for() {
        use AckCode::{AA, AE, AR, CA, CE, CR};
        use Outcome::{Accept, Error, Reject};
        let cases = [
            ("", [Some(AA), Some(AE), Some(AR)]),
            ("|||AL|NE", [Some(CA), Some(CE), Some(CR)]),
            ("|||AL|AL", [Some(CA), Some(CE), Some(CR)]),
            ("|||NE|NE", [None, None, None]),
            ("|||NE|AL", [Some(AA), Some(AE), Some(AR)]),
            ("|||NE|ER", [None, Some(AE), Some(AR)]),
            ("|||ER|", [None, Some(CE), Some(CR)]),
            ("|||ER|AL", [Some(AA), Some(CE), Some(CR)]),
            ("|||SU|AL", [Some(CA), Some(AE), Some(AR)]),
            ("|||SU|", [Some(CA), None, None]),
            ("||||AL", [Some(AA), Some(AE), Some(AR)]),
            ("||||NE", [None, None, None]),
            ("|||\"\"|\"\"", [Some(AA), Some(AE), Some(AR)]),
        ];
        for (tail, codes) in cases {
            let header = header(tail);
            assert_eq!(
                [Accept, Error, Reject].map(|outcome| due(&header, outcome)),
                codes,
                "{tail}"
            );
        }
    }

    #[test]
    fn a_second_one_is_of_an_accepted_message_whose_first_was_a_commit() {
        use AckCode::{AA, CA, CR};
        let all = |tail: &str, mode, outcome| {
            let due = all_due(&header(tail), mode, outcome);
            [due.first, due.second]
        };
        let (asked, original, enhanced) = (AckMode::Asked, AckMode::Original, AckMode::Enhanced);
        assert_eq!(all("|||AL|AL", asked, Outcome::Accept), [Some(CA), Some(AA)]);
        assert_eq!(all("|||AL|AL", asked, Outcome::Reject), [Some(CR), None]);
        assert_eq!(all("|||AL|ER", asked, Outcome::Accept), [Some(CA), None]);
        assert_eq!(all("|||NE|AL", asked, Outcome::Accept), [Some(AA), None]);
        assert_eq!(all("", asked, Outcome::Accept), [Some(AA), None]);
        assert_eq!(all("|||NE|NE", original, Outcome::Accept), [Some(AA), None]);
        assert_eq!(all("", enhanced, Outcome::Accept), [Some(CA), None]);
        assert_eq!(all("||||AL", enhanced, Outcome::Accept), [Some(CA), Some(AA)]);
    }

    #[test]
    fn an_acknowledgement_is_never_acknowledged() {
        let header =
            Header::from_frame(b"MSH|^~\\&|||||||ADT|1|P|2.4\rMSA|AA|1\r").expect("readable");
        assert_eq!(due(&header, Outcome::Accept), None);
        assert_eq!(due(&header, Outcome::Reject), None);
    }
}
