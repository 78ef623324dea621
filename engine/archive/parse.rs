//! From text to a query.
//!
//! ```text
//! query = { time } [ or ] { time [ "and" ] [ or ] }      a time holds for all that stands beside it
//! or    = and { "or" and }
//! and   = not { "and" not }
//! not   = "not" not | "(" query ")" | time | test
//! time  = ("since" | "until") WHEN
//! test  = FIELD OPERATOR VALUE              =  !=  ~ (regular expression)  <  <=  >  >=
//! ```

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::patient::nhs_number_in;
use crate::query::{Condition, Order, Pattern, Query, Test, Word};
use crate::state::State;
use crate::token::{Kind, Token, tokens};
use crate::when::{Clock, FORMS};

/// Longest text of a query, in bytes.
const LONGEST: usize = 2_000;
/// How deep parentheses and `not` may go.
const DEEPEST: usize = 50;
/// Bytes that a compiled regular expression may take.
const LARGEST_EXPRESSION: usize = 256 * 1024;

const FIELDS: &str =
    "id, channel, type, control, state, reason, peer, sender, event, received, since or until";
const STATES: &str = "pending, parked, published, filtered, discarded, superseded or duplicate";
const PATIENT: &str = "patient identifiers are not written in a query, where others may read them; \
    ask with `--ask nhs` or `--ask local`, which read them from standard input";

/// Why a text is not a query: where, and what to write instead. It quotes nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The character at which it went wrong, from 1.
    pub column: usize,
    /// What is wrong and what to write.
    pub help: String,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query, column {}: {}", self.column, self.help)
    }
}

impl std::error::Error for QueryError {}

impl Query {
    /// Reads a query, for example `type=ADT^A01 and state=parked since 2h`. The empty text asks for
    /// every message.
    pub fn parse(text: &str, clock: &Clock) -> Result<Self, QueryError> {
        let error = |at: usize, help: &str| QueryError {
            column: text.get(..at).unwrap_or(text).chars().count() + 1,
            help: help.to_owned(),
        };
        if text.len() > LONGEST {
            return Err(error(LONGEST, "a query has at most 2,000 bytes; ask for less at once"));
        }
        if let Some(at) = nhs_number_in(text) {
            return Err(error(at, PATIENT));
        }
        let words = tokens(text).map_err(|open| error(open.0, "this quote is not closed"))?;
        let mut parser = Parser { words: &words, next: 0, depth: 0, clock, end: text.len() };
        let read = parser.query().and_then(|condition| match parser.peek() {
            None => Ok(Self { condition }),
            Some(_) => Err(parser.wrong("expected `and`, `or`, `since` or `until`")),
        });
        read.map_err(|wrong| error(wrong.at, &wrong.help))
    }
}

struct Wrong {
    at: usize,
    help: String,
}

struct Parser<'t> {
    words: &'t [Token],
    next: usize,
    depth: usize,
    clock: &'t Clock,
    end: usize,
}

impl<'t> Parser<'t> {
    fn query(&mut self) -> Result<Condition, Wrong> {
        let mut all = Vec::new();
        // Beside a time, and at the beginning, a condition needs no `and`.
        let mut may_follow = true;
        while !matches!(self.peek(), None | Some(Kind::Close)) {
            if let Some(time) = self.time()? {
                all.push(time);
                may_follow = true;
                if self.took("and") && matches!(self.peek(), None | Some(Kind::Close)) {
                    return Err(self.wrong("expected a condition after `and`"));
                }
            } else if may_follow {
                all.push(self.any()?);
                may_follow = false;
            } else {
                break;
            }
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    fn any(&mut self) -> Result<Condition, Wrong> {
        let mut any = vec![self.all()?];
        while self.took("or") {
            any.push(self.all()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Condition::Any(any) })
    }

    fn all(&mut self) -> Result<Condition, Wrong> {
        let mut all = vec![self.not()?];
        while self.took("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    fn not(&mut self) -> Result<Condition, Wrong> {
        if self.depth == DEEPEST {
            return Err(self.wrong("nested too deeply; write it flatter"));
        }
        self.depth += 1;
        let condition = if self.took("not") {
            Condition::Not(Box::new(self.not()?))
        } else if self.peek() == Some(&Kind::Open) {
            self.next += 1;
            let inner = self.query()?;
            if self.peek() != Some(&Kind::Close) {
                return Err(self.wrong("expected `)`, `and` or `or`"));
            }
            self.next += 1;
            inner
        } else if let Some(time) = self.time()? {
            time
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn time(&mut self) -> Result<Option<Condition>, Wrong> {
        let since = self.is_word("since");
        if !since && !self.is_word("until") {
            return Ok(None);
        }
        self.next += 1;
        let stretch = self.value().and_then(|text| self.clock.read(text));
        let stretch = stretch.ok_or_else(|| self.wrong(&format!("expected {FORMS}")))?;
        self.next += 1;
        // Until a date is until its end.
        let test = if since {
            Test::Received(Order::AtLeast, stretch.begins)
        } else {
            Test::Received(Order::Below, stretch.ends)
        };
        Ok(Some(Condition::Test(test)))
    }

    fn test(&mut self) -> Result<Condition, Wrong> {
        let Some(Kind::Word(field)) = self.peek() else {
            return Err(self.wrong(&format!("expected one of {FIELDS}")));
        };
        let field = match field.as_str() {
            "id" => Field::Id,
            "received" => Field::Received,
            "state" => Field::State,
            "channel" => Field::Word(Word::Channel),
            "type" => Field::Word(Word::Type),
            "control" | "control_id" => Field::Word(Word::ControlId),
            "reason" => Field::Word(Word::Reason),
            "peer" => Field::Word(Word::Peer),
            "sender" => Field::Word(Word::Sender),
            "event" => Field::Word(Word::Event),
            "nhs" | "nhs_number" | "local" | "local_id" => return Err(self.wrong(PATIENT)),
            _ => return Err(self.wrong(&format!("no such field; expected one of {FIELDS}"))),
        };
        self.next += 1;
        let operator = match self.peek() {
            Some(Kind::Operator(operator)) if field.operators().contains(operator) => *operator,
            _ => {
                let all = field.operators().join(" ");
                return Err(self.wrong(&format!("expected one of {all}")));
            }
        };
        self.next += 1;
        let test = self.tested(field, operator)?;
        self.next += 1;
        let test = Condition::Test(test);
        Ok(if operator == "!=" { Condition::Not(Box::new(test)) } else { test })
    }

    fn tested(&self, field: Field, operator: &str) -> Result<Test, Wrong> {
        let Some(value) = self.value() else {
            return Err(self.wrong(
                "expected a value; put it in quotes if it has blanks, brackets or operators",
            ));
        };
        Ok(match field {
            Field::Id => {
                let id =
                    value.parse().map_err(|_| self.wrong("expected the number of a message"))?;
                Test::Id(order(operator), id)
            }
            Field::Received => {
                let stretch = self
                    .clock
                    .read(value)
                    .ok_or_else(|| self.wrong(&format!("expected {FORMS}")))?;
                // After a date is after its end; after a moment is after its millisecond.
                match operator {
                    ">" if stretch.ends > stretch.begins => {
                        Test::Received(Order::AtLeast, stretch.ends)
                    }
                    "<=" if stretch.ends > stretch.begins => {
                        Test::Received(Order::Below, stretch.ends)
                    }
                    _ => Test::Received(order(operator), stretch.begins),
                }
            }
            Field::State if operator == "~" => {
                let expression = self.expression(value)?;
                let states = State::ALL.into_iter();
                Test::State(states.filter(|state| expression.is_match(state.as_str())).collect())
            }
            Field::State => {
                let state = value.parse();
                Test::State(vec![
                    state.map_err(|_| self.wrong(&format!("expected one of {STATES}")))?,
                ])
            }
            Field::Word(word) if operator == "~" => {
                Test::Word(word, Pattern::Matches(self.expression(value)?))
            }
            Field::Word(word) => Test::Word(word, Pattern::Is(value.to_owned())),
        })
    }

    fn expression(&self, text: &str) -> Result<Regex, Wrong> {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(LARGEST_EXPRESSION).dfa_size_limit(LARGEST_EXPRESSION);
        builder.build().map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => self.wrong("this regular expression is too large"),
            _ => self.wrong("this is not a regular expression; `\\` takes a sign's meaning away"),
        })
    }

    fn peek(&self) -> Option<&'t Kind> {
        self.words.get(self.next).map(|token| &token.kind)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Word(text)) if text == word)
    }

    fn took(&mut self, word: &str) -> bool {
        let took = self.is_word(word);
        self.next += usize::from(took);
        took
    }

    fn value(&self) -> Option<&'t str> {
        match self.peek() {
            Some(Kind::Word(text) | Kind::Quoted(text)) => Some(text),
            _ => None,
        }
    }

    /// What is wrong with the next word.
    fn wrong(&self, help: &str) -> Wrong {
        let at = self.words.get(self.next).map_or(self.end, |token| token.at);
        Wrong { at, help: help.to_owned() }
    }
}

#[derive(Clone, Copy)]
enum Field {
    Id,
    Received,
    State,
    Word(Word),
}

impl Field {
    fn operators(self) -> &'static [&'static str] {
        match self {
            Self::Id => &["=", "!=", "<", "<=", ">", ">="],
            Self::Received => &["<", "<=", ">", ">="],
            Self::State | Self::Word(_) => &["=", "!=", "~"],
        }
    }
}

fn order(operator: &str) -> Order {
    match operator {
        "<" => Order::Below,
        "<=" => Order::AtMost,
        ">" => Order::Above,
        ">=" => Order::AtLeast,
        _ => Order::Equal,
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn clock() -> Clock {
        Clock { now: "2026-11-22T12:00:00Z".parse().unwrap(), zone: TimeZone::UTC }
    }

    /// A condition written in one certain way.
    fn written(condition: &Condition) -> String {
        let joined = |all: &[Condition], by: &str| {
            format!("({})", all.iter().map(written).collect::<Vec<_>>().join(by))
        };
        match condition {
            Condition::All(all) => joined(all, " & "),
            Condition::Any(any) => joined(any, " | "),
            Condition::Not(not) => format!("!{}", written(not)),
            Condition::Test(Test::Word(word, Pattern::Is(text))) => format!("{word:?}={text}"),
            Condition::Test(Test::Word(word, Pattern::Matches(text))) => format!("{word:?}~{text}"),
            Condition::Test(Test::State(states)) => format!("{states:?}"),
            Condition::Test(Test::Id(order, id)) => format!("{order:?} {id}"),
            Condition::Test(Test::Received(order, ms)) => {
                format!("{order:?} {}", jiff::Timestamp::from_millisecond(*ms).unwrap())
            }
            Condition::Test(Test::Patient(_)) => "patient".to_owned(),
        }
    }

    fn read(text: &str) -> String {
        written(&Query::parse(text, &clock()).expect(text).condition)
    }

    fn wrong(text: &str) -> String {
        Query::parse(text, &clock()).expect_err(text).to_string()
    }

    #[test]
    fn conditions_bind_as_a_person_expects() {
        assert_eq!(read(""), "()");
        assert_eq!(read("type=ADT^A01"), "Type=ADT^A01");
        assert_eq!(
            read("channel=pas-adt and (reason~\"identity.*\" or not state=published)"),
            "(Channel=pas-adt & (Reason~identity.* | ![Published]))"
        );
        assert_eq!(read("id=1 or id=2 and id=3"), "(Equal 1 | (Equal 2 & Equal 3))");
        assert_eq!(read("not id=1 and id != 2"), "(!Equal 1 & !Equal 2)");
        assert_eq!(read("state~ed$"), "[Parked, Published, Filtered, Discarded, Superseded]");
        assert_eq!(read("control='and' and peer=not"), "(ControlId=and & Peer=not)");
    }

    #[test]
    fn a_time_holds_for_all_that_stands_beside_it() {
        let since = "AtLeast 2026-11-22T10:00:00Z";
        assert_eq!(read("since 2h"), since);
        assert_eq!(read("id=1 or id=2 since 2h"), format!("((Equal 1 | Equal 2) & {since})"));
        assert_eq!(read("since 2h id=1 or id=2"), format!("({since} & (Equal 1 | Equal 2))"));
        assert_eq!(read("since 2h and id=1"), format!("({since} & Equal 1)"));
        assert_eq!(read("id=1 and since 2h"), format!("(Equal 1 & {since})"));
        assert_eq!(read("not (id=1 since 2h)"), format!("!(Equal 1 & {since})"));
        assert_eq!(
            read("since 2026-11-01 until 2026-11-02"),
            "(AtLeast 2026-11-01T00:00:00Z & Below 2026-11-03T00:00:00Z)"
        );
        assert_eq!(read("until 2026-11-02T10:00"), "Below 2026-11-02T10:00:00Z");
    }

    #[test]
    fn a_date_is_a_whole_day() {
        assert_eq!(read("received<2026-11-02"), "Below 2026-11-02T00:00:00Z");
        assert_eq!(read("received<=2026-11-02"), "Below 2026-11-03T00:00:00Z");
        assert_eq!(read("received>2026-11-02"), "AtLeast 2026-11-03T00:00:00Z");
        assert_eq!(read("received>=2026-11-02"), "AtLeast 2026-11-02T00:00:00Z");
        assert_eq!(read("received>2h"), "Above 2026-11-22T10:00:00Z");
    }

    #[test]
    fn an_error_says_where_and_what_to_write() {
        for (text, column, help) in [
            ("colour=red", 1, "expected one of id, channel, type"),
            ("state=lost", 7, "expected one of pending, parked"),
            ("type=ADT^A01 state=parked", 14, "expected `and`, `or`, `since` or `until`"),
            ("type", 5, "expected one of = != ~"),
            ("id~1", 3, "expected one of = != < <= > >="),
            ("id=one", 4, "the number of a message"),
            ("received=2026-11-22", 9, "expected one of < <= > >="),
            ("since yesterday", 7, "a span such as 30m, 2h"),
            ("type=", 6, "expected a value"),
            ("type=ADT and", 13, "expected one of id, channel"),
            ("(type=ADT", 10, "expected `)`"),
            ("(since 2h and)", 14, "expected a condition after `and`"),
            ("type=ADT)", 9, "expected `and`"),
            ("é=1 and type=\"ADT", 14, "this quote is not closed"),
            ("reason~\"(\"", 8, "not a regular expression"),
            ("reason~\"(a{999}){999}\"", 8, "too large"),
        ] {
            let said = wrong(text);
            assert!(said.starts_with(&format!("query, column {column}: ")), "{text}: {said}");
            assert!(said.contains(help), "{text}: {said}");
        }
    }

    #[test]
    fn a_patient_is_not_asked_for_in_the_text() {
        for (text, column) in [
            ("nhs=9990000018", 5),
            ("nhs=1", 1),
            ("id=1 and local=7", 10),
            ("control=9990000018", 9),
            ("type=x and control=\"999 000 0018\"", 21),
        ] {
            let said = wrong(text);
            assert!(
                said.starts_with(&format!("query, column {column}: patient")),
                "{text}: {said}"
            );
            assert!(said.contains("--ask nhs") && !said.contains("999"), "{said}");
        }
    }

    #[test]
    fn depth_and_length_have_an_end() {
        assert!(wrong(&"(".repeat(400)).contains("nested too deeply"));
        assert!(wrong(&"not ".repeat(400)).contains("nested too deeply"));
        assert!(wrong(&"x".repeat(2_001)).contains("at most 2,000 bytes"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _query = Query::parse(&text, &clock());
        }

        #[test]
        fn no_words_panic(words in prop::collection::vec(
            prop::sample::select(vec![
                "id", "type", "state", "=", "!=", "~", "<", "(", ")", "not", "and", "or", "since",
                "until", "2h", "2026-11-22", "\"a b\"", "parked", "7", "é", "[", "!",
            ]), 0..14)
        ) {
            let _query = Query::parse(&words.join(" "), &clock());
        }
    }
}
