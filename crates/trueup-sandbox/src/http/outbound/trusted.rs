//! Whom a configured authority makes trusted: those that it has signed and, as in the server's own language, whoever is named
//! there himself, whether his certificate is one of an authority or not.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

#[derive(Debug)]
pub struct Trusted {
    known: Vec<CertificateDer<'static>>,
    /// None where nobody is known.
    signed: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Trusted {
    pub fn new(known: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &known {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        let signed = if known.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(builder.build().map_err(|error| error.to_string())?)
        };
        Ok(Self { known, signed, provider })
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let unknown = Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        let verified = self.signed.as_ref().map_or(unknown, |signed| {
            signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        });
        match verified {
            // Times are looked at before the rest, and one that is over has a name of its own.
            Err(Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::UnknownIssuer))
                if self.known.iter().any(|known| known == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn judged(is_ca: IsCa, name: &str, seconds: u64) -> Result<(), String> {
        let mut params = CertificateParams::new(vec!["hook.example".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trusted = Trusted::new(vec![certificate.clone()], provider).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let verified = trusted.verify_server_cert(&certificate, &[], &name, &[], now);
        verified.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn who_is_named_himself_is_trusted_whatever_his_certificate_is_for() {
        let now = 1_800_000_000;
        for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
            assert_eq!(judged(is_ca, "hook.example", now), Ok(()), "{is_ca:?}");
            let other = judged(is_ca, "other.example", now).unwrap_err();
            assert!(other.contains("not valid for name"), "{other}");
            let over = judged(is_ca, "hook.example", 1).unwrap_err();
            assert!(over.contains("not valid yet"), "{over}");
        }
    }

    #[test]
    fn others_are_not() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trusted = Trusted::new(Vec::new(), provider).unwrap();
        let params = CertificateParams::new(vec!["hook.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
        let name = ServerName::try_from("hook.example").unwrap();
        let refused = trusted.verify_server_cert(&certificate, &[], &name, &[], now).unwrap_err();
        assert_eq!(refused, Error::InvalidCertificate(CertificateError::UnknownIssuer));
    }
}
