//! Visits on their way from one statement to another.

use record::local::LocalId;
use serde_json::{Map, Value, json};

use crate::statement::{DEATH_ON_DISCHARGE, LOCAL, Statement, put_visits, visits_of};

/// A visit on its way from one statement to another.
pub(crate) struct Taken {
    pub(crate) number: String,
    pub(crate) visit: Value,
    /// Its discharge says that the patient died.
    died: bool,
}

/// Takes visits out of a statement.
pub(crate) fn take_visits(
    statement: &mut Statement,
    goes: impl Fn(&str, &Value) -> bool,
) -> Vec<Taken> {
    let all = visits_of(statement).into_iter();
    let (taken, left): (Map<_, _>, Map<_, _>) = all.partition(|(number, of)| goes(number, of));
    put_visits(statement, left);
    let ended = statement.get(DEATH_ON_DISCHARGE).and_then(Value::as_str).map(str::to_owned);
    let taken = taken.into_iter().map(|(number, visit)| {
        let died = ended.as_ref() == Some(&number);
        if died {
            statement.shift_remove(DEATH_ON_DISCHARGE);
        }
        Taken { number, visit, died }
    });
    taken.collect()
}

/// Puts a visit into a statement, under its number there; what is there of it already stays.
pub(crate) fn give_visit(statement: &mut Statement, number: &str, taken: Taken) {
    let mut visits = visits_of(statement);
    visits.entry(number).or_insert(taken.visit);
    put_visits(statement, visits);
    if taken.died {
        statement.insert(DEATH_ON_DISCHARGE.to_owned(), json!(number));
    }
}

/// Whether a visit was stated under this identifier.
pub(crate) fn told_under(visit: &Value, local: &LocalId) -> bool {
    visit.get(LOCAL).and_then(Value::as_str).is_some_and(|text| text == local.to_string())
}

/// The visit is stated under this identifier from now on.
pub(crate) fn tell_under(visit: &mut Value, local: &LocalId) {
    visit[LOCAL] = json!(local.to_string());
}
