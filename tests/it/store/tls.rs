//! TLS to the database: each `sslmode` accepts and refuses what libpq's does, `verify-full` above all.
//!
//! The server of the tests listens on a socket only, so the stories put a TLS end in front of it that answers
//! Postgres' SSLRequest.

use std::path::Path;
use std::sync::Arc;

use meikan::store::{Store, StoreError};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::config::Host;
use tokio_rustls::TlsAcceptor;

use super::support::config;
use crate::support::folder::Folder;
use crate::support::postgres::TestDatabase;

/// A database behind TLS: its certificate names `localhost` and leads to a root of its own.
struct Secured {
    database: TestDatabase,
    folder: Folder,
    port: u16,
}

impl Secured {
    async fn create() -> Self {
        let (database, folder) = (TestDatabase::create().await, Folder::new());
        let root = root();
        std::fs::write(folder.path().join("root.pem"), root.pem()).unwrap();
        std::fs::write(folder.path().join("other.pem"), self::root().pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &root).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = socket_of(database.url());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), socket.clone()));
            }
        });
        Self { database, folder, port }
    }

    /// Connects through TLS with these parameters; `host` is how the server is called.
    async fn connect(&self, host: &str, parameters: &str) -> Result<Store, StoreError> {
        let (address, _) = self.database.url().split_once('?').unwrap_or((self.database.url(), ""));
        let (scheme, rest) = address.split_once("://").unwrap();
        let (authority, name) = rest.rsplit_once('/').unwrap();
        let user = authority.rsplit_once('@').map_or("postgres", |(user, _)| user);
        let folder = self.folder.path().display();
        let parameters = parameters.replace("FOLDER", &folder.to_string());
        let url = format!("{scheme}://{user}@{host}:{}/{name}?{parameters}", self.port);
        let store = Store::connect(&config(&url)).await?;
        store.migrate().await?;
        Ok(store)
    }
}

fn root() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn socket_of(url: &str) -> std::path::PathBuf {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let Some(Host::Unix(folder)) = config.get_hosts().first() else { panic!("the tests' server has a Unix socket") };
    folder.join(format!(".s.PGSQL.{port}"))
}

/// One connection: plain until the client asks for TLS, as every Postgres server does it.
async fn serve(mut stream: TcpStream, acceptor: TlsAcceptor, socket: impl AsRef<Path>) -> std::io::Result<()> {
    let mut request = [0; 8];
    stream.read_exact(&mut request).await?;
    // Without TLS the first message is longer and another one: such a client is refused.
    if request != [0, 0, 0, 8, 4, 210, 22, 47] {
        return Ok(());
    }
    stream.write_all(b"S").await?;
    let mut stream = acceptor.accept(stream).await?;
    let mut server = UnixStream::connect(socket).await?;
    copy_bidirectional(&mut stream, &mut server).await?;
    Ok(())
}

#[tokio::test]
async fn tls_verify_full_asks_for_the_root_and_for_the_name() {
    let server = Secured::create().await;
    let root = "sslmode=verify-full&sslrootcert=FOLDER/root.pem";
    server.connect("localhost", root).await.unwrap();
    let other_name = server.connect("127.0.0.1", root).await.err().expect("the certificate names localhost");
    assert!(matches!(other_name, StoreError::Connect { .. }), "{other_name}");
    let other_root = server.connect("localhost", "sslmode=verify-full&sslrootcert=FOLDER/other.pem").await;
    assert!(matches!(other_root, Err(StoreError::Connect { .. })));
    // The system trusts no root that was made a moment ago.
    assert!(server.connect("localhost", "sslmode=verify-full").await.is_err());
}

#[tokio::test]
async fn tls_verify_ca_asks_for_the_root_alone() {
    let server = Secured::create().await;
    server.connect("127.0.0.1", "sslmode=verify-ca&sslrootcert=FOLDER/root.pem").await.unwrap();
    assert!(server.connect("127.0.0.1", "sslmode=verify-ca&sslrootcert=FOLDER/other.pem").await.is_err());
    // As in libpq, naming a root makes `require` ask for it.
    assert!(server.connect("127.0.0.1", "sslmode=require&sslrootcert=FOLDER/other.pem").await.is_err());
}

#[tokio::test]
async fn tls_require_and_prefer_encrypt_and_disable_does_not() {
    let server = Secured::create().await;
    server.connect("127.0.0.1", "sslmode=require").await.unwrap();
    server.connect("127.0.0.1", "sslmode=prefer").await.unwrap();
    assert!(server.connect("127.0.0.1", "sslmode=disable").await.is_err(), "this server speaks TLS only");
}
