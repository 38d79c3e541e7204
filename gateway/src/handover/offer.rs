//! The older gateway's side: a small thread that waits at the doors.
//!
//! A thread of its own, since the workers must not wait for anything but the network, and the
//! control plane must be free to be busy. It costs one descriptor for each listening socket: a copy
//! of those that the workers have on their runtimes. The copies are closed before the workers are
//! told to leave, so that nothing keeps a socket alive from which nobody accepts.

use std::{
    io::{self, PipeReader, PipeWriter},
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with},
};
use socket2::Socket;

use super::{abstract_name, ask::Keys, is_same_user, send};

/// How many may wait at a door.
const BACKLOG: i32 = 16;

/// The pause when no descriptor is left to open a door with.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// How long to wait for the thread to close what it has. It takes microseconds.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(1);

/// What is handed over for one address.
#[derive(Debug)]
pub(crate) struct Goods {
    /// The address, with the port that the kernel chose.
    pub(crate) address: SocketAddr,
    /// Copies of all its listening sockets.
    pub(crate) sockets: Vec<Socket>,
    /// The door, if it was handed over together with the sockets.
    pub(super) keys: Option<Keys>,
}

impl Goods {
    /// Copies of `sockets`, which listen on `address`.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(crate) fn new(
        address: SocketAddr,
        sockets: &[Socket],
        inheritance: Option<super::Inheritance>,
    ) -> io::Result<Self> {
        Ok(Self {
            address,
            sockets: sockets
                .iter()
                .map(Socket::try_clone)
                .collect::<Result<_, _>>()?,
            keys: inheritance.map(|inheritance| inheritance.keys),
        })
    }
}

/// Ends an [`Offering`] from any thread, also before it has begun. Dropping it does so, too.
#[derive(Debug)]
pub(crate) struct Withdrawal {
    stop: Option<PipeWriter>,
    ended: mpsc::Receiver<()>,
}

/// An offer that can be made.
#[derive(Debug)]
pub(crate) struct Offering {
    stop: PipeReader,
    ended: mpsc::Sender<()>,
}

/// An offer to be made, and what ends it.
///
/// # Errors
/// When no descriptor is left.
pub(crate) fn offering() -> io::Result<(Withdrawal, Offering)> {
    let (reader, writer) = io::pipe()?;
    let (sender, receiver) = mpsc::channel();
    let withdrawal = Withdrawal {
        stop: Some(writer),
        ended: receiver,
    };
    let offering = Offering {
        stop: reader,
        ended: sender,
    };
    Ok((withdrawal, offering))
}

impl Withdrawal {
    /// Hands nothing over from now on. When it returns, the copies of the sockets are closed.
    pub(crate) fn withdraw(&mut self) {
        drop(self.stop.take());
        // Nothing is ever sent: the error says that the thread has ended, or never began.
        self.ended.recv_timeout(WITHDRAWN_WITHIN).ok();
    }
}

impl Offering {
    /// Offers `goods` until it is withdrawn. An address whose door cannot be opened is not offered;
    /// the log says so.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn begin(self, goods: Vec<Goods>) -> io::Result<()> {
        let doors = goods.into_iter().filter_map(Door::open).collect();
        let thread = thread::Builder::new().name("handover".to_owned());
        thread.spawn(move || {
            let Self { stop, ended } = self;
            attend(&stop, doors);
            drop(ended);
        })?;
        Ok(())
    }
}

/// Waits at the doors until `stop` is closed at its other end.
fn attend(stop: &PipeReader, mut doors: Vec<Door>) {
    loop {
        let mut all = vec![PollFd::new(stop, PollFlags::IN)];
        all.extend(
            doors
                .iter()
                .map(|door| PollFd::from_borrowed_fd(door.watched().as_fd(), PollFlags::IN)),
        );
        if poll(&mut all, None).is_err() {
            // A signal, or no memory for a moment.
            pause(stop);
            continue;
        }
        let mut has_news = all.iter().map(|one| !one.revents().is_empty());
        if has_news.next() == Some(true) {
            return;
        }
        let has_news: Vec<bool> = has_news.collect();
        for (door, _) in doors.iter_mut().zip(has_news).filter(|(_, news)| *news) {
            if let Err(error) = door.answer() {
                tracing::warn!(address = %door.goods.address, %error, "sockets cannot be handed over");
                pause(stop);
            }
        }
    }
}

fn pause(stop: &PipeReader) {
    // Whatever it says, the next round looks at it.
    poll(&mut [PollFd::new(stop, PollFlags::IN)], Some(&PAUSE)).ok();
}

/// Where one address's sockets can be asked for.
#[derive(Debug)]
struct Door {
    listener: OwnedFd,
    goods: Goods,
    /// This gateway's own lease, if it has taken over from another one.
    _lease: Option<OwnedFd>,
    /// The lease of the newer gateway, while there is one.
    heir: Option<OwnedFd>,
}

impl Door {
    fn open(mut goods: Goods) -> Option<Self> {
        let (listener, lease) = match goods.keys.take() {
            Some(Keys { door, lease }) => (Ok(door), Some(lease)),
            None => (bind_door(goods.address), None),
        };
        match listener {
            Ok(listener) => Some(Self {
                listener,
                goods,
                _lease: lease,
                heir: None,
            }),
            Err(error) => {
                tracing::warn!(
                    address = %goods.address, %error,
                    "no other gateway will be able to take these listening sockets over"
                );
                None
            }
        }
    }

    fn watched(&self) -> &OwnedFd {
        self.heir.as_ref().unwrap_or(&self.listener)
    }

    /// Sees what is new at what is watched.
    fn answer(&mut self) -> io::Result<()> {
        let address = self.goods.address;
        if self.heir.take().is_some() {
            // It sends nothing: this is its end.
            tracing::info!(%address, "the gateway that took the listening sockets over has gone");
            return Ok(());
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let caller = match accept_with(&self.listener, flags) {
            Ok(caller) => caller,
            // It has left again, or another gateway with this door was faster.
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !is_same_user(&caller)? {
            tracing::debug!(%address, "another user asks for listening sockets");
            return Ok(());
        }
        let sockets = self.goods.sockets.iter().map(AsFd::as_fd);
        let descriptors: Vec<_> = std::iter::once(self.listener.as_fd())
            .chain(sockets)
            .collect();
        send(&caller, &descriptors)?;
        tracing::info!(%address, "another gateway takes the listening sockets over");
        self.heir = Some(caller);
        Ok(())
    }
}

fn bind_door(address: SocketAddr) -> io::Result<OwnedFd> {
    let listener = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    bind(&listener, &abstract_name(address)?)?;
    listen(&listener, BACKLOG)?;
    Ok(listener)
}
