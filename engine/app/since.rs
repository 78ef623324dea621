//! `--since`: a time, or an age counted back from now.

use anyhow::{Context, Result};
use jiff::Timestamp;

use crate::argument_values::duration;

/// RFC 3339, as the engine reads it.
pub(crate) fn since(text: Option<&str>) -> Result<Option<String>> {
    let time = text.map(|text| point_in_time(text, Timestamp::now())).transpose()?;
    Ok(time.map(|time| time.to_string()))
}

fn point_in_time(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(age) = duration(text) {
        return now.checked_sub(age).context("the age reaches back before all time");
    }
    text.parse().with_context(|| {
        format!("\"{text}\" is neither a time (2026-01-01T12:00:00Z) nor an age (30m, 2h, 1d)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_an_age() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().expect("a time");
        let at = |text| point_in_time(text, now).expect("understood").to_string();
        assert_eq!(at("2h"), "2026-01-01T10:00:00Z");
        assert_eq!(at("2025-12-31T00:00:00Z"), "2025-12-31T00:00:00Z");
        assert!(point_in_time("yesterday", now).is_err());
    }
}
