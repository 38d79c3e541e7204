//! A TCP connection of either runtime, as the proxy sees it: buffers are lent by value, which is what
//! io_uring asks for and what costs epoll nothing.

use std::{cell::RefCell, io, net::SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_uring::{BufResult, buf::BoundedBuf};

/// A connection.
pub(crate) trait Stream: Sized + 'static {
    /// Connects, without Nagle's delay.
    async fn connect(address: SocketAddr) -> io::Result<Self>;

    /// Reads behind what is in `buffer` already, which must have room; 0 bytes mean the end.
    async fn read(&self, buffer: Vec<u8>) -> BufResult<usize, Vec<u8>>;

    /// Writes all of `buffer`.
    async fn write_all(&self, buffer: Vec<u8>) -> BufResult<(), Vec<u8>>;
}

impl Stream for tokio_uring::net::TcpStream {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = Self::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(&self, buffer: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        let behind = buffer.len()..;
        let (done, slice) = self.read(buffer.slice(behind)).await;
        (done, slice.into_inner())
    }

    async fn write_all(&self, buffer: Vec<u8>) -> BufResult<(), Vec<u8>> {
        self.write_all(buffer).await
    }
}

/// A connection of tokio's, which wants to be borrowed for writing; only one task has it.
pub(crate) struct Polled(RefCell<tokio::net::TcpStream>);

impl From<tokio::net::TcpStream> for Polled {
    fn from(stream: tokio::net::TcpStream) -> Self {
        Self(RefCell::new(stream))
    }
}

#[expect(
    clippy::await_holding_refcell_ref,
    reason = "the proxy never reads and writes one connection at the same time"
)]
impl Stream for Polled {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::from(stream))
    }

    async fn read(&self, mut buffer: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        let done = self.0.borrow_mut().read_buf(&mut buffer).await;
        (done, buffer)
    }

    async fn write_all(&self, buffer: Vec<u8>) -> BufResult<(), Vec<u8>> {
        let done = self.0.borrow_mut().write_all(&buffer).await;
        (done, buffer)
    }
}
