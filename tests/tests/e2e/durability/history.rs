//! What a client was told, and so may rely on: the last acknowledged state of each function, and the
//! one change whose answer never came.

use std::{collections::BTreeMap, io::Write, net::SocketAddr, net::TcpStream, sync::mpsc::Sender};

use serde_json::{Value, json};
use tests::Gateway;

/// Few names, so that changes of one function follow each other closely.
const NAMES: u32 = 6;

/// A function as the client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    version: u64,
    replicas: u64,
}

/// All that was acknowledged, by name.
#[derive(Debug, Default)]
pub(crate) struct History {
    known: BTreeMap<String, Known>,
    /// Sent, and perhaps done: the function's state if it was.
    in_flight: Option<(String, Option<Known>)>,
    changes: u64,
    acknowledged: u64,
}

impl History {
    /// Changes that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Changes functions until the gateway is gone, and says so for each that was acknowledged.
    pub(crate) fn change(
        &mut self,
        gateway: SocketAddr,
        random: &mut fastrand::Rng,
        acknowledged: &Sender<()>,
    ) {
        let Ok(mut stream) = TcpStream::connect(gateway) else {
            return;
        };
        loop {
            let name = format!("f{}", random.u32(..NAMES));
            let known = self.known.get(&name).cloned();
            self.changes += 1;
            let (method, path, body, after) = match (known, random.u32(..10)) {
                (None, _) => self.put("POST", &name, 1),
                (Some(known), 0..5) => self.put("PUT", &name, known.replicas),
                (Some(known), 5..8) => {
                    let replicas = random.u64(..3);
                    let body = json!({ "serviceName": name, "replicas": replicas });
                    let path = format!("/system/scale-function/{name}");
                    ("POST", path, body, Some(Known { replicas, ..known }))
                }
                (Some(_), _) => {
                    let body = json!({ "functionName": name });
                    ("DELETE", "/system/functions".to_owned(), body, None)
                }
            };
            self.in_flight = Some((name, after));
            match exchange(&mut stream, method, &path, &body) {
                Some(202) => {
                    self.acknowledge();
                    // Nobody counts any more once the kill is on its way.
                    acknowledged.send(()).ok();
                }
                Some(other) => panic!("{method} {path} {body}: {other}"),
                None => return,
            }
        }
    }

    fn put(
        &self,
        method: &'static str,
        name: &str,
        replicas: u64,
    ) -> (&'static str, String, Value, Option<Known>) {
        let version = self.changes;
        let body = json!({
            "service": name, "envProcess": "cat", "labels": { "version": version.to_string() },
            "annotations": { "padding": "x".repeat(300) },
        });
        let after = Some(Known { version, replicas });
        (method, "/system/functions".to_owned(), body, after)
    }

    fn acknowledge(&mut self) {
        self.acknowledged += 1;
        if let Some((name, after)) = self.in_flight.take() {
            match after {
                Some(known) => self.known.insert(name, known),
                None => self.known.remove(&name),
            };
        }
    }

    /// Checks that a new gateway knows what the last one acknowledged, and takes over what it did
    /// beyond that.
    pub(crate) fn check(&mut self, gateway: &Gateway, when: &str) {
        let functions = gateway.get("/system/functions").json();
        let found: BTreeMap<String, Known> = functions
            .as_array()
            .unwrap()
            .iter()
            .map(|status| {
                let text = |pointer: &str| status.pointer(pointer).and_then(Value::as_str);
                let known = Known {
                    version: text("/labels/version").unwrap().parse().unwrap(),
                    replicas: status["replicas"].as_u64().unwrap(),
                };
                assert_eq!(text("/envProcess"), Some("cat"), "{when}");
                assert_eq!(
                    text("/annotations/padding").map(str::len),
                    Some(300),
                    "{when}"
                );
                (text("/name").unwrap().to_owned(), known)
            })
            .collect();
        if found != self.known {
            let (name, after) = self.in_flight.clone().unwrap_or_else(|| {
                panic!("{when}: acknowledged {:?}, found {found:?}", self.known)
            });
            let mut done = self.known.clone();
            match after {
                Some(known) => done.insert(name, known),
                None => done.remove(&name),
            };
            assert_eq!(found, done, "{when}: acknowledged {:?}", self.known);
            self.known = found;
        }
        self.in_flight = None;
    }
}

/// The status of the answer, `None` when the gateway is gone.
fn exchange(stream: &mut TcpStream, method: &str, path: &str, body: &Value) -> Option<u16> {
    use std::io::Read;
    let request = tests::http::request_bytes(method, path, "", body.to_string().as_bytes());
    stream.write_all(&request).ok()?;
    // Answers of this API are short; all of one is awaited, so that the next is in step.
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        answer.extend_from_slice(&buffer[..length]);
        if let Some(end) = tests::http::find_head_end(&answer) {
            let head = tests::http::Head::read(&answer[..end]);
            let body: usize = head
                .header("content-length")
                .unwrap_or("0")
                .parse()
                .unwrap();
            if answer.len() >= end + body {
                return Some(head.status);
            }
        }
    }
}
