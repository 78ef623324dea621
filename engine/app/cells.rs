//! Values of the engine's answers as a person reads them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// A value of a row; empty where there is none.
pub(crate) fn cell(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A value on a screen; `-` where there is none.
pub(crate) fn word(value: &Value, name: &str) -> String {
    let cell = cell(value, name);
    if cell.is_empty() { "-".to_owned() } else { cell }
}

/// A list; empty where there is none.
pub(crate) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A count; 0 where there is none.
pub(crate) fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// A time of an answer.
pub(crate) fn time(value: &Value, name: &str) -> Option<Timestamp> {
    value.get(name)?.as_str()?.parse().ok()
}

/// `01-31 12:00:00` in this machine's zone: the year is rarely in doubt, the column is narrow.
pub(crate) fn time_of_day(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%m-%d %H:%M:%S").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// How long ago a time was.
pub(crate) fn age(time: Option<Timestamp>, now: Timestamp) -> String {
    time.map_or_else(|| "-".to_owned(), |time| length(now.as_second() - time.as_second()))
}

/// A length of time: `3 s`, `12 min`, `5 h`, `2 d`.
pub(crate) fn length(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A count in at most seven characters: `9999999`, then `12.3M`.
pub(crate) fn short(count: u64) -> String {
    match count {
        0..=9_999_999 => count.to_string(),
        _ => format!("{}.{}M", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

/// `1 message`, `3 messages`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// A number of bytes.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{} KiB", count >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", count >> 20),
        _ => format!("{} GiB", count >> 30),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_absent_is_empty_or_a_dash() {
        let row = json!({ "a": "x", "b": null, "c": 7 });
        assert_eq!([cell(&row, "a"), cell(&row, "b"), cell(&row, "c")], ["x", "", "7"]);
        assert_eq!((word(&row, "b"), number(&row, "c"), number(&row, "d")), ("-".into(), 7, 0));
        assert!(list(&row, "a").is_empty());
    }

    #[test]
    fn ages_and_counts_are_short() {
        assert_eq!([length(119), length(120), length(7_200)], ["119 s", "2 min", "2 h"]);
        assert_eq!([length(-5), length(200_000)], ["0 s", "2 d"]);
        assert_eq!([short(9_999_999), short(12_345_678)], ["9999999", "12.3M"]);
        assert_eq!([counted(1, "message"), counted(0, "message")], ["1 message", "0 messages"]);
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(age(None, now), "-");
    }
}
