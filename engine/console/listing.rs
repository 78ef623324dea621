//! `/messages` and `/messages/search`: which messages there are, and the state each is in.

use archive::page::Page;
use archive::patient::PatientIdentifier;
use archive::query::Query as Condition;
use archive::state::State as MessageState;
use archive::when::Clock;
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use router::handle::Handle;
use serde::Deserialize;

use crate::lines;
use crate::refusal::{Refusal, blocking};
use crate::times;

/// Rows of one answer unless `limit` says otherwise.
const LIMIT: usize = 100;
/// Rows of one answer at most; ask for what is before its first row for more.
const MOST: usize = 10_000;
/// Seconds by which the archive is behind; absent when the answer is complete.
const LAG: HeaderName = HeaderName::from_static("tieline-archive-lag");

/// What is looked for; all of it must hold.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Search {
    /// In the language of the archive.
    query: Option<String>,
    state: Option<String>,
    channel: Option<String>,
    /// RFC 3339.
    since: Option<String>,
    /// MSH-10. Some senders make it from the patient's number: only in a body.
    control_id: Option<String>,
    /// An identifier of the patient: only in a body.
    patient: Option<String>,
    limit: Option<usize>,
    /// Rows older than this message: the first of the answer before.
    before: Option<u64>,
}

/// The newest messages, oldest first.
pub(crate) async fn messages(
    State(engine): State<Handle>,
    search: Result<Query<Search>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(search) = search?;
    if search.patient.is_some() || search.control_id.is_some() {
        let words = "patient and control_id stand in no address, which others log: POST them to /api/v1/messages/search";
        return Err(Refusal::misunderstood(words));
    }
    answer(engine, search).await
}

/// The same for what must not stand in an address.
pub(crate) async fn search(
    State(engine): State<Handle>,
    search: Result<Json<Search>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(search) = search?;
    answer(engine, search).await
}

async fn answer(engine: Handle, search: Search) -> Result<Response, Refusal> {
    let condition = search.condition(Timestamp::now())?;
    let newest = Page::newest(search.limit.unwrap_or(LIMIT).min(MOST));
    let page = search.before.map_or(newest, |id| newest.after(id));
    let asked = engine.clone();
    let mut rows = blocking(move || asked.messages(&condition, &page)).await??;
    rows.reverse();
    let mut response = lines::rows(&rows);
    if let Some(lag) = engine.archive_lag() {
        response.headers_mut().insert(LAG, HeaderValue::from(lag / 1000));
    }
    Ok(response)
}

impl Search {
    fn condition(&self, now: Timestamp) -> Result<Condition, Refusal> {
        let clock = Clock { now, zone: TimeZone::system() };
        let mut all = Condition::parse(self.query.as_deref().unwrap_or_default(), &clock)?;
        if let Some(state) = &self.state {
            let state: MessageState =
                state.parse().map_err(|error| Refusal::misunderstood(format!("state: {error}")))?;
            all = all.and(Condition::state(state));
        }
        if let Some(channel) = &self.channel {
            if channel.contains(['"', '\\']) {
                return Err(Refusal::misunderstood("channel is the name of a channel"));
            }
            all = all.and(Condition::parse(&format!("channel=\"{channel}\""), &clock)?);
        }
        if let Some(since) = times::given(self.since.as_deref())? {
            all = all.and(Condition::parse(&format!("since {since}"), &clock)?);
        }
        if let Some(control_id) = &self.control_id {
            all = all.and(Condition::control_id(control_id));
        }
        if let Some(patient) = &self.patient {
            if patient.trim().is_empty() {
                return Err(Refusal::misunderstood("patient is an identifier, and it is empty"));
            }
            all = all.and(Condition::patient(&PatientIdentifier::read(patient)));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(search: &Search) -> bool {
        search.condition(Timestamp::UNIX_EPOCH).is_ok()
    }

    #[test]
    fn what_is_asked_is_understood_or_refused() {
        let search = Search::default;
        let some = |text: &str| Some(text.to_owned());
        assert!(understood(&search()));
        assert!(understood(&Search { query: some("type=ADT^A01 since 2h"), ..search() }));
        assert!(understood(&Search { since: some("2026-01-31T12:00:00Z"), ..search() }));
        assert!(understood(&Search { channel: some("pas-adt"), ..search() }));
        assert!(understood(&Search { patient: some("9990000018"), ..search() }));
        for wrong in [
            Search { query: some("type="), ..search() },
            Search { query: some("control=9990000018"), ..search() },
            Search { since: some("yesterday"), ..search() },
            Search { state: some("lost"), ..search() },
            Search { channel: some("a\" or state=\"parked"), ..search() },
            Search { patient: some(" "), ..search() },
        ] {
            assert!(!understood(&wrong));
        }
    }
}
