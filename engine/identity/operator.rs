//! What a person decides about the index itself.

use serde_json::{Value, json};

use crate::decision::Decision;
use crate::desk::Desk;
use crate::draft::Draft;
use crate::error::IndexError;
use crate::event::{Role, What};
use crate::fact::Fact;
use crate::forbidden::{Identifier, entry};
use crate::index::Index;
use crate::layers::Layers;
use crate::overlay::Happening;
use crate::patient::PatientId;
use crate::question::{Asked, record};
use crate::rules::{Merges, Rules};

impl Index {
    /// Undoes a merge: the record that `retired` names (by one of its own identifiers, or its id)
    /// stands for itself again, with its identifiers, and with the number if that came from it.
    /// What became known of the survivor meanwhile stays with the survivor.
    ///
    /// `entry_id` is the operator's entry in the journal, `at_ms` its time. Apply the facts once
    /// they are durable; subscribers have to repair what they joined.
    pub fn unmerge(
        &self,
        entry_id: u64,
        at_ms: i64,
        retired: &Asked,
    ) -> Result<Decision, IndexError> {
        let mut layers = self.layers();
        let mut draft = Draft::new(&mut layers);
        let retired = record(&mut draft, retired)?.ok_or(IndexError::Nobody)?;
        let of = draft.patient(retired)?.ok_or(IndexError::Nobody)?;
        let survivor = of.alias_of.ok_or(IndexError::NotMerged)?;
        let number = passed_over(&layers, retired, survivor)?;
        let rules = Rules {
            source: "operator",
            teaches: true,
            merges: Merges::Automatic,
            may_lower_sensitivity: false,
            resolution: None,
        };
        let mut desk = Desk::new(Draft::new(&mut layers), &rules, entry_id, at_ms)?;
        desk.learn(Fact::Unmerged { retired, survivor, number })?;
        desk.tell(What::Unmerged(Role::Survivor), survivor, Some(retired));
        desk.tell(What::Unmerged(Role::Retired), retired, Some(survivor));
        desk.concern([survivor, retired]);
        let held = desk.patient(survivor)?.held;
        let number = held.map(|held| (held.number, held.status));
        desk.decided(Decision { number, stated: json!({}), ..Decision::default() })
    }

    /// The fact that takes a pair off the do-not-link list; nothing if it does not stand there.
    pub fn may_link_again(&self, one: &Identifier, other: &Identifier) -> Option<Fact> {
        let (salt, hash) = entry(&self.layers().forbidden, one, other)?;
        Some(Fact::MayLink { salt, hash })
    }
}

/// The number that the survivor got by this merge: it was the retired record's.
fn passed_over(
    layers: &Layers,
    retired: PatientId,
    survivor: PatientId,
) -> Result<Option<record::nhs_number::NhsNumber>, IndexError> {
    let history = layers.history(survivor)?;
    let fact = |row: &Happening| serde_json::from_str::<Value>(&row.fact).unwrap_or_default();
    let is_merge = |row: &&Happening| {
        let fact = fact(row);
        let merged = fact.get("merged").or_else(|| fact.get("united"));
        merged
            .is_some_and(|of| of["retired"] == json!(retired) && of["survivor"] == json!(survivor))
    };
    let Some(merge) = history.iter().rfind(is_merge) else { return Ok(None) };
    // The number passes over in the fact right behind the merge.
    let behind = history
        .iter()
        .find(|row| row.position == merge.position && row.nth == merge.nth + 1)
        .map(fact);
    let held = behind.as_ref().and_then(|fact| fact.get("number_held"));
    let number = held.filter(|held| held["patient"] == json!(survivor)).map(|of| &of["number"]);
    Ok(number.and_then(|number| serde_json::from_value(number.clone()).ok()))
}
