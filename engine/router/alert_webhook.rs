//! A webhook that is told of an alarm: one POST, tried again for a while, never for ever.

use std::time::Duration;

use crate::alert_notice::Notice;
use crate::backoff::Backoff;
use crate::config::secret::Revealed;
use crate::http_post::{Poster, Refusal};

/// How often a notice is sent before it is given up: after 20 seconds where the address refuses,
/// after 100 where it never answers.
pub(crate) const ATTEMPTS: u32 = 8;
/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Posts a notice; says why it could not be. The address is not part of that: it may be a secret.
pub(crate) async fn post(
    url: &Revealed,
    header: Option<&(String, Revealed)>,
    notice: &Notice,
    attempts: u32,
) -> Result<(), String> {
    let body = serde_json::to_string(notice).map_err(|error| error.to_string())?;
    let mut backoff = Backoff::default();
    let mut attempt = 1;
    loop {
        let (url, header, body) = (url.clone(), header.cloned(), body.clone());
        let sent = tokio::task::spawn_blocking(move || attempt_once(&url, header.as_ref(), &body));
        match sent.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Refusal { why, for_good })) if for_good || attempt == attempts => {
                return Err(format!("the webhook failed {attempt} times: {why}"));
            }
            Ok(Err(_)) => {}
            Err(error) => return Err(format!("the webhook cannot be called: {error}")),
        }
        attempt += 1;
        tokio::time::sleep(backoff.wait()).await;
    }
}

fn attempt_once(
    url: &Revealed,
    header: Option<&(String, Revealed)>,
    body: &str,
) -> Result<(), Refusal> {
    Poster::new(url, LIMIT).post(url, "application/json", header, body.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;
    use crate::alert_notice::tests::notice;
    use crate::config::secret::Secret;

    fn revealed(text: &str) -> Revealed {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("x"), text).expect("write");
        Secret::File("x".into()).reveal(folder.path()).expect("secret")
    }

    /// Header lines and body of what was asked.
    type Asked = (Vec<String>, String);

    /// Gives one answer after the other, and then what it was asked.
    fn server(answers: &'static [&str]) -> (Revealed, JoinHandle<Vec<Asked>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let url = format!("http://{}/hook", listener.local_addr().expect("address"));
        let served = std::thread::spawn(move || {
            let serve = |status: &&str| {
                let (stream, _) = listener.accept().expect("accept");
                let mut reader = BufReader::new(&stream);
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).expect("line");
                    match line.trim_end() {
                        "" => break,
                        line => lines.push(line.to_ascii_lowercase()),
                    }
                }
                let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.expect("length").parse().expect("number")];
                reader.read_exact(&mut body).expect("body");
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                (&stream).write_all(answer.as_bytes()).expect("answer");
                (lines, String::from_utf8(body).expect("text"))
            };
            answers.iter().map(serve).collect()
        });
        (revealed(&url), served)
    }

    #[tokio::test]
    async fn an_alarm_is_posted_as_json_with_its_header() {
        let (url, served) = server(&["204 No Content"]);
        let header = ("Authorization".to_owned(), revealed("Bearer t0ken\n"));
        post(&url, Some(&header), &notice("3 \"parked\""), 1).await.expect("posts");
        let asked = served.join().expect("serves");
        let (lines, body) = &asked[0];
        assert_eq!(lines[0], "post /hook http/1.1");
        assert!(lines.iter().any(|line| line == "authorization: bearer t0ken"), "{lines:?}");
        assert!(lines.iter().any(|line| line == "content-type: application/json"), "{lines:?}");
        let wanted = r#"{"kind":"held","channel":"pas","state":"open","since":"2026-02-02T10:00:00Z","text":"3 \"parked\""}"#;
        assert_eq!(body, wanted);
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_what_may_not_is_given_up() {
        let (url, served) = server(&["503 Busy", "429 Slower", "200 OK"]);
        post(&url, None, &notice("x"), 3).await.expect("posts");
        assert_eq!(served.join().expect("serves").len(), 3);
        let (url, served) = server(&["401 Who"]);
        let why = post(&url, None, &notice("x"), 3).await.expect_err("refused");
        assert!(why.contains("failed 1 times: it answered 401"), "{why}");
        served.join().expect("serves");
        let (url, served) = server(&["302 Found"]);
        let why = post(&url, None, &notice("x"), 3).await.expect_err("not followed");
        assert!(why.contains("302"), "{why}");
        served.join().expect("serves");
    }

    #[tokio::test]
    async fn nobody_there_ends_after_a_while_and_names_no_address() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let url = revealed(&format!("http://{}/s3cret", listener.local_addr().expect("address")));
        drop(listener);
        let why = post(&url, None, &notice("x"), 3).await.expect_err("nobody");
        assert_eq!(why, "the webhook failed 3 times: it cannot be reached");
    }

    #[tokio::test]
    async fn a_secure_address_is_reached_with_the_provider_of_this_program() {
        // The other side closes instead of a handshake: what matters is that nothing panics before.
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            let mut first = [0; 1];
            stream.read_exact(&mut first).expect("hello");
            first[0]
        });
        let url = revealed(&format!("https://localhost:{port}/"));
        let refusal = attempt_once(&url, None, "{}").expect_err("no handshake");
        assert!(!refusal.for_good);
        // A TLS handshake begins with 22.
        assert_eq!(other.join().expect("serves"), 22);
    }
}
