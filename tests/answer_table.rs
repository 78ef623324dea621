//! The table of docs/answers.md: every case is sent to a running engine, and what came back is what
//! the page says.

use std::fmt::Write as _;

use crate::harness::engine::TestEngine;
use crate::harness::repository;
use crate::harness::setup::Setup;

/// Set to write the page instead of comparing it.
const UPDATE: &str = "TIELINE_UPDATE_DOCS";

const INTRODUCTION: &str = "\
# Every answer

This page is written by the engine: each line is a message that was sent to it over a socket, and what
came back (`cargo xtask test --only tests -- answer_table` compares; with `TIELINE_UPDATE_DOCS=1` it
writes). Why they are what they are stands in [Acknowledgements](acknowledgements.md).

`·` between two answers means one after the other, on the same connection.
";

/// A channel with settings of its own, and what is sent to it.
struct Part {
    title: &'static str,
    name: &'static str,
    /// Keys of the channel, as a reader would write them.
    keys: &'static str,
    /// Keys of its listener.
    listener: &'static str,
    cases: &'static [Case],
}

/// One message, described by how it differs from an ordinary one.
#[derive(Clone, Copy)]
struct Case {
    what: &'static str,
    sender: &'static str,
    /// MSH-9.
    kind: &'static str,
    /// MSH-11.
    processing: &'static str,
    /// MSH-12.
    version: &'static str,
    /// MSH-13.
    number: &'static str,
    /// MSH-15 and MSH-16.
    asks: [&'static str; 2],
    /// The whole frame, when it is no such message.
    frame: Option<&'static str>,
    /// What is put behind PV1.
    padding: usize,
}

const ORDINARY: Case = Case {
    what: "a message",
    sender: "PAS",
    kind: "ADT^A01^ADT_A01",
    processing: "P",
    version: "2.4",
    number: "",
    asks: ["", ""],
    frame: None,
    padding: 0,
};

const fn asking(accept: &'static str, application: &'static str) -> Case {
    Case { asks: [accept, application], ..ORDINARY }
}

const fn numbered(what: &'static str, number: &'static str) -> Case {
    Case { what, number, ..ORDINARY }
}

const STRANGER: Case = Case { what: "of an unknown sender", sender: "STRANGER", ..ORDINARY };
const TRAINING: Case = Case { what: "of processing id T", processing: "T", ..ORDINARY };
const UNEXPECTED: Case =
    Case { what: "of a type that is refused", kind: "ORU^R01^ORU_R01", ..ORDINARY };
const LARGE: Case = Case { what: "larger than `max_frame`", padding: 4096, ..ORDINARY };
const UNREADABLE: Case = Case {
    what: "whose MSH cannot be read",
    frame: Some("MSH|^^^^|PAS|RXX01|||||ADT|77|P"),
    ..ORDINARY
};
const FAULTY: Case = Case { what: "that parks", kind: "ADT^A60^ADT_A60", ..ORDINARY };

const PARTS: &[Part] = &[
    Part {
        title: "What is asked for by MSH-15 and MSH-16",
        name: "asked",
        keys: "",
        listener: "",
        cases: &[
            ORDINARY,
            FAULTY,
            asking("AL", ""),
            asking("AL", "NE"),
            asking("AL", "AL"),
            asking("NE", "NE"),
            asking("NE", "AL"),
            asking("NE", "ER"),
            asking("ER", ""),
            asking("ER", "AL"),
            asking("SU", ""),
            asking("", "AL"),
            asking("", "NE"),
            Case { asks: ["AL", "AL"], ..STRANGER },
            Case { asks: ["NE", "NE"], ..STRANGER },
            Case { asks: ["NE", "AL"], ..STRANGER },
            Case { asks: ["ER", ""], ..STRANGER },
            Case { asks: ["SU", ""], ..STRANGER },
            Case {
                what: "an acknowledgement",
                frame: Some("MSH|^~\\&|PAS|RXX01|||||ACK|77|P|2.4\rMSA|AA|1\r"),
                ..ORDINARY
            },
            Case { what: "an acknowledgement of MLLP release 2", frame: Some("\u{6}"), ..ORDINARY },
        ],
    },
    Part {
        title: "Both acknowledgements",
        name: "both",
        keys: "acknowledge: { both: true }",
        listener: "",
        cases: &[ORDINARY, asking("AL", "AL"), asking("AL", "ER"), asking("NE", "AL"), FAULTY],
    },
    Part {
        title: "When it is published",
        name: "published",
        keys: "acknowledge: { when: published, within: 5s }",
        listener: "",
        cases: &[ORDINARY, FAULTY, asking("AL", "AL"), asking("NE", "AL"), STRANGER],
    },
    Part {
        title: "Original mode, whatever is asked for",
        name: "original",
        keys: "acknowledge: { mode: original }",
        listener: "",
        cases: &[
            ORDINARY,
            asking("AL", "NE"),
            asking("NE", "NE"),
            Case { asks: ["AL", "AL"], ..STRANGER },
        ],
    },
    Part {
        title: "Enhanced mode, also where nothing is asked for",
        name: "enhanced",
        keys: "acknowledge: { mode: enhanced }",
        listener: "",
        cases: &[ORDINARY, asking("NE", "NE"), asking("", "AL"), STRANGER],
    },
    Part {
        title: "What is wrong, and the version",
        name: "refused",
        keys: "",
        listener: ", max_frame: 2KiB",
        cases: &[
            STRANGER,
            Case { version: "2.5.1", ..STRANGER },
            Case { version: "2.2", ..STRANGER },
            TRAINING,
            Case { version: "2.6", ..TRAINING },
            UNEXPECTED,
            Case { version: "2.5", ..UNEXPECTED },
            LARGE,
            Case { version: "2.8", asks: ["AL", "NE"], ..LARGE },
            UNREADABLE,
        ],
    },
    Part {
        title: "Other codes for what is wrong",
        name: "errors",
        keys: "acknowledge: { refusals: { unreadable: error, oversize: error, sender: error, \
               processing_id: error, message_type: none } }",
        listener: ", max_frame: 2KiB",
        cases: &[
            STRANGER,
            Case { asks: ["AL", "NE"], ..STRANGER },
            TRAINING,
            UNEXPECTED,
            LARGE,
            UNREADABLE,
        ],
    },
    Part {
        title: "Sequence numbers, one message after the other",
        name: "numbers",
        keys: "acknowledge: { sequence_numbers: true }",
        listener: "",
        cases: &[
            numbered("that asks where the link stands", "0"),
            numbered("that is the first", "7"),
            numbered("that is the next", "8"),
            numbered("that comes too early", "11"),
            numbered("that was seen long ago", "3"),
            numbered("whose answer was lost", "8"),
            numbered("that asks where the link stands", "0"),
            numbered("without a number", ""),
            numbered("with something else in MSH-13", "A05"),
            numbered("that begins the link anew", "-1"),
            numbered("that is the first again", "1"),
        ],
    },
    Part {
        title: "Refused again and again, one message after the other",
        name: "repeated",
        keys: "accept: { senders: [PAS/RXX01], repeated_reject: { park_after: 2 } }",
        listener: "",
        cases: &[STRANGER, STRANGER, STRANGER, STRANGER],
    },
    Part {
        title: "A byte, as in MLLP release 2",
        name: "byte",
        keys: "",
        listener: ", commit_byte: alone",
        cases: &[ORDINARY, asking("AL", "AL"), FAULTY, STRANGER, UNREADABLE],
    },
    Part {
        title: "A byte, and an acknowledgement",
        name: "byte-and-message",
        keys: "",
        listener: ", commit_byte: with-acknowledgement",
        cases: &[ORDINARY, asking("AL", "NE"), asking("NE", "NE"), STRANGER, UNREADABLE],
    },
    Part {
        title: "A form of its own",
        name: "form",
        keys: "acknowledge: { err: false, fields: { MSH-3: TIE, MSH-9: ACK, MSH-10: \"{MSH-10}\", \
               MSH-12: \"2.3\", MSA-3: \"Received {MSH-9}\" } }",
        listener: "",
        cases: &[ORDINARY, STRANGER],
    },
];

fn channels() -> String {
    let mut text = String::from("engine: { environment: test }\nchannels:\n");
    for part in PARTS {
        let accept = "accept: { senders: [PAS/RXX01], types: [ADT], unknown_type: reject }";
        let accept = if part.keys.contains("accept:") { "" } else { accept };
        let keys: Vec<_> =
            [accept, part.keys].into_iter().filter(|keys| !keys.is_empty()).collect();
        writeln!(
            text,
            "  {}: {{ listener: {{ mllp: {{ listen: \"127.0.0.1:0\"{} }} }}, {}, source: {{ preset: \
             itk-2.4, organisation: RXX, test_data: true }}, identity: {{ local: [{{ authority: RXX01, \
             type: MR, default: true }}] }}, transform: {{ script: transforms/pas_adt.rhai, settings: \
             {{ site: RXX01 }} }} }}",
            part.name,
            part.listener,
            keys.join(", ")
        )
        .expect("a String takes it");
    }
    text
}

impl Case {
    /// The control id is the same for a case that is the same, so that it is the same bytes.
    fn message(&self) -> String {
        if let Some(frame) = self.frame {
            return frame.to_owned();
        }
        let Self { sender, kind, processing, version, number, asks: [accept, application], .. } =
            self;
        let header = format!(
            "MSH|^~\\&|{sender}|RXX01|TIE|RXX|20260115101500||{kind}|77{number}|{processing}|{version}|\
             {number}||{accept}|{application}"
        );
        let header = header.trim_end_matches('|');
        let body = "PID|1||1000001^^^RXX01^MR||EXAMPLE^ALEX||19800229|1\r\
                    PV1|1|I|^WARD1^BED2^RXX01||||||||||||||||V1\r";
        format!(
            "{header}\rEVN||20260115101500||||20260115101000\r{body}{}",
            "x".repeat(self.padding)
        )
    }

    fn line(&self, engine: &TestEngine, channel: &str) -> String {
        let mut sender = engine.connect(channel);
        sender.send(self.message());
        let answers: Vec<String> = sender.rest().iter().map(|frame| shown(frame)).collect();
        let answers = if answers.is_empty() { "nothing".to_owned() } else { answers.join(" · ") };
        let Self { what, version, number, asks: [accept, application], .. } = self;
        format!("| {what} | {version} | {number} | {accept} | {application} | {answers} |\n")
    }
}

/// MSA and ERR as they stand; of MSH only what the channel chose.
fn shown(frame: &[u8]) -> String {
    match frame {
        [0x06] => return "byte 06".to_owned(),
        [0x15] => return "byte 15".to_owned(),
        _ => {}
    }
    let text = std::str::from_utf8(frame).expect("ASCII");
    let mut parts = Vec::new();
    for segment in text.split_terminator('\r') {
        if segment.starts_with("MSH") {
            let fields: Vec<_> = segment.split('|').collect();
            let kind = fields.get(8).copied().unwrap_or_default();
            let second = if fields.get(14) == Some(&"NE") { ", MSH-15 and 16 NE" } else { "" };
            let own = if fields.get(9) == Some(&"77") { ", MSH-10 `77`" } else { "" };
            parts.push(format!("`{kind}`{own}{second}"));
        } else {
            parts.push(format!("`{}`", segment.replace('|', "\\|")));
        }
    }
    parts.join(" ")
}

#[test]
fn the_page_says_what_the_engine_answers() {
    let engine = Setup::with(&channels()).start();
    let mut page = INTRODUCTION.to_owned();
    for part in PARTS {
        write!(page, "\n## {}\n\n", part.title).expect("a String takes it");
        let listener = part.listener.trim_start_matches(", ");
        let keys: Vec<_> = [listener, part.keys]
            .into_iter()
            .zip(["listener.mllp: { ", ""])
            .filter(|(keys, _)| !keys.is_empty())
            .map(|(keys, before)| {
                let after = if before.is_empty() { "" } else { " }" };
                format!("`{before}{keys}{after}`")
            })
            .collect();
        if !keys.is_empty() {
            write!(page, "{}\n\n", keys.join(" and ")).expect("a String takes it");
        }
        page.push_str("| message | MSH-12 | MSH-13 | MSH-15 | MSH-16 | answered |\n|---|---|---|---|---|---|\n");
        for case in part.cases {
            page.push_str(&case.line(&engine, part.name));
        }
    }
    let path = repository("docs/answers.md");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (ours, theirs)) in page.lines().zip(committed.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {} of docs/answers.md; {UPDATE}=1 writes it", line + 1);
    }
    assert!(page == committed, "docs/answers.md is out of date: {UPDATE}=1 writes it");
}
