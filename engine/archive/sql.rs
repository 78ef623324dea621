//! From a query to SQL, for one shelf.

use regex::Regex;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Error, Result};

use crate::coding::{Found, ids_under, nhs_value, signed, slot, unsigned};
use crate::patient::{PatientIdentifier, is_asked};
use crate::query::{Condition, Order, Pattern, Query, Test, Word};
use crate::schema::COMMON;
use crate::state::State;

/// What can be said of the messages that a query asks for without looking at any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Received from here, milliseconds since 1970 ...
    pub(crate) from_ms: i64,
    /// ... and before here.
    pub(crate) until_ms: i64,
    /// The first and the last id.
    pub(crate) ids: (u64, u64),
}

impl Bounds {
    /// The bounds that a query has at its top.
    pub(crate) fn of(query: &Query) -> Self {
        let mut bounds = Self { from_ms: i64::MIN, until_ms: i64::MAX, ids: (0, u64::MAX) };
        for condition in query.condition.clone().conjuncts() {
            match condition {
                Condition::Test(Test::Received(order, ms)) => {
                    let (from, until) = span(order, ms);
                    bounds.from_ms = bounds.from_ms.max(from);
                    bounds.until_ms = bounds.until_ms.min(until);
                }
                Condition::Test(Test::Id(order, id)) => {
                    let (first, last) = match order {
                        Order::Equal => (id, id),
                        Order::Below | Order::AtMost => (0, id),
                        Order::Above | Order::AtLeast => (id, u64::MAX),
                    };
                    bounds.ids = (bounds.ids.0.max(first), bounds.ids.1.min(last));
                }
                _ => {}
            }
        }
        bounds
    }

    /// Whether any time may be left out.
    pub(crate) fn has_times(&self) -> bool {
        (self.from_ms, self.until_ms) != (i64::MIN, i64::MAX)
    }
}

/// The milliseconds that stand so to one, as `from..until`.
fn span(order: Order, ms: i64) -> (i64, i64) {
    match order {
        Order::Equal => (ms, ms.saturating_add(1)),
        Order::Below => (i64::MIN, ms),
        Order::AtMost => (i64::MIN, ms.saturating_add(1)),
        Order::Above => (ms.saturating_add(1), i64::MAX),
        Order::AtLeast => (ms, i64::MAX),
    }
}

/// A condition in SQL, and the values of its numbered parameters.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
    driver: Driver,
}

/// The index by which a shelf is read. SQLite would have to guess: it does not know how rare a
/// value is, and we do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    Keys,
    State,
    Type,
    Channel,
    Ids,
}

impl Sql {
    /// The condition that a message of the shelf is asked for and has an id in a range.
    pub(crate) fn of(query: &Query, ids: (u64, u64)) -> Self {
        let conjuncts = query.condition.clone().conjuncts();
        let found = conjuncts.iter().find_map(found);
        let driver = driver(&conjuncts, found.is_some());
        let mut sql = Self { text: String::new(), values: Vec::new(), driver };
        if let Some(found) = found {
            let [first, last] = [ids.0, ids.1].map(|id| Value::Integer(signed(slot(id))));
            let (first, last) = (sql.value(first), sql.value(last));
            let hash = sql.value(Value::Integer(i64::from(found.hash())));
            let ids = ids_under(first, last, hash);
            sql.push(&["m.id IN (", &ids, ") AND "]);
        }
        let plus = if sql.driver == Driver::Ids { "" } else { "+" };
        let [first, last] = [ids.0, ids.1].map(|id| Value::Integer(signed(id)));
        let (first, last) = (sql.value(first), sql.value(last));
        sql.push(&[plus, &format!("m.id BETWEEN ?{first} AND ?{last}")]);
        if sql.driver == Driver::State {
            // The very words of the partial index, or SQLite would not see that it may be used.
            sql.push(&[" AND m.state <> ", &COMMON.number().to_string()]);
        }
        for conjunct in &conjuncts {
            sql.text.push_str(" AND ");
            sql.condition(conjunct);
        }
        sql
    }

    fn push(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
    }

    /// Adds a value, and tells the number of its parameter.
    fn value(&mut self, value: Value) -> usize {
        self.values.push(value);
        self.values.len()
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::All(all) => self.joined(all, " AND ", "1"),
            Condition::Any(any) => self.joined(any, " OR ", "0"),
            Condition::Not(not) => {
                self.text.push_str("NOT (");
                self.condition(not);
                self.text.push(')');
            }
            Condition::Test(test) => {
                let text = self.test(test);
                self.text.push_str(&text);
            }
        }
    }

    fn joined(&mut self, conditions: &[Condition], by: &str, none: &str) {
        self.text.push('(');
        for (at, condition) in conditions.iter().enumerate() {
            self.text.push_str(if at == 0 { "" } else { by });
            self.condition(condition);
        }
        self.text.push_str(if conditions.is_empty() { none } else { "" });
        self.text.push(')');
    }

    /// Always true or false, never null: `not` must mean what it says.
    fn test(&mut self, test: &Test) -> String {
        match test {
            Test::Word(word, pattern) => self.word(*word, pattern),
            Test::State(states) => {
                let plus = if self.driver == Driver::State { "" } else { "+" };
                let numbers: Vec<_> =
                    states.iter().map(|state| state.number().to_string()).collect();
                match numbers.as_slice() {
                    [one] => format!("{plus}m.state = {one}"),
                    all => format!("+m.state IN ({})", all.join(", ")),
                }
            }
            Test::Id(order, id) => {
                let id = self.value(Value::Integer(signed(*id)));
                format!("+m.id {} ?{id}", operator(*order))
            }
            Test::Received(order, ms) => {
                let ms = self.value(Value::Integer(*ms));
                format!("m.received {} ?{ms}", operator(*order))
            }
            Test::Patient(PatientIdentifier::NhsNumber(number)) => {
                let number = self.value(nhs_value(number));
                format!("m.nhs IS ?{number}")
            }
            Test::Patient(PatientIdentifier::Local(identifier)) => {
                let identifier = self.value(Value::Text(identifier.clone()));
                format!(
                    "EXISTS (SELECT 1 FROM locals WHERE key BETWEEN m.id << 16 AND \
                     (m.id << 16) + 65535 AND is_asked(identifier, ?{identifier}))"
                )
            }
        }
    }

    fn word(&mut self, word: Word, pattern: &Pattern) -> String {
        let (text, test) = match pattern {
            Pattern::Is(text) => (text.clone(), "= "),
            Pattern::Matches(expression) => (expression.as_str().to_owned(), "IN "),
        };
        let text = self.value(Value::Text(text));
        let names = match pattern {
            Pattern::Is(_) => format!("ifnull((SELECT id FROM names WHERE text = ?{text}), -1)"),
            Pattern::Matches(_) => format!("(SELECT id FROM names WHERE matches(?{text}, text))"),
        };
        let column = match word {
            Word::ControlId if test == "= " => return format!("m.control_id = ?{text}"),
            Word::ControlId => return format!("matches(?{text}, m.control_id)"),
            Word::Event => {
                return format!(
                    "EXISTS (SELECT 1 FROM events WHERE key BETWEEN m.id << 16 AND \
                     (m.id << 16) + 65535 AND events.type {test}{names})"
                );
            }
            Word::Channel if self.driver == Driver::Channel && test == "= " => "m.channel",
            Word::Type if self.driver == Driver::Type && test == "= " => "m.type",
            Word::Channel => "+m.channel",
            Word::Type => "+m.type",
            Word::Reason => "m.reason",
            Word::Peer => "m.peer",
            Word::Sender => "m.sender",
        };
        format!("{column} {test}{names}")
    }
}

fn driver(conjuncts: &[Condition], has_key: bool) -> Driver {
    let has = |wanted: &dyn Fn(&Test) -> bool| {
        conjuncts.iter().any(|condition| matches!(condition, Condition::Test(test) if wanted(test)))
    };
    let is = |wanted: Word| {
        has(&|test| matches!(test, Test::Word(word, Pattern::Is(_)) if *word == wanted))
    };
    if has_key {
        Driver::Keys
    } else if has(&|test| matches!(test, Test::State(states) if is_rare(states))) {
        Driver::State
    } else if is(Word::Type) {
        Driver::Type
    } else if is(Word::Channel) {
        Driver::Channel
    } else {
        Driver::Ids
    }
}

fn is_rare(states: &[State]) -> bool {
    matches!(states, [state] if *state != COMMON)
}

/// What a condition says a message can be found by.
fn found(condition: &Condition) -> Option<Found<'_>> {
    match condition {
        Condition::Test(Test::Word(Word::ControlId, Pattern::Is(text))) => {
            Some(Found::ControlId(text))
        }
        Condition::Test(Test::Patient(PatientIdentifier::NhsNumber(number))) => {
            Some(Found::NhsNumber(number))
        }
        Condition::Test(Test::Patient(PatientIdentifier::Local(identifier))) => {
            Some(Found::Local(identifier))
        }
        _ => None,
    }
}

fn operator(order: Order) -> &'static str {
    match order {
        Order::Equal => "=",
        Order::Below => "<",
        Order::AtMost => "<=",
        Order::Above => ">",
        Order::AtLeast => ">=",
    }
}

/// The ids that were received in a shelf within the bounds; none if there are none.
pub(crate) fn ids_within(connection: &Connection, bounds: &Bounds) -> Result<Option<(u64, u64)>> {
    let mut asked = connection.prepare_cached(
        "SELECT min(first_id), max(last_id) FROM minutes WHERE minute BETWEEN ?1 AND ?2",
    )?;
    let minutes = (bounds.from_ms.div_euclid(60_000), bounds.until_ms.div_euclid(60_000));
    let (first, last): (Option<i64>, Option<i64>) =
        asked.query_row(minutes, |columns| Ok((columns.get(0)?, columns.get(1)?)))?;
    Ok(first.zip(last).map(|(first, last)| (unsigned(first), unsigned(last))))
}

/// Gives a connection the two functions that conditions use.
pub(crate) fn teach(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("matches", 2, flags, |context: &Context<'_>| {
        let expression = context.get_or_create_aux(0, |text| {
            Regex::new(text.as_str()?).map_err(|error| Error::UserFunctionError(error.into()))
        })?;
        let expression: &Regex = &expression;
        Ok(expression.is_match(context.get_raw(1).as_str()?))
    })?;
    connection.create_scalar_function("is_asked", 2, flags, |context: &Context<'_>| {
        Ok(is_asked(context.get_raw(0).as_str()?, context.get_raw(1).as_str()?))
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use rusqlite::params_from_iter;

    use super::*;
    use crate::schema::{Tables, open_for_writing};
    use crate::when::Clock;

    fn query(text: &str) -> Query {
        let clock = Clock { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
        Query::parse(text, &clock).unwrap()
    }

    /// How SQLite would read `messages` for a query.
    fn plan(query: &Query) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let shelf = open_for_writing(&folder.path().join("x.db"), Tables::Shelf).unwrap();
        teach(&shelf).unwrap();
        let sql = Sql::of(query, (1, 1_000_000));
        let text = format!(
            "EXPLAIN QUERY PLAN SELECT * FROM messages AS m WHERE {} ORDER BY m.id DESC LIMIT 10",
            sql.text
        );
        let mut asked = shelf.prepare(&text).unwrap();
        let steps = asked.query_map(params_from_iter(sql.values), |step| step.get(3)).unwrap();
        steps.map(Result::unwrap).collect()
    }

    #[test]
    fn each_query_is_answered_by_its_index_and_in_order() {
        let patient = PatientIdentifier::Local("1".to_owned());
        for (query, index) in [
            (query(""), "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (query("reason=x or type=y"), "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (query("channel=x"), "USING INDEX by_channel (channel=?)"),
            (query("channel=x and type=y"), "USING INDEX by_type (type=?)"),
            (query("channel=x and type=y and state=parked"), "USING INDEX by_state (state=?)"),
            (query("channel=x and state=published"), "USING INDEX by_channel (channel=?)"),
            (query("not channel=x"), "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        ] {
            let plan = plan(&query);
            assert!(plan[0].contains(index), "{index}: {plan:?}");
            assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "{plan:?}");
        }
        for query in [query("control=x and state=parked"), Query::patient(&patient)] {
            let plan = plan(&query);
            assert!(plan[0].contains("USING INTEGER PRIMARY KEY (rowid=?)"), "{plan:?}");
            assert!(
                plan.iter().any(|step| step.contains("keys USING PRIMARY KEY (key=?)")),
                "{plan:?}"
            );
        }
    }

    #[test]
    fn bounds_are_what_all_messages_of_an_answer_share() {
        let bounds = |text: &str| {
            let bounds = Bounds::of(&query(text));
            (bounds.from_ms, bounds.until_ms, bounds.ids)
        };
        assert_eq!(bounds("type=x or id=7"), (i64::MIN, i64::MAX, (0, u64::MAX)));
        assert_eq!(bounds("id>=7 and id<9 and not id=8"), (i64::MIN, i64::MAX, (7, 9)));
        assert_eq!(
            bounds("since 1970-01-02 until 1970-01-02"),
            (86_400_000, 172_800_000, (0, u64::MAX))
        );
        assert_eq!(bounds("(id=3 and id=4) since 0s"), (0, i64::MAX, (4, 3)));
    }
}
