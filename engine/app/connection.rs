//! A connection to a peer, plain or in TLS.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use router::tls;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::peer_arguments::{ListenTls, SendTls};

/// Bytes both ways, and the socket below.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Unpin + Send {
    fn socket(&self) -> &TcpStream;
}

impl Connection for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Connection for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A sender's side of TLS: whom it trusts and who it is.
#[derive(Clone)]
pub(crate) struct Secure {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Secure {
    /// As asked for on the command line; nothing when it was not.
    pub(crate) fn new(args: &SendTls, to: &str) -> Result<Option<Self>> {
        if !args.tls {
            return Ok(None);
        }
        let host = to.rsplit_once(':').map_or(to, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .with_context(|| format!("{host} cannot be the name in a certificate"))?;
        let roots = match &args.ca {
            Some(path) => tls::authorities(path)?,
            None => of_this_machine()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS cannot be set up")?
            .with_root_certificates(roots);
        let config = match (&args.cert, &args.key) {
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(tls::certificates(certificate)?, read_key(key)?)
                .with_context(|| {
                    format!("{} and {} are no pair", certificate.display(), key.display())
                })?,
            _ => builder.with_no_client_auth(),
        };
        Ok(Some(Self { connector: TlsConnector::from(Arc::new(config)), name }))
    }

    pub(crate) async fn over(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        Ok(self.connector.connect(self.name.clone(), stream).await?.into())
    }
}

fn of_this_machine() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        bail!("this machine trusts no authority: name one with --ca FILE");
    }
    Ok(roots)
}

fn read_key(path: &Path) -> Result<rustls::pki_types::PrivateKeyDer<'static>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    tls::private_key(&text).with_context(|| format!("{} cannot be used", path.display()))
}

/// A receiver's side of TLS, as asked for on the command line; nothing when it was not.
pub(crate) fn acceptor(args: &ListenTls) -> Result<Option<TlsAcceptor>> {
    let (Some(certificate), Some(key)) = (&args.cert, &args.key) else { return Ok(None) };
    let text = fs::read_to_string(key).with_context(|| format!("cannot read {}", key.display()))?;
    let config = tls::server(certificate, &text, args.ca.as_deref())?;
    Ok(Some(TlsAcceptor::from(config)))
}
