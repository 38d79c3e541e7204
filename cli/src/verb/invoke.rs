//! `ringway invoke NAME`: stdin to the function, its answer to stdout, both as streams.

use std::io::{self, IsTerminal as _, Read, Seek as _, Write};

use clap::Args;
use ureq::http::StatusCode;

use crate::args::{Target, pair};
use crate::client::{Query, explanation, status_words};
use crate::exchange::{Body, Request, Response, check_header, exchange};
use crate::exit::{Exit, Failure};
use crate::function::check_name;
use crate::output;
use crate::verb::describe::invocation_name;

/// Most of an error body that is shown, in bytes.
const ERROR_BYTES_MAX: u64 = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  echo hello | ringway invoke upper
  ringway invoke resize --query width=100 --content-type image/png < in.png > out.png
  ringway invoke report --async --header X-Callback-Url=http://127.0.0.1:9000/done < data.json

The body is read from standard input, except with GET and HEAD, which have none. A status that is \
not 2xx goes to standard error with its body, and the exit code is 1.";

/// Call a function with standard input as the body
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Invoke {
    /// Name of the function
    name: String,
    /// Set a request header, as KEY=VALUE or 'KEY: VALUE' (repeatable)
    #[arg(short = 'H', long = "header", value_name = "KEY=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Add a pair to the query string; it is encoded for you (repeatable)
    #[arg(long = "query", value_name = "KEY=VALUE", value_parser = pair)]
    query: Vec<(String, String)>,
    /// Path behind the function's name, such as /users/7; it must be encoded already
    #[arg(long, value_name = "PATH", value_parser = path, default_value = "")]
    path: String,
    /// HTTP method
    #[arg(short, long, default_value = "POST", value_parser = method)]
    method: String,
    /// Content-Type of the body
    #[arg(long, value_name = "TYPE", default_value = "text/plain")]
    content_type: String,
    /// Queue the call and return at once
    #[arg(short, long = "async")]
    asynchronous: bool,
    #[command(flatten)]
    target: Target,
}

impl Invoke {
    /// Sends the request and copies the answer.
    ///
    /// # Errors
    /// `Refused` for a status that is not 2xx, `Unavailable` when the answer breaks off, and those
    /// of the exchange.
    pub(crate) fn run(self) -> Result<(), Failure> {
        check_name(&self.name)?;
        check_header("Content-Type", &self.content_type).map_err(Failure::usage)?;
        let address = self.target.address(None)?;
        let response = exchange(&address, self.request(stdin_body)?)?;
        if !(200..300).contains(&response.status) {
            return Err(failed(&self.name, response));
        }
        if self.asynchronous {
            let id = response.header("X-Call-Id").map(String::from_utf8_lossy);
            let id = id.map_or_else(String::new, |id| format!(", call id {id}"));
            output::note(&format!("{}: accepted{id}", self.name));
        }
        copy(response, io::stdout().lock())
    }

    fn request(&self, body: impl FnOnce() -> io::Result<Body>) -> Result<Request, Failure> {
        let route = if self.asynchronous {
            "async-function"
        } else {
            "function"
        };
        let name = invocation_name(&self.name, self.target.namespace.as_deref());
        let query = self
            .query
            .iter()
            .fold(Query::default(), |query, (key, value)| {
                query.with(key, value)
            });
        let mut headers = self.header.clone();
        let without_body = matches!(self.method.as_str(), "GET" | "HEAD");
        if !without_body
            && !headers
                .iter()
                .any(|(key, _)| key.eq_ignore_ascii_case("Content-Type"))
        {
            headers.push(("Content-Type".to_owned(), self.content_type.clone()));
        }
        let body = if without_body { Ok(Body::None) } else { body() };
        Ok(Request {
            method: self.method.clone(),
            target: format!("/{route}/{name}{}{}", self.path, query.text()),
            headers,
            body: body.map_err(|error| {
                Failure::new(Exit::Io, format!("cannot read standard input: {error}"))
            })?,
        })
    }
}

/// Standard input as a body. A file has a length, which spares the function a chunked body.
fn stdin_body() -> io::Result<Body> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        output::note("ringway: reading the body from the terminal until Ctrl-D");
    }
    // A duplicate of the descriptor: it is a `File`, so it has metadata and a position, and no
    // second buffer.
    let mut file = std::fs::File::from(std::os::fd::AsFd::as_fd(&stdin).try_clone_to_owned()?);
    let metadata = file.metadata()?;
    if metadata.is_file() {
        let position = file.stream_position()?;
        return Ok(Body::Sized(
            metadata.len().saturating_sub(position),
            Box::new(file),
        ));
    }
    Ok(Body::Chunked(Box::new(file)))
}

fn copy(mut response: Response, mut out: impl Write) -> Result<(), Failure> {
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = response.body.read(&mut piece).map_err(|error| {
            Failure::new(Exit::Unavailable, format!("the answer broke off: {error}"))
        })?;
        let Some(read) = piece.get(..length).filter(|read| !read.is_empty()) else {
            return Ok(());
        };
        // Flushed at once: a function may stream for hours, and somebody may be looking.
        out.write_all(read)
            .and_then(|()| out.flush())
            .map_err(|error| Failure::output(&error))?;
    }
}

fn failed(name: &str, response: Response) -> Failure {
    let status = StatusCode::from_u16(response.status)
        .map_or_else(|_| response.status.to_string(), status_words);
    let mut body = Vec::new();
    // What was read before an error is still worth showing.
    response
        .body
        .take(ERROR_BYTES_MAX)
        .read_to_end(&mut body)
        .ok();
    let reason = explanation(&body);
    if reason.is_empty() {
        Failure::new(Exit::Refused, format!("{name}: {status}"))
    } else {
        Failure::new(Exit::Refused, format!("{name}: {status}\n{reason}"))
    }
}

/// `KEY=VALUE` or `KEY: VALUE`, whichever separator comes first.
fn header(text: &str) -> Result<(String, String), String> {
    let at = text
        .find(['=', ':'])
        .ok_or("write it as KEY=VALUE or 'KEY: VALUE'")?;
    let (name, value) = text.split_at(at);
    let value = value.get(1..).unwrap_or("").trim();
    check_header(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

fn method(text: &str) -> Result<String, String> {
    let method = text.to_ascii_uppercase();
    match wire::Method::new(&method) {
        Some(known) if known.is_connect() => Err("CONNECT is not a call".to_owned()),
        Some(_) => Ok(method),
        None => Err("a method is one word".to_owned()),
    }
}

fn path(text: &str) -> Result<String, String> {
    if !text.is_empty() && !text.starts_with('/') {
        return Err("a path begins with /".to_owned());
    }
    if text
        .bytes()
        .any(|byte| !byte.is_ascii_graphic() || byte == b'?' || byte == b'#')
    {
        return Err(
            "a path is visible ASCII without ? and #; use --query for pairs and %XX for the rest"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        invoke: Invoke,
    }

    fn request(line: &str) -> Request {
        let arguments = std::iter::once("invoke").chain(line.split(' '));
        Line::try_parse_from(arguments)
            .unwrap()
            .invoke
            .request(|| Ok(Body::Chunked(Box::new(io::empty()))))
            .unwrap()
    }

    #[test]
    fn flags_become_a_request() {
        let sent = request(
            "wc -n staging --query a=b&c --query d= --path /x/y -H A=b=c -H X:d --content-type text/x",
        );
        assert_eq!(sent.method, "POST");
        assert_eq!(sent.target, "/function/wc.staging/x/y?a=b%26c&d=");
        let pairs: Vec<_> = sent
            .headers
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [("A", "b=c"), ("X", "d"), ("Content-Type", "text/x")]
        );
    }

    #[test]
    fn a_get_has_no_body_and_async_has_a_route_of_its_own() {
        let sent = request("wc -m get");
        assert!(matches!(sent.body, Body::None) && sent.headers.is_empty() && sent.method == "GET");
        assert_eq!(request("wc --async").target, "/async-function/wc");
    }

    #[test]
    fn headers_in_both_forms() {
        assert_eq!(header("A: b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(
            header("A=http://x"),
            Ok(("A".to_owned(), "http://x".to_owned()))
        );
        for wrong in ["A", ": b", "a b: c", "Content-Length: 5", "A: b\r\nC: d"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
        assert!(path("x").is_err() && path("/a b").is_err() && path("/a?b").is_err());
        assert!(method("a b").is_err() && method("connect").is_err());
    }
}
