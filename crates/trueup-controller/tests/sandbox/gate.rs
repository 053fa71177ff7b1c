//! A door between the controller and the API server that a test can shut and open again: behind the same address the
//! server is then down, or up again with everything it knew.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub struct Gate {
    address: SocketAddr,
    server: SocketAddr,
    /// Bound and never listening: keeps the address from everybody who takes any free port.
    _kept: TcpSocket,
    open: Option<JoinHandle<()>>,
}

impl Gate {
    /// A door that is shut: nobody listens at its address.
    pub async fn new(server: SocketAddr) -> Self {
        let kept = TcpSocket::new_v4().unwrap();
        // With it the listener may have the address too; tokio's listeners set it themselves.
        kept.set_reuseaddr(true).unwrap();
        kept.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self { address: kept.local_addr().unwrap(), server, _kept: kept, open: None }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let server = self.server;
        self.open = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let Ok(mut far) = TcpStream::connect(server).await else { return };
                    let _ = near.set_nodelay(true);
                    let _ = far.set_nodelay(true);
                    // Either side hangs up as it likes.
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        }));
    }

    /// Ends every connection; new ones are refused.
    pub async fn shut(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            let _ = open.await;
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.abort();
        }
    }
}
