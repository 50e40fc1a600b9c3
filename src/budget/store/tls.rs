//! TLS to PostgreSQL: either none, or one that is verified. There is no third kind.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::StoreError;

/// How the server is spoken to.
#[derive(Clone)]
pub(super) enum Tls {
    /// In the clear: on the same machine, or in a network that is trusted.
    No,
    /// With a certificate for the name in the address.
    Verified(MakeRustlsConnect),
}

/// Takes `sslmode` and `sslrootcert` out of an address, as libpq writes them. `require` verifies too.
pub(super) fn split(address: &str) -> Result<(String, Tls), StoreError> {
    let (place, query) = address.split_once('?').unwrap_or((address, ""));
    let (mut mode, mut roots, mut rest) = ("disable", None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = value,
            Some(("sslrootcert", value)) => roots = Some(value),
            _ => rest.push(pair),
        }
    }
    let (mode, tls) = match mode {
        "disable" => ("disable", Tls::No),
        "require" | "verify-full" => ("require", Tls::Verified(connector(roots)?)),
        other => {
            return Err(StoreError::Address(format!(
                "sslmode={other} may speak in the clear without saying so: write `require`, which verifies, or `disable`"
            )));
        }
    };
    let mode = format!("sslmode={mode}");
    rest.push(&mode);
    Ok((format!("{place}?{}", rest.join("&")), tls))
}

/// Trusts the certificates of a file, or else those that the system trusts.
fn connector(roots: Option<&str>) -> Result<MakeRustlsConnect, StoreError> {
    let found = match roots {
        Some(path) => of_file(Path::new(path))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut trusted = RootCertStore::empty();
    let (added, _) = trusted.add_parsable_certificates(found);
    if added == 0 {
        let place = roots.unwrap_or("the system's store");
        return Err(StoreError::Address(format!("no certificate in {place}")));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| StoreError::Engine(why.to_string()))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|why| StoreError::Address(format!("sslrootcert {}: {why}", path.display())))
}
