//! Passwords and the like: a configuration says where they are, never what they are.

use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::written::written;

/// Where a secret is to be found when it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Secret {
    /// The name of an environment variable.
    Env(String),
    /// A file that holds nothing else; a line end at its end is not part of the secret.
    File(PathBuf),
    /// The name of a systemd credential (`LoadCredential=` in the unit).
    Credential(String),
}

/// A secret in the hand. It prints as dots.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

/// An address that either holds no password or is itself a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Secret{U}")]
pub enum SecretUrl<U = PlainUrl> {
    /// An address with no password in it.
    Plain(U),
    /// Where the whole address, password and all, is to be found.
    Secret(Secret),
}

/// `amqp://host:5672/vhost` or `amqps://...`, with a user name at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainUrl(String);

/// `https://host/path` or `http://...`, with no user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(String);

/// Why a secret could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum RevealError {
    #[error("environment variable {0} is not set")]
    NoVariable(String),
    #[error("no systemd credential {0}: CREDENTIALS_DIRECTORY is not set")]
    NoCredentials(String),
    #[error("cannot read the secret in {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(
        "the secret named as the `url` of a webhook or a delivery does not begin with https:// or http://"
    )]
    NoAddress,
}

/// Why a text is no address. It quotes nothing, for it may hold a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    #[error(
        "a password must not stand in the configuration\nwrite {{ env: NAME }}, {{ file: path }} or {{ credential: name }} instead; the password in an address may also stand as `password`"
    )]
    Password,
    #[error(
        "not the address of a RabbitMQ broker\nwrite one such as amqp://host:5672/vhost or amqps://host/vhost"
    )]
    Scheme,
    #[error(
        "not an address to post to\nwrite one such as https://host/path; a whole address that is secret stands as {{ env: NAME }}, {{ file: path }} or {{ credential: name }}"
    )]
    Http,
}

impl Secret {
    /// Fetches the secret; a relative file is looked for below `base`.
    pub fn reveal(&self, base: &Path) -> Result<Revealed, RevealError> {
        let read = |path: PathBuf| match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Revealed(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(source) => Err(RevealError::Unreadable { path, source }),
        };
        match self {
            Secret::Env(name) => {
                std::env::var(name).map(Revealed).map_err(|_| RevealError::NoVariable(name.clone()))
            }
            Secret::File(path) => read(base.join(path)),
            Secret::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(folder) => read(Path::new(&folder).join(name)),
                None => Err(RevealError::NoCredentials(name.clone())),
            },
        }
    }
}

impl Revealed {
    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed(...)")
    }
}

impl<U: fmt::Display> SecretUrl<U> {
    /// The address, fetched if it is a secret.
    pub fn reveal(&self, base: &Path) -> Result<Revealed, RevealError> {
        match self {
            SecretUrl::Plain(url) => Ok(Revealed(url.to_string())),
            SecretUrl::Secret(secret) => secret.reveal(base),
        }
    }
}

/// Read by a visitor of its own, because serde would quote a text in its error, and that text is
/// the secret.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Reference {
            Env(String),
            File(PathBuf),
            Credential(String),
        }

        struct ReferenceOnly;

        impl<'de> Visitor<'de> for ReferenceOnly {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ env: NAME }, { file: path } or { credential: name }")
            }

            fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Secret, E> {
                Err(E::custom(UrlError::Password))
            }

            fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(E::custom(UrlError::Password))
            }

            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(E::custom(UrlError::Password))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                Ok(match Reference::deserialize(MapAccessDeserializer::new(map))? {
                    Reference::Env(name) => Secret::Env(name),
                    Reference::File(path) => Secret::File(path),
                    Reference::Credential(name) => Secret::Credential(name),
                })
            }
        }

        deserializer.deserialize_any(ReferenceOnly)
    }
}

impl<'de, U: FromStr<Err = UrlError>> Deserialize<'de> for SecretUrl<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrSecret<U>(PhantomData<U>);

        impl<'de, U: FromStr<Err = UrlError>> Visitor<'de> for TextOrSecret<U> {
            type Value = SecretUrl<U>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, or { env: NAME }, { file: path } or { credential: name }")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretUrl<U>, E> {
                text.parse().map(SecretUrl::Plain).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretUrl<U>, A::Error> {
                Secret::deserialize(MapAccessDeserializer::new(map)).map(SecretUrl::Secret)
            }
        }

        deserializer.deserialize_any(TextOrSecret(PhantomData))
    }
}

impl FromStr for PlainUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let authority = rest.split('/').next().unwrap_or_default();
        if rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
            return Err(UrlError::Password);
        }
        match scheme {
            "amqp" | "amqps" if !authority.is_empty() => Ok(PlainUrl(text.to_owned())),
            _ => Err(UrlError::Scheme),
        }
    }
}

impl fmt::Display for PlainUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HttpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        match authority {
            Some(authority) if authority.contains('@') => Err(UrlError::Password),
            Some(authority) if !authority.is_empty() && plain => Ok(HttpUrl(text.to_owned())),
            _ => Err(UrlError::Http),
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written!(
    PlainUrl,
    "The address of a RabbitMQ broker, with no password in it.",
    "^amqps?://[^:@/]*@?[^@]*$",
    ["amqp://tieline@rabbit.example.nhs.uk:5672/tieline"]
);
written!(
    HttpUrl,
    "An address to post to, with no user and password in it.",
    "^https?://[^@/?#]+([/?#].*)?$",
    ["https://alerts.example.nhs.uk/tieline"]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_refused_without_quoting_it() {
        let wrong = "amqp://tieline:hunter2@rabbit/".parse::<PlainUrl>().expect_err("password");
        assert_eq!(wrong, UrlError::Password);
        assert!(!wrong.to_string().contains("hunter2"));
        assert!("amqp://tieline@rabbit:5672/%2f".parse::<PlainUrl>().is_ok());
        assert_eq!("http://rabbit".parse::<PlainUrl>(), Err(UrlError::Scheme));
    }

    #[test]
    fn an_address_to_post_to_holds_no_password_either() {
        for good in ["https://alerts.example.nhs.uk/tieline?team=1", "http://127.0.0.1:9"] {
            assert_eq!(good.parse::<HttpUrl>().map(|url| url.to_string()), Ok(good.to_owned()));
        }
        let wrong = "https://tie:hunter2@alerts/".parse::<HttpUrl>().expect_err("password");
        assert_eq!(wrong, UrlError::Password);
        for bad in ["ftp://alerts", "https://", "https:///path", "https://a b/"] {
            assert_eq!(bad.parse::<HttpUrl>(), Err(UrlError::Http), "{bad}");
        }
    }

    #[test]
    fn a_secret_file_is_read_without_its_line_end_and_never_printed() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("password"), "hunter2\n").expect("write");
        let secret = Secret::File("password".into()).reveal(folder.path()).expect("secret");
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_missing_secret_names_what_to_set() {
        let missing = Secret::Env("TIELINE_NO_SUCH_VARIABLE".into()).reveal(Path::new("."));
        let text = missing.expect_err("not set").to_string();
        assert_eq!(text, "environment variable TIELINE_NO_SUCH_VARIABLE is not set");
    }
}
