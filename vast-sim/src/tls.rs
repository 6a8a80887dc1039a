//! Certificates: an authority of the simulator's own and one server certificate for every name and address it has.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::error::StartError;
use crate::store::lock;

/// File name of the authority's certificate.
pub(crate) const CA_FILE: &str = "ca.pem";
/// File name of the authority's private key, kept in durable mode so that clients' trust survives a restart.
const CA_KEY_FILE: &str = "ca-key.pem";

/// Certificates kept that were made for single names.
const MOST_MADE: usize = 1_000;

/// Makes server certificates.
#[derive(Debug)]
pub(crate) struct Tls {
    issuer: Issuer<'static, KeyPair>,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    pub(crate) ca_pem: String,
}

fn failed(error: impl std::fmt::Display) -> StartError {
    StartError::Tls(error.to_string())
}

/// Prepares certificates for these names and addresses; the authority is taken from `dir` when it holds one, and left there.
pub(crate) fn make(
    names: &[String],
    addresses: &[IpAddr],
    dir: &Path,
    keep: bool,
) -> Result<Tls, StartError> {
    let key_path = dir.join(CA_KEY_FILE);
    let ca_path = dir.join(CA_FILE);
    let ca_key = if key_path.exists() {
        let pem = fs::read_to_string(&key_path).map_err(StartError::file(&key_path))?;
        KeyPair::from_pem(&pem).map_err(failed)?
    } else {
        KeyPair::generate().map_err(failed)?
    };
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "vast-sim authority");
    let ca_pem = if key_path.exists() && ca_path.exists() {
        fs::read_to_string(&ca_path).map_err(StartError::file(&ca_path))?
    } else {
        let pem = params.self_signed(&ca_key).map_err(failed)?.pem();
        fs::write(&ca_path, &pem).map_err(StartError::file(&ca_path))?;
        pem
    };
    if keep && !key_path.exists() {
        let open = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key_path);
        let written = open.and_then(|mut f| f.write_all(ca_key.serialize_pem().as_bytes()));
        written.map_err(StartError::file(&key_path))?;
    }

    Ok(Tls {
        issuer: Issuer::new(params, ca_key),
        names: names.to_vec(),
        addresses: addresses.to_vec(),
        ca_pem,
    })
}

/// Gives the domains that the cluster has at the time.
pub(crate) type Domains = Box<dyn Fn() -> Vec<String> + Send + Sync>;

impl Tls {
    /// The server side of TLS on an address. Its certificate is for everything that the cluster was started with; names in
    /// domains that it got since have certificates made when they are asked for.
    pub(crate) fn acceptor(
        self: &Arc<Self>,
        ip: IpAddr,
        domains: Domains,
    ) -> Result<TlsAcceptor, StartError> {
        let own = Some(ip).filter(|ip| !ip.is_unspecified() && !self.addresses.contains(ip));
        let addresses: Vec<IpAddr> = self.addresses.iter().copied().chain(own).collect();
        let usual = self.certificate(&self.names, &addresses)?;
        let by_name = ByName { tls: Arc::clone(self), usual, domains, made: Mutex::default() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(by_name));
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn certificate(&self, names: &[String], addresses: &[IpAddr]) -> Result<Arc<CertifiedKey>, StartError> {
        let server_key = KeyPair::generate().map_err(failed)?;
        let mut server = CertificateParams::new(names.to_vec()).map_err(failed)?;
        server.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        server.distinguished_name.push(DnType::CommonName, "vast-sim");
        server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&server_key, &self.issuer).map_err(failed)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(failed)?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
    }
}

/// Whether a certificate for `pattern` is one for `name`: a wildcard stands for one label.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(name),
    }
}

/// Chooses a certificate by the name that a client asks for.
struct ByName {
    tls: Arc<Tls>,
    usual: Arc<CertifiedKey>,
    domains: Domains,
    /// Those for names that the usual one does not cover.
    made: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for ByName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByName").finish_non_exhaustive()
    }
}

impl ByName {
    /// The certificate for a name that is the cluster's, or that a bucket has below one of the cluster's.
    fn special(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        if self.tls.names.iter().any(|pattern| covers(pattern, name)) {
            return None;
        }
        let is_ours = |domain: &String| {
            name == domain || name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
        };
        if !(self.domains)().iter().any(is_ours) {
            return None;
        }
        let mut made = lock(&self.made);
        if let Some(known) = made.get(name) {
            return Some(Arc::clone(known));
        }
        if made.len() >= MOST_MADE {
            made.clear();
        }
        let certificate = self.tls.certificate(&[name.to_owned()], &[]);
        let certificate =
            certificate.inspect_err(|error| tracing::error!(%error, name, "no certificate")).ok()?;
        made.insert(name.to_owned(), Arc::clone(&certificate));
        Some(certificate)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let special = hello.server_name().and_then(|name| self.special(&name.to_ascii_lowercase()));
        Some(special.unwrap_or_else(|| Arc::clone(&self.usual)))
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(covers("*.s3.test", "b.s3.test") && covers("s3.test", "S3.test"));
        assert!(!covers("*.s3.test", "a.b.s3.test") && !covers("*.s3.test", "s3.test"));
    }
}
