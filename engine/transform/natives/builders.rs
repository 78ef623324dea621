//! FHIR resources of a message beyond its Patient, Encounter and results.

use hl7::group::Group;
use hl7::message::Message;
use record::fhir::built::{Built, Unmappable};
use record::fhir::flag::FlagInput;
use record::fhir::provenance::Maker;
use record::fhir::{
    allergy, appointment, clinician, condition, document, episode, flag, location, order,
    organization, procedure, provenance, referral, related_person, specimen,
};
use record::source::Source;
use rhai::{Array, Dynamic, EvalAltResult, Map};

use crate::natives::message::{GroupView, Handle};
use crate::natives::resource::Resource;
use crate::null;
use crate::reference::Part;
use crate::run;
use crate::vocabulary::Vocabulary;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Builds one resource; a status of FHIR's may be given.
type One = fn(&Message, &Source, Option<&str>) -> Result<Built, Unmappable>;

pub(crate) fn register(words: &mut Vocabulary) {
    lists(words);
    with_status(words);
    of_groups(words);
    words.add(
        Part::Resources,
        "allergy_status(msg)",
        "What AL1 and IAM say as a whole: \"list\", \"none-known\", \"not-asked\", \"absent\" (nothing \
         was said), \"cleared\" (HL7 null), \"contradiction\" (none known beside an allergy) or \
         \"unclear\" (words of denial that nobody can be sure of).",
        |message: &mut Handle| allergy::status(&message.now().0).name(),
    );
    words.add(
        Part::Resources,
        "episode(msg)",
        "The UK Core EpisodeOfCare of PV1-54, else PV1-50, with ZU1; `()` when the message has none.",
        |message: &mut Handle| {
            run::with(|run| {
                let built = episode::episode(&message.now().0, &run.input.source);
                let Some(built) = built else { return Ok(Dynamic::UNIT) };
                Ok(Dynamic::from(Resource::new(run.built(Ok(built))?, None)))
            })
        },
    );
    words.add(
        Part::Resources,
        "provenance(msg)",
        "The UK Core Provenance: source message, times, channel, script and its version. In an event it \
         aims at all other resources.",
        |message: &mut Handle| {
            run::with(|run| {
                let maker: &Maker = &run.givens.maker;
                let (source, now) = (&run.input.source, run.input.now);
                let built = provenance::provenance(&message.now().0, source, maker, now);
                Ok(Resource::new(run.built(Ok(built))?, None))
            })
        },
    );
    words.add(
        Part::Resources,
        "flag(#{code:, status:, pointer:, ...})",
        "A UK Core Flag: that there is something to know, and where; never what. `status` is \"active\", \
         \"inactive\" or \"entered-in-error\", `pointer` a URL or the name of a system; also `system` \
         (SNOMED CT without it), `display`, `category`, `start`, `end`.",
        |map: Map| flag(&map),
    );
}

/// Builders of lists, which are empty when the message states nothing of the kind.
fn lists(words: &mut Vocabulary) {
    words.add(
        Part::Resources,
        "allergies(msg)",
        "A list of the FHIR List of allergies, which says why when it is empty, and each \
         AllergyIntolerance of AL1 and IAM. A contradiction parks as `allergy.contradiction`; \
         words of denial that are not known are an unconfirmed one in these words.",
        |message: &mut Handle| list(message, allergy::allergies),
    );
    words.add(
        Part::Resources,
        "conditions(msg)",
        "A list of the UK Core Condition of each DG1.",
        |message: &mut Handle| list(message, condition::conditions),
    );
    words.add(
        Part::Resources,
        "procedures(msg)",
        "A list of the UK Core Procedure of each PR1.",
        |message: &mut Handle| list(message, procedure::procedures),
    );
    words.add(
        Part::Resources,
        "practitioners(msg)",
        "A list of a Practitioner of everybody whom the message names, with a PractitionerRole where it \
         says for whom.",
        |message: &mut Handle| list(message, |m, s| Ok(clinician::practitioners(m, s))),
    );
    words.add(
        Part::Resources,
        "related_persons(msg)",
        "A list of the RelatedPerson of each NK1, and of the mother (PID-21).",
        |message: &mut Handle| list(message, |m, s| Ok(related_person::related_persons(m, s))),
    );
    words.add(
        Part::Resources,
        "organizations(msg)",
        "A list of the Organization of the sender, its site, and each that the message names.",
        |message: &mut Handle| list(message, |m, s| Ok(organization::organizations(m, s))),
    );
    words.add(
        Part::Resources,
        "locations(msg)",
        "A list of the Location of each site, ward, room and bed that the message names, the widest \
         first.",
        |message: &mut Handle| list(message, |m, s| Ok(location::locations(m, s))),
    );
}

/// Builders that a script may tell the status.
fn with_status(words: &mut Vocabulary) {
    words.add(
        Part::Resources,
        "appointment(msg)",
        "The UK Core Appointment of SCH and its resources, its status by the trigger event.",
        |message: &mut Handle| one(message, appointment::appointment, None),
    );
    words.add(
        Part::Resources,
        "appointment(msg, status)",
        "The same with a FHIR status: \"booked\", \"arrived\", \"fulfilled\", \"cancelled\", \"noshow\"...",
        |message: &mut Handle, status: &str| one(message, appointment::appointment, Some(status)),
    );
    words.add(
        Part::Resources,
        "referral(msg)",
        "The UK Core ServiceRequest of RF1, PRD and DG1, its status by the trigger event.",
        |message: &mut Handle| one(message, referral::referral, None),
    );
    words.add(
        Part::Resources,
        "referral(msg, status)",
        "The same with a FHIR status: \"active\", \"on-hold\", \"revoked\", \"completed\"...",
        |message: &mut Handle, status: &str| one(message, referral::referral, Some(status)),
    );
    words.add(
        Part::Resources,
        "document(msg)",
        "The UK Core DocumentReference of TXA and OBX, its status by the trigger event.",
        |message: &mut Handle| one(message, document::document, None),
    );
    words.add(
        Part::Resources,
        "document(msg, status)",
        "The same with a FHIR status: \"current\", \"superseded\" or \"entered-in-error\".",
        |message: &mut Handle, status: &str| one(message, document::document, Some(status)),
    );
}

fn of_groups(words: &mut Vocabulary) {
    words.add(
        Part::Resources,
        "specimen(group)",
        "A list of the UK Core Specimen of each SPM, else the one of OBR-15. `report(group)` has them.",
        |group: &mut GroupView| {
            of_group(group, |message, group, source| {
                Ok(specimen::specimens(message, group, source))
            })
        },
    );
    words.add(
        Part::Resources,
        "order(group)",
        "The UK Core ServiceRequest of ORC and OBR, its status by ORC-1 and ORC-5.",
        |group: &mut GroupView| order(group, None),
    );
    words.add(
        Part::Resources,
        "order(group, status)",
        "The same with a FHIR status: \"active\", \"on-hold\", \"revoked\", \"completed\"...",
        |group: &mut GroupView, status: &str| order(group, Some(status)),
    );
}

fn one(message: &Handle, build: One, status: Option<&str>) -> Fallible<Resource> {
    run::with(|run| {
        let built = build(&message.now().0, &run.input.source, status);
        Ok(Resource::new(run.built(built)?, None))
    })
}

fn list(
    message: &Handle,
    build: impl Fn(&Message, &Source) -> Result<Vec<Built>, Unmappable>,
) -> Fallible<Array> {
    run::with(|run| {
        let built = build(&message.now().0, &run.input.source);
        let resource = |built| Dynamic::from(Resource::new(built, None));
        Ok(run.built(built)?.into_iter().map(resource).collect())
    })
}

fn of_group(
    view: &GroupView,
    build: impl Fn(&Message, &Group<'_>, &Source) -> Result<Vec<Built>, Unmappable>,
) -> Fallible<Array> {
    view.with(|group| {
        run::with(|run| {
            let built = build(view.message(), group, &run.input.source);
            let resource = |built| Dynamic::from(Resource::new(built, Some(view.range())));
            Ok(run.built(built)?.into_iter().map(resource).collect())
        })
    })
}

fn order(view: &GroupView, status: Option<&str>) -> Fallible<Resource> {
    view.with(|group| {
        run::with(|run| {
            let built = order::order(view.message(), group, &run.input.source, status);
            Ok(Resource::new(run.built(built)?, Some(view.range())))
        })
    })
}

fn flag(map: &Map) -> Fallible<Resource> {
    const KNOWN: [&str; 8] =
        ["code", "system", "display", "status", "pointer", "category", "start", "end"];
    if let Some(other) = map.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(
            format!("a flag has no `{other}`: it says that there is something, not what").into()
        );
    }
    let text = |key: &str| map.get(key).map(null::text).unwrap_or_default().to_string();
    let input = FlagInput {
        code: text("code"),
        system: text("system"),
        display: text("display"),
        status: text("status"),
        pointer: text("pointer"),
        category: text("category"),
        start: text("start"),
        end: text("end"),
    };
    run::with(|run| {
        let (message, _) = run.message.now();
        let built = flag::flag(&message, &input)?;
        Ok(Resource::new(run.built(Ok(built))?, None))
    })
}
