//! One HTTP POST and what was answered; nothing of the address or a header is in an error.

use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::config::secret::Revealed;

/// Somebody to post to, whose connection is kept.
#[derive(Clone, Debug)]
pub(crate) struct Poster {
    agent: Agent,
}

/// Why a POST did not go well.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) why: String,
    /// Whether another of the same would not go better.
    pub(crate) for_good: bool,
}

impl Poster {
    /// To an address, with so much time for each attempt.
    pub(crate) fn new(url: &Revealed, limit: Duration) -> Self {
        let mut settings = Agent::config_builder()
            .timeout_global(Some(limit))
            // A redirect would carry the headers to somebody else.
            .max_redirects(0)
            .http_status_as_error(false);
        if url.expose().starts_with("https:") {
            settings = settings.tls_config(tls());
        }
        Self { agent: Agent::new_with_config(settings.build()) }
    }

    /// Posts; an answer of 2xx is well. Blocks.
    pub(crate) fn post<'h>(
        &self,
        url: &Revealed,
        content_type: &str,
        headers: impl IntoIterator<Item = &'h (String, Revealed)>,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let mut request = self.agent.post(url.expose()).header("Content-Type", content_type);
        for (name, value) in headers {
            request = request.header(name, value.expose());
        }
        match request.send(body) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let status = answer.status();
                let passing = matches!(status.as_u16(), 408 | 425 | 429);
                let for_good = !passing && !status.is_server_error();
                Err(Refusal { why: format!("it answered {status}"), for_good })
            }
            Err(error) => Err(Refusal { why: plainly(&error).to_owned(), for_good: false }),
        }
    }
}

/// What went wrong, without the address or a header.
fn plainly(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::Timeout(_) => "it did not answer in time",
        ureq::Error::HostNotFound => "its host is not known",
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "its certificate is not trusted here",
        ureq::Error::BadUri(_) => "its address is not one to post to",
        ureq::Error::Http(_) => "its address or header is not one HTTP knows",
        _ => "it cannot be reached",
    }
}

/// Trusts what this machine trusts; the provider is named, for rustls panics where it must guess.
fn tls() -> TlsConfig {
    let trusted = rustls_native_certs::load_native_certs().certs;
    let trusted: Vec<_> =
        trusted.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&trusted))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}
