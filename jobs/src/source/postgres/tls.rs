//! TLS with libpq's meaning of `sslmode`.
use std::{path::Path, sync::Arc};

use crate::{Code, Error, Result, source::database::SslMode};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// The client's side of TLS for a mode. `roots` is a PEM file instead of the system's certificates.
///
/// # Errors
/// [`Code::TlsError`] if the root certificates cannot be read.
pub(super) fn client_config(mode: SslMode, roots: Option<&Path>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let check = match (mode, roots) {
        (SslMode::VerifyFull, _) => Check::Name(verifier(roots, &provider)?),
        (SslMode::VerifyCa, _) | (SslMode::Require, Some(_)) => Check::Chain(verifier(roots, &provider)?),
        _ => Check::Nothing,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    Ok(builder
        .map_err(|e| broken("no TLS version is usable").caused_by(e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { check, provider }))
        .with_no_client_auth())
}

fn verifier(roots: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let mut store = RootCertStore::empty();
    let added = match roots {
        Some(path) => {
            let unreadable = |e: std::io::Error| {
                broken(format!("the root certificates {} cannot be read", path.display())).caused_by(e)
            };
            let pem = std::fs::read(path).map_err(unreadable)?;
            let certificates: Vec<_> =
                rustls_pemfile::certs(&mut pem.as_slice()).collect::<Result<_, _>>().map_err(unreadable)?;
            store.add_parsable_certificates(certificates).0
        }
        None => store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs).0,
    };
    if added == 0 {
        return Err(broken("there are no root certificates to check the server's with; configure `sslrootcert`"));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map_err(|e| broken("the root certificates cannot be used").caused_by(e))
}

fn broken(message: impl Into<String>) -> Error {
    Error::new(Code::TlsError, message)
}

#[derive(Debug)]
enum Check {
    Nothing,
    Chain(Arc<WebPkiServerVerifier>),
    Name(Arc<WebPkiServerVerifier>),
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verify = |v: &WebPkiServerVerifier| v.verify_server_cert(end_entity, intermediates, server_name, ocsp, now);
        match &self.check {
            Check::Nothing => Ok(ServerCertVerified::assertion()),
            Check::Name(verifier) => verify(verifier),
            Check::Chain(verifier) => match verify(verifier) {
                // The name is looked at last, so the chain is good.
                Err(TlsError::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                )) => Ok(ServerCertVerified::assertion()),
                verdict => verdict,
            },
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
