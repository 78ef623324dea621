//! Sizes, periods of time, hours of the day and addresses, as they are written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Time;

use crate::config::written::written;

/// A number of bytes: `32MiB`, `512KiB`, `1GiB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A span of time: `500ms`, `30s`, `10m`, `24h`, `30d`, `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// Hours of the day on the channel's clock: `07:00-22:00`; `22:00-06:00` passes midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    pub from: Time,
    pub to: Time,
}

/// A network address to listen on: `127.0.0.1:2575`, `[::1]:2575`, `localhost:2575`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(pub SocketAddr);

/// Why a text is no measure. The second line says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MeasureError {
    #[error("`{0}` is not a size\nwrite a whole number and KiB, MiB or GiB, such as 32MiB")]
    Size(String),
    #[error(
        "`{0}` is not a period of time\nwrite whole numbers with ms, s, m, h or d, such as 30s or 1h30m"
    )]
    Period(String),
    #[error("`{0}` is not a range of hours\nwrite two times of day, such as \"07:00-22:00\"")]
    Hours(String),
    #[error(
        "`{0}` is not an address to listen on\nwrite address and port, such as 127.0.0.1:2575, or 0.0.0.0:2575 for every network"
    )]
    Address(String),
}

const SIZE_UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl Size {
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || MeasureError::Size(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let factor = match unit.trim() {
            "" | "B" => 1,
            unit => SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?.1,
        };
        number.checked_mul(factor).map(Size).ok_or_else(refused)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |unit: &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(unit.1);
        match SIZE_UNITS.iter().find(fits) {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

const PERIOD_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Period {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || MeasureError::Period(text.to_owned());
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let number: u64 = number.parse().map_err(|_| refused())?;
            let factor = PERIOD_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
            let part = number.checked_mul(factor.1).ok_or_else(refused)?;
            total = total.checked_add(part).ok_or_else(refused)?;
            rest = tail;
        }
        if text.is_empty() { Err(refused()) } else { Ok(Period(Duration::from_millis(total))) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, factor) in PERIOD_UNITS {
            if rest >= factor {
                write!(f, "{}{name}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

impl Hours {
    /// Whether a time of day lies within; the beginning belongs to it, the end does not.
    pub fn contains(&self, at: Time) -> bool {
        if self.from <= self.to {
            self.from <= at && at < self.to
        } else {
            at >= self.from || at < self.to
        }
    }
}

impl FromStr for Hours {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || MeasureError::Hours(text.to_owned());
        let (from, to) = text.split_once('-').ok_or_else(refused)?;
        let time = |text: &str| Time::strptime("%H:%M", text.trim()).map_err(|_| refused());
        let hours = Hours { from: time(from)?, to: time(to)? };
        if hours.from == hours.to { Err(refused()) } else { Ok(hours) }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { from, to } = self;
        write!(f, "{:02}:{:02}-", from.hour(), from.minute())?;
        write!(f, "{:02}:{:02}", to.hour(), to.minute())
    }
}

impl Address {
    /// Whether two listeners on these addresses would take the same port from each other.
    /// Port 0 asks the operating system for a free one and never collides.
    pub fn collides(self, other: Address) -> bool {
        let (a, b) = (self.0, other.0);
        a.port() != 0
            && a.port() == b.port()
            && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
    }
}

impl FromStr for Address {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || MeasureError::Address(text.to_owned());
        if let Some(port) = text.strip_prefix("localhost:") {
            let port = port.parse().map_err(|_| refused())?;
            return Ok(Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
        }
        text.parse().map(Address).map_err(|_| refused())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written!(
    Size,
    "A number of bytes, with KiB, MiB, GiB or TiB (powers of 1024) or none.",
    "^[0-9]+ ?([KMGT]iB|B)?$",
    ["32MiB", "512KiB"]
);
written!(
    Period,
    "A span of time in ms, s, m, h and d.",
    "^([0-9]+(ms|s|m|h|d))+$",
    ["30s", "10m", "24h"]
);
written!(
    Hours,
    "Hours of the day on the clock of the channel's time zone; the end is not part of it.",
    "^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$",
    ["07:00-22:00"]
);
written!(Address, "An address and a port to listen on.", "^.+:[0-9]+$", ["127.0.0.1:2575"]);

#[cfg(test)]
mod tests {
    use super::*;

    fn same<T: FromStr + fmt::Display>(text: &str) -> String
    where
        T::Err: fmt::Debug,
    {
        text.parse::<T>().expect(text).to_string()
    }

    #[test]
    fn sizes_have_binary_units_only() {
        assert_eq!("32MiB".parse(), Ok(Size(32 << 20)));
        assert_eq!("4096".parse(), Ok(Size(4096)));
        for text in ["32MB", "MiB", "1.5GiB", "-1", "", "99999999999TiB"] {
            assert_eq!(text.parse::<Size>(), Err(MeasureError::Size(text.to_owned())));
        }
        assert_eq!(same::<Size>("1024KiB"), "1MiB");
        assert_eq!(same::<Size>("0"), "0");
    }

    #[test]
    fn periods_may_be_put_together() {
        assert_eq!("1h30m".parse(), Ok(Period(Duration::from_mins(90))));
        assert_eq!("500ms".parse(), Ok(Period(Duration::from_millis(500))));
        for text in ["", "10", "m", "10 m", "10w", "1.5h"] {
            assert_eq!(text.parse::<Period>(), Err(MeasureError::Period(text.to_owned())));
        }
        assert_eq!(same::<Period>("90m"), "1h30m");
    }

    #[test]
    fn hours_may_pass_midnight() {
        let night: Hours = "22:00-06:00".parse().expect("hours");
        assert!(night.contains(Time::constant(23, 0, 0, 0)));
        assert!(!night.contains(Time::constant(6, 0, 0, 0)));
        let day: Hours = "07:00-22:00".parse().expect("hours");
        assert!(day.contains(Time::constant(7, 0, 0, 0)));
        assert_eq!(day.to_string(), "07:00-22:00");
        assert!("7-22".parse::<Hours>().is_err() && "25:00-26:00".parse::<Hours>().is_err());
    }

    #[test]
    fn an_address_for_every_network_collides_with_each_of_its_port() {
        let address = |text: &str| text.parse::<Address>().expect("address");
        assert!(address("0.0.0.0:2575").collides(address("127.0.0.1:2575")));
        assert!(!address("127.0.0.1:2575").collides(address("127.0.0.1:2576")));
        assert!(!address("127.0.0.1:0").collides(address("127.0.0.1:0")));
        assert!("2575".parse::<Address>().is_err());
    }
}
