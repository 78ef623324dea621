//! A message put together again from its parts, to show that they miss nothing.

use crate::message::Message;

impl Message {
    /// [`Message::readable`], put together again from what stands between segments, and from the
    /// components of the repetitions of the fields of each. Equal to it for every message.
    pub fn reassembled(&self) -> Vec<u8> {
        let bytes = self.readable();
        let delimiters = self.delimiters();
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for segment in self.segments() {
            out.extend_from_slice(&bytes[at..segment.range().start]);
            at = segment.range().end;
            if segment.field_count() == 0 {
                out.extend_from_slice(segment.raw());
                continue;
            }
            let header = matches!(segment.name(), "MSH" | "FHS" | "BHS");
            out.extend_from_slice(&segment.raw()[..3]);
            for field in segment.fields().skip(usize::from(header)) {
                out.push(delimiters.field);
                for (index, repetition) in field.repetitions().enumerate() {
                    if index > 0 {
                        out.push(delimiters.repetition);
                    }
                    for (index, component) in repetition.components().enumerate() {
                        if index > 0 {
                            out.push(delimiters.component);
                        }
                        out.extend_from_slice(component.raw());
                    }
                }
            }
        }
        out.extend_from_slice(&bytes[at..]);
        out
    }
}
