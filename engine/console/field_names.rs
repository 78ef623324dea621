//! What segments and fields are called, for reading. HL7 v2.5's words, shortened, and HL7 UK's for
//! ZU1 to ZU8; what is not here is shown by its place alone.

/// One segment a line: its name, what it is called, and its fields from the first.
static NAMES: &str = include_str!("field_names.txt");

/// What a segment is called.
pub(crate) fn segment(name: &str) -> Option<&'static str> {
    find(name)?.next()
}

/// What a field is called; fields count from 1.
pub(crate) fn field(segment: &str, number: u32) -> Option<&'static str> {
    let number = usize::try_from(number).ok().filter(|number| *number > 0)?;
    find(segment)?.nth(number).filter(|name| !name.is_empty())
}

/// What a segment is called, and then its fields.
fn find(name: &str) -> Option<impl Iterator<Item = &'static str>> {
    NAMES.lines().find_map(|line| {
        let mut parts = line.split('|');
        (parts.next() == Some(name)).then_some(parts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that slipped by one place would mislead whoever reads a message at night.
    #[test]
    fn names_stand_in_their_places() {
        for (segment, number, name) in [
            ("MSH", 10, "Control id"),
            ("MSH", 18, "Character set"),
            ("EVN", 6, "Occurred"),
            ("PID", 3, "Patient identifiers"),
            ("PID", 11, "Address"),
            ("PID", 22, "Ethnic group"),
            ("PID", 29, "Died"),
            ("PID", 32, "Identity reliability"),
            ("PD1", 4, "Primary care provider (GP)"),
            ("NK1", 13, "Organisation"),
            ("PV1", 3, "Location"),
            ("PV1", 16, "VIP (sensitivity)"),
            ("PV1", 19, "Visit number"),
            ("PV1", 36, "Discharge disposition"),
            ("PV1", 44, "Admitted"),
            ("PV1", 45, "Discharged"),
            ("PV1", 50, "Alternate visit id"),
            ("PV2", 38, "Mode of arrival"),
            ("MRG", 7, "Prior name"),
            ("ORC", 12, "Ordering provider"),
            ("OBR", 4, "Service"),
            ("OBR", 22, "Results reported"),
            ("OBR", 25, "Result status"),
            ("OBX", 5, "Value"),
            ("OBX", 11, "Result status"),
            ("OBX", 14, "Observed"),
            ("DG1", 16, "Clinician"),
            ("ZU1", 27, "NHS Number tracing (old)"),
            ("ZU3", 3, "Attended or not"),
            ("ZU4", 6, "To come in"),
            ("ZU8", 4, "Location hiding"),
        ] {
            assert_eq!(field(segment, number), Some(name), "{segment}-{number}");
        }
        assert_eq!(field("PID", 0), None);
        assert_eq!(field("PID", 99), None);
        assert_eq!(field("ZU1", 7), None);
        assert_eq!(segment("ZZZ"), None);
    }
}
