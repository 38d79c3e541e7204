//! A request that broke half-way: it is not sent a second time, whichever half the replica has.

use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use gateway::limits::{FunctionLimits, Limits};
use net::Endpoint;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::{SockAddr, SockRef};

use crate::{
    OK,
    plane::Plane,
    text::{exchange, read_until},
};

under_each_driver! {
    a_post_that_broke_in_its_first_write_is_not_sent_again
}

fn post(bytes: usize) -> String {
    let body = "x".repeat(bytes);
    format!("POST /function/f HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n{body}")
}

fn a_post_that_broke_in_its_first_write_is_not_sent_again(driver: &str) {
    // 1. A request opens a connection to the replica, which stays. 2. Its buffer is made so small
    // that the next request, which goes out in one write, does not fit. 3. The replica reads the
    // beginning and closes. 4. It may have acted on that: the client gets a 502, and nobody a
    // second copy.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replica.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
            serve(stream.unwrap(), is_first);
        }
    });
    let endpoints = vec![Endpoint::Unix(path.clone())];
    let plane = Plane::start_with(
        driver,
        Limits::default(),
        endpoints,
        FunctionLimits::default(),
    );
    let mut client = plane.connect();
    assert_eq!(exchange(&mut client, &post(2)).status, 200);
    plane.until(|cells| cells.upstream_idle.get() == 1);
    narrow(&path);
    let answer = exchange(&mut client, &post(20_000));
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(answer.body.contains("may or may not"), "{}", answer.body);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// Answers a request; on the first connection the next one only begins to be read.
fn serve(mut stream: UnixStream, is_first: bool) {
    read_until(&mut stream, "\r\n\r\nxx").unwrap();
    stream.write_all(OK.as_bytes()).unwrap();
    if is_first {
        stream.read_exact(&mut [0; 100]).unwrap();
    }
}

/// Makes the send buffer of this process's only connection to `path` as small as it can be.
fn narrow(path: &Path) {
    let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let to = SockAddr::unix(path).unwrap();
    let sockets: Vec<OwnedFd> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|fd| pidfd_getfd(&own, fd, PidfdGetfdFlags::empty()).ok())
        .filter(|fd| {
            let peer = SockRef::from(fd).peer_addr();
            peer.is_ok_and(|peer| peer.as_pathname() == to.as_pathname())
        })
        .collect();
    assert_eq!(sockets.len(), 1, "connections to {}", path.display());
    SockRef::from(&sockets[0]).set_send_buffer_size(1).unwrap();
}
