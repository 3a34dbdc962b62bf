//! Speaking to a receiver that encrypts.

pub(crate) use imp::TlsClient;

#[cfg(feature = "tls")]
mod imp {
    #[cfg(feature = "otlp")]
    use std::fmt::Display;
    use std::io;
    #[cfg(feature = "otlp")]
    use std::path::Path;
    #[cfg(feature = "otlp")]
    use std::sync::Arc;

    use tokio::net::TcpStream;

    #[cfg(feature = "otlp")]
    use crate::PushError;

    /// What a receiver of pushes is spoken to with. It has to show a certificate for its host that an authority has signed.
    #[derive(Clone)]
    pub(crate) struct TlsClient(tokio_rustls::TlsConnector);

    impl TlsClient {
        /// With the authorities of a file, or the system's.
        #[cfg(feature = "otlp")]
        pub(crate) fn new(authorities: Option<&Path>) -> Result<Self, PushError> {
            use rustls_pki_types::CertificateDer;
            use rustls_pki_types::pem::PemObject;

            let mut roots = rustls::RootCertStore::empty();
            if let Some(path) = authorities {
                for certificate in CertificateDer::pem_file_iter(path).map_err(refuse(path))? {
                    let certificate = certificate.map_err(refuse(path))?;
                    roots.add(certificate).map_err(refuse(path))?;
                }
                if roots.is_empty() {
                    return Err(refuse(path)("it holds no certificate"));
                }
            } else {
                let found = rustls_native_certs::load_native_certs().certs;
                roots.add_parsable_certificates(found);
            }
            if roots.is_empty() {
                return Err(PushError::NoAuthorities);
            }
            // Named, not the process' default: that is the program's to choose, and it may not have.
            let provider = rustls::crypto::ring::default_provider();
            let client = rustls::ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .map_err(refuse(authorities.unwrap_or(Path::new(""))))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Ok(Self(Arc::new(client).into()))
        }

        /// Greets the server of that name or address.
        pub(crate) async fn connect(
            &self,
            host: &str,
            stream: TcpStream,
        ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
            let host = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let name = rustls_pki_types::ServerName::try_from(host).map_err(io::Error::other)?;
            self.0.connect(name, stream).await
        }
    }

    /// Turns what a library says of a file into our error.
    #[cfg(feature = "otlp")]
    fn refuse<E: Display>(path: &Path) -> impl Fn(E) -> PushError {
        move |problem| PushError::Authorities {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

#[cfg(not(feature = "tls"))]
mod imp {
    use std::future::Ready;
    use std::io;

    use tokio::net::TcpStream;

    /// Without the feature there is none.
    #[derive(Clone)]
    pub(crate) enum TlsClient {}

    impl TlsClient {
        #[cfg(feature = "otlp")]
        pub(crate) fn new(_: Option<&std::path::Path>) -> Result<Self, crate::PushError> {
            Err(crate::PushError::NoTls)
        }

        pub(crate) fn connect(&self, _: &str, _: TcpStream) -> Ready<io::Result<TcpStream>> {
            match *self {}
        }
    }
}
