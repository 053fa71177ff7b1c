//! A port on loopback that is kept for one program of a test.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use tokio::net::TcpSocket;

/// A port that nobody else is given while this lives: a socket is bound to it and never listens.
///
/// A program that sets `SO_REUSEADDR`, as Rust's, Go's and OpenSSH's listeners do, can still listen there; whoever asks
/// the kernel for any free port gets another one. A port that was only *found* free may be gone a moment later.
#[derive(Debug)]
pub struct KeptPort {
    socket: TcpSocket,
}

impl KeptPort {
    /// Takes a free port.
    pub fn take() -> Result<Self> {
        let socket = TcpSocket::new_v4().context("make a socket")?;
        socket.set_reuseaddr(true).context("share the port with its program")?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).context("take a free port")?;
        Ok(Self { socket })
    }

    /// Its number.
    pub fn number(&self) -> Result<u16> {
        Ok(self.socket.local_addr().context("read the port's number")?.port())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn its_program_can_listen_and_listen_again() {
        let port = KeptPort::take().unwrap();
        for _ in 0..2 {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.number().unwrap())).unwrap();
            drop(listener);
        }
    }

    #[test]
    fn nobody_listens_there_by_itself() {
        let port = KeptPort::take().unwrap();
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port.number().unwrap())).is_err());
    }
}
