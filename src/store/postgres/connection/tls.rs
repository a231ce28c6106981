//! TLS to the database, by the rustls and the ring that webhooks use, too.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::crypto::verify_tls12_signature;
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::Roots;

/// What encrypts connections. Without roots any certificate will do, as with libpq's `sslmode=require`.
pub(super) fn connector(verified_by: Option<&Roots>) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?;
    let config = match verified_by {
        Some(roots) => config.with_root_certificates(certificates(roots)?),
        None => {
            config.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        }
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn certificates(roots: &Roots) -> Result<RootCertStore, String> {
    let file = match roots {
        Roots::Public => {
            return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        }
        Roots::File(file) => file,
    };
    let failed =
        |cause: String| format!("sslrootcert: {}: {cause}; use a PEM file", file.display());
    let found = CertificateDer::pem_file_iter(file).map_err(|cause| failed(cause.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in found {
        let certificate = certificate.map_err(|cause| failed(cause.to_string()))?;
        store.add(certificate).map_err(|cause| failed(cause.to_string()))?;
    }
    if store.is_empty() {
        return Err(failed("it has no certificate".to_owned()));
    }
    Ok(store)
}

/// Accepts any certificate, but only from a server that has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let allowed = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, allowed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let allowed = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, allowed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
