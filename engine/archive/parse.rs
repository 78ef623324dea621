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
        let test = match since {
            true => Test::Received(Order::AtLeast, stretch.begins),
            false => Test::Received(Order::Below, stretch.ends),
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
