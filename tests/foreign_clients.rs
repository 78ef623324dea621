//! Clients that we did not write deliver through a running engine and are content with what they are
//! answered: each says what *it* read in MSA-1 and MSA-2. How they differ is told in their scripts
//! below tests/foreign.

use std::path::Path;

use crate::harness::certificates::Authority;
use crate::harness::engine::TestEngine;
use crate::harness::foreign::{Toolset, installed, run};
use crate::harness::setup::Setup;
use crate::straight_through::{admission, events, settled};

const MESSAGES: usize = 5;

/// Has the client deliver to an engine; skips, saying so, where its packages cannot be fetched.
fn is_content(toolset: Toolset, script: &str) {
    let Some(packages) = installed(toolset) else { return };
    let engine = Setup::sample().start();
    let words = address(&engine).into_iter().chain(files(&engine)).collect::<Vec<_>>();
    delivers(&engine, &run(toolset, &packages, script, &words));
}

/// The same over TLS, where the engine asks for a certificate, too.
fn is_content_over_tls(toolset: Toolset, script: &str) {
    let Some(packages) = installed(toolset) else { return };
    let setup = Setup::sample();
    let authority = Authority::new(&setup.path(""), "authority");
    authority.issue("server");
    let (certificate, own_key) = authority.issue("client");
    let key = "channels.pas-adt.listener.mllp.tls";
    let setup = setup.set(&format!("{key}.certificate=server.pem"));
    let setup = setup.set(&format!("{key}.key.file=server.key"));
    let engine = setup.set(&format!("{key}.clients=authority.pem")).start();
    let tls = ["--ca", &authority.path, "--cert", &certificate, "--key", &own_key];
    let words = address(&engine).into_iter().chain(tls.map(str::to_owned)).chain(files(&engine));
    delivers(&engine, &run(toolset, &packages, script, &words.collect::<Vec<_>>()));
}

fn address(engine: &TestEngine) -> [String; 2] {
    let address = engine.listener("pas-adt");
    let (host, port) = address.rsplit_once(':').expect("host and port");
    [host.to_owned(), port.to_owned()]
}

/// Messages with a letter that is not ASCII, each in a file.
fn files(engine: &TestEngine) -> Vec<String> {
    let write = |number: usize| {
        let text = admission(&format!("F{number}"), &format!("100000{number}")).text();
        let name = format!("{number}.hl7");
        engine.setup.write(&name, &text.replace("EXAMPLE^ALEX", "EXAMPLE^ZO\u{cb}"));
        engine.setup.path(&name).to_str().expect("letters").to_owned()
    };
    (0..MESSAGES).map(write).collect()
}

/// The client read AA for each of its messages in turn, and each came out as it went in.
fn delivers(engine: &TestEngine, read: &str) {
    let wanted: Vec<String> = (0..MESSAGES).map(|number| format!("AA F{number}")).collect();
    assert_eq!(read.lines().collect::<Vec<_>>(), wanted);
    let status = settled(engine);
    assert_eq!(status["total"]["received"], MESSAGES, "{status}");
    let events = events(engine);
    assert_eq!(events.len(), MESSAGES);
    assert!(events.iter().all(|event| event.to_string().contains("ZO\u{cb}")), "{events:?}");
}

/// Leaves out the CR before 0x1C, and takes what one read brings for the whole answer.
#[test]
fn python_hl7_mllp_send() {
    let Some(packages) = installed(Toolset::Python) else { return };
    let engine = Setup::sample().start();
    let all: String = files(&engine).iter().map(|file| read(Path::new(file))).collect();
    engine.setup.write("all.hl7", &all);
    let [host, port] = address(&engine);
    let file = engine.setup.path("all.hl7").to_str().expect("letters").to_owned();
    let words = ["--loose".into(), "--file".into(), file, "--port".into(), port, host];
    let printed = run(Toolset::Python, &packages, "mllp_send.py", &words);
    let answers = printed.split(['\r', '\n']).filter_map(|line| line.strip_prefix("MSA|"));
    let answers: Vec<String> = answers.map(|msa| msa.replace('|', " ") + "\n").collect();
    delivers(&engine, &answers.concat());
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("a file of this story")
}

#[test]
fn python_hl7_asyncio() {
    is_content(Toolset::Python, "python_hl7.py");
}

#[test]
fn python_hl7_asyncio_over_tls() {
    is_content_over_tls(Toolset::Python, "python_hl7.py");
}

#[test]
fn python_hl7v2_fhir_bridge() {
    is_content(Toolset::Python, "fhir_bridge.py");
}

#[test]
fn npm_node_hl7_client() {
    is_content(Toolset::Node, "node_hl7_client.js");
}

#[test]
fn npm_node_hl7_client_over_tls() {
    is_content_over_tls(Toolset::Node, "node_hl7_client.js");
}

#[test]
fn npm_simple_hl7() {
    is_content(Toolset::Node, "simple_hl7.js");
}

#[test]
fn npm_medplum_hl7() {
    is_content(Toolset::Node, "medplum.js");
}
