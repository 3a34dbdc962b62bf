//! Encryption, and clients' certificates.

pub(crate) use imp::Tls;

#[cfg(feature = "tls")]
mod imp {
    use std::fmt::Display;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use rustls::crypto::{CryptoProvider, ring};
    use rustls::server::WebPkiClientVerifier;
    use rustls::server::danger::ClientCertVerifier;
    use rustls::{RootCertStore, ServerConfig};
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::server::TlsStream;

    use crate::access::warn_if_others_read;
    use crate::certificate::ends;
    use crate::{Config, ExporterError};

    const CERT: (&str, &str) = (
        "OBS_TLS_CERT",
        "the server's certificate and its issuers, in PEM",
    );
    const KEY: (&str, &str) = (
        "OBS_TLS_KEY",
        "the private key of the server's certificate, in PEM",
    );
    const CLIENT_CA: (&str, &str) = ("OBS_TLS_CLIENT_CA", "certificates of authorities, in PEM");

    /// What the server encrypts with.
    #[derive(Clone)]
    pub(crate) struct Tls {
        acceptor: TlsAcceptor,
        ends: f64,
    }

    impl Tls {
        /// Reads the files; none where no TLS is configured.
        pub(crate) fn new(config: &Config) -> Result<Option<Self>, ExporterError> {
            let incomplete = |setting, needs| Err(ExporterError::Incomplete { setting, needs });
            let (cert, key) = match (&config.tls_cert, &config.tls_key) {
                (Some(cert), Some(key)) => (cert, key),
                (Some(_), None) => return incomplete(CERT.0, KEY.0),
                (None, Some(_)) => return incomplete(KEY.0, CERT.0),
                (None, None) if config.tls_client_ca.is_some() => {
                    return incomplete(CLIENT_CA.0, CERT.0);
                }
                (None, None) => return Ok(None),
            };
            // Named, not the process' default: that is the program's to choose, and it may not have.
            let provider = Arc::new(ring::default_provider());
            let clients = match &config.tls_client_ca {
                Some(path) => verifier(path, &provider)?,
                None => WebPkiClientVerifier::no_client_auth(),
            };
            let chain = certificates(cert, CERT)?;
            let ends = chain.iter().map(|certificate| ends(certificate));
            let ends = ends.fold(f64::NAN, f64::min);
            warn_if_others_read(key, KEY.0);
            let private = PrivateKeyDer::from_pem_file(key).map_err(refuse(key, KEY))?;
            let mut server = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(refuse(cert, CERT))?
                .with_client_cert_verifier(clients)
                .with_single_cert(chain, private)
                .map_err(refuse(key, KEY))?;
            server.alpn_protocols = vec![b"http/1.1".to_vec()];
            let acceptor = TlsAcceptor::from(Arc::new(server));
            Ok(Some(Self { acceptor, ends }))
        }

        /// When the first of its certificates ends, in seconds since 1970; NaN if none says it in a way that is understood.
        pub(crate) fn ends(&self) -> f64 {
            self.ends
        }

        /// Greets a client.
        pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
            self.acceptor.accept(stream).await
        }
    }

    fn verifier(
        path: &Path,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, ExporterError> {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates(path, CLIENT_CA)? {
            authorities
                .add(certificate)
                .map_err(refuse(path, CLIENT_CA))?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(provider))
            .build()
            .map_err(refuse(path, CLIENT_CA))
    }

    fn certificates(
        path: &Path,
        setting: (&'static str, &'static str),
    ) -> Result<Vec<CertificateDer<'static>>, ExporterError> {
        let found = CertificateDer::pem_file_iter(path).map_err(refuse(path, setting))?;
        let found: Vec<_> = found
            .collect::<Result<_, _>>()
            .map_err(refuse(path, setting))?;
        if found.is_empty() {
            return Err(refuse(path, setting)("it holds no certificate"));
        }
        Ok(found)
    }

    /// Turns what a library says of a file into our error.
    fn refuse<E: Display>(
        path: &Path,
        (setting, accepts): (&'static str, &'static str),
    ) -> impl Fn(E) -> ExporterError {
        move |problem| ExporterError::Tls {
            setting,
            path: path.to_owned(),
            problem: problem.to_string(),
            accepts,
        }
    }
}

#[cfg(not(feature = "tls"))]
mod imp {
    use std::future::Ready;
    use std::io;

    use tokio::net::TcpStream;

    use crate::{Config, ExporterError};

    /// Without the feature there is none.
    #[derive(Clone)]
    pub(crate) enum Tls {}

    impl Tls {
        /// A configuration that asks for it was refused before: nothing is served in clear that was to be encrypted.
        #[expect(clippy::unnecessary_wraps, reason = "with the feature it reads files")]
        pub(crate) fn new(_: &Config) -> Result<Option<Self>, ExporterError> {
            Ok(None)
        }

        pub(crate) fn ends(&self) -> f64 {
            match *self {}
        }

        pub(crate) fn accept(&self, _: TcpStream) -> Ready<io::Result<TcpStream>> {
            match *self {}
        }
    }
}
