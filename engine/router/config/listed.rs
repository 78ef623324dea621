//! Names out of lists that others keep: time zones, character sets, statuses, places in a message.

use std::fmt;
use std::str::FromStr;

use hl7::charset::Charset;
use hl7::location::Location;
use hl7::tolerance::Deviation;
use jiff::tz::TimeZone;
use record::nhs_number::Status;

use crate::config::nearest::nearest;
use crate::config::written::written;

/// A time zone of the IANA database: `Europe/London`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(pub TimeZone);

/// A character set by an HL7 table 0211 name or a common one: `windows-1252`, `8859/1`, `UNICODE UTF-8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharsetName(pub Charset);

/// An NHS Number status of the NHS Data Dictionary: `01` (present and verified) to `08`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCode(pub Status);

/// A place in a message: `PID-19`, `PID-3(2).1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLocation(pub Location);

/// A place in MSH that may differ between a message and its copy: `MSH-7`, `MSH-13`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLocation(pub Location);

/// A way in which a source may depart from the standard: `line-feed`, `odd-line`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviationName(pub Deviation);

/// Why a text is in none of the lists. The second line says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ListError {
    #[error("`{0}` is not a time zone\nwrite a name of the IANA database, such as {1}")]
    Zone(String, &'static str),
    #[error(
        "`{0}` is not a character set\nwrite one such as windows-1252, 8859/1 or UNICODE UTF-8"
    )]
    Charset(String),
    #[error(
        "`{0}` is not an NHS Number status\nwrite \"01\" to \"08\", in quotes; \"01\" is present and verified"
    )]
    Status(String),
    #[error(
        "`{0}` is not a place in a message\nwrite segment and field, such as PID-19 or PID-3.1"
    )]
    Location(String),
    #[error("`{0}` is nothing that can be tolerated\nwrite some of {1}")]
    Deviation(String, String),
    #[error("`{0}` is not a place in MSH\nwrite MSH and a field, such as MSH-7 or MSH-13")]
    HeaderLocation(String),
    #[error(
        "`{0}` says which message it is and cannot be passed over\nwrite any field of MSH but 1, 2, 9 and 10, such as MSH-7 or MSH-13"
    )]
    Identifying(String),
}

impl FromStr for Zone {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const USUAL: [&str; 7] = [
            "Europe/London",
            "Europe/Dublin",
            "Europe/Belfast",
            "Europe/Jersey",
            "Europe/Guernsey",
            "Europe/Isle_of_Man",
            "UTC",
        ];
        TimeZone::get(text).map(Zone).map_err(|_| {
            ListError::Zone(text.to_owned(), nearest(text, USUAL).unwrap_or("Europe/London"))
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl FromStr for CharsetName {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let charset = Charset::from_label(text);
        charset.map(CharsetName).ok_or_else(|| ListError::Charset(text.to_owned()))
    }
}

impl fmt::Display for CharsetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.name())
    }
}

impl FromStr for DeviationName {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(DeviationName).map_err(|_| {
            let all = Deviation::ALL.map(Deviation::as_str).join(", ");
            ListError::Deviation(text.to_owned(), all)
        })
    }
}

impl fmt::Display for DeviationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StatusCode {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let status = Status::normalise(text);
        status.map(StatusCode).ok_or_else(|| ListError::Status(text.to_owned()))
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for MessageLocation {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<Location>() {
            Ok(location) if location.field.is_some() => Ok(MessageLocation(location)),
            _ => Err(ListError::Location(text.to_owned())),
        }
    }
}

impl fmt::Display for MessageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for HeaderLocation {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ListError::HeaderLocation(text.to_owned());
        let location: Location = text.parse().map_err(|_| refused())?;
        if location.segment.as_str() != "MSH" || location.occurrence != 1 {
            return Err(refused());
        }
        match location.field {
            None => Err(refused()),
            // The separators, the type and the control id.
            Some(1 | 2 | 9 | 10) => Err(ListError::Identifying(text.to_owned())),
            Some(_) => Ok(HeaderLocation(location)),
        }
    }
}

impl fmt::Display for HeaderLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written!(Zone, "A time zone of the IANA database.", "^[A-Za-z_/+0-9-]+$", ["Europe/London"]);
written!(
    CharsetName,
    "A character set, by its name in HL7 table 0211 or its common one.",
    "^.+$",
    ["windows-1252", "8859/1", "UNICODE UTF-8"]
);
written!(
    DeviationName,
    "A departure from the standard, by its name.",
    "^(line-feed|no-final-return|mark|junk|nul|short-delimiters|odd-line|continuation|several-messages|batch)$",
    ["line-feed", "no-final-return", "odd-line"]
);
written!(
    StatusCode,
    "An NHS Number status of the NHS Data Dictionary; 01 is present and verified.",
    "^0[1-8]$",
    ["01"]
);
written!(
    MessageLocation,
    "A place in a message, counted from 1.",
    "^[A-Z][A-Z0-9]{2}[.-][0-9].*$",
    ["PID-19", "PID-3.1"]
);
written!(
    HeaderLocation,
    "A place in MSH, counted from 1; not MSH-1, 2, 9 or 10.",
    "^MSH[.-][0-9].*$",
    ["MSH-7", "MSH-13"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_is_nearly_right_is_named() {
        let wrong = "Europe/Lundon".parse::<Zone>().expect_err("no such zone");
        assert!(wrong.to_string().ends_with("such as Europe/London"));
    }

    #[test]
    fn each_list_knows_its_names_and_refuses_others() {
        assert_eq!("8859/15".parse::<CharsetName>().expect("charset").to_string(), "ISO-8859-15");
        assert_eq!("NSTS01".parse::<StatusCode>().expect("status").to_string(), "01");
        assert_eq!("PID.3.1".parse::<MessageLocation>().expect("place").to_string(), "PID-3.1");
        for deviation in Deviation::ALL.map(Deviation::as_str) {
            let name = deviation.parse::<DeviationName>().expect("in the list");
            assert_eq!(name.to_string(), deviation);
        }
        assert!("tabs".parse::<DeviationName>().is_err());
        assert!("UTF-17".parse::<CharsetName>().is_err());
        assert!("99".parse::<StatusCode>().is_err());
        assert!("PID".parse::<MessageLocation>().is_err());
    }

    #[test]
    fn what_says_which_message_it_is_cannot_be_passed_over() {
        let text = |text: &str| text.parse::<HeaderLocation>().map(|place| place.to_string());
        assert_eq!(text("MSH-7"), Ok("MSH-7".to_owned()));
        assert_eq!(text("MSH.4.2"), Ok("MSH-4.2".to_owned()));
        for fixed in ["MSH-1", "MSH-2", "MSH-9.3", "MSH-10"] {
            assert_eq!(text(fixed), Err(ListError::Identifying(fixed.to_owned())));
        }
        for other in ["PID-3", "MSH", "MSH(2)-7", "7"] {
            assert_eq!(text(other), Err(ListError::HeaderLocation(other.to_owned())));
        }
    }
}
