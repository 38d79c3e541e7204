//! One small proxy on two runtimes: tokio-uring, and tokio itself, which waits by epoll.
//!
//! The code of the proxy is the same for both (`proxy.rs`), and so what differs is the runtime. It is here to
//! answer why the gateway is not built on tokio-uring.
//!
//! It is no gateway: a TCP replica only, requests without a body, answers with a Content-Length; no limits, no
//! time limits, no metrics, no second try, no look at an idle connection before it is used. What it
//! costs is therefore the least that a gateway on that runtime would cost.
//!
//! `tokio-uring-proxy RUNTIME PORT REPLICA`, where RUNTIME is `tokio`, `tokio-uring` or `tokio-uring-coop`
//! (with the ring flags that it can bear: COOP_TASKRUN and SINGLE_ISSUER).

#![forbid(unsafe_code)]

mod proxy;
mod stream;

use std::{env, error::Error, io, net::SocketAddr, rc::Rc};

use tokio::task::{LocalSet, spawn_local};

use proxy::Proxy;

/// Accepts by epoll for ever.
async fn serve_tokio(listen: SocketAddr, replica: SocketAddr) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let proxy = Rc::new(Proxy::new(replica));
    loop {
        let (client, address) = listener.accept().await?;
        client.set_nodelay(true)?;
        let client = stream::Polled::from(client);
        spawn_local(Rc::clone(&proxy).serve(client, address));
    }
}

/// Accepts by the ring for ever.
async fn serve_uring(listen: SocketAddr, replica: SocketAddr) -> io::Result<()> {
    let listener = tokio_uring::net::TcpListener::bind(listen)?;
    let proxy = Rc::new(Proxy::new(replica));
    loop {
        let (client, address) = listener.accept().await?;
        client.set_nodelay(true)?;
        tokio_uring::spawn(Rc::clone(&proxy).serve(client, address));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [runtime, port, replica] = arguments.as_slice() else {
        return Err("tokio-uring-proxy RUNTIME PORT REPLICA".into());
    };
    let (listen, replica) = (format!("127.0.0.1:{port}").parse()?, replica.parse()?);
    let mut flags = tokio_uring::uring_builder();
    match runtime.as_str() {
        "tokio" => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()?;
            return Ok(LocalSet::new().block_on(&runtime, serve_tokio(listen, replica))?);
        }
        "tokio-uring" => {}
        "tokio-uring-coop" => {
            flags.setup_coop_taskrun().setup_single_issuer();
        }
        other => return Err(format!("no runtime is called {other}").into()),
    }
    tokio_uring::builder()
        .entries(1024)
        .uring_builder(&flags)
        .start(serve_uring(listen, replica))?;
    Ok(())
}
