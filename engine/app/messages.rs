//! `tieline messages`: what was accepted, and the state each message is in.

use anyhow::Result;
use serde_json::json;

use crate::api::Api;
use crate::asking_arguments::MessagesArgs;
use crate::exit::Exit;
use crate::listing;
use crate::patient_guard;
use crate::patient_prompt;
use crate::since::since;

pub(crate) const SEARCH: &str = "/api/v1/messages/search";

pub(crate) fn run(args: &MessagesArgs) -> Result<Exit> {
    let query = args.query.join(" ");
    patient_guard::refuse_in_text(&query)?;
    let since = since(args.since.as_deref())?;
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let patient = args.ask.map(|kind| patient_prompt::read(Some(kind))).transpose()?;
    let question = json!({
        "query": query,
        "patient": patient,
        "state": args.state,
        "channel": args.channel,
        "since": since,
        "limit": args.limit,
    });
    listing::print(api.search(SEARCH, &question)?, args.format, listing::table)?;
    Ok(Exit::Well)
}
