//! Certificates: an authority of the simulator's own and one server certificate for every name and address it has.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::StartError;

/// File name of the authority's certificate.
pub(crate) const CA_FILE: &str = "ca.pem";
/// File name of the authority's private key, kept in durable mode so that clients' trust survives a restart.
const CA_KEY_FILE: &str = "ca-key.pem";

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

impl Tls {
    /// The server side of TLS on an address, with a certificate for everything this cluster is known as.
    pub(crate) fn acceptor(&self, ip: IpAddr) -> Result<TlsAcceptor, StartError> {
        let server_key = KeyPair::generate().map_err(failed)?;
        let mut server = CertificateParams::new(self.names.clone()).map_err(failed)?;
        let own = Some(ip).filter(|ip| !ip.is_unspecified() && !self.addresses.contains(ip));
        let addresses = self.addresses.iter().copied().chain(own);
        server.subject_alt_names.extend(addresses.map(SanType::IpAddress));
        server.distinguished_name.push(DnType::CommonName, "vast-sim");
        server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = server.signed_by(&server_key, &self.issuer).map_err(failed)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(failed)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
