//! A worker for the watchdog's worker mode: what it does with a request is in the request's path.
//!
//! What it does not do: judge what it gets. It trusts whoever sends, so that what it gets can be
//! compared byte by byte.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, StdinLock, Write, stdin, stdout},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{self, Command},
    thread,
};

use crate::time::eventually;

/// Takes requests until there are no more.
///
/// # Panics
/// When a file that it is asked for cannot be written.
pub fn serve() {
    if env::var_os("AT_START").is_some_and(|what| what == "die") {
        end(7);
    }
    let mut from = BufReader::new(stdin().lock());
    let mut requests = 0;
    while let Some(head) = read_head(&mut from) {
        requests += 1;
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if path == "/early" {
            // Nothing of the body is read before all of the answer has been taken.
            say(&with_length("early"));
        }
        let body = read_body(&mut from, &head);
        match path {
            "/early" => {}
            "/echo" => say(&with_bytes(&body)),
            "/head" => say(&with_length(&head)),
            "/pid" => say(&with_length(&process::id().to_string())),
            "/count" => say(&with_length(&requests.to_string())),
            "/large" => say(&with_bytes(&vec![b'x'; query.parse().unwrap_or(0)])),
            _ => odd(path, query),
        }
    }
    if env::var_os("AT_END").is_some_and(|what| what == "stay") {
        loop {
            thread::park();
        }
    }
    if let Some(file) = env::var_os("AT_END") {
        fs::write(own_file(&file.to_string_lossy()), "ended").unwrap();
    }
}

/// What a good worker seldom or never does.
#[expect(
    clippy::zombie_processes,
    reason = "a child that outlives its parent is what is tested"
)]
fn odd(path: &str, query: &str) {
    match path {
        // Says that it has begun, and answers when it may.
        "/gate" => {
            fs::write(own_file(&format!("{query}.begun")), "").unwrap();
            let gate = own_file(query);
            eventually("it may answer", || gate.exists().then_some(()));
            say(&with_length(query));
        }
        "/never" => loop {
            thread::park();
        },
        "/die" => end(3),
        "/abort" => process::abort(),
        "/die-late" => {
            say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            end(3);
        }
        // Its output stays open after its end, in its own process group or in another.
        "/leave-child" | "/leave-group" => {
            let mut child = Command::new("sleep");
            if path == "/leave-group" {
                child.process_group(0);
            }
            child.arg("1007").spawn().unwrap();
            end(4);
        }
        "/answer-and-die" => {
            say(&with_length("last words"));
            end(0);
        }
        "/late-garbage" => {
            say(&with_length("so far"));
            eventually("it was read", || own_file("garble").exists().then_some(()));
            say(&with_length("nobody asked for this"));
            fs::write(own_file("garbled"), "").unwrap();
        }
        // The next request gets what is written here, unless somebody takes care.
        "/second-answer" => {
            say(&with_length("first"));
            eventually("the next request is in the pipe", || {
                own_file("asked").exists().then_some(())
            });
            say(&with_length("second"));
            loop {
                thread::park();
            }
        }
        "/stderr" => {
            eprintln_raw(query);
            say(&with_length("said"));
        }
        other => say(unusual(other)),
    }
}

/// Answers as bytes.
fn unusual(path: &str) -> &'static [u8] {
    match path {
        "/garbage" => b"hello\r\n\r\n",
        "/no-length" => b"HTTP/1.1 200 OK\r\n\r\nhello",
        "/more" => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        "/chunked" => {
            b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\nX-Own: 1\r\n\r\n\
              5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 9\r\n\r\n"
        }
        "/bad-chunk" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n",
        "/interim" => {
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
        }
        "/switch" => b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
        "/close" => b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye",
        "/no-content" => b"HTTP/1.1 204 No Content\r\n\r\n",
        "/only-head" => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    }
}

#[expect(clippy::exit, reason = "to end in the middle is what is tested")]
fn end(code: i32) -> ! {
    process::exit(code)
}

fn read_head(from: &mut BufReader<StdinLock<'_>>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if from.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(head)
}

fn read_body(from: &mut impl Read, head: &str) -> Vec<u8> {
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    from.read_exact(&mut body).unwrap();
    body
}

fn with_length(text: &str) -> Vec<u8> {
    with_bytes(text.as_bytes())
}

fn with_bytes(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn say(bytes: &[u8]) {
    let mut to = stdout().lock();
    // Who does not listen any more is about to end this process.
    to.write_all(bytes).and_then(|()| to.flush()).ok();
}

fn eprintln_raw(text: &str) {
    std::io::stderr()
        .write_all(format!("{text}\n").as_bytes())
        .ok();
}

/// A file in the folder that the watchdog calls `TMPDIR`.
fn own_file(name: &str) -> PathBuf {
    PathBuf::from(env::var_os("TMPDIR").unwrap()).join(name)
}
