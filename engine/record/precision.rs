//! How exactly a time was stated.

/// How much of a time was stated (HL7 DTM: precision is meaningful).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// Parts of a second.
    Fraction,
}

impl Precision {
    /// The word that stands in an event's `timeprecision`.
    pub fn as_str(self) -> &'static str {
        match self {
            Precision::Year => "year",
            Precision::Month => "month",
            Precision::Day => "day",
            Precision::Hour => "hour",
            Precision::Minute => "minute",
            Precision::Second => "second",
            Precision::Fraction => "fraction",
        }
    }
}
