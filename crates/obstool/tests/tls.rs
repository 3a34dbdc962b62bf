//! `obstool verify` over TLS: whom it trusts, and what it shows of itself.

mod common;

use common::{metrics, obstool, write};
use obs_exporter::{Config, Exporter};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

#[test]
fn a_service_that_asks_for_certificates_is_looked_at_with_them_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| write(folder.path(), name, text);
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = CertifiedIssuer::self_signed(params.clone(), key).unwrap();
    let stranger = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        (
            put(&format!("{name}.pem"), &certificate.pem()),
            put(&format!("{name}.key"), &key.serialize_pem()),
        )
    };
    let ca = put("ca.pem", &authority.pem());
    let other = put("other.pem", &stranger.pem());
    let garbage = put("garbage", "no certificate");
    let (localhost, client) = (signed("localhost"), signed("client"));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls_cert: Some(localhost.0.into()),
        tls_key: Some(localhost.1.into()),
        tls_client_ca: Some(ca.clone().into()),
        ..Config::default()
    };
    let exporter = Exporter::builder(obs_exporter::app_info!())
        .config(config)
        .catalogue(metrics::catalogue())
        .install()
        .unwrap();
    let served = runtime.block_on(exporter.serve()).unwrap();
    let place = format!("https://localhost:{}", served.local_addr().port());

    let with = [
        "verify", &place, "--ca", &ca, "--cert", &client.0, "--key", &client.1,
    ];
    let said = obstool(&with);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    for arguments in [
        // Nobody is shown.
        vec!["verify", &place, "--ca", &ca],
        // The service is a stranger.
        vec![
            "verify", &place, "--ca", &other, "--cert", &client.0, "--key", &client.1,
        ],
        vec!["verify", &place, "--ca", &garbage],
        vec![
            "verify", &place, "--ca", &ca, "--cert", &client.0, "--key", &garbage,
        ],
        // A certificate without its key is no proof.
        vec!["verify", &place, "--ca", &ca, "--cert", &client.0],
    ] {
        let said = obstool(&arguments);
        assert_eq!(said.status, 2, "{arguments:?}: {}", said.out);
        assert!(
            !said.err.is_empty() && !said.err.contains("panicked"),
            "{}",
            said.err
        );
    }
}
