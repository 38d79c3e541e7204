//! The proxy: one request after the other on each connection, over pooled connections to one replica.
//!
//! It reads and writes as the gateway does for a small answer: a read and a write on each side, heads
//! written anew with the same fields added in both directions.

use std::{
    cell::RefCell,
    io::{self, ErrorKind, Write},
    mem,
    net::SocketAddr,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use httparse::{EMPTY_HEADER, Header, Request, Response, Status};

use crate::stream::Stream;

/// What the path begins with; the replica sees the rest.
const PREFIX: &str = "/function/tcp";
/// Room for a head, or for a piece of a body.
const BUFFER_BYTES: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// The replica and the idle connections to it.
pub(crate) struct Proxy<S> {
    replica: SocketAddr,
    idle: RefCell<Vec<S>>,
}

/// The buffers of a client's connection, used again for each request.
struct Buffers {
    request: Vec<u8>,
    answer: Vec<u8>,
    out: Vec<u8>,
}

/// What is added to a call in both directions.
struct Call {
    id: u128,
    start_time_ns: u128,
}

impl<S: Stream> Proxy<S> {
    /// A proxy without connections yet.
    pub(crate) fn new(replica: SocketAddr) -> Self {
        Self {
            replica,
            idle: RefCell::default(),
        }
    }

    /// Serves a client until it goes, or sends what this proxy does not understand.
    pub(crate) async fn serve(self: Rc<Self>, client: S, address: SocketAddr) {
        let mut buffers = Buffers {
            request: Vec::with_capacity(BUFFER_BYTES),
            answer: Vec::with_capacity(BUFFER_BYTES),
            out: Vec::with_capacity(BUFFER_BYTES),
        };
        while self.call(&client, address, &mut buffers).await.is_ok() {}
    }

    async fn call(&self, client: &S, address: SocketAddr, buffers: &mut Buffers) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let call = Call {
            id: fastrand::u128(..),
            start_time_ns: now.unwrap_or_default().as_nanos(),
        };
        let used = loop {
            buffers.out.clear();
            // A client may have sent its next request already.
            if let Some(used) = write_request(&mut buffers.out, &buffers.request, address, &call)? {
                break used;
            }
            read(client, &mut buffers.request).await?;
        };
        buffers.request.drain(..used);

        let idle = self.idle.borrow_mut().pop();
        let replica = match idle {
            Some(connection) => connection,
            None => S::connect(self.replica).await?,
        };
        write(&replica, &mut buffers.out).await?;

        buffers.answer.clear();
        let (head, body) = loop {
            read(&replica, &mut buffers.answer).await?;
            buffers.out.clear();
            if let Some(lengths) = write_answer(&mut buffers.out, &buffers.answer, &call)? {
                break lengths;
            }
        };
        buffers.out.extend_from_slice(&buffers.answer[head..]);
        let mut missing = (head + body)
            .checked_sub(buffers.answer.len())
            .ok_or(ErrorKind::InvalidData)?;
        write(client, &mut buffers.out).await?;
        while missing > 0 {
            buffers.answer.clear();
            let count = read(&replica, &mut buffers.answer).await?;
            missing = missing.checked_sub(count).ok_or(ErrorKind::InvalidData)?;
            write(client, &mut buffers.answer).await?;
        }
        self.idle.borrow_mut().push(replica);
        Ok(())
    }
}

async fn read<S: Stream>(stream: &S, buffer: &mut Vec<u8>) -> io::Result<usize> {
    if buffer.len() == buffer.capacity() {
        return Err(ErrorKind::OutOfMemory.into());
    }
    let (done, back) = stream.read(mem::take(buffer)).await;
    *buffer = back;
    match done? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        count => Ok(count),
    }
}

async fn write<S: Stream>(stream: &S, buffer: &mut Vec<u8>) -> io::Result<()> {
    let (done, back) = stream.write_all(mem::take(buffer)).await;
    *buffer = back;
    done
}

fn is(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

fn copy(out: &mut Vec<u8>, header: &Header<'_>) {
    out.extend_from_slice(header.name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(header.value);
    out.extend_from_slice(b"\r\n");
}

fn write_call(out: &mut Vec<u8>, call: &Call) -> io::Result<()> {
    let Call { id, start_time_ns } = call;
    write!(
        out,
        "X-Call-Id: {id:032x}\r\nX-Start-Time: {start_time_ns}\r\n\r\n"
    )
}

/// Writes the request for the replica, and gives its head's length, or `None` when more must be read.
fn write_request(
    out: &mut Vec<u8>,
    from: &[u8],
    client: SocketAddr,
    call: &Call,
) -> io::Result<Option<usize>> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    let parsed = request.parse(from).map_err(io::Error::other)?;
    let (Status::Complete(used), Some(method), Some(path)) = (parsed, request.method, request.path)
    else {
        return Ok(None);
    };
    let rest = path.strip_prefix(PREFIX).ok_or(ErrorKind::Unsupported)?;
    write!(out, "{method} {rest} HTTP/1.1\r\nHost: tcp\r\n")?;
    let mut host = &b""[..];
    for header in &*request.headers {
        match header.name.len() {
            4 if is(header, "host") => host = header.value,
            10 if is(header, "connection") => {}
            14 if is(header, "content-length") => return Err(ErrorKind::Unsupported.into()),
            17 if is(header, "transfer-encoding") => return Err(ErrorKind::Unsupported.into()),
            _ => copy(out, header),
        }
    }
    write!(
        out,
        "X-Forwarded-For: {}\r\nX-Forwarded-Host: ",
        client.ip()
    )?;
    out.extend_from_slice(host);
    out.extend_from_slice(b"\r\nX-Forwarded-Proto: http\r\n");
    write_call(out, call)?;
    Ok(Some(used))
}

/// Writes the answer's head for the client, and gives the lengths of head and body, or `None` when more
/// must be read.
fn write_answer(out: &mut Vec<u8>, from: &[u8], call: &Call) -> io::Result<Option<(usize, usize)>> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut answer = Response::new(&mut headers);
    let parsed = answer.parse(from).map_err(io::Error::other)?;
    let (Status::Complete(used), Some(code)) = (parsed, answer.code) else {
        return Ok(None);
    };
    write!(
        out,
        "HTTP/1.1 {code} {}\r\n",
        answer.reason.unwrap_or_default()
    )?;
    let mut length = None;
    for header in &*answer.headers {
        match header.name.len() {
            10 if is(header, "connection") => continue,
            14 if is(header, "content-length") => {
                let digits = str::from_utf8(header.value).map_err(io::Error::other)?;
                length = Some(digits.parse().map_err(io::Error::other)?);
            }
            _ => {}
        }
        copy(out, header);
    }
    write_call(out, call)?;
    Ok(Some((used, length.ok_or(ErrorKind::Unsupported)?)))
}
