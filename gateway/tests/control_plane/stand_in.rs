//! A stand-in for the watchdog: this test program itself, started with arguments that run the
//! one ignored test below. It is healthy at once and answers anything else with what it was
//! given.
//!
//! What it does not do: anything of a function.

use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    sync::OnceLock,
    thread,
};

/// A watchdog for the gateway to carry: a script that becomes this program, as the stand-in.
pub(crate) fn program() -> &'static [u8] {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    let script = SCRIPT.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        let own = own.display();
        format!("#!/bin/sh\nexec '{own}' stand_in::serve --exact --ignored --nocapture\n")
    });
    script.as_bytes()
}

/// Serves the socket that it was handed until the gateway is gone.
#[test]
#[ignore = "it is started by the other tests, as the watchdog"]
fn serve() {
    let fds = open_descriptors();
    let socket = net::inherited_listener(3).expect("a listening socket is handed over as 3");
    let lifeline = net::inherited_pipe(4).expect("the lifeline is handed over as 4");
    thread::spawn(move || {
        // The end of it says that the gateway is gone.
        fs::File::from(lifeline).read_exact(&mut [0]).ok();
        std::process::abort();
    });
    let listener = UnixListener::from(OwnedFd::from(socket));
    println!("the stand-in serves");
    for stream in listener.incoming() {
        answer(stream.unwrap(), &fds);
    }
}

fn answer(mut stream: UnixStream, fds: &str) {
    let mut request = [0; 4096];
    let length = stream.read(&mut request).unwrap_or(0);
    let is_health = request[..length].starts_with(b"GET /_/health ");
    let mut body = String::new();
    if !is_health {
        body = format!("pid={}\nfds={fds}\n", std::process::id());
        for (name, value) in std::env::vars() {
            body.push_str(&format!("{name}={value}\n"));
        }
    }
    let length = body.len();
    // The caller may have left.
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok();
}

/// The numbers that are open, but for the one that lists them.
fn open_descriptors() -> String {
    let mut numbers: Vec<u32> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.pop();
    let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
    numbers.join(",")
}
