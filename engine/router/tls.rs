//! TLS of a listener: its certificate, its key and who may connect, out of PEM files.
//!
//! One provider (ring), named wherever it is needed: rustls panics where it would have to guess.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{AlertDescription, CertificateError, InvalidMessage, RootCertStore, ServerConfig};
use thiserror::Error;

use crate::config::listener::Tls;
use crate::config::secret::RevealError;

/// What a listener's TLS is made from; read anew by every [`TlsPlan::load`].
#[derive(Clone, Debug)]
pub struct TlsPlan {
    tls: Tls,
    base: PathBuf,
}

/// Why TLS cannot be set up. The text of a key is in none of them.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: check the path and who may read it", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// A file has none.
    #[error("no certificate in {}: it has to hold PEM, `-----BEGIN CERTIFICATE-----`", path.display())]
    NoCertificate { path: PathBuf },
    /// What it has is none.
    #[error("a certificate in {} cannot be used", path.display())]
    Certificate { path: PathBuf, source: rustls::Error },
    /// The key's file, variable or credential.
    #[error("the private key cannot be read")]
    Key(#[from] RevealError),
    /// Something else stands there.
    #[error("the private key is not PEM (PKCS#8, PKCS#1 or SEC1)")]
    NoKey,
    /// It has a passphrase.
    #[error(
        "the private key has a passphrase: write it without, `openssl pkey -in KEY -out PLAIN`, and let only the engine read it"
    )]
    Encrypted,
    /// The two are not one pair, or of a kind that is not supported.
    #[error("the certificate in {} and the private key are no pair that can be used", path.display())]
    Pair { path: PathBuf, source: rustls::Error },
    /// What may connect cannot be told.
    #[error("the authorities in {} cannot be used", path.display())]
    Clients { path: PathBuf, source: VerifierBuilderError },
}

impl TlsPlan {
    /// Relative files are looked for below `base`.
    pub fn new(tls: Tls, base: &Path) -> Self {
        Self { tls, base: base.to_owned() }
    }

    /// Reads the files as they are now.
    pub fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let Tls { certificate, key, clients } = &self.tls;
        let clients = clients.as_ref().map(|clients| self.base.join(clients));
        let key = key.reveal(&self.base)?;
        server(&self.base.join(certificate), key.expose(), clients.as_deref())
    }
}

/// A server with this certificate and the PEM text of its key; with `clients`, only who shows a
/// certificate that one of the authorities in it signed may connect.
pub fn server(
    certificate: &Path,
    key: &str,
    clients: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier =
                verifier.map_err(|source| TlsError::Clients { path: path.to_owned(), source })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(certificates(certificate)?, private_key(key)?);
    let config =
        config.map_err(|source| TlsError::Pair { path: certificate.to_owned(), source })?;
    Ok(Arc::new(config))
}

/// The certificates of a PEM file, at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path)
        .map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::NoCertificate { path: path.to_owned() }),
    }
}

/// The certificates of a PEM file as those that are trusted.
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|source| TlsError::Certificate { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

/// A private key out of its PEM text.
pub fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    if text.contains("ENCRYPTED") {
        return Err(TlsError::Encrypted);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| TlsError::NoKey)
}

/// Why a peer and a TLS listener did not come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    Timeout,
    Closed,
    Stopping,
    Plain,
    NoCertificate,
    NotTrusted,
    Refused,
    NothingShared,
    Broken,
}

impl Handshake {
    /// A word for the metric.
    pub fn word(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Stopping => "stopping",
            Self::Plain => "plain",
            Self::NoCertificate => "no-certificate",
            Self::NotTrusted => "not-trusted",
            Self::Refused => "refused",
            Self::NothingShared => "nothing-shared",
            Self::Broken => "broken",
        }
    }

    /// What happened, and what helps.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Timeout => "the peer did not finish it in 10 s",
            Self::Closed => "the peer closed the connection",
            Self::Stopping => "the engine stops, or no longer listens here",
            Self::Plain => "the peer does not speak TLS: turn it on there, or give it another port",
            Self::NoCertificate => {
                "the peer showed no certificate: give it one that listener.mllp.tls.clients signed"
            }
            Self::NotTrusted => {
                "the peer's certificate is expired or not signed by listener.mllp.tls.clients"
            }
            Self::Refused => {
                "the peer refused: it may not trust listener.mllp.tls.certificate or miss its name"
            }
            Self::NothingShared => {
                "the peer offers nothing of TLS 1.2 or 1.3 that is supported: put a proxy before it"
            }
            Self::Broken => "what the peer sent is not a handshake",
        }
    }
}

impl From<io::Error> for Handshake {
    fn from(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            None => Self::Closed,
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => Self::Plain,
            Some(rustls::Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(rustls::Error::InvalidCertificate(CertificateError::BadEncoding)) => Self::Broken,
            Some(rustls::Error::InvalidCertificate(_)) => Self::NotTrusted,
            Some(rustls::Error::AlertReceived(AlertDescription::CloseNotify)) => Self::Closed,
            Some(rustls::Error::AlertReceived(_)) => Self::Refused,
            Some(rustls::Error::PeerIncompatible(_)) => Self::NothingShared,
            Some(_) => Self::Broken,
        }
    }
}
