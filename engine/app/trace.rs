//! `tieline trace`: one control id or one patient across all channels, in the order of receipt.

use anyhow::Result;
use serde_json::json;

use crate::api::Api;
use crate::asking_arguments::TraceArgs;
use crate::exit::Exit;
use crate::listing;
use crate::messages::SEARCH;
use crate::patient_prompt;

pub(crate) fn run(args: &TraceArgs) -> Result<Exit> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let patient = (args.what == "-").then(|| patient_prompt::read(None)).transpose()?;
    let control_id = patient.is_none().then_some(&args.what);
    let question = json!({ "patient": patient, "control_id": control_id, "limit": args.limit });
    let found = listing::print(api.search(SEARCH, &question)?, args.format, listing::table)?;
    // Whoever traces something expects it to be there.
    Ok(Exit::well_if(found > 0))
}
