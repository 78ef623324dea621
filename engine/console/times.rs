//! Times as every answer shows them and every question may give them.

use jiff::Timestamp;

use crate::refusal::Refusal;

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn shown(milliseconds: i64) -> String {
    format!("{:.3}", Timestamp::from_millisecond(milliseconds).unwrap_or_default())
}

/// RFC 3339; nothing where nothing was given.
pub(crate) fn given(text: Option<&str>) -> Result<Option<Timestamp>, Refusal> {
    text.map(str::parse).transpose().map_err(|_| {
        Refusal::misunderstood("since is a time in RFC 3339, as in 2026-01-31T12:00:00Z")
    })
}
