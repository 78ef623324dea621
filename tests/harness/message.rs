//! Messages of the sample world's patient administration system, with invented patients.

/// An ADT message of `PAS` at `RXX01`, in the NHS Interoperability Toolkit's 2.4 style.
#[derive(Clone, Debug)]
pub(crate) struct Adt<'a> {
    pub(crate) trigger: &'a str,
    pub(crate) control_id: &'a str,
    /// `n^^^RXX01^MR`: one patient.
    pub(crate) hospital_number: &'a str,
    /// From the 999 range, verified (status 01).
    pub(crate) nhs_number: Option<String>,
}

impl Adt<'_> {
    /// The segments, each ended by CR.
    pub(crate) fn text(&self) -> String {
        let Self { trigger, control_id, hospital_number, nhs_number } = self;
        let (nhs, status) = match nhs_number {
            Some(number) => (format!("{number}^^^NHS^NH~"), "NSTS01"),
            None => (String::new(), "NSTS07"),
        };
        let pid3 = format!("{nhs}{hospital_number}^^^RXX01^MR");
        let visit = format!("V{hospital_number}");
        [
            // MSH-1 is the separator itself, so MSH-n is the piece before the n-th.
            segment(
                "MSH",
                &[
                    (1, "^~\\&"),
                    (2, "PAS"),
                    (3, "RXX01"),
                    (4, "ROUTE"),
                    (5, "ROUTE"),
                    (6, "20260115101500"),
                    (8, &format!("ADT^{trigger}^ADT_A01")),
                    (9, control_id),
                    (10, "P"),
                    (11, "2.4"),
                    (16, "GBR"),
                    (17, "UNICODE UTF-8"),
                    (18, "EN"),
                    (20, "ITKv1.0"),
                ],
            ),
            segment("EVN", &[(2, "20260115101500"), (6, "20260115101000")]),
            segment(
                "PID",
                &[
                    (1, "1"),
                    (3, &pid3),
                    (5, "EXAMPLE^ALEX^^^MX^^L"),
                    (7, "19800229"),
                    (8, "1"),
                    (11, "1 SAMPLE STREET^^ANYTOWN^^ZZ99 9ZZ^GBR^H"),
                    (32, status),
                ],
            ),
            segment(
                "PV1",
                &[
                    (1, "1"),
                    (2, "I"),
                    (3, "^WARD1^BED2^RXX01"),
                    (19, &visit),
                    (44, "20260115101000"),
                ],
            ),
        ]
        .concat()
    }
}

/// A valid NHS Number of the 999 range, if there is one for these digits.
pub(crate) fn test_number(digits: &str) -> Option<String> {
    let padded = format!("{digits:0>6}");
    let body = format!("999{}", &padded[padded.len() - 6..]);
    if !body.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let weighted = body.bytes().zip((2..=10).rev());
    let sum: u32 = weighted.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    match 11 - sum % 11 {
        10 => None,
        11 => Some(format!("{body}0")),
        check => Some(format!("{body}{check}")),
    }
}

/// A segment from its numbered pieces, in rising order, ended by CR.
fn segment(name: &str, pieces: &[(usize, &str)]) -> String {
    let mut text = name.to_owned();
    let mut last = 0;
    for (number, piece) in pieces {
        text.push_str(&"|".repeat(number - last));
        text.push_str(piece);
        last = *number;
    }
    text + "\r"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'m>(message: &'m str, segment: &str, number: usize) -> &'m str {
        let line = message.split('\r').find(|line| line.starts_with(segment)).unwrap();
        line.split('|').nth(number).unwrap_or_default()
    }

    #[test]
    fn every_part_stands_in_its_field() {
        let message = Adt {
            trigger: "A01",
            control_id: "C1",
            hospital_number: "1000001",
            nhs_number: test_number("1000001"),
        };
        let text = message.text();
        assert_eq!(field(&text, "MSH", 9), "C1");
        assert_eq!(field(&text, "MSH", 17), "UNICODE UTF-8");
        assert_eq!(field(&text, "EVN", 6), "20260115101000");
        assert_eq!(field(&text, "PID", 3), "9990000018^^^NHS^NH~1000001^^^RXX01^MR");
        assert_eq!(field(&text, "PID", 32), "NSTS01");
        assert_eq!(field(&text, "PV1", 19), "V1000001");
        assert_eq!(field(&text, "PV1", 44), "20260115101000");
        let unknown = Adt { nhs_number: None, ..message }.text();
        assert_eq!(field(&unknown, "PID", 3), "1000001^^^RXX01^MR");
    }

    #[test]
    fn test_numbers_have_their_check_digit() {
        assert_eq!(test_number("1000001").as_deref(), Some("9990000018"));
        assert_eq!(test_number("1000002").as_deref(), Some("9990000026"));
    }
}
