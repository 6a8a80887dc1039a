//! TLS settings: rustls with ring, trusting the given authorities or the system's, on the injected clock.

use std::fmt;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::TlsConfig;
use crate::environment::{Clock, Environment, Severity};
use crate::error::{Error, Result};

/// Settings that every connection to one kind of server shares.
#[derive(Clone)]
pub(crate) struct TlsSettings {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Reads the authorities; `whom` names the server in messages.
    pub(crate) fn new(config: &TlsConfig, whom: &str, environment: &Environment) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_details(
            Arc::clone(&provider),
            Arc::new(Time(Arc::clone(&environment.clock))),
        )
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::config("TLS", e.to_string(), ""))?;
        let mut client = if config.insecure_skip_verify {
            environment.log(
                Severity::Warning,
                format_args!(
                    "{whom}: the certificate is not verified (insecure_skip_verify); give a CA file instead"
                ),
            );
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            builder.with_root_certificates(roots(config)?)
        }
        .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let server_name = config
            .server_name
            .as_deref()
            .map(|name| {
                ServerName::try_from(name.to_owned()).map_err(|e| {
                    Error::config(
                        format!("TLS server name {name:?}"),
                        e.to_string(),
                        "give the name in the certificate",
                    )
                })
            })
            .transpose()?;
        Ok(Self { client: Arc::new(client), server_name })
    }
}

fn roots(config: &TlsConfig) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    if config.ca_files.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            let why = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
            return Err(Error::config("the system's certificate authorities", why, "give a CA file"));
        }
        return Ok(store);
    }
    for path in &config.ca_files {
        let what = format!("CA file {}", path.display());
        let text = std::fs::read(path).map_err(|e| {
            Error::config(&what, e.to_string(), "give the PEM file of the cluster's certificate authority")
        })?;
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate
                .map_err(|e| Error::config(&what, e.to_string(), "write the certificate in PEM form"))?;
            store.add(certificate).map_err(|e| {
                Error::config(&what, e.to_string(), "give a certificate authority, in PEM form")
            })?;
            count += 1;
        }
        if count == 0 {
            return Err(Error::config(what, "no certificate in it", "give the PEM file of the authority"));
        }
    }
    Ok(store)
}

/// Certificate validity by the injected clock.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        self.0.now().duration_since(UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

/// Accepts any certificate; the handshake must still be signed by its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(config: &TlsConfig) -> Result<TlsSettings> {
        TlsSettings::new(config, "VMS", &Environment::system())
    }

    #[test]
    fn a_ca_file_must_hold_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let config = TlsConfig { ca_files: vec![path.clone()], ..TlsConfig::default() };
        for text in
            [None, Some("nonsense"), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
        {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let error = settings(&config).unwrap_err().to_string();
            assert!(error.contains("ca.pem") && error.contains("PEM"), "{error}");
        }
        let certificate = rcgen::generate_simple_self_signed(vec!["vms".to_owned()]).unwrap();
        std::fs::write(&path, certificate.cert.pem()).unwrap();
        settings(&config).unwrap();
    }

    #[test]
    fn a_bad_server_name_is_refused() {
        let config =
            TlsConfig { server_name: Some("a b".into()), insecure_skip_verify: true, ..TlsConfig::default() };
        assert!(matches!(settings(&config), Err(Error::Config(_))));
    }
}
