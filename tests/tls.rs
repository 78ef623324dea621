//! MLLP over TLS: who is who on both sides, certificates that change while the engine runs, and
//! words for everything that keeps two peers apart.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::certificates::Authority;
use crate::harness::engine::TestEngine;
use crate::harness::listener::TestListener;
use crate::harness::sender::Reply;
use crate::harness::setup::Setup;
use crate::harness::{Ran, SOON, tieline};
use crate::straight_through::{admission, settled};

/// The sample world with TLS in front of `pas-adt`: `server.pem`, `server.key`.
fn secured(clients: Option<&str>) -> (Setup, Authority) {
    let setup = Setup::sample();
    setup.write("one.hl7", &admission("C1", "1000001").text());
    let authority = Authority::new(&setup.path(""), "authority");
    authority.issue("server");
    let key = "channels.pas-adt.listener.mllp.tls";
    let setup = setup.set(&format!("{key}.certificate=server.pem"));
    let setup = setup.set(&format!("{key}.key.file=server.key"));
    let setup = match clients {
        Some(file) => setup.set(&format!("{key}.clients={file}")),
        None => setup,
    };
    (setup, authority)
}

/// `tieline send` of one message over TLS.
fn send(engine: &TestEngine, authority: &str, words: &[&str]) -> Ran {
    let (to, file) = (engine.listener("pas-adt"), engine.setup.path("one.hl7"));
    let ours = ["send", "--to", &to, "--retries", "0", "--tls", "--ca", authority];
    let file = [file.to_str().expect("letters")];
    tieline(ours.into_iter().chain(words.iter().copied()).chain(file))
}

#[test]
fn messages_arrive_over_tls_and_a_plain_peer_is_told_apart() {
    let (setup, authority) = secured(None);
    let engine = setup.start();
    let sent = send(&engine, &authority.path, &[]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(settled(&engine)["total"]["published"], 1);
    let mut plain = engine.connect("pas-adt");
    plain.send(admission("C2", "1000001").text());
    assert_eq!(plain.reply(SOON), Reply::Closed);
    engine.said("the peer does not speak TLS", 1);
    let counted = "tieline_handshakes_failed_total{listener=\"pas-adt\",why=\"plain\"} 1";
    assert!(engine.get("/metrics").body.contains(counted));
}

#[test]
fn a_sender_that_does_not_trust_the_certificate_sends_nothing() {
    let (setup, _) = secured(None);
    let stranger = Authority::new(&setup.path(""), "stranger");
    let engine = setup.start();
    let sent = send(&engine, &stranger.path, &[]);
    assert_eq!(sent.code, Some(2), "{sent:?}");
    assert!(sent.err.contains("--ca signed its certificate"), "{sent:?}");
    engine.said("the peer refused", 1);
    assert_eq!(settled(&engine)["total"]["received"], 0);
}

#[test]
fn only_who_has_a_certificate_of_the_named_authorities_may_send() {
    let (setup, authority) = secured(Some("authority.pem"));
    let (certificate, key) = authority.issue("ward-system");
    let other = Authority::new(&setup.path(""), "other").issue("impostor");
    let engine = setup.start();
    let nobody = send(&engine, &authority.path, &[]);
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.err.contains("CertificateRequired"), "{nobody:?}");
    engine.said("the peer showed no certificate", 1);
    let impostor = send(&engine, &authority.path, &["--cert", &other.0, "--key", &other.1]);
    assert_eq!(impostor.code, Some(1), "{impostor:?}");
    engine.said("not signed by listener.mllp.tls.clients", 1);
    let known = send(&engine, &authority.path, &["--cert", &certificate, "--key", &key]);
    assert_eq!(known.code, Some(0), "{known:?}");
    assert_eq!(settled(&engine)["total"]["received"], 1);
}

#[test]
fn a_reload_takes_a_new_certificate_and_keeps_open_connections() {
    let (setup, before) = secured(None);
    let after = Authority::new(&setup.path(""), "after");
    let engine = setup.start();
    let mut open = Secured::connect(&engine.listener("pas-adt"), &before.path);
    assert!(open.ask("C1").contains("MSA|AA|C1"));
    after.issue("server");
    engine.hang_up();
    engine.said("configuration reloaded", 1);
    assert_eq!(send(&engine, &before.path, &[]).code, Some(2), "the old one is no longer shown");
    assert_eq!(send(&engine, &after.path, &[]).code, Some(0));
    assert!(open.ask("C2").contains("MSA|AA|C2"));
}

#[test]
fn a_certificate_that_cannot_be_used_changes_nothing_and_is_named() {
    let (setup, authority) = secured(None);
    let engine = setup.start();
    fs::write(engine.setup.path("server.pem"), "no certificate").unwrap();
    engine.hang_up();
    let said = engine.said("configuration not reloaded", 1);
    assert!(said.contains("no certificate in") && said.contains("server.pem"), "{said}");
    assert_eq!(send(&engine, &authority.path, &[]).code, Some(0), "the one before still serves");
}

#[test]
fn a_start_says_what_is_wrong_with_certificate_and_key() {
    let (setup, authority) = secured(None);
    let (_, another) = authority.issue("another");
    fs::copy(another, setup.path("server.key")).unwrap();
    let refused = setup.start_refused();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("channel pas-adt") && refused.err.contains("are no pair"));
    fs::remove_file(setup.path("server.key")).unwrap();
    let refused = setup.start_refused();
    assert!(refused.err.contains("the private key cannot be read"), "{refused:?}");
}

#[test]
fn listen_speaks_tls_too() {
    let setup = Setup::sample();
    let authority = Authority::new(&setup.path(""), "authority");
    let (certificate, key) = authority.issue("server");
    let words = ["--cert", &certificate, "--key", &key, "--ca", &authority.path];
    let listener = TestListener::start(&words);
    setup.write("one.hl7", &admission("C1", "1000001").text());
    let file = setup.path("one.hl7");
    let words = ["send", "--to", &listener.address, "--tls", "--ca", &authority.path];
    let ours = ["--cert", &certificate, "--key", &key, file.to_str().unwrap()];
    let sent = tieline(words.into_iter().chain(ours));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(listener.told()[0]["control_id"], "C1");
}

/// A connection that stays open.
struct Secured(StreamOwned<ClientConnection, TcpStream>);

impl Secured {
    fn connect(to: &str, authority: &str) -> Self {
        let authority = CertificateDer::from_pem_file(authority).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(authority).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "127.0.0.1".try_into().expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        let socket = TcpStream::connect(to).expect("the engine listens");
        socket.set_read_timeout(Some(SOON)).expect("an open socket");
        Self(StreamOwned::new(connection, socket))
    }

    fn ask(&mut self, control_id: &str) -> String {
        let text = admission(control_id, "1000001").text();
        self.0.write_all(format!("\x0b{text}\x1c\r").as_bytes()).expect("the engine reads");
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\x1c\r") {
            self.0.read_exact(&mut byte).expect("the engine answers");
            answer.extend(byte);
        }
        String::from_utf8(answer).expect("letters")
    }
}
