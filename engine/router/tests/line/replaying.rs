//! What an archive or an initial load brings goes where bulk goes, but for who is who.

use std::path::Path;

use bytes::Bytes;
use identity::index::{Index, Origin, Settings};
use router::config::load;
use router::config::overrides::Overrides;
use router::facts::Facts;
use router::plan::Plan;
use router::process::process;

#[test]
fn who_somebody_is_is_told_to_everybody() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let loaded = load::load(&root.join("channels.yaml"), &Overrides::default());
    let plan = Plan::assemble(&loaded.expect("the samples")).expect("the samples");
    let channel = &plan.channels["pas-adt"];
    let folder = tempfile::tempdir().expect("a folder");
    let index = Index::open(folder.path(), Settings::default()).expect("an index").index;
    let now = jiff::Timestamp::now();
    let keys = |number: u64, mode: &str, identifiers: &str| -> Vec<String> {
        let message = format!(
            "MSH|^~\\&|PAS|RXX01|ROUTE|ROUTE|20251103101500||ADT^A31|R{number}|P{mode}|2.4\r\
             EVN||20251103101500\rPID|1||{identifiers}||TESTCASE^ADA||19650412|2{}NSTS01\rPV1|1|N\r",
            "|".repeat(24)
        );
        let done = process(channel, Bytes::from(message), &Facts::new(number, now), &index);
        let at_ms = now.as_millisecond();
        let origin = Origin { source: &channel.name, message_id: number, at_ms, actor: None };
        let position = u128::from(number).to_le_bytes();
        index.apply(position, &origin, &done.learned).expect("facts");
        done.events.into_iter().map(|event| event.routing_key).collect()
    };
    assert_eq!(keys(1, "", "7700101^^^RXX01^MR"), ["RXX.patient.updated.normal"]);
    let identified = keys(2, "^I", "9990000018^^^NHS^NH~7700101^^^RXX01^MR");
    assert_eq!(identified, ["RXX.patient.identified.normal", "RXX.patient.updated.bulk"]);
}
