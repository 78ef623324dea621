//! The values of arguments: what is typed, checked, and what to write instead.

use std::time::Duration;

/// `KEY=VALUE`, where the value may hold further equals signs.
pub(crate) fn assignment(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("write KEY=VALUE, e.g. engine.console.listen=127.0.0.1:0".to_owned()),
    }
}

/// A count: nothing at all is never what was meant.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a whole number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// Messages per second.
pub(crate) fn positive_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("write a number above 0, e.g. 250 or 0.5".to_owned()),
    }
}

/// A length of time with its unit: `500ms`, `30s`, `10m`, `2h`, `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds)) {
        Some(length) if length > 0 => Ok(Duration::from_millis(length)),
        _ => Err("write a number and a unit, e.g. 500ms, 30s, 10m, 2h, 1d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_equals_signs() {
        assert_eq!(assignment("broker.uri=a?b=c"), Ok("broker.uri=a?b=c".to_owned()));
        assert!(assignment("engine").is_err());
        assert!(assignment("=1").is_err());
    }

    #[test]
    fn a_length_of_time_needs_its_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        for wrong in ["10", "0s", "s", "-1s", "1w", "99999999999999999999s", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_and_rates_are_above_nothing() {
        assert_eq!(at_least_one("64"), Ok(64));
        assert!(at_least_one("0").is_err());
        assert_eq!(positive_rate("0.5"), Ok(0.5));
        assert!(positive_rate("inf").is_err());
    }
}
