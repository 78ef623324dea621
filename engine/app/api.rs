//! How the asking verbs reach a running engine: its address, its token, its answers.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::arguments::Asking;

/// The token's file in the data folder, made by the engine at its first start.
const TOKEN_FILE: &str = "api.token";

/// The address the engine really took, in the data folder; it counts where port 0 is configured.
pub(crate) const ADDRESS_FILE: &str = "console.address";

/// An engine on this machine answers at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// So much of an error's body is shown.
const ERROR_BODY: u64 = 4096;

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
        let mut response = self.ask(path, query)?;
        let text = response.body_mut().read_to_string().context("the answer broke off")?;
        serde_json::from_str(&text).context("the engine's answer is not JSON")
    }

    /// Lines of JSON, as they come.
    pub(crate) fn lines(&self, path: &str, query: &Query<'_>) -> Result<Lines> {
        let response = self.ask(path, query)?;
        let cursor = response.headers().get("tieline-cursor");
        let cursor = cursor.and_then(|cursor| cursor.to_str().ok()).map(str::to_owned);
        let reader: Box<dyn Read> = Box::new(response.into_body().into_reader());
        Ok(Lines { cursor, reader: BufReader::new(reader) })
    }

    fn ask(&self, path: &str, query: &Query<'_>) -> Result<Response<Body>> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in query {
            if let Some(value) = value {
                request = request.query(*name, value);
            }
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.call().with_context(|| {
            format!("no engine answers at {} (is `tieline run` running? see --url)", self.base)
        })?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response)) }
    }

    fn refusal(&self, mut response: Response<Body>) -> anyhow::Error {
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
        let mut body = String::new();
        let reader = response.body_mut().as_reader().take(ERROR_BODY);
        // A body that breaks off says less; the status alone has to do.
        BufReader::new(reader).read_to_string(&mut body).ok();
        let said = serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|value| value.get("error")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| body.trim().to_owned());
        anyhow::anyhow!("the engine at {} answered {status}: {said}", self.base)
    }
}

/// An answer of many lines.
pub(crate) struct Lines {
    /// Where the next question goes on; absent while following.
    pub(crate) cursor: Option<String>,
    reader: BufReader<Box<dyn Read>>,
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
