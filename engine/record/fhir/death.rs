//! PID-29 and PID-30: that a person has died, or has not after all.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::deceased::can_be_a_death;
use crate::fhir::built::{Draft, coded_extension};
use crate::fhir::coded::in_system;
use crate::fhir::names::{Extension, extension, uk_codes, uk_core};
use crate::fhir::yes_or_no::yes_or_no;
use crate::json::{Value, object, only};
use crate::source::Source;
use crate::time::Moment;

const NOTIFICATION: Extension = extension!(uk_core "Extension-UKCore-DeathNotificationStatus");

/// PID-29 and PID-30. A death may arrive in any message and may be revoked by one. Where the time
/// says dead and the indicator says alive nothing is stated: a person has to find out. A time that cannot
/// be that of a death is none.
pub(crate) fn death(draft: &mut Draft, message: &Message, pid: &Segment<'_>, source: &Source) {
    let time = draft.read(pid, 29, "deceased");
    let indicator = draft.read(pid, 30, "deceased");
    let unreadable = indicator.as_deref().is_some_and(|code| yes_or_no(code).is_none());
    if unreadable {
        // Nobody is declared dead, or alive, by words: a person has to read them.
        draft.quality.push("death.unreadable");
    }
    let indicator = indicator.as_deref().and_then(yes_or_no);
    draft.cleared.dedup();
    let revoked = |text: &String| source.death_revoked.iter().any(|w| w.eq_ignore_ascii_case(text));
    if time.as_ref().is_some_and(revoked) {
        draft.set("deceasedBoolean", Value::Bool(false));
        notified(draft, "U");
    } else {
        let read = |text: String| {
            let can_be = can_be_a_death(&text, pid, message, source);
            can_be.then(|| Moment::of_death(&text, &source.zone).ok()).flatten()
        };
        match (time.map(read), indicator) {
            (Some(Some(_)), Some(false)) => draft.quality.push("death.contradictory"),
            (Some(Some(moment)), _) => {
                draft.set("deceasedDateTime", Value::text(moment.fhir()));
                notified(draft, "1");
            }
            (unreadable, indicator) => {
                if unreadable.is_some() {
                    draft.quality.push("date.unreadable");
                }
                draft.set("deceasedBoolean", indicator.map(Value::Bool));
                match indicator {
                    Some(true) => notified(draft, "1"),
                    // Who lives has no notification of a death. That one is taken back is not said:
                    // most of whom it is said have never been dead.
                    Some(false) => draft.clear(NOTIFICATION.path),
                    None => {}
                }
            }
        }
    }
    // Where one of the two fields deletes and the other states, what is stated counts.
    if ["deceasedBoolean", "deceasedDateTime"].iter().any(|key| draft.body.contains_key(key)) {
        draft.cleared.retain(|path| path != "Patient.deceased");
    }
    if draft.cleared.last().is_some_and(|path| path == "Patient.deceased") {
        draft.clear(NOTIFICATION.path);
    }
}

/// What UK Core calls the notification: 1, informal, is what a local organisation says; U, removed,
/// that it takes it back. Only the Personal Demographics Service knows of a formal one.
fn notified(draft: &mut Draft, status: &str) {
    let system = uk_codes!("UKCore-DeathNotificationStatus");
    let status =
        coded_extension("deathNotificationStatus", in_system(system, status.to_owned(), None));
    let url = Value::from(NOTIFICATION.url);
    draft.extension(object([("url", url), ("extension", only(status))]));
}
