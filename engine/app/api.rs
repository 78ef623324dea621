//! How the verbs that ask and decide reach a running engine: its address, its token, its answers.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::http::{HeaderValue, Response};
use ureq::{Agent, AsSendBody, Body, RequestBuilder};

use crate::arguments::Asking;
use crate::operator::Operator;

/// The token's file in the data folder, made by the engine at its first start.
const TOKEN_FILE: &str = "api.token";

/// The address the engine really took, in the data folder; it counts where port 0 is configured.
pub(crate) const ADDRESS_FILE: &str = "console.address";

/// An engine on this machine answers at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// So much of an error's body is shown.
const ERROR_BODY: u64 = 4096;

/// Longest answer that is read whole: a message of any size with its text.
const LARGEST: u64 = 1 << 30;

/// A running engine.
#[derive(Debug)]
pub(crate) struct Api {
    agent: Agent,
    base: String,
    token: Option<String>,
}

/// Parameters of a question; those without a value are left out.
pub(crate) type Query<'a> = [(&'a str, Option<String>)];

impl Api {
    /// Finds the engine by `--url`, or by the configuration's console address; the token is in
    /// the data folder. Nothing when the configuration is broken, which standard error then tells.
    pub(crate) fn find(asking: &Asking) -> Result<Option<Self>> {
        if let Some(url) = &asking.url {
            let configured = asking.configuration.load().ok().map(|loaded| loaded.data);
            let data = asking.configuration.data.clone().or(configured);
            let token = data.map(|data| read_token(&data)).transpose()?.flatten();
            return Ok(Some(Self::new(url, token)));
        }
        let Some(loaded) = asking.configuration.load_or_explain()? else { return Ok(None) };
        let configured = loaded.config.engine.console.listen.0;
        let address = taken_address(&loaded.data, configured)?;
        Ok(Some(Self::new(&format!("http://{address}"), read_token(&loaded.data)?)))
    }

    fn new(url: &str, token: Option<String>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WITHIN))
            // The token goes to the engine itself, through nobody.
            .proxy(None)
            .build()
            .new_agent();
        Self { agent, base: url.trim_end_matches('/').to_owned(), token }
    }

    /// One JSON document.
    pub(crate) fn document(&self, path: &str, query: &Query<'_>) -> Result<Value> {
        document(self.ask(path, query)?)
    }

    /// One JSON document about something that may not be there: then the engine's words.
    pub(crate) fn document_about(
        &self,
        path: &str,
        query: &Query<'_>,
    ) -> Result<Result<Value, String>> {
        self.found(self.get(path, query)?, document)
    }

    /// Bytes of something that may not be there.
    pub(crate) fn bytes(&self, path: &str) -> Result<Result<Vec<u8>, String>> {
        self.found(self.get(path, &[])?, bytes)
    }

    /// Lines of JSON, as they come.
    pub(crate) fn lines(&self, path: &str, query: &Query<'_>) -> Result<Lines> {
        Ok(Lines::of(self.ask(path, query)?))
    }

    /// Lines of JSON, for a question that must not stand in an address.
    pub(crate) fn search(&self, path: &str, question: &Value) -> Result<Lines> {
        let request = self.authorised(self.agent.post(self.address(path)));
        let request = request.header("content-type", "application/json");
        Ok(Lines::of(self.well(self.sent(request.send(question.to_string()))?)?))
    }

    /// Has the engine do something, which it may refuse: then its words.
    pub(crate) fn decide(
        &self,
        path: &str,
        operator: &Operator,
        decision: &Value,
    ) -> Result<Result<Value, String>> {
        let answer = self.post(path, operator, None, decision.to_string().as_bytes())?;
        self.found(answer, document)
    }

    /// The same where the answer is bytes.
    pub(crate) fn look(
        &self,
        path: &str,
        operator: &Operator,
        why: &Value,
    ) -> Result<Result<Vec<u8>, String>> {
        let answer = self.post(path, operator, None, why.to_string().as_bytes())?;
        self.found(answer, bytes)
    }

    /// Gives the engine bytes, with the reason in a header.
    pub(crate) fn give(
        &self,
        path: &str,
        operator: &Operator,
        reason: &str,
        body: &[u8],
    ) -> Result<Result<Value, String>> {
        self.found(self.post(path, operator, Some(reason), body)?, document)
    }

    /// The same with a file of any length.
    pub(crate) fn give_file(
        &self,
        path: &str,
        operator: &Operator,
        reason: &str,
        file: File,
    ) -> Result<Result<Value, String>> {
        self.found(self.post(path, operator, Some(reason), file)?, document)
    }

    fn post(
        &self,
        path: &str,
        operator: &Operator,
        reason: Option<&str>,
        body: impl AsSendBody,
    ) -> Result<Response<Body>> {
        let mut request = self.authorised(self.agent.post(self.address(path)));
        // Bytes have their reason beside them, JSON within.
        let content =
            if reason.is_some() { "application/octet-stream" } else { "application/json" };
        request = request.header("content-type", content);
        request = request.header("tieline-actor", header("the user's name", operator.name())?);
        if let Some(reason) = reason {
            request = request.header("tieline-reason", header("the reason", reason)?);
        }
        self.sent(request.send(body))
    }

    fn ask(&self, path: &str, query: &Query<'_>) -> Result<Response<Body>> {
        self.well(self.get(path, query)?)
    }

    fn get(&self, path: &str, query: &Query<'_>) -> Result<Response<Body>> {
        let mut request = self.authorised(self.agent.get(self.address(path)));
        for (name, value) in query {
            if let Some(value) = value {
                request = request.query(*name, value);
            }
        }
        self.sent(request.call())
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn authorised<T>(&self, request: RequestBuilder<T>) -> RequestBuilder<T> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn sent(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>> {
        answer.with_context(|| {
            format!("no engine answers at {} (is `tieline run` running? see --url)", self.base)
        })
    }

    /// An answer that must be good.
    fn well(&self, response: Response<Body>) -> Result<Response<Body>> {
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response)) }
    }

    /// A good answer, or the words of one that says that there is no such thing, or not so now.
    fn found<T>(
        &self,
        response: Response<Body>,
        read: impl FnOnce(Response<Body>) -> Result<T>,
    ) -> Result<Result<T, String>> {
        match response.status().as_u16() {
            404 | 409 => Ok(Err(said(response))),
            _ => read(self.well(response)?).map(Ok),
        }
    }

    fn refusal(&self, response: Response<Body>) -> anyhow::Error {
        let status = response.status();
        if status == 401 || status == 403 {
            return match self.token {
                Some(_) => anyhow::anyhow!(
                    "the engine at {} refused the token of {TOKEN_FILE}: is --data its data folder?",
                    self.base
                ),
                None => anyhow::anyhow!(
                    "the engine at {} wants a token: name its data folder, where {TOKEN_FILE} is, \
                     with --data or -c",
                    self.base
                ),
            };
        }
        let said = said(response);
        // What was asked is wrong: the words alone say what to write.
        if status == 400 {
            return anyhow::anyhow!(said);
        }
        anyhow::anyhow!("the engine at {} answered {status}: {said}", self.base)
    }
}

fn document(mut response: Response<Body>) -> Result<Value> {
    let body = response.body_mut().with_config().limit(LARGEST);
    let text = body.read_to_string().context("the answer broke off")?;
    serde_json::from_str(&text).context("the engine's answer is not JSON")
}

fn bytes(mut response: Response<Body>) -> Result<Vec<u8>> {
    let body = response.body_mut().with_config().limit(LARGEST);
    body.read_to_vec().context("the answer broke off")
}

/// Why the engine refused, in its own words.
fn said(mut response: Response<Body>) -> String {
    let mut body = String::new();
    let reader = response.body_mut().as_reader().take(ERROR_BODY);
    // A body that breaks off says less; the status alone has to do.
    BufReader::new(reader).read_to_string(&mut body).ok();
    serde_json::from_str::<Value>(&body)
        .ok()
        .and_then(|value| value.get("error")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| body.trim().to_owned())
}

/// A header may hold any text but line ends.
fn header(what: &str, text: &str) -> Result<HeaderValue> {
    let text = text.replace(['\r', '\n', '\t'], " ");
    HeaderValue::from_bytes(text.trim().as_bytes())
        .with_context(|| format!("{what} holds characters that cannot be sent"))
}

/// An answer of many lines.
pub(crate) struct Lines {
    /// Where the next question goes on; absent while following.
    pub(crate) cursor: Option<String>,
    /// Seconds by which the archive is behind; absent when the answer is complete.
    pub(crate) lag: Option<u64>,
    reader: BufReader<Box<dyn Read>>,
}

impl Lines {
    fn of(response: Response<Body>) -> Self {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let cursor = header("tieline-cursor").map(str::to_owned);
        let lag = header("tieline-archive-lag").and_then(|lag| lag.parse().ok());
        let reader: Box<dyn Read> = Box::new(response.into_body().into_reader());
        Self { cursor, lag, reader: BufReader::new(reader) }
    }

    /// All of them.
    pub(crate) fn rows(self) -> Result<Vec<Value>> {
        self.map(|row| serde_json::from_str(&row?).context("a row is not JSON")).collect()
    }
}

impl Iterator for Lines {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = String::new();
            return match self.reader.read_line(&mut line) {
                Ok(0) => None,
                Ok(_) if line.trim().is_empty() => continue,
                Ok(_) if line.ends_with('\n') => Some(Ok(line.trim_end().to_owned())),
                Ok(_) => Some(Err(anyhow::anyhow!("the engine's answer broke off"))),
                Err(error) => Some(Err(error).context("the engine's answer broke off")),
            };
        }
    }
}

fn read_token(data: &Path) -> Result<Option<String>> {
    let file = data.join(TOKEN_FILE);
    match fs::read_to_string(&file) {
        Ok(token) => Ok(Some(token.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Where to connect for a configured address: a wildcard is this machine, port 0 is what the
/// engine noted.
fn taken_address(data: &Path, configured: SocketAddr) -> Result<SocketAddr> {
    let mut address = configured;
    if address.port() == 0 {
        let file = data.join(ADDRESS_FILE);
        let Ok(noted) = fs::read_to_string(&file) else {
            bail!("the console has port 0 and {} is not there: give --url", file.display());
        };
        address =
            noted.trim().parse().with_context(|| format!("{} holds no address", file.display()))?;
    }
    if address.ip().is_unspecified() {
        let this_machine: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        address.set_ip(this_machine);
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_asked_on_this_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        let asked = |text: &str| taken_address(folder.path(), text.parse().expect("an address"));
        assert_eq!(asked("0.0.0.0:8080").expect("found").to_string(), "127.0.0.1:8080");
        assert_eq!(asked("[::]:8080").expect("found").to_string(), "[::1]:8080");
        assert!(asked("127.0.0.1:0").is_err());
        fs::write(folder.path().join(ADDRESS_FILE), "127.0.0.1:40001\n").expect("written");
        assert_eq!(asked("127.0.0.1:0").expect("noted").to_string(), "127.0.0.1:40001");
    }

    #[test]
    fn a_missing_token_is_no_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read_token(folder.path()).expect("read"), None);
        fs::write(folder.path().join(TOKEN_FILE), "secret\n").expect("written");
        assert_eq!(read_token(folder.path()).expect("read").as_deref(), Some("secret"));
    }
}
