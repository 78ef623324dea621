//! Groups of segments: an order with its results, a segment with its notes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::location::Location;
use crate::message::Message;
use crate::segment::Segment;
use crate::value::Value;

/// Segments that belong together, read like a message of their own.
#[derive(Clone)]
pub struct Group<'m> {
    message: &'m Message,
    range: Range<usize>,
}

impl Message {
    /// Groups that begin with one of the named segments and take what follows.
    ///
    /// The names stand in the order of the standard: a segment joins the group that an earlier name
    /// of the list began (`OBR` after its `ORC`), and otherwise begins its own. A group also ends
    /// where another patient (`PID`), message (`MSH`) or continuation (`DSC`) begins.
    pub fn groups(&self, names: &[&str]) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        // Rank of the last beginner in the open group.
        let mut open: Option<usize> = None;
        for segment in self.segments() {
            let rank = names.iter().position(|name| *name == segment.name());
            match (rank, open) {
                (Some(rank), Some(last)) if rank > last => open = Some(rank),
                (Some(rank), _) => {
                    open = Some(rank);
                    groups.push(Group { message: self, range: segment.index()..segment.index() });
                }
                (None, _) if matches!(segment.name(), "PID" | "MSH" | "DSC") => open = None,
                (None, _) => {}
            }
            if open.is_some()
                && let Some(group) = groups.last_mut()
            {
                group.range.end = segment.index() + 1;
            }
        }
        groups
    }

    /// What was ordered and what came of it: a group for each OBR with its ORC, and for each ORC
    /// without one.
    ///
    /// Where results or requests are stated by specimen (OUL^R22, OUL^R23, OML^O33), SPM stands before
    /// its orders, and in OUL ORC behind its OBR. A group then ends where the next specimen begins, and
    /// what is observed of the specimen itself, between SPM and the first order, is in no group.
    /// OUL^R24 has its specimens inside an order, as ORU has.
    pub fn orders(&self) -> Vec<Group<'_>> {
        let by_specimen = self.is_by_specimen();
        let control_behind = (by_specimen || self.is_oul()) && self.has_control_behind();
        let names: &[&str] = match (by_specimen, control_behind) {
            (true, true) => &["SPM", "OBR", "ORC"],
            (true, false) => &["SPM", "ORC", "OBR"],
            (false, true) => &["OBR", "ORC"],
            (false, false) => &["ORC", "OBR"],
        };
        self.groups(names).into_iter().filter_map(Group::at_its_order).collect()
    }

    /// The specimen of an order, where results are stated by specimen; see [`Message::orders`].
    pub fn specimen_of(&self, order: &Group<'_>) -> Option<Segment<'_>> {
        let start = order.range().start;
        let before = self.segments().take_while(|segment| segment.index() < start);
        before.filter(|segment| segment.name() == "SPM").last().filter(|_| self.is_by_specimen())
    }

    /// The segments at these positions, counted from 0, as a group.
    pub fn group(&self, range: Range<usize>) -> Group<'_> {
        Group { message: self, range }
    }

    /// Whether its first specimen stands before any order (OML^O33), or it is an OUL that states no
    /// specimens inside its orders (R24).
    fn is_by_specimen(&self) -> bool {
        let mut names = self.segments().map(|segment| segment.name());
        let first = names.find(|name| matches!(*name, "SPM" | "ORC" | "OBR"));
        first == Some("SPM") || (self.is_oul() && !self.is_kind(2, "R24"))
    }

    fn is_oul(&self) -> bool {
        self.is_kind(1, "OUL")
    }

    /// Whether that component of MSH-9 is that code.
    fn is_kind(&self, component: usize, code: &str) -> bool {
        let sent = self.segment("MSH", 1).map(|msh| msh.text(9, component));
        sent.and_then(Value::into_option).is_some_and(|sent| sent.trim().eq_ignore_ascii_case(code))
    }

    /// Whether ORC belongs to the OBR before it: the first one stands directly behind one.
    fn has_control_behind(&self) -> bool {
        let orders = self.segments().filter(|segment| segment.name() != "NTE");
        let mut before = "";
        for segment in orders {
            if segment.name() == "ORC" {
                return before == "OBR";
            }
            before = segment.name();
        }
        true
    }

    /// The notes (NTE) that directly follow the segment at a position, counted from 0.
    pub fn notes_of(&self, index: usize) -> impl Iterator<Item = Segment<'_>> {
        self.segment_at(index).into_iter().flat_map(|segment| segment.notes())
    }
}

impl<'m> Group<'m> {
    /// The group without what stands before its order; `None` if it has none.
    fn at_its_order(self) -> Option<Self> {
        let order = self.segments().find(|segment| matches!(segment.name(), "ORC" | "OBR"))?;
        Some(Group { range: order.index()..self.range.end, ..self })
    }

    /// Its segments in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'m>> + use<'m> {
        let message = self.message;
        self.range.clone().filter_map(move |index| message.segment_at(index))
    }

    /// Which segments of the message it has, counted from 0.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The message it belongs to.
    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// The segment of that name, `occurrence` counted from 1 inside the group.
    pub fn segment(&self, name: &str, occurrence: usize) -> Option<Segment<'m>> {
        let mut named =
            self.segments().filter(|segment| !name.is_empty() && segment.name() == name);
        named.nth(occurrence.checked_sub(1)?)
    }

    /// The bytes at a location, its occurrence counted inside the group; see [`Message::raw`].
    pub fn raw(&self, at: &Location) -> Value<&'m [u8]> {
        self.find(at).map_or(Value::Absent, |segment| segment.raw_at(at))
    }

    /// The text at a location, its occurrence counted inside the group; see [`Message::text`].
    pub fn text(&self, at: &Location) -> Value<Cow<'m, str>> {
        self.find(at).map_or(Value::Absent, |segment| segment.text_at(at))
    }

    fn find(&self, at: &Location) -> Option<Segment<'m>> {
        self.segment(at.segment.as_str(), at.occurrence as usize)
    }
}

impl fmt::Debug for Group<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Group({} segments)", self.range.len())
    }
}

#[cfg(test)]
mod tests {
    use crate::message::{Message, Reading};
    use crate::value::Value;

    fn message(names: &str) -> Message {
        let lines = names.split(' ').enumerate().map(|(index, name)| format!("{name}|{index}\r"));
        let text = format!("MSH|^~\\&|LIMS\r{}", lines.collect::<String>());
        Message::parse(text.into_bytes(), &Reading::default()).expect("readable")
    }

    fn groups(names: &str) -> Vec<String> {
        let message = message(names);
        let names = |group: &super::Group<'_>| {
            let names: Vec<&str> = group.segments().map(|segment| segment.name()).collect();
            names.join(" ")
        };
        message.groups(&["ORC", "OBR"]).iter().map(names).collect()
    }

    #[test]
    fn an_order_takes_its_request_and_results() {
        let cases: [(&str, &[&str]); 7] = [
            ("PID ORC OBR OBX OBX ORC OBR OBX", &["ORC OBR OBX OBX", "ORC OBR OBX"]),
            ("PID OBR OBX OBR OBX", &["OBR OBX", "OBR OBX"]),
            ("PID ORC OBR OBX OBR OBX", &["ORC OBR OBX", "OBR OBX"]),
            ("PID ORC NTE OBR NTE OBX", &["ORC NTE OBR NTE OBX"]),
            ("PID OBR OBX ORC OBR", &["OBR OBX", "ORC OBR"]),
            ("PID ORC OBR OBX PID PV1 ORC OBR", &["ORC OBR OBX", "ORC OBR"]),
            ("PID PV1", &[]),
        ];
        for (names, expected) in cases {
            assert_eq!(groups(names), expected, "{names}");
        }
    }

    /// The orders of a message of the type OUL, each with the specimen that it is of.
    fn by_specimen(trigger: &str, names: &str) -> Vec<String> {
        let lines = names.split(' ').enumerate().map(|(index, name)| format!("{name}|{index}\r"));
        let text = format!("MSH|^~\\&|LIMS||||||OUL^{trigger}\r{}", lines.collect::<String>());
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("readable");
        let orders = message.orders();
        let shown = orders.iter().map(|order| {
            let names: Vec<&str> = order.segments().map(|segment| segment.name()).collect();
            let specimen = message.specimen_of(order).map_or(0, |specimen| specimen.index());
            format!("{specimen}: {}", names.join(" "))
        });
        shown.collect()
    }

    #[test]
    fn an_order_stated_by_specimen_has_its_own_results_and_no_others() {
        let cases: [(&str, &[&str]); 7] = [
            (
                "PID SPM OBX OBR ORC OBX OBX OBR ORC OBX SPM OBR OBX",
                &["2: OBR ORC OBX OBX", "2: OBR ORC OBX", "11: OBR OBX"],
            ),
            ("PID SPM OBR NTE ORC OBX OBR OBX", &["2: OBR NTE ORC OBX", "2: OBR OBX"]),
            ("PID SPM ORC OBR OBX ORC OBR OBX", &["2: ORC OBR OBX", "2: ORC OBR OBX"]),
            ("PID SPM OBR OBX ORC OBR OBX", &["2: OBR OBX", "2: ORC OBR OBX"]),
            ("PID SPM OBX SAC OBR ORC OBX SAC OBR OBX", &["2: OBR ORC OBX SAC", "2: OBR OBX"]),
            ("PID SPM OBX SPM OBX OBR OBX", &["4: OBR OBX"]),
            ("PID ORC OBR OBX ORC OBR OBX", &["0: ORC OBR OBX", "0: ORC OBR OBX"]),
        ];
        for (names, expected) in cases {
            assert_eq!(by_specimen("R22", names), expected, "{names}");
        }
        let inside = "PID OBR ORC SPM SAC OBX OBX SPM OBX OBR ORC OBX";
        let expected = ["0: OBR ORC SPM SAC OBX OBX SPM OBX", "0: OBR ORC OBX"];
        assert_eq!(by_specimen("R24", inside), expected);
        assert_eq!(by_specimen("R24", "PID ORC OBR SPM OBX ORC OBR OBX")[1], "0: ORC OBR OBX");
        let requests = message("PID SPM ORC OBR SPM ORC OBR");
        let orders = requests.orders();
        let of = |order| requests.specimen_of(order).map(|specimen| specimen.index());
        assert_eq!(orders.iter().map(of).collect::<Vec<_>>(), [Some(2), Some(5)]);
        let behind = message("PID ORC OBR OBX SPM ORC OBR OBX SPM");
        assert!(behind.orders().iter().all(|order| behind.specimen_of(order).is_none()));
    }

    #[test]
    fn a_group_is_read_like_a_message() {
        let message = message("PID ORC OBR OBX ORC OBR OBX OBX");
        let groups = message.groups(&["ORC", "OBR"]);
        let at = "OBX(2)-1".parse().expect("a location");
        assert_eq!(groups[1].text(&at), Value::Present("7".into()));
        assert_eq!(groups[0].text(&at), Value::Absent);
        assert_eq!(groups[1].range(), 5..9);
        assert!(groups[1].segment("PID", 1).is_none());
    }

    #[test]
    fn notes_belong_to_the_segment_before_them() {
        let message = message("PID NTE OBR OBX NTE NTE OBX NTE");
        let notes = |index: usize| message.notes_of(index).count();
        assert_eq!((notes(1), notes(3), notes(4), notes(7)), (1, 0, 2, 1));
        let first = message.segment("OBX", 1).expect("there");
        let texts: Vec<_> = first.notes().map(|note| note.text(1, 1)).collect();
        assert_eq!(texts, [Value::Present("4".into()), Value::Present("5".into())]);
    }
}
