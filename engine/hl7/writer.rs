//! Writes segments field by field, in a sender's own delimiters and character set.

use crate::ack_form::{Part, Template};
use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::escape;
use crate::header::Header;
use crate::location::Location;

/// Bytes of segments that are being written.
pub(crate) struct Writer {
    out: Vec<u8>,
    delimiters: Delimiters,
    charset: Charset,
}

impl Writer {
    pub(crate) fn new(delimiters: Delimiters, charset: Charset) -> Self {
        Self { out: Vec::with_capacity(256), delimiters, charset }
    }

    pub(crate) fn segment(&mut self, name: &str) {
        if !self.out.is_empty() {
            self.out.push(b'\r');
        }
        self.out.extend_from_slice(name.as_bytes());
    }

    /// A field as it stands in the message. Bytes that would end the segment or the frame cannot be
    /// echoed.
    pub(crate) fn field(&mut self, raw: &[u8]) {
        self.out.push(self.delimiters.field);
        self.raw(raw);
    }

    fn raw(&mut self, raw: &[u8]) {
        let kept = |byte: &&u8| !matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C);
        self.out.extend(raw.iter().filter(kept));
    }

    pub(crate) fn text(&mut self, text: &str) {
        let bytes = self.encoded(text);
        self.field(&bytes);
    }

    pub(crate) fn own_or(&mut self, own: Option<&str>, raw: &[u8]) {
        match own {
            Some(own) => self.text(own),
            None => self.field(raw),
        }
    }

    /// A field as its receiver wants it.
    pub(crate) fn template(&mut self, template: &Template, message: &Header) {
        self.out.push(self.delimiters.field);
        for part in template.parts() {
            match part {
                Part::Field(number) => self.raw(message.raw(*number)),
                Part::Text(text) => self.structured(text),
            }
        }
    }

    /// Text in which the usual delimiters stand for the sender's own.
    fn structured(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['^', '~', '&']) {
            let (plain, joint) = rest.split_at(at);
            let bytes = self.encoded(plain);
            self.out.extend_from_slice(&bytes);
            let joint_here = match joint.as_bytes().first() {
                Some(b'^') => self.delimiters.component,
                Some(b'~') => self.delimiters.repetition,
                _ => self.delimiters.subcomponent,
            };
            if joint_here != Delimiters::NONE {
                self.out.push(joint_here);
            }
            rest = joint.get(1..).unwrap_or_default();
        }
        let bytes = self.encoded(rest);
        self.out.extend_from_slice(&bytes);
    }

    /// What the sender's character set lacks becomes a question mark: an answer must go out.
    fn encoded(&self, text: &str) -> Vec<u8> {
        let escaped = escape(text, &self.delimiters);
        self.charset.encode(&escaped).unwrap_or_else(|_| {
            escaped
                .chars()
                .map(|found| u8::try_from(found).ok().filter(u8::is_ascii).unwrap_or(b'?'))
                .collect()
        })
    }

    /// ERR; `coded` is its form from version 2.5 on, with ERL and coded values.
    pub(crate) fn error_segment(
        &mut self,
        location: Option<Location>,
        code: u16,
        message: &str,
        coded: bool,
    ) {
        self.segment("ERR");
        if coded {
            self.field(b"");
            self.parts(&place(location, true), self.delimiters.component);
            let code = [code.to_string(), describe(code).to_owned(), "HL70357".to_owned()];
            self.parts(&code, self.delimiters.component);
            self.text("E");
            (5..8).for_each(|_| self.field(b""));
            self.text(message);
            return;
        }
        self.parts(&place(location, false), self.delimiters.component);
        let code = [code.to_string(), message.to_owned(), "HL70357".to_owned()];
        let joint = self.delimiters.subcomponent;
        let parts = if joint == Delimiters::NONE { &code[..1] } else { &code };
        self.out.push(self.delimiters.component);
        self.join(parts, joint);
    }

    fn parts(&mut self, parts: &[String], joint: u8) {
        self.out.push(self.delimiters.field);
        self.join(parts, joint);
    }

    fn join(&mut self, parts: &[String], joint: u8) {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.out.push(joint);
            }
            let bytes = self.encoded(part);
            self.out.extend_from_slice(&bytes);
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'\r');
        self.out
    }
}

/// A location as the components of ERL (2.5 and later) or the first three of ELD.
fn place(location: Option<Location>, with_repetition: bool) -> Vec<String> {
    let Some(at) = location else {
        return if with_repetition { vec![] } else { vec![String::new(); 3] };
    };
    let mut parts = vec![at.segment.to_string(), at.occurrence.to_string()];
    let field = at.field.map(|number| number.to_string());
    if with_repetition {
        let repetition = field.as_ref().map(|_| at.repetition.to_string());
        let component = at.component.map(|number| number.to_string());
        let subcomponent = at.subcomponent.map(|number| number.to_string());
        parts.extend([field, repetition, component, subcomponent].into_iter().flatten());
    } else {
        parts.push(field.unwrap_or_default());
    }
    parts
}

/// What table 0357 says of a code.
fn describe(code: u16) -> &'static str {
    match code {
        0 => "Message accepted",
        100 => "Segment sequence error",
        101 => "Required field missing",
        102 => "Data type error",
        103 => "Table value not found",
        104 => "Value too long",
        198 => "Non-conformant cardinality",
        199 => "Other HL7 error",
        200 => "Unsupported message type",
        201 => "Unsupported event code",
        202 => "Unsupported processing id",
        203 => "Unsupported version id",
        204 => "Unknown key identifier",
        205 => "Duplicate key identifier",
        206 => "Application record locked",
        _ => "Application internal error",
    }
}
