//! Who may speak to whom: machines that have the same key.
//!
//! A process that arrives is code that runs, so nobody without the key may bring one. The key is a file that
//! `sojourn key` makes and that is copied to every machine that is to take part: a certificate with its private key, and
//! the certificate of the authority that signed it and whose own key was thrown away. Both ends of a connection show the
//! certificate and prove that they have its key (mutual TLS). On loopback, where only users of the machine itself can
//! connect, it is not needed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

/// The one name that all who have the key go by.
const NAME: &str = "sojourn";

/// Longest key file.
const KEY_FILE_LEN_MAX: u64 = 64 * 1024;

/// How a machine proves to others that they may speak with it.
#[derive(Clone, Default)]
pub struct Trust {
    key: Option<Key>,
    on_loopback: bool,
}

/// The key.
#[derive(Clone)]
pub struct Key {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("key file {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others than the user may read the file.
    #[error("key file {}: others may read it; it is of no use any more (or: chmod go-rwx)", .0.display())]
    Exposed(PathBuf),
    /// The file is not a key.
    #[error("key file {}: not a key: {reason}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A key could not be made.
    #[error("no key could be made: {0}")]
    Making(#[from] rcgen::Error),
    /// There is none, and the address is not loopback.
    #[error("{0} is not a loopback address: a key is needed that both machines have (sojourn key)")]
    Needed(IpAddr),
}

impl Trust {
    /// Needs the key wherever an address is not loopback; without one, speaks on loopback only.
    pub fn new(key: Option<Key>) -> Self {
        Self { key, on_loopback: false }
    }

    /// Needs the key on loopback as well.
    pub fn everywhere(key: Key) -> Self {
        Self { key: Some(key), on_loopback: true }
    }

    /// The key to be used with this address; none where it may go without.
    ///
    /// # Errors
    /// There should be a key.
    pub fn key_for(&self, address: IpAddr) -> Result<Option<&Key>, KeyError> {
        if address.to_canonical().is_loopback() && !self.on_loopback {
            return Ok(None);
        }
        self.key.as_ref().map(Some).ok_or(KeyError::Needed(address))
    }
}

impl Key {
    /// The text of a new key.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn generate() -> Result<String, KeyError> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let mut member = CertificateParams::new(vec![NAME.to_owned()])?;
        member.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let member_key = KeyPair::generate()?;
        let member = member.signed_by(&member_key, &Issuer::new(authority, authority_key))?;
        Ok([member_key.serialize_pem(), member.pem(), authority_certificate.pem()].concat())
    }

    /// Makes a new key file, which only the user may read. There must be none.
    ///
    /// # Errors
    /// There is one, or it cannot be written.
    pub fn create(path: &Path) -> Result<(), KeyError> {
        let text = Self::generate()?;
        let fails = |error| KeyError::Io { path: path.to_owned(), error };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fails)?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(fails)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or it is not a key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let fails = |error| KeyError::Io { path: path.to_owned(), error };
        let metadata = fs::metadata(path).map_err(fails)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(KeyError::Exposed(path.to_owned()));
        }
        let malformed = |reason: String| KeyError::Malformed { path: path.to_owned(), reason };
        if metadata.len() > KEY_FILE_LEN_MAX {
            return Err(malformed(format!("{} bytes", metadata.len())));
        }
        Self::parse(&fs::read(path).map_err(fails)?).map_err(malformed)
    }

    /// The key with this text.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        let [member, authority] = <[_; 2]>::try_from(certificates)
            .map_err(|certificates| format!("{} certificates, two are needed", certificates.len()))?;
        let key = PrivateKeyDer::from_pem_slice(text).map_err(|error| error.to_string())?;
        let mut roots = RootCertStore::empty();
        roots.add(authority).map_err(|error| error.to_string())?;
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| error.to_string())?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![member.clone()], key.clone_key())
            .map_err(|error| error.to_string())?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![member], key)
            .map_err(|error| error.to_string())?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }

    /// The beginning of an encrypted connection, at the end that was called.
    ///
    /// # Errors
    /// The key is of no use.
    pub fn answer(&self) -> Result<rustls::Connection, rustls::Error> {
        ServerConnection::new(Arc::clone(&self.server)).map(Into::into)
    }

    /// The beginning of an encrypted connection, at the end that calls.
    ///
    /// # Errors
    /// The key is of no use.
    pub fn call(&self) -> Result<rustls::Connection, rustls::Error> {
        let name = ServerName::try_from(NAME).map_err(|error| rustls::Error::General(error.to_string()))?;
        ClientConnection::new(Arc::clone(&self.client), name).map(Into::into)
    }
}

/// Where the key of the user is unless told otherwise.
pub fn default_path() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(config.join("sojourn").join("key.pem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_kept_from_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep").join("key.pem");
        Key::create(&path).unwrap();
        assert!(Key::load(&path).is_ok());
        assert!(matches!(Key::create(&path), Err(KeyError::Io { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Key::load(&path), Err(KeyError::Exposed(_))));
    }

    #[test]
    fn what_is_not_a_key_is_refused() {
        let text = Key::generate().unwrap();
        let short = text.rsplit_once("-----BEGIN").unwrap().0;
        assert!(Key::parse(short.as_bytes()).is_err());
        assert!(Key::parse(b"").is_err());
    }

    #[test]
    fn without_a_key_there_is_only_loopback() {
        let trust = Trust::default();
        assert!(matches!(trust.key_for("127.0.0.1".parse().unwrap()), Ok(None)));
        assert!(matches!(trust.key_for("::ffff:127.0.0.1".parse().unwrap()), Ok(None)));
        assert!(matches!(trust.key_for("10.0.0.1".parse().unwrap()), Err(KeyError::Needed(_))));
        let trust = Trust::new(Some(Key::parse(Key::generate().unwrap().as_bytes()).unwrap()));
        assert!(matches!(trust.key_for("127.0.0.1".parse().unwrap()), Ok(None)));
        assert!(matches!(trust.key_for("10.0.0.1".parse().unwrap()), Ok(Some(_))));
    }
}
