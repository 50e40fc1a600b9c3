//! TLS to PostgreSQL, with a certificate made for the test.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use tollgate_budget::store::{self, StoreError};

use crate::server::{Server, other_user};

fn openssl(folder: &Path, words: &str) -> bool {
    let ran = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .output();
    ran.is_ok_and(|ran| ran.status.success())
}

/// A root and a certificate of it for 127.0.0.1.
fn certificates(folder: &Path) -> bool {
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        folder,
        &format!("req -x509 {curve} -keyout root.key -out root.pem -days 2 -subj /CN=root"),
    ) && openssl(
        folder,
        &format!("req {curve} -keyout server.key -out server.csr -subj /CN=server"),
    ) && openssl(
        folder,
        "x509 -req -in server.csr -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile names -out server.pem",
    )
}

/// A server that takes connections only in TLS, but for the user of its own who makes databases.
fn start_with_tls(certificates: &Path) -> Option<Server> {
    Server::start_as(|data| {
        for name in ["server.pem", "server.key"] {
            let file = data.join(name);
            fs::copy(certificates.join(name), &file).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((user, group)) = other_user() {
                chown(&file, Some(user), Some(group)).unwrap();
            }
        }
        let settings = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n";
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .unwrap();
        file.write_all(settings.as_bytes()).unwrap();
        let rules = "host postgres all 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 trust\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
    })
}

#[test]
fn a_server_is_spoken_to_in_tls_if_its_certificate_is_one_to_trust() {
    let (made, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    if !certificates(made.path()) || !certificates(other.path()) {
        eprintln!("SKIPPED: no openssl to make a certificate with");
        return;
    }
    let Some(server) = start_with_tls(made.path()) else {
        return;
    };
    let address = server.database("tls");
    let with = |folder: &Path, mode: &str| {
        let root = folder.join("root.pem");
        store::open(&format!(
            "{address}?sslmode={mode}&sslrootcert={}",
            root.display()
        ))
        .map(drop)
    };
    assert_eq!(with(made.path(), "require"), Ok(()));
    assert_eq!(with(made.path(), "verify-full"), Ok(()));
    let distrusted = with(other.path(), "require").unwrap_err();
    assert!(
        distrusted.to_string().contains("certificate"),
        "{distrusted}"
    );
    // One that may fall back to clear text is none.
    assert!(matches!(
        with(made.path(), "prefer"),
        Err(StoreError::Address(_))
    ));
    assert!(matches!(
        with(Path::new("/nowhere"), "require"),
        Err(StoreError::Address(_))
    ));
    // The server insists as well: this is not clear text that goes by another name.
    assert!(
        with(made.path(), "disable")
            .unwrap_err()
            .to_string()
            .contains("no pg_hba.conf entry")
    );
}
