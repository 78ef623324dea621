//! The entries of the function reference.

/// The chapter of the function reference that a function stands in, in reading order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Reading and writing the message.
    Message,
    /// Absent, null and present values.
    Values,
    /// Events, filtering, parking.
    Results,
    /// Lookup tables and the channel's settings.
    Tables,
    /// Identity, NHS Numbers, time.
    Patient,
    /// FHIR resources.
    Resources,
    /// Texts.
    Text,
}

/// One function of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Its chapter.
    pub part: Part,
    /// How it is written: `msg.segments(name)`, `emit(type, data)`.
    pub signature: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
}
