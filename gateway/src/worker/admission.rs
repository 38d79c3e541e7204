//! Who may come in: a connection is served as long as there is room for it and for others of its
//! address, else it is told why not.
//!
//! What it does not do: judge requests; a connection is refused before it is read.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use net::{ChunkMut, Stream};

use super::{Client, Worker, connection, drain::Seat};
use crate::{failure::Failure, reply::encode_parting, shared::Shared};

/// Connections of a core that are told why they are not served. Beyond it they are closed without
/// a word, or those who flood us would hold as many descriptors as they like.
const TOLD_AT_A_TIME_MAX: u64 = 64;

/// How long one that is refused may take to read it.
const TELLING: Duration = Duration::from_secs(1);

/// Serves a connection or refuses it.
pub(super) async fn admit(
    worker: Rc<Worker>,
    stream: Stream,
    peer: Option<SocketAddr>,
    seat: Seat,
) {
    let connection = worker.cells.hold(|cells| &cells.connections);
    let failure = match enter(&worker, peer) {
        Ok(_place) => return connection::serve(worker, stream, peer, seat).await,
        Err(failure) => failure,
    };
    drop(connection);
    worker.cells.failed(failure.reason());
    if worker.cells.turned_away.get() < TOLD_AT_A_TIME_MAX {
        let _telling = worker.cells.hold(|cells| &cells.turned_away);
        let client = Client::new(stream, peer, seat);
        tell(&worker, client, &failure).await;
    }
}

/// Takes a place for a connection that has been counted.
fn enter(worker: &Worker, peer: Option<SocketAddr>) -> Result<Option<PeersPlace>, Failure> {
    let limits = &worker.limits;
    // A read of each core's line for each connection, not for each request.
    let open: u64 = worker
        .shared
        .workers
        .iter()
        .map(|cells| cells.connections.get())
        .sum();
    if open > limits.connections_max {
        return Err(Failure::TooManyConnections(limits.connections_max));
    }
    match (limits.connections_per_peer_max, peer) {
        (Some(max), Some(peer)) => Peers::enter(&worker.shared, peer.ip(), max).map(Some),
        _ => Ok(None),
    }
}

async fn tell(worker: &Worker, mut client: Client, failure: &Failure) {
    let mut out = ChunkMut::new();
    encode_parting(&mut out, failure, &worker.clock.date());
    if client.send(out.freeze(), TELLING).await.is_ok() {
        client.linger(worker, TELLING).await;
    }
}

/// Connections by address. A lock that all cores take, but only for a connection, and only where
/// a limit per address is set: a peer's connections are spread over the cores.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    open: Mutex<HashMap<IpAddr, u32>>,
}

impl Peers {
    fn enter(shared: &Arc<Shared>, address: IpAddr, max: u32) -> Result<PeersPlace, Failure> {
        let host = host_of(address);
        let mut open = shared.peers.lock();
        let count = open.entry(host).or_default();
        if *count >= max {
            return Err(Failure::TooManyFromPeer(max));
        }
        *count += 1;
        drop(open);
        Ok(PeersPlace {
            shared: Arc::clone(shared),
            host,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
        // Nothing panics while it is held; and if, the numbers are still numbers.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of a peer's connections.
#[derive(Debug)]
struct PeersPlace {
    shared: Arc<Shared>,
    host: IpAddr,
}

impl Drop for PeersPlace {
    fn drop(&mut self) {
        let mut open = self.shared.peers.lock();
        if let Some(count) = open.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.host);
            }
        }
    }
}

/// What counts as one peer: an IPv4 address, or the /64 that an IPv6 host is given.
fn host_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let network = u128::from(six) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_an_address_or_a_network_of_64_bits() {
        let host = |text: &str| host_of(text.parse().unwrap());
        assert_eq!(host("192.0.2.1"), host("::ffff:192.0.2.1"));
        assert_ne!(host("192.0.2.1"), host("192.0.2.2"));
        assert_eq!(host("2001:db8::1"), host("2001:db8::ffff:1"));
        assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
    }
}
