//! A running gateway with a state directory of its own.
//!
//! Dropping it ends it by SIGKILL, the rudest way, and then checks the promise that every test
//! relies on: nothing that it started is left.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ExitStatus},
    sync::Arc,
    thread,
};

use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Builder, Cli, Connection, Driver, Response,
    metrics::Scrape,
    processes,
    time::{eventually, within_deadline},
};

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) state_dir: PathBuf,
    pub(crate) folder: Arc<TempDir>,
    /// The test has seen to it that not all can be gone.
    pub(crate) leaves_something: bool,
}

impl Gateway {
    /// One with nothing deployed.
    #[must_use]
    pub fn start(driver: Driver) -> Self {
        Builder::new(driver).start()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.state_dir.clone()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A new connection.
    #[must_use]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// `GET` on a connection of its own.
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        self.connect().get(path)
    }

    /// Calls a function with a body.
    pub fn call(&self, function: &str, body: &[u8]) -> Response {
        self.connect().post(&format!("/function/{function}"), body)
    }

    /// A call of the `/system` API with a JSON body.
    pub fn api(&self, method: &str, path: &str, body: &Value) -> Response {
        let json = "Content-Type: application/json\r\nAccept: application/json\r\n";
        let body = body.to_string();
        self.connect().request(method, path, json, body.as_bytes())
    }

    /// Deploys a command and waits until a replica is ready.
    ///
    /// # Panics
    /// When the gateway refuses it.
    pub fn deploy(&self, name: &str, command: &str) {
        self.deploy_with(name, command, &json!({}));
    }

    /// As [`Gateway::deploy`], with more fields.
    ///
    /// # Panics
    /// When the gateway refuses it.
    pub fn deploy_with(&self, name: &str, command: &str, more: &Value) {
        let mut body = more.clone();
        body["service"] = name.into();
        body["envProcess"] = command.into();
        let answer = self.api("POST", "/system/functions", &body);
        assert_eq!(answer.status(), 202, "{name}: {}", answer.text());
        eventually("a replica is ready", || {
            (self.available(name) > 0).then_some(())
        });
    }

    /// Removes a function.
    ///
    /// # Panics
    /// When the gateway refuses it.
    pub fn remove(&self, name: &str) {
        let body = json!({ "functionName": name });
        let answer = self.api("DELETE", "/system/functions", &body);
        assert_eq!(answer.status(), 202, "{name}: {}", answer.text());
    }

    /// Asks for this many replicas and waits until they are ready, or gone.
    ///
    /// # Panics
    /// When the gateway refuses it.
    pub fn scale(&self, name: &str, replicas: u64) {
        let path = format!("/system/scale-function/{name}");
        let body = json!({ "serviceName": name, "replicas": replicas });
        let answer = self.api("POST", &path, &body);
        assert_eq!(answer.status(), 202, "{name}: {}", answer.text());
        eventually("the replicas are as asked", || {
            (self.available(name) == replicas).then_some(())
        });
    }

    /// The status of a function, `Null` when there is none.
    #[must_use]
    pub fn status(&self, name: &str) -> Value {
        let answer = self.get(&format!("/system/function/{name}"));
        match answer.status() {
            200 => answer.json(),
            404 => Value::Null,
            other => panic!("{name}: {other}: {}", answer.text()),
        }
    }

    /// Replicas of a function that are ready.
    #[must_use]
    pub fn available(&self, name: &str) -> u64 {
        self.status(name)["availableReplicas"].as_u64().unwrap_or(0)
    }

    /// The metrics now.
    #[must_use]
    pub fn metrics(&self) -> Scrape {
        let answer = self.get("/metrics");
        assert_eq!(answer.status(), 200);
        Scrape::read(&answer.text())
    }

    /// The metrics once no request but the scrape is in flight. A request is counted when its answer
    /// has been sent, which its client may see first.
    #[must_use]
    pub fn settled_metrics(&self) -> Scrape {
        eventually("only the scrape is in flight", || {
            let scrape = self.metrics();
            (scrape.sum("gateway_requests_in_flight", &[]) <= 1.0).then_some(scrape)
        })
    }

    /// A verb that talks to this gateway.
    #[must_use]
    pub fn cli(&self, arguments: &str) -> Cli {
        Cli::new(arguments).env("OPENFAAS_URL", self.url())
    }

    /// Everything that it started and that is alive, however far removed.
    #[must_use]
    pub fn descendants(&self) -> Vec<i32> {
        processes::started_on(&self.state_dir())
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        nix::sys::signal::kill(Pid::from_raw(self.pid()), Signal::SIGTERM).unwrap();
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the gateway has ended", || self.child.try_wait().unwrap())
    }

    /// Ends it by SIGKILL; what it started ends too, soon.
    pub fn kill(mut self) {
        self.end();
    }

    /// Ends it by SIGKILL together with the process `pid`, in such a way that neither can clean up
    /// after the other; whatever that leaves is the test's to look for.
    pub fn kill_with(mut self, pid: i32) {
        let send = |pid, signal| nix::sys::signal::kill(Pid::from_raw(pid), signal).unwrap();
        send(self.pid(), Signal::SIGSTOP);
        send(pid, Signal::SIGKILL);
        self.end();
        self.leaves_something = true;
    }

    fn end(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

impl Drop for Gateway {
    #[expect(clippy::print_stderr, reason = "the log of a failed test explains it")]
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            eprintln!("--- log of the gateway ---\n{}", self.log());
            return;
        }
        if self.leaves_something {
            return;
        }
        let state = self.state_dir();
        let mut left = Vec::new();
        let all_gone = within_deadline(|| {
            left = processes::started_on(&state);
            left.is_empty().then_some(())
        });
        assert!(
            all_gone.is_some(),
            "the gateway is gone, but not what it started: {:?}",
            left.into_iter()
                .map(processes::describe)
                .collect::<Vec<_>>()
        );
    }
}
