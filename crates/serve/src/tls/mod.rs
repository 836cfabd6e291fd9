//! TLS on the listening socket, with `rustls`.
//!
//! Handshakes run beside each other and have a deadline, so that a client that
//! connects and says nothing holds up nobody.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::live::Live;

/// From the connection to the end of its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes at once.
const AT_ONCE: usize = 256;

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the certificate `{path}`")]
    Certificate { path: PathBuf, source: rustls::pki_types::pem::Error },

    #[error("`{path}` has no certificate in PEM form")]
    NoCertificate { path: PathBuf },

    #[error("cannot read the private key `{path}`")]
    Key { path: PathBuf, source: rustls::pki_types::pem::Error },

    #[error("the certificate `{certificate}` and the key `{key}` cannot be used together")]
    Pair { certificate: PathBuf, key: PathBuf, source: rustls::Error },
}

/// What a server proves itself with.
#[derive(Clone)]
pub struct Identity(Arc<Live<Arc<ServerConfig>>>);

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    /// Reads a chain of certificates and its key, in PEM form. TLS 1.2 and 1.3
    /// are spoken, and HTTP/1.1 on top.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        Ok(Self(Arc::new(config(certificate, key)?.into())))
    }

    /// Proves itself to new connections with what the files hold now.
    pub fn renew(&self, certificate: &Path, key: &Path) -> Result<(), Error> {
        self.0.set(config(certificate, key)?);
        Ok(())
    }
}

fn config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Error> {
    let unread = |source| Error::Certificate { path: certificate.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(unread)?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(unread)?;
    if chain.is_empty() {
        return Err(Error::NoCertificate { path: certificate.to_owned() });
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|source| Error::Key { path: key.to_owned(), source })?;
    let pair =
        |source| Error::Pair { certificate: certificate.to_owned(), key: key.to_owned(), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A socket whose connections speak TLS.
#[derive(Debug)]
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

impl TlsListener {
    /// Accepts on `listener` from now on. Call it inside a runtime.
    pub fn new(listener: TcpListener, identity: &Identity) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (send, ready) = mpsc::channel(64);
        let accepting = tokio::spawn(accept(listener, identity.clone(), send));
        Ok(Self { ready, address, accepting })
    }
}

async fn accept(
    listener: TcpListener,
    identity: Identity,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of file descriptors, most likely: closing some helps.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let acceptor = TlsAcceptor::from(identity.0.get().as_ref().clone());
        let ready = ready.clone();
        tokio::spawn(async move {
            let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(place);
            if let Ok(Ok(stream)) = handshake {
                // Nobody takes connections any more if this fails.
                let _ = ready.send((stream, peer)).await;
            }
        });
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // The accepting task ends with the listener only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
