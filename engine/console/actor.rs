//! Who decides. The token is what authorises; the name is what the audit keeps, as the person's own
//! system gives it.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use router::operators::Actor;

use crate::refusal::Refusal;

/// The person's name.
const ACTOR: HeaderName = HeaderName::from_static("tieline-actor");
/// Why, where the body is a message.
const REASON: HeaderName = HeaderName::from_static("tieline-reason");
/// Longest name, in bytes.
const LONGEST: usize = 64;

/// The name in the header `tieline-actor`; a decision without one is not made.
#[derive(Debug)]
pub(crate) struct Person(String);

impl Person {
    /// With a reason.
    pub(crate) fn because(self, reason: String) -> Actor {
        Actor { name: self.0, reason }
    }
}

impl<S: Sync> FromRequestParts<S> for Person {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let name = text(parts, &ACTOR).unwrap_or_default();
        let allowed = !name.is_empty() && name.len() <= LONGEST;
        if allowed && !name.chars().any(char::is_control) {
            Ok(Self(name))
        } else {
            let words =
                format!("who decides is told in the header {ACTOR}, in at most {LONGEST} bytes");
            Err(Refusal::misunderstood(words))
        }
    }
}

/// Who and why, both in headers.
#[derive(Debug)]
pub(crate) struct PersonAndReason(pub(crate) Actor);

impl<S: Sync> FromRequestParts<S> for PersonAndReason {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let reason = text(parts, &REASON).unwrap_or_default();
        let person = Person::from_request_parts(parts, state).await?;
        Ok(Self(person.because(reason)))
    }
}

/// UTF-8, which headers carry though they do not say so.
fn text(parts: &Parts, name: &HeaderName) -> Option<String> {
    let value = parts.headers.get(name)?;
    str::from_utf8(value.as_bytes()).ok().map(|text| text.trim().to_owned())
}
