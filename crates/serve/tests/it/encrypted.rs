//! TLS on a socket: a client that trusts the certificate is served, and one
//! that says nothing holds up nobody.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use plumb_serve::tls::{Identity, TlsListener};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Files {
    _folder: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
    der: CertificateDer<'static>,
}

fn files() -> Files {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Files { _folder: folder, certificate, key, der: made.cert.der().clone() }
}

async fn fetch(address: std::net::SocketAddr, trusted: CertificateDer<'static>) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // A peer that closes without a word has sent all the same.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_is_served_while_another_says_nothing() {
    let files = files();
    let identity = Identity::read(&files.certificate, &files.key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TlsListener::new(listener, &identity).unwrap();
    let routes = Router::new().route("/", get(async || "hello"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let _silent = TcpStream::connect(address).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), fetch(address, files.der)).await;
    assert!(answer.unwrap().ends_with("hello"));
}

#[test]
fn files_that_are_no_certificate_and_no_key_are_named() {
    let files = files();
    let empty = files.certificate.with_file_name("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let said = |certificate: &PathBuf, key: &PathBuf| {
        Identity::read(certificate, key).unwrap_err().to_string()
    };
    assert!(said(&empty, &files.key).contains("empty.pem"));
    assert!(said(&files.certificate, &empty).contains("empty.pem"));
    let missing = files.certificate.with_file_name("missing.pem");
    assert!(said(&missing, &files.key).contains("missing.pem"));
    let other = self::files();
    assert!(said(&files.certificate, &other.key).contains("together"));
}
