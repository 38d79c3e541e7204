//! A reverse proxy on pingora that does what the gateway does for a call: the first segments of the path
//! choose the replica and are taken away, the same headers are added in both directions.
//!
//! It is here because readers will ask how the table looks for a proxy in Rust on tokio. It has pingora's
//! defaults (a work-stealing runtime), no metrics, no limits and no retries of its own.
//!
//! `pingora-peer PORT THREADS TCP_REPLICA UNIX_REPLICA`

use std::{
    env,
    error::Error,
    process::ExitCode,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use pingora_core::{
    Result,
    prelude::HttpPeer,
    server::{Server, configuration::ServerConf},
};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// How a path chooses a replica, and the name under which the replica is asked.
const ROUTES: [(&str, &str); 2] = [("/function/tcp", "tcp"), ("/function/unix", "unix")];

struct Proxy {
    tcp: HttpPeer,
    unix: HttpPeer,
}

/// What is added to a call in both directions.
struct Call {
    id: String,
    start_time: String,
}

/// The rest of the target after a route's prefix, and the route's name.
fn route(request: &RequestHeader) -> Option<(&str, &'static str)> {
    let target = request.uri.path_and_query()?.as_str();
    ROUTES
        .iter()
        .find_map(|(prefix, name)| Some((target.strip_prefix(prefix)?, *name)))
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Call;

    fn new_ctx(&self) -> Call {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Call {
            id: format!("{:032x}", fastrand::u128(..)),
            start_time: now.unwrap_or_default().as_nanos().to_string(),
        }
    }

    async fn request_filter(&self, session: &mut Session, _call: &mut Call) -> Result<bool> {
        let known = route(session.req_header()).is_some();
        if !known {
            session.respond_error(404).await?;
        }
        Ok(!known)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        _call: &mut Call,
    ) -> Result<Box<HttpPeer>> {
        let is_unix = matches!(
            route(session.req_header()),
            Some((_, name)) if name == "unix"
        );
        Ok(Box::new(if is_unix {
            self.unix.clone()
        } else {
            self.tcp.clone()
        }))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        call: &mut Call,
    ) -> Result<()> {
        if let Some((rest, name)) = route(session.req_header()) {
            request.set_raw_path(rest.as_bytes())?;
            request.insert_header("Host", name)?;
        }
        if let Some(address) = session.client_addr().and_then(|address| address.as_inet()) {
            request.append_header("X-Forwarded-For", address.ip().to_string())?;
        }
        if let Some(host) = session.req_header().headers.get("host") {
            request.append_header("X-Forwarded-Host", host.as_bytes())?;
        }
        request.insert_header("X-Forwarded-Proto", "http")?;
        request.insert_header("X-Call-Id", &call.id)?;
        request.insert_header("X-Start-Time", &call.start_time)?;
        Ok(())
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        answer: &mut ResponseHeader,
        call: &mut Call,
    ) -> Result<()> {
        answer.insert_header("X-Call-Id", &call.id)?;
        answer.insert_header("X-Start-Time", &call.start_time)?;
        Ok(())
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, threads, tcp, unix] = arguments.as_slice() else {
        return Err("pingora-peer PORT THREADS TCP_REPLICA UNIX_REPLICA".into());
    };
    let settings = ServerConf {
        threads: threads.parse()?,
        upstream_keepalive_pool_size: 512,
        // It ends when it is told to, without minutes of grace.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let proxy = Proxy {
        tcp: HttpPeer::new(tcp.as_str(), false, String::new()),
        unix: HttpPeer::new_uds(unix, false, String::new())?,
    };
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), proxy);
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
