//! What can change in the index. Facts stand in the journal; the index is what they come to.

use record::demographics::{BirthDate, Demographics};
use record::local::LocalId;
use record::name_based::name_based;
use record::nhs_number::{NhsNumber, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::patient::PatientId;

/// One change. Each says how something is now, so that applying a row of facts once more, from any
/// point to its end and in its order, changes nothing. Only [`Fact::Loaded`] depends on what was held:
/// whoever reads the journal again asks `Index::knows` first.
///
/// Written as JSON, `{"bound":{"patient":"p00000000000091a0", ...}}`. `Debug` shows the kind and
/// our own ids only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "a field is what its name and the words of the crate say")]
pub enum Fact {
    /// There is such a patient.
    Created { patient: PatientId },
    /// A load says all of this of a patient, new or known. It takes nothing from anybody: what was
    /// known stays as it is. It counts only of a record that has one of these identifiers, or none.
    Loaded {
        patient: PatientId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<NhsNumber>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        locals: Vec<LocalId>,
        #[serde(default, skip_serializing_if = "Names::is_empty")]
        names: Names,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        protected: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dissent: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stated: Option<LoadedStatement>,
    },
    /// A local identifier is the patient's; `retired` once another one replaced it.
    Bound {
        patient: PatientId,
        local: LocalId,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        retired: bool,
    },
    /// The number is held as trusted for the patient, and for nobody else.
    NumberHeld {
        patient: PatientId,
        number: NhsNumber,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
    },
    /// The number is held no more; it still finds the patient, and never keys.
    NumberRetired { patient: PatientId, number: NhsNumber },
    /// The number was never this patient's.
    NumberReleased { patient: PatientId, number: NhsNumber },
    /// A source said that two records are of one patient. The rest is what the retired one had until
    /// then, and says what to give back: the number, the local identifiers in use, and those that
    /// others had replaced before.
    Merged {
        retired: PatientId,
        survivor: PatientId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<NhsNumber>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        locals: Vec<LocalId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        past: Vec<LocalId>,
    },
    /// Two records proved to be of one patient: as [`Fact::Merged`], and the local identifiers in use
    /// stay so, as the survivor's.
    United {
        retired: PatientId,
        survivor: PatientId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<NhsNumber>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        locals: Vec<LocalId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        past: Vec<LocalId>,
    },
    /// A person decided that they are not. Of the numbers that the survivor got, the one is held
    /// for the retired record again, and the former ones find it.
    Unmerged {
        retired: PatientId,
        survivor: PatientId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<NhsNumber>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        former: Vec<NhsNumber>,
    },
    /// Two records belong together and stay two.
    Linked { patient: PatientId, other: PatientId },
    /// They do so no more.
    Unlinked { patient: PatientId, other: PatientId },
    /// Names and birth date became known.
    Learned {
        patient: PatientId,
        #[serde(default, skip_serializing_if = "Names::is_empty")]
        names: Names,
    },
    /// Protection, dissent or both began or ended; what is left out is as it was. What ends is named
    /// by since when it was so: what was raised again meanwhile, by a load say, stays.
    Sensitivity {
        patient: PatientId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dissent: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protected_since: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dissent_since: Option<i64>,
    },
    /// What the source of the entry, or another one that is named, now states of the patient.
    Stated {
        patient: PatientId,
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        statement: Map<String, Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// A visit goes to another patient (`to`), another visit (`into`), or both.
    VisitMoved {
        patient: PatientId,
        to: PatientId,
        visit: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<String>,
    },
    /// Two identifiers must never be linked visibly; only the hash of the pair is kept.
    DoNotLink { salt: Uuid, hash: Uuid },
    /// They may again.
    MayLink { salt: Uuid, hash: Uuid },
}

/// What a file says that its source states of a patient.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadedStatement {
    /// The hash of what the source stated before, if it stated anything: where it stated something
    /// else meanwhile, that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) over: Option<Uuid>,
    pub(crate) statement: Map<String, Value>,
}

impl std::fmt::Debug for LoadedStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoadedStatement(***)")
    }
}

impl LoadedStatement {
    pub(crate) fn new(before: Option<&Map<String, Value>>, statement: Map<String, Value>) -> Self {
        Self { over: before.map(hash), statement }
    }

    /// Whether the source still states what the load found.
    pub(crate) fn is_over(&self, held: Option<&Map<String, Value>>) -> bool {
        self.over == held.map(hash)
    }
}

fn hash(statement: &Map<String, Value>) -> Uuid {
    let text = serde_json::to_vec(statement).unwrap_or_default();
    name_based(&Uuid::nil(), &text)
}

/// Folded names and a birth date, as they stand in a fact.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    families: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    givens: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<u32>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names(***)")
    }
}

impl Names {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl From<&Demographics> for Names {
    fn from(of: &Demographics) -> Self {
        let born = of.birth_date.map(BirthDate::number);
        Self { families: of.families.clone(), givens: of.givens.clone(), born }
    }
}

impl From<&Names> for Demographics {
    fn from(of: &Names) -> Self {
        Demographics {
            families: of.families.clone(),
            givens: of.givens.clone(),
            birth_date: of.born.and_then(BirthDate::from_number),
            newborn: false,
        }
    }
}

impl Fact {
    /// The name of its kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Fact::Created { .. } => "created",
            Fact::Loaded { .. } => "loaded",
            Fact::Bound { .. } => "bound",
            Fact::NumberHeld { .. } => "number_held",
            Fact::NumberRetired { .. } => "number_retired",
            Fact::NumberReleased { .. } => "number_released",
            Fact::Merged { .. } => "merged",
            Fact::United { .. } => "united",
            Fact::Unmerged { .. } => "unmerged",
            Fact::Linked { .. } => "linked",
            Fact::Unlinked { .. } => "unlinked",
            Fact::Learned { .. } => "learned",
            Fact::Sensitivity { .. } => "sensitivity",
            Fact::Stated { .. } => "stated",
            Fact::VisitMoved { .. } => "visit_moved",
            Fact::DoNotLink { .. } => "do_not_link",
            Fact::MayLink { .. } => "may_link",
        }
    }

    /// Whether somebody may be found by an identifier from now on who was not before.
    pub fn renames(&self) -> bool {
        match self {
            Fact::Loaded { .. }
            | Fact::Bound { .. }
            | Fact::NumberHeld { .. }
            | Fact::NumberRetired { .. }
            | Fact::NumberReleased { .. }
            | Fact::Merged { .. }
            | Fact::United { .. }
            | Fact::Unmerged { .. } => true,
            Fact::Created { .. }
            | Fact::Linked { .. }
            | Fact::Unlinked { .. }
            | Fact::Learned { .. }
            | Fact::Sensitivity { .. }
            | Fact::Stated { .. }
            | Fact::VisitMoved { .. }
            | Fact::DoNotLink { .. }
            | Fact::MayLink { .. } => false,
        }
    }

    /// The fact as it stands in the history: without names and statements, of which the journal has
    /// every version and the index the last one.
    pub(crate) fn for_history(&self) -> Value {
        let bare = match self {
            Fact::Learned { patient, .. } => {
                Fact::Learned { patient: *patient, names: Names::default() }
            }
            Fact::Loaded { patient, number, status, locals, protected, dissent, .. } => {
                Fact::Loaded {
                    patient: *patient,
                    number: *number,
                    status: *status,
                    locals: locals.clone(),
                    names: Names::default(),
                    protected: *protected,
                    dissent: *dissent,
                    stated: None,
                }
            }
            Fact::Stated { patient, source, .. } => {
                let (statement, source) = (Map::new(), source.clone());
                Fact::Stated { patient: *patient, statement, source }
            }
            other => other.clone(),
        };
        serde_json::to_value(bare).unwrap_or_default()
    }

    /// The patients in whose history it stands.
    pub fn patients(&self) -> impl Iterator<Item = PatientId> + use<> {
        let (one, other) = match *self {
            Fact::Created { patient }
            | Fact::Loaded { patient, .. }
            | Fact::Bound { patient, .. }
            | Fact::NumberHeld { patient, .. }
            | Fact::NumberRetired { patient, .. }
            | Fact::NumberReleased { patient, .. }
            | Fact::Learned { patient, .. }
            | Fact::Sensitivity { patient, .. }
            | Fact::Stated { patient, .. } => (Some(patient), None),
            Fact::Merged { retired, survivor, .. }
            | Fact::United { retired, survivor, .. }
            | Fact::Unmerged { retired, survivor, .. } => (Some(retired), Some(survivor)),
            Fact::Linked { patient, other } | Fact::Unlinked { patient, other } => {
                (Some(patient), Some(other))
            }
            Fact::VisitMoved { patient, to, .. } => (Some(patient), (patient != to).then_some(to)),
            Fact::DoNotLink { .. } | Fact::MayLink { .. } => (None, None),
        };
        one.into_iter().chain(other)
    }
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind())?;
        f.debug_list().entries(self.patients()).finish()
    }
}
