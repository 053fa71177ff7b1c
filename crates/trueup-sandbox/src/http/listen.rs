//! The listening socket and its connections.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::credentials::CredentialError;
use super::followed::Source;
use super::serve::Front;

/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that the headers of a request may be, as in Go's server.
const N_HEADER_BYTES_MAX: u32 = 1 << 20;

/// How long connections get to finish when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("make credentials")]
    Credentials(#[source] CredentialError),
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let bind = |source| ListenError::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        Ok(Self { socket, address })
    }

    /// Where it listens; the port is the real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop; then lets connections finish for a moment and ends them.
    pub async fn serve(self, front: Arc<Front>, tls: Arc<ServerConfig>, stop: CancellationToken) {
        let acceptor = TlsAcceptor::from(tls);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => {
                    if let Ok((stream, source)) = accepted {
                        // Small answers must not wait for each other (Nagle); a socket that refuses works nonetheless.
                        let _ = stream.set_nodelay(true);
                        connections.spawn(connection(stream, source.ip(), acceptor.clone(), front.clone(), graceful.watcher()));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.socket);
        let finished = tokio::time::timeout(FAREWELL, graceful.shutdown()).await;
        if finished.is_err() {
            tracing::debug!("connections were ended before they finished");
        }
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    source: IpAddr,
    acceptor: TlsAcceptor,
    front: Arc<Front>,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await else {
        return;
    };
    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Source(source));
        let front = front.clone();
        async move { front.handle(request).await }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(1000)
        .max_header_list_size(N_HEADER_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        // Clients hang up in the middle of watches all the time.
        tracing::trace!(%error, "connection ended");
    }
}
