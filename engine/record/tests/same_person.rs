//! How often the comparison of names and birth dates parks the right patient, and how often it lets
//! a wrong one pass: measured on pairs that are labelled by how they were made. All invented.

use std::collections::BTreeMap;

use record::demographics::{Agreement, Demographics, agreement, nothing_in_common};

/// Family, given, birth date.
type Person = [&'static str; 3];

const PEOPLE: [Person; 24] = [
    ["SMITH", "Ann", "19651213"],
    ["O'Connor", "Sinéad", "19710204"],
    ["Müller", "Jürgen", "19480309"],
    ["Nguyễn", "Thị", "19901130"],
    ["Okafor", "Chukwuemeka", "19830617"],
    ["Jones", "William", "19550422"],
    ["Begum", "Shamima", "19780101"],
    ["Khan", "Mohammed", "19940825"],
    ["Łukasik", "Agnieszka", "19870711"],
    ["van der Berg", "Pieter", "19610528"],
    ["Llewellyn", "Gwenllïan", "20030916"],
    ["Patel", "Priya", "19991003"],
    ["Taylor", "Elizabeth", "19370218"],
    ["Brown", "Robert", "19690630"],
    ["Ionescu", "Ștefan", "19750812"],
    ["García", "José", "19820119"],
    ["MacDonald", "Isla", "20120707"],
    ["Walker", "Margaret", "19290505"],
    ["Yılmaz", "Ayşe", "19960214"],
    ["Evans", "Rhys", "19880926"],
    ["Adeyemi", "Folasade", "19731231"],
    ["Kowalska", "Zofia", "20190420"],
    ["Hughes", "Jo", "19570613"],
    ["Svensson", "Åsa", "19661024"],
];

/// Other forms of a given name that share neither initial nor beginning.
const NICKNAMES: [(&str, &str); 3] =
    [("William", "Bill"), ("Robert", "Bob"), ("Margaret", "Peggy")];

fn of(person: Person) -> Demographics {
    Demographics::new(person[0], person[1], person[2])
}

fn made(family: &str, given: &str, born: &str) -> Demographics {
    Demographics::new(family, given, born)
}

/// The third letter doubled: a slip of the finger.
fn typo(text: &str) -> String {
    text.chars()
        .enumerate()
        .flat_map(|(at, c)| std::iter::repeat_n(c, 1 + usize::from(at == 2)))
        .collect()
}

fn without_diacritics(text: &str) -> String {
    record::demographics::fold(text)
}

fn swapped(born: &str) -> String {
    format!("{}{}{}", &born[..4], &born[6..], &born[4..6])
}

fn other_day(born: &str) -> String {
    format!("{}{:02}", &born[..6], born[6..].parse::<u32>().expect("digits") % 28 + 1)
}

fn other_year(born: &str) -> String {
    format!("{}{}", born[..4].parse::<u32>().expect("digits") + 10, &born[4..])
}

/// What is known, what is stated, and how the pair was made; all of the same person.
fn same() -> Vec<(&'static str, Demographics, Demographics)> {
    let mut pairs = Vec::new();
    for person in PEOPLE {
        let [family, given, born] = person;
        let initial: String = given.chars().take(1).collect();
        let mut pair = |how, stated| pairs.push((how, of(person), stated));
        pair("unchanged", of(person));
        pair(
            "lower case, no diacritics",
            made(&without_diacritics(family).to_lowercase(), given, born),
        );
        pair("typo in the family name", made(&typo(family), given, born));
        pair("typo in the given name", made(family, &typo(given), born));
        pair("initial only", made(family, &initial, born));
        pair("married", made("Whittaker", given, born));
        pair("hyphenated", made(&format!("{family}-Whittaker"), given, born));
        pair("day and month swapped", made(family, given, &swapped(born)));
        pair("another day", made(family, given, &other_day(born)));
        pair("another year", made(family, given, &other_year(born)));
        pair("no birth date", made(family, given, ""));
        pair("no given name", made(family, "", born));
        pair("not known yet", made("UNKNOWN", "MALE", "19000101"));
        pair("typo and day and month swapped", made(&typo(family), given, &swapped(born)));
        pair("married, another day", made("Whittaker", given, &other_day(born)));
        if let Some((_, short)) = NICKNAMES.iter().find(|(name, _)| *name == given) {
            pair("short name", made(family, short, born));
            pair("married, short name", made("Whittaker", short, born));
        }
        // The name before marriage is known, and comes with another slip.
        let mut both = made("Whittaker", given, born);
        both.families.push(without_diacritics(family));
        pairs.push(("maiden name", both, made(family, &initial, &other_day(born))));
    }
    pairs
}

fn different() -> Vec<(&'static str, Demographics, Demographics)> {
    let mut pairs = Vec::new();
    for (at, person) in PEOPLE.into_iter().enumerate() {
        let [family, _, born] = person;
        let stranger = PEOPLE[(at + 7) % PEOPLE.len()];
        let mut pair = |how, stated| pairs.push((how, of(person), stated));
        pair("stranger", of(stranger));
        pair("stranger without given name", made(stranger[0], "", stranger[2]));
        pair("stranger born on the day", made(stranger[0], stranger[1], born));
        pair("brother or sister", made(family, stranger[1], stranger[2]));
        pair("parent of the same name", made(family, person[1], stranger[2]));
        pair("stranger of whom only the name is known", made(stranger[0], stranger[1], ""));
    }
    pairs
}

fn count<T: PartialEq>(
    pairs: &[(&'static str, Demographics, Demographics)],
    counts: impl Fn(Agreement) -> T,
    wanted: &T,
) -> (usize, BTreeMap<&'static str, usize>) {
    let mut by_cause = BTreeMap::new();
    for (how, held, stated) in pairs {
        if counts(agreement(held, stated)) == *wanted {
            *by_cause.entry(*how).or_default() += 1;
        }
    }
    (by_cause.values().sum(), by_cause)
}

#[test]
fn the_right_patient_is_seldom_parked_and_a_wrong_one_seldom_passes() {
    let (same, different) = (same(), different());
    assert!(same.len() + different.len() >= 200);
    let parks = |found| found == Agreement::Differs;
    let (false_parks, causes) = count(&same, parks, &true);
    let (misses, missed) = count(&different, parks, &false);
    println!(
        "false parks: {false_parks} of {} {causes:?}; misses: {misses} of {} {missed:?}",
        same.len(),
        different.len(),
    );
    // The price of the rule: a new family name together with a short form that begins otherwise.
    assert_eq!(causes.keys().copied().collect::<Vec<_>>(), ["married, short name"]);
    assert!(false_parks * 100 <= same.len(), "{false_parks} of {}", same.len());
    // Where no number is held only strangers park, and none of them passes of whom all is known.
    let other = |pairs: &[(&str, Demographics, Demographics)], of: &str| {
        let all = pairs.iter().filter(|(how, ..)| of.is_empty() || *how == of);
        all.filter(|(_, held, stated)| nothing_in_common(held, stated)).count()
    };
    assert_eq!(other(&same, ""), 0);
    assert!(other(&different, "stranger") * 10 >= PEOPLE.len() * 9);
    // What no comparison of these three can see: parent and child of one name, ...
    let blind = ["parent of the same name"];
    let seen = missed.iter().filter(|(how, _)| !blind.contains(how));
    let unexpected: usize = seen.map(|(_, count)| count).sum();
    assert!(unexpected * 20 <= different.len(), "{missed:?}");
}

#[test]
fn twins_are_told_from_strangers() {
    for person in PEOPLE {
        let [family, given, born] = person;
        let other = if given.starts_with('B') { "Carys" } else { "Beatrice" };
        assert_eq!(agreement(&of(person), &made(family, other, born)), Agreement::Twin);
        assert_eq!(agreement(&of(person), &made("", other, born)), Agreement::Twin);
        assert_eq!(agreement(&of(person), &made(family, given, born)), Agreement::Same);
        assert_eq!(agreement(&of(person), &Demographics::default()), Agreement::Unknown);
    }
}

#[test]
fn sex_is_never_asked_and_placeholders_are_nothing() {
    for name in ["UNKNOWN", "unk", "Baby of", "B/O", "Twin 1", "TWIN II", "Not known", "?"] {
        assert!(made(name, name, "18991231").is_empty(), "{name}");
    }
    for date in ["", "0", "19", "196513", "notadate", "19651301", "00000000", "19000101"] {
        let found = made("", "", date).birth_date;
        // A month that is none leaves the year.
        assert_eq!(found.is_some(), matches!(date, "196513" | "19651301"), "{date}");
    }
    assert!(!format!("{:?}", made("SMITH", "ANN", "19651213")).contains("SMITH"));
}
